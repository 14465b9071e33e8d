/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads a regular file from a thread of its own, so that the event loop does not wait for storage
 * that does not answer: poll(2) and epoll(7) say nothing about files, and read(2) returns when the
 * host's kernel has the bytes.
 *
 * The thread reads ahead FILE_INLET_BUFFER bytes, and the next ones when those are taken. A read
 * that is held at the end is left alone, since nothing is lost with it: the thread frees what it
 * has when the kernel gives it back, or the process has ended by then.
 */
#ifndef UMBRA_VMM_BACKEND_FILE_INLET_H
#define UMBRA_VMM_BACKEND_FILE_INLET_H

#include <sys/types.h>

#include "base/loop.h"
#include "devices/host.h"

#define FILE_INLET_BUFFER 4096U

struct file_inlet;

struct file_inlet_config {
	struct host *host; /* makes the thread */
	struct loop *loop;
	int fd; /* stays the caller's, and open */
	/* Called on the loop's thread when file_inlet_read() has something after -EAGAIN. */
	void (*ready)(void *arg);
	void *arg;
};

/* Makes an inlet, which reads nothing yet. -ENOMEM. */
int file_inlet_create(struct file_inlet **out, const struct file_inlet_config *c);
/* Begins to read, when threads can be made. Main thread. */
void file_inlet_start(struct file_inlet *in);
/* Never waits. Main thread, when the loop does not run any more. NULL allowed. */
void file_inlet_destroy(struct file_inlet *in);
/*
 * Takes bytes that were read. Returns their number; 0: that was the end, or the file cannot be
 * read; -EAGAIN: there is nothing now. Never waits. Main thread.
 */
ssize_t file_inlet_read(struct file_inlet *in, void *buf, size_t len);

#endif
