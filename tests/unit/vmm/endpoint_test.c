// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks through all endpoints of a guest's byte stream with a peer that is silent, slow, full, dying
 * or back again: the guest's side and the event loop go on in each case, and what lies at a path that
 * is not ours stays.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "vmm/backend/endpoint.h"
#include "vmm/backend/outlet.h"

#define ANSWER_MS 1000

struct fixture {
	struct machine *m;
	struct endpoint *ep;
	struct spec_endpoint what;
	pthread_t loop;
	char dir[32], path[64];
	int old_stdin, old_stdout;
	bool room; /* atomic */
};

static size_t swallow(void *arg, const u8 *buf, size_t len)
{
	(void)arg;
	(void)buf;
	return len;
}

static void on_room(void *arg)
{
	struct fixture *f = arg;

	__atomic_store_n(&f->room, true, __ATOMIC_RELEASE);
}

static void *serve_loop(void *arg)
{
	struct fixture *f = arg;

	loop_run(machine_loop(f->m));
	return NULL;
}

static int fixture_open(struct fixture *f, int kind, bool text, struct err *e)
{
	struct endpoint_config c = { .m = f->m,
				     .what = &f->what,
				     .name = "console",
				     .text = text,
				     .input = swallow,
				     .room = on_room,
				     .arg = f };
	int ret;

	f->what = (struct spec_endpoint){ .path = f->path };
	f->what.kind = kind;
	ret = endpoint_create(&f->ep, &c, e);
	if (!ret)
		assert_int_equal(pthread_create(&f->loop, NULL, serve_loop, f), 0);
	return ret;
}

static void fixture_init(struct fixture *f)
{
	const struct machine_config c = { .memory = 1 << 20, .cpus = 1 };
	struct err e = { "" };

	memset(f, 0, sizeof(*f));
	if (machine_create(&f->m, &c, &e))
		fail_msg("%s", e.text);
	strcpy(f->dir, "/tmp/umbra-unit-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof(f->path), "%s/end", f->dir);
	f->old_stdin = f->old_stdout = -1;
}

/* The endpoint's stdin is empty, its stdout is @fd. */
static void fixture_stdio(struct fixture *f, int fd)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	fflush(stdout);
	f->old_stdin = dup(0);
	f->old_stdout = dup(1);
	assert_int_equal(dup2(null, 0), 0);
	assert_int_equal(dup2(fd, 1), 1);
	close(null);
}

/* Ends loop and endpoint; returns how long the end took, in ms. */
static s64 fixture_close(struct fixture *f)
{
	s64 begin = now_ms();

	loop_stop(machine_loop(f->m));
	pthread_join(f->loop, NULL);
	endpoint_destroy(f->ep, now_ms() + 700);
	if (f->old_stdout >= 0) {
		dup2(f->old_stdin, 0);
		dup2(f->old_stdout, 1);
		close(f->old_stdin);
		close(f->old_stdout);
	}
	return now_ms() - begin;
}

static void fixture_fini(struct fixture *f)
{
	unlink(f->path);
	rmdir(f->dir);
	machine_destroy(f->m);
}

static void set_flag(void *arg)
{
	__atomic_store_n((bool *)arg, true, __ATOMIC_RELEASE);
}

static bool wait_flag(const bool *flag, s64 ms)
{
	for (s64 end = now_ms() + ms; now_ms() < end; usleep(1000))
		if (__atomic_load_n(flag, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

static void assert_loop_answers(const struct fixture *f)
{
	bool done = false;
	struct loop_call call = { .fn = set_flag, .arg = &done };

	loop_call(machine_loop(f->m), &call);
	assert_true(wait_flag(&done, ANSWER_MS));
}

struct writer {
	struct fixture *f;
	pthread_t thread;
	size_t bytes;
	bool done; /* atomic */
};

/* Numbered lines of 64 bytes, from a source that cannot wait. */
static void *write_lines(void *arg)
{
	struct writer *w = arg;
	char line[65];

	for (size_t i = 0; i < w->bytes / 64; i++) {
		snprintf(line, sizeof(line), "%-63zu\n", i);
		endpoint_write(w->f->ep, (const u8 *)line, 64, false);
	}
	__atomic_store_n(&w->done, true, __ATOMIC_RELEASE);
	return NULL;
}

static void writer_start(struct writer *w, struct fixture *f, size_t bytes)
{
	*w = (struct writer){ .f = f, .bytes = bytes };
	assert_int_equal(pthread_create(&w->thread, NULL, write_lines, w), 0);
}

static void assert_writer_ends(struct writer *w, s64 ms)
{
	assert_true(wait_flag(&w->done, ms));
	pthread_join(w->thread, NULL);
}

/* A peer that takes nothing: guest, loop and end go on. @peer is read afterwards, if it is one. */
static void check_silent(struct fixture *f)
{
	struct writer w;

	writer_start(&w, f, 1 << 20);
	for (int i = 0; i < 5; i++)
		assert_loop_answers(f);
	assert_writer_ends(&w, 10000);
	assert_loop_answers(f);
	assert_true(fixture_close(f) < ANSWER_MS);
}

static void silent_pipe(void **state)
{
	struct fixture f;
	struct err e;
	int p[2];

	(void)state;
	fixture_init(&f);
	assert_int_equal(pipe(p), 0);
	fixture_stdio(&f, p[1]);
	assert_int_equal(fixture_open(&f, SPEC_STDIO, true, &e), 0);
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
	struct err e;
	int p[2];

	(void)state;
	fixture_init(&f);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	fixture_stdio(&f, p[1]);
	assert_int_equal(fixture_open(&f, SPEC_STDIO, true, &e), 0);
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

/* Where /proc is not, stdout cannot be opened once more; in a process of its own. */
static void check_without_proc(int fd)
{
	struct fixture f;
	struct err e;
	int status;
	pid_t child;

	fixture_init(&f);
	child = fork();
	if (!child) {
		fixture_stdio(&f, fd);
		if (chroot(f.dir) || chdir("/"))
			_exit(77);
		if (fixture_open(&f, SPEC_STDIO, true, &e))
			_exit(1);
		check_silent(&f);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
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
	struct err e;
	int p[2];

	(void)state;
	fixture_init(&f);
	assert_int_equal(pipe(p), 0);
	r.fd = p[0];
	fixture_stdio(&f, p[1]);
	assert_int_equal(fixture_open(&f, SPEC_STDIO, true, &e), 0);
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

/* All that can be read, until nothing comes for 0.3 s. */
static char *read_rest(int fd, size_t *len)
{
	char *buf = malloc(4 << 20);

	assert_non_null(buf);
	*len = 0;
	for (int quiet = 0; quiet < 30;) {
		ssize_t n = read(fd, buf + *len, (4 << 20) - 1 - *len);

		if (n > 0)
			*len += (size_t)n;
		quiet = n > 0 ? 0 : quiet + 1;
		if (n <= 0)
			usleep(10000);
	}
	buf[*len] = '\0';
	return buf;
}

static void reader_that_comes_back(void **state)
{
	struct fixture f;
	struct writer w;
	struct err e;
	size_t len;
	char *text;
	int p[2];

	(void)state;
	fixture_init(&f);
	assert_int_equal(pipe(p), 0);
	fixture_stdio(&f, p[1]);
	assert_int_equal(fixture_open(&f, SPEC_STDIO, true, &e), 0);
	writer_start(&w, &f, 1 << 20);
	assert_writer_ends(&w, 10000);
	fcntl(p[0], F_SETFL, O_NONBLOCK);
	text = read_rest(p[0], &len);
	/* The oldest, a line that tells of the loss, the newest. */
	assert_int_equal(strtoul(text, NULL, 10), 0);
	assert_non_null(strstr(text, "bytes were lost here]"));
	assert_non_null(strstr(text, "\n16383 "));
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
	struct err e;
	int p[2];

	(void)state;
	fixture_init(&f);
	assert_int_equal(pipe(p), 0);
	fixture_stdio(&f, p[1]);
	assert_int_equal(fixture_open(&f, SPEC_STDIO, true, &e), 0);
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
	usleep(50000);
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

/* --- files ----------------------------------------------------------------------------------- */

static size_t file_size(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (size_t)st.st_size;
}

static char *file_text(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t len;
	char *text = read_rest(fd, &len);

	close(fd);
	return text;
}

static void file_that_was_full(void **state)
{
	struct rlimit old, small = { 0 };
	struct fixture f;
	struct writer w;
	struct err e;
	char *text;

	(void)state;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f, SPEC_FILE, true, &e), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){ 8192, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	writer_start(&w, &f, 1 << 20);
	assert_writer_ends(&w, 10000);
	assert_loop_answers(&f);
	assert_int_equal(file_size(f.path), 8192);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	/* By itself, without another word of the guest. */
	for (int i = 0; i < 200 && file_size(f.path) < 8192 + 65536; i++)
		usleep(10000);
	text = file_text(f.path);
	assert_non_null(strstr(text, "bytes were lost here]"));
	assert_non_null(strstr(text, "\n16383 "));
	free(text);
	fixture_close(&f);
	fixture_fini(&f);
}

static void file_has_a_bound(void **state)
{
	struct fixture f;
	struct writer w;
	struct err e;
	char *text;
	int fd;

	(void)state;
	fixture_init(&f);
	fd = open(f.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, (off_t)OUTLET_FILE_MAX - 64), 0);
	assert_int_equal(fixture_open(&f, SPEC_FILE, true, &e), 0);
	writer_start(&w, &f, 256 << 10);
	assert_writer_ends(&w, 10000);
	assert_loop_answers(&f);
	assert_true(file_size(f.path) <= OUTLET_FILE_MAX + OUTLET_RING);
	assert_true(file_size(f.path) >= OUTLET_FILE_MAX);
	/* Shortened, it takes what comes. */
	assert_int_equal(ftruncate(fd, 0), 0);
	for (int i = 0; i < 250 && file_size(f.path) < 65536; i++)
		usleep(10000);
	text = file_text(f.path);
	assert_non_null(strstr(text, "bytes were lost here]"));
	assert_non_null(strstr(text, "\n4095 "));
	free(text);
	fixture_close(&f);
	close(fd);
	fixture_fini(&f);
}

static void file_is_appended_to(void **state)
{
	struct fixture f;
	struct err e;
	char *text;
	int fd;

	(void)state;
	fixture_init(&f);
	fd = open(f.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "precious\n", 9), 9);
	assert_int_equal(fixture_open(&f, SPEC_FILE, true, &e), 0);
	endpoint_write(f.ep, (const u8 *)"more\n", 5, false);
	fixture_close(&f);
	text = file_text(f.path);
	assert_string_equal(text, "precious\nmore\n");
	free(text);
	close(fd);
	fixture_fini(&f);
}

static void fifo_without_reader_is_refused(void **state)
{
	struct err e = { "" };
	s64 begin = now_ms();
	struct fixture f;

	(void)state;
	fixture_init(&f);
	assert_int_equal(mkfifo(f.path, 0600), 0);
	alarm(5); /* the fault is to wait here */
	assert_int_equal(fixture_open(&f, SPEC_FILE, true, &e), -ENXIO);
	alarm(0);
	assert_true(now_ms() - begin < ANSWER_MS);
	assert_non_null(strstr(e.text, "FIFO"));
	fixture_fini(&f);
}

static void fifo_whose_reader_changes(void **state)
{
	struct fixture f;
	struct writer w;
	struct err e;
	size_t len;
	char *text;
	int fd;

	(void)state;
	fixture_init(&f);
	assert_int_equal(mkfifo(f.path, 0600), 0);
	fd = open(f.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(fixture_open(&f, SPEC_FILE, true, &e), 0);
	writer_start(&w, &f, 256 << 10); /* full */
	assert_writer_ends(&w, 10000);
	close(fd);
	endpoint_write(f.ep, (const u8 *)"lost\n", 5, false);
	assert_loop_answers(&f);
	fd = open(f.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	usleep(20000);
	endpoint_write(f.ep, (const u8 *)"hello\n", 6, false);
	/* Behind what the first reader has left, and without a word more of the guest. */
	text = read_rest(fd, &len);
	assert_non_null(strstr(text, "hello\n"));
	free(text);
	close(fd);
	assert_true(fixture_close(&f) < ANSWER_MS);
	fixture_fini(&f);
}

/* --- sockets, pseudo-terminals --------------------------------------------------------------- */

static int dial(const char *path)
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
	fd = dial(f.path);
	check_silent(&f);
	close(fd);
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
		close(dial(f.path));
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
	char *text;
	int fd;

	(void)state;
	fixture_init(&f);
	fd = open(f.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, "precious\n", 9), 9);
	close(fd);
	assert_true(fixture_open(&f, SPEC_SOCKET, true, &e) < 0);
	text = file_text(f.path);
	assert_string_equal(text, "precious\n");
	free(text);
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
	close(dial(f.path));
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
	close(dial(f.path));
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
	close(dial(f.path));
	close(fd);
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
		cmocka_unit_test(file_that_was_full),
		cmocka_unit_test(file_has_a_bound),
		cmocka_unit_test(file_is_appended_to),
		cmocka_unit_test(fifo_without_reader_is_refused),
		cmocka_unit_test(fifo_whose_reader_changes),
		cmocka_unit_test(silent_client),
		cmocka_unit_test(dying_client),
		cmocka_unit_test(silent_pseudo_terminal),
		cmocka_unit_test(socket_spares_a_file),
		cmocka_unit_test(socket_spares_the_living),
		cmocka_unit_test(socket_replaces_a_leftover),
		cmocka_unit_test(socket_spares_its_successor),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
