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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(file_that_was_full),
		cmocka_unit_test(file_has_a_bound),
		cmocka_unit_test(file_is_appended_to),
		cmocka_unit_test(fifo_without_reader_is_refused),
		cmocka_unit_test(fifo_whose_reader_changes),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
