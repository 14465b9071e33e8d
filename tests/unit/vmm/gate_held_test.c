// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests calls to the gate whose record has no room, on storage that does not answer: the first call
 * of a function waits, and nobody who changes or asks for callers waits for it; others go on. The
 * linker leads write(2), calloc(3) and free(3) here. No KVM.
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
#include "tests/unit/policy/record_fixture.h"
#include "tests/unit/vmm/gate_fixture.h"

static sem_t entered; /* write(2) is held */
static sem_t waits;   /* a thread waits for room */
static sem_t release; /* for write(2) */
static bool hold;     /* atomic: the next write(2) is held */
static bool leave;    /* atomic: nobody may wait for room */

ssize_t __real_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len);

ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
	if (__atomic_exchange_n(&hold, false, __ATOMIC_ACQ_REL)) {
		sem_post(&entered);
		sem_wait(&release);
	}
	return __real_write(fd, buf, len);
}

/* Is asked by a thread that waits for room, again and again. */
static bool may_stay(void *arg)
{
	int n;

	(void)arg;
	if (!sem_getvalue(&waits, &n) && !n)
		sem_post(&waits);
	return !__atomic_load_n(&leave, __ATOMIC_ACQUIRE);
}

static void *write_record(void *arg)
{
	record_run(arg);
	return NULL;
}

/*
 * Gives each caller the memory of the one that has gone, as an allocator may well
 * do: an address does not tell them apart.
 */
static union {
	struct gate_caller caller;
	char bytes[sizeof(struct gate_caller)];
} place;
static bool place_taken;

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void __real_free(void *p);
void __wrap_free(void *p);

void *__wrap_calloc(size_t n, size_t size)
{
	if (n != 1 || size != sizeof(place) || place_taken)
		return __real_calloc(n, size);
	place_taken = true;
	return memset(&place, 0, sizeof(place));
}

void __wrap_free(void *p)
{
	if (p == &place)
		place_taken = false;
	else
		__real_free(p);
}

struct fixture {
	struct gate g;
	struct policy *policy;
	char dir[40], file[60];
	unsigned one;
	pthread_t writer, vcpu;
	s64 rax;
};

static int make_gate(void **state)
{
	static const char text[] =
		"version = 1; sessions = { a = { names = { misc = \"a-%s\"; }; default = \"deny\"; }; };\n";
	struct fixture *f = calloc(1, sizeof(*f));
	struct gate *g = &f->g;

	assert_true(gate_fixture_make(g));
	record_close(g->rec, NULL);
	strcpy(f->dir, "/tmp/umbra-unit-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->file, sizeof(f->file), "%s/record", f->dir);
	assert_int_equal(record_create(&g->rec, f->file, NULL), 0);
	record_set_owner(g->rec, &(struct record_owner){ .stay = may_stay });
	record_expect_thread(g->rec, true);
	assert_int_equal(pthread_create(&f->writer, NULL, write_record, g->rec), 0);
	leave = false;
	assert_int_equal(policy_parse(&f->policy, "p", text, NULL), 0);
	f->one = (unsigned)gate_caller_add(g, policy_session(f->policy, "a"), "a", "one");
	*state = f;
	return 0;
}

static int free_gate(void **state)
{
	struct fixture *f = *state;

	gate_caller_remove(&f->g, f->one);
	record_finish(f->g.rec);
	pthread_join(f->writer, NULL);
	gate_fixture_free(&f->g);
	policy_free(f->policy);
	unlink(f->file);
	rmdir(f->dir);
	free(f);
	return 0;
}

static void *register_device(void *arg)
{
	struct fixture *f = arg;
	struct umbra_frame *fr = &f->g.frames[0];

	memset(fr, 0, offsetof(struct umbra_frame, data));
	fr->flags = UMBRA_FRAME_HAS_NAME;
	fr->name.len = fr->used = sizeof("lime");
	memcpy(fr->data, "lime", sizeof("lime"));
	fr->args[0] = 0xffff888000001000;
	f->rax = gate_call(&f->g, 1, 0,
			   UMBRA_ID(f->one, catalog_index(catalog_find("misc_register"))));
	return NULL;
}

/* Has the record's thread stay in write(2), and leaves no room in the queue of the session. */
static void hold_and_fill(struct fixture *f)
{
	f->g.answers[0].verdict = 99;
	__atomic_store_n(&hold, true, __ATOMIC_RELEASE);
	record_event(f->g.rec, 0, "kind", "a text");
	sem_wait(&entered);
	fixture_fill(f->g.rec, "a", 1);
	alarm(10); /* the fault is to wait from here on */
}

/* Has a vCPU's thread make a call that then waits for room. */
static void call_and_hold(struct fixture *f)
{
	hold_and_fill(f);
	while (!sem_trywait(&waits))
		;
	assert_int_equal(pthread_create(&f->vcpu, NULL, register_device, f), 0);
	sem_wait(&waits);
}

static void file_let_go(struct fixture *f)
{
	sem_post(&release);
	record_sync(f->g.rec);
	alarm(0);
}

static void let_go(struct fixture *f)
{
	sem_post(&release);
	pthread_join(f->vcpu, NULL);
	record_sync(f->g.rec);
	alarm(0);
}

static bool file_holds(const struct fixture *f, const char *what)
{
	FILE *in = fopen(f->file, "re");
	char text[2000];
	bool found = false;

	while (!found && fgets(text, sizeof(text), in))
		found = strstr(text, what);
	fclose(in);
	return found;
}

static void a_held_line_holds_up_no_other_thread(void **state)
{
	struct fixture *f = *state;
	const struct umbra_answer *a = &f->g.answers[0];
	char refusal[GATE_REFUSAL_MAX];
	s64 begin = now_ms();
	int two;

	call_and_hold(f);
	/* What the event loop does: drivers come and go, a policy changes, somebody asks. */
	two = gate_caller_add(&f->g, policy_session(f->policy, "a"), "a", "two");
	assert_true(two > 0);
	gate_caller_set_policy(&f->g, f->one, policy_session(f->policy, "a"));
	gate_caller_refusal(&f->g, f->one, refusal);
	assert_int_equal(gate_caller_calls(&f->g, f->one), 1);
	gate_caller_remove(&f->g, (unsigned)two);
	assert_in_range(now_ms() - begin, 0, 1000);
	/* It is not answered before its line has a place. */
	assert_int_equal(a->verdict, 99);
	assert_false(file_holds(f, "misc_register"));
	let_go(f);
	assert_int_equal(f->rax, 0);
	assert_int_equal(a->verdict, UMBRA_REWRITE);
	assert_string_equal(f->g.arena + a->name.off, "a-lime");
	assert_true(file_holds(f, "misc_register"));
}

/* A first call for which there is no room for long is refused, and leaves nothing. */
static void a_first_call_without_room_is_refused(void **state)
{
	struct fixture *f = *state;
	const struct umbra_answer *a = &f->g.answers[0];
	char refusal[GATE_REFUSAL_MAX];

	hold_and_fill(f);
	__atomic_store_n(&leave, true, __ATOMIC_RELEASE);
	fixture_fill_reserve(f->g.rec, "a", 1);
	register_device(f);
	assert_int_equal(f->rax, 0);
	assert_int_equal(a->verdict, UMBRA_DENY);
	assert_int_equal(a->error, EIO);
	assert_int_equal(a->flags, 0);
	gate_caller_refusal(&f->g, f->one, refusal);
	assert_non_null(strstr(refusal, "the record cannot be written"));
	assert_int_equal(ledger_registered(f->g.ledger, f->one), 0);
	/* The next one is still the first, and is written. */
	register_device(f);
	assert_int_equal(a->verdict, UMBRA_DENY);
	file_let_go(f);
	register_device(f);
	assert_int_equal(a->verdict, UMBRA_REWRITE);
	record_sync(f->g.rec);
	assert_true(file_holds(f, "misc_register"));
}

/* Where there is no room at all, only the first call of each function is held up or refused. */
static void other_calls_go_on_without_room(void **state)
{
	struct fixture *f = *state;
	const struct umbra_answer *a = &f->g.answers[0];
	s64 begin;

	register_device(f);
	assert_int_equal(a->verdict, UMBRA_REWRITE);
	hold_and_fill(f);
	begin = now_ms();
	register_device(f);
	assert_in_range(now_ms() - begin, 0, 500);
	assert_int_equal(a->verdict, UMBRA_REWRITE);
	file_let_go(f);
	assert_true(file_holds(f, "lines lost"));
}

/* A guest that says that a driver has gone, while it calls, gets no answer. */
static void a_caller_that_goes_meanwhile_gets_no_answer(void **state)
{
	struct fixture *f = *state;

	call_and_hold(f);
	gate_caller_remove(&f->g, f->one);
	let_go(f);
	assert_int_equal(f->rax, -EINVAL);
	assert_int_equal(f->g.answers[0].verdict, 99);
	assert_int_equal(ledger_registered(f->g.ledger, f->one), 0);
	record_sync(f->g.rec);
	assert_true(file_holds(f, "stray call"));
}

/* Nor does another driver, which has the number and the memory of the one that has gone, get it. */
static void a_successor_does_not_get_the_answer(void **state)
{
	struct fixture *f = *state;
	struct gate_caller *first = f->g.callers[f->one];

	call_and_hold(f);
	gate_caller_remove(&f->g, f->one);
	assert_int_equal(gate_caller_add(&f->g, policy_session(f->policy, "a"), "a", "two"),
			 f->one);
	assert_ptr_equal(f->g.callers[f->one], first);
	let_go(f);
	assert_int_equal(f->rax, -EINVAL);
	assert_int_equal(f->g.answers[0].verdict, 99);
	assert_int_equal(ledger_registered(f->g.ledger, f->one), 0);
	assert_int_equal(gate_caller_calls(&f->g, f->one), 0);
	record_sync(f->g.rec);
	assert_true(file_holds(f, "stray call"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_gate, free_gate)
		TEST(a_held_line_holds_up_no_other_thread),
		TEST(a_first_call_without_room_is_refused),
		TEST(other_calls_go_on_without_room),
		TEST(a_caller_that_goes_meanwhile_gets_no_answer),
		TEST(a_successor_does_not_get_the_answer),
	};

	sem_init(&entered, 0, 0);
	sem_init(&waits, 0, 0);
	sem_init(&release, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
