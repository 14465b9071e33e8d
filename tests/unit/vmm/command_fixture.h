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
#include <unistd.h>

#include <cmocka.h>

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

#endif
