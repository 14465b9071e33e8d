// SPDX-License-Identifier: GPL-2.0-only
/* Words of a guest's kernel command line that decide how the guest is assembled. */
#include "vmm/guest/guest_cmdline.h"

#include <string.h>

bool cmdline_has(const char *line, const char *word, bool prefix)
{
	size_t len = strlen(word);

	for (const char *p = line; (p = strstr(p, word)); p += len) {
		bool begins = p == line || p[-1] == ' ';
		bool ends = prefix || !p[len] || p[len] == ' ';

		if (begins && ends)
			return true;
	}
	return false;
}

bool cmdline_ends_on_hvc(const char *line)
{
	static const char word[] = "console=";
	const char *last = NULL;

	for (const char *p = line; (p = strstr(p, word)); p += sizeof(word) - 1)
		if (p == line || p[-1] == ' ')
			last = p;
	return last && !strncmp(last + sizeof(word) - 1, "hvc", 3);
}
