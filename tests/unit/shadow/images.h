/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finds Debian's kernels for the tests of shadow/: $UMBRA_TEST_IMAGES/{cloud,generic} with a
 * vmlinuz and the tree of modules each.
 */
#ifndef SHADOW_IMAGES_H
#define SHADOW_IMAGES_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shadow/kernel/kernel.h"
#include "shadow/link/link.h"

/* Returns PATH below the images, in @buf. */
static inline const char *image_path(char *buf, size_t len, const char *flavour, const char *rest)
{
	const char *dir = getenv("UMBRA_TEST_IMAGES");

	snprintf(buf, len, "%s/%s/%s", dir ? dir : "", flavour, rest);
	return buf;
}

/* Ends the program as skipped if there are no images. */
static inline void need_images(void)
{
	char path[512];

	if (getenv("UMBRA_TEST_IMAGES") &&
	    !access(image_path(path, sizeof(path), "cloud", "vmlinuz"), R_OK) &&
	    !access(image_path(path, sizeof(path), "cloud", "modules/kernel"), R_OK))
		return;
	printf("SKIP no kernel images (UMBRA_TEST_IMAGES is %s); make images fetches them\n",
	       getenv("UMBRA_TEST_IMAGES") ? getenv("UMBRA_TEST_IMAGES") : "not set");
	exit(77);
}

/* Returns a whole file, malloc'ed; NULL if it cannot be read. */
static inline u8 *slurp(const char *path, size_t *len)
{
	FILE *f = fopen(path, "rb");
	u8 *buf = NULL;
	long n;

	if (!f)
		return NULL;
	if (!fseek(f, 0, SEEK_END) && (n = ftell(f)) > 0 && !fseek(f, 0, SEEK_SET)) {
		buf = malloc((size_t)n);
		if (buf && fread(buf, 1, (size_t)n, f) != (size_t)n) {
			free(buf);
			buf = NULL;
		}
		*len = (size_t)n;
	}
	fclose(f);
	return buf;
}

/* Returns the kernel of FLAVOUR with its symbols; ends the program if it cannot be loaded. */
static inline struct kernel *load_kernel(const char *flavour)
{
	struct err e = { "" };
	struct kernel *k = NULL;
	char path[512];

	if (kernel_open(&k, image_path(path, sizeof(path), flavour, "vmlinuz"), false, &e) ||
	    kernel_load_symbols(k, &e)) {
		printf("%s: %s\n", path, e.text);
		exit(1);
	}
	return k;
}

#endif
