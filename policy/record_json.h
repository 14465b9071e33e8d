/* SPDX-License-Identifier: GPL-2.0-only */
/* Makes a line of JSON of a request or an event; private to the room. */
#ifndef UMBRA_POLICY_RECORD_JSON_H
#define UMBRA_POLICY_RECORD_JSON_H

#include "policy/policy.h"
#include "policy/record_line.h"

/* One request or event as strings; any may be NULL. */
struct record_entry {
	u64 time_ns;
	const char *session;
	const char *driver;
	const char *function; /* or the kind of an event */
	const char *asked;    /* or the text of an event */
	const char *argv;
	const char *used;
	const char *verdict;
	const char *error;
	const char *rule;
	/* In a file that is read; rows do not keep them. */
	const char *call, *result, *site;
	const u64 *args;
	unsigned n_args;
	const struct policy_request *req; /* who called; for a line of the file only */
	u64 lost;			  /* of an event: how many lines it stands for */
	bool event;
	bool is_end; /* in a file that is read: of a call that has had a line before */
};

/*
 * Adds to the line. Without memory for it the line is marked as failed, which the caller looks at
 * once, at the end.
 */
void line_add(struct record_line *t, const char *s, size_t len);

/* Writes the entry as one line of JSON without a newline; @count not 0: as a row of the summary. */
void record_json(struct record_line *t, const struct record_entry *e, u64 count, u64 last_ns);
/* Ends the line; one that has failed is freed, and has no bytes then. */
void record_json_end(struct record_line *t);
/*
 * Writes, as a line, the event that @e->lost lines @of this session, or others, are missing since
 * @e->time_ns; @more: what the text has to add.
 */
void record_json_lost(struct record_line *t, const struct record_entry *e, const char *of,
		      const char *more);
/* Undoes the escape of bytes in a string that came out of JSON, in place. */
void record_json_unescape(char *s);

#endif
