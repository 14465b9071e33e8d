// SPDX-License-Identifier: GPL-2.0-only
/*
 * Watches the kernel's calls of drivers' functions: a descriptor of each for the shim, at the end
 * of the info page's table, and a line of the record for each call that the shim tells of.
 *
 * The place of a driver's function is known only while that driver is loaded, so a descriptor
 * belongs to one driver, other than those of functions that drivers call (seen.c), and goes with
 * it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/gate/gate_int.h"

struct watched {
	struct catalog_fn row; /* for the record, with the argument told; name NULL: free */
	bool has_more_args;
	unsigned caller;
	enum kernel_result result;
};

int gate_watch(struct gate *g, const struct gate_watch *w, u32 *fn)
{
	char *name = strdup(w->symbol);
	u32 i = 0;

	if (!g->watched)
		g->watched = calloc(UMBRA_WATCHED_MAX, sizeof(*g->watched));
	if (!name || !g->watched) {
		free(name);
		return -ENOMEM;
	}
	while (i < UMBRA_WATCHED_MAX && g->watched[i].row.name)
		i++;
	if (i == UMBRA_WATCHED_MAX) {
		free(name);
		return -ENOSPC;
	}
	*fn = UMBRA_WATCHED_FIRST + i;
	g->info->fns[*fn] = (struct umbra_fn){ .real = w->real,
					       .nargs = w->args,
					       .refusal = UMBRA_REFUSE_NEVER,
					       .how = UMBRA_HOW_WATCH };
	pthread_rwlock_wrlock(&g->callers_lock);
	g->watched[i] = (struct watched){
		.row = { .name = name, .args = w->args ? 1 : 0, .refusal = REFUSE_NEVER },
		.has_more_args = w->args > 1,
		.caller = w->caller,
		.result = w->result,
	};
	pthread_rwlock_unlock(&g->callers_lock);
	return 0;
}

void gate_unwatch(struct gate *g, u32 fn)
{
	struct watched *w;

	if (fn < UMBRA_WATCHED_FIRST || fn >= UMBRA_FN_MAX || !g->watched)
		return;
	w = &g->watched[fn - UMBRA_WATCHED_FIRST];
	pthread_rwlock_wrlock(&g->callers_lock);
	free((void *)(uintptr_t)w->row.name);
	*w = (struct watched){ .caller = 0 };
	pthread_rwlock_unlock(&g->callers_lock);
	memset(&g->info->fns[fn], 0, sizeof(g->info->fns[fn]));
}

void gate_watched_forget(struct gate *g)
{
	for (size_t i = 0; g->watched && i < UMBRA_WATCHED_MAX; i++)
		free((void *)(uintptr_t)g->watched[i].row.name);
	free(g->watched);
	g->watched = NULL;
}

/* Writes the arguments: the first, which is most often the object. */
static void watched_call_text(const struct watched *w, const struct watched_call *c, char *buf,
			      size_t len)
{
	if (!w->row.args)
		buf[0] = '\0';
	else
		snprintf(buf, len, "0x%" PRIx64 "%s", c->arg, w->has_more_args ? ", ..." : "");
}

static void watched_result_text(const struct watched *w, u64 result, char *buf, size_t len)
{
	buf[0] = '\0';
	if (w->result == RESULT_INT)
		/* an int's upper half is anything */
		snprintf(buf, len, "%" PRId64,
			 result >> 32 && result >> 32 != UINT32_MAX ? (s64)result
								    : (s64)(s32)result);
	else if (w->result != RESULT_VOID)
		snprintf(buf, len, "0x%" PRIx64, result);
}

/* Makes the line, if the policy in force wants it; the callers' lock is held. */
static void watched_record(struct gate *g, const struct gate_caller *caller,
			   const struct watched *w, struct policy_request *r,
			   struct record_line *line)
{
	struct decision d;
	struct record_call what = { .time_ns = g->now(g->m),
				    .session = caller->session,
				    .driver = caller->driver,
				    .req = r,
				    .d = &d };

	/* not the long texts, of which none is looked at */
	memset(&d, 0, offsetof(struct decision, root));
	d.root[0] = d.name[0] = '\0';
	d.rule = policy_watched(caller->policy, w->row.name);
	if (!d.rule)
		return;
	d.verdict = VERDICT_PASS;
	d.record = true;
	/* The call is over: a line that there is no room for is lost, and counted. */
	record_add(g->rec, &what, line);
}

s64 gate_watched(struct gate *g, unsigned vcpu, const struct watched_call *c)
{
	const u32 fn = UMBRA_ID_FN((u32)c->id);
	struct record_line line = { .buf = NULL };
	const struct gate_caller *caller;
	const struct watched *w = NULL;
	struct policy_request r;
	char call[64], result[32];

	if (c->id > UINT32_MAX || fn < UMBRA_WATCHED_FIRST ||
	    UMBRA_ID_CALLER((u32)c->id) >= UMBRA_CALLERS)
		return -EINVAL;
	pthread_rwlock_rdlock(&g->callers_lock);
	caller = gate_caller_of(g, c->id);
	if (caller && g->watched)
		w = &g->watched[fn - UMBRA_WATCHED_FIRST];
	/* The guest can name any: it is one that this caller has. */
	if (!w || !w->row.name || w->caller != UMBRA_ID_CALLER((u32)c->id)) {
		pthread_rwlock_unlock(&g->callers_lock);
		return -EINVAL;
	}
	watched_call_text(w, c, call, sizeof(call));
	watched_result_text(w, c->result, result, sizeof(result));
	r = (struct policy_request){ .fn = &w->row,
				     .args = { c->arg },
				     .vcpu = vcpu,
				     .pid = (u32)c->pid,
				     .call = call,
				     .result = result,
				     .duration_ns = c->ns,
				     .atomic = true /* for all that is known */ };
	watched_record(g, caller, w, &r, &line);
	pthread_rwlock_unlock(&g->callers_lock);
	if (line.len)
		record_write(g->rec, &line);
	return 0;
}
