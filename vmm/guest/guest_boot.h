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

struct closer;
struct guest_boot;
struct held_read;
struct kernel;
struct machine;
struct sessions;

/*
 * Opens the files of @spec: kernel, the prepared one if there is one, initramfs. Nothing of them is
 * read but what is prepared. @notes outlives it.
 */
int guest_boot_create(struct guest_boot **out, const struct guest_spec *spec,
		      const struct note_sink *notes, struct err *e);
/*
 * Tells the guest that starts with it: its machine, its sessions or NULL, and who closes files
 * while the loop runs.
 */
void guest_boot_attach(struct guest_boot *b, struct machine *m, struct sessions *s,
		       struct closer *c);
/*
 * Parses the kernel and draws its place: after confinement, since its file is a stranger's. Opens
 * nothing. guest_boot_part does it at the start, if no other part needed the kernel before.
 */
int guest_boot_read(struct guest_boot *b, struct err *e);
/*
 * Returns true if the prepared kernel was of no use when it was placed. Then it is to be dropped
 * from the cache.
 */
bool guest_boot_damaged(const struct guest_boot *b);
/* Returns true if the first start had a prepared kernel. */
bool guest_boot_prepared(const struct guest_boot *b);
struct kernel *guest_boot_kernel(const struct guest_boot *b);
u64 guest_boot_kaslr(const struct guest_boot *b);
/*
 * Has the files read for the start that follows a reset, by a thread, and serves the event loop
 * until they are: their storage may not answer, which a note and held_read_ms() tell. No vCPU
 * runs. Returns the exit code by then, as machine_wait() does.
 */
int guest_boot_await_files(struct guest_boot *b);
/* Returns that read, for held_read_ms(). */
const struct held_read *guest_boot_reading(const struct guest_boot *b);
/* Gives back the memory that only placing the kernel needed, when the guest executes already. */
void guest_boot_trim(struct guest_boot *b);
/*
 * Has the files closed by the closer, before guest_boot_destroy(), which might wait for their
 * storage. There is no start any more, and no report that needs the kernel.
 */
void guest_boot_release_files(struct guest_boot *b);
/*
 * Returns the command line of a guest of @spec: @append, which is the spec's or has the session
 * layer's changes, with a console in front unless one is named, and "nokaslr" if it is asked for.
 * malloc'ed, or NULL.
 */
char *guest_boot_cmdline(const struct guest_spec *spec, const char *append);
/* Frees @b, after the machine's last report. NULL allowed. */
void guest_boot_destroy(struct guest_boot *b);

/*
 * A start reads the kernel and places it, with what sessions say by then; after a reset it has what
 * guest_boot_await_files() has read, as the files are now.
 */
extern const struct lifecycle_ops guest_boot_part;

#endif
