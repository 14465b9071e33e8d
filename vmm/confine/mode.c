// SPDX-License-Identifier: GPL-2.0-only
/* Names the modes of confinement. */
#include "vmm/confine/mode.h"

#include <errno.h>
#include <string.h>

#include "base/types.h"

static const char *const mode_names[] = {
	[CONFINE_ON] = "on",
	[CONFINE_OFF] = "off",
	[CONFINE_STRICT] = "strict",
	[CONFINE_MANAGED] = "managed",
};

const char *confine_mode_name(enum confine_mode mode)
{
	return mode_names[mode];
}

int confine_mode_find(const char *name, enum confine_mode *out)
{
	for (size_t i = 0; i < ARRAY_SIZE(mode_names); i++) {
		if (!strcmp(name, mode_names[i])) {
			*out = (enum confine_mode)i;
			return 0;
		}
	}
	return -EINVAL;
}
