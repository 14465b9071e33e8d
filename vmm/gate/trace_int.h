/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Defines a client that follows calls, for trace.c, which serves it, and trace_lines.c, which has
 * lines for it.
 */
#ifndef UMBRA_VMM_GATE_TRACE_INT_H
#define UMBRA_VMM_GATE_TRACE_INT_H

#include "vmm/gate/gate_int.h"
#include "vmm/gate/trace.h"

#define COUNTS_MAX 16384 /* functions of one client: as many as there can be */

struct trace_count {
	const char *function; /* lives as long as the gate's table of functions, or the catalogue */
	u64 calls, errors, ns;
};

struct gate_trace {
	struct gate *g;
	struct gate_trace *next;
	unsigned bit; /* of a sight's `traces` */
	char *session, *driver;
	char **functions;
	size_t n;
	bool count, errors;
	bool ending; /* it sees nothing any more, and goes when all is sent */
	int fd;
	pthread_mutex_t lock; /* of what follows */
	char *buf;
	size_t at, len;
	u64 lost, lost_ns;
	struct trace_count *counts;
	size_t n_counts;
};

/* With the client's lock: adds a line, or counts it as lost. */
void gate_trace_add(struct gate_trace *t, const char *line, size_t len, u64 time_ns);
/* Tells it of lines that were lost, if there is room. */
void gate_trace_tell_loss(struct gate_trace *t);

#endif
