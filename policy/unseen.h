/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Says for people which of a driver's imports that a policy leaves unseen reach something outside
 * of the driver: files, programs, networks, other devices, or the whole guest, by the catalogue.
 */
#ifndef UMBRA_POLICY_UNSEEN_H
#define UMBRA_POLICY_UNSEEN_H

#include <stddef.h>

#include "policy/catalog.h"

enum unseen_class {
	UNSEEN_FILES,
	UNSEEN_PROGRAMS,
	UNSEEN_NETWORKS,
	UNSEEN_DEVICES,
	UNSEEN_GUEST, /* other processes, the kernel itself */
	UNSEEN_CLASSES,
};

struct unseen {
	size_t imports, seen;
	char names[UNSEEN_CLASSES][160]; /* "filp_open, kernel_write, ..." */
};

/* Counts one import; @fn: its row if the catalogue has it, and @seen is false. */
void unseen_add(struct unseen *u, const struct catalog_fn *fn, bool seen);
/* Returns "files", "programs", ... */
const char *unseen_class_name(enum unseen_class c);

#define UNSEEN_TEXT 1024

/*
 * Writes "5 of 31 imports are seen under this policy; not seen: kernel_write (files)"; without the
 * second half if nothing is to be named.
 */
void unseen_text(const struct unseen *u, char buf[UNSEEN_TEXT]);

#endif
