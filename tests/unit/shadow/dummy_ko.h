/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Gives the tests of the linker Debian's dummy.ko in memory, fresh for each test, which the test
 * may edit (*state is its struct ko), and rules that make one function critical or permitted.
 */
#ifndef SHADOW_DUMMY_H
#define SHADOW_DUMMY_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>

#include "shadow/link/module_int.h"
#include "tests/unit/shadow/images.h"
#include "tests/unit/shadow/ko.h"

#define SHADOW	    0xffffffffc03d1000ull
#define MODULES	    0xffffffffc0000000ull
#define MODULES_END 0xffffffffff000000ull
#define GATE	    0xffffffffc2000000ull

static struct kernel *kernel;
static struct ko original;
static char original_path[512];

/* What the rules of a test say; a name in neither is neither. */
static const char *critical_name, *permitted_name;

static inline bool is_critical(void *arg, const char *symbol)
{
	(void)arg;
	return critical_name && !strcmp(critical_name, symbol);
}

static inline bool is_permitted(void *arg, const char *symbol)
{
	(void)arg;
	return permitted_name && !strcmp(permitted_name, symbol);
}

static u64 shadow_at = SHADOW;

static inline u64 entry_of(void *arg, const struct import *im)
{
	if (im->critical)
		return arg ? 0 : GATE;
	return shadow_entry(kernel, shadow_at, im);
}

static const struct link_rules rules = { .critical = is_critical, .permitted = is_permitted };

static inline struct link_addresses made_up_addresses(void)
{
	return (struct link_addresses){
		.kaslr = 0x200000, .modules = MODULES, .modules_end = MODULES_END, .entry = entry_of
	};
}

static inline int setup_group(void **state)
{
	(void)state;
	kernel = load_kernel("cloud");
	image_path(original_path, sizeof(original_path), "cloud",
		   "modules/kernel/drivers/net/dummy.ko");
	original.data = slurp(original_path, &original.len);
	return original.data ? 0 : -1;
}

static inline int teardown_group(void **state)
{
	(void)state;
	free(original.data);
	kernel_close(kernel);
	return 0;
}

static inline int setup(void **state)
{
	struct ko *k = malloc(sizeof(*k));

	critical_name = permitted_name = NULL;
	k->data = malloc(original.len);
	k->len = original.len;
	memcpy(k->data, original.data, original.len);
	*state = k;
	return 0;
}

static inline int teardown(void **state)
{
	struct ko *k = *state;

	free(k->data);
	free(k);
	return 0;
}

/* --- one plan at a time --- */
struct planned {
	struct module *m;
	struct link_plan *p;
};

static inline struct planned plan_ko(const struct ko *k)
{
	struct planned pl = { NULL, NULL };
	struct err e = { "" };

	if (module_parse(&pl.m, "dummy.ko", k->data, k->len, &e) ||
	    link_plan_create(&pl.p, kernel, pl.m, &(struct link_session){ .rules = &rules }, &e))
		fail_msg("%s", e.text);
	return pl;
}

static inline void drop_plan(struct planned *pl)
{
	link_plan_free(pl->p);
	module_close(pl->m);
}

static inline const struct import *import_of(const struct planned *pl, const char *symbol)
{
	static const struct import none = { .symbol = "none" };
	size_t n;
	const struct import *im = link_plan_imports(pl->p, &n);

	for (size_t i = 0; i < n; i++)
		if (!strcmp(im[i].symbol, symbol))
			return &im[i];
	fail_msg("%s is not imported", symbol);
	return &none;
}

static inline void expect_import(const struct planned *pl, const char *symbol,
				 enum symbol_class kind, enum import_target target,
				 unsigned branches, unsigned addresses)
{
	const struct import *im = import_of(pl, symbol);

	if (im->kind != kind || im->target != target || im->branches != branches ||
	    im->address_taken != addresses || !im->reason[0])
		fail_msg("%s: kind %d target %d branches %u addresses %u (%s)", symbol, im->kind,
			 im->target, im->branches, im->address_taken, im->reason);
}

static inline int emit_copy(const struct planned *pl, const struct link_addresses *a,
			    const char *name, const char *suffix, struct ko *copy, struct err *e)
{
	struct link_image image = { NULL, 0 };
	int ret = link_emit(pl->p, a, &(struct link_identity){ name, suffix }, &image, e);

	copy->data = image.data;
	copy->len = image.len;
	return ret;
}

#define with_ko(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
