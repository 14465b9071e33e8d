// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the command itself on a terminal, as the job of a shell, `vmm run` and `vmm console`: one
 * that is moved to the background answers when the user types to the shell, and takes keys again in
 * the foreground.
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
#include <termios.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/sanitizer.h"
#include "tests/unit/base/child.h"
#include "tests/unit/vmm/command_fixture.h"
#include "vmm/control/client.h"

#define PATIENCE_S 20
#define ANSWER_MS  2000
/* How the shell's process ends, which tells where it failed. */
#define NO_TERMINAL 10
#define NO_GUEST    11
#define DEAF	    12
#define NO_END	    13
#define NOT_RAW	    24
#define MEDDLED	    25

/* How the job ends. */
enum job_end {
	BY_KEY,		   /* in the foreground: Ctrl-a x, or Ctrl-a d of vmm console */
	BY_KEY_AFTER_STOP, /* the same, after bg and fg, and no key meanwhile */
	BY_QUIT,	   /* in the background, as the next one */
	BY_KILL,
};

static char vmm[COMMAND_PATH], kernel[4096], name[32];

static int find_parts(void **state)
{
	(void)state;
	command_find(vmm);
	command_image(kernel, sizeof(kernel), "cloud/vmlinuz");
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

/* As @mode: the job is vmm console, of a guest that runs elsewhere. */
#define CONSOLE NULL

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
	if (!mode)
		execl(vmm, "vmm", "console", name, NULL);
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

static bool await_raw(int slave)
{
	struct termios t;

	for (int i = 0; i < 500; i++, usleep(10000))
		if (!tcgetattr(slave, &t) && !(t.c_lflag & ICANON))
			return true;
	return false;
}

/* Takes the terminal, with a mode of the shell's own, which it returns in *own. */
static bool take_terminal(int slave, struct termios *own)
{
	if (tcsetpgrp(slave, getpgrp()) || tcgetattr(slave, own))
		return false;
	own->c_lflag |= ICANON;
	own->c_lflag &= ~(tcflag_t)ECHO;
	own->c_cc[VMIN] = 7;
	return !tcsetattr(slave, TCSANOW, own);
}

static bool is_meddled_with(int slave, const struct termios *own)
{
	struct termios t;

	return tcgetattr(slave, &t) || t.c_lflag != own->c_lflag || t.c_iflag != own->c_iflag ||
	       t.c_cc[VMIN] != own->c_cc[VMIN];
}

/* Ends the VMM from outside, while its job is in the background. */
static void end_guest(pid_t job, enum job_end end)
{
	char line[64], path[64];
	struct client *c = NULL;
	struct err e = { "" };
	pid_t vmm_pid;
	FILE *f;

	if (end == BY_QUIT) {
		if (!client_open(&c, name, ANSWER_MS, &e))
			client_call(c, "quit", NULL, NULL, &e);
		client_close(c);
		return;
	}
	/* The VMM is its supervisor's only child. */
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", job, job);
	f = fopen(path, "re");
	vmm_pid = f && fgets(line, sizeof(line), f) ? (pid_t)strtol(line, NULL, 10) : 0;
	if (vmm_pid > 0)
		kill(vmm_pid, SIGKILL);
	if (f)
		fclose(f);
}

/* Moves the job to the background as bg does, behind a stop. */
static bool move_to_background(int slave, pid_t job, struct termios *own)
{
	int status;

	kill(-job, SIGTSTP);
	return waitpid(job, &status, WUNTRACED) == job && WIFSTOPPED(status) &&
	       take_terminal(slave, own) && !kill(-job, SIGCONT);
}

/* Ends the job by Ctrl-a and @key in the foreground again. */
static int type_the_end(int slave, int master, pid_t job, char key)
{
	if (tcsetpgrp(slave, job))
		return NO_TERMINAL;
	if (!await_raw(slave))
		return NOT_RAW;
	return write(master, (char[]){ 1, key }, 2) == 2 ? 0 : NO_TERMINAL;
}

/* Plays the shell, in a session on a new terminal. Returns the job's exit code, or the above. */
static int play_shell(const char *mode, enum job_end end)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC), slave, code = 0, ended;
	struct termios own;
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
	else if (!await_raw(slave))
		code = NOT_RAW;
	else if (end == BY_KEY_AFTER_STOP)
		code = move_to_background(slave, job, &own) ? 0 : NO_TERMINAL;
	else if (!take_terminal(slave, &own) || write(master, "k\n", 2) != 2)
		code = NO_TERMINAL;
	usleep(100000); /* for the key to arrive, on which nothing is to happen */
	if (!code && !guest_answers(ANSWER_MS))
		code = DEAF;
	if (!code && end <= BY_KEY_AFTER_STOP)
		code = type_the_end(slave, master, job, mode ? 'x' : 'd');
	else if (!code)
		end_guest(job, end);
	if (code)
		kill(job, SIGKILL);
	ended = await_job(job);
	if (!code && end > BY_KEY_AFTER_STOP && is_meddled_with(slave, &own))
		code = MEDDLED;
	return code ? code : ended;
}

static int run_guest(void)
{
	int status;
	pid_t pid = child_fork();

	if (!pid) {
		dup2(open("/dev/null", O_RDWR | O_CLOEXEC), STDOUT_FILENO);
		execl(vmm, "vmm", "run", "--detach", "--name", name, "--memory", "128M", "--kernel",
		      kernel, "--paused", NULL);
		_exit(127);
	}
	child_await(pid, &status);
	return status;
}

/*
 * Starts a guest for vmm console, in the background. On a busy host the one of the test before may
 * have its name for a moment still.
 */
static void start_guest(void)
{
	int status = run_guest();

	for (unsigned i = 0; status && i < 50; i++) {
		usleep(100000);
		status = run_guest();
	}
	assert_int_equal(status, 0);
}

static void check_job(const char *mode, enum job_end end, int want)
{
	int status;
	pid_t shell;

	if (access(kernel, R_OK) || access("/dev/kvm", R_OK | W_OK)) {
		print_message("SKIP needs /dev/kvm and %s\n", kernel);
		skip();
	}
	if (!mode)
		start_guest();
	shell = child_fork();
	if (!shell)
		_exit(play_shell(mode, end));
	child_await(shell, &status);
	if (!mode)
		end_guest(0, BY_QUIT);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), want);
}

static void a_confined_job_in_the_background(void **state)
{
	(void)state;
#if SANITIZER_ADDRESS
	print_message("SKIP at the end the sanitizer reads files, which a confined vmm cannot\n");
	skip();
#endif
	check_job("on", BY_KEY, EXIT_CODE_ESCAPE);
}

/* The terminal is another's by then, whose mode stays. */
static void a_confined_job_ends_in_the_background(void **state)
{
	(void)state;
#if SANITIZER_ADDRESS
	print_message("SKIP at the end the sanitizer reads files, which a confined vmm cannot\n");
	skip();
#endif
	check_job("on", BY_QUIT, EXIT_CODE_SIGNAL + SIGTERM);
}

static void a_vmm_is_killed_in_the_background(void **state)
{
	(void)state;
	check_job("on", BY_KILL, EXIT_CODE_SIGNAL + SIGKILL);
}

static void a_job_ends_in_the_background(void **state)
{
	(void)state;
	check_job("off", BY_QUIT, EXIT_CODE_SIGNAL + SIGTERM);
}

static void a_job_in_the_background(void **state)
{
	(void)state;
	check_job("off", BY_KEY, EXIT_CODE_ESCAPE);
}

static void a_confined_job_stopped_and_back(void **state)
{
	(void)state;
#if SANITIZER_ADDRESS
	print_message("SKIP at the end the sanitizer reads files, which a confined vmm cannot\n");
	skip();
#endif
	check_job("on", BY_KEY_AFTER_STOP, EXIT_CODE_ESCAPE);
}

static void a_job_stopped_and_back(void **state)
{
	(void)state;
	check_job("off", BY_KEY_AFTER_STOP, EXIT_CODE_ESCAPE);
}

static void a_console_in_the_background(void **state)
{
	(void)state;
	check_job(CONSOLE, BY_KEY, 0);
}

static void a_console_stopped_and_back(void **state)
{
	(void)state;
	check_job(CONSOLE, BY_KEY_AFTER_STOP, 0);
}

static void a_console_ends_in_the_background(void **state)
{
	(void)state;
	check_job(CONSOLE, BY_QUIT, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_confined_job_in_the_background),
		cmocka_unit_test(a_job_in_the_background),
		cmocka_unit_test(a_confined_job_stopped_and_back),
		cmocka_unit_test(a_job_stopped_and_back),
		cmocka_unit_test(a_confined_job_ends_in_the_background),
		cmocka_unit_test(a_vmm_is_killed_in_the_background),
		cmocka_unit_test(a_job_ends_in_the_background),
		cmocka_unit_test(a_console_in_the_background),
		cmocka_unit_test(a_console_stopped_and_back),
		cmocka_unit_test(a_console_ends_in_the_background),
	};

	return cmocka_run_group_tests(tests, find_parts, NULL);
}
