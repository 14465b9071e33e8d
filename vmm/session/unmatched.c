// SPDX-License-Identifier: GPL-2.0-only
/* Finds lines of a policy by which nothing will be seen, since no driver has such a function. */
#include "vmm/session/unmatched.h"

#include "policy/index.h"
#include "vmm/machine/machine.h"
#include "vmm/session/driver.h"

bool session_imports_like(const struct session *ss, const char *pattern)
{
	for (const struct driver *d = ss->drivers; d; d = d->next)
		for (size_t i = 0; i < d->n_entries; i++)
			if (driver_entry_can_be_seen(d, &d->entries[i]) &&
			    glob_match(pattern, d->entries[i].symbol))
				return true;
	return false;
}

bool session_hands_out_like(const struct session *ss, const char *pattern)
{
	for (const struct driver *d = ss->drivers; d; d = d->next)
		for (size_t i = 0; i < d->n_inward; i++)
			if (inward_can_be_watched(&d->inward[i]) &&
			    glob_match(pattern, d->inward[i].symbol))
				return true;
	return false;
}

static bool has_bit(u64 told, size_t line)
{
	return told & 1ULL << line % 64;
}

static void note_traces(const struct note_sink *to, struct session *ss)
{
	const char *pattern, *rule;

	for (size_t i = 0; (pattern = policy_trace_at(ss->policy, i, &rule)); i++) {
		if (has_bit(ss->told_traces, i) || session_imports_like(ss, pattern))
			continue;
		ss->told_traces |= 1ULL << i % 64;
		note_put(to,
			 "%s: no function that the drivers of session %s import and that can be "
			 "seen is like \"%s\"",
			 rule, ss->name, pattern);
	}
}

static void note_watches(const struct note_sink *to, struct session *ss)
{
	const char *pattern, *rule;

	for (size_t i = 0; (pattern = policy_watch_at(ss->policy, i, &rule)); i++) {
		if (has_bit(ss->told_watches, i) || session_hands_out_like(ss, pattern))
			continue;
		ss->told_watches |= 1ULL << i % 64;
		note_put(to,
			 "%s: no function that the drivers of session %s hand out and that can be "
			 "watched is like \"%s\"",
			 rule, ss->name, pattern);
	}
}

void session_note_unmatched(const struct note_sink *to, struct session *ss)
{
	_Static_assert(POLICY_TRACES_MAX <= 64, "a bit for each line");
	if (!ss->drivers || !ss->policy)
		return;
	/* With layout = "same" it is noted when the policy is loaded. */
	if (policy_layout(ss->policy) != LAYOUT_SAME)
		note_traces(to, ss);
	note_watches(to, ss);
}

void sessions_note_unmatched(struct sessions *s)
{
	for (struct session *ss = s->list; ss; ss = ss->next)
		session_note_unmatched(machine_notes(s->m), ss);
}
