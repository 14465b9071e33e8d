// SPDX-License-Identifier: GPL-2.0-only
/*
 * Answers commands about sessions on the control socket. Answers have the same members as the
 * --json output of `vmm driver list` and `vmm session list`.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "vmm/control/control.h"
#include "vmm/gate/trace.h"
#include "vmm/session/passed_file.h"
#include "vmm/session/operation.h"
#include "vmm/session/policy_reload.h"
#include "vmm/session/presence.h"
#include "vmm/session/session_commands.h"
#include "vmm/session/unmatched.h"
#include "vmm/session/verify.h"

#define TRACE_PATTERNS_MAX  64
#define TRACE_PATTERN_BYTES 64

static const char not_running[] = "the guest has shut down; `vmm reset` starts it anew";

static const char *text_arg(const json_t *args, const char *key)
{
	return json_string_value(json_object_get(args, key));
}

/* Tells the client that asked for an operation that it has ended. */
static void operation_answered(void *arg, int ret, const char *line)
{
	if (ret)
		control_fail(arg, line);
	else
		control_reply(arg, *line ? json_pack("{s:o}", "text", json_any_text(line)) : NULL);
}

/* Loads the driver whose file is there now. */
static void load_driver(struct sessions *s, struct control_request *r, const json_t *args,
			const struct passed_bytes *file)
{
	struct driver_request want = { .session = text_arg(args, "session"),
				       .name = text_arg(args, "instance"),
				       .data = file->data,
				       .len = file->len,
				       .path = text_arg(args, "path"),
				       .params = text_arg(args, "params"),
				       .order = SIZE_MAX };
	struct driver *d;
	struct err e;

	if (s->phase != SESSIONS_STARTED) {
		control_fail(r, not_running);
		return;
	}
	drivers_look(s);
	if (driver_add(s, &want, &d, &e)) {
		control_fail(r, e.text);
		return;
	}
	if (driver_load(s, d, operation_answered, r)) {
		driver_drop(d);
		control_fail(r, "out of memory");
	}
}

static void command_driver_load(void *arg, struct control_request *r, const json_t *args)
{
	struct sessions *s = arg;

	if (!text_arg(args, "session") || !text_arg(args, "path"))
		control_fail(r, "umbra-driver-load needs 'session', 'path' and 'fd'");
	else if (s->phase != SESSIONS_STARTED)
		control_fail(r, not_running);
	else
		passed_file_take(s, r, args, load_driver);
}

static const char *why_not_unload(const struct driver *d)
{
	switch (d->state) {
	case DRIVER_LOADED:
	case DRIVER_REMOVED:
		return NULL;
	case DRIVER_CRASHED:
		return "the driver crashed in its init: what it made may still run, so it stays as long "
		       "as the guest";
	case DRIVER_HIDDEN:
		return "the driver hides from the guest's kernel, which therefore cannot unload it; it "
		       "stays as long as the guest";
	case DRIVER_QUEUED:
	case DRIVER_LOADING:
	case DRIVER_UNLOADING:
	default:
		return "the driver is not loaded yet, or is being unloaded";
	}
}

static void command_driver_unload(void *arg, struct control_request *r, const json_t *args)
{
	struct sessions *s = arg;
	const char *instance = text_arg(args, "instance");
	struct driver *d;
	struct err e;

	if (!instance) {
		control_fail(r, "umbra-driver-unload needs 'instance'");
		return;
	}
	if (s->phase != SESSIONS_STARTED) {
		control_fail(r, not_running);
		return;
	}
	if (driver_find(s, text_arg(args, "session"), instance, &d, &e)) {
		control_fail(r, e.text);
		return;
	}
	driver_look(s, d);
	if (why_not_unload(d)) {
		control_fail(r, why_not_unload(d));
		return;
	}
	if (driver_unload(s, d, operation_answered, r))
		control_fail(r, "out of memory");
}

static json_t *describe_driver(struct sessions *s, const struct driver *d)
{
	char entries[32] = "", text[UNSEEN_TEXT];
	struct unseen unseen;

	if (d->own.n)
		snprintf(entries, sizeof(entries), "0x%llx", (unsigned long long)d->own.va);
	driver_unseen(d, &unseen);
	unseen_text(&unseen, text);
	return json_pack(
		"{s:s, s:s, s:s, s:o, s:o, s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:s}",
		"session", d->session->name, "driver", d->name, "module", d->guest_name, "path",
		json_any_text(d->path), "params", json_any_text(d->params ? d->params : ""),
		"state", driver_state_name(d->state), "entries", entries, "watched",
		(json_int_t)driver_watched(d), "entries_in",
		(json_int_t)(d->own.n ? d->n_inward : 0), "imports", (json_int_t)unseen.imports,
		"seen", (json_int_t)driver_seen(d), "followed",
		(json_int_t)(d->caller ? gate_caller_followed(s->gate, d->caller) : 0), "critical",
		(json_int_t)driver_critical(d), "calls",
		(json_int_t)(d->caller ? gate_caller_calls(s->gate, d->caller) : 0), "objects",
		(json_int_t)(d->caller ? gate_caller_objects(s->gate, d->caller) : 0), "sight",
		text);
}

/* Returns 0, or -ENOENT with a line for the user. */
static int session_is_there(const struct sessions *s, const char *name, struct err *e)
{
	if (policy_session(s->policy, name))
		return 0;
	return err_set(e, -ENOENT,
		       "the policy has no session %s; `vmm session list` shows which it has", name);
}

static void command_driver_list(void *arg, struct control_request *r, const json_t *args)
{
	struct sessions *s = arg;
	const char *session = text_arg(args, "session");
	json_t *list = json_array();
	struct session *ss;
	struct driver *d;
	struct err e;

	if (session && session_is_there(s, session, &e)) {
		json_decref(list);
		control_fail(r, e.text);
		return;
	}
	drivers_look(s);
	for (ss = s->list; ss; ss = ss->next) {
		if (session && strcmp(session, ss->name) != 0)
			continue;
		for (d = ss->drivers; d; d = d->next)
			json_array_append_new(list, describe_driver(s, d));
	}
	control_reply(r, list);
}

static void command_session_list(void *arg, struct control_request *r, const json_t *args)
{
	struct sessions *s = arg;
	json_t *list = json_array();
	size_t i, n;

	(void)args;
	for (i = 0; i < policy_session_count(s->policy); i++) {
		const char *name = policy_session_name(policy_session_at(s->policy, i));
		struct session *ss = session_find(s, name);
		size_t pages = 0, drivers = 0;
		const struct driver *d;
		char va[32] = "";

		for (d = ss ? ss->drivers : NULL; d; d = d->next) {
			drivers++;
			pages += d->own.n;
		}
		for (n = 0; ss && ss->va && n < ss->text_pages + (size_t)GATE_PAGES; n++)
			pages += ss->page_gpa[n] != 0;
		if (ss && ss->va)
			snprintf(va, sizeof(va), "0x%llx", (unsigned long long)ss->va);
		json_array_append_new(
			list,
			json_pack("{s:s, s:I, s:s, s:s, s:I}", "session", name, "drivers",
				  (json_int_t)drivers, "layout",
				  policy_layout(policy_session_at(s->policy, i)) == LAYOUT_SAME
					  ? "same"
					  : "dense",
				  "shadow", va, "pages", (json_int_t)pages));
	}
	control_reply(r, list);
}

static void command_driver_verify(void *arg, struct control_request *r, const json_t *args)
{
	struct sessions *s = arg;
	const char *instance = text_arg(args, "instance");
	struct driver *d;
	json_t *report = NULL;
	struct err e;

	if (!instance) {
		control_fail(r, "umbra-driver-verify needs 'instance'");
		return;
	}
	drivers_look(s);
	if (driver_find(s, text_arg(args, "session"), instance, &d, &e) ||
	    verify_driver(s, d, &report, &e)) {
		control_fail(r, e.text);
		return;
	}
	control_reply(r, report);
}

/* What there is to be followed. */
struct followable {
	size_t drivers, same, imports;
	bool any;
	bool found[TRACE_PATTERNS_MAX]; /* an import is like that pattern */
};

static void find_followable(const struct session *ss, const struct gate_trace_request *r,
			    struct followable *f)
{
	memset(f, 0, sizeof(*f));
	for (const struct driver *d = ss ? ss->drivers : NULL; d; d = d->next) {
		if (r->driver && !gate_trace_driver(r->driver, d->name))
			continue;
		f->drivers++;
		f->same += d->layout == LAYOUT_SAME;
		for (size_t i = 0; i < d->n_entries && d->layout != LAYOUT_SAME; i++) {
			const char *symbol = d->entries[i].symbol;

			if (!driver_entry_can_be_seen(d, &d->entries[i]))
				continue;
			f->imports++;
			for (size_t k = 0; k < r->n; k++) {
				f->found[k] |= !fnmatch(r->functions[k], symbol, 0);
				f->any |= f->found[k];
			}
		}
	}
}

static void add_note(json_t *notes, const char *text)
{
	json_array_append_new(notes, json_string(text));
}

/*
 * Says in @notes what of it nothing will be seen for now, or in @e which functions there are, if
 * none of them can be followed as @r wants it.
 */
static int trace_check(struct sessions *s, const struct gate_trace_request *r, json_t *notes,
		       struct err *e)
{
	struct followable f;
	struct err note;

	if (session_is_there(s, r->session, e))
		return -ENOENT;
	find_followable(session_find(s, r->session), r, &f);
	if (f.drivers && f.drivers == f.same)
		return err_set(e, -EOPNOTSUPP,
			       "session %s has layout \"same\", in which nothing but critical "
			       "functions can be seen; `vmm record -f` shows these",
			       r->session);
	if (f.drivers && r->n && !f.any)
		return err_set(e, -ENOENT,
			       "none of the %zu functions that the drivers of session %s import "
			       "and that can be seen is like %s; `vmm inspect DRIVER.ko` lists "
			       "them",
			       f.imports, r->session, r->functions[0]);
	if (r->driver && !f.drivers) {
		err_set(&note, 0,
			"session %s has no driver like %s yet; `vmm driver list %s` shows which it "
			"has",
			r->session, r->driver, r->session);
		add_note(notes, note.text);
	}
	for (size_t k = 0; f.drivers && k < r->n; k++) {
		if (f.found[k])
			continue;
		err_set(&note, 0,
			"no function that the drivers of session %s import and that can be seen is "
			"like %s",
			r->session, r->functions[k]);
		add_note(notes, note.text);
	}
	return 0;
}

/* Begins what was checked, for the client at the other end of its descriptor. */
static void trace_begin(struct sessions *s, struct control_request *r, const json_t *args,
			const struct gate_trace_request *want)
{
	json_t *notes = json_array();
	struct err e;
	int fd;

	if (trace_check(s, want, notes, &e)) {
		control_fail(r, e.text);
		json_decref(notes);
		return;
	}
	fd = control_take_fd(r, text_arg(args, "fd"), &e);
	if (fd < 0) {
		control_fail(r, e.text);
	} else if (gate_trace_begin(s->gate, want, fd, &e)) {
		control_drop_fd(r, fd);
		control_fail(r, e.text);
	} else {
		control_reply(r, json_pack("{s:O}", "notes", notes));
	}
	json_decref(notes);
}

static void command_trace(void *arg, struct control_request *r, const json_t *args)
{
	const json_t *list = json_object_get(args, "functions");
	const char *functions[TRACE_PATTERNS_MAX];
	struct gate_trace_request want = {
		.session = text_arg(args, "session"),
		.driver = text_arg(args, "driver"),
		.functions = functions,
		.n = json_array_size(list),
		.count = json_is_true(json_object_get(args, "count")),
		.errors = json_is_true(json_object_get(args, "errors")),
	};
	struct sessions *s = arg;

	if ((list && !json_is_array(list)) || (!want.driver && json_object_get(args, "driver"))) {
		control_fail(r, "umbra-trace: 'functions' is an array, 'driver' a string");
		return;
	}
	if (want.n > TRACE_PATTERNS_MAX) {
		control_fail(r, "umbra-trace takes 64 patterns of functions at most");
		return;
	}
	for (size_t i = 0; i < want.n; i++) {
		functions[i] = json_string_value(json_array_get(list, i));
		if (!functions[i] || !*functions[i] || strlen(functions[i]) > TRACE_PATTERN_BYTES) {
			control_fail(r, "umbra-trace: a pattern has 1 to 64 bytes");
			return;
		}
	}
	if (!want.session)
		control_fail(r, "umbra-trace needs 'session' and 'fd'");
	else if (s->phase != SESSIONS_STARTED)
		control_fail(r, not_running);
	else
		trace_begin(s, r, args, &want);
}

static void load_policy(struct sessions *s, struct control_request *r, const json_t *args,
			const struct passed_bytes *file)
{
	struct err e;

	if (policy_reload(s, text_arg(args, "path"), file->data, file->len, &e)) {
		control_fail(r, e.text);
		return;
	}
	policy_note_traces(s);
	sessions_note_unmatched(s);
	control_reply(r, NULL);
}

static void command_policy_load(void *arg, struct control_request *r, const json_t *args)
{
	if (!text_arg(args, "path"))
		control_fail(r, "umbra-policy-load needs 'path' and 'fd'");
	else
		passed_file_take(arg, r, args, load_policy);
}

static void command_stats(void *arg, struct control_request *r, const json_t *args)
{
	struct sessions *s = arg;
	struct gate_stats st;
	char gate[32] = "";

	(void)args;
	gate_stats(s->gate, &st);
	if (st.gate)
		snprintf(gate, sizeof(gate), "0x%llx", (unsigned long long)st.gate);
	control_reply(r, json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:s}", "calls",
				   (json_int_t)st.calls, "results", (json_int_t)st.results,
				   "refused-doorbells", (json_int_t)st.refused_doorbells,
				   "blocked-writes", (json_int_t)st.blocked_writes, "lost-calls",
				   (json_int_t)st.lost, "nested-calls", (json_int_t)st.nested,
				   "gate", gate));
}

static const struct control_command commands[] = {
	{ "umbra-driver-load", command_driver_load },
	{ "umbra-driver-unload", command_driver_unload },
	{ "umbra-driver-list", command_driver_list },
	{ "umbra-driver-verify", command_driver_verify },
	{ "umbra-session-list", command_session_list },
	{ "umbra-policy-load", command_policy_load },
	{ "umbra-stats", command_stats },
	{ "umbra-trace", command_trace },
	{ NULL, NULL },
};

int sessions_control_add(struct sessions *s, struct control *c)
{
	return control_add(c, commands, s);
}
