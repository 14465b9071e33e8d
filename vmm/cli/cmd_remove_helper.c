// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmm remove-helper: removes the empty file of a dump when its VMM has ended; started by vmm run,
 * not by people.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/exit_code.h"
#include "vmm/cli/commands.h"
#include "vmm/guest/guest_dump.h"

int cmd_remove_helper(int argc, char **argv)
{
	if (argc != 4) {
		fputs("vmm: remove-helper is started by vmm run --confine managed --dump-on-panic "
		      "DIR\n",
		      stderr);
		return EXIT_CODE_USAGE;
	}
	prctl(PR_SET_NAME, "vmm-dump-remove", 0, 0, 0); /* for ps and top */
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	return guest_dump_remove(argv[1], strtoull(argv[2], NULL, 10), strtoull(argv[3], NULL, 10))
		       ? EXIT_CODE_ERROR
		       : 0;
}
