// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests how the agent reads the kernel's command line, which is as the kernel reads it, and what it
 * tells of a driver's init. No KVM.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

/* agent.c defines it, too, and is not built with the options of the host's programs. */
#undef _GNU_SOURCE
#define main	agent_main
#define syscall init_or_exit
static long init_or_exit(long nr, ...);
int agent_main(int argc, char **argv);
#include "guest-shim/agent.c"
#undef main

#define CRASH (-1)

static int init_error; /* or CRASH */

/* Stands for the kernel, whose loader returns what a driver's init does, or kills who asked. */
static long init_or_exit(long nr, ...)
{
	assert_true(nr == SYS_init_module || nr == SYS_delete_module);
	if (init_error == CRASH)
		raise(SIGKILL);
	errno = init_error;
	return init_error ? -1 : 0;
}

static void expect_options(const char *line, const char *root, const char *init, int writable)
{
	struct boot_options o;
	char copy[200];

	snprintf(copy, sizeof(copy), "%s", line);
	boot_options_parse(&o, copy);
	if (root)
		assert_string_equal(o.root, root);
	else
		assert_null(o.root);
	if (init)
		assert_string_equal(o.init, init);
	else
		assert_null(o.init);
	assert_int_equal(o.writable, writable);
}

static void words_are_the_kernels(void **state)
{
	(void)state;
	expect_options("", NULL, NULL, 0);
	expect_options("quiet root=/dev/vda rw init=/x", "/dev/vda", "/x", 1);
	expect_options("root=\"/dev/vda\" init=\"/my init\" a", "/dev/vda", "/my init", 0);
	expect_options("\"root=/dev/vda\" \"init=/my init\" rw", "/dev/vda", "/my init", 1);
	expect_options("root=/dev/vda \"x=a root=/dev/vdb\" y=\"rw\"", "/dev/vda", NULL, 0);
	expect_options("root=/dev/vda\tro\trw -- root=/dev/vdb ro init=/y", "/dev/vda", NULL, 1);
	expect_options("rw root=/dev/vda root=/dev/vdb ro", "/dev/vdb", NULL, 0);
	expect_options("root init rw=1 root=", "", NULL, 0);
	expect_options("\"root=/dev/vda rw", "/dev/vda rw", NULL, 0);
	expect_options("root=\"/dev/v\"da \"rw\"", "/dev/v\"da", NULL, 1);
	expect_options("root=/dev/vda\xa0rw\vinit=/x\n", "/dev/vda", "/x", 1);
	expect_options("=root=/dev/vda x=root=/dev/vda  y=\"\" \t ro", NULL, NULL, 0);
	expect_options("root=\"", "", NULL, 0);
	expect_options("\"", NULL, NULL, 0);
}

/* Errors above 255 do not fit into an exit status: 512 is ERESTARTSYS, 517 EPROBE_DEFER. */
static void errors_are_told_as_they_are(void **state)
{
	static const int errors[] = { 0, ENOENT, 255, 256, 512, 517, 4095 };
	static const int commands[] = { UMBRA_CMD_LOAD, UMBRA_CMD_UNLOAD };
	static struct umbra_mail m;

	(void)state;
	for (size_t c = 0; c < sizeof(commands) / sizeof(commands[0]); c++) {
		m.cmd = (__u32)commands[c];
		for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
			init_error = errors[i];
			assert_int_equal(agent_carry_out(&m, NULL), -errors[i]);
		}
		init_error = CRASH;
		assert_int_equal(agent_carry_out(&m, NULL), UMBRA_CRASHED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_are_the_kernels),
		cmocka_unit_test(errors_are_told_as_they_are),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
