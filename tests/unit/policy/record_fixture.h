/* SPDX-License-Identifier: GPL-2.0-only */
/* Puts lines into a record as a driver's calls do. */
#ifndef UMBRA_TESTS_UNIT_POLICY_RECORD_FIXTURE_H
#define UMBRA_TESTS_UNIT_POLICY_RECORD_FIXTURE_H

#include "policy/record.h"

/* What kind of call it is. */
struct fixture_call {
	const char *session;
	enum verdict verdict;
	bool first, atomic;
	const char *name; /* NULL: "/x" */
};

/* Has a call of filp_open() recorded, at @time. Returns what record_write() does. */
static inline int fixture_call_put(struct record *r, u64 time, const struct fixture_call *c)
{
	struct policy_request req = { .fn = catalog_find("filp_open"),
				      .name = c->name ? c->name : "/x",
				      .atomic = c->atomic };
	/* Not all of it is looked at, and it is large. */
	static const struct decision none;
	struct decision d = none;
	const struct record_call call = { .time_ns = time,
					  .session = c->session,
					  .driver = "lime",
					  .req = &req,
					  .d = &d,
					  .first = c->first };
	struct record_line line = { .buf = NULL };
	int ret;

	d.verdict = c->verdict;
	d.error = 1;
	d.record = true;
	d.rule = "r";
	ret = record_add(r, &call, &line);
	return ret ? ret : record_write(r, &line);
}

/*
 * Puts ordinary lines of @session until one is lost, from @time on, of a record whose file takes
 * none. Returns the time of the next one.
 */
static inline u64 fixture_fill(struct record *r, const char *session, u64 time)
{
	const struct fixture_call call = { .session = session, .verdict = VERDICT_PASS };
	struct record_status before, now;

	record_status(r, &before);
	do {
		fixture_call_put(r, time++, &call);
		record_status(r, &now);
	} while (now.lost == before.lost);
	return time;
}

/* Does so with refusals of tasks that may not sleep. */
static inline u64 fixture_fill_reserve(struct record *r, const char *session, u64 time)
{
	const struct fixture_call call = { .session = session,
					   .verdict = VERDICT_DENY,
					   .atomic = true };

	while (!fixture_call_put(r, time++, &call))
		;
	return time;
}

#endif
