/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stands for the outer end of a guest's byte stream: this process's terminal or pipes, a new
 * pseudo-terminal, a UNIX socket, or a file.
 *
 * No peer stops the guest or the event loop for long. Where there is no reader at the moment (a
 * socket without a client, a pseudo-terminal), the last ENDPOINT_RING bytes are kept for the next
 * reader; older ones are lost. A client of a socket that is there but slow holds up a source that
 * can wait, and costs one that cannot (a serial port) the oldest bytes. outlet.h has stdout and
 * files, inlet.h stdin.
 * The newest client of a socket takes the place of the one before, so that a client that is stuck
 * locks nobody out. A file is appended to, never replaced or truncated; a socket's path that is
 * another file is refused, and at the end only the socket that was made is removed: one that the
 * starter listens on (SPEC_SOCKET_FD) is used like it, and its file stays. One that the starter has
 * open (SPEC_FILE_FD), a pipe perhaps, is written as it is: its offset is the starter's affair.
 *
 * With a log, all that the guest writes goes to a file as well, as it does to one alone: what a
 * slow or absent reader of the endpoint loses is in there.
 */
#ifndef UMBRA_VMM_BACKEND_ENDPOINT_H
#define UMBRA_VMM_BACKEND_ENDPOINT_H

#include "base/err.h"
#include "vmm/confine/confine.h"
#include "vmm/machine/machine.h"
#include "vmm/spec/spec.h"

#define ENDPOINT_RING 65536U

struct closer;
struct endpoint;

struct endpoint_config {
	struct machine *m;
	const struct spec_endpoint *what;
	const char *name; /* for messages to the user, e.g. "console" */
	bool text;	  /* read by people: a line in it may say that something was lost */
	/* Closes descriptors that a client has sent for nothing. NULL: they are closed at once. */
	struct closer *closer;
	/* Takes bytes for the guest; returns how many it took. Main thread. */
	size_t (*input)(void *arg, const u8 *buf, size_t len);
	/*
	 * Called when endpoint_write() has refused bytes and would take some now. Main thread. May
	 * be NULL.
	 */
	void (*room)(void *arg);
	/*
	 * Shows @text on the terminal as it is: the user asks for the help of the console
	 * (Ctrl-a h). Main thread, so it must not wait. May be NULL.
	 */
	void (*help)(void *arg, const char *text);
	void *arg;
};

/*
 * Makes an endpoint. Nothing of @c but what its pointers name is kept. Main thread. SPEC_ATTACH has
 * no endpoint (see viewers.h): *out is NULL then, which all functions below take and which drops
 * all output.
 */
int endpoint_create(struct endpoint **out, const struct endpoint_config *c, struct err *e);
/*
 * Reads input from now on; for stdio the terminal goes raw. Main thread, once, when nothing can
 * fail any more.
 */
void endpoint_start(struct endpoint *ep);
/*
 * Goes on with the end of a file's endpoint, whose thread writes what is left. Returns true as long
 * as that is under way; never waits. Main thread, when nobody writes any more.
 */
bool endpoint_end(struct endpoint *ep);
/*
 * Writes what is left for as long as a reader takes it, until now_ms() is @until_ms at the latest;
 * to a file, as long as its storage takes, unless endpoint_end() has returned false. Main thread.
 * NULL allowed.
 */
void endpoint_destroy(struct endpoint *ep, s64 until_ms);

/*
 * Takes bytes from the guest; any thread. Returns how many were taken: all of them, or fewer if
 * @may_refuse and there is a slow reader.
 */
size_t endpoint_write(struct endpoint *ep, const u8 *buf, size_t len, bool may_refuse);
/*
 * Describes the endpoint in the form of QEMU's query-chardev: "pty:/dev/pts/3",
 * "unix:PATH,server=on", "file", "null".
 */
void endpoint_describe(const struct endpoint *ep, char *buf, size_t len);
/*
 * Returns for how many milliseconds this host's kernel has had bytes for the endpoint's file, with
 * *file its name, which points into the endpoint; 0: it has none. Any thread.
 */
s64 endpoint_held_ms(const struct endpoint *ep, const char **file);
/* Tells the endpoint that the guest takes input again. Any thread. */
void endpoint_room(struct endpoint *ep);

/*
 * Leaves it to another process to remove the socket's file at the end: a confined VMM names no path
 * any more, and its filter ends it if it tries. Returns true with *file, which points into @ep, if
 * there is one to be removed; by its id, so that another file that lies there by now stays.
 */
bool endpoint_disown(struct endpoint *ep, struct confine_file *file);

#endif
