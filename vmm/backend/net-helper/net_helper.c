// SPDX-License-Identifier: GPL-2.0-only
/*
 * net-helper NET on|off|strict [USER]: runs as the process of a user-mode network, started by vmm
 * run.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/exit_code.h"
#include "vmm/backend/net-helper/slirp_server.h"
#include "vmm/spec/spec_text.h"

int main(int argc, char **argv)
{
	struct spec_net n;
	struct err e = { "" };
	enum confine_mode mode;
	int ret;

	if (argc < 3 || argc > 4 || confine_mode_find(argv[2], &mode)) {
		fputs("net-helper: it is started by vmm run --net user, not by people\n", stderr);
		return EXIT_CODE_USAGE;
	}
	ret = spec_parse_net(&n, argv[1], &e);
	if (!ret)
		ret = net_user_serve(&n, mode, argv[3], &e);
	free(n.buf);
	return ret ? EXIT_CODE_ERROR : 0;
}
