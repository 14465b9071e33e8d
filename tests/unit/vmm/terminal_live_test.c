// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the command itself on a terminal, as the job of a shell: one that is moved to the
 * background answers when the user types to the shell, and takes keys again in the foreground.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "vmm/control/client.h"

#define PATIENCE_S 20
#define ANSWER_MS  2000
/* How the shell's process ends, which tells where it failed. */
#define NO_TERMINAL 10
#define NO_GUEST    11
#define DEAF	    12
#define NO_END	    13

static char vmm[4096], kernel[4096], name[32];

static int find_parts(void **state)
{
	const char *images = getenv("UMBRA_TEST_IMAGES");
	ssize_t n = readlink("/proc/self/exe", vmm, sizeof(vmm) - 16);
	char *slash;

	(void)state;
	/* The rule that builds this test builds the command: without it nothing is tested. */
	slash = n > 0 ? strstr(vmm, "/tests/unit/") : NULL;
	assert_non_null(slash);
	*slash = '\0';
	snprintf(vmm + strlen(vmm), sizeof(vmm) - strlen(vmm), "/vmm");
	assert_int_equal(access(vmm, X_OK), 0);
	setenv("UMBRA_KVM_KNOWN", "1", 1);
	snprintf(kernel, sizeof(kernel), "%s/cloud/vmlinuz", images ? images : "build/images");
	snprintf(name, sizeof(name), "terminal-live-%d", getpid());
	return 0;
}

/* Asks the guest's VMM whether it is there; false: it does not answer within @ms. */
static bool guest_answers(int ms)
{
	struct client *c = NULL;
	struct err e = { "" };
	bool answers =
		!client_open(&c, name, ms, &e) && !client_call(c, "query-status", NULL, NULL, &e);

	client_close(c);
	return answers;
}

static bool await_guest(void)
{
	for (int i = 0; i < PATIENCE_S * 100; i++, usleep(10000))
		if (guest_answers(ANSWER_MS))
			return true;
	return false;
}

/* Runs vmm as the job in the foreground of the terminal @slave. */
static pid_t start_job(int slave, const char *mode)
{
	pid_t job = fork();

	if (job)
		return job;
	setpgid(0, 0);
	tcsetpgrp(slave, getpid());
	for (int fd = 0; fd < 3; fd++)
		dup2(slave, fd);
	signal(SIGTTOU, SIG_DFL);
	execl(vmm, "vmm", "run", "--name", name, "--memory", "128M", "--kernel", kernel, "--paused",
	      "--confine", mode, NULL);
	_exit(127);
}

/* Returns the exit code of the job, or NO_END, when it has been killed. */
static int await_job(pid_t job)
{
	int status;

	for (int i = 0; i < 500; i++, usleep(10000))
		if (waitpid(job, &status, WNOHANG) == job)
			return WIFEXITED(status) ? WEXITSTATUS(status) : NO_END;
	kill(job, SIGKILL);
	waitpid(job, &status, 0);
	return NO_END;
}

/* Plays the shell, in a session on a new terminal. Returns the job's exit code, or the above. */
static int play_shell(const char *mode)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave, code = 0, ended;
	pid_t job;

	signal(SIGTTOU, SIG_IGN); /* as shells do */
	signal(SIGHUP, SIG_IGN);
	if (setsid() < 0 || master < 0 || grantpt(master) || unlockpt(master))
		return NO_TERMINAL;
	slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0 || ioctl(slave, TIOCSCTTY, 0))
		return NO_TERMINAL;
	job = start_job(slave, mode);
	if (!await_guest())
		code = NO_GUEST;
	else if (tcsetpgrp(slave, getpgrp()) || write(master, "k", 1) != 1)
		code = NO_TERMINAL;
	usleep(100000); /* for the key to arrive, on which nothing is to happen */
	if (!code && !guest_answers(ANSWER_MS))
		code = DEAF;
	/* The end by the console's own key, Ctrl-a x. */
	if (!code && (tcsetpgrp(slave, job) || write(master, "\1x", 2) != 2))
		code = NO_TERMINAL;
	if (code)
		kill(job, SIGKILL);
	ended = await_job(job);
	return code ? code : ended;
}

static void check_job(const char *mode)
{
	int status;
	pid_t shell;

	if (access(kernel, R_OK) || access("/dev/kvm", R_OK | W_OK)) {
		print_message("SKIP needs /dev/kvm and %s\n", kernel);
		skip();
	}
	shell = fork();
	if (!shell)
		_exit(play_shell(mode));
	assert_int_equal(waitpid(shell, &status, 0), shell);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), EXIT_CODE_ESCAPE);
}

static void a_confined_job_in_the_background(void **state)
{
	(void)state;
#if defined(__SANITIZE_ADDRESS__)
	print_message("SKIP at the end the sanitizer reads files, which a confined vmm cannot\n");
	skip();
#endif
	check_job("on");
}

static void a_job_in_the_background(void **state)
{
	(void)state;
	check_job("off");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_confined_job_in_the_background),
		cmocka_unit_test(a_job_in_the_background),
	};

	return cmocka_run_group_tests(tests, find_parts, NULL);
}
