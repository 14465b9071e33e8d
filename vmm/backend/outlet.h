/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes bytes to a descriptor whose reader may be slow, stuck or gone, or whose disk is full or
 * does not answer, so that no thread ever waits in write(2) for it.
 *
 * The bytes go through a ring of OUTLET_RING. O_NONBLOCK belongs to the open file, which a terminal
 * or a pipe shares with the user's shell, so it is not set on a descriptor that this process was
 * started with. Instead:
 *
 *	pipe, terminal	opened once more by way of /proc/self/fd, with O_NONBLOCK for us alone;
 *			where that is refused (a terminal of another user), poll(2) is asked before
 *			each write of no more than has room then
 *	socket		send(2) with MSG_DONTWAIT
 *	file		written by a thread of its own (vmm/machine/file_writer.h), since its
 *			storage may not answer. If the disk is full, or the file has
 *			OUTLET_FILE_MAX bytes, it is tried again each second, and goes on when there
 *			is room or the file is shortened
 *
 * Flow control: a source that may be refused gets no more in than the ring has room for. One that
 * cannot wait (a serial port) is held up for as long as the reader, or the file's storage, takes
 * something at least every OUTLET_PATIENCE_MS; when it does not, the source goes on and the oldest
 * bytes in the ring are lost, until something is taken again. No source waits for a full disk: it
 * costs both kinds the oldest bytes. Where bytes were lost, a line in the output says how many.
 */
#ifndef UMBRA_VMM_BACKEND_OUTLET_H
#define UMBRA_VMM_BACKEND_OUTLET_H

#include "base/loop.h"
#include "base/types.h"
#include "devices/host.h"

#define OUTLET_RING	   65536U
#define OUTLET_PATIENCE_MS 250
#define OUTLET_FILE_MAX	   ((u64)256 << 20) /* bytes of a regular file */

struct outlet;

struct outlet_config {
	struct loop *loop;
	struct host *host; /* makes the thread of a file */
	int fd;
	/* @fd is open for us alone: non-blocking, if it can block, and closed at the end. */
	bool ours;
	/* Text for people: written by lines or after 10 ms, and losses are marked in it. */
	bool lines;
	/*
	 * Called when outlet_write() has refused bytes and would take some now. Main thread. May be
	 * NULL.
	 */
	void (*room)(void *arg);
	void *arg;
};

/* Makes an outlet. Main thread. -errno; the descriptor is then still the caller's. */
int outlet_create(struct outlet **out, const struct outlet_config *c);
/*
 * Goes on with the end of a file's outlet: what is left is written, unless the disk is full, and
 * the file is closed, by its thread. Returns true as long as that is under way; never waits. Main
 * thread, when no other writes any more. It is false of other kinds, and of NULL.
 */
bool outlet_end(struct outlet *o);
/*
 * Returns for how many milliseconds the host's kernel has had the call under way for a file; 0:
 * there is none. Any thread. NULL allowed.
 */
s64 outlet_held_ms(const struct outlet *o);
/*
 * Writes what is left, as long as it is taken, until now_ms() is @until_ms; waits for a file as
 * long as its storage takes, unless outlet_end() has returned false. Returns how many bytes were
 * left over. Main thread, when no other writes any more. NULL allowed.
 */
u64 outlet_destroy(struct outlet *o, s64 until_ms);
/* Takes bytes; any thread. Returns how many were taken: all, or fewer if @may_refuse. */
size_t outlet_write(struct outlet *o, const u8 *buf, size_t len, bool may_refuse);

#endif
