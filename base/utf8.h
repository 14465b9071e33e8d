/* SPDX-License-Identifier: GPL-2.0-only */
/* Decodes UTF-8, one character at a time, of text that may be invalid. */
#ifndef UMBRA_BASE_UTF8_H
#define UMBRA_BASE_UTF8_H

#include "base/types.h"

/*
 * Returns the length of the valid UTF-8 sequence at @s, and its code point in *code; 0 if the byte
 * is part of none, or the NUL. Overlong forms and surrogates are not valid. Reads no byte past the
 * NUL.
 */
unsigned utf8_next(const char *s, u32 *code);

#endif
