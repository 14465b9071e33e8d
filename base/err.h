/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Carries one error as one line for a person.
 *
 * A function that can fail in more ways than an errno tells takes a struct err from its caller,
 * writes one line into it (what, where, why, what to do; no newline at the end) and returns the
 * negative errno. Only main() and the commands print. A NULL err is allowed everywhere: the text is
 * then dropped. There is no global "last error": two vCPU threads may fail at once.
 */
#ifndef UMBRA_BASE_ERR_H
#define UMBRA_BASE_ERR_H

#include "base/types.h"

struct err {
	char text[512];
};

/*
 * Writes the line and returns @code (a negative errno), so that callers can say "return err_set(e,
 * -EINVAL, ...)". A line that is too long is cut with "...".
 */
int err_set(struct err *e, int code, const char *fmt, ...) __printf(3, 4);

/* Puts "PREFIX: " before the line that is there; returns @code. */
int err_prefix(struct err *e, int code, const char *fmt, ...) __printf(3, 4);

#endif
