/* SPDX-License-Identifier: GPL-2.0-only */
/* Words of a guest's kernel command line that decide how the guest is assembled. Private to the room. */
#ifndef UMBRA_VMM_GUEST_GUEST_CMDLINE_H
#define UMBRA_VMM_GUEST_GUEST_CMDLINE_H

#include "base/types.h"

/* Is @word on the kernel's command line @line: as a whole, or as how a word begins (@prefix)? */
bool cmdline_has(const char *line, const char *word, bool prefix);
/* Is the last console= of the line, which becomes /dev/console, a virtio console? */
bool cmdline_ends_on_hvc(const char *line);

#endif
