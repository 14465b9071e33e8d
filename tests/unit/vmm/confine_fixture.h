/* SPDX-License-Identifier: GPL-2.0-only */
/* Tells tests of confinement whether there are filters here, and how a child ended. */
#ifndef UMBRA_TESTS_UNIT_VMM_CONFINE_FIXTURE_H
#define UMBRA_TESTS_UNIT_VMM_CONFINE_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
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

#include "vmm/confine/confine_int.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FILTERED false
#else
#define FILTERED true
#endif

/* The rest of a child whose parent wants to know how it ends: status as waitpid() gives it. */
static inline int outcome(pid_t pid, char *line, size_t size, int from)
{
	ssize_t n = 0, more;
	int status;

	while ((more = read(from, line + n, size - 1 - (size_t)n)) > 0)
		n += more;
	line[n] = '\0';
	close(from);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

#endif
