// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests how an image is opened before a guest sees it: locked as QEMU locks it, raw and not another
 * format, and whole. Where QEMU's tools are installed, the locks are tried against them, too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "devices/virtio_blk.h"

#define SECTORS 64U

struct ctx {
	char path[64];
	int fd;
	char notes[1000];
};

static int setup(void **state)
{
	struct ctx *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	snprintf(t->path, sizeof(t->path), "/var/tmp/blk_image_test.XXXXXX");
	t->fd = mkstemp(t->path);
	assert_true(t->fd >= 0);
	assert_int_equal(ftruncate(t->fd, SECTORS * 512), 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *t = *state;

	close(t->fd);
	unlink(t->path);
	free(t);
	return 0;
}

static void on_note(void *arg, const char *line)
{
	struct ctx *t = arg;
	size_t len = strlen(t->notes);

	snprintf(t->notes + len, sizeof(t->notes) - len, "%s\n", line);
}

static int open_disk(struct ctx *t, struct virtio_blk **b, bool readonly, struct err *e)
{
	const struct virtio_blk_params p = {
		.path = t->path,
		.id = "",
		.readonly = readonly,
		.direct = false,
		.note = on_note,
		.arg = t,
	};

	int ret = virtio_blk_create(b, &p, e);

	if (ret)
		return ret;
	ret = virtio_blk_check(*b, &p, e);
	if (ret)
		virtio_blk_destroy(*b);
	return ret;
}

/* --- locks --------------------------------------------------------------------------------- */

/* Opens the image with shared locks on these bytes, as QEMU does. */
static int qemu_like(struct ctx *t, const int *bytes)
{
	int fd = open(t->path, O_RDWR | O_CLOEXEC);

	for (; *bytes; bytes++) {
		struct flock l = { .l_type = F_RDLCK, .l_start = *bytes, .l_len = 1 };

		assert_int_equal(fcntl(fd, F_OFD_SETLK, &l), 0);
	}
	return fd;
}

static bool is_held(struct ctx *t, int byte)
{
	struct flock l = { .l_type = F_WRLCK, .l_start = byte, .l_len = 1 };
	int fd = open(t->path, O_RDWR | O_CLOEXEC);

	assert_int_equal(fcntl(fd, F_OFD_GETLK, &l), 0);
	close(fd);
	return l.l_type != F_UNLCK;
}

static void test_qemus_bytes_are_held(void **state)
{
	struct ctx *t = *state;
	struct virtio_blk *b;
	struct err e;

	assert_int_equal(open_disk(t, &b, true, &e), 0);
	/* It reads, and bears nobody who writes or resizes. */
	assert_true(is_held(t, 100) && is_held(t, 201) && is_held(t, 203));
	assert_false(is_held(t, 101) || is_held(t, 103) || is_held(t, 200));
	virtio_blk_destroy(b);
	assert_int_equal(open_disk(t, &b, false, &e), 0);
	assert_true(is_held(t, 100) && is_held(t, 101) && is_held(t, 103));
	assert_true(is_held(t, 201) && is_held(t, 203));
	/* Nothing else of the file is: whole-file locks would keep QEMU's readers away. */
	assert_false(is_held(t, 0) || is_held(t, 99) || is_held(t, 204));
	virtio_blk_destroy(b);
	assert_false(is_held(t, 100) || is_held(t, 101) || is_held(t, 201));
}

static void test_qemus_bytes_are_respected(void **state)
{
	const struct {
		int bytes[6];
		bool reader, writer; /* may we be one beside it? */
	} cases[] = {
		{ { 100, 0 }, true, true },		     /* reads, bears everything */
		{ { 100, 201, 203, 0 }, true, false },	     /* reads as we do */
		{ { 100, 101, 103, 0 }, false, false },	     /* writes, bears everything */
		{ { 100, 101, 201, 203, 0 }, false, false }, /* a guest's disk */
		{ { 200, 0 }, false, false },		     /* bears no reader */
	};
	struct ctx *t = *state;
	struct virtio_blk *b;
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		int fd = qemu_like(t, cases[i].bytes);

		assert_int_equal(open_disk(t, &b, true, &e), cases[i].reader ? 0 : -EBUSY);
		if (cases[i].reader)
			virtio_blk_destroy(b);
		assert_int_equal(open_disk(t, &b, false, &e), cases[i].writer ? 0 : -EBUSY);
		if (cases[i].writer)
			virtio_blk_destroy(b);
		else
			assert_non_null(strstr(e.text, "in use by another"));
		close(fd);
	}
}

/* Has qemu-io read a sector; returns its exit status, 0 if it could open the image. */
static int qemu_io(struct ctx *t, const char *mode)
{
	char command[300];
	int status;

	snprintf(command, sizeof(command), "qemu-io %s -f raw -c 'read 0 512' %s >/dev/null 2>&1",
		 mode, t->path);
	status = system(command); /* NOLINT(cert-env33-c): a constant with our own path */
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void test_qemu_itself(void **state)
{
	struct ctx *t = *state;
	struct virtio_blk *b;
	struct err e;

	if (access("/usr/bin/qemu-io", X_OK)) {
		print_message("# SKIP no qemu-io\n");
		skip();
	}
	assert_int_equal(open_disk(t, &b, true, &e), 0);
	assert_int_equal(qemu_io(t, "-r"), 0);
	assert_int_not_equal(qemu_io(t, ""), 0);
	virtio_blk_destroy(b);
	/* A reading qemu-io bears writers, beside QEMU's own guests too. */
	assert_int_equal(open_disk(t, &b, false, &e), 0);
	assert_int_not_equal(qemu_io(t, ""), 0);
	virtio_blk_destroy(b);
	assert_int_equal(qemu_io(t, ""), 0);
}

/* --- formats ------------------------------------------------------------------------------- */

static void test_other_formats_are_refused(void **state)
{
	const struct {
		const char *name, *magic;
		size_t len;
		off_t at;
	} formats[] = {
		{ "qcow2", "QFI\xfb\0\0\0\3", 8, 0 }, { "qcow2", "QFI\xfb\0\0\0\2", 8, 0 },
		{ "qcow", "QFI\xfb\0\0\0\1", 8, 0 },  { "vmdk", "KDMV\1\0\0\0", 8, 0 },
		{ "vdi", "\x7f\x10\xda\xbe", 4, 64 }, { "vhdx", "vhdxfile", 8, 0 },
		{ "vpc", "conectix", 8, 0 },	      { "qed", "QED\0", 4, 0 },
	};
	struct ctx *t = *state;
	struct virtio_blk *b;
	char want[60];
	struct err e;

	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		assert_int_equal(pwrite(t->fd, formats[i].magic, formats[i].len, formats[i].at),
				 formats[i].len);
		for (int readonly = 0; readonly < 2; readonly++) {
			assert_int_equal(open_disk(t, &b, readonly, &e), -EINVAL);
			snprintf(want, sizeof(want), "is a %s image;", formats[i].name);
			assert_non_null(strstr(e.text, want));
			snprintf(want, sizeof(want), "driver=%s,", formats[i].name);
			assert_non_null(strstr(e.text, want));
			assert_int_equal(strstr(e.text, "writable=on") == NULL, readonly);
			/* Whole: it was not cut. */
			assert_non_null(strstr(e.text, "say --disk vhost-user=d.sock"));
		}
		assert_int_equal(ftruncate(t->fd, 0), 0);
		assert_int_equal(ftruncate(t->fd, SECTORS * 512), 0);
	}
	assert_int_equal(open_disk(t, &b, false, &e), 0);
	virtio_blk_destroy(b);
}

/* --- cut images ---------------------------------------------------------------------------- */

static void write_mbr(struct ctx *t, u8 type, u32 start, u32 count)
{
	u8 mbr[512] = { [446 + 4] = type, [510] = 0x55, [511] = 0xaa };

	memcpy(mbr + 446 + 8, &start, 4);
	memcpy(mbr + 446 + 12, &count, 4);
	assert_int_equal(pwrite(t->fd, mbr, sizeof(mbr), 0), sizeof(mbr));
}

static const char *notes_of(struct ctx *t)
{
	struct virtio_blk *b;
	struct err e;

	t->notes[0] = '\0';
	assert_int_equal(open_disk(t, &b, false, &e), 0);
	virtio_blk_destroy(b);
	return t->notes;
}

static void test_a_cut_image_says_so(void **state)
{
	u8 gpt[48] = "EFI PART";
	struct ctx *t = *state;
	u64 last = SECTORS - 1;

	assert_string_equal(notes_of(t), "");
	assert_int_equal(ftruncate(t->fd, SECTORS * 512 + 100), 0);
	assert_non_null(strstr(notes_of(t), "its last 100 bytes"));
	assert_int_equal(ftruncate(t->fd, SECTORS * 512), 0);
	/* A partition that ends with the image, and one that does not. */
	write_mbr(t, 0x83, 8, SECTORS - 8);
	assert_string_equal(notes_of(t), "");
	write_mbr(t, 0x83, 8, SECTORS - 7);
	assert_non_null(strstr(notes_of(t), "to sector 65, but the file ends at 64"));
	write_mbr(t, 0x83, UINT32_MAX, UINT32_MAX);
	assert_non_null(strstr(notes_of(t), "to sector 8589934590,"));
	/* In front of a GPT stands one that says nothing. */
	write_mbr(t, 0xee, 1, UINT32_MAX);
	assert_string_equal(notes_of(t), "");
	memcpy(gpt + 32, &last, 8);
	assert_int_equal(pwrite(t->fd, gpt, sizeof(gpt), 512), sizeof(gpt));
	assert_string_equal(notes_of(t), "");
	last = SECTORS;
	memcpy(gpt + 32, &last, 8);
	assert_int_equal(pwrite(t->fd, gpt, sizeof(gpt), 512), sizeof(gpt));
	assert_non_null(strstr(notes_of(t), "to sector 65, but"));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_qemus_bytes_are_held), TEST(test_qemus_bytes_are_respected),
		TEST(test_qemu_itself),		 TEST(test_other_formats_are_refused),
		TEST(test_a_cut_image_says_so),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
