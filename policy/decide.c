// SPDX-License-Identifier: GPL-2.0-only
/* Decides a request by the tables and rules of its session. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "policy/path.h"
#include "policy/policy_int.h"

const char *verdict_name(enum verdict v)
{
	switch (v) {
	case VERDICT_PASS:
		return "pass";
	case VERDICT_REWRITE:
		return "rewrite";
	case VERDICT_DENY:
		return "deny";
	case VERDICT_EMULATE:
		return "emulate";
	case VERDICT_PENDING:
		return "pending";
	default:
		return "?";
	}
}

static void decision_deny(struct decision *d, int error, const char *rule)
{
	d->verdict = VERDICT_DENY;
	d->error = error;
	d->resolve = 0;
	d->rule = rule;
	d->root[0] = d->name[0] = '\0';
}

/* Decides to pass the call with @name, of at most REQUEST_NAME_MAX - 1 bytes. */
static void decision_pass(struct decision *d, const char *name, const char *rule)
{
	d->verdict = VERDICT_PASS;
	d->rule = rule;
	if (name)
		memcpy(d->name, name, strlen(name) + 1);
}

/* Decides what nothing else in the session covers; @name as of decision_pass(). */
static void decide_by_default(const struct policy_session *s, const char *name, struct decision *d)
{
	if (s->default_pass)
		decision_pass(d, name, s->default_rule);
	else
		decision_deny(d, EPERM, s->default_rule);
}

/* Compares a driver's name with a rule's as the kernel compares modules': '-' and '_' are one. */
static bool driver_is(const char *name, const char *wanted)
{
	for (; *name && *wanted; name++, wanted++)
		if (*name != *wanted && !(strchr("-_", *name) && strchr("-_", *wanted)))
			return false;
	return *name == *wanted;
}

/*
 * Finds the first rule of @s that fits, of those below *best. @name may be NULL: then only rules
 * that match any name fit.
 */
static void first_rule(const struct policy_session *s, u32 tag, const char *driver,
		       const char *name, u32 *best)
{
	const struct index *ix = &s->rule_index;
	size_t len = name ? strlen(name) : 0;
	u64 hash = index_hash_start(tag);
	const struct index_entry *e;

	for (size_t at = 0; at <= len; at++) {
		e = index_has_length(ix, at) ? index_find(ix, hash, tag, name ? name : "", at)
					     : NULL;
		for (; e && e->id < *best; e = index_next(ix, e)) {
			const struct fn_rule *r = &s->rules[e->id];

			if (r->driver && !driver_is(driver, r->driver))
				continue;
			if (!r->match ||
			    (name && (r->exact ? at == len : glob_match(r->match, name)))) {
				*best = e->id;
				break;
			}
		}
		if (at < len)
			hash = index_hash_step(hash, name[at]);
	}
}

static const struct fn_rule *find_rule(const struct policy_session *s, const struct catalog_fn *fn,
				       const char *driver, const char *name)
{
	u32 best = UINT32_MAX;

	if (!s->rule_index.count)
		return NULL;
	first_rule(s, catalog_index(fn), driver, name, &best);
	first_rule(s, FN_ANY, driver, name, &best);
	return best == UINT32_MAX ? NULL : &s->rules[best];
}

/*
 * Returns the entry with the longest @key that is @path, of @path_len bytes, or a directory above
 * it; *len: length of its key.
 */
static const struct file_entry *session_find_file(const struct policy_session *s, enum file_key key,
						  const char *path, size_t path_len, size_t *len)
{
	const struct index *ix = &s->file_index;
	const struct index_entry *e, *best = NULL;
	u64 hash = index_hash_start(key);

	if (!ix->count)
		return NULL;
	for (size_t at = 0; at <= path_len; at++) {
		if ((path[at] == '/' || at == path_len) && index_has_length(ix, at)) {
			e = index_find(ix, hash, key, path, at);
			best = e ? e : best;
		}
		if (at < path_len)
			hash = index_hash_step(hash, path[at]);
	}
	if (!best)
		return NULL;
	*len = best->len;
	return &s->files[best->id];
}

/*
 * Returns true if the calling task has a root that the guest's init cannot say by a path, or says
 * by one that is not its own "/".
 */
static bool has_own_root(const struct policy_request *r)
{
	return r->root && (r->other_mounts || strcmp(r->root, "/") != 0);
}

/*
 * Lets the driver have the rest of @p, behind its first @skip bytes, below the first @root_len
 * bytes of @root.
 */
static void decision_in_root(struct decision *d, const char *root, size_t root_len,
			     const struct path *p, size_t skip, const char *rule)
{
	const char *rest = p->text + skip;
	char *to;

	rest += *rest == '/';
	d->verdict = VERDICT_REWRITE;
	d->resolve = DECISION_IN_ROOT;
	d->rule = rule;
	if (!root_len) {
		root = "/";
		root_len = 1;
	}
	/* It fits: it is of @p, or of the policy, whose paths are not longer. */
	memcpy(d->root, root, root_len);
	d->root[root_len] = '\0';
	/* It fits: at least one slash of @p is gone. */
	to = stpcpy(d->name, *rest ? rest : ".");
	if (*rest && p->dir)
		memcpy(to, "/", 2);
}

/*
 * Rewrites the path of a program. A kernel thread starts it from the guest's root, by a plain path,
 * so there is no root to confine it to, only a text in front.
 */
static void decision_below(struct decision *d, const char *root, const struct path *p, size_t skip,
			   const char *rule)
{
	const char *rest = p->text + skip;
	int n;

	rest += *rest == '/';
	n = snprintf(d->name, sizeof(d->name), "%s%s%s%s", root, *rest || !*root ? "/" : "", rest,
		     *rest && p->dir ? "/" : "");
	if (n >= (int)sizeof(d->name)) {
		decision_deny(d, ENAMETOOLONG, rule);
		return;
	}
	d->verdict = VERDICT_REWRITE;
	d->rule = rule;
}

/* Lets a program's path through: as asked, if the string asked for is the one that was checked. */
static void decision_pass_program(struct decision *d, const struct policy_request *r,
				  const struct path *p, const char *rule)
{
	if (!strcmp(r->name, p->text))
		decision_pass(d, r->name, rule);
	else
		decision_below(d, "", p, 0, rule);
}

/*
 * Lets @p through at its own place, walked from the calling task's root: what the driver opens for
 * a container is that one's file. @within is the length of the directory that the policy lets
 * through, of which nothing in it leads out, no link and no /proc/PID/root; 0: it names the file.
 */
static void decision_pass_path(struct decision *d, const struct policy_request *r,
			       const struct path *p, size_t within, const char *rule)
{
	size_t floor = has_own_root(r) ? p->floor : 0;
	bool as_asked = !strcmp(r->name, p->len > p->floor ? p->text + p->floor : "/");

	if (r->fn->space == SPACE_PROGRAM) {
		decision_pass_program(d, r, p, rule);
		return;
	}
	if (within < floor || within >= p->len)
		within = floor;
	decision_in_root(d, p->text + floor, within - floor, p, within, rule);
	if (as_asked)
		d->verdict = VERDICT_PASS;
	if (floor || r->other_mounts)
		d->resolve |= DECISION_CALLERS;
}

static void decide_by_table(const struct policy_session *s, const struct policy_request *r,
			    const struct path *p, struct decision *d)
{
	const struct file_entry *f;
	size_t skip;

	f = session_find_file(s, FILE_FROM, p->text, p->len, &skip);
	if (!f) {
		if (s->default_pass && r->fn->space == SPACE_FILE)
			decision_pass_path(d, r, p, 0, s->default_rule);
		else
			decision_deny(d, EPERM, s->default_rule);
		return;
	}
	d->record = d->record && f->record;
	if (f->action == ACTION_DENY)
		decision_deny(d, f->error, f->rule);
	else if (f->action == ACTION_PASS)
		decision_pass_path(d, r, p, skip, f->rule);
	else if (r->fn->space == SPACE_PROGRAM)
		decision_below(d, f->to, p, skip, f->rule);
	else
		decision_in_root(d, f->to, strlen(f->to), p, skip, f->rule);
	/* Where the guest's init does not see the caller's files, both places are the caller's. */
	if (r->other_mounts && d->resolve)
		d->resolve |= DECISION_CALLERS;
}

static void decide_path(const struct policy_session *s, const char *driver,
			const struct policy_request *r, struct decision *d)
{
	bool program = r->fn->space == SPACE_PROGRAM;
	const struct fn_rule *rule;
	struct path p;
	int ret;

	ret = path_resolve(&p, program ? NULL : r->root, program ? "/" : r->cwd, r->name);
	if (ret == -ENOENT)
		decision_deny(d, ENOENT, "empty path");
	else if (ret == -ENAMETOOLONG)
		decision_deny(d, ENAMETOOLONG, "path longer than 4095 bytes");
	else if (ret)
		decision_deny(d, ENOENT, "relative path of a caller without a reachable directory");
	if (ret)
		return;
	rule = find_rule(s, r->fn, driver, p.text);
	if (rule)
		d->record = rule->record;
	if (rule && rule->action == ACTION_DENY)
		decision_deny(d, rule->error, rule->rule);
	else if (rule && rule->action == ACTION_PASS)
		decision_pass_path(d, r, &p, 0, rule->rule);
	else if (!rule && program)
		decision_deny(d, EPERM, "programs: no rule permits one");
	else
		decide_by_table(s, r, &p, d);
}

/*
 * Decides which thing a name leads to: one of the session under the name that it really has, which
 * a driver reads in its own structures, or that it asked for; else the default has the word.
 */
static void decide_look_up(const struct policy_session *s, const char *driver,
			   const struct policy_request *r, struct decision *d)
{
	const struct name_template *t = &s->names[r->fn->space];

	if (r->is_registered && r->is_registered(r->is_registered_arg, r->name)) {
		decision_pass(d, r->name, "registered by its session");
	} else if (r->is_registered && t->before &&
		   !name_format(t, r->fn->space, driver, r->name, d->name) &&
		   r->is_registered(r->is_registered_arg, d->name)) {
		d->verdict = VERDICT_REWRITE;
		d->rule = t->rule;
	} else {
		decide_by_default(s, r->name, d);
	}
}

static void decide_name(const struct policy_session *s, const char *driver,
			const struct policy_request *r, struct decision *d)
{
	const struct name_template *t = &s->names[r->fn->space];
	const struct fn_rule *rule = find_rule(s, r->fn, driver, r->name);
	int ret;

	if (rule)
		d->record = rule->record;
	if (rule && rule->action == ACTION_DENY) {
		decision_deny(d, rule->error, rule->rule);
	} else if (rule && rule->action == ACTION_PASS) {
		decision_pass(d, r->name, rule->rule);
	} else if (r->led) {
		decision_pass(d, r->led, "in no directory of all");
		d->verdict = strcmp(r->led, r->name) != 0 ? VERDICT_REWRITE : VERDICT_PASS;
	} else if (r->fn->looks_up) {
		decide_look_up(s, driver, r, d);
	} else if (!t->before) {
		decide_by_default(s, r->name, d);
	} else if (r->by_user && name_is_valid(r->fn->space, r->name)) {
		decision_pass(d, r->name, "a user chose the name");
	} else {
		ret = name_format(t, r->fn->space, driver, r->name, d->name);
		if (ret) {
			decision_deny(d, -ret, ret == -ENAMETOOLONG ? t->rule_long : t->rule_bad);
			return;
		}
		d->verdict = *t->before || *t->after ? VERDICT_REWRITE : VERDICT_PASS;
		d->rule = t->rule;
	}
}

/*
 * Decides whether a driver may look an export up, by the rules of the linker for an import of that
 * name. No rule makes a name lead elsewhere: the put of it goes by the place alone, since no put is
 * refused.
 */
static void decide_export(const struct policy_session *s, const char *driver,
			  const struct policy_request *r, struct decision *d)
{
	const struct fn_rule *rule = find_rule(s, r->fn, driver, r->name);
	bool critical = r->place == EXPORT_KERNEL && r->export && policy_critical(s, r->export);

	if (rule)
		d->record = rule->record;
	if (rule && rule->action == ACTION_DENY) {
		decision_deny(d, rule->error, rule->rule);
	} else if (r->place == EXPORT_PRIVATE) {
		decision_deny(d, ENOENT, "no name of an export that may be asked for");
	} else if (r->place == EXPORT_SESSION) {
		decision_pass(d, r->export, "an export of its own session");
		d->verdict = VERDICT_REWRITE;
	} else if (rule && rule->action == ACTION_PASS) {
		decision_pass(d, r->name, rule->rule);
	} else if (policy_permitted(s, r->name)) {
		decision_pass(d, r->name, "the policy permits it");
	} else if (critical) {
		decision_deny(d, EPERM, "critical, and no gate would see calls by its address");
	} else if (r->place == EXPORT_KERNEL) {
		decision_pass(d, r->name, "an export of the kernel");
	} else {
		decision_deny(d, ENOENT, "neither the session nor the kernel exports it");
	}
}

/*
 * Decides a call without a name. If it works on an object that a mediated call gave out, only a
 * rule can refuse it; if it reaches something new (a socket, another process), the default decides.
 */
static void decide_nameless(const struct policy_session *s, const char *driver,
			    const struct policy_request *r, struct decision *d)
{
	const struct fn_rule *rule = find_rule(s, r->fn, driver, NULL);
	bool refusable = r->fn->refusal != REFUSE_NEVER;

	if (rule)
		d->record = rule->record;
	if (rule && rule->action == ACTION_DENY && refusable)
		decision_deny(d, rule->error, rule->rule);
	else if (rule && rule->action == ACTION_PASS)
		decision_pass(d, NULL, rule->rule);
	else if (r->fn->reaches)
		decide_by_default(s, NULL, d);
	else
		decision_pass(d, NULL, refusable ? "no name to check" : "undoing is never refused");
}

/*
 * Decides by which path the session opens what is at @name. What it opens by none of its own is
 * left to the default.
 */
static void decide_path_back(const struct policy_session *s, const char *name, struct decision *d)
{
	const struct file_entry *f;
	size_t skip;
	int n;

	f = *name == '/' ? session_find_file(s, FILE_AT, name, strlen(name), &skip) : NULL;
	if (!f) {
		decide_by_default(s, name, d);
		return;
	}
	d->record = d->record && f->record;
	d->rule = f->rule;
	if (f->action == ACTION_PASS) {
		decision_pass(d, name, f->rule);
		return;
	}
	n = snprintf(d->name, sizeof(d->name), "%s%s", f->from, name + skip);
	if (n >= (int)sizeof(d->name))
		decision_deny(d, ENAMETOOLONG, f->rule);
	else if (!n)
		snprintf(d->name, sizeof(d->name), "/");
	if (n < (int)sizeof(d->name))
		d->verdict = strcmp(d->name, name) != 0 ? VERDICT_REWRITE : VERDICT_PASS;
}

/* Decides which name a driver gets of one that the kernel gives out; none: that failed. */
static void decide_given(const struct policy_session *s, const char *driver,
			 const struct policy_request *r, struct decision *d)
{
	const struct fn_rule *rule = find_rule(s, r->fn, driver, r->name);

	if (rule)
		d->record = rule->record;
	if (rule && rule->action == ACTION_DENY)
		decision_deny(d, rule->error, rule->rule);
	else if (rule && rule->action == ACTION_PASS)
		decision_pass(d, r->name, rule->rule);
	else if (!r->name)
		decision_pass(d, NULL, "no name was given out");
	else
		decide_path_back(s, r->name, d);
}

void policy_decide(const struct policy_session *s, const char *driver,
		   const struct policy_request *r, struct decision *d)
{
	d->verdict = VERDICT_DENY;
	d->error = 0;
	d->value = 0;
	d->cookie = 0;
	d->resolve = 0;
	d->record = true;
	d->rule = "";
	d->root[0] = d->name[0] = '\0';

	if (r->fn->form == NAME_NONE || r->fn->refusal == REFUSE_NEVER)
		decide_nameless(s, driver, r, d);
	else if (r->too_long || (r->name && strnlen(r->name, REQUEST_NAME_MAX) == REQUEST_NAME_MAX))
		decision_deny(d, ENAMETOOLONG, "name longer than 4095 bytes");
	else if (r->fn->form == NAME_RESULT)
		decide_given(s, driver, r, d);
	else if (!r->name)
		decision_deny(d, r->fn->space == SPACE_FILE ? EFAULT : EINVAL,
			      "no name: a NULL pointer");
	else if (catalog_is_path(r->fn))
		decide_path(s, driver, r, d);
	else if (r->fn->space == SPACE_EXPORT)
		decide_export(s, driver, r, d);
	else
		decide_name(s, driver, r, d);
}
