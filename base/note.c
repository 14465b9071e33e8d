// SPDX-License-Identifier: GPL-2.0-only
/* Formats notes for their sink. */
#include "base/note.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void note_put(const struct note_sink *s, const char *fmt, ...)
{
	char *line;
	va_list ap;
	int len;

	if (!s->line)
		return;
	va_start(ap, fmt);
	len = vasprintf(&line, fmt, ap);
	va_end(ap);
	if (len < 0)
		return;
	s->line(s->arg, line);
	free(line);
}
