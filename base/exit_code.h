/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Defines the exit codes of `vmm run`, on which scripts and tests depend. vmm/machine/machine.h has
 * the ways in which a guest gets one.
 */
#ifndef UMBRA_BASE_EXIT_CODE_H
#define UMBRA_BASE_EXIT_CODE_H

enum vmm_exit {
	VMM_EXIT_POWEROFF = 0, /* the guest switched itself off */
	VMM_EXIT_ERROR = 1,    /* bad input or an error of the host; nothing half-started is left */
	VMM_EXIT_USAGE = 2,    /* the command line */
	VMM_EXIT_LAB = 3,      /* vmm doctor: this /dev/kvm does not run stock kernels */
	VMM_EXIT_REBOOT =
		10, /* the guest asked for a reset, and --no-reboot or sessions forbid it */
	VMM_EXIT_PANIC = 11,	    /* the guest's kernel panicked */
	VMM_EXIT_TRIPLE_FAULT = 12, /* a vCPU shut down */
	VMM_EXIT_KVM = 13,     /* KVM could not go on: internal error, failed entry, unknown exit */
	VMM_EXIT_HALTED = 14,  /* all vCPUs halted with interrupts off ("System halted") */
	VMM_EXIT_ESCAPE = 15,  /* Ctrl-a x on the console */
	VMM_EXIT_SIGNAL = 128, /* + the signal's number: SIGTERM, SIGINT, SIGHUP, SIGQUIT */
};

#endif
