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
#include "vmm/confine/mode.h"

int cmd_dial_helper(int argc, char **argv)
{
	enum confine_mode mode;

	if (argc != 3 || confine_mode_find(argv[2], &mode)) {
		fputs("vmm: dial-helper is started by vmm run --disk vhost-user=SOCKET\n", stderr);
		return EXIT_CODE_USAGE;
	}
	prctl(PR_SET_NAME, "vmm-dial-keeper", 0, 0, 0); /* for ps and top */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return dialer_serve(argv[1], mode) ? EXIT_CODE_ERROR : 0;
}
