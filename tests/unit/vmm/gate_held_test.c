// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests calls to the gate whose record lies on storage that does not answer: the call waits, and
 * nobody who changes or asks for callers waits for it. The linker leads write(2), calloc(3) and
 * free(3) here. No KVM.
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
#include "tests/unit/vmm/gate_fixture.h"

static sem_t entered, release;
static bool hold; /* atomic */
static int error; /* atomic: of the next write(2); 0: it succeeds */

ssize_t __real_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len);

ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
	int e;

	if (__atomic_load_n(&hold, __ATOMIC_ACQUIRE)) {
		sem_post(&entered);
		sem_wait(&release);
	}
	e = __atomic_exchange_n(&error, 0, __ATOMIC_ACQ_REL);
	if (!e)
		return __real_write(fd, buf, len);
	errno = e;
	return -1;
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
	pthread_t vcpu;
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
	assert_int_equal(policy_parse(&f->policy, "p", text, NULL), 0);
	f->one = (unsigned)gate_caller_add(g, policy_session(f->policy, "a"), "a", "one");
	*state = f;
	return 0;
}

static int free_gate(void **state)
{
	struct fixture *f = *state;

	gate_caller_remove(&f->g, f->one);
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

/* Has a vCPU's thread make a call that stays in write(2). */
static void call_and_hold(struct fixture *f)
{
	f->g.answers[0].verdict = 99;
	__atomic_store_n(&hold, true, __ATOMIC_RELEASE);
	assert_int_equal(pthread_create(&f->vcpu, NULL, register_device, f), 0);
	sem_wait(&entered);
	alarm(10); /* the fault is to wait from here on */
}

static void let_go(struct fixture *f)
{
	__atomic_store_n(&hold, false, __ATOMIC_RELEASE);
	sem_post(&release);
	pthread_join(f->vcpu, NULL);
	alarm(0);
}

static bool file_holds(const struct fixture *f, const char *what)
{
	char text[2000] = "";
	FILE *in = fopen(f->file, "re");
	size_t n = fread(text, 1, sizeof(text) - 1, in);

	fclose(in);
	text[n] = '\0';
	return strstr(text, what);
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
	/* Nothing is answered before it is written. */
	assert_int_equal(a->verdict, 99);
	assert_false(file_holds(f, "misc_register"));
	let_go(f);
	assert_int_equal(f->rax, 0);
	assert_int_equal(a->verdict, UMBRA_REWRITE);
	assert_string_equal(f->g.arena + a->name.off, "a-lime");
	assert_true(file_holds(f, "misc_register"));
}

/* A line that fails late refuses its call, and leaves nothing of it. */
static void a_line_that_fails_late_refuses_the_call(void **state)
{
	struct fixture *f = *state;
	const struct umbra_answer *a = &f->g.answers[0];
	char refusal[GATE_REFUSAL_MAX];

	call_and_hold(f);
	__atomic_store_n(&error, EIO, __ATOMIC_RELEASE);
	let_go(f);
	assert_int_equal(f->rax, 0);
	assert_int_equal(a->verdict, UMBRA_DENY);
	assert_int_equal(a->error, EIO);
	assert_int_equal(a->flags, 0);
	gate_caller_refusal(&f->g, f->one, refusal);
	assert_non_null(strstr(refusal, "the record cannot be written"));
	/* The next one is written. */
	register_device(f);
	assert_int_equal(a->verdict, UMBRA_REWRITE);
	assert_true(file_holds(f, "misc_register"));
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
	assert_true(file_holds(f, "stray call"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, make_gate, free_gate)
		TEST(a_held_line_holds_up_no_other_thread),
		TEST(a_line_that_fails_late_refuses_the_call),
		TEST(a_caller_that_goes_meanwhile_gets_no_answer),
		TEST(a_successor_does_not_get_the_answer),
	};

	sem_init(&entered, 0, 0);
	sem_init(&release, 0, 0);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
