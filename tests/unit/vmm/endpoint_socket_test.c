// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests sockets and pseudo-terminals as the endpoint of a guest's byte stream: with a client that
 * is silent or dying it goes on, and a file at its path that is not its own stays.
 */
#include <sys/un.h>

#include "tests/unit/vmm/endpoint_fixture.h"
#include "tests/unit/vmm/lingering.h"
#include "vmm/machine/closer.h"

static int dial_endpoint(const char *path)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0 && strlen(path) < sizeof(a.sun_path));
	memcpy(a.sun_path, path, strlen(path));
	assert_int_equal(connect(fd, (const struct sockaddr *)(const void *)&a, sizeof(a)), 0);
	return fd;
}

static void silent_client(void **state)
{
	struct fixture f;
	struct err e;
	int fd;

	(void)state;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f, SPEC_SOCKET, true, &e), 0);
	fd = dial_endpoint(f.path);
	check_silent(&f);
	close(fd);
	fixture_fini(&f);
}

/*
 * A client may send any descriptor beside its bytes, one whose close takes seconds: in its input,
 * in what is not read when it goes, and before it is let in. Neither loop nor end waits for that.
 */
static void a_client_that_sends_descriptors(void **state)
{
	struct fixture f;
	int client[3], peers[4], n = 0;
	struct err e;
	s64 begin;

	(void)state;
	fixture_init(&f);
	machine_set_confine(f.m, NULL);
	assert_int_equal(closer_create(&f.closer, f.m), 0);
	assert_int_equal(fixture_open(&f, SPEC_SOCKET, true, &e), 0);
	client[0] = dial_endpoint(f.path);
	send_away(client[0], lingering_socket(3, &peers[n++]));
	while (!__atomic_load_n(&f.got, __ATOMIC_ACQUIRE))
		usleep(1000);
	assert_loop_answers(&f);
	/* The next one takes its place. */
	client[1] = dial_endpoint(f.path);
	assert_loop_answers(&f);
	/* The guest takes no more, so that the loop reads no more. */
	__atomic_store_n(&f.full, true, __ATOMIC_RELEASE);
	assert_int_equal(send(client[1], "x", 1, 0), 1);
	assert_loop_answers(&f);
	usleep(10000); /* for the input, whose refusal cannot be seen */
	send_away(client[1], lingering_socket(3, &peers[n++]));
	client[2] = dial_endpoint(f.path);
	assert_loop_answers(&f);
	send_away(client[2], lingering_socket(3, &peers[n++]));
	assert_loop_answers(&f);
	loop_stop(machine_loop(f.m));
	pthread_join(f.loop, NULL);
	close(dial_endpoint(f.path));
	close(client[0]);
	client[0] = dial_endpoint(f.path);
	send_away(client[0], lingering_socket(3, &peers[n++]));
	closer_limit(f.closer, 0);
	begin = now_ms();
	endpoint_destroy(f.ep, now_ms() + 700);
	assert_in_range(now_ms() - begin, 0, ANSWER_MS);
	while (n)
		close(peers[--n]);
	closer_destroy(f.closer);
	for (unsigned i = 0; i < ARRAY_SIZE(client); i++)
		close(client[i]);
	fixture_fini(&f);
}

static void dying_client(void **state)
{
	struct fixture f;
	struct writer w;
	struct err e;

	(void)state;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f, SPEC_SOCKET, true, &e), 0);
	writer_start(&w, &f, 1 << 20);
	for (int i = 0; i < 20; i++)
		close(dial_endpoint(f.path));
	assert_writer_ends(&w, 10000);
	assert_loop_answers(&f);
	assert_true(fixture_close(&f) < ANSWER_MS);
	fixture_fini(&f);
}

static void silent_pseudo_terminal(void **state)
{
	struct fixture f;
	struct err e;

	(void)state;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f, SPEC_PTY, true, &e), 0);
	check_silent(&f);
	fixture_fini(&f);
}

/* A file at the path of a socket is somebody's: a disk, perhaps. */
static void socket_spares_a_file(void **state)
{
	struct err e = { "" };
	struct fixture f;
	int fd;

	(void)state;
	fixture_init(&f);
	fd = precious_file(&f);
	close(fd);
	assert_true(fixture_open(&f, SPEC_SOCKET, true, &e) < 0);
	assert_file_has(f.path, "precious\n");
	fixture_fini(&f);
}

static int bind_at(const char *path, bool listens)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	memcpy(a.sun_path, path, strlen(path));
	assert_int_equal(bind(fd, (const struct sockaddr *)(const void *)&a, sizeof(a)), 0);
	assert_true(!listens || !listen(fd, 1));
	return fd;
}

static void socket_spares_the_living(void **state)
{
	struct err e = { "" };
	struct fixture f;
	int fd;

	(void)state;
	fixture_init(&f);
	fd = bind_at(f.path, true);
	assert_int_equal(fixture_open(&f, SPEC_SOCKET, true, &e), -EADDRINUSE);
	close(dial_endpoint(f.path));
	close(fd);
	fixture_fini(&f);
}

static void socket_replaces_a_leftover(void **state)
{
	struct err e = { "" };
	struct fixture f;

	(void)state;
	fixture_init(&f);
	close(bind_at(f.path, true));
	assert_int_equal(fixture_open(&f, SPEC_SOCKET, true, &e), 0);
	close(dial_endpoint(f.path));
	fixture_close(&f);
	/* Its own it takes away. */
	assert_int_equal(access(f.path, F_OK), -1);
	fixture_fini(&f);
}

static void socket_spares_its_successor(void **state)
{
	struct err e = { "" };
	struct fixture f;
	int fd;

	(void)state;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f, SPEC_SOCKET, true, &e), 0);
	unlink(f.path);
	fd = bind_at(f.path, true);
	fixture_close(&f);
	close(dial_endpoint(f.path));
	close(fd);
	fixture_fini(&f);
}

/* What is handed over is the socket that was made, by its id, whatever lies at its path by then. */
static void socket_is_left_to_another(void **state)
{
	struct confine_file file = { .path = NULL };
	struct err e = { "" };
	struct fixture f;
	int fd;

	(void)state;
	fixture_init(&f);
	for (int replaced = 0; replaced < 2; replaced++) {
		struct socket_id id;

		assert_int_equal(fixture_open(&f, SPEC_SOCKET, true, &e), 0);
		if (replaced) {
			unlink(f.path);
			fd = bind_at(f.path, true);
		}
		assert_true(endpoint_disown(f.ep, &file));
		assert_string_equal(file.path, f.path);
		assert_false(file.unused);
		id = *file.id;
		/* Handed over once, it is not removed at the end. */
		assert_false(endpoint_disown(f.ep, &file));
		fixture_close(&f);
		assert_int_equal(access(f.path, F_OK), 0);
		assert_int_equal(socket_file_remove(f.path, &id), replaced ? -ESTALE : 0);
	}
	close(dial_endpoint(f.path));
	close(fd);
	fixture_fini(&f);
}

/* A client after the other, on a socket that another process listens on; its file is not ours. */
static void a_given_socket_is_used_and_stays(void **state)
{
	struct confine_file file;
	struct err e = { "" };
	char where[160];
	struct fixture f;
	char buf[8];

	(void)state;
	fixture_init(&f);
	f.what.fd = bind_at(f.path, true);
	assert_int_equal(fixture_open(&f, SPEC_SOCKET_FD, true, &e), 0);
	for (int i = 0; i < 2; i++) {
		int fd = dial_endpoint(f.path);

		assert_int_equal(endpoint_write(f.ep, (const u8 *)"hello\n", 6, false), 6);
		assert_int_equal(recv(fd, buf, 6, MSG_WAITALL), 6);
		assert_memory_equal(buf, "hello\n", 6);
		close(fd);
	}
	endpoint_describe(f.ep, where, sizeof(where));
	assert_non_null(strstr(where, f.path));
	assert_false(endpoint_disown(f.ep, &file));
	fixture_close(&f);
	assert_int_equal(access(f.path, F_OK), 0);
	/* Nobody else has it: it was closed. */
	assert_int_equal(fcntl(f.what.fd, F_GETFD), -1);
	unlink(f.path);
	fixture_fini(&f);
}

static void what_does_not_listen_is_no_socket_to_use(void **state)
{
	struct err e = { "" };
	struct fixture f;

	(void)state;
	fixture_init(&f);
	f.what.fd = bind_at(f.path, false);
	assert_int_equal(fixture_open(&f, SPEC_SOCKET_FD, true, &e), -EINVAL);
	assert_non_null(strstr(e.text, "console: descriptor"));
	assert_non_null(strstr(e.text, "does not listen"));
	close(f.what.fd);
	unlink(f.path);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silent_client),
		cmocka_unit_test(a_client_that_sends_descriptors),
		cmocka_unit_test(dying_client),
		cmocka_unit_test(silent_pseudo_terminal),
		cmocka_unit_test(socket_spares_a_file),
		cmocka_unit_test(socket_spares_the_living),
		cmocka_unit_test(socket_replaces_a_leftover),
		cmocka_unit_test(socket_spares_its_successor),
		cmocka_unit_test(socket_is_left_to_another),
		cmocka_unit_test(a_given_socket_is_used_and_stays),
		cmocka_unit_test(what_does_not_listen_is_no_socket_to_use),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
