/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes the child processes of tests, and waits for them with a bound, so that one that hangs fails
 * its test by a line that says where.
 *
 * A process with threads makes no child by fork(2) that goes on without exec(2): the child has the
 * locks that other threads held just then, for ever. The C library lets those of malloc(3) go in a
 * child, the address sanitizer of gcc 12 does not: of 28 children of a process with two threads
 * that allocate, 3 never came back from malloc(3). child_fork() fails there; child_spawn() starts
 * a program instead.
 */
#ifndef UMBRA_TESTS_UNIT_BASE_CHILD_H
#define UMBRA_TESTS_UNIT_BASE_CHILD_H

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sanitizer.h"

#define CHILD_PATIENCE_S 60 /* the most takes 4 s, under a sanitizer, on a host with nothing else */

/* Returns the number of this process's threads, of which one that was joined may still be one. */
static inline unsigned child_threads(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) ? 1 : (unsigned)st.st_nlink - 2;
}

/* Does as fork(2), in a process that has no other thread. */
static inline pid_t child_fork(void)
{
	pid_t pid;

	/* The thread sanitizer has one of its own. */
	for (unsigned ms = 0; !SANITIZER_THREAD && child_threads() > 1; ms++) {
		if (ms == 1000)
			fail_msg("fork() in a process with %u threads, see child.h",
				 child_threads());
		poll(NULL, 0, 1);
	}
	pid = fork();
	assert_true(pid >= 0);
	return pid;
}

/* Starts the program @argv[0], whose stdout and stderr are @out and @err; -1: those of the test. */
static inline pid_t child_spawn(const char *const *argv, int out, int err)
{
	posix_spawn_file_actions_t files;
	pid_t pid = -1;

	posix_spawn_file_actions_init(&files);
	if (out >= 0)
		posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	if (err >= 0)
		posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
	/* posix_spawn(3) writes to none of the words. */
	assert_int_equal(
		posix_spawn(&pid, argv[0], &files, NULL, (char *const *)(uintptr_t)argv, environ),
		0);
	posix_spawn_file_actions_destroy(&files);
	return pid;
}

/* Writes to @text what a process does, for whoever looks why it hangs. */
static inline void child_describe(pid_t pid, char *text, size_t size)
{
	static const char *const files[] = { "syscall", "wchan", "stat" };
	char path[64];
	size_t used = 0;
	ssize_t n;
	int fd;

	for (size_t i = 0; i < sizeof(files) / sizeof(*files); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		used += (size_t)snprintf(text + used, size - used, "; %s: ", files[i]);
		n = fd < 0 ? 0 : read(fd, text + used, 120);
		used += n > 0 ? (size_t)n : 0;
		if (fd >= 0)
			close(fd);
	}
	text[used] = '\0';
	for (; *text; text++)
		if (*text == '\n')
			*text = ' ';
}

/* Kills a child that takes too long, and fails the test. */
static inline void child_give_up(pid_t pid, unsigned seconds)
{
	char where[512] = "";

	if (pid > 0) {
		child_describe(pid, where, sizeof(where));
		kill(pid, SIGKILL);
		waitpid(pid, NULL, __WALL);
	}
	fail_msg("process %d has not ended in %u s%s", pid, seconds, where);
}

/* Waits for a child's end for so long. */
static inline void child_await_for(pid_t pid, int *status, unsigned seconds)
{
	int fd = pidfd_open(pid, 0), ready;
	struct pollfd end = { .fd = fd, .events = POLLIN };

	assert_true(fd >= 0);
	do {
		ready = poll(&end, 1, (int)seconds * 1000);
	} while (ready < 0 && errno == EINTR);
	close(fd);
	if (ready != 1)
		child_give_up(pid, seconds);
	assert_int_equal(waitpid(pid, status, 0), pid);
}

static inline void child_await(pid_t pid, int *status)
{
	child_await_for(pid, status, CHILD_PATIENCE_S);
}

/*
 * Does as waitpid(2) with __WALL for whoever traces @pid, or more processes with -1, since no
 * descriptor tells of a stop.
 */
static inline pid_t child_next(pid_t pid, int *status)
{
	time_t end = time(NULL) + CHILD_PATIENCE_S;
	pid_t got;

	for (unsigned n = 0; !(got = waitpid(pid, status, WNOHANG | __WALL)); n++) {
		if (time(NULL) > end)
			child_give_up(pid, CHILD_PATIENCE_S);
		if (n < 100)
			sched_yield();
		else
			poll(NULL, 0, 1);
	}
	return got;
}

/* Waits for a child that is to exit; returns its exit code. */
static inline int child_code(pid_t pid)
{
	int status;

	child_await(pid, &status);
	if (!WIFEXITED(status))
		fail_msg("process %d was ended by signal %d", pid, WTERMSIG(status));
	return WEXITSTATUS(status);
}

#endif
