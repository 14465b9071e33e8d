/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Follows calls live for `vmm trace`: what a client asked for is seen besides what the policy says,
 * as long as the client's socket is open.
 *
 * A client gets the lines of the record (policy/record.h) about its functions, whether the record
 * has them or not, each a line of JSON; or with @count, at the end, one line for each function:
 *   {"function":"kfree","calls":12,"errors":0,"ns":3120}
 * Its half of the socket that it shuts down (SHUT_WR) is the end: what is still in the guest's
 * rings comes then, and the other half closes. A client that reads too slowly loses lines, and is
 * told how many where they would stand ("lines lost"); it never holds up the guest. Counts lose
 * nothing but what the guest's ring has lost.
 * When the guest ends or is reset an event RECORD_TRACE_ENDED says so before the socket closes; so
 * a socket that closes without is one of a VMM that is gone.
 *
 * A call that was decided is told at its end, with its result; one that is not over when the client
 * ends, without.
 *
 * All functions are called on the loop's thread.
 */
#ifndef UMBRA_VMM_GATE_TRACE_H
#define UMBRA_VMM_GATE_TRACE_H

#include <stddef.h>

#include "base/err.h"
#include "base/types.h"

struct gate;

#define GATE_TRACES_MAX	  16
#define GATE_TRACE_BUFFER (4u << 20) /* bytes of lines that wait for a client */

struct gate_trace_request {
	const char *session;
	const char *driver;	      /* a pattern, as gate_trace_driver() has it; NULL: all */
	const char *const *functions; /* patterns; n == 0: all */
	size_t n;
	bool count;
	bool errors; /* only calls that failed or were refused */
};

/*
 * Begins to follow, for the client at the other end of the stream socket @fd, which is taken over
 * if this succeeds. -ENOTSOCK, -EBUSY, -ENOMEM and a line.
 */
int gate_trace_begin(struct gate *g, const struct gate_trace_request *r, int fd, struct err *e);
/* Returns true if a driver is like @pattern; - and _ are one, as in names of modules. */
bool gate_trace_driver(const char *pattern, const char *driver);

#endif
