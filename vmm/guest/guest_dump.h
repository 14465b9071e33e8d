/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps the file of --dump-on-panic, into which the guest's memory goes when its kernel panics.
 *
 * The file is made at the start, in the directory that was opened then, and stays empty until
 * there is a panic: the VMM is confined by the time of one, and may make no file. That it could
 * still make just this one, by openat(2) and a rule for the directory, was left out: it would be
 * the only system call of a confined VMM that opens anything, and the user that root has become by
 * then has no right to the directory. So a run has one dump at most, whose name tells the time of
 * the start. At the end a file that is empty is removed: nothing happened, or the dump is not
 * complete. The supervisor does that. A VMM that a manager has started (CONFINE_MANAGED) has none;
 * for it a helper, `vmm remove-helper`, waits for its end and does so, with the rights of the
 * start. Another file that cannot have a name until there is a panic (O_TMPFILE) was left out: to
 * give it one, linkat(2) takes a capability or a path below /proc.
 */
#ifndef UMBRA_VMM_GUEST_GUEST_DUMP_H
#define UMBRA_VMM_GUEST_GUEST_DUMP_H

#include <stdbool.h>

#include "base/err.h"
#include "base/types.h"
#include "vmm/confine/mode.h"

struct guest_dump;
struct monitor;

/*
 * Makes a new file NAME-TIME.core in directory @dir; @name NULL: a guest without a name. -errno and
 * a line.
 */
int guest_dump_create(struct guest_dump **out, const char *dir, const char *name,
		      enum confine_mode confine, struct err *e);
/* Returns the file's path; lives as long as @d. */
const char *guest_dump_file(const struct guest_dump *d);
/*
 * Dumps a guest that has panicked, whose vCPUs have stopped, and notes the file for people.
 * Serves the event loop meanwhile.
 */
void guest_dump_panicked(struct guest_dump *d, struct monitor *mon);
/*
 * Has a file closed that there was no use for, at the guest's end; before monitor_begin_end(),
 * which waits for that.
 */
void guest_dump_close(struct guest_dump *d, struct monitor *mon);
/* Frees all; @supervised: another process removes an empty file. NULL allowed. */
void guest_dump_destroy(struct guest_dump *d, bool supervised);
/*
 * Is the helper: waits for the end of the VMM, at the other end of HELPER_FD, and removes the file
 * at @path if it is empty and the one with these numbers of device and inode. Reads nothing of the
 * VMM. 0, also if there is no such file; -errno.
 */
int guest_dump_remove(const char *path, u64 dev, u64 ino);

#endif
