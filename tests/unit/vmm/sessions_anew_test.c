// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests what becomes of sessions whose guest starts anew: drivers for which the policy that is in
 * force has no place, and commands about a start anew that has failed. The linker leads what reads
 * the kernel and the drivers here.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"
#include "tests/unit/vmm/send_fds.h"
#include "tests/unit/vmm/told_notes.h"
#include "vmm/control/control.h"
#include "vmm/machine/machine.h"
#include "vmm/session/driver.h"
#include "vmm/session/inject.h"
#include "vmm/session/session_commands.h"
#include "vmm/session/sessions.h"
#include "vmm/spec/spec.h"

static unsigned n_added; /* drivers with a place */
static int error;	 /* of all of them, or 0 */

int __real_driver_add(struct sessions *s, const struct driver_request *r, struct driver **out,
		      struct err *e);
int __wrap_driver_add(struct sessions *s, const struct driver_request *r, struct driver **out,
		      struct err *e);
const char *__wrap_kernel_release(const struct kernel *k);
void __wrap_kernel_text(const struct kernel *k, u64 *start, u64 *end);
int __wrap_inject_archive(const struct inject *in, const char *release, const char *init,
			  void **out, size_t *len, struct err *e);

/* Takes each driver whose session the policy knows; the others are refused by what is tested. */
int __wrap_driver_add(struct sessions *s, const struct driver_request *r, struct driver **out,
		      struct err *e)
{
	struct session *ss;
	int ret = session_get(s, r->session, &ss, e);

	(void)out;
	if (!ret && error)
		ret = err_set(e, error, "driver %s: %s", r->path, strerror(-error));
	if (!ret)
		assert_int_equal(r->order, n_added++);
	return ret;
}

const char *__wrap_kernel_release(const struct kernel *k)
{
	(void)k;
	return "6.1";
}

void __wrap_kernel_text(const struct kernel *k, u64 *start, u64 *end)
{
	(void)k;
	*start = *end = 0;
}

int __wrap_inject_archive(const struct inject *in, const char *release, const char *init,
			  void **out, size_t *len, struct err *e)
{
	(void)in;
	(void)release;
	(void)init;
	(void)e;
	*out = NULL;
	*len = 0;
	return 0;
}

struct fixture {
	struct sessions s;
	struct guest_spec spec;
	struct told_notes told;
};

/* Makes sessions of three drivers, whose policy in force has a place for two. */
static int setup(void **state)
{
	static const char *const names[] = { "gone", "web", "db" };
	struct fixture *f = calloc(1, sizeof(*f));
	struct machine_config c = { .memory = 1 << 20, .cpus = 1, .notes = { told_put, &f->told } };
	struct err e = { "" };

	told_begin(&f->told);
	guest_spec_init(&f->spec);
	f->spec.append = "";
	for (size_t i = 0; i < 3; i++) {
		f->spec.drivers[i].session = strdup(names[i]);
		f->spec.drivers[i].path = strdup("x.ko");
	}
	f->spec.n_drivers = 3;
	f->s.spec = &f->spec;
	f->s.policy_fd = -1;
	f->s.driver_fds = (int[3]){ -1, -1, -1 };
	if (machine_create(&f->s.m, &c, &e) ||
	    policy_parse(&f->s.policy, "p", "version = 1; sessions = { web = { }; db = { }; };",
			 &e))
		fail_msg("%s", e.text);
	n_added = 0;
	error = 0;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	while (f->s.list) {
		struct session *ss = f->s.list;

		f->s.list = ss->next;
		session_free(ss);
	}
	policy_free(f->s.policy);
	free(f->s.cmdline);
	machine_destroy(f->s.m);
	guest_spec_free(&f->spec);
	told_end(&f->told);
	free(f);
	return 0;
}

static int prepare(struct fixture *f, struct err *e)
{
	int fds[3] = { -1, -1, -1 }, ret;

	f->s.driver_fds = fds;
	ret = sessions_prepare(&f->s, NULL, 0, NULL, e);
	f->s.driver_fds = NULL;
	return ret;
}

/* (P7) of sessions.h: any reboot, which a user of the guest may ask for, would be the VMM's end. */
static void a_driver_without_a_place_is_left_out_at_a_reset(void **state)
{
	struct fixture *f = *state;
	struct err e = { "" };

	f->s.again = true;
	if (prepare(f, &e))
		fail_msg("%s", e.text);
	assert_int_equal(n_added, 2);
	assert_int_equal(f->s.n_start, 2);
	assert_non_null(strstr(f->told.text, "gone"));
	assert_non_null(strstr(f->told.text, "; the guest starts without this driver\n"));
	assert_int_equal(f->s.phase, SESSIONS_PREPARED);
}

/* What its user asks for by mistake is told at once. */
static void at_the_first_start_it_is_an_error(void **state)
{
	struct fixture *f = *state;
	struct err e = { "" };

	assert_int_equal(prepare(f, &e), -ENOENT);
	assert_string_equal(f->told.text, "");
}

static void a_host_without_memory_leaves_no_driver_out(void **state)
{
	struct fixture *f = *state;
	struct err e = { "" };

	f->s.again = true;
	error = -ENOMEM;
	assert_int_equal(prepare(f, &e), -ENOMEM);
}

struct server {
	struct loop *l;
	struct control *c;
	char path[48];
};

static void serve_begin(struct server *v, struct fixture *f)
{
	struct err e = { "" };
	int fd;

	strcpy(v->path, "/tmp/umbra-unit-XXXXXX");
	fd = mkstemp(v->path);
	assert_true(fd >= 0);
	close(fd);
	unlink(v->path);
	assert_int_equal(loop_create(&v->l), 0);
	if (control_create(&v->c, v->l, v->path, &e) || sessions_control_add(&f->s, v->c))
		fail_msg("%s", e.text);
}

static void serve_once(void *arg, u32 expiries)
{
	(void)expiries;
	loop_stop(arg);
}

/* Sends @text with a sealed file, and serves the loop until an answer is there; it goes to @got. */
static void talk(struct server *v, const char *text, char *got, size_t size)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), file, timer;
	size_t used = 0;
	ssize_t n;

	file = memfd_create("driver", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(
		fcntl(file, F_ADD_SEALS, F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE),
		0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", v->path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(send_fds(fd, text, strlen(text), &file, 1, 0), strlen(text));
	timer = loop_timer(v->l, 1000000, 1000000, serve_once, v->l);
	assert_true(timer >= 0);
	*got = '\0';
	for (unsigned i = 0; i < 20000 && !strstr(got, "\"id\""); i++) {
		loop_again(v->l);
		assert_int_equal(loop_run(v->l), 0);
		n = recv(fd, got + used, size - 1 - used, MSG_DONTWAIT);
		used += n > 0 ? (size_t)n : 0;
		got[used] = '\0';
	}
	loop_timer_del(v->l, timer);
	close(file);
	close(fd);
}

/* The end serves the control socket: the sessions have no kernel then. */
static void a_start_anew_that_failed_takes_no_commands(void **state)
{
	static const char *const commands[] = {
		"\"umbra-driver-load\",\"arguments\":{\"session\":\"web\",\"path\":\"x.ko\","
		"\"fd\":\"f\"}",
		"\"umbra-driver-unload\",\"arguments\":{\"instance\":\"x\"}",
	};
	struct fixture *f = *state;
	char text[400], got[2000];
	struct server v;

	serve_begin(&v, f);
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		snprintf(text, sizeof(text),
			 "{\"execute\":\"qmp_capabilities\"}{\"execute\":\"getfd\",\"arguments\":{"
			 "\"fdname\":\"f\"}}{\"execute\":%s,\"id\":1}\n",
			 commands[i]);
		talk(&v, text, got, sizeof(got));
		if (!strstr(got, "the guest has shut down"))
			fail_msg("%s", got);
	}
	assert_int_equal(n_added, 0);
	control_destroy(v.c);
	loop_destroy(v.l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
		TEST(a_driver_without_a_place_is_left_out_at_a_reset),
		TEST(at_the_first_start_it_is_an_error),
		TEST(a_host_without_memory_leaves_no_driver_out),
		TEST(a_start_anew_that_failed_takes_no_commands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
