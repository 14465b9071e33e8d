/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes text that somebody else chose (a guest, its VMM, a file) harmless for a terminal: what
 * could move a cursor, end the line, reorder or hide text, and what is no UTF-8, becomes \xNN.
 */
#ifndef UMBRA_BASE_PLAIN_TEXT_H
#define UMBRA_BASE_PLAIN_TEXT_H

#include <stdio.h>

#include "base/types.h"

/* A byte that was made harmless: four characters and a NUL. */
#define PLAIN_TEXT_HEX 5

/* Returns false for characters that move the cursor, or hide or reorder text, on some terminal. */
bool plain_text_is_harmless(u32 code);
/* Writes "\xNN" of @byte to @buf, which is returned. */
const char *plain_text_hex(char buf[PLAIN_TEXT_HEX], u8 byte);
/*
 * Copies @s, made harmless, to @buf, which is returned; the rest is cut if it does not fit into
 * @size bytes.
 */
const char *plain_text(char *buf, size_t size, const char *s);
/*
 * Writes the text of a format, of up to PLAIN_TEXT_LINE bytes, and a newline, in one piece also to
 * a stream without a buffer. Whether the stream took it is the caller's to ask of it.
 */
#define PLAIN_TEXT_LINE 640
void plain_text_line(FILE *to, const char *fmt, ...) __printf(2, 3);

#endif
