// SPDX-License-Identifier: GPL-2.0-only
/* Lists the names of the machines among which libvirt chooses. */
#include "base/machine_names.h"

const struct machine_name machine_names[MACHINE_NAMES] = {
	[MACHINE_NAME_PC] = { "pc-i440fx-umbra-1", "pc" },
	[MACHINE_NAME_Q35] = { "pc-q35-umbra-1", "q35" },
};
