// SPDX-License-Identifier: GPL-2.0-only
/* Cleans text of `vmm inspect`: strings of a driver's file may be hostile to terminals. */
#include <stdio.h>

#include "base/exit_code.h"
#include "vmm/cli/inspect.h"

const char *inspect_clean(const char *s, char *buf, size_t len)
{
	size_t i = 0;

	for (; s[i] && i + 1 < len; i++)
		buf[i] = (char)(s[i] >= ' ' && s[i] <= '~' ? s[i] : '?');
	buf[i] = '\0';
	return buf;
}

void inspect_note(const char *text)
{
	char buf[sizeof(((struct err *)NULL)->text)];

	fprintf(stderr, "vmm inspect: %s\n", inspect_clean(text, buf, sizeof(buf)));
}

int inspect_fail(const char *text)
{
	inspect_note(text);
	return INSPECT_BAD;
}
