/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The record of requests. Every decision goes in; repeats of one call by one driver are one row
 * with a count. With a file (--record) every single request is also a line of JSON there, written
 * before the answer reaches the guest, so that the file survives the guest's and the VMM's death.
 * record_add() may be called from any vCPU thread.
 */
#ifndef UMBRA_RECORD_H
#define UMBRA_RECORD_H

#include <stdio.h>

#include "policy/policy.h"

struct record;

/* @path NULL: memory only. An existing file is not overwritten: -EEXIST. */
int record_create(struct record **out, const char *path, struct err *e);
/* Flush and close; -errno if something could not be written at any time (disk full). */
int record_close(struct record *r, struct err *e);

/*
 * @time_ns since the guest's start. -errno if the file could not be written: the caller then
 * refuses the request rather than lose it silently.
 */
int record_add(struct record *r, u64 time_ns, const char *session, const char *driver,
	       const struct request *req, const struct decision *d);
/* An event that is not a call: "doorbell refused", "blocked write", with a text. */
int record_event(struct record *r, u64 time_ns, const char *kind, const char *text);

/* The table for people (columns fit @width; 0: no limit; colour if @colour), or JSON. */
int record_print(struct record *r, FILE *to, unsigned width, bool colour);
int record_print_json(struct record *r, FILE *to);
/* Read back a --record file (hostile, perhaps cut in the middle of a line) into a memory record. */
int record_read(struct record **out, const char *path, struct err *e);

#endif
