/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes bytes to a file from a thread of its own, so that no other thread waits for storage that
 * does not answer.
 *
 * write(2) to a regular file waits for as long as its file system is frozen (fsfreeze(8)), its
 * server is gone (NFS) or its process is stuck (FUSE), and so may fstat(2) and close(2); no flag
 * and no poll(2) changes that. The thread makes these calls. Everybody else copies bytes into a
 * ring of FILE_WRITER_RING, or does not when it has no room.
 *
 * A file that takes nothing at present because the disk is full, a limit is reached or it has
 * file_writer_config.max bytes is full. Storage that answers "no" is no storage that does not
 * answer: the thread tries again each second, and goes on when there is room or the file has been
 * shortened.
 *
 * Ring and thread are made when the first bytes come, so a file that nothing is written to costs
 * nothing; but for its close at the end, which may wait as well and is the thread's.
 */
#ifndef UMBRA_VMM_MACHINE_FILE_WRITER_H
#define UMBRA_VMM_MACHINE_FILE_WRITER_H

#include "devices/host.h"

#define FILE_WRITER_RING 65536U

struct file_writer;

struct file_writer_config {
	struct host *host; /* makes the thread, and outlives it */
	int fd;
	bool ours;     /* @fd is closed at the end */
	bool look;     /* file_writer_regular() is asked */
	u64 size, max; /* bytes that the file has and that it gets at most; @max 0: any number */
	/*
	 * Called on the writer's thread when file_writer_put() has refused bytes and would take
	 * some now, or when the file has become full. May be NULL.
	 */
	void (*room)(void *arg);
	void *arg;
};

/* Makes a writer. -ENOMEM; the descriptor is then still the caller's. */
int file_writer_create(struct file_writer **out, const struct file_writer_config *c);
/*
 * Waits for the end of the thread, after file_writer_end(), and frees the writer. Returns how many
 * bytes the file did not take. NULL allowed.
 */
u64 file_writer_destroy(struct file_writer *w);

/*
 * Takes bytes; any thread, and never waits. Returns how many were taken; with @whole that is all or
 * none.
 */
size_t file_writer_put(struct file_writer *w, const void *buf, size_t len, bool whole);
/*
 * Waits up to @ms until the file has taken something or has become full, for a source that cannot
 * be refused; after file_writer_end(), also until the thread has ended. Any thread that may wait.
 */
void file_writer_wait(struct file_writer *w, s64 ms);
/* Returns true if the file takes nothing at present, though its storage answers. Any thread. */
bool file_writer_is_full(struct file_writer *w);
/* Returns how many bytes wait in the ring or are being written. Any thread. */
size_t file_writer_pending(struct file_writer *w);
/*
 * Returns for how many milliseconds the call under way, of the thread, has been in the host's
 * kernel; 0: there is none. Any thread.
 */
s64 file_writer_held_ms(struct file_writer *w);

/*
 * Returns 1 if the descriptor is a regular file's, 0 if it is not, of a writer with
 * file_writer_config.look; -EAGAIN: not known yet, since the storage is asked for it by the thread,
 * which this call has made. Never waits. Any thread.
 */
int file_writer_regular(struct file_writer *w);

/*
 * Goes on with the end: has the thread write what the ring has, unless the file is full, close the
 * descriptor and end. @more: there are bytes for which the ring had no room, and which the caller
 * puts as soon as it has; the thread waits for them, unless the file is full. Returns true as long
 * as that is under way; it is to be called until it is not. Never waits. On the thread that makes
 * the host's threads.
 */
bool file_writer_end(struct file_writer *w, bool more);

#endif
