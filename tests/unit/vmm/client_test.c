// SPDX-License-Identifier: GPL-2.0-only
/* Tests the client's end of the control socket, with a VMM that does not behave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/control/client.h"
#include "vmm/control/socket_dir.h"

/* A VMM that says @text to one that connects, and goes on saying it if @again. */
struct vmm {
	const char *text;
	bool again;
	char name[40], *path;
	int listener;
	pthread_t thread;
};

static void *serve_one(void *arg)
{
	struct vmm *v = arg;
	int fd = accept4(v->listener, NULL, NULL, SOCK_CLOEXEC);
	static char said[65536], drained[4096];
	size_t len = strlen(v->text), n = v->again ? sizeof(said) / len : 1;

	/* Much at once, so that its client has always something to read. */
	for (size_t i = 0; i < n; i++)
		memcpy(said + i * len, v->text, len);
	while (send(fd, said, n * len, MSG_NOSIGNAL) > 0 && v->again)
		;
	shutdown(fd, SHUT_WR);
	while (read(fd, drained, sizeof(drained)) > 0)
		;
	close(fd);
	return NULL;
}

static void vmm_start(struct vmm *v)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(v->name, sizeof(v->name), "umbra-unit-%d", getpid());
	assert_int_equal(socket_dir_path(&v->path, v->name, true, NULL), 0);
	assert_true(strlen(v->path) < sizeof(sa.sun_path));
	memcpy(sa.sun_path, v->path, strlen(v->path));
	unlink(v->path);
	v->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(v->listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(v->listener, 1), 0);
	assert_int_equal(pthread_create(&v->thread, NULL, serve_one, v), 0);
}

static void vmm_end(struct vmm *v)
{
	pthread_join(v->thread, NULL);
	close(v->listener);
	unlink(v->path);
	free(v->path);
}

/* Whether it says nothing of use, or has it in pieces: the time limit is the
 * answer's. */
static void one_that_never_stops_talking_is_left_in_time(void **state)
{
	static const char *const texts[] = {
		"{\"event\":\"X\"}{\"event\":\"Y\"}",
		"{}\r\n[1]\r\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct vmm v = { .text = texts[i], .again = true };
		struct client *c = NULL;
		struct err e = { "" };

		vmm_start(&v);
		alarm(60);
		assert_int_equal(client_open(&c, v.name, 200, &e), -ETIMEDOUT);
		alarm(0);
		assert_null(c);
		assert_non_null(strstr(e.text, "does not answer"));
		vmm_end(&v);
	}
}

/* Returns what @command prints to stderr and to stdout, one after the other. */
static char *printed_by(int (*command)(int argc, char **argv), const char *const *words, int code)
{
	FILE *out = stdout, *err = stderr;
	char buf[4][40], *argv[5], *text = NULL;
	int argc = 0, ret;
	size_t len;

	for (; words[argc]; argc++) {
		snprintf(buf[argc], sizeof(buf[argc]), "%s", words[argc]);
		argv[argc] = buf[argc];
	}
	argv[argc] = NULL;
	stdout = stderr = open_memstream(&text, &len);
	ret = command(argc, argv);
	fclose(stdout);
	stdout = out;
	stderr = err;
	assert_int_equal(ret, code);
	return text;
}

static void a_refusal_does_not_steer_the_terminal(void **state)
{
	struct vmm v = { .text = "{\"return\":{}}{\"error\":{\"class\":\"GenericError\","
				 "\"desc\":\"no\\u001b[2J\\r\\nvmm: yes\"}}" };
	char *text;

	(void)state;
	vmm_start(&v);
	text = printed_by(cmd_pause, (const char *const[]){ "pause", v.name, NULL }, 1);
	assert_string_equal(text, "vmm: no\\x1b[2J\\x0d\\x0avmm: yes\n");
	free(text);
	vmm_end(&v);
}

static void a_report_does_not_steer_the_terminal(void **state)
{
	struct vmm v = { .text = "{\"return\":{}}{\"return\":{\"a\\u001bc\":\"\\u001b[2J\","
				 "\"b\":{\"\\u0007\":\"\\u009b1m\"}}}" };
	char *text;

	(void)state;
	vmm_start(&v);
	text = printed_by(cmd_info, (const char *const[]){ "info", v.name, NULL }, 0);
	assert_string_equal(text, "a\\x1bc:\n  \\x1b[2J\nb:\n  \\x07  \\xc2\\x9b1m\n");
	free(text);
	vmm_end(&v);
}

/* Makes a socket of the directory that listens, and has @mode. Returns its descriptor. */
static int listen_in_dir(const char *name, mode_t mode, char **path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(socket_dir_path(path, name, true, NULL), 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", *path);
	unlink(*path);
	assert_int_equal(fchmod(fd, mode), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static bool list_has(const char *name)
{
	char **names;
	bool has = false;
	struct err e;
	size_t n;

	if (client_list(&names, &n, &e))
		fail_msg("%s", e.text);
	for (size_t i = 0; i < n; i++)
		has |= !strcmp(names[i], name);
	client_list_free(names, n);
	return has;
}

/* Has anybody connected? A socket unit would start its service then. */
static bool was_connected_to(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* The socket of a unit of systemd's is listed as long as a VMM serves it, and not asked before. */
static void a_list_starts_no_unit(void **state)
{
	char name[40], *path = NULL;
	int listener, held, again;

	(void)state;
	snprintf(name, sizeof(name), "umbra-unit-of-%d", getpid());
	listener = listen_in_dir(name, 0600, &path);
	assert_false(list_has(name));
	assert_false(was_connected_to(listener));
	held = socket_dir_hold(path);
	assert_true(held >= 0);
	assert_true(list_has(name));
	assert_true(was_connected_to(listener));
	/* Another VMM may serve it, too, and the first one that ends has no say in that. */
	again = socket_dir_hold(path);
	assert_true(again >= 0);
	close(held);
	assert_true(list_has(name));
	assert_true(was_connected_to(listener));
	close(again);
	assert_false(list_has(name));
	assert_false(was_connected_to(listener));
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(socket_dir_hold("/tmp/other.sock"), -ENOENT);
	close(listener);
	unlink(path);
	free(path);
}

/* A socket that a VMM has made is its own to be asked, and removed when it is a leftover. */
static void a_vmms_own_socket_is_asked(void **state)
{
	struct timespec nap = { 1, 100000000 };
	char name[40], *path = NULL;
	int listener;

	(void)state;
	snprintf(name, sizeof(name), "umbra-unit-own-%d", getpid());
	listener = listen_in_dir(name, SOCKET_DIR_MODE, &path);
	assert_true(list_has(name));
	assert_true(was_connected_to(listener));
	close(listener);
	nanosleep(&nap, NULL); /* what is younger than a second is not removed */
	assert_false(list_has(name));
	assert_int_equal(access(path, F_OK), -1);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_never_stops_talking_is_left_in_time),
		cmocka_unit_test(a_refusal_does_not_steer_the_terminal),
		cmocka_unit_test(a_report_does_not_steer_the_terminal),
		cmocka_unit_test(a_list_starts_no_unit),
		cmocka_unit_test(a_vmms_own_socket_is_asked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
