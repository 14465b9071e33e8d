// SPDX-License-Identifier: GPL-2.0-only
/* The process of the user-mode network; started by vmm run, not by people. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/commands.h"
#include "vmm/exit.h"
#include "vmm/net.h"
#include "vmm/options_device.h"

int cmd_net_helper(int argc, char **argv)
{
	struct run_net n;
	struct err e = { "" };
	int ret;

	if (argc < 3 || argc > 4) {
		fputs("vmm: net-helper is started by vmm run --net user\n", stderr);
		return VMM_EXIT_USAGE;
	}
	ret = parse_net_text(&n, argv[1], &e);
	if (!ret)
		ret = net_user_serve(&n, !strcmp(argv[2], "on"), argv[3], &e);
	free(n.buf);
	return ret ? VMM_EXIT_ERROR : 0;
}
