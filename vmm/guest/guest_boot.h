/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Starts a guest's kernel directly: the kernel's file, its place in memory, the initramfs and the
 * command line. Private to the room. A guest with a firmware has none of it.
 */
#ifndef UMBRA_VMM_GUEST_GUEST_BOOT_H
#define UMBRA_VMM_GUEST_GUEST_BOOT_H

#include "base/err.h"
#include "base/note.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/spec/spec.h"

struct guest_boot;
struct kernel;
struct machine;
struct sessions;

/*
 * Open the kernel of @spec and draw its place. guest_boot_part is to be added when it was placed.
 * @notes outlives it.
 */
int guest_boot_create(struct guest_boot **out, const struct guest_spec *spec,
		      const struct note_sink *notes, struct err *e);
/* Into the memory of @m; @s has an archive and a command line of its own, or is NULL. */
int guest_boot_place(struct guest_boot *b, struct machine *m, struct sessions *s, struct err *e);
struct kernel *guest_boot_kernel(const struct guest_boot *b);
u64 guest_boot_kaslr(const struct guest_boot *b);
/* Gives back the memory that only placing the kernel needed, when the guest executes already. */
void guest_boot_trim(struct guest_boot *b);
/*
 * The command line of a guest of @spec: @append, which is the spec's or has the session layer's
 * changes, with a console in front unless one is named, and "nokaslr" if it is asked for.
 * malloc'ed, or NULL.
 */
char *guest_boot_cmdline(const struct guest_spec *spec, const char *append);
/* After the machine's last report. NULL allowed. */
void guest_boot_destroy(struct guest_boot *b);

/* A reset opens the kernel anew, as its file is now; a start after it places it. */
extern const struct lifecycle_ops guest_boot_part;

#endif
