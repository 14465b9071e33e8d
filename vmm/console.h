/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's first serial port on stdin and stdout.
 *
 * If stdin is a terminal it goes raw, and Ctrl-a is the escape key: x ends the guest, h shows help,
 * a second Ctrl-a sends one. From a pipe or a file every byte goes to the guest as it is, no faster
 * than the guest takes it; the end of the input is of no consequence.
 *
 * Output is written by lines, or after 10 ms; a reader that is slow slows the guest, and one that
 * is gone is ignored.
 */
#ifndef UMBRA_VMM_CONSOLE_H
#define UMBRA_VMM_CONSOLE_H

#include "shadow/err.h"
#include "vmm/machine.h"

struct console;

struct console_config {
	/* Sees each byte of output, on a vCPU thread. May be NULL. */
	void (*tap)(void *arg, u8 byte);
	void *tap_arg;
	bool polled_input; /* the guest may be a firmware, see devices/serial.h */
};

int console_create(struct console **out, struct machine *m, const struct console_config *c,
		   struct err *e);
/* Writes what is left, restores the terminal. After the vCPUs have ended. NULL allowed. */
void console_destroy(struct console *c);

#endif
