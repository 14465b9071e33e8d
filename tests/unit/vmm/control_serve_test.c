// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests one control socket from its file to its end: a good client is answered among a silent one
 * and one that babbles.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/loop.h"
#include "vmm/control/control.h"

static void answer_echo(void *arg, struct control_request *r, const json_t *args)
{
	(void)arg;
	control_reply(r, json_deep_copy(args));
}

static void stop_loop(void *arg, struct control_request *r, const json_t *args)
{
	(void)args;
	control_fail(r, "stopping");
	loop_stop(arg);
}

static const struct control_command commands[] = { { "echo", answer_echo },
						   { "stop", stop_loop },
						   { NULL, NULL } };

static int dial_control(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	return fd;
}

static void control_serves_good_clients_among_bad_ones(void **state)
{
	static const char talk[] = "{\"execute\":\"echo\"}{\"execute\":\"qmp_capabilities\"}"
				   "{\"execute\":\"echo\",\"id\":7,\"arguments\":{\"a\":1}}"
				   "{\"execute\":\"nothing\"} {\"execute\":\"stop\"}";
	char path[] = "/tmp/umbra-unit-XXXXXX", got[4096];
	struct control *c, *second;
	int silent, babbler, good;
	struct stat st;
	struct loop *l;
	struct err e;
	ssize_t n;

	(void)state;
	assert_int_equal(mkstemp(path) < 0, 0);
	unlink(path);
	assert_int_equal(loop_create(&l), 0);
	assert_int_equal(control_create(&c, l, path, &e), 0);
	assert_int_equal(control_add(c, commands, l), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(control_create(&second, l, path, &e), -EADDRINUSE);
	silent = dial_control(path);
	babbler = dial_control(path);
	good = dial_control(path);
	memset(got, '{', sizeof(got));
	assert_int_equal(send(babbler, got, sizeof(got), 0), sizeof(got));
	assert_int_equal(send(good, talk, sizeof(talk) - 1, 0), sizeof(talk) - 1);
	assert_int_equal(loop_run(l), 0);
	n = recv(good, got, sizeof(got) - 1, 0);
	assert_true(n > 0);
	got[n] = 0;
	assert_non_null(strstr(got, "{\"QMP\""));
	assert_non_null(strstr(got, "qmp_capabilities"));
	assert_non_null(strstr(got, "{\"return\":{\"a\":1},\"id\":7}"));
	assert_non_null(strstr(got, "The command nothing has not been found"));
	assert_non_null(strstr(got, "stopping"));
	control_destroy(c);
	assert_int_equal(access(path, F_OK), -1);
	loop_destroy(l);
	close(silent);
	close(babbler);
	close(good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(control_serves_good_clients_among_bad_ones),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
