// SPDX-License-Identifier: GPL-2.0-only
/* Prints one driver's plan for `vmm inspect`: a table for people, or JSON. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/json_text.h"
#include "base/plain_text.h"
#include "base/table.h"
#include "policy/unseen.h"
#include "vmm/cli/inspect.h"

static const char *kind_name(enum symbol_class kind)
{
	switch (kind) {
	case SYMBOL_FUNCTION:
		return "function";
	case SYMBOL_DATA:
		return "data";
	case SYMBOL_PERCPU:
		return "percpu";
	case SYMBOL_SPECIAL:
	default:
		return "special";
	}
}

static const char *target_name(enum import_target target)
{
	switch (target) {
	case TARGET_SHADOW:
		return "shadow";
	case TARGET_KERNEL:
		return "kernel";
	case TARGET_SESSION:
		return "session";
	case TARGET_REFUSED:
	default:
		return "refused";
	}
}

/* Sorts by interest for a reader: refused, critical, the rest of the shadow, ... */
static int import_rank(const struct import *im)
{
	if (im->target == TARGET_REFUSED)
		return 0;
	if (im->critical)
		return 1;
	return im->target == TARGET_SHADOW ? 2 : im->target == TARGET_SESSION ? 3 : 4;
}

static int imports_by_rank(const void *pa, const void *pb)
{
	const struct import *a = *(const struct import *const *)pa;
	const struct import *b = *(const struct import *const *)pb;

	if (import_rank(a) != import_rank(b))
		return import_rank(a) - import_rank(b);
	return strcmp(a->symbol, b->symbol);
}

static const struct import **imports_sorted(const struct link_plan *p, size_t *n)
{
	const struct import *list = link_plan_imports(p, n);
	const struct import **s = calloc(*n + 1, sizeof(struct import *));

	for (size_t i = 0; s && i < *n; i++)
		s[i] = &list[i];
	if (s)
		qsort(s, *n, sizeof(struct import *), imports_by_rank);
	return s;
}

/* Returns why calls of @im cannot be seen (`trace` of a policy), or NULL: they can. */
static const char *why_unseen(const struct kernel *k, const struct import *im)
{
	struct kernel_call call;
	const char *why;

	if (im->kind != SYMBOL_FUNCTION)
		return "it is no function of C";
	switch (im->target) {
	case TARGET_SHADOW:
		return im->critical || !kernel_call_shape(k, im->symbol, &call, &why) ? NULL : why;
	case TARGET_SESSION:
		return "it is another driver's";
	case TARGET_KERNEL:
	case TARGET_REFUSED:
	default:
		return "no entry leads to it";
	}
}

/* How many functions of its own are led through inward entries. */
struct inward_totals {
	size_t entries, references, watchable;
};

static struct inward_totals inward_count(const struct link_plan *p)
{
	struct inward_totals t = { 0 };
	const struct link_inward *in = link_plan_inward(p, &t.entries);

	for (size_t i = 0; i < t.entries; i++) {
		t.references += in[i].references;
		t.watchable += in[i].args <= LINK_WATCH_ARGS;
	}
	return t;
}

/* Says what the kernel, or another driver, can call it by. */
static void print_inward(FILE *to, const struct module *m, const struct link_plan *p)
{
	const struct inward_totals t = inward_count(p);

	plain_text_line(to,
			"%s: %zu functions of its own by inward entries, %zu can be watched; %zu "
			"pointers to them",
			module_name(m), t.entries, t.watchable, t.references);
	for (int why = 0; why < INWARD_LEFT_REASONS; why++)
		if (link_plan_left(p, why))
			plain_text_line(to, "%s: %u pointers left as they are: %s", module_name(m),
					link_plan_left(p, why), inward_left_text(why));
}

static const char *const left_keys[INWARD_LEFT_REASONS] = {
	[LEFT_TABLE] = "table",
	[LEFT_STATIC_CALL] = "static_call",
	[LEFT_INIT] = "init",
	[LEFT_LABEL] = "label",
};

static json_t *inward_json(const struct link_plan *p)
{
	const struct inward_totals t = inward_count(p);
	size_t n;
	const struct link_inward *in = link_plan_inward(p, &n);
	json_t *left = json_object(), *list = json_array();

	for (int why = 0; why < INWARD_LEFT_REASONS; why++)
		json_object_set_new(left, left_keys[why], json_integer(link_plan_left(p, why)));
	for (size_t i = 0; i < n; i++)
		json_array_append_new(list, json_any_text(in[i].name));
	return json_pack("{s:i, s:i, s:i, s:o, s:o}", "entries", (int)t.entries, "pointers",
			 (int)t.references, "watchable", (int)t.watchable, "left", left,
			 "functions", list);
}

struct totals {
	size_t imports, targets[4], critical, seen, branches, address_taken;
};

static void imports_count(const struct kernel *k, const struct link_plan *p, struct totals *t)
{
	const struct import *list = link_plan_imports(p, &t->imports);

	for (size_t i = 0; i < t->imports; i++) {
		t->targets[list[i].target]++;
		t->critical += list[i].critical;
		t->seen += !why_unseen(k, &list[i]);
		t->branches += list[i].branches;
		t->address_taken += list[i].address_taken;
	}
}

static const char *import_prototype(const struct kernel *k, const struct import *im, char *buf,
				    size_t len)
{
	if (im->kind == SYMBOL_FUNCTION && im->export && !kernel_prototype(k, im->symbol, buf, len))
		return buf;
	return NULL;
}

static const struct table_column columns[] = {
	{ "SYMBOL", 30, 0 },
	{ "KIND", 0, 0 },
	{ "CRITICAL", 0, 0 },
	{ "TARGET", 0, 0 },
	{ "CALLS", 0, TABLE_RIGHT },
	{ "ADDR", 0, TABLE_RIGHT },
	{ "WHY; PROTOTYPE", 4, TABLE_END },
};

static void import_table_row(struct table *t, const struct kernel *k, const struct import *im)
{
	char proto[1024];
	const char *p = import_prototype(k, im, proto, sizeof(proto));
	const char *unseen = im->target == TARGET_SHADOW ? why_unseen(k, im) : NULL;

	table_cell(t, "%s", im->symbol);
	table_cell(t, "%s", kind_name(im->kind));
	table_cell(t, "%s", im->critical ? "critical" : "-");
	table_cell(t, "%s", target_name(im->target));
	table_cell(t, "%u", im->branches);
	table_cell(t, "%u", im->address_taken);
	table_cell(t, "%s%s%s%s%s", im->reason, unseen ? "; cannot be seen: " : "",
		   unseen ? unseen : "", p ? "; " : "", p ? p : "");
	table_paint_row(t, im->target == TARGET_REFUSED ? TABLE_RED
			   : im->critical		? TABLE_YELLOW
							: "");
}

/* Finds out what is seen under the session's policy. */
static void plan_unseen(const struct kernel *k, const struct link_plan *p,
			const struct policy_session *s, struct unseen *u)
{
	size_t n;
	const struct import *list = link_plan_imports(p, &n);

	memset(u, 0, sizeof(*u));
	for (size_t i = 0; i < n; i++) {
		const struct import *im = &list[i];
		const bool traced = policy_layout(s) == LAYOUT_DENSE &&
				    policy_traced(s, im->symbol, NULL) && !why_unseen(k, im);

		/* As `vmm driver list` counts: functions of the kernel. */
		if ((im->kind == SYMBOL_FUNCTION || im->kind == SYMBOL_SPECIAL) && im->export)
			unseen_add(u, catalog_find(im->symbol), im->critical || traced);
	}
}

int inspect_table(FILE *to, const struct kernel *k, const struct module *m,
		  const struct link_plan *p, const struct policy_session *s)
{
	char sight[UNSEEN_TEXT];
	struct unseen unseen;
	struct totals t = { 0 };
	size_t n;
	const struct import **list = imports_sorted(p, &n);
	struct table *table = table_create(columns, ARRAY_SIZE(columns));
	int ret = -ENOMEM;

	if (!list || !table)
		goto out;
	imports_count(k, p, &t);
	for (size_t i = 0; i < n; i++)
		import_table_row(table, k, list[i]);
	ret = n ? table_print(table, to, 0, table_terminal_width(to), table_terminal_colour(to))
		: 0;
	if (ret)
		goto out;
	plain_text_line(
		to,
		"%s: %zu imports: %zu shadow, %zu kernel, %zu session, %zu refused; %zu critical, "
		"%zu can be seen; %zu branches, %zu addresses taken",
		module_name(m), t.imports, t.targets[TARGET_SHADOW], t.targets[TARGET_KERNEL],
		t.targets[TARGET_SESSION], t.targets[TARGET_REFUSED], t.critical, t.seen,
		t.branches, t.address_taken);
	if (s) {
		plan_unseen(k, p, s, &unseen);
		unseen_text(&unseen, sight);
		plain_text_line(to, "%s: %s", module_name(m), sight);
	}
	print_inward(to, m, p);
	plain_text_line(to, "%s %s", module_name(m),
			t.targets[TARGET_REFUSED] ? "cannot be loaded into this session"
						  : "links completely");
out:
	table_free(table);
	free(list);
	return ret;
}

static json_t *import_json(const struct kernel *k, const struct import *im)
{
	char proto[1024];
	const char *p = import_prototype(k, im, proto, sizeof(proto));

	const char *unseen = why_unseen(k, im);

	return json_pack("{s:o, s:s, s:b, s:s?, s:s, s:o, s:i, s:i, s:o, s:o}", "symbol",
			 json_any_text(im->symbol), "kind", kind_name(im->kind), "critical",
			 im->critical, "unseen", unseen, "target", target_name(im->target),
			 "reason", json_any_text(im->reason), "branches", (int)im->branches,
			 "address_taken", (int)im->address_taken, "prototype",
			 p ? json_any_text(p) : json_null(), "provider",
			 im->provider ? json_any_text(im->provider) : json_null());
}

int inspect_json(FILE *to, const struct kernel *k, const struct module *m, const char *path,
		 const struct link_plan *p, const struct policy_session *s)
{
	struct totals t = { 0 };
	struct unseen unseen;
	char sight[UNSEEN_TEXT];
	json_t *root, *imports = json_array();
	size_t n;
	const struct import **list = imports_sorted(p, &n);
	int ret = list && imports ? 0 : -ENOMEM;

	for (size_t i = 0; !ret && i < n; i++)
		if (json_array_append_new(imports, import_json(k, list[i])))
			ret = -ENOMEM;
	free(list);
	if (ret) {
		json_decref(imports);
		return ret;
	}
	imports_count(k, p, &t);
	if (s) {
		plan_unseen(k, p, s, &unseen);
		unseen_text(&unseen, sight);
	}
	root = json_pack(
		"{s:o, s:o, s:o, s:b, s:s?, s:{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}, s:o, "
		"s:o}",
		"module", json_any_text(module_name(m)), "file", json_any_text(path), "kernel",
		json_any_text(kernel_release(k) ? kernel_release(k) : ""), "links",
		t.targets[TARGET_REFUSED] == 0, "sight", s ? sight : NULL, "totals", "imports",
		(int)t.imports, "shadow", (int)t.targets[TARGET_SHADOW], "kernel",
		(int)t.targets[TARGET_KERNEL], "session", (int)t.targets[TARGET_SESSION], "refused",
		(int)t.targets[TARGET_REFUSED], "critical", (int)t.critical, "seen", (int)t.seen,
		"branches", (int)t.branches, "address_taken", (int)t.address_taken, "inward",
		inward_json(p), "imports", imports);
	if (!root || json_dumpf(root, to, JSON_INDENT(1) | JSON_ENSURE_ASCII))
		ret = -ENOMEM;
	else
		fputc('\n', to);
	json_decref(root);
	return ret;
}
