// SPDX-License-Identifier: GPL-2.0-only
/* Makes strings of JSON out of text that may be no UTF-8. */
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"

json_t *json_any_text(const char *text)
{
	json_t *j = json_string(text);
	char *copy, *p;

	if (j)
		return j;
	copy = strdup(text);
	for (p = copy; p && *p; p++)
		if (*p & 0x80)
			*p = '?';
	j = copy ? json_string(copy) : NULL;
	free(copy);
	return j;
}
