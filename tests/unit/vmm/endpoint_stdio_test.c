// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests stdin and stdout as the endpoint of a guest's byte stream, with a reader that is silent,
 * slow, dying or back again: the guest's side and the event loop go on, and descriptors that others
 * share stay as they are.
 */
#include <poll.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <termios.h>

#include "tests/unit/base/child.h"
#include "tests/unit/vmm/endpoint_fixture.h"

static void silent_pipe(void **state)
{
	struct fixture f;
	int p[2];

	(void)state;
	fixture_open_stdout(&f, p, false);
	check_silent(&f);
	/* What others share with us is as it was. */
	assert_false(fcntl(p[1], F_GETFL) & O_NONBLOCK);
	close(p[0]);
	close(p[1]);
	fixture_fini(&f);
}

static void silent_socket(void **state)
{
	struct fixture f;
	int p[2];

	(void)state;
	fixture_open_stdout(&f, p, true);
	check_silent(&f);
	assert_false(fcntl(p[1], F_GETFL) & O_NONBLOCK);
	close(p[0]);
	close(p[1]);
	fixture_fini(&f);
}

static int open_terminal(int *slave)
{
	int master = posix_openpt(O_RDWR | O_NOCTTY);
	struct termios t;

	assert_true(master >= 0 && !grantpt(master) && !unlockpt(master));
	*slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(*slave >= 0 && !tcgetattr(*slave, &t));
	cfmakeraw(&t);
	assert_int_equal(tcsetattr(*slave, TCSANOW, &t), 0);
	return master;
}

static void silent_terminal(void **state)
{
	struct fixture f;
	int master, slave;
	struct err e;

	(void)state;
	fixture_init(&f);
	master = open_terminal(&slave);
	fixture_stdio(&f, slave);
	assert_int_equal(fixture_open(&f, SPEC_STDIO, true, &e), 0);
	check_silent(&f);
	assert_false(fcntl(slave, F_GETFL) & O_NONBLOCK);
	close(slave);
	close(master);
	fixture_fini(&f);
}

/*
 * Checks, in a process of its own, an endpoint without /proc, where stdout cannot be opened once
 * more.
 */
static void check_without_proc(int fd)
{
	struct fixture f;
	struct err e;
	int status;
	pid_t child;

	fixture_init(&f);
	child = child_fork();
	if (!child) {
		fixture_stdio(&f, fd);
		if (chroot(f.dir) || chdir("/"))
			_exit(77);
		if (fixture_open(&f, SPEC_STDIO, true, &e))
			_exit(1);
		check_silent(&f);
		_exit(0);
	}
	child_await(child, &status);
	assert_true(WIFEXITED(status));
	assert_false(fcntl(fd, F_GETFL) & O_NONBLOCK);
	fixture_fini(&f);
	if (WEXITSTATUS(status) == 77)
		skip();
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void silent_without_proc(void **state)
{
	int p[2], master, slave;

	(void)state;
	assert_int_equal(pipe(p), 0);
	check_without_proc(p[1]);
	close(p[0]);
	close(p[1]);
	master = open_terminal(&slave);
	check_without_proc(slave);
	close(slave);
	close(master);
}

struct reader {
	int fd;
	size_t bytes;
	pthread_t thread;
};

static void *read_slowly(void *arg)
{
	struct reader *r = arg;
	char buf[16384];
	ssize_t n;

	while ((n = read(r->fd, buf, sizeof(buf))) > 0) {
		r->bytes += (size_t)n;
		usleep(20000);
	}
	return NULL;
}

static void slow_pipe_loses_nothing(void **state)
{
	struct reader r = { 0 };
	struct fixture f;
	struct writer w;
	int p[2];

	(void)state;
	fixture_open_stdout(&f, p, false);
	r.fd = p[0];
	assert_int_equal(pthread_create(&r.thread, NULL, read_slowly, &r), 0);
	writer_start(&w, &f, 1 << 20);
	assert_loop_answers(&f);
	assert_writer_ends(&w, 10000);
	fixture_close(&f);
	close(p[1]);
	pthread_join(r.thread, NULL);
	assert_int_equal(r.bytes, 1 << 20);
	close(p[0]);
	fixture_fini(&f);
}

static void reader_that_comes_back(void **state)
{
	struct fixture f;
	size_t len;
	char *text;
	int p[2];

	(void)state;
	fixture_open_stdout(&f, p, false);
	write_all_lines(&f, 1 << 20);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	text = read_rest(p[0], &len);
	/* The oldest, a line that tells of the loss, the newest. */
	assert_int_equal(strtoul(text, NULL, 10), 0);
	assert_tells_loss(text, "\n16383 ");
	free(text);
	/* And it goes on. */
	endpoint_write(f.ep, (const u8 *)"again\n", 6, false);
	text = read_rest(p[0], &len);
	assert_string_equal(text, "again\n");
	free(text);
	fixture_close(&f);
	close(p[0]);
	close(p[1]);
	fixture_fini(&f);
}

/* A source that can wait is refused, and told when there is room. */
static void refused_and_told(void **state)
{
	u8 block[4096] = { 0 };
	size_t taken, sum = 0, len;
	struct fixture f;
	int p[2];

	(void)state;
	fixture_open_stdout(&f, p, false);
	do {
		taken = endpoint_write(f.ep, block, sizeof(block), true);
		sum += taken;
	} while (taken == sizeof(block) && sum < 4 << 20);
	assert_true(sum < 1 << 20);
	assert_false(wait_flag(&f.room, 50));
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	free(read_rest(p[0], &len));
	assert_true(wait_flag(&f.room, 500));
	assert_int_equal(len, sum);
	fixture_close(&f);
	close(p[0]);
	close(p[1]);
	fixture_fini(&f);
}

/* Waits until there is something to read from @fd. */
static void await_bytes(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	assert_int_equal(poll(&p, 1, 5000), 1);
}

static void dying_reader(void **state)
{
	struct rusage before, after;
	struct fixture f;
	struct writer w;
	struct err e;
	int p[2];

	(void)state;
	fixture_init(&f);
	assert_int_equal(pipe(p), 0);
	fixture_stdio(&f, p[1]);
	close(p[1]);
	assert_int_equal(fixture_open(&f, SPEC_STDIO, true, &e), 0);
	writer_start(&w, &f, 1 << 20);
	await_bytes(p[0]);
	close(p[0]);
	assert_writer_ends(&w, 10000);
	assert_loop_answers(&f);
	/* The hang-up does not keep the loop busy. */
	getrusage(RUSAGE_SELF, &before);
	usleep(300000);
	getrusage(RUSAGE_SELF, &after);
	assert_true((after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 +
			    (after.ru_utime.tv_usec - before.ru_utime.tv_usec) <
		    100000);
	assert_true(fixture_close(&f) < ANSWER_MS);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(silent_pipe),
		cmocka_unit_test(silent_socket),
		cmocka_unit_test(silent_terminal),
		cmocka_unit_test(silent_without_proc),
		cmocka_unit_test(slow_pipe_loses_nothing),
		cmocka_unit_test(reader_that_comes_back),
		cmocka_unit_test(refused_and_told),
		cmocka_unit_test(dying_reader),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
