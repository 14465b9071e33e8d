/* SPDX-License-Identifier: GPL-2.0-only */
/* Finds the command `vmm` and files of the images, for tests that run the command as users do. */
#ifndef UMBRA_TESTS_UNIT_VMM_COMMAND_FIXTURE_H
#define UMBRA_TESTS_UNIT_VMM_COMMAND_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/base/child.h"

#define COMMAND_PATH 4096

/*
 * Writes the path of the command of this test's build to @vmm. The rule that builds the test builds
 * it, too: without it nothing is tested, so this fails.
 */
static inline void command_find(char vmm[COMMAND_PATH])
{
	ssize_t n = readlink("/proc/self/exe", vmm, COMMAND_PATH - 16);
	char *slash = n > 0 ? strstr(vmm, "/tests/unit/") : NULL;

	assert_non_null(slash);
	*slash = '\0';
	snprintf(vmm + strlen(vmm), COMMAND_PATH - strlen(vmm), "/vmm");
	assert_int_equal(access(vmm, X_OK), 0);
	/* What a KVM in software lacks is not what these tests are about. */
	setenv("UMBRA_KVM_KNOWN", "1", 1);
}

/* Writes the path of file @name of the images to @path, of @size bytes; it may not be there. */
static inline void command_image(char *path, size_t size, const char *name)
{
	const char *images = getenv("UMBRA_TEST_IMAGES");

	snprintf(path, size, "%s/%s", images ? images : "build/images", name);
}

/*
 * Runs the command @argv[0], whose words end by NULL, as a user does; returns its exit code. What
 * it says on stderr goes to @said, of @size bytes; NULL: to this test's.
 */
static inline int command_run(const char *const *argv, char *said, size_t size)
{
	int err = said ? memfd_create("stderr", MFD_CLOEXEC) : -1, code;
	ssize_t n;

	code = child_code(child_spawn(argv, -1, err));
	if (said) {
		n = pread(err, said, size - 1, 0);
		said[n > 0 ? n : 0] = '\0';
		close(err);
	}
	return code;
}

#endif
