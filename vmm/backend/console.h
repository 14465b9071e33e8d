/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Connects the guest's console, which is its first serial port and, if it was asked for, port 0 of
 * a virtio console, both on one endpoint (endpoint.h); and the virtio console's other ports, each
 * with an endpoint of its own.
 *
 * The serial port is there from the first instruction on. The user's keys go to the virtio console
 * if the guest has opened it and @virtio_input is set, else to the serial port: a loaded driver is
 * no login yet, so @virtio_input comes from the guest's command line.
 *
 * On a terminal, which goes raw, Ctrl-a is the escape key: x ends the guest, h shows help, a second
 * Ctrl-a sends one. From a pipe or a file every byte goes to the guest as it is, no faster than the
 * guest takes it; the end of the input is of no consequence.
 *
 * Viewers may look at the console and type beside that (viewers.h).
 *
 * Output to stdout is written by lines, or after 10 ms; a reader that is slow slows the guest, one
 * that takes nothing any more costs it the oldest bytes, and one that is gone is ignored
 * (outlet.h).
 */
#ifndef UMBRA_VMM_BACKEND_CONSOLE_H
#define UMBRA_VMM_BACKEND_CONSOLE_H

#include "base/err.h"
#include "vmm/confine/confine.h"
#include "vmm/machine/lifecycle.h"
#include "vmm/machine/machine.h"
#include "vmm/spec/spec.h"

struct closer;
struct console;
struct pci_bus;

struct console_config {
	struct pci_bus *bus; /* for the virtio console */
	/* Sees each byte of output of the console, one call at a time. May be NULL. */
	void (*tap)(void *arg, u8 byte);
	void *tap_arg;
	/* Does what endpoint_config.help does. May be NULL. */
	void (*help)(void *arg, const char *text);
	void *help_arg;
	/* Closes what clients of sockets send beside bytes (closer.h); or NULL. */
	struct closer *closer;
	bool virtio_input;
	bool polled_input; /* the guest may be a firmware, see devices/serial.h */
};

/* Makes the console of a guest. @spec must outlive it. */
int console_create(struct console **out, struct machine *m, const struct guest_spec *spec,
		   const struct console_config *c, struct err *e);
/*
 * Stops the virtio console, and serves the event loop until the files of console and ports have all
 * that was written to them: whatever the host's kernel holds, control socket and signals are
 * answered. A file that holds up this for a second gets a note. To be called once, after the vCPUs
 * have ended and before console_destroy(), which does not serve the loop.
 */
void console_await_files(struct console *c);
/*
 * Stops the virtio console, writes what is left, restores the terminal. To be called after the
 * vCPUs have ended, before the bus is destroyed. For callers without a lifecycle; else
 * console_part's end() calls it. NULL allowed.
 */
void console_destroy(struct console *c);

/*
 * The first start() lets input in: the terminal goes raw. reset() resets the serial port only: the
 * virtio console is reset with its bus.
 */
extern const struct lifecycle_ops console_part;

/*
 * Leaves it to another process to remove the sockets' files at the end (endpoint_disown()). Returns
 * their number; files[] has room for one of the console and one of each port.
 */
size_t console_disown_sockets(struct console *c, struct confine_file files[1 + SPEC_MAX_PORTS]);

/*
 * Adds a viewer with a socket of its own (viewers.h); @fd is taken over if it succeeds. Main
 * thread.
 */
int console_attach(struct console *c, int fd, struct err *e);
unsigned console_viewers(struct console *c);

/* The console (0) and the virtio console's ports. */
struct console_port {
	const char *name;
	const char *label;  /* its id, else its name */
	const char *device; /* what the guest's end is called: its device=, else the label */
	char where[160];    /* see endpoint_describe() */
	bool open;	    /* by the guest */
	/* For how long this host's kernel has had bytes for @file, see endpoint_held_ms(). */
	s64 held_ms;
	const char *file; /* NULL: it has none */
};
/* Describes port @i; false: there are not so many. Main thread. */
bool console_port(const struct console *c, unsigned i, struct console_port *out);
/*
 * Has @fn called on the main thread when the guest has opened or closed port @i, which is one with
 * a name, from 1 on; of several times that come together, once. Not at the guest's end. One owner.
 */
typedef void console_opened_fn(void *arg, unsigned i);
void console_set_hook(struct console *c, console_opened_fn *fn, void *arg);

#endif
