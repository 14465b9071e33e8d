// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests files and FIFOs as the endpoint of a guest's byte stream: one that is full, one that is
 * large, one that has content, and FIFOs whose reader is missing or changes.
 */
#include <sys/resource.h>

#include "tests/unit/vmm/endpoint_fixture.h"
#include "vmm/backend/outlet.h"

static size_t file_size(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return (size_t)st.st_size;
}

static void file_that_was_full(void **state)
{
	struct rlimit old, small = { 0 };
	struct fixture f;
	struct err e;
	char *text;

	(void)state;
	fixture_init(&f);
	assert_int_equal(fixture_open(&f, SPEC_FILE, true, &e), 0);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	small = (struct rlimit){ 8192, old.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	write_all_lines(&f, 1 << 20);
	assert_loop_answers(&f);
	assert_int_equal(file_size(f.path), 8192);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	/* By itself, without another word of the guest. */
	for (int i = 0; i < 200 && file_size(f.path) < 8192 + 65536; i++)
		usleep(10000);
	text = file_text(f.path);
	assert_tells_loss(text, "\n16383 ");
	free(text);
	fixture_close(&f);
	fixture_fini(&f);
}

static void file_has_a_bound(void **state)
{
	struct fixture f;
	struct err e;
	char *text;
	int fd;

	(void)state;
	fixture_init(&f);
	fd = open(f.path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, (off_t)OUTLET_FILE_MAX - 64), 0);
	assert_int_equal(fixture_open(&f, SPEC_FILE, true, &e), 0);
	write_all_lines(&f, 256 << 10);
	assert_loop_answers(&f);
	/* Another thread writes it. */
	for (int i = 0; i < 500 && file_size(f.path) < OUTLET_FILE_MAX; i++)
		usleep(10000);
	assert_true(file_size(f.path) <= OUTLET_FILE_MAX + OUTLET_RING);
	assert_true(file_size(f.path) >= OUTLET_FILE_MAX);
	/* Shortened, it takes what comes. */
	assert_int_equal(ftruncate(fd, 0), 0);
	for (int i = 0; i < 250 && file_size(f.path) < 65536; i++)
		usleep(10000);
	text = file_text(f.path);
	assert_tells_loss(text, "\n4095 ");
	free(text);
	fixture_close(&f);
	close(fd);
	fixture_fini(&f);
}

static void file_is_appended_to(void **state)
{
	struct fixture f;
	struct err e;
	int fd;

	(void)state;
	fixture_init(&f);
	fd = precious_file(&f);
	assert_int_equal(fixture_open(&f, SPEC_FILE, true, &e), 0);
	endpoint_write(f.ep, (const u8 *)"more\n", 5, false);
	fixture_close(&f);
	assert_file_has(f.path, "precious\nmore\n");
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
	struct err e;
	size_t len;
	char *text;
	int fd;

	(void)state;
	fixture_init(&f);
	assert_int_equal(mkfifo(f.path, 0600), 0);
	fd = open(f.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(fixture_open(&f, SPEC_FILE, true, &e), 0);
	write_all_lines(&f, 256 << 10); /* full */
	close(fd);
	endpoint_write(f.ep, (const u8 *)"lost\n", 5, false);
	assert_loop_answers(&f);
	fd = open(f.path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_loop_answers(&f);
	endpoint_write(f.ep, (const u8 *)"hello\n", 6, false);
	/* Behind what the first reader has left, and without a word more of the guest. */
	text = read_rest(fd, &len);
	assert_non_null(strstr(text, "hello\n"));
	free(text);
	close(fd);
	assert_true(fixture_close(&f) < ANSWER_MS);
	fixture_fini(&f);
}

/* A file that the starter has open, here a pipe, is vmm's from then on. */
static void a_given_file_is_written_and_closed(void **state)
{
	struct fixture f;
	struct err e = { "" };
	char buf[16];
	int p[2];

	(void)state;
	fixture_init(&f);
	assert_int_equal(pipe(p), 0);
	f.what.fd = p[1];
	assert_int_equal(fixture_open(&f, SPEC_FILE_FD, true, &e), 0);
	assert_int_equal(endpoint_write(f.ep, (const u8 *)"hello\n", 6, false), 6);
	assert_int_equal(read(p[0], buf, sizeof(buf)), 6);
	assert_memory_equal(buf, "hello\n", 6);
	endpoint_describe(f.ep, buf, sizeof(buf));
	assert_string_equal(buf, "file");
	/* With nobody who reads, the guest goes on. */
	write_all_lines(&f, 1 << 20);
	assert_loop_answers(&f);
	fixture_close(&f);
	assert_int_equal(fcntl(p[1], F_GETFD), -1);
	f.what.fd = p[0];
	assert_int_equal(fixture_open(&f, SPEC_FILE_FD, true, &e), -EBADF);
	assert_non_null(strstr(e.text, "not open for writing"));
	close(p[0]);
	assert_int_equal(fixture_open(&f, SPEC_FILE_FD, true, &e), -EBADF);
	fixture_fini(&f);
}

/* What a socket without a client has lost is in its log. */
static void a_log_has_all(void **state)
{
	char log[80], *text;
	struct fixture f;
	struct err e;

	(void)state;
	fixture_init(&f);
	snprintf(log, sizeof(log), "%s.log", f.path);
	f.what.log = log;
	assert_int_equal(fixture_open(&f, SPEC_SOCKET, true, &e), 0);
	write_all_lines(&f, 1 << 20);
	assert_loop_answers(&f);
	while (endpoint_end(f.ep))
		usleep(1000);
	fixture_close(&f);
	assert_int_equal(file_size(log), 1 << 20);
	text = file_text(log);
	assert_non_null(strstr(text, "\n16383 "));
	free(text);
	/* A log that cannot be opened is an error, and leaves no socket behind. */
	f.what.log = "/dev/null/log";
	assert_int_equal(fixture_open(&f, SPEC_SOCKET, true, &e), -ENOTDIR);
	assert_non_null(strstr(e.text, "console: /dev/null/log: cannot open"));
	assert_null(f.ep);
	assert_int_equal(access(f.path, F_OK), -1);
	unlink(log);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_given_file_is_written_and_closed),
		cmocka_unit_test(a_log_has_all),
		cmocka_unit_test(file_that_was_full),
		cmocka_unit_test(file_has_a_bound),
		cmocka_unit_test(file_is_appended_to),
		cmocka_unit_test(fifo_without_reader_is_refused),
		cmocka_unit_test(fifo_whose_reader_changes),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
