// SPDX-License-Identifier: GPL-2.0-only
/* Tests that a command of a control socket belongs to one table. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"
#include "tests/unit/base/child.h"
#include "vmm/control/control.h"

struct fixture {
	struct loop *l;
	struct control *c;
	char path[64];
};

static void command_answer(void *arg, struct control_request *r, const json_t *args)
{
	(void)arg;
	(void)args;
	control_reply(r, NULL);
}

static const struct control_command first[] = { { "one", command_answer },
						{ "two", command_answer },
						{ NULL, NULL } };

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct err e;

	assert_non_null(f);
	assert_int_equal(loop_create(&f->l), 0);
	snprintf(f->path, sizeof(f->path), "/tmp/umbra-unit-%d.sock", getpid());
	if (control_create(&f->c, f->l, f->path, &e))
		fail_msg("%s", e.text);
	assert_int_equal(control_add(f->c, first, NULL), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	control_destroy(f->c);
	loop_destroy(f->l);
	free(f);
	return 0;
}

/* Returns the status of a process that adds a table of these two. */
static int status_of_adding(const struct fixture *f, const char *a, const char *b)
{
	const struct control_command table[] = { { a, command_answer },
						 { b, command_answer },
						 { NULL, NULL } };
	const struct rlimit none = { 0, 0 };
	int status;
	pid_t pid = child_fork();

	if (!pid) {
		setrlimit(RLIMIT_CORE, &none);
		signal(SIGABRT, SIG_DFL);
		if (!freopen("/dev/null", "w", stderr))
			_exit(1);
		_exit(control_add(f->c, table, NULL) ? 1 : 0);
	}
	child_await(pid, &status);
	return status;
}

static void names_of_its_own_are_taken(void **state)
{
	assert_int_equal(status_of_adding(*state, "three", "four"), 0);
	assert_int_equal(status_of_adding(*state, "on", "one-more"), 0);
}

/* Never may the last one win silently. */
static void a_name_that_another_table_has_is_a_defect(void **state)
{
	int status = status_of_adding(*state, "three", "two");

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void a_name_that_stands_twice_is_a_defect(void **state)
{
	int status = status_of_adding(*state, "three", "three");

	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void the_sockets_own_names_are_taken_already(void **state)
{
	static const char *const own[] = { "getfd", "closefd", "query-commands",
					   "qmp_capabilities" };

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		int status = status_of_adding(*state, "three", own[i]);

		if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGABRT)
			fail_msg("%s can be taken away from the socket", own[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(names_of_its_own_are_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(a_name_that_another_table_has_is_a_defect, setup,
						teardown),
		cmocka_unit_test_setup_teardown(a_name_that_stands_twice_is_a_defect, setup,
						teardown),
		cmocka_unit_test_setup_teardown(the_sockets_own_names_are_taken_already, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
