/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps log and exit code of guests in the background, for questions after their end: `vmm ps
 * --all`, `vmm logs` and `vmm wait`. Below the directory of the control sockets:
 *
 *	ended/NAME.log	what the guest's vmm wrote to stderr
 *	ended/NAME.end	locked (flock) as long as one of its processes lives; then one object,
 *			{ "code": N, "time": SECONDS }, or nothing if they were killed
 *
 * The ENDED_MAX guests that ended last are kept, for ENDED_DAYS days; a new guest takes the place
 * of an older one of its name. A guest that lives is never removed.
 */
#ifndef UMBRA_VMM_CONTROL_ENDED_H
#define UMBRA_VMM_CONTROL_ENDED_H

#include "base/err.h"
#include "base/types.h"

#define ENDED_MAX  20U
#define ENDED_DAYS 7

/* --- of a guest that is started --------------------------------------------------------------- */

struct ended;

/*
 * Makes files without a guest's name, locked; removes older guests. Before the guest's processes
 * fork.
 */
int ended_begin(struct ended **out, struct err *e);
/* Returns the log's descriptor, to append to it. */
int ended_log(const struct ended *n);
/* Renames the files to the guest's name. -EINVAL: @name is none; other -errno. */
int ended_set_name(struct ended *n, const char *name, struct err *e);
/* Writes that the guest ended with exit code @code. Called by the last of its processes. */
void ended_set_code(struct ended *n, int code);
/* Frees @n; removes files that got no name, if @discard. NULL allowed. */
void ended_free(struct ended *n, bool discard);

/* --- questions ------------------------------------------------------------------------------- */

struct ended_guest {
	char name[64];
	bool running;
	bool known; /* code and time are known; else the guest was killed and wrote nothing */
	int code;
	long long time; /* when it ended: seconds of CLOCK_REALTIME */
};

/* Lists all guests that are kept, the oldest end first; free() them. */
int ended_list(struct ended_guest **out, size_t *n, struct err *e);
/* Waits until @name has ended; *out has its exit code. -ENOENT: none is kept. */
int ended_wait(const char *name, struct ended_guest *out, struct err *e);
/* Opens the guest's log for reading. Returns the descriptor; -ENOENT. */
int ended_open_log(const char *name, struct err *e);

#endif
