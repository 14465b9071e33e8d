// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmm dial-helper: connects to a disk's back end again and again; started by vmm run, not by
 * people.
 */
#include <stdio.h>
#include <sys/prctl.h>

#include "base/exit_code.h"
#include "vmm/backend/dialer.h"
#include "vmm/cli/commands.h"
#include "vmm/confine/confine.h"

int cmd_dial_helper(int argc, char **argv)
{
	struct err e = { "" };
	enum confine_mode mode;

	if (argc != 3 || confine_mode_find(argv[2], &mode)) {
		fputs("vmm: dial-helper is started by vmm run --disk vhost-user=SOCKET\n", stderr);
		return EXIT_CODE_USAGE;
	}
	prctl(PR_SET_NAME, "vmm-dial", 0, 0, 0);
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (confine_dialer(mode, &e)) {
		if (mode != CONFINE_STRICT) /* in strict mode vmm run waits for it, and reports */
			fprintf(stderr, "vmm: --disk vhost-user=%s: %s\n", argv[1], e.text);
		return EXIT_CODE_ERROR;
	}
	dialer_serve(argv[1], mode);
	return 0;
}
