/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Scans the text of a policy or configuration, before libconfig parses it.
 *
 * libconfig accepts, without an error, text that would make a policy mean something else than it
 * says: a NUL in a string ("\x00") cuts it there, a comment that never ends swallows the rest of
 * the file, a number loses the bits above 32. And it opens whatever file an @include names,
 * recurses as deep as brackets nest and compares each member of a group with all before it. So
 * those are refused or bounded here, with the line; and so is a comma without a value, for which
 * libconfig has no words.
 */
#ifndef UMBRA_POLICY_SCAN_H
#define UMBRA_POLICY_SCAN_H

#include "base/err.h"

#define SCAN_DEPTH_MAX	 16
#define SCAN_MEMBERS_MAX 4096 /* of one group */

/*
 * Makes *out the text as libconfig takes it, to be freed: numbers of more than 32 bits are marked
 * as such, and the last line ends. -EINVAL with "LABEL:LINE: ..." in @e; -ENOMEM.
 */
int scan_text(char **out, const char *label, const char *text, struct err *e);

#endif
