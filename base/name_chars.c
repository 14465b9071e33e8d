// SPDX-License-Identifier: GPL-2.0-only
/* Measures names by the characters that they may have. */
#include "base/name_chars.h"

#include <string.h>

static bool is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

size_t name_chars_len(const char *s, const char *others)
{
	size_t n = 0;

	while (s[n] && (is_letter_or_digit(s[n]) || strchr(others, s[n])))
		n++;
	return n;
}

bool name_chars_only(const char *s, const char *others, size_t max)
{
	size_t n = name_chars_len(s, others);

	return n && n <= max && !s[n];
}
