// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the machine on this /dev/kvm, with guests of a few instructions in long mode at CPL 0. They
 * run on a KVM in software as well. Guests begin with RDI = PROBE_SCRATCH and end by a byte to port
 * 0xf4.
 */
#include <errno.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/exit_code.h"
#include "vmm/backend/platform.h"
#include "vmm/boot/probe.h"
#include "vmm/machine/kvm.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine_int.h"
#include "vmm/machine/vcpu_reset.h"

#define SLOT_GPA  LAYOUT_UMBRA
#define PORT_DONE 0xf4
#define STR2(x)	  #x
#define STR(x)	  STR2(x)

#define GUEST(name, code)                                                                     \
	__asm__(".pushsection .rodata\n" #name ":\n" code "\n" #name "_end:\n.popsection\n"); \
	extern const char name[], name##_end[]

/* RDI + 0x1000: IDT; every vector below 32 goes to a handler that reports the vector's RIP. */
#define IDT_SETUP                                                                             \
	"lea 0x3000(%rdi), %rsp\n"                                                            \
	"lea 9f(%rip), %rax\n"                                                                \
	"mov $32, %ecx\n"                                                                     \
	"lea 0x1000(%rdi), %rdx\n"                                                            \
	"8: mov %ax, (%rdx)\n movw $0x10, 2(%rdx)\n movw $0x8e00, 4(%rdx)\n"                  \
	"mov %eax, %ebx\n shr $16, %ebx\n mov %bx, 6(%rdx)\n movl $0, 8(%rdx)\n"              \
	"add $16, %rdx\n dec %ecx\n jnz 8b\n"                                                 \
	"movw $511, 0x2000(%rdi)\n lea 0x1000(%rdi), %rax\n mov %rax, 0x2002(%rdi)\n"         \
	"lidt 0x2000(%rdi)\n jmp 7f\n"                                                        \
	"9: pop %rdx\n pop %rdx\n mov %rdx, (%rdi)\n mov $0xee, %al\n out %al, $0xf4\n hlt\n" \
	"7:\n"

struct ctx {
	struct machine *m;
	u8 done; /* the last byte at PORT_DONE */
	/* what the port handler saw */
	unsigned calls;
	u16 port;
	u8 size;
	u32 count;
	u8 data[64];
	u64 rdx;
	/* what the read-only hook saw */
	unsigned ro_calls, ro_len;
	u64 ro_gpa, ro_data;
	bool ro_has_data;
	bool inject;
};

static void on_done(void *arg, struct vcpu *v, const struct io_pio_access *a)
{
	struct ctx *t = arg;

	(void)v;
	if (!a->write)
		return;
	t->done = *(const u8 *)a->data;
	machine_exit(t->m, EXIT_CODE_POWEROFF, NULL);
}

static void on_port(void *arg, struct vcpu *v, const struct io_pio_access *a)
{
	struct ctx *t = arg;
	size_t len = (size_t)a->size * a->count;

	t->calls++;
	t->port = a->port;
	t->size = a->size;
	t->count = a->count;
	t->rdx = vcpu_regs(v)->rdx;
	assert_int_equal(vcpu_index(v), 0);
	assert_ptr_equal(vcpu_machine(v), t->m);
	if (a->write && len <= sizeof(t->data))
		memcpy(t->data, a->data, len);
	else if (!a->write)
		memset(a->data, 0x5c, len);
	if (a->write) {
		vcpu_regs(v)->rbx = 0x1234567890;
		vcpu_set_regs_dirty(v);
	}
	if (t->inject)
		vcpu_inject_gp(v);
}

static void on_ro_write(void *arg, struct vcpu *v, u64 gpa, unsigned len, const void *data)
{
	struct ctx *t = arg;

	assert_int_equal(vcpu_cpl(v), 0);
	t->ro_calls++;
	t->ro_gpa = gpa;
	t->ro_len = len;
	t->ro_has_data = data;
	if (data && len <= sizeof(t->ro_data))
		memcpy(&t->ro_data, data, len);
}

static void on_timeout(void *arg, u32 expiries)
{
	(void)expiries;
	machine_exit(arg, EXIT_CODE_ERROR, "timeout");
}

static void make_machine(struct ctx *t, unsigned cpus, const char *code, const char *end)
{
	struct err e = { "" };

	memset(t, 0, sizeof(*t));
	if (probe_machine(&t->m, cpus, code, (size_t)(end - code), 0, &e))
		fail_msg("%s", e.text);
	assert_int_equal(machine_pio_add(t->m, PORT_DONE, 1, on_done, t), 0);
	machine_set_ro_write_hook(t->m, on_ro_write, t);
	assert_true(loop_timer(machine_loop(t->m), 20000000000ULL, 0, on_timeout, t->m) >= 0);
}

static void place_code(struct ctx *t, const char *code, const char *end)
{
	struct err e = { "" };

	if (probe_place(t->m, code, (size_t)(end - code), 0, &e))
		fail_msg("%s", e.text);
}

static int run_machine(struct ctx *t)
{
	struct err e = { "" };

	return machine_run(t->m, &e);
}

#define MAKE(t, cpus, guest) make_machine(t, cpus, guest, guest##_end)

GUEST(g_ports, "mov $0xfeed, %edx\n mov $0xcafe, %eax\n out %ax, $0xe4\n"
	       "in $0xe5, %eax\n mov %eax, (%rdi)\n mov %rbx, 8(%rdi)\n"
	       "lea 0x100(%rdi), %rsi\n movl $0x44332211, (%rsi)\n mov $4, %ecx\n mov $0xe6, %edx\n"
	       "rep outsb\n"
	       "in $0x99, %eax\n mov %eax, 16(%rdi)\n in $0x61, %al\n mov %al, 24(%rdi)\n"
	       "out %al, $0x98\n"
	       "mov $1, %al\n out %al, $0xf4\n hlt\n");

static void test_ports(void **state)
{
	struct ctx t;
	u64 *scratch;

	(void)state;
	MAKE(&t, 1, g_ports);
	assert_int_equal(machine_pio_add(t.m, 0xe4, 3, on_port, &t), 0);
	assert_int_equal(machine_pio_add(t.m, 0xe6, 1, on_port, &t), -EEXIST);
	assert_int_equal(machine_pio_add(t.m, 0xffff, 2, on_port, &t), -EINVAL);
	scratch = machine_gpa(t.m, PROBE_SCRATCH, 64);
	assert_int_equal(run_machine(&t), EXIT_CODE_POWEROFF);
	assert_int_equal(t.done, 1);
	assert_int_equal((u32)scratch[0], 0x5c5c5c5c);
	assert_int_equal(scratch[1], 0x1234567890);
	assert_int_equal((u32)scratch[2], 0xffffffff); /* nobody there */
	assert_int_equal((u8)scratch[3], 0x3f);	       /* no error that would be an NMI's */
	assert_int_equal(t.port, 0xe6);
	assert_int_equal(t.size, 1);
	assert_true(t.calls >= 3);
	assert_true(vcpu_exits(machine_vcpu(t.m, 0), KVM_EXIT_IO) >= t.calls + 3);
	machine_destroy(t.m);
}

GUEST(g_write_slot, "mov $" STR(0xc0000000) ", %esi\n mov 8(%rsi), %rax\n mov %rax, (%rdi)\n"
					    "mov $0x1122334455667788, %rax\n mov %rax, 8(%rsi)\n"
					    "mov 8(%rsi), %rax\n mov %rax, 8(%rdi)\n"
					    "mov $2, %al\n out %al, $0xf4\n hlt\n");

static void test_readonly_slot(void **state)
{
	struct ctx t;
	u64 *scratch, *slot;
	void *hva;

	(void)state;
	MAKE(&t, 1, g_write_slot);
	assert_int_equal(machine_add_slot(t.m, SLOT_GPA, 8192, false, &hva, NULL), 0);
	slot = hva;
	slot[1] = 0xabcd;
	scratch = machine_gpa(t.m, PROBE_SCRATCH, 16);
	assert_int_equal(run_machine(&t), EXIT_CODE_POWEROFF);
	assert_int_equal(t.done, 2);
	assert_int_equal(slot[1], 0xabcd);
	assert_int_equal(scratch[0], 0xabcd);
	assert_int_equal(scratch[1], 0xabcd);
	assert_int_equal(t.ro_calls, 1);
	assert_int_equal(t.ro_gpa, SLOT_GPA + 8);
	assert_int_equal(t.ro_len, 8);
	assert_true(t.ro_has_data);
	assert_int_equal(t.ro_data, 0x1122334455667788);
	machine_destroy(t.m);
}

static void test_writable_slot(void **state)
{
	struct ctx t;
	void *hva;

	(void)state;
	MAKE(&t, 1, g_write_slot);
	assert_int_equal(machine_add_slot(t.m, SLOT_GPA, 4096, true, &hva, NULL), 0);
	assert_int_equal(run_machine(&t), EXIT_CODE_POWEROFF);
	assert_int_equal(((u64 *)hva)[1], 0x1122334455667788);
	assert_int_equal(t.ro_calls, 0);
	machine_destroy(t.m);
}

GUEST(g_xsave, IDT_SETUP "mov $0xc0000000, %esi\n"
			 "mov %cr4, %rax\n or $0x40600, %eax\n mov %rax, %cr4\n"
			 "mov $1, %eax\n xor %edx, %edx\n"
			 ".globl g_xsave_store\ng_xsave_store: xsave64 64(%rsi)\n"
			 "mov $3, %al\n out %al, $0xf4\n hlt\n");
extern const char g_xsave_store[];

/* A store that KVM's emulator does not know: the guest gets #GP at it, the machine lives on. */
static void test_unemulated_store(void **state)
{
	struct ctx t;
	u64 *scratch;
	u8 *slot;
	void *hva;

	(void)state;
	MAKE(&t, 1, g_xsave);
	assert_int_equal(machine_add_slot(t.m, SLOT_GPA, 4096, false, &hva, NULL), 0);
	slot = hva;
	scratch = machine_gpa(t.m, PROBE_SCRATCH, 16);
	assert_int_equal(run_machine(&t), EXIT_CODE_POWEROFF);
	assert_int_equal(t.done, 0xee);
	assert_int_equal(scratch[0], PROBE_CODE + (u64)(g_xsave_store - g_xsave));
	assert_int_equal(t.ro_calls, 1);
	assert_false(t.ro_has_data);
	assert_int_equal(t.ro_gpa, SLOT_GPA + 64);
	for (unsigned i = 0; i < 4096; i++)
		assert_int_equal(slot[i], 0);
	machine_destroy(t.m);
}

GUEST(g_inject,
      IDT_SETUP "out %al, $0xe4\n"
		".globl g_inject_after\ng_inject_after: mov $4, %al\n out %al, $0xf4\n hlt\n");
extern const char g_inject_after[];

static void test_inject_gp(void **state)
{
	struct ctx t;
	u64 *scratch;

	(void)state;
	MAKE(&t, 1, g_inject);
	t.inject = true;
	assert_int_equal(machine_pio_add(t.m, 0xe4, 1, on_port, &t), 0);
	scratch = machine_gpa(t.m, PROBE_SCRATCH, 16);
	assert_int_equal(run_machine(&t), EXIT_CODE_POWEROFF);
	assert_int_equal(t.calls, 1);
	assert_int_equal(t.done, 0xee);
	assert_int_equal(scratch[0], PROBE_CODE + (u64)(g_inject_after - g_inject));
	machine_destroy(t.m);
}

#define NMI_SPIN "1: out %al, $0xe4\n jmp 1b\n"

/* Enables the local APIC, then the pin. */
GUEST(g_nmi, IDT_SETUP "mov $0xfee00000, %eax\n movl $0x1ff, 0xf0(%rax)\n"
		       "movl $0x400, 0x360(%rax)\n" NMI_SPIN);
GUEST(g_no_nmi, IDT_SETUP NMI_SPIN);

/* Presses the button once the guest is under way, and ends a guest that goes on all the same. */
static void on_nmi_port(void *arg, struct vcpu *v, const struct io_pio_access *a)
{
	struct ctx *t = arg;

	(void)v;
	(void)a;
	/* on_nmi_pause() looks at it. */
	if (__atomic_fetch_add(&t->calls, 1, __ATOMIC_RELAXED) == 1 && t->inject)
		machine_nmi(t->m);
	if (t->calls > 1000 && t->inject)
		machine_exit(t->m, EXIT_CODE_POWEROFF, NULL);
}

static void test_nmi(void **state)
{
	struct ctx t;

	(void)state;
	MAKE(&t, 1, g_nmi);
	t.inject = true;
	assert_int_equal(machine_pio_add(t.m, 0xe4, 1, on_nmi_port, &t), 0);
	assert_int_equal(run_machine(&t), EXIT_CODE_POWEROFF);
	assert_int_equal(t.done, 0xee);
	assert_true(t.calls < 1000);
	machine_destroy(t.m);
}

/* The pin is masked after a reset, and the second processor waits to be started. */
static void test_nmi_that_nobody_wants(void **state)
{
	struct ctx t;

	(void)state;
	MAKE(&t, 2, g_no_nmi);
	t.inject = true;
	assert_int_equal(machine_pio_add(t.m, 0xe4, 1, on_nmi_port, &t), 0);
	assert_int_equal(run_machine(&t), EXIT_CODE_POWEROFF);
	assert_int_equal(t.done, 0);
	machine_destroy(t.m);
}

/* Pauses a guest that is under way, presses the button, and lets it go on. */
static void on_nmi_pause(void *arg, u32 expiries)
{
	struct ctx *t = arg;

	(void)expiries;
	if (machine_paused(t->m) && !t->ro_calls) {
		t->ro_calls = __atomic_load_n(&t->calls, __ATOMIC_RELAXED);
		machine_nmi(t->m);
		machine_resume(t->m);
	} else if (__atomic_load_n(&t->calls, __ATOMIC_RELAXED) && !t->ro_calls) {
		assert_int_equal(machine_pause(t->m), 0);
	}
}

static void test_nmi_waits_for_a_pause(void **state)
{
	struct ctx t;

	(void)state;
	MAKE(&t, 1, g_nmi);
	assert_int_equal(machine_pio_add(t.m, 0xe4, 1, on_nmi_port, &t), 0);
	assert_true(loop_timer(machine_loop(t.m), 100000, 100000, on_nmi_pause, &t) >= 0);
	assert_int_equal(run_machine(&t), EXIT_CODE_POWEROFF);
	assert_int_equal(t.done, 0xee);
	assert_true(t.ro_calls && t.calls <= t.ro_calls + 1);
	machine_destroy(t.m);
}

static void test_slots(void **state)
{
	struct ctx t;
	struct err e;
	void *hva;

	(void)state;
	MAKE(&t, 1, g_ports);
	assert_int_equal(machine_add_slot(t.m, SLOT_GPA + 1, 4096, true, &hva, &e), -EINVAL);
	assert_int_equal(machine_add_slot(t.m, SLOT_GPA, 100, true, &hva, &e), -EINVAL);
	assert_int_equal(machine_add_slot(t.m, SLOT_GPA, 0, true, &hva, &e), -EINVAL);
	assert_int_equal(machine_add_slot(t.m, 0, 4096, true, &hva, &e), -EINVAL);
	assert_int_equal(machine_add_slot(t.m, LAYOUT_UMBRA_END - 4096, 8192, true, &hva, &e),
			 -EINVAL);
	assert_int_equal(machine_add_slot(t.m, SLOT_GPA, 8192, true, &hva, &e), 0);
	assert_int_equal(machine_add_slot(t.m, SLOT_GPA + 4096, 4096, true, &hva, &e), -EEXIST);
	assert_null(machine_gpa(t.m, SLOT_GPA, 1)); /* no RAM */
	assert_int_equal(machine_remove_slot(t.m, SLOT_GPA + 4096), -ENOENT);
	assert_int_equal(machine_remove_slot(t.m, SLOT_GPA), 0);
	assert_int_equal(machine_remove_slot(t.m, SLOT_GPA), -ENOENT);
	for (u64 i = 0; i < 200; i++)
		assert_int_equal(machine_add_slot(t.m, SLOT_GPA + i * 8192, 4096, i % 2, &hva, &e),
				 0);
	machine_destroy(t.m);
}

static void test_door(void **state)
{
	struct ctx t;

	(void)state;
	MAKE(&t, 1, g_ports);
	assert_non_null(machine_gpa(t.m, 0, 1));
	assert_non_null(machine_gpa(t.m, 0, PROBE_MEMORY));
	assert_non_null(machine_gpa(t.m, PROBE_MEMORY - 1, 1));
	assert_null(machine_gpa(t.m, 0, 0));
	assert_null(machine_gpa(t.m, PROBE_MEMORY - 1, 2));
	assert_null(machine_gpa(t.m, PROBE_MEMORY, 1));
	assert_null(machine_gpa(t.m, 1, PROBE_MEMORY));
	assert_null(machine_gpa(t.m, UINT64_MAX, 2));
	assert_null(machine_gpa(t.m, 1, UINT64_MAX));
	assert_null(machine_gpa(t.m, LAYOUT_4G, 1));
	assert_null(machine_gpa(t.m, UINT64_MAX, UINT64_MAX));
	machine_destroy(t.m);
}

static int run_platform(struct ctx *t)
{
	static const struct guest_spec o;
	struct platform *p;
	int code;

	assert_int_equal(platform_create(&p, t->m, &o, NULL), 0);
	code = run_machine(t);
	platform_destroy(p);
	return code;
}

GUEST(g_poweroff, "mov $0x600, %edx\n mov $0x34, %al\n out %al, %dx\n 1: hlt\n jmp 1b\n");
GUEST(g_reset, "mov $0x604, %edx\n mov $1, %al\n out %al, %dx\n 1: hlt\n jmp 1b\n");
GUEST(g_i8042, "mov $0xfe, %al\n out %al, $0x64\n 1: hlt\n jmp 1b\n");
GUEST(g_pvpanic, "mov $0x505, %edx\n mov $1, %al\n out %al, %dx\n 1: hlt\n jmp 1b\n");
GUEST(g_triple, "out %al, $0x80\n movw $0, 0x100(%rdi)\n lidt 0x100(%rdi)\n ud2\n");
GUEST(g_halt, "cli\n 1: hlt\n jmp 1b\n");

static void test_exit_codes(void **state)
{
	struct ctx t;

	(void)state;
	MAKE(&t, 1, g_poweroff);
	assert_int_equal(run_platform(&t), EXIT_CODE_POWEROFF);
	assert_string_equal(machine_exit_line(t.m), "");
	machine_destroy(t.m);
	MAKE(&t, 1, g_reset);
	assert_int_equal(run_platform(&t), EXIT_CODE_REBOOT);
	machine_destroy(t.m);
	MAKE(&t, 1, g_i8042);
	assert_int_equal(run_platform(&t), EXIT_CODE_REBOOT);
	machine_destroy(t.m);
	MAKE(&t, 1, g_pvpanic);
	assert_int_equal(run_platform(&t), EXIT_CODE_PANIC);
	machine_destroy(t.m);
	MAKE(&t, 1, g_triple);
	assert_int_equal(run_platform(&t), EXIT_CODE_TRIPLE_FAULT);
	assert_non_null(strstr(machine_exit_line(t.m), "RIP 0x"));
	machine_destroy(t.m);
}

/* Who ends the machine wins over its guest that wants to go on; else the first reason counts. */
static void test_end_and_reset(void **state)
{
	struct ctx t;

	(void)state;
	MAKE(&t, 1, g_halt);
	machine_exit(t.m, EXIT_CODE_REBOOT, "a reset");
	machine_exit(t.m, EXIT_CODE_REBOOT, "another");
	assert_string_equal(machine_exit_line(t.m), "a reset");
	machine_exit(t.m, EXIT_CODE_SIGNAL + 15, NULL);
	assert_int_equal(machine_exit_code(t.m), EXIT_CODE_SIGNAL + 15);
	assert_string_equal(machine_exit_line(t.m), "");
	machine_exit(t.m, EXIT_CODE_REBOOT, "too late");
	machine_exit(t.m, EXIT_CODE_PANIC, "too late");
	assert_int_equal(machine_exit_code(t.m), EXIT_CODE_SIGNAL + 15);
	machine_destroy(t.m);
}

/*
 * Leaves a mark in memory and changes what a reset has to put back, then asks for one; the store
 * after that must not happen.
 */
GUEST(g_dirty,
      "mov (%rdi), %rax\n mov %rax, 8(%rdi)\n movq $0x1234, (%rdi)\n"
      "mov $0xc0000102, %ecx\n mov $0x55, %eax\n xor %edx, %edx\n wrmsr\n"
      "mov $0x604, %edx\n mov $1, %al\n out %al, %dx\n movq $1, 16(%rdi)\n 1: hlt\n jmp 1b\n");

static u64 read_msr(const struct vcpu *v, u32 index)
{
	_Alignas(struct kvm_msrs) u8 buf[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
	struct kvm_msrs *msrs = (struct kvm_msrs *)(void *)buf;

	memset(buf, 0, sizeof(buf));
	msrs->nmsrs = 1;
	msrs->entries[0].index = index;
	assert_int_equal(ioctl(vcpu_fd(v), KVM_GET_MSRS, msrs), 1);
	return msrs->entries[0].data;
}

/* The registers of a start are not asked for: they are what KVM gives to a new vCPU. */
static void test_registers_of_a_new_vcpu(void **state)
{
	struct kvm_sregs ours = vcpu_reset_sregs(0), kvms;
	struct ctx t;

	(void)state;
	MAKE(&t, 1, g_dirty);
	assert_int_equal(ioctl(vcpu_fd(machine_vcpu(t.m, 0)), KVM_GET_SREGS, &kvms), 0);
	assert_memory_equal(&ours.ldt, &kvms.ldt, sizeof(ours.ldt));
	assert_memory_equal(&ours.tr, &kvms.tr, sizeof(ours.tr));
	assert_int_equal(ours.cr2, kvms.cr2);
	assert_int_equal(ours.cr8, kvms.cr8);
	assert_int_equal(ours.apic_base, kvms.apic_base);
	assert_memory_equal(ours.interrupt_bitmap, kvms.interrupt_bitmap,
			    sizeof(ours.interrupt_bitmap));
	machine_destroy(t.m);
}

/* Expects the threads of both vCPUs to be there, and to be those of @tids, unless that is all 0. */
static void expect_threads(const struct ctx *t, pid_t tids[2])
{
	for (unsigned i = 0; i < 2; i++) {
		pid_t tid = vcpu_tid(machine_vcpu(t->m, i));

		if (!tids[i])
			tids[i] = tid;
		assert_int_not_equal(tid, 0);
		assert_int_equal(tid, tids[i]);
		assert_int_equal(tgkill(getpid(), tid, 0), 0);
	}
	assert_int_not_equal(tids[0], tids[1]);
}

static void test_reset(void **state)
{
	pid_t tids[2] = { 0, 0 };
	static const struct guest_spec o;
	struct platform *p;
	struct err e = { "" };
	struct ctx t;

	(void)state;
	MAKE(&t, 2, g_dirty);
	assert_int_equal(platform_create(&p, t.m, &o, NULL), 0);
	for (int i = 0; i < 20; i++) {
		u64 *scratch = machine_gpa(t.m, PROBE_SCRATCH, 24);

		assert_int_equal(run_machine(&t), EXIT_CODE_REBOOT);
		expect_threads(&t, tids);
		assert_int_equal(scratch[0], 0x1234);
		assert_int_equal(scratch[1], 0); /* nothing of the last turn */
		assert_int_equal(scratch[2], 0);
		assert_int_equal(read_msr(machine_vcpu(t.m, 0), 0xc0000102), 0x55);
		assert_int_equal(platform_part.reset(p, &e), 0);
		if (machine_reset(t.m, &e))
			fail_msg("%s", e.text);
		assert_false(machine_exiting(t.m));
		expect_threads(&t, tids);
		assert_string_equal(machine_exit_line(t.m), "");
		assert_int_equal(scratch[0], 0);
		assert_int_equal(read_msr(machine_vcpu(t.m, 0), 0xc0000102), 0);
		place_code(&t, g_dirty, g_dirty_end);
	}
	platform_destroy(p);
	machine_destroy(t.m);
}

/* Two CPUs, one never started: both at rest for ever. */
static void test_halted(void **state)
{
	struct ctx t;

	(void)state;
	MAKE(&t, 2, g_halt);
	assert_int_equal(run_machine(&t), EXIT_CODE_HALTED);
	machine_destroy(t.m);
}

GUEST(g_translate, "out %al, $0xe4\n mov $1, %al\n out %al, $0xf4\n hlt\n");

static void on_translate(void *arg, struct vcpu *v, const struct io_pio_access *a)
{
	struct ctx *t = arg;
	u64 gpa = 0;

	(void)a;
	assert_int_equal(vcpu_translate(v, PROBE_CODE + 5, &gpa), 0);
	assert_int_equal(gpa, PROBE_CODE + 5);
	assert_int_equal(vcpu_translate(v, 0xffffffff81000000, &gpa), -EFAULT);
	assert_int_equal(vcpu_translate(v, 0x100000000, &gpa), -EFAULT);
	assert_int_equal(vcpu_cpl(v), 0);
	assert_int_equal(vcpu_sregs(v)->cr3, LAYOUT_PAGE_TABLES);
	assert_int_equal(vcpu_regs(v)->rdi, PROBE_SCRATCH);
	t->calls++;
}

static void test_translate(void **state)
{
	struct ctx t;

	(void)state;
	MAKE(&t, 1, g_translate);
	assert_int_equal(machine_pio_add(t.m, 0xe4, 1, on_translate, &t), 0);
	assert_int_equal(run_machine(&t), EXIT_CODE_POWEROFF);
	assert_int_equal(t.calls, 1);
	machine_destroy(t.m);
}

GUEST(g_spin, "1: pause\n jmp 1b\n");

static void on_soon(void *arg, u32 expiries)
{
	(void)expiries;
	machine_exit(arg, EXIT_CODE_ESCAPE, "first %d", 1);
	machine_exit(arg, EXIT_CODE_PANIC, "second");
}

/* A guest that never leaves by itself is stopped, and the first reason counts. */
static void test_stop(void **state)
{
	struct ctx t;

	(void)state;
	MAKE(&t, 2, g_spin);
	assert_true(loop_timer(machine_loop(t.m), 20000000, 0, on_soon, t.m) >= 0);
	assert_false(machine_exiting(t.m));
	assert_int_equal(run_machine(&t), EXIT_CODE_ESCAPE);
	assert_true(machine_exiting(t.m));
	assert_string_equal(machine_exit_line(t.m), "first 1");
	assert_int_equal(machine_irq_pulse(t.m, LAYOUT_GSI_UMBRA), 0);
	assert_int_equal(machine_irq_pulse(t.m, LAYOUT_GSI_PINS), -EINVAL);
	machine_destroy(t.m);
}

/* Memory that another process can map, and cannot make shorter. */
static void test_shared_memory(void **state)
{
	struct machine_config c = { .memory = PROBE_MEMORY, .cpus = 1, .shared = true };
	struct host_region r, none;
	struct machine *m;
	struct host *h;
	struct err e;
	u8 *p;

	(void)state;
	assert_int_equal(machine_create(&m, &c, &e), 0);
	h = machine_host(m);
	assert_true(h->ops->ram_region(h, 0, &r));
	assert_true(r.fd >= 0 && !r.gpa && r.len == PROBE_MEMORY);
	assert_false(h->ops->ram_region(h, 1, &none));
	p = mmap(NULL, PROBE_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, r.fd, (off_t)r.offset);
	assert_true(p != MAP_FAILED);
	p[4096] = 0x5a;
	assert_int_equal(*(u8 *)machine_gpa(m, 4096, 1), 0x5a);
	assert_int_equal(ftruncate(r.fd, 4096), -1);
	munmap(p, PROBE_MEMORY);
	machine_destroy(m);
	c.shared = false;
	assert_int_equal(machine_create(&m, &c, &e), 0);
	h = machine_host(m);
	assert_true(h->ops->ram_region(h, 0, &r) && r.fd == -1);
	machine_destroy(m);
}

/* Has a page given back, in the middle of others; @other: the same memory in another place. */
static void expect_discard(struct machine *m, const u8 *other)
{
	struct host *h = machine_host(m);
	u8 *ram = machine_gpa(m, 0, PROBE_MEMORY), *high = ram + PROBE_MEMORY;

	memset(ram, 0x5a, 4 * 4096);
	assert_int_equal(h->ops->ram_discard(h, ram + 4096, 2 * 4096), 0);
	for (unsigned i = 0; i < 4 * 4096; i++)
		assert_int_equal(other[i], i / 4096 == 1 || i / 4096 == 2 ? 0 : 0x5a);
	ram[4096] = 1;
	assert_int_equal(other[4096], 1);
	/* Nothing but whole pages of RAM. */
	assert_int_equal(h->ops->ram_discard(h, ram, 4095), -EINVAL);
	assert_int_equal(h->ops->ram_discard(h, ram + 1, 4096), -EINVAL);
	assert_int_equal(h->ops->ram_discard(h, ram, 0), -EINVAL);
	assert_int_equal(h->ops->ram_discard(h, ram - 4096, 2 * 4096), -EINVAL);
	assert_int_equal(h->ops->ram_discard(h, high, 4096), -EINVAL);
	assert_int_equal(h->ops->ram_discard(h, high - 4096, 2 * 4096), -EINVAL);
	assert_int_equal(h->ops->ram_discard(h, ram, UINT64_MAX - 4095), -EINVAL);
	assert_int_equal(ram[0], 0x5a);
}

/* RAM is given back to the host, a memfd's for every process; Umbra's slots are no RAM. */
static void test_discard(void **state)
{
	struct machine_config c = { .memory = PROBE_MEMORY, .cpus = 1 };
	struct host_region r;
	struct stat before, after;
	struct machine *m;
	struct host *h;
	struct err e;
	void *slot;
	u8 *p;

	(void)state;
	assert_int_equal(machine_create(&m, &c, &e), 0);
	h = machine_host(m);
	expect_discard(m, machine_gpa(m, 0, 1));
	assert_int_equal(machine_add_slot(m, LAYOUT_UMBRA, 4096, false, &slot, &e), 0);
	memset(slot, 0x5a, 4096);
	assert_int_equal(h->ops->ram_discard(h, slot, 4096), -EINVAL);
	assert_int_equal(*(u8 *)slot, 0x5a);
	assert_null(h->ops->ram(h, LAYOUT_UMBRA, 4096));
	machine_destroy(m);

	c.shared = true;
	assert_int_equal(machine_create(&m, &c, &e), 0);
	h = machine_host(m);
	assert_true(h->ops->ram_region(h, 0, &r));
	p = mmap(NULL, PROBE_MEMORY, PROT_READ, MAP_SHARED, r.fd, (off_t)r.offset);
	assert_true(p != MAP_FAILED);
	expect_discard(m, p);
	assert_int_equal(fstat(r.fd, &before), 0);
	assert_int_equal(h->ops->ram_discard(h, machine_gpa(m, 0, 1), 4096), 0);
	assert_int_equal(fstat(r.fd, &after), 0);
	assert_true(after.st_blocks < before.st_blocks);
	munmap(p, PROBE_MEMORY);
	machine_destroy(m);
}

struct slow_device {
	struct machine *m;
	sem_t done;
	int timer;
	unsigned hooked;
	int waited;
};

/* Ends the machine, and waits in its vCPU's access for what only the loop's thread can give. */
static void on_slow_access(void *arg, struct vcpu *v, const struct io_pio_access *a)
{
	struct slow_device *d = arg;
	struct timespec until;

	(void)v;
	(void)a;
	machine_exit(d->m, EXIT_CODE_POWEROFF, NULL);
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 10;
	loop_timer_set(machine_loop(d->m), d->timer, 1200000000, 0);
	do
		d->waited = sem_timedwait(&d->done, &until) ? errno : 0;
	while (d->waited == EINTR); /* it was asked to stop */
}

static void on_slow_timer(void *arg, u32 expiries)
{
	struct slow_device *d = arg;

	(void)expiries;
	sem_post(&d->done);
}

static void on_wait(void *arg)
{
	struct slow_device *d = arg;

	d->hooked++;
}

/* The loop goes on while a vCPU waits in a device, and the machine's owner learns of it. */
static void test_loop_goes_on_while_a_vcpu_is_held(void **state)
{
	struct slow_device d = { .hooked = 0 };
	struct wait_hook hook = { .fn = on_wait, .arg = &d };
	struct ctx t;

	(void)state;
	MAKE(&t, 1, g_ports);
	d.m = t.m;
	sem_init(&d.done, 0, 0);
	d.timer = loop_timer(machine_loop(t.m), 0, 0, on_slow_timer, &d);
	assert_true(d.timer >= 0);
	machine_add_wait_hook(t.m, &hook);
	assert_int_equal(machine_pio_add(t.m, 0xe4, 3, on_slow_access, &d), 0);
	assert_int_equal(run_machine(&t), EXIT_CODE_POWEROFF);
	assert_int_equal(d.waited, 0);
	assert_int_equal(d.hooked, 1);
	machine_remove_wait_hook(t.m, &hook);
	machine_destroy(t.m);
	sem_destroy(&d.done);
}

static void test_bad_config(void **state)
{
	static const struct machine_config bad[] = {
		{ .memory = 0, .cpus = 1 },
		{ .memory = 100, .cpus = 1 },
		{ .memory = PROBE_MEMORY, .cpus = 0 },
		{ .memory = PROBE_MEMORY, .cpus = LAYOUT_MAX_CPUS + 1 },
	};
	struct machine *m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		assert_int_equal(machine_create(&m, &bad[i], &e), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ports),
		cmocka_unit_test(test_readonly_slot),
		cmocka_unit_test(test_writable_slot),
		cmocka_unit_test(test_unemulated_store),
		cmocka_unit_test(test_inject_gp),
		cmocka_unit_test(test_nmi),
		cmocka_unit_test(test_nmi_that_nobody_wants),
		cmocka_unit_test(test_nmi_waits_for_a_pause),
		cmocka_unit_test(test_slots),
		cmocka_unit_test(test_door),
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_halted),
		cmocka_unit_test(test_translate),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_loop_goes_on_while_a_vcpu_is_held),
		cmocka_unit_test(test_bad_config),
		cmocka_unit_test(test_shared_memory),
		cmocka_unit_test(test_discard),
		cmocka_unit_test(test_reset),
		cmocka_unit_test(test_registers_of_a_new_vcpu),
		cmocka_unit_test(test_end_and_reset),
	};
	struct err e = { "" };
	int kvm = kvm_open(&e);

	if (kvm < 0 || kvm_check(kvm, &e)) {
		printf("SKIP %s\n", e.text);
		return 77;
	}
	close(kvm);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
