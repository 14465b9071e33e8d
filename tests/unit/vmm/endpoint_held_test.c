// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests a file as the endpoint of a guest's byte stream while its storage does not answer: neither
 * guest nor event loop waits for it, and bytes that it costs are marked. The linker leads write(2)
 * and read(2) here, which hold what goes to the file, or comes from it as stdin.
 */
#include "tests/unit/vmm/endpoint_fixture.h"
#include "vmm/backend/outlet.h"
#include "vmm/machine/file_writer.h"

static ino_t held_file;
static bool holds;  /* atomic */
static bool full;   /* atomic: the file's disk is */
static unsigned in; /* atomic: calls that are held */

ssize_t __real_write(int fd, const void *buf, size_t len);
ssize_t __wrap_write(int fd, const void *buf, size_t len);
ssize_t __real_read(int fd, void *buf, size_t len);
ssize_t __wrap_read(int fd, void *buf, size_t len);

static bool is_held_file(int fd)
{
	struct stat st;

	return !fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_ino == held_file;
}

static void hold_call(int fd)
{
	if (!is_held_file(fd))
		return;
	__atomic_add_fetch(&in, 1, __ATOMIC_RELEASE);
	while (__atomic_load_n(&holds, __ATOMIC_ACQUIRE))
		usleep(1000);
	__atomic_sub_fetch(&in, 1, __ATOMIC_RELEASE);
}

ssize_t __wrap_write(int fd, const void *buf, size_t len)
{
	hold_call(fd);
	if (__atomic_load_n(&full, __ATOMIC_ACQUIRE) && is_held_file(fd)) {
		errno = ENOSPC;
		return -1;
	}
	return __real_write(fd, buf, len);
}

ssize_t __wrap_read(int fd, void *buf, size_t len)
{
	if (fd == STDIN_FILENO)
		hold_call(fd);
	return __real_read(fd, buf, len);
}

static void hold(bool on)
{
	__atomic_store_n(&holds, on, __ATOMIC_RELEASE);
}

static unsigned held(void)
{
	return __atomic_load_n(&in, __ATOMIC_ACQUIRE);
}

static void open_held(struct fixture *f, bool text)
{
	struct stat st;
	struct err e;

	fixture_init(f);
	assert_int_equal(fixture_open(f, SPEC_FILE, text, &e), 0);
	assert_int_equal(stat(f->path, &st), 0);
	held_file = st.st_ino;
	hold(true);
}

/* Waits until the host's kernel has the prompt, whose write is the first. */
static void await_held(void)
{
	for (unsigned i = 0; i < 2000 && !held(); i++)
		usleep(1000);
	assert_int_equal(held(), 1);
}

/* Returns true if the file has @bytes within two seconds. */
static bool file_gets(const struct fixture *f, off_t bytes)
{
	struct stat st = { .st_size = 0 };

	for (unsigned i = 0; i < 2000 && (stat(f->path, &st) || st.st_size < bytes); i++)
		usleep(1000);
	return st.st_size >= bytes;
}

/* A prompt is written by a timer of the event loop, the lines by the guest. */
static void guest_and_loop_go_on(void **state)
{
	const char *file = "";
	struct fixture f;
	struct writer w;
	char *text;

	(void)state;
	open_held(&f, true);
	endpoint_write(f.ep, (const u8 *)"login: ", 7, false);
	await_held();
	for (int i = 0; i < 5; i++)
		assert_loop_answers(&f);
	writer_start(&w, &f, 1 << 20);
	for (int i = 0; i < 5; i++)
		assert_loop_answers(&f);
	/* It is held up once. */
	assert_writer_ends(&w, 10LL * OUTLET_PATIENCE_MS);
	assert_true(endpoint_held_ms(f.ep, &file) >= OUTLET_PATIENCE_MS);
	assert_string_equal(file, f.path);
	assert_int_equal(held(), 1);
	hold(false);
	assert_true(file_gets(&f, 7 + FILE_WRITER_RING + OUTLET_RING - 64));
	text = file_text(f.path);
	assert_int_equal(strncmp(text, "login: 0 ", 9), 0);
	assert_tells_loss(text, "\n16383 ");
	free(text);
	assert_int_equal(endpoint_held_ms(f.ep, &file), 0);
	assert_true(fixture_close(&f) < ANSWER_MS);
	fixture_fini(&f);
}

/* A source that can wait does, and loses nothing. */
static void a_patient_source_loses_nothing(void **state)
{
	const size_t all = 1 << 20;
	struct fixture f;
	struct stat st;
	u8 buf[4096];
	size_t at = 0;

	(void)state;
	memset(buf, 'x', sizeof(buf));
	open_held(&f, false);
	for (size_t n = 1; n; at += n)
		n = endpoint_write(f.ep, buf, sizeof(buf), true);
	assert_in_range(at, OUTLET_RING, OUTLET_RING + FILE_WRITER_RING);
	assert_loop_answers(&f);
	hold(false);
	while (at < all) {
		assert_true(wait_flag(&f.room, 2000));
		__atomic_store_n(&f.room, false, __ATOMIC_RELEASE);
		for (size_t n = 1; n && at < all; at += n) {
			size_t len = all - at < sizeof(buf) ? all - at : sizeof(buf);

			n = endpoint_write(f.ep, buf, len, true);
		}
	}
	assert_true(fixture_close(&f) < ANSWER_MS);
	assert_int_equal(stat(f.path, &st), 0);
	assert_int_equal(st.st_size, all);
	fixture_fini(&f);
}

/* The end asks, and never waits; it is over when the file has all. */
static void the_end_can_be_asked_for(void **state)
{
	struct fixture f;
	unsigned i;
	s64 begin;

	(void)state;
	open_held(&f, true);
	write_all_lines(&f, 64 << 10);
	endpoint_write(f.ep, (const u8 *)"the end", 7, false);
	await_held();
	begin = now_ms();
	for (i = 0; i < 20; i++) {
		assert_true(endpoint_end(f.ep));
		usleep(1000);
	}
	assert_true(now_ms() - begin < ANSWER_MS);
	hold(false);
	for (i = 0; i < 1000 && endpoint_end(f.ep); i++)
		usleep(1000);
	assert_false(endpoint_end(f.ep));
	assert_true(file_gets(&f, (64 << 10) + 7));
	assert_true(fixture_close(&f) < ANSWER_MS);
	fixture_fini(&f);
}

/* A file that was full gets room again when the end has begun: it gets all that was kept. */
static void a_full_file_gets_room_at_the_end(void **state)
{
	struct fixture f;
	unsigned i;
	char *text;

	(void)state;
	open_held(&f, true);
	hold(false);
	__atomic_store_n(&full, true, __ATOMIC_RELEASE);
	write_all_lines(&f, 1 << 20);
	for (i = 0; i < 5; i++)
		assert_loop_answers(&f);
	__atomic_store_n(&full, false, __ATOMIC_RELEASE);
	assert_true(endpoint_end(f.ep));
	/* The thread has written its ring, and would have ended. */
	assert_true(file_gets(&f, FILE_WRITER_RING));
	usleep(50000); /* nothing tells that it has not ended */
	for (i = 0; i < 2000 && endpoint_end(f.ep); i++)
		usleep(1000);
	assert_false(endpoint_end(f.ep));
	text = file_text(f.path);
	assert_tells_loss(text, "\n16383 ");
	assert_true(strlen(text) > FILE_WRITER_RING + OUTLET_RING - 64);
	free(text);
	assert_true(fixture_close(&f) < ANSWER_MS);
	fixture_fini(&f);
}

static const size_t input_bytes = 100000;

/* Makes a file the endpoint's stdin, which is held if @on. */
static void open_input(struct fixture *f, bool on)
{
	struct stat st;
	struct err e;
	int fd;

	fixture_init(f);
	fd = open(f->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_int_equal(ftruncate(fd, (off_t)input_bytes), 0);
	assert_int_equal(fstat(fd, &st), 0);
	held_file = st.st_ino;
	hold(on);
	fixture_streams(f, fd, -1);
	close(fd);
	assert_int_equal(fixture_open(f, SPEC_STDIO, true, &e), 0);
}

static size_t guest_got(const struct fixture *f)
{
	return __atomic_load_n(&f->got, __ATOMIC_ACQUIRE);
}

static void the_guest_gets_all_of_stdin(void **state)
{
	struct fixture f;

	(void)state;
	open_input(&f, false);
	for (unsigned i = 0; i < 2000 && guest_got(&f) < input_bytes; i++)
		usleep(1000);
	assert_loop_answers(&f);
	assert_int_equal(guest_got(&f), input_bytes);
	assert_true(fixture_close(&f) < ANSWER_MS);
	fixture_fini(&f);
}

/* Nothing is lost with what was not read, so the end does not even wait. */
static void stdin_holds_up_neither_loop_nor_end(void **state)
{
	struct fixture f;

	(void)state;
	open_input(&f, true);
	await_held();
	for (int i = 0; i < 5; i++)
		assert_loop_answers(&f);
	assert_int_equal(guest_got(&f), 0);
	assert_true(fixture_close(&f) < ANSWER_MS);
	hold(false);
	for (unsigned i = 0; i < 2000 && held(); i++)
		usleep(1000);
	assert_int_equal(held(), 0);
	assert_int_equal(guest_got(&f), 0);
	fixture_fini(&f);
}

/* After a moment the kernel gives the bytes back. */
static void stdin_goes_on(void **state)
{
	struct fixture f;

	(void)state;
	open_input(&f, true);
	await_held();
	hold(false);
	for (unsigned i = 0; i < 2000 && guest_got(&f) < input_bytes; i++)
		usleep(1000);
	assert_int_equal(guest_got(&f), input_bytes);
	assert_true(fixture_close(&f) < ANSWER_MS);
	fixture_fini(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(guest_and_loop_go_on),
		cmocka_unit_test(a_patient_source_loses_nothing),
		cmocka_unit_test(the_end_can_be_asked_for),
		cmocka_unit_test(a_full_file_gets_room_at_the_end),
		cmocka_unit_test(the_guest_gets_all_of_stdin),
		cmocka_unit_test(stdin_holds_up_neither_loop_nor_end),
		cmocka_unit_test(stdin_goes_on),
	};

	alarm(60); /* the fault is to wait for ever */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
