// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the catalogue against itself and, where there is one, against a real kernel's exports and
 * types.
 */
#include <stdarg.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "policy/catalog.h"
#include "policy/policy_int.h"
#include "shadow/kernel/kernel.h"

static void names_are_unique_and_found(void **state)
{
	const struct catalog_fn *all;
	size_t n;

	(void)state;
	all = catalog_all(&n);
	assert_true(n >= 16);
	for (size_t i = 0; i < n; i++) {
		assert_ptr_equal(catalog_find(all[i].name), &all[i]);
		assert_int_equal(catalog_index(&all[i]), i);
	}
	assert_null(catalog_find("printk"));
	assert_null(catalog_find(""));
}

/* The table of what undoes what says what the rows do. */
static void the_table_of_undoings_is_that_of_the_rows(void **state)
{
	const struct catalog_fn *all;
	size_t n, some = 0;

	(void)state;
	all = catalog_all(&n);
	for (size_t u = 0; u < n; u++) {
		for (unsigned space = 0; space < SPACES; space++) {
			bool undoes = false;

			for (size_t i = 0; i < n; i++)
				undoes |= all[i].undo && !strcmp(all[i].undo, all[u].name) &&
					  all[i].space == space;
			assert_int_equal(catalog_undoes_in(&all[u], space), undoes);
			some += undoes;
		}
	}
	assert_true(some > 50);
}

static void rows_are_complete(void **state)
{
	const struct catalog_fn *all;
	size_t n;

	(void)state;
	all = catalog_all(&n);
	for (size_t i = 0; i < n; i++) {
		const struct catalog_fn *f = &all[i];
		bool field = f->form == NAME_FIELD_PTR || f->form == NAME_FIELD_ARRAY;

		assert_in_range(f->args, f->refusal == REFUSE_VOID ? 0 : 1, REQUEST_ARGS);
		assert_true((f->form == NAME_NONE) == (f->space == SPACE_NONE));
		assert_true(field == (f->strct && f->member));
		assert_true(f->name_arg < f->args || f->form == NAME_NONE);
		assert_true(f->strvec_arg < f->args || !f->has_strvec);
		assert_true(f->has_strvec || !f->strvec_arg);
		assert_true(f->object_arg < f->args || !f->object_arg);
		assert_true(!f->object_is_result || !f->object_arg);
		assert_true(!f->reaches || (f->form == NAME_NONE && f->refusal != REFUSE_NEVER));
		/* below a root only what the shim carries out itself */
		assert_true((f->space == SPACE_FILE) ==
			    (f->how >= CARRY_OUT_OPEN && f->how <= CARRY_OUT_OPEN_BDEV));
		assert_true((f->space == SPACE_PROGRAM) == (f->how == CARRY_OUT_RUN_PROGRAM ||
							    f->how == CARRY_OUT_SET_UP_PROGRAM));
		assert_true(!f->from_init || f->space == SPACE_FILE);
		/* what cannot be refused has nothing to be refused for; some have only a name */
		assert_true(f->refusal != REFUSE_NEVER || f->form == NAME_NONE ||
			    f->space == SPACE_TEXT || (f->undoes && f->space == SPACE_EXPORT) ||
			    catalog_undoes_name(f));
		/* a name that the kernel keeps is lent until the ledger's entry goes */
		assert_true(!f->kept || (f->form == NAME_STRING && f->want_result && f->undo));
		assert_true(!f->copied || (f->form == NAME_FIELD_PTR && !f->want_result));
		assert_true(f->form != NAME_FIELD_PTR || f->copied || f->want_result);
		assert_true(f->wide <= f->args && (!f->wide || !f->below));
		assert_true(f->below <= f->args && (!f->below || f->form == NAME_STRING));
	}
}

static void what_is_done_can_be_undone(void **state)
{
	const struct catalog_fn *all;
	size_t n;

	(void)state;
	all = catalog_all(&n);
	for (size_t i = 0; i < n; i++) {
		const struct catalog_fn *undo = all[i].undo ? catalog_find(all[i].undo) : NULL;

		if (!all[i].undo)
			continue;
		assert_non_null(undo);
		assert_true(undo->undoes);
		assert_int_equal(undo->refusal, REFUSE_NEVER);
		/* an object that is an argument is the same argument there: pairing by its value */
		if (!all[i].object_is_result)
			assert_int_equal(all[i].object_arg, undo->object_arg);
	}
}

/*
 * Opens a kernel of the images that the tests run with; NULL: there is none, and the test is
 * skipped.
 */
static struct kernel *open_kernel(void)
{
	const char *dir = getenv("UMBRA_TEST_IMAGES");
	struct kernel *k = NULL;
	char path[4096];
	struct err e;

	if (!dir)
		return NULL;
	snprintf(path, sizeof(path), "%s/cloud/vmlinuz", dir);
	if (kernel_open(&k, path, false, &e))
		return NULL;
	if (kernel_load_symbols(k, &e))
		fail_msg("%s", e.text);
	return k;
}

/* Does a refusal of @f look like what it returns, by the kernel's types? */
static bool refusal_fits(const struct kernel *k, const struct catalog_fn *f)
{
	const struct kernel_callee callee = kernel_callee(k, f->name);
	char text[100];
	bool pointer;

	/* a pointer is told with its type, or in hex, a number is not; what is void has no text */
	kernel_result_text(k, &callee, 8, text, sizeof(text));
	pointer = text[0] == '(' || !strncmp(text, "0x", 2);
	switch (f->refusal) {
	case REFUSE_ERR_PTR:
	case REFUSE_CREDS:
		return pointer;
	case REFUSE_NULL:
		/* a number of bytes */
		return pointer || !strcmp(f->name, "access_process_vm");
	case REFUSE_ERRNO:
		return text[0] && !pointer;
	case REFUSE_VOID:
		return !text[0];
	case REFUSE_NEVER:
	default:
		return true;
	}
}

static void a_stock_kernel_agrees(void **state)
{
	struct kernel *k = open_kernel();
	const struct catalog_fn *all;
	size_t n;

	(void)state;
	if (!k) {
		print_message("SKIP no kernel in UMBRA_TEST_IMAGES\n");
		skip();
	}
	all = catalog_all(&n);
	for (size_t i = 0; i < n; i++) {
		const struct catalog_fn *f = &all[i];
		const struct kernel_export *ex = kernel_export(k, f->name);
		u32 offset, size;
		unsigned params;
		bool variadic;

		assert_non_null(ex);
		assert_int_equal(ex->class, SYMBOL_FUNCTION);
		assert_int_equal(kernel_params(k, f->name, &params, &variadic), 0);
		assert_int_equal(params, f->args);
		assert_true(variadic == (f->form == NAME_FORMAT));
		if (!refusal_fits(k, f))
			fail_msg("%s is refused as what it does not return", f->name);
		if (!f->strct)
			continue;
		for (size_t m = 0; m < CATALOG_ORIGINS && f->origin[m]; m++)
			assert_int_equal(kernel_member(k, f->strct, f->origin[m], &offset, &size),
					 0);
		assert_int_equal(kernel_member(k, f->strct, f->member, &offset, &size), 0);
		assert_int_equal(size,
				 f->form == NAME_FIELD_PTR ? 8 : name_space_max(f->space) + 1);
	}
	kernel_close(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_unique_and_found),
		cmocka_unit_test(the_table_of_undoings_is_that_of_the_rows),
		cmocka_unit_test(rows_are_complete),
		cmocka_unit_test(what_is_done_can_be_undone),
		cmocka_unit_test(a_stock_kernel_agrees),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
