// SPDX-License-Identifier: GPL-2.0-only
/*
 * Puts another policy in force in a guest that runs: checks it against what is loaded, then
 * replaces the old one everywhere.
 */
#include "vmm/session/policy_reload.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/catalog.h"
#include "vmm/machine/machine.h"
#include "vmm/session/driver.h"

/* Says what lets a policy be taken that @d stands against. */
static const char *way_out(const struct driver *d)
{
	return d->state == DRIVER_CRASHED ? "it has crashed and stays as long as the guest runs"
					  : "unload it first";
}

/* Returns a symbol that @d is linked to by a permission which @ps does not give, or NULL. */
static const char *no_longer_permitted(const struct driver *d, const struct policy_session *ps)
{
	for (size_t i = 0; i < d->n_permits; i++)
		if (!policy_permitted(ps, d->permits[i]))
			return d->permits[i];
	return NULL;
}

/*
 * Checks that @fn can become critical for @d while it runs: each of its calls must arrive at an
 * entry that can be turned. Under a second name, or by an address that it took, one would not.
 */
static int can_become_critical(const struct kernel *k, const struct driver *d,
			       const struct catalog_fn *fn, struct err *e)
{
	const struct kernel_export *ex = kernel_export(k, fn->name);
	int ret = 0;

	for (size_t i = 0; ex && i < d->n_direct; i++)
		if (d->direct[i].addr == ex->addr)
			return err_set(e, -EBUSY, "it is linked to the kernel's own %s",
				       d->direct[i].symbol);
	for (size_t i = 0; ex && i < d->n_entries; i++) {
		const struct driver_entry *de = &d->entries[i];

		if (de->addr != ex->addr || (d->layout == LAYOUT_SAME && de->fn == fn))
			continue;
		if (de->fn != fn)
			return err_set(e, -EBUSY, "it calls it as %s", de->symbol);
		if (de->address_taken)
			return err_set(e, -EBUSY, "it has taken the function's address");
		ret = driver_check_critical(k, d, fn, e);
	}
	if (ex && d->layout == LAYOUT_SAME)
		return err_set(e, -EBUSY, "the layout \"same\" has no gate for it");
	return ret;
}

/* Checks each function that @to mediates and the policy in force does not. */
static int check_newly_critical(const struct sessions *s, const struct session *ss,
				const struct policy_session *to, const char *path, struct err *e)
{
	const struct catalog_fn *all;
	struct err why;
	size_t n;

	all = catalog_all(&n);
	for (size_t i = 0; i < n; i++) {
		if (!policy_critical(to, all[i].name) || policy_critical(ss->policy, all[i].name))
			continue;
		for (const struct driver *d = ss->drivers; d; d = d->next)
			if (can_become_critical(s->k, d, &all[i], &why))
				return err_set(e, -EBUSY,
					       "%s: %s() becomes critical in session %s, which "
					       "driver %s:%s cannot have while it runs: %s; %s",
					       path, all[i].name, ss->name, ss->name, d->name,
					       why.text, way_out(d));
	}
	return 0;
}

/* Checks that @p can take the place of the policy under which the session's drivers were linked. */
static int session_fits(const struct sessions *s, const struct session *ss, const struct policy *p,
			const char *path, struct err *e)
{
	const struct policy_session *ps = policy_session(p, ss->name);
	const struct driver *d;
	const char *fn;

	if (!ss->drivers)
		return 0;
	if (!ps)
		return err_set(e, -ENOENT,
			       "%s has no session \"%s\", which has drivers; unload them first",
			       path, ss->name);
	for (d = ss->drivers; d; d = d->next) {
		fn = no_longer_permitted(d, ps);
		if (fn)
			return err_set(e, -EBUSY,
				       "%s: %s is no longer permitted in session %s, but driver "
				       "%s:%s is linked to it; %s",
				       path, fn, ss->name, ss->name, d->name, way_out(d));
	}
	return check_newly_critical(s, ss, ps, path, e);
}

/* Makes @ps the policy of every caller of the session, for its next call. */
static void session_set_policy(struct sessions *s, struct session *ss,
			       const struct policy_session *ps)
{
	struct driver *d;

	assert(ps || (!ss->drivers && !ss->caller)); /* else calls would use what is freed */
	ss->told_traces = ss->told_watches = 0;
	ss->policy = ps; /* NULL: an empty session that is no more */
	if (!ps)
		return;
	if (ss->caller)
		gate_caller_set_policy(s->gate, ss->caller, ps);
	for (d = ss->drivers; d; d = d->next)
		if (d->caller)
			gate_caller_set_policy(s->gate, d->caller, ps);
	/* When a call arrives at the gate its caller has the policy for it already. */
	for (d = ss->drivers; d; d = d->next)
		own_pages_turn(s, d);
}

const char *policy_trace_hint(const struct kernel *k, const char *name, char buf[SUGGEST_HINT])
{
	const struct kernel_export *ex;
	const char **words;
	size_t n;

	buf[0] = '\0';
	ex = kernel_exports(k, &n);
	words = calloc(n + 1, sizeof(*words));
	if (!words)
		return buf;
	for (size_t i = 0; i < n; i++)
		words[i] = ex[i].name;
	suggest_hint(buf, suggest_of(name, words, n));
	free(words);
	return buf;
}

void policy_note_traces(const struct sessions *s)
{
	const struct policy *p = s->policy;
	const char *pattern, *rule, *why;
	char hint[SUGGEST_HINT];
	struct kernel_call call;

	for (size_t i = 0; i < policy_session_count(p); i++) {
		const struct policy_session *ps = policy_session_at(p, i);

		if (policy_layout(ps) == LAYOUT_SAME && policy_trace_at(ps, 0, &rule)) {
			note_put(machine_notes(s->m),
				 "%s: session %s has layout \"same\", in which calls of critical "
				 "functions alone are seen, without their results",
				 rule, policy_session_name(ps));
			continue;
		}
		for (size_t k = 0; (pattern = policy_trace_at(ps, k, &rule)); k++) {
			if (strpbrk(pattern, "*?[\\") || catalog_find(pattern))
				continue;
			if (!kernel_export(s->k, pattern))
				note_put(machine_notes(s->m),
					 "%s: this kernel has no function %s that a driver could "
					 "import; nothing is seen by that%s",
					 rule, pattern, policy_trace_hint(s->k, pattern, hint));
			else if (kernel_call_shape(s->k, pattern, &call, &why))
				note_put(machine_notes(s->m), "%s: calls of %s cannot be seen: %s",
					 rule, pattern, why);
		}
	}
}

int policy_reload(struct sessions *s, const char *path, const void *text, size_t len, struct err *e)
{
	struct policy *p, *before = s->policy;
	struct session *ss;
	char *name = NULL;
	int ret = policy_load_bytes(&p, path, text, len, e);

	if (ret)
		return ret;
	for (ss = s->list; ss && !ret; ss = ss->next)
		ret = session_fits(s, ss, p, path, e);
	if (!ret && !(name = strdup(path)))
		ret = err_set(e, -ENOMEM, "%s: out of memory", path);
	if (ret) {
		policy_free(p);
		return ret;
	}
	s->policy = p;
	free(s->policy_path);
	s->policy_path = name;
	/* By the lines of the policy that was; once, as the guest can fill its rings meanwhile. */
	gate_drain(s->gate);
	for (ss = s->list; ss; ss = ss->next)
		session_set_policy(s, ss, policy_session(p, ss->name));
	/*
	 * No caller has it any more, and no call looks at it: gate_caller_set_policy() has waited
	 * for those in progress, but for one whose line is being written, which keeps nothing of
	 * it.
	 */
	policy_free(before);
	return 0;
}
