/* SPDX-License-Identifier: GPL-2.0-only */
/* What the files of this room share. */
#ifndef UMBRA_VMM_GUEST_GUEST_INT_H
#define UMBRA_VMM_GUEST_GUEST_INT_H

#include "base/types.h"
#include "vmm/guest/guest.h"

/* A line for people, if anybody listens. */
void front_note(const struct guest_front *front, const char *fmt, ...) __printf(2, 3);

/* Is @word on the kernel's command line @line: as a whole, or as how a word begins (@prefix)? */
bool cmdline_has(const char *line, const char *word, bool prefix);
/* Is the last console= of the line, which becomes /dev/console, a virtio console? */
bool cmdline_ends_on_hvc(const char *line);

#endif
