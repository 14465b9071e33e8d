// SPDX-License-Identifier: GPL-2.0-only
/* Finds the files of Umbra that lie beside the command. */
#include "base/install_path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int install_path(unsigned place, const char *file, char *out)
{
	static const char *const places[PARTS_PLACES] = { "../lib/umbra", "." };
	char exe[PARTS_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
	char *slash;

	if (n <= 0)
		return n < 0 ? -errno : -ENOENT;
	exe[n] = '\0';
	slash = strrchr(exe, '/');
	if (!slash || place >= PARTS_PLACES)
		return -ENOENT;
	*slash = '\0';
	if (snprintf(out, PARTS_PATH_MAX, "%s/%s/%s", exe, places[place], file) >= PARTS_PATH_MAX)
		return -ENAMETOOLONG;
	return 0;
}

bool install_is_source_tree(void)
{
	char path[PARTS_PATH_MAX];

	return !install_path(PARTS_PLACES - 1, "../tools/umbra-shim", path) && !access(path, F_OK);
}
