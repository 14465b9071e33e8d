// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests that a guest which takes its name while what an earlier one of that name has left is
 * removed keeps its log and its exit code's file. The linker leads unlinkat(2) here.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/base/thread_await.h"
#include "vmm/control/ended.h"
#include "vmm/control/socket_dir.h"

static char name[40], old_log[48];
static struct ended *young;
static pthread_t thread;
static bool met, named; /* the second one atomic */

int __real_unlinkat(int dir, const char *path, int flags);
int __wrap_unlinkat(int dir, const char *path, int flags);

static void *take_name(void *arg)
{
	struct err e = { "" };

	if (!ended_set_name(young, name, &e))
		__atomic_store_n(&named, true, __ATOMIC_RELEASE);
	return arg;
}

/* Has the young guest take its name right before the old one's log goes, if nothing holds it up. */
int __wrap_unlinkat(int dir, const char *path, int flags)
{
	if (!met && young && !strcmp(path, old_log)) {
		met = true;
		assert_int_equal(pthread_create(&thread, NULL, take_name, NULL), 0);
		for (unsigned i = 0; i < 100 && !__atomic_load_n(&named, __ATOMIC_ACQUIRE); i++)
			usleep(1000);
	}
	return __real_unlinkat(dir, path, flags);
}

/* Leaves what a guest has whose exit code was written at that time. */
static void leave_old_guest(long long time)
{
	struct ended *old;
	struct err e = { "" };
	char *path, text[100], *at;
	int fd;

	if (ended_begin(&old, &e) || ended_set_name(old, name, &e) ||
	    socket_dir_path(&path, name, false, &e))
		fail_msg("%s", e.text);
	ended_free(old, false);
	at = strrchr(path, '/');
	assert_non_null(at);
	*at = '\0';
	snprintf(text, sizeof(text), "%s/ended/%s.end", path, name);
	fd = open(text, O_WRONLY | O_TRUNC | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_true(dprintf(fd, "{ \"code\": 7, \"time\": %lld }\n", time) > 0);
	close(fd);
	free(path);
}

/* Returns the guest's entry of the list; known and not running: one that has ended. */
static bool find_guest(struct ended_guest *found)
{
	struct ended_guest *list;
	struct err e = { "" };
	bool is_there = false;
	size_t n;

	assert_int_equal(ended_list(&list, &n, &e), 0);
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i].name, name) != 0)
			continue;
		*found = list[i];
		is_there = true;
	}
	free(list);
	return is_there;
}

static void a_name_that_is_taken_meanwhile_is_kept(void **state)
{
	struct ended_guest g;
	struct err e = { "" };
	int log;

	(void)state;
	snprintf(name, sizeof(name), "unit-ended-lock-%d", getpid());
	snprintf(old_log, sizeof(old_log), "%s.log", name);
	if (ended_begin(&young, &e))
		fail_msg("%s", e.text);
	leave_old_guest(1000);
	find_guest(&g); /* which removes the old one */
	assert_true(met);
	thread_await(thread, 20);
	assert_true(__atomic_load_n(&named, __ATOMIC_ACQUIRE));
	assert_true(find_guest(&g));
	assert_true(g.running);
	log = ended_open_log(name, &e);
	assert_true(log >= 0);
	close(log);
	/* And so does its end. */
	ended_set_code(young, 3);
	ended_free(young, false);
	young = NULL;
	assert_true(find_guest(&g));
	assert_false(g.running);
	assert_int_equal(g.code, 3);
}

static int remove_files(void **state)
{
	char *path, file[200], *at;
	struct err e;

	(void)state;
	if (socket_dir_path(&path, name, false, &e))
		return -1;
	at = strrchr(path, '/');
	*at = '\0';
	snprintf(file, sizeof(file), "%s/ended/%s.end", path, name);
	unlink(file);
	snprintf(file, sizeof(file), "%s/ended/%s", path, old_log);
	unlink(file);
	free(path);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_name_that_is_taken_meanwhile_is_kept, remove_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
