/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes the lines of a `vmm run` whose guest lives to stderr; no thread ever waits for their
 * reader.
 *
 * O_NONBLOCK belongs to the open file, which stderr shares with the user's shell, so it is not set;
 * poll(2) is asked before each write instead, of no more than has room then: PIPE_BUF bytes of a
 * pipe or a file, one byte of a terminal. Where the guest's console is on the terminal, such lines
 * would be torn by it, so the terminal is opened once more, with O_NONBLOCK for us alone.
 *
 * That does not do for what a guest's event loop waits for: the storage of a file may not answer,
 * not even to poll(2), and another writer to the same pipe can take the room between poll() and
 * write(). So while there is a guest, a thread of its own writes (vmm/machine/file_writer.h), but
 * for the terminal that is opened once more. It is made for the first line: most guests have none.
 *
 * Text that stderr does not take is kept, up to RUN_NOTES_KEPT bytes, and goes out before the next
 * line; further lines are lost, and a line says how many.
 *
 * A line ends with "\n", on a raw terminal with "\r\n". It may name what a guest or a file chose,
 * so it is made harmless for a terminal (base/plain_text.h).
 */
#ifndef UMBRA_VMM_CLI_RUN_NOTES_H
#define UMBRA_VMM_CLI_RUN_NOTES_H

#include <pthread.h>

#include "base/types.h"

#define RUN_NOTES_KEPT 16384U
#define RUN_NOTES_LOG  ((size_t)1 << 20) /* bytes that a guest may add to a log that vmm keeps */

struct file_writer;
struct host;

struct run_notes {
	pthread_mutex_t lock;
	int terminal; /* stderr's, opened once more, or -1 */
	bool raw;     /* ... or it would have been: lines end as a raw terminal needs it */
	bool gone;    /* lines are dropped */
	struct file_writer *writer; /* NULL: each line is written by the thread that puts it */
	size_t len;
	unsigned lost;
	size_t left; /* bytes, for run_notes_of_guest() */
	char kept[RUN_NOTES_KEPT];
};

/* Begins with stderr as it is, and no limit. */
void run_notes_init(struct run_notes *n);
/* Looks at stderr, when the console is set up and files can still be opened. */
void run_notes_look(struct run_notes *n);
/*
 * Has a thread write from now on, which @host makes, in its filter; if there is no memory for that,
 * all is as before. Main thread.
 */
void run_notes_serve(struct run_notes *n, struct host *host);
/*
 * Puts the last line, if it is known that stderr is a regular file. -EAGAIN: that is not known yet,
 * ask again; -ENOTSUP: it is none, or there is no such thread. Never waits. Main thread.
 */
int run_notes_put_to_file(struct run_notes *n, const char *line);
/*
 * Returns true as long as that thread has lines for a regular file that is not full: its storage
 * may not answer, and the process cannot end before it does. Never waits. Main thread.
 */
bool run_notes_busy(struct run_notes *n);
/*
 * Returns for how many milliseconds this host's kernel has had a line; 0: it has none. Main thread.
 */
s64 run_notes_held_ms(struct run_notes *n);
/*
 * Waits a quarter of a second at most until stderr has all lines, then ends that thread, before
 * @host goes, within the same time. One that stderr still holds is left alone, and no line is
 * printed any more. Main thread, when no other puts anything.
 */
void run_notes_leave(struct run_notes *n);
/* Prints "vmm: LINE". Any thread. */
void run_notes_put(struct run_notes *n, const char *line);
/*
 * Does the same for what may happen again and again while the guest runs: prints nothing more after
 * @bytes of run_notes_limit() but a line that says so. Any thread.
 */
void run_notes_of_guest(struct run_notes *n, const char *line);
/* Sets the limit of run_notes_of_guest(), before there is a second thread; else there is none. */
void run_notes_limit(struct run_notes *n, size_t bytes);
/*
 * Prints @text as it is, after all lines. It is kept as they are; one that finds no room is lost as
 * a whole. Any thread.
 */
void run_notes_put_text(struct run_notes *n, const char *text);
/* Prints @text as it is, unless stderr would make the caller wait. Any thread. */
void run_notes_show(struct run_notes *n, const char *text);
/*
 * Waits a quarter of a second at most for the reader of what was kept: the console has had most of
 * the second in which a guest ends. No other thread puts anything any more.
 */
void run_notes_end(struct run_notes *n);

#endif
