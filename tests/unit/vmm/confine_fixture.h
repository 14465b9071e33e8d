/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tells tests of confinement whether there are filters here, and how a child ended, and makes hosts
 * that refuse namespaces.
 */
#ifndef UMBRA_TESTS_UNIT_VMM_CONFINE_FIXTURE_H
#define UMBRA_TESTS_UNIT_VMM_CONFINE_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sanitizer.h"
#include "tests/unit/base/child.h"
#include "vmm/confine/confine_int.h"

#define FILTERED (!SANITIZER_ADDRESS && !SANITIZER_THREAD)

/* Skips a test of filters that a sanitizer leaves off. */
static inline void skip_unless_filtered(void)
{
	if (FILTERED)
		return;
	print_message("SKIP the filters are off under a sanitizer\n");
	skip();
}

/*
 * Has @call fail with @error in this process if its first argument is @value (@test BPF_JEQ), or
 * has one of its bits (BPF_JSET).
 */
static inline int refuse_calls(long call, unsigned short test, unsigned value, unsigned error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
		BPF_JUMP(BPF_JMP | test | BPF_K, value, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(code) / sizeof(code[0]), .filter = code };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* Refuses namespaces to this process, as container runtimes do it, by two filters. */
static inline int refuse_namespaces(void)
{
	const unsigned kinds = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
			       CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

	return refuse_calls(SYS_unshare, BPF_JSET, kinds, EPERM) ||
	       refuse_calls(SYS_clone, BPF_JSET, kinds, EPERM);
}

/* The rest of a child whose parent wants to know how it ends: status as waitpid() gives it. */
static inline int outcome(pid_t pid, char *line, size_t size, int from)
{
	ssize_t n = 0, more;
	int status;

	while ((more = read(from, line + n, size - 1 - (size_t)n)) > 0)
		n += more;
	line[n] = '\0';
	close(from);
	child_await(pid, &status);
	return status;
}

#endif
