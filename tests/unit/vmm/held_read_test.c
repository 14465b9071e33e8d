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
#include "vmm/boot/setup_header.h"

/* Makes a bzImage whose 64-bit entry is @code. */
static void make_kernel(const char *path, const void *code, size_t len)
{
	static u8 file[0x4000];
	struct setup_header h = {
		.setup_sects = 1,
		.boot_flag = SETUP_HEADER_BOOT_FLAG,
		.header = SETUP_HEADER_MAGIC,
		.version = 0x020f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 2047,
		.payload_offset = 0x400,
		.payload_length = 0x1000,
		.pref_address = 0x200000,
		.init_size = 0x100000,
	};

	memcpy(file + SETUP_HEADER_AT, &h, sizeof(h));
	memcpy(file + 0x600, code, len);
	fixture_make_file(path, file, sizeof(file));
}

static struct fixture *fixture_with_kernel(const void *code, size_t len)
{
	struct fixture *f = fixture_new();

	make_kernel(f->kernel, code, len);
	fixture_make_file(f->initrd, "an initrd", 9);
	f->spec.kernel = f->kernel;
	f->spec.initrd = f->initrd;
	f->spec.append = "";
	f->spec.no_cache = f->spec.kvm_known = f->spec.paused = true;
	return f;
}

static int setup_firmware_kernel(void **state)
{
	return fixture_run(fixture_with_kernel("", 0), state);
}

static int setup_kernel(void **state)
{
	struct fixture *f = fixture_with_kernel("", 0);

	f->spec.firmware = NULL;
	return fixture_run(f, state);
}

/* lea text(%rip), %rsi; mov $0x3f8, %dx; 1: lodsb; test %al, %al; jz 2f; out; jmp 1b; 2: jmp . */
#define PRINT "\x48\x8d\x35\x0e\0\0\0\x66\xba\xf8\x03\xac\x84\xc0\x74\x03\xee\xeb\xf8\xeb\xfe"

static int setup_panic(void **state)
{
	static const char code[] = PRINT "Kernel panic - not syncing: it was tried\n"
					 "---[ end Kernel panic - not syncing: it was tried ]---\n";
	struct fixture *f = fixture_with_kernel(code, sizeof(code));

	f->spec.firmware = NULL;
	return fixture_run(f, state);
}

static int setup_triple_fault(void **state)
{
	struct fixture *f = fixture_with_kernel("\x0f\x0b", 2); /* ud2 */

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
						setup_firmware_kernel, fixture_teardown),
		cmocka_unit_test_setup_teardown(a_reset_names_kernel_and_initrd, setup_kernel,
						fixture_teardown),
	};

	fixture_find_command();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
