// SPDX-License-Identifier: GPL-2.0-only
/* Formats the one line of an error. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

/* Ends a line that was cut with "...". @len: the length that it would have had. */
static void mark_cut(struct err *e, int len)
{
	if (len >= (int)sizeof(e->text))
		memcpy(e->text + sizeof(e->text) - 4, "...", 4);
}

int err_set(struct err *e, int code, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return code;
	va_start(ap, fmt);
	mark_cut(e, vsnprintf(e->text, sizeof(e->text), fmt, ap));
	va_end(ap);
	return code;
}

int err_prefix(struct err *e, int code, const char *fmt, ...)
{
	char old[sizeof(e->text)];
	va_list ap;
	int len;

	if (!e)
		return code;
	memcpy(old, e->text, sizeof(old));
	va_start(ap, fmt);
	len = vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	if (len >= 0 && len < (int)sizeof(e->text))
		len += snprintf(e->text + len, sizeof(e->text) - (size_t)len, ": %s", old);
	mark_cut(e, len);
	return code;
}
