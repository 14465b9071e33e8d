/* SPDX-License-Identifier: GPL-2.0-only */
/* What the commands that talk to running guests have in common: output, errors, files to hand over. */
#ifndef UMBRA_VMM_CMD_CLIENT_H
#define UMBRA_VMM_CMD_CLIENT_H

#include <jansson.h>

#include "shadow/err.h"
#include "shadow/types.h"

/* Print "vmm: LINE" to stderr; returns VMM_EXIT_ERROR. */
int client_fail(const struct err *e);
/* The same for a mistake on the command line of @command; returns VMM_EXIT_USAGE. */
int client_usage(const char *command, const char *fmt, ...) __printf(2, 3);
/* Indented, with a newline at the end. */
void client_print_json(const json_t *o);
/* Member @key as text, "" if it is missing or no string; as a number, 0. */
const char *json_text(const json_t *o, const char *key);
long long json_number(const json_t *o, const char *key);
/*
 * Open FILE for the VMM, which opens none itself: a descriptor, and in *path its absolute path for
 * messages (malloc'ed). -errno and a line.
 */
int client_open_file(const char *file, char **path, struct err *e);

#endif
