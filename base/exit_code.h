/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Defines the exit codes of `vmm run`, on which scripts and tests depend. vmm/machine/machine.h has
 * the ways in which a guest gets one.
 */
#ifndef UMBRA_BASE_EXIT_CODE_H
#define UMBRA_BASE_EXIT_CODE_H

enum exit_code {
	EXIT_CODE_POWEROFF = 0, /* the guest switched itself off */
	EXIT_CODE_ERROR = 1,	/* bad input or the host's error; nothing half-started is left */
	EXIT_CODE_USAGE = 2,	/* the command line */
	EXIT_CODE_LAB = 3,	/* vmm doctor: this /dev/kvm does not run stock kernels */
	EXIT_CODE_REBOOT = 10,	/* a reset that --no-reboot forbids */
	EXIT_CODE_PANIC = 11,	/* the guest's kernel panicked */
	EXIT_CODE_TRIPLE_FAULT = 12, /* a vCPU shut down */
	EXIT_CODE_KVM = 13,	     /* KVM could not go on (internal error, failed entry, ...) */
	EXIT_CODE_HALTED = 14,	     /* all vCPUs halted with interrupts off ("System halted") */
	EXIT_CODE_ESCAPE = 15,	     /* Ctrl-a x on the console */
	EXIT_CODE_SIGNAL = 128,	     /* + the signal's number: SIGTERM, SIGINT, SIGHUP, SIGQUIT */
};

#endif
