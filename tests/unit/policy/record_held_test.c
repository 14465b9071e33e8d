// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests a record whose file lies on storage that does not answer: only the thread that writes waits
 * for it. The linker leads write(2) and fsync(2) here.
 */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "policy/record.h"

static sem_t entered, release;
static bool hold; /* atomic */

static void wait_if_held(void)
{
	if (!__atomic_load_n(&hold, __ATOMIC_ACQUIRE))
		return;
	sem_post(&entered);
	sem_wait(&release);
}

ssize_t __real_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len);
int __real_fsync(int fd);
int __wrap_fsync(int fd);

ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
	wait_if_held();
	return __real_write(fd, buf, len);
}

int __wrap_fsync(int fd)
{
	wait_if_held();
	return __real_fsync(fd);
}

static char dir[32];
static char file[64];
static struct record *record;

static int make_record(void **state)
{
	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/umbra-record-XXXXXX");
	snprintf(file, sizeof(file), "%s/r.jsonl", mkdtemp(dir));
	__atomic_store_n(&hold, false, __ATOMIC_RELEASE);
	return record_create(&record, file, NULL);
}

static int remove_record(void **state)
{
	(void)state;
	unlink(file);
	return rmdir(dir);
}

/* Fails the test by a signal if the main thread waits. */
static s64 begin_limit(void)
{
	alarm(5);
	return now_ms();
}

static void assert_nobody_waited(s64 begin)
{
	alarm(0);
	assert_in_range(now_ms() - begin, 0, 1000);
}

static void *add_event(void *arg)
{
	(void)arg;
	return (void *)(intptr_t)record_event(record, 1, "kind", "a text");
}

static void let_go(void)
{
	__atomic_store_n(&hold, false, __ATOMIC_RELEASE);
	sem_post(&release);
}

static void assert_has_the_row(void)
{
	char *text = NULL;
	size_t len = 0;
	FILE *f = open_memstream(&text, &len);

	assert_int_equal(record_print_json(record, f), 0);
	fclose(f);
	assert_non_null(strstr(text, "a text"));
	free(text);
}

/* Counting and printing, which the event loop does, go on beside a write. */
static void a_held_write_holds_up_nobody_else(void **state)
{
	static const struct decision d = { .verdict = VERDICT_PASS, .record = true, .rule = "r" };
	struct policy_request req = { .fn = catalog_find("filp_open"), .name = "/x" };
	const struct record_call call = { 2, "a", "lime", &req, &d, false, NULL };
	struct record_line line = { .buf = NULL };
	pthread_t beside;
	void *ret;
	s64 begin;

	(void)state;
	__atomic_store_n(&hold, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_create(&beside, NULL, add_event, NULL), 0);
	sem_wait(&entered);
	begin = begin_limit();
	assert_has_the_row();
	assert_int_equal(record_add(record, &call, &line), 0);
	assert_true(line.len);
	assert_false(record_is_unwritten(record));
	while (record_held_ms(record) < 20 && now_ms() - begin < 900)
		usleep(1000);
	assert_in_range(record_held_ms(record), 20, 1000);
	assert_nobody_waited(begin);
	let_go();
	assert_int_equal(pthread_join(beside, &ret), 0);
	assert_null(ret);
	assert_int_equal(record_held_ms(record), 0);
	assert_int_equal(record_write(record, &line), 0);
	assert_null(line.buf);
	assert_int_equal(record_close(record, NULL), 0);
}

static void *finish(void *arg)
{
	(void)arg;
	record_finish(record);
	return NULL;
}

/* The flush at the end can be another thread's, and is seen; afterwards nothing is left to do. */
static void a_held_flush_is_told(void **state)
{
	pthread_t beside;
	s64 begin;

	(void)state;
	assert_int_equal(record_event(record, 1, "kind", "a text"), 0);
	__atomic_store_n(&hold, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_create(&beside, NULL, finish, NULL), 0);
	sem_wait(&entered);
	begin = begin_limit();
	while (record_held_ms(record) < 20 && now_ms() - begin < 900)
		usleep(1000);
	assert_in_range(record_held_ms(record), 20, 1000);
	assert_has_the_row();
	assert_nobody_waited(begin);
	let_go();
	pthread_join(beside, NULL);
	__atomic_store_n(&hold, true, __ATOMIC_RELEASE);
	begin = begin_limit();
	assert_int_equal(record_close(record, NULL), 0);
	assert_nobody_waited(begin);
}

/* A record into which nothing was written has nothing to flush. */
static void an_unwritten_record_is_not_flushed(void **state)
{
	s64 begin;

	(void)state;
	assert_true(record_is_unwritten(record));
	__atomic_store_n(&hold, true, __ATOMIC_RELEASE);
	begin = begin_limit();
	assert_int_equal(record_close(record, NULL), 0);
	assert_nobody_waited(begin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_record, remove_record)
		TEST(a_held_write_holds_up_nobody_else),
		TEST(a_held_flush_is_told),
		TEST(an_unwritten_record_is_not_flushed),
	};

	sem_init(&entered, 0, 0);
	sem_init(&release, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
