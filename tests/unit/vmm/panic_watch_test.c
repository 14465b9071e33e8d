// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that a vCPU prints on while the main thread reads the kernel's file for a panic's symbols.
 * The linker leads symbolize_phys() here.
 */
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "vmm/boot/panic_watch.h"
#include "vmm/boot/symbolize.h"

static const char words[] = "Kernel panic - not syncing: it was tried\n"
			    "---[ end Kernel panic - not syncing: it was tried ]---\n";

static struct {
	struct machine *m;
	struct panic_watch *w;
	sem_t reads, printed; /* the kernel's file is being read; the vCPU has printed on */
	bool late;	      /* it had not printed on after two seconds */
} t;

u64 __wrap_symbolize_phys(struct machine *m, const char *name);

/* The kernel's variable lies at 4096. */
u64 __wrap_symbolize_phys(struct machine *m, const char *name)
{
	struct timespec until;

	assert_ptr_equal(m, t.m);
	assert_string_equal(name, "panic_cpu");
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += 2;
	sem_post(&t.reads);
	t.late |= sem_timedwait(&t.printed, &until) != 0;
	return 4096;
}

static void print(const char *text)
{
	for (; *text; text++)
		panic_watch_byte(t.w, (u8)*text);
}

static void *vcpu(void *arg)
{
	print(words);
	sem_wait(&t.reads);
	print("and on\n");
	sem_post(&t.printed);
	return arg;
}

static void a_guest_prints_on_while_the_kernel_is_read(void **state)
{
	const struct machine_config c = { .memory = 1 << 20, .cpus = 1 };
	struct err e = { "" };
	pthread_t thread;

	(void)state;
	sem_init(&t.reads, 0, 0);
	sem_init(&t.printed, 0, 0);
	if (machine_create(&t.m, &c, &e))
		fail_msg("%s", e.text);
	assert_int_equal(panic_watch_create(&t.w, t.m, false), 0);
	/* The guest's memory is zeroes: CPU 0 panicked. */
	assert_int_equal(pthread_create(&thread, NULL, vcpu, NULL), 0);
	assert_int_equal(loop_run(machine_loop(t.m)), 0);
	pthread_join(thread, NULL);
	assert_false(t.late);
	assert_string_equal(machine_exit_line(t.m), "the guest's kernel panicked: it was tried");
	assert_int_equal(panic_watch_part.end(t.w, &e), 0);
	machine_destroy(t.m);
	sem_destroy(&t.reads);
	sem_destroy(&t.printed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_guest_prints_on_while_the_kernel_is_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
