/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Says which characters a name may have. All names are of ASCII letters and digits, whatever the
 * locale says, and of the few others that their kind allows.
 */
#ifndef UMBRA_BASE_NAME_CHARS_H
#define UMBRA_BASE_NAME_CHARS_H

#include "base/types.h"

/*
 * Each kind's others, and the kind in words for a message. NAME_WORD is for what becomes a part of
 * a longer name (sessions, drivers): a dot would not stay what it is there. NAME_FILE is for names
 * that are a file's, or that another program reads as they are (guests, ports, parameters).
 */
#define NAME_WORD      "_-"
#define NAME_WORD_TEXT "letters, digits, '_' and '-'"
#define NAME_FILE      "._-"
#define NAME_FILE_TEXT "letters, digits, '.', '_' and '-'"

/*
 * Returns the length of the name that @s begins with; @others: its characters beside letters and
 * digits.
 */
size_t name_chars_len(const char *s, const char *others);
/* Returns true if all of @s is a name, of one character to @max. */
bool name_chars_only(const char *s, const char *others, size_t max);

#endif
