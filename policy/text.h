/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads a file in libconfig's syntax, as people write it: a policy, or options for vmm run. The
 * file is read whole, scanned (scan.h) and parsed; each mistake is told as "FILE:LINE: ...".
 */
#ifndef UMBRA_POLICY_TEXT_H
#define UMBRA_POLICY_TEXT_H

#include <libconfig.h>

#include "base/err.h"

#define TEXT_MAX (4u << 20) /* bytes */

/*
 * Reads all of the file @path as a string, to be freed; @what: its kind, for errors ("policy").
 * -EINVAL if it has a NUL byte, -EFBIG, or the errors of open() and read(). *regular, if not NULL:
 * it is a file, not a pipe or the like.
 */
int text_load(char **out, bool *regular, const char *path, const char *what, struct err *e);
/* Opens the file for text_load_fd(). Returns the descriptor, or -errno. */
int text_open(const char *path, struct err *e);
/* Does the same for an open descriptor, which stays open; @path is for messages. */
int text_load_fd(char **out, int fd, const char *path, const char *what, struct err *e);
/* Does the same for a file of which @data has all @len bytes. */
int text_load_bytes(char **out, const void *data, size_t len, const char *path, const char *what,
		    struct err *e);
/* Parses @text into *c, which is made here and then is config_destroy()'s, unless it fails. */
int text_parse(config_t *c, const char *label, const char *text, struct err *e);

#endif
