// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests what a decided call costs on the host, from its doorbell's dispatch to its answer, in
 * instructions of the vCPU's thread; what the record's thread does is not among them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/base/steps.h"
#include "tests/unit/vmm/gate_fixture.h"

struct fixture {
	struct gate g;
	struct policy *policy;
	unsigned caller;
	char dir[40], file[60];
	pthread_t writer;
};

static void *write_record(void *arg)
{
	record_run(arg);
	return NULL;
}

static int make_gate(void **state)
{
	static const char text[] = "version = 1; sessions = { a = {\n"
				   "files = ( { from = \"/\"; to = \"/s/a\"; },\n"
				   "          { from = \"/dev/null\"; action = \"pass\"; } );\n"
				   "default = \"deny\"; }; };\n";
	struct fixture *f = calloc(1, sizeof(*f));

	assert_true(gate_fixture_make(&f->g));
	assert_int_equal(policy_parse(&f->policy, "p", text, NULL), 0);
	f->caller =
		(unsigned)gate_caller_add(&f->g, policy_session(f->policy, "a"), "a", "umbra_t_c");
	*state = f;
	return 0;
}

static int free_gate(void **state)
{
	struct fixture *f = *state;

	gate_caller_remove(&f->g, f->caller);
	gate_fixture_free(&f->g);
	policy_free(f->policy);
	free(f);
	return 0;
}

/* Has the record write lines, on a thread of its own. */
static void begin_file(struct fixture *f)
{
	strcpy(f->dir, "/tmp/umbra-unit-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->file, sizeof(f->file), "%s/record", f->dir);
	assert_int_equal(record_close(f->g.rec, NULL), 0);
	assert_int_equal(record_create(&f->g.rec, f->file, NULL), 0);
	record_expect_thread(f->g.rec, true);
	assert_int_equal(pthread_create(&f->writer, NULL, write_record, f->g.rec), 0);
	memset(f->g.callers[f->caller]->rows, 0, sizeof(f->g.callers[f->caller]->rows));
}

static void end_file(struct fixture *f)
{
	record_finish(f->g.rec);
	pthread_join(f->writer, NULL);
	unlink(f->file);
	rmdir(f->dir);
}

static void fill_frame(struct umbra_frame *f, const char *name)
{
	memset(f, 0, offsetof(struct umbra_frame, data));
	f->pid = 77;
	f->time = 123456789;
	strcpy(f->command, "insmod");
	f->args[0] = 0xffff888003a1b200;
	f->args[1] = 0xffffffffc0123456;
	if (!name)
		return;
	f->flags = UMBRA_FRAME_HAS_NAME;
	f->name.len = (u32)strlen(name) + 1;
	f->cwd = f->root = (struct umbra_str){ f->name.len, 2 };
	f->used = f->name.len + 2;
	memcpy(f->data, name, f->name.len);
	memcpy(f->data + f->name.len, "/", 2);
}

/* Returns what the last of some calls of @function takes, with the @names in turn. */
static unsigned long call_cost(struct fixture *f, const char *function, const char *const names[2])
{
	const u64 id = UMBRA_ID(f->caller, catalog_index(catalog_find(function)));
	unsigned long cost = 0;

	for (unsigned i = 0; i < 6; i++) {
		fill_frame(&f->g.frames[0], names[i % 2]);
		steps_begin();
		gate_call(&f->g, 0, 0, id);
		cost = steps_end();
		assert_int_equal(f->g.answers[0].verdict, UMBRA_PASS);
	}
	/* Otherwise nothing was counted. */
	assert_true(cost > 100);
	return cost;
}

/* A call that is like the one before is counted without a search for its row. */
static void a_repeated_call_is_the_cheaper_one(void **state)
{
	static const char *const none[2] = { NULL, NULL };
	static const char *const same[2] = { "/dev/null/a", "/dev/null/a" };
	static const char *const turns[2] = { "/dev/null/a", "/dev/null/b" };
	struct fixture *f = *state;
	const unsigned long turn = call_cost(f, "filp_open", turns);
	const unsigned long again = call_cost(f, "filp_open", same);
	const unsigned long nameless = call_cost(f, "kernel_write", none);
	unsigned long open_line, write_line;

	begin_file(f);
	open_line = call_cost(f, "filp_open", same);
	write_line = call_cost(f, "kernel_write", none);
	end_file(f);
	print_message("# instructions of a call (with its line in a file): kernel_write %lu (%lu), "
		      "filp_open %lu (%lu), of another file %lu\n",
		      nameless, write_line, again, open_line, turn);
	assert_true(again + 200 < turn);
	assert_true(nameless < again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_repeated_call_is_the_cheaper_one, make_gate,
						free_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
