/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads modules as the guest's kernel has them, from its memory with the offsets of its BTF.
 * Nothing that the shim or a driver says is used. The guest may change all of it meanwhile: every
 * value is hostile, every walk bounded.
 */
#ifndef UMBRA_VMM_SESSION_GUEST_MODULE_H
#define UMBRA_VMM_SESSION_GUEST_MODULE_H

#include "base/err.h"
#include "base/types.h"

struct sessions;

struct guest_module {
	u64 at; /* its struct module */
	u64 base, size, text;
};

struct guest_section {
	char name[64];
	u64 addr;
};

/* Offset of a member by the kernel's BTF; -ENOENT and a line. */
int guest_member(struct sessions *s, const char *strct, const char *name, u32 *off, struct err *e);
int guest_read_u64(struct sessions *s, u64 va, u64 *out);

/*
 * By its name in the kernel's list. -ENOENT: it is not in there; -EFAULT: the list is not readable.
 */
int guest_module_find(struct sessions *s, const char *name, struct guest_module *out,
		      struct err *e);
/* Finds the module whose text holds @va. -ENOENT: there is none. */
int guest_module_by_text(struct sessions *s, u64 va, struct guest_module *out);
/* Name of the export of @m that lies at @va. -ENOENT: none does. */
int guest_module_export_at(struct sessions *s, const struct guest_module *m, u64 va, char *name,
			   size_t size);
/* Where the loader put each section, as /sys/module/NAME/sections shows it; *n: at most @max. */
int guest_module_sections(struct sessions *s, const struct guest_module *m,
			  struct guest_section *out, size_t max, size_t *n, struct err *e);
/*
 * Reads the target of the static call at @site of @m, if its key is one of the kernel image's own:
 * the function that the key holds at this moment. -ENOENT: no such site, or the key is a module's.
 */
int guest_module_static_call(struct sessions *s, const struct guest_module *m, u64 site, u64 *func);

#endif
