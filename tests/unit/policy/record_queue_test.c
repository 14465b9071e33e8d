// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the queues of a record whose file is slow, full or does not answer: what is lost, what is
 * kept, who waits and for how long. The linker leads write(2) here.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/clock.h"
#include "tests/unit/policy/record_fixture.h"

#define PATIENCE_MS 10000

static bool hold;      /* atomic: write(2) does not return */
static bool drip;      /* atomic: it takes a byte now and then meanwhile */
static bool held;      /* atomic: one does not */
static int error;      /* atomic: of each write(2); 0: it succeeds */
static int told_error; /* atomic: the last one that the owner has heard of; -1: none */
static u64 told_lost;  /* atomic */
static bool leave;     /* atomic: nobody may wait */
static unsigned asked; /* atomic: how often a thread that waits has asked for that */

static void nap(void)
{
	struct timespec ms = { 0, 1000000 };

	nanosleep(&ms, NULL);
}

ssize_t __real_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len);

ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
	int e;

	while (__atomic_load_n(&hold, __ATOMIC_ACQUIRE)) {
		__atomic_store_n(&held, true, __ATOMIC_RELEASE);
		for (unsigned ms = 0; ms < 20; ms++)
			nap();
		if (__atomic_load_n(&drip, __ATOMIC_ACQUIRE))
			return __real_write(fd, buf, 1);
	}
	__atomic_store_n(&held, false, __ATOMIC_RELEASE);
	e = __atomic_load_n(&error, __ATOMIC_ACQUIRE);
	if (!e)
		return __real_write(fd, buf, len);
	errno = e;
	return -1;
}

struct fixture {
	char dir[40], file[60];
	struct record *r;
	pthread_t writer;
	/* of a call on another thread */
	struct fixture_call call;
	u64 time;
	int ret;
	bool done; /* atomic */
	pthread_t vcpu;
};

static bool may_stay(void *arg)
{
	(void)arg;
	__atomic_fetch_add(&asked, 1, __ATOMIC_ACQ_REL);
	return !__atomic_load_n(&leave, __ATOMIC_ACQUIRE);
}

static void on_refused(void *arg, int why, u64 lost)
{
	(void)arg;
	(void)lost;
	__atomic_store_n(&told_error, why, __ATOMIC_RELEASE);
}

static void on_lost(void *arg, u64 lost)
{
	(void)arg;
	__atomic_store_n(&told_lost, lost, __ATOMIC_RELEASE);
}

static void *write_record(void *arg)
{
	struct fixture *f = arg;

	record_run(f->r);
	return NULL;
}

static int make_record(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	hold = drip = held = leave = false;
	error = 0;
	asked = 0;
	told_error = -1;
	told_lost = 0;
	strcpy(f->dir, "/tmp/umbra-unit-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->file, sizeof(f->file), "%s/record", f->dir);
	assert_int_equal(record_create(&f->r, f->file, NULL), 0);
	record_set_owner(f->r, &(struct record_owner){
				       .stay = may_stay, .refused = on_refused, .lost = on_lost });
	record_expect_thread(f->r, true);
	assert_int_equal(pthread_create(&f->writer, NULL, write_record, f), 0);
	*state = f;
	return 0;
}

/* Ends the record, of which all lines have to be written by then. */
static void end_record(struct fixture *f)
{
	struct err e = { "" };

	__atomic_store_n(&hold, false, __ATOMIC_RELEASE);
	record_finish(f->r);
	pthread_join(f->writer, NULL);
	if (record_close(f->r, &e))
		fail_msg("%s", e.text);
	f->r = NULL;
}

static int free_record(void **state)
{
	struct fixture *f = *state;

	if (f->r)
		end_record(f);
	unlink(f->file);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void await(const bool *flag)
{
	s64 begin = now_ms();

	while (!__atomic_load_n(flag, __ATOMIC_ACQUIRE) && now_ms() - begin < PATIENCE_MS)
		nap();
	assert_true(__atomic_load_n(flag, __ATOMIC_ACQUIRE));
}

static void await_told(int want)
{
	s64 begin = now_ms();

	while (__atomic_load_n(&told_error, __ATOMIC_ACQUIRE) != want &&
	       now_ms() - begin < PATIENCE_MS)
		nap();
	assert_int_equal(__atomic_load_n(&told_error, __ATOMIC_ACQUIRE), want);
}

/* Has the thread stay in write(2), with one line, which is long enough for `drip`. */
static void hold_file(struct fixture *f)
{
	static char name[1500];
	const struct fixture_call first = { .session = "first",
					    .verdict = VERDICT_PASS,
					    .name = name };

	memset(name, 'n', sizeof(name) - 1);
	__atomic_store_n(&hold, true, __ATOMIC_RELEASE);
	assert_int_equal(fixture_call_put(f->r, 0, &first), 0);
	await(&held);
}

static void *put_call(void *arg)
{
	struct fixture *f = arg;

	f->ret = fixture_call_put(f->r, f->time, &f->call);
	__atomic_store_n(&f->done, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Has another thread put a line, and waits until that waits for room. */
static void put_and_wait(struct fixture *f, const struct fixture_call *call, u64 time)
{
	s64 begin = now_ms();

	f->call = *call;
	f->time = time;
	assert_int_equal(pthread_create(&f->vcpu, NULL, put_call, f), 0);
	while (!__atomic_load_n(&asked, __ATOMIC_ACQUIRE) && now_ms() - begin < PATIENCE_MS)
		nap();
	assert_true(__atomic_load_n(&asked, __ATOMIC_ACQUIRE));
	assert_false(__atomic_load_n(&f->done, __ATOMIC_ACQUIRE));
}

/* What the file has of a session. */
struct session_lines {
	u64 calls, denied, lost, last_time;
	bool ordered;
};

static struct session_lines read_session(const struct fixture *f, const char *session)
{
	struct session_lines out = { .ordered = true };
	FILE *in = fopen(f->file, "re");
	char text[8000];

	assert_non_null(in);
	while (fgets(text, sizeof(text), in)) {
		json_t *line = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
		const char *verdict = json_string_value(json_object_get(line, "verdict"));
		const char *whose = json_string_value(json_object_get(line, "session"));
		u64 time = (u64)json_integer_value(json_object_get(line, "time_ns"));

		assert_non_null(line);
		if (whose && !strcmp(whose, session)) {
			out.lost += (u64)json_integer_value(json_object_get(line, "lost"));
			out.calls += verdict != NULL;
			out.denied += verdict && !strcmp(verdict, "deny");
			out.ordered = out.ordered && time >= out.last_time;
			out.last_time = time;
		}
		json_decref(line);
	}
	fclose(in);
	return out;
}

static const struct fixture_call flood_a = { .session = "a", .verdict = VERDICT_PASS };
static const struct fixture_call one_b = { .session = "b", .verdict = VERDICT_PASS };
static const struct fixture_call refused_a = { .session = "a", .verdict = VERDICT_DENY };
static const struct fixture_call first_a = { .session = "a",
					     .verdict = VERDICT_PASS,
					     .first = true };

static void a_flood_displaces_nothing_of_another_session(void **state)
{
	struct fixture *f = *state;
	struct session_lines a, b;
	struct record *back;
	char *text = NULL;
	size_t len;
	FILE *to;

	hold_file(f);
	for (u64 i = 1; i <= 20000; i++) {
		assert_int_equal(fixture_call_put(f->r, i, &flood_a), 0);
		if (i % 1000 == 0)
			assert_int_equal(fixture_call_put(f->r, i, &one_b), 0);
	}
	assert_true(__atomic_load_n(&told_lost, __ATOMIC_ACQUIRE) > 0);
	/* The count comes where the lines would have been. */
	__atomic_store_n(&hold, false, __ATOMIC_RELEASE);
	record_sync(f->r);
	assert_int_equal(fixture_call_put(f->r, 20001, &flood_a), 0);
	end_record(f);
	a = read_session(f, "a");
	b = read_session(f, "b");
	assert_int_equal(b.calls, 20);
	assert_int_equal(b.lost, 0);
	assert_true(a.calls > 1000 && a.lost > 0);
	assert_int_equal(a.calls + a.lost, 20001);
	assert_true(a.ordered && b.ordered);
	/* People are told, too. */
	assert_int_equal(record_read(&back, f->file, NULL), 0);
	to = open_memstream(&text, &len);
	assert_int_equal(record_print(back, to, 0, false), 0);
	fclose(to);
	assert_non_null(strstr(text, "lines lost"));
	assert_non_null(strstr(text, "more are missing: the file took no more at these times"));
	free(text);
	record_close(back, NULL);
}

/* Also one whose session says nothing more. */
static void losses_are_told_at_the_end(void **state)
{
	struct fixture *f = *state;
	struct session_lines a;
	u64 next;

	hold_file(f);
	next = fixture_fill(f->r, "a", 1);
	end_record(f);
	a = read_session(f, "a");
	assert_int_equal(a.calls, next - 2);
	assert_int_equal(a.lost, 1);
}

static void expect_wait(struct fixture *f, const struct fixture_call *call)
{
	struct session_lines a;
	u64 next;

	hold_file(f);
	next = fixture_fill(f->r, "a", 1);
	put_and_wait(f, call, next);
	/* What comes meanwhile does not get the room. */
	fixture_call_put(f->r, next, &flood_a);
	__atomic_store_n(&hold, false, __ATOMIC_RELEASE);
	pthread_join(f->vcpu, NULL);
	assert_int_equal(f->ret, 0);
	end_record(f);
	a = read_session(f, "a");
	assert_int_equal(a.calls, next - 1);
	assert_int_equal(a.denied, call->verdict == VERDICT_DENY);
	assert_int_equal(a.lost, 2);
	assert_true(a.ordered);
}

static void a_refusal_waits_for_room(void **state)
{
	expect_wait(*state, &refused_a);
}

static void a_first_call_waits_for_room(void **state)
{
	expect_wait(*state, &first_a);
}

static void where_none_may_sleep_a_refusal_takes_the_reserve(void **state)
{
	struct fixture *f = *state;
	struct fixture_call call = refused_a;
	struct session_lines a;
	u64 next;

	hold_file(f);
	next = fixture_fill(f->r, "a", 1);
	call.atomic = true;
	assert_int_equal(fixture_call_put(f->r, next, &call), 0);
	/* So does an event. */
	fixture_fill(f->r, "b", 1);
	assert_int_equal(record_event(f->r, next, "doorbell refused", "text"), 0);
	assert_int_equal(__atomic_load_n(&asked, __ATOMIC_ACQUIRE), 0);
	end_record(f);
	a = read_session(f, "a");
	assert_int_equal(a.denied, 1);
}

/* Only when that is full as well does anything become known as not recorded. */
static void a_full_reserve_is_told_to_the_caller(void **state)
{
	struct fixture *f = *state;
	struct session_lines a;
	u64 next, last;

	hold_file(f);
	next = fixture_fill(f->r, "a", 1);
	last = fixture_fill_reserve(f->r, "a", next);
	assert_true(last - next > 300);
	end_record(f);
	a = read_session(f, "a");
	assert_int_equal(a.denied, last - next - 1);
	assert_int_equal(a.lost, 2);
}

static void a_file_that_never_answers_holds_up_nobody_for_ever(void **state)
{
	struct fixture *f = *state;
	s64 begin;
	u64 next;

	hold_file(f);
	next = fixture_fill(f->r, "a", 1);
	begin = now_ms();
	assert_int_equal(fixture_call_put(f->r, next, &refused_a), 0);
	assert_in_range(now_ms() - begin, 0, RECORD_WAIT_MS + 1000);
	assert_true(record_held_ms(f->r) >= RECORD_WAIT_MS);
	/* Those that come later do not wait at all. */
	begin = now_ms();
	for (unsigned i = 0; i < 50; i++)
		assert_int_equal(fixture_call_put(f->r, next, &refused_a), 0);
	assert_in_range(now_ms() - begin, 0, 1000);
	end_record(f);
	assert_int_equal(read_session(f, "a").denied, 51);
}

static void a_pause_lets_go_of_who_waits(void **state)
{
	struct fixture *f = *state;
	u64 next;

	/* It answers all the time, so that nothing else ends the wait. */
	__atomic_store_n(&drip, true, __ATOMIC_RELEASE);
	hold_file(f);
	next = fixture_fill(f->r, "a", 1);
	put_and_wait(f, &refused_a, next);
	__atomic_store_n(&leave, true, __ATOMIC_RELEASE);
	await(&f->done);
	pthread_join(f->vcpu, NULL);
	assert_int_equal(f->ret, 0);
	__atomic_store_n(&drip, false, __ATOMIC_RELEASE);
	end_record(f);
	assert_int_equal(read_session(f, "a").denied, 1);
}

/* A short line that may be lost does not take the room for which a long one waits. */
static void who_waits_comes_first(void **state)
{
	static char name[1500];
	const struct fixture_call waiting = { .session = "a",
					      .verdict = VERDICT_DENY,
					      .name = name };
	const struct fixture_call longer = { .session = "a",
					     .verdict = VERDICT_PASS,
					     .name = name };
	struct fixture *f = *state;
	struct record_status now;

	memset(name, 'n', sizeof(name) - 1);
	hold_file(f);
	do {
		fixture_call_put(f->r, 1, &longer);
		record_status(f->r, &now);
	} while (!now.lost);
	fixture_call_put(f->r, 2, &flood_a);
	record_status(f->r, &now);
	assert_int_equal(now.lost, 1);
	put_and_wait(f, &waiting, 3);
	fixture_call_put(f->r, 4, &flood_a);
	record_status(f->r, &now);
	assert_int_equal(now.lost, 2);
	__atomic_store_n(&hold, false, __ATOMIC_RELEASE);
	pthread_join(f->vcpu, NULL);
	assert_int_equal(f->ret, 0);
}

static void a_full_disk_is_told_at_once_and_tried_again(void **state)
{
	struct fixture *f = *state;
	struct record_status now;
	struct session_lines a;
	u64 next;

	__atomic_store_n(&error, ENOSPC, __ATOMIC_RELEASE);
	assert_int_equal(fixture_call_put(f->r, 1, &flood_a), 0);
	await_told(ENOSPC);
	record_status(f->r, &now);
	assert_int_equal(now.error, ENOSPC);
	assert_int_equal(now.lost, 0);
	next = fixture_fill(f->r, "a", 2);
	/* It is no reason to wait. */
	assert_int_equal(fixture_call_put(f->r, next, &refused_a), 0);
	assert_int_equal(__atomic_load_n(&asked, __ATOMIC_ACQUIRE), 0);
	__atomic_store_n(&error, 0, __ATOMIC_RELEASE);
	await_told(0);
	record_sync(f->r);
	a = read_session(f, "a");
	assert_int_equal(a.calls, next - 1);
	assert_int_equal(a.lost, 1);
	record_status(f->r, &now);
	assert_int_equal(now.error, 0);
	assert_int_equal(now.lost, 1);
}

/* One that is stopped for a moment is not told, and one that stays so is. */
static void a_stopped_terminal_is_told_after_a_while(void **state)
{
	struct fixture *f = *state;

	__atomic_store_n(&error, EAGAIN, __ATOMIC_RELEASE);
	assert_int_equal(fixture_call_put(f->r, 1, &flood_a), 0);
	for (unsigned ms = 0; ms < 200; ms++)
		nap();
	assert_int_equal(__atomic_load_n(&told_error, __ATOMIC_ACQUIRE), -1);
	await_told(EAGAIN);
	__atomic_store_n(&error, 0, __ATOMIC_RELEASE);
	await_told(0);
}

/* A disk that stays full holds up no end, which says so. */
static void an_end_leaves_a_full_disk(void **state)
{
	struct fixture *f = *state;
	struct err e = { "" };

	__atomic_store_n(&error, EDQUOT, __ATOMIC_RELEASE);
	assert_int_equal(fixture_call_put(f->r, 1, &flood_a), 0);
	alarm(20);
	record_finish(f->r);
	alarm(0);
	pthread_join(f->writer, NULL);
	assert_int_equal(record_close(f->r, &e), -EDQUOT);
	f->r = NULL;
	assert_non_null(strstr(e.text, "the record is not complete"));
}

/* Names of sessions beyond the queues that there are share one, and lose nothing by that. */
static void many_sessions_share_a_queue(void **state)
{
	struct fixture *f = *state;
	char name[16];

	for (unsigned i = 0; i < 2 * RECORD_SESSIONS; i++) {
		const struct fixture_call call = { .session = name, .verdict = VERDICT_PASS };

		snprintf(name, sizeof(name), "s%u", i);
		assert_int_equal(fixture_call_put(f->r, i, &call), 0);
		assert_int_equal(fixture_call_put(f->r, i + 1, &call), 0);
	}
	end_record(f);
	for (unsigned i = 0; i < 2 * RECORD_SESSIONS; i++) {
		snprintf(name, sizeof(name), "s%u", i);
		assert_int_equal(read_session(f, name).calls, 2);
	}
}

/* Lines that wait in several queues leave in the order in which they came. */
static void lines_of_all_sessions_are_in_order(void **state)
{
	static const char *const sessions[] = { "a", "b", "c" };
	struct fixture *f = *state;
	const u64 n = 600;
	char line[1024];
	u64 time = 0;
	FILE *file;

	/* The first is being written, and the others wait. */
	__atomic_store_n(&hold, true, __ATOMIC_RELEASE);
	for (u64 i = 0; i < n; i++) {
		/* runs of one session's, and turns */
		const struct fixture_call call = { .session = sessions[i % 7 < 4 ? 0 : i % 3],
						   .verdict = VERDICT_PASS };

		assert_int_equal(fixture_call_put(f->r, i, &call), 0);
	}
	__atomic_store_n(&hold, false, __ATOMIC_RELEASE);
	record_sync(f->r);
	file = fopen(f->file, "r");
	assert_non_null(file);
	for (; fgets(line, sizeof(line), file); time++)
		assert_int_equal(strtoull(line + strlen("{\"time_ns\":"), NULL, 10), time);
	fclose(file);
	assert_int_equal(time, n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_record, free_record)
		TEST(lines_of_all_sessions_are_in_order),
		TEST(a_flood_displaces_nothing_of_another_session),
		TEST(losses_are_told_at_the_end),
		TEST(a_refusal_waits_for_room),
		TEST(a_first_call_waits_for_room),
		TEST(where_none_may_sleep_a_refusal_takes_the_reserve),
		TEST(a_full_reserve_is_told_to_the_caller),
		TEST(a_file_that_never_answers_holds_up_nobody_for_ever),
		TEST(a_pause_lets_go_of_who_waits),
		TEST(who_waits_comes_first),
		TEST(a_full_disk_is_told_at_once_and_tried_again),
		TEST(a_stopped_terminal_is_told_after_a_while),
		TEST(an_end_leaves_a_full_disk),
		TEST(many_sessions_share_a_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
