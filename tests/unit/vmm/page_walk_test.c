// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the walk through a guest's page tables against what KVM says of the same tables, and that
 * registers and translations cost a guest's exits no system call of their own. The linker leads
 * ioctl(2) here, which counts.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include <cmocka.h>

#include "base/exit_code.h"
#include "vmm/boot/probe.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/machine_boot.h"
#include "vmm/machine/page_walk.h"
#include "vmm/machine/vcpu.h"

#define TABLES	 0x400000ULL /* of this test, in RAM beyond what the guest uses */
#define PRESENT	 3ULL
#define LARGE	 0x83ULL
#define EXITS	 100
#define TRIES	 20000
#define RAM_HOLE 0x7f0000000ULL /* no RAM is there */

static unsigned gets, translates, runs;

int __real_ioctl(int fd, unsigned long request, void *arg);
int __wrap_ioctl(int fd, unsigned long request, void *arg);

int __wrap_ioctl(int fd, unsigned long request, void *arg)
{
	gets += request == KVM_GET_SREGS;
	translates += request == KVM_TRANSLATE;
	runs += request == KVM_RUN;
	return __real_ioctl(fd, request, arg);
}

/* 100 exits to port 0xe4, then the end. */
static const u8 code[] = { 0xb9, EXITS, 0,    0,    0,	  0xe6, 0xe4,
			   0xff, 0xc9,	0x75, 0xfa, 0xe6, 0xf4, 0xf4 };

struct fixture {
	struct machine *m;
	unsigned exits;
	char wrong[160]; /* what the first look that failed has seen; "": none has */
	void (*look)(struct fixture *f, struct vcpu *v);
};

/* cmocka's own assertions are for the main thread; a vCPU's thread keeps what it has seen. */
#define EXPECT(f, a, b)                                                                            \
	do {                                                                                       \
		u64 a_ = (u64)(a), b_ = (u64)(b);                                                  \
		if (a_ != b_ && !(f)->wrong[0])                                                    \
			snprintf((f)->wrong, sizeof((f)->wrong),                                   \
				 "line %d: %s is 0x%" PRIx64 ", not %s (0x%" PRIx64 ")", __LINE__, \
				 #a, a_, #b, b_);                                                  \
	} while (0)

static void on_port(void *arg, struct vcpu *v, const struct io_pio_access *a)
{
	struct fixture *f = arg;

	(void)a;
	f->exits++;
	f->look(f, v);
}

static void on_done(void *arg, struct vcpu *v, const struct io_pio_access *a)
{
	(void)v;
	(void)a;
	machine_exit(arg, EXIT_CODE_POWEROFF, NULL);
}

static void run(struct fixture *f, void (*look)(struct fixture *f, struct vcpu *v))
{
	struct err e = { "" };

	*f = (struct fixture){ .look = look };
	if (probe_machine(&f->m, 1, code, sizeof(code), 0, &e))
		fail_msg("%s", e.text);
	assert_int_equal(machine_pio_add(f->m, 0xe4, 1, on_port, f), 0);
	assert_int_equal(machine_pio_add(f->m, 0xf4, 1, on_done, f->m), 0);
	gets = translates = runs = 0;
	assert_int_equal(machine_run(f->m, &e), EXIT_CODE_POWEROFF);
	machine_destroy(f->m);
	if (f->wrong[0])
		fail_msg("%s", f->wrong);
	assert_int_equal(f->exits, EXITS);
}

static void ask_each_time(struct fixture *f, struct vcpu *v)
{
	u64 gpa;

	EXPECT(f, vcpu_cpl(v), 0);
	EXPECT(f, vcpu_sregs(v)->cr3, LAYOUT_PAGE_TABLES);
	EXPECT(f, vcpu_translate(v, vcpu_regs(v)->rip, &gpa), 0);
	EXPECT(f, gpa >= PROBE_CODE && gpa <= PROBE_CODE + sizeof(code), true);
}

static void questions_cost_no_system_call(void **state)
{
	struct fixture f;

	(void)state;
	run(&f, ask_each_time);
	assert_in_range(runs, EXITS, EXITS + 10);
	assert_int_equal(gets, 1);
	assert_int_equal(translates, 0);
}

/* What is asked for seldom is fetched by a system call, and does not burden the exits between. */
static void ask_seldom(struct fixture *f, struct vcpu *v)
{
	if (f->exits % 25 == 0)
		EXPECT(f, vcpu_cpl(v), 0);
}

static void seldom_questions_burden_no_exit(void **state)
{
	struct fixture f;

	(void)state;
	run(&f, ask_seldom);
	assert_int_equal(gets, EXITS / 25);
}

static u64 *table(struct fixture *f, unsigned n)
{
	return machine_gpa(f->m, TABLES + n * 4096ULL, 4096);
}

/*
 * Makes tables of four levels, five tables of each below the root, whose entries are of all kinds,
 * most of them mapped. Pages of 1 GiB, which not every processor has, are left to the next test.
 */
static void make_tables(struct fixture *f, unsigned seed)
{
	srand(seed);
	memset(table(f, 0), 0, 0x10000);
	for (unsigned n = 0; n < 16; n++) {
		unsigned depth = (n + 4) / 5; /* 0: the root, 3: tables of pages */

		for (unsigned i = 0; i < 512; i++) {
			u64 next = TABLES + (5 * depth + 1 + (unsigned)rand() % 5) * 4096ULL;
			u64 *entry = &table(f, n)[i];

			switch (rand() % 8) {
			case 0:
				*entry = next; /* not present */
				break;
			case 1:
				*entry = RAM_HOLE | PRESENT;
				break;
			case 2:
				*entry = depth == 2 ? (u64)(rand() % 8) << 21 | LARGE
						    : next | PRESENT;
				break;
			default:
				*entry = next | PRESENT;
			}
		}
	}
}

/* Says what KVM does, by the tables that the vCPU's CR3 leads to. */
static int ask_kvm(struct vcpu *v, u64 va, u64 *gpa)
{
	struct kvm_translation t = { .linear_address = va };

	if (__real_ioctl(vcpu_fd(v), KVM_TRANSLATE, &t) || !t.valid)
		return -EFAULT;
	*gpa = t.physical_address;
	return 0;
}

static u64 some_address(void)
{
	u64 va = (u64)rand() << 33 ^ (u64)rand() << 16 ^ (u64)rand();

	va &= (1ULL << 48) - 1;
	return va & 1ULL << 47 ? va | 0xffffULL << 48 : va;
}

static void compare(struct fixture *f, struct vcpu *v)
{
	struct kvm_sregs s, own;
	unsigned mapped = 0;

	if (f->exits != 1)
		return;
	EXPECT(f, __real_ioctl(vcpu_fd(v), KVM_GET_SREGS, &own), 0);
	for (unsigned seed = 1; seed <= 4; seed++) {
		make_tables(f, seed);
		s = own;
		s.cr3 = TABLES;
		EXPECT(f, __real_ioctl(vcpu_fd(v), KVM_SET_SREGS, &s), 0);
		for (unsigned i = 0; i < TRIES / 4; i++) {
			u64 va = some_address(), want = 1, got = 2, left;
			int ret = ask_kvm(v, va, &want);

			EXPECT(f, page_walk(machine_memory_map(f->m), TABLES, 4, va, &got, &left),
			       ret);
			if (ret)
				continue;
			mapped++;
			EXPECT(f, got, want);
			EXPECT(f, left >= 1 && left <= 1ULL << 30, true);
			EXPECT(f, (va + left) % 4096, 0);
		}
	}
	EXPECT(f, __real_ioctl(vcpu_fd(v), KVM_SET_SREGS, &own), 0);
	EXPECT(f, true, mapped > TRIES / 10);
}

static void a_walk_agrees_with_kvm(void **state)
{
	struct fixture f;

	(void)state;
	run(&f, compare);
}

static void five(struct fixture *f, struct vcpu *v)
{
	u64 gpa, left;

	(void)v;
	if (f->exits != 1)
		return;
	memset(machine_gpa(f->m, TABLES, 0x10000), 0, 0x10000);
	table(f, 0)[511] = (TABLES + 0x1000) | PRESENT;
	table(f, 1)[3] = (TABLES + 0x2000) | PRESENT;
	table(f, 2)[0] = 0x40000000 | LARGE;
	EXPECT(f,
	       page_walk(machine_memory_map(f->m), TABLES, 5, 511ULL << 48 | 3ULL << 39 | 0x12345,
			 &gpa, &left),
	       0);
	EXPECT(f, gpa, 0x40012345);
	EXPECT(f, left, 0x40000000 - 0x12345);
	EXPECT(f,
	       page_walk(machine_memory_map(f->m), TABLES, 4, 511ULL << 48 | 3ULL << 39, &gpa,
			 &left),
	       -EFAULT);
	EXPECT(f, page_walk(machine_memory_map(f->m), RAM_HOLE, 4, 0, &gpa, &left), -EFAULT);
}

static void five_levels_are_walked(void **state)
{
	struct fixture f;

	(void)state;
	run(&f, five);
}

/* An address that no processor would use is not mapped, whatever the tables say of its low bits. */
static void uncanonical(struct fixture *f, struct vcpu *v)
{
	u64 gpa;

	EXPECT(f, vcpu_translate(v, PROBE_CODE, &gpa), 0);
	EXPECT(f, vcpu_translate(v, PROBE_CODE | 1ULL << 48, &gpa), -EFAULT);
	EXPECT(f, vcpu_translate(v, PROBE_CODE | 1ULL << 63, &gpa), -EFAULT);
}

static void an_uncanonical_address_is_not_mapped(void **state)
{
	struct fixture f;

	(void)state;
	run(&f, uncanonical);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(questions_cost_no_system_call),
		cmocka_unit_test(seldom_questions_burden_no_exit),
		cmocka_unit_test(a_walk_agrees_with_kvm),
		cmocka_unit_test(five_levels_are_walked),
		cmocka_unit_test(an_uncanonical_address_is_not_mapped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
