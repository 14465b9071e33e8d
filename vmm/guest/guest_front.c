// SPDX-License-Identifier: GPL-2.0-only
/* Formats lines for a guest's front end. */
#include "vmm/guest/guest_front.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/err.h"

void guest_front_note(const struct guest_front *front, const char *fmt, ...)
{
	struct err line;
	va_list ap;

	if (!front->note)
		return;
	va_start(ap, fmt);
	vsnprintf(line.text, sizeof(line.text), fmt, ap);
	va_end(ap);
	front->note(front->arg, line.text);
}
