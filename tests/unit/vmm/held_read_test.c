// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests a guest whose kernel and initrd the host's kernel does not let be read, at a reset or
 * for the names of addresses (held_fixture.h): the control socket answers and names the file,
 * and so do a note and `vmm stop`.
 */
#include <stdio.h>
#include <string.h>

#include "base/exit_code.h"
#include "tests/unit/vmm/held_fixture.h"

/* lea text(%rip), %rsi; mov $0x3f8, %dx; 1: lodsb; test %al, %al; jz 2f; out; jmp 1b; 2: jmp . */
#define PRINT "\x48\x8d\x35\x0e\0\0\0\x66\xba\xf8\x03\xac\x84\xc0\x74\x03\xee\xeb\xf8\xeb\xfe"

static int setup_panic(void **state)
{
	static const char code[] = PRINT "Kernel panic - not syncing: it was tried\n"
					 "---[ end Kernel panic - not syncing: it was tried ]---\n";
	struct fixture *f = fixture_new_with_kernel(code, sizeof(code));

	f->spec.firmware = NULL;
	return fixture_run(f, state);
}

static int setup_triple_fault(void **state)
{
	struct fixture *f = fixture_new_with_kernel("\x0f\x0b", 2); /* ud2 */

	f->spec.firmware = NULL;
	return fixture_run(f, state);
}

/* The words of any program make the VMM read the kernel's file, while the guest runs. */
static void a_panic_reads_the_kernel_beside_the_loop(void **state)
{
	struct fixture *f = *state;

	held_choose(f->kernel);
	held_set(true);
	fixture_ask(f, "cont", NULL);
	fixture_await_info(f, "boot", f->kernel);
	fixture_ask(f, "quit", NULL);
	fixture_expect_stop_says(
		f, "its end waits for this host's kernel, which has held what is done to");
	held_set(false);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
}

/* So does the report of a triple fault, for the name of an address. */
static void a_report_reads_the_kernel_beside_the_loop(void **state)
{
	struct fixture *f = *state;
	char want[200];

	held_choose(f->kernel);
	held_set(true);
	fixture_ask(f, "cont", NULL);
	fixture_await_info(f, "boot", f->kernel);
	snprintf(want, sizeof(want), "%s: this host's kernel holds what is done to it", f->kernel);
	fixture_await_note(f, want);
	held_set(false);
	fixture_await_end(f, EXIT_CODE_TRIPLE_FAULT);
}

/* A reset reads @file anew, and the loop goes on. */
static void expect_reset_names(struct fixture *f, const char *file)
{
	char want[200];

	held_choose(file);
	held_set(true);
	fixture_ask(f, "system_reset", NULL);
	snprintf(want, sizeof(want), "%s: this host's kernel holds what is done to it", file);
	fixture_await_note(f, want);
	fixture_await_info(f, "boot", file);
	held_set(false);
	fixture_await_event(f, "RESET");
}

static void a_reset_names_kernel_and_initrd(void **state)
{
	struct fixture *f = *state;
	char want[200];

	expect_reset_names(f, f->kernel);
	expect_reset_names(f, f->initrd);
	/* The end may be asked for meanwhile. */
	held_choose(f->kernel);
	held_set(true);
	fixture_ask(f, "system_reset", NULL);
	fixture_await_info(f, "boot", f->kernel);
	fixture_ask(f, "quit", NULL);
	snprintf(want, sizeof(want),
		 "its end waits for this host's kernel, which has held what is "
		 "done to %s for ",
		 f->kernel);
	fixture_expect_stop_says(f, want);
	held_set(false);
	fixture_await_end(f, EXIT_CODE_SIGNAL + 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_panic_reads_the_kernel_beside_the_loop,
						setup_panic, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_report_reads_the_kernel_beside_the_loop,
						setup_triple_fault, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_reset_names_kernel_and_initrd,
						fixture_setup_firmware_kernel, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_reset_names_kernel_and_initrd,
						fixture_setup_kernel, fixture_teardown),
	};

	fixture_find_command();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
