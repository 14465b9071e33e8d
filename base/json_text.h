/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes strings of JSON out of text of any origin. */
#ifndef UMBRA_BASE_JSON_TEXT_H
#define UMBRA_BASE_JSON_TEXT_H

#include <jansson.h>

/*
 * Returns @text as a JSON string, a new reference; NULL: out of memory. JSON takes UTF-8 only, but
 * a file's name may be any bytes: if @text is no UTF-8, each of its bytes from 0x80 on becomes a
 * '?'.
 */
json_t *json_any_text(const char *text);

#endif
