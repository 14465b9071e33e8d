// SPDX-License-Identifier: GPL-2.0-only
/* Tests kernel images of all forms, good and bad, made up: no file of a distribution is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "shadow/kernel/kernel.h"
#include "tests/unit/shadow/synth.h"

#define SHIFT 0x3400000ull

static const char *const formats[] = { "LZ4", "XZ", "zstd", "gzip", "bzip2", "LZMA", "none" };

/* Checks what kernel_place() has yielded by the segments as synth_elf() describes them. */
static void check_memory(const u8 *mem, u64 shift, bool inverse)
{
	u8 want[0x10000 + SYNTH_SEG];
	u64 v;
	u32 w;

	memset(want, 0x5a, sizeof(want)); /* nobody's: between the segments */
	memset(want, 0, SYNTH_SEG + 4096);
	for (u32 i = 0; i < SYNTH_SEG; i++) {
		want[i] = (u8)i;
		want[0x10000 + i] = (u8)~i;
	}
	memcpy(want + 512, SYNTH_BANNER, sizeof(SYNTH_BANNER));
	memcpy(&v, want + 0x100, 8);
	v += shift;
	memcpy(want + 0x100, &v, 8);
	memcpy(&v, want + 0x10020, 8);
	v += shift;
	memcpy(want + 0x10020, &v, 8);
	memcpy(&w, want + 0x10040, 4);
	w -= inverse ? (u32)shift : 0;
	memcpy(want + 0x10040, &w, 4);
	memcpy(&w, want + 0x200, 4);
	w += (u32)shift;
	memcpy(want + 0x200, &w, 4);
	memcpy(&w, want + SYNTH_SEG - 4, 4);
	w += (u32)shift;
	memcpy(want + SYNTH_SEG - 4, &w, 4);
	assert_memory_equal(mem, want, sizeof(want));
}

static void place_and_check(const struct kernel *k, u64 shift, bool inverse)
{
	size_t len = 0x10000 + SYNTH_SEG;
	u8 *mem = malloc(len);
	struct err e = { "" };

	memset(mem, 0x5a, len);
	assert_int_equal(kernel_place(k, mem, len, shift, &e), 0);
	check_memory(mem, shift, inverse);
	free(mem);
}

static void test_formats(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct synth image = synth_full(formats[i]);
		const struct kernel_layout *l;
		struct err e = { "" };
		struct kernel *k;
		size_t len;

		if (kernel_parse(&k, formats[i], image.data, image.len, false, &e))
			fail_msg("%s", e.text);
		assert_true(kernel_is_bzimage(k));
		assert_false(kernel_payload_opaque(k));
		assert_string_equal(kernel_release(k), "9.8.7-synth");
		assert_memory_equal(kernel_file(k, &len), image.data, image.len);
		assert_int_equal(len, image.len);
		l = kernel_layout(k);
		assert_true(l->pref_phys == SYNTH_PHYS && l->span == 0x10000 + SYNTH_SEG);
		assert_true(l->init_size == SYNTH_INIT_SIZE && l->align == 0x200000);
		assert_true(l->link_text == SYNTH_TEXT && l->entry == SYNTH_PHYS);
		assert_true(l->image_limit == 1u << 30);
		if (!l->relocatable)
			fail_msg("%s: %s", formats[i], l->no_reloc_reason);
		place_and_check(k, 0, true);
		place_and_check(k, SHIFT, true);
		assert_int_equal(kernel_load_symbols(k, &e), -ENOENT);
		assert_non_null(strstr(e.text, "section headers"));
		kernel_close(k);
		free(image.data);
	}
}

/* Several LZ4 blocks, the last one short: each must land in its own place. */
static void test_lz4_blocks(void **state)
{
	const size_t extra = (size_t)20 << 20;
	struct synth elf = synth_elf(), packed, image;
	struct err e = { "" };
	struct kernel *k;
	Elf64_Phdr ph;
	u8 *mem;

	(void)state;
	elf.data = realloc(elf.data, elf.len + extra);
	for (size_t i = 0; i < extra; i++)
		elf.data[elf.len + i] = (u8)(i * 7 + (i >> 16));
	memcpy(&ph, elf.data + sizeof(Elf64_Ehdr) + sizeof(ph), sizeof(ph));
	ph.p_filesz = ph.p_memsz = SYNTH_SEG + extra;
	memcpy(elf.data + sizeof(Elf64_Ehdr) + sizeof(ph), &ph, sizeof(ph));
	elf.len += extra;
	packed = synth_pack(&elf, "LZ4");
	image = synth_bzimage(&packed, 0x2000000);
	if (kernel_parse(&k, "blocks", image.data, image.len, false, &e))
		fail_msg("%s", e.text);
	mem = malloc(kernel_layout(k)->span);
	assert_int_equal(kernel_place(k, mem, kernel_layout(k)->span, 0, &e), 0);
	assert_memory_equal(mem + 0x10000, elf.data + 4096 + SYNTH_SEG, SYNTH_SEG + extra);
	kernel_close(k);
	/* a block that lies about its size, and one too few */
	image.data[5 * 512 + 64 + 5] ^= 0x40;
	assert_int_equal(kernel_parse(&k, "blocks", image.data, image.len, false, &e), -EINVAL);
	free(mem);
	free(elf.data);
	free(packed.data);
	free(image.data);
}

static void test_elf(void **state)
{
	struct synth elf = synth_elf();
	struct err e = { "" };
	struct kernel *k;

	(void)state;
	assert_int_equal(kernel_parse(&k, "vmlinux", elf.data, elf.len, false, &e), 0);
	assert_false(kernel_is_bzimage(k));
	assert_string_equal(kernel_release(k), "9.8.7-synth");
	assert_false(kernel_layout(k)->relocatable);
	assert_non_null(kernel_layout(k)->no_reloc_reason);
	place_and_check(k, 0, true);
	kernel_close(k);
	synth_relocs(&elf, 2); /* from Linux 6.15 on there is no inverse list */
	assert_int_equal(kernel_parse(&k, "vmlinux", elf.data, elf.len, false, &e), 0);
	assert_true(kernel_layout(k)->relocatable);
	place_and_check(k, SHIFT, false);
	kernel_close(k);
	free(elf.data);
}

static void test_place_limits(void **state)
{
	struct synth image = synth_full("zstd");
	size_t len = 0x10000 + SYNTH_SEG;
	u8 *mem = malloc(len);
	struct err e = { "" };
	struct kernel *k;

	(void)state;
	assert_int_equal(kernel_parse(&k, "limits", image.data, image.len, false, &e), 0);
	assert_int_equal(kernel_place(k, mem, len - 1, 0, &e), -ENOMEM);
	assert_int_equal(kernel_place(k, mem, len, 0x1000, &e), -EINVAL);
	assert_int_equal(kernel_place(k, mem, len, 1ull << 30, &e), -EINVAL);
	/* 1 GiB - 16 MiB - 2 MiB is the last place */
	assert_int_equal(kernel_place(k, mem, len, 0x3ee00000, &e), 0);
	assert_int_equal(kernel_place(k, mem, len, 0x3f000000, &e), -EINVAL);
	assert_int_equal(kernel_place(k, mem, len, ~0ull << 21, &e), -EINVAL);
	kernel_close(k);
	free(mem);
	free(image.data);
}

/* Checks that a table that is not understood is not used, and that the reason is told. */
static void expect_unrelocatable(struct synth *elf, const char *reason)
{
	struct err e = { "" };
	struct kernel *k;
	u8 *mem = malloc(0x10000 + SYNTH_SEG);

	assert_int_equal(kernel_parse(&k, "odd", elf->data, elf->len, false, &e), 0);
	assert_false(kernel_layout(k)->relocatable);
	assert_non_null(kernel_layout(k)->no_reloc_reason);
	if (!strstr(kernel_layout(k)->no_reloc_reason, reason))
		fail_msg("\"%s\" lacks \"%s\"", kernel_layout(k)->no_reloc_reason, reason);
	assert_int_equal(kernel_place(k, mem, 0x10000 + SYNTH_SEG, SHIFT, &e), -EINVAL);
	assert_int_equal(kernel_place(k, mem, 0x10000 + SYNTH_SEG, 0, &e), 0);
	kernel_close(k);
	free(mem);
	free(elf->data);
}

static void test_odd_relocs(void **state)
{
	struct synth s;

	(void)state;
	s = synth_elf();
	synth_relocs(&s, 3);
	s.data = realloc(s.data, s.len + 1);
	s.data[s.len++] = 0;
	expect_unrelocatable(&s, "odd size");

	s = synth_elf();
	synth_put32(&s, 1);
	synth_relocs(&s, 2);
	expect_unrelocatable(&s, "begin with a zero");

	s = synth_elf();
	synth_put32(&s, 0);
	synth_relocs(&s, 3);
	expect_unrelocatable(&s, "more than three");

	s = synth_elf();
	synth_put32(&s, 0);
	synth_put32(&s, (u32)SYNTH_TEXT);
	expect_unrelocatable(&s, "fewer than two");

	/* behind the first segment, in the gap, before the image, and across a segment's end */
	static const u64 bad[] = { SYNTH_TEXT + SYNTH_SEG + 4096, SYNTH_TEXT + 0x9000,
				   SYNTH_TEXT - 4, SYNTH_TEXT + SYNTH_SEG + 4096 - 3,
				   SYNTH_TEXT + 0x10000 + SYNTH_SEG - 3 };
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		s = synth_elf();
		synth_relocs(&s, 3);
		synth_put32(&s, (u32)bad[i]);
		expect_unrelocatable(&s, "outside its segments");
	}
}

static void expect_bad(const u8 *data, size_t len, int ret, const char *text)
{
	struct err e = { "" };
	struct kernel *k = NULL;

	assert_int_equal(kernel_parse(&k, "bad", data, len, false, &e), ret);
	assert_null(k);
	if (!strstr(e.text, text))
		fail_msg("\"%s\" lacks \"%s\"", e.text, text);
	assert_null(strchr(e.text, '\n'));
}

static void test_not_a_kernel(void **state)
{
	struct synth elf = synth_elf(), image = synth_full("LZ4");
	u8 text[4096] = "#!/bin/sh\n", arm[4096] = { 0 };

	(void)state;
	memcpy(arm + 0x38, "ARM\x64", 4);
	expect_bad(text, 0, -EINVAL, "empty");
	expect_bad(text, 10, -EINVAL, "not a kernel, or truncated");
	expect_bad(text, sizeof(text), -EINVAL, "not a kernel");
	expect_bad(arm, sizeof(arm), -EINVAL, "64-bit ARM");
	elf.data[18] = EM_AARCH64;
	expect_bad(elf.data, elf.len, -EINVAL, "another architecture (64-bit ARM)");
	elf.data[18] = EM_X86_64;
	elf.data[16] = ET_REL;
	expect_bad(elf.data, elf.len, -EINVAL, "relocatable object");
	image.data[0x236] = 0;
	expect_bad(image.data, image.len, -EINVAL, "32-bit x86 kernel");
	image.data[0x206] = 0;
	expect_bad(image.data, image.len, -EINVAL, "too old");
	free(elf.data);
	free(image.data);
}

static void test_opaque(void **state)
{
	struct synth elf = synth_elf(), packed = synth_pack(&elf, "LZO");
	struct synth image = synth_bzimage(&packed, SYNTH_INIT_SIZE);
	struct err e = { "" };
	struct kernel *k;
	u8 mem[16];

	(void)state;
	expect_bad(image.data, image.len, -EOPNOTSUPP, "LZO");
	assert_int_equal(kernel_parse(&k, "lzo", image.data, image.len, true, &e), 0);
	assert_true(kernel_payload_opaque(k));
	assert_string_equal(kernel_release(k), "9.8.7-synth");
	assert_false(kernel_layout(k)->relocatable);
	assert_true(kernel_layout(k)->pref_phys == SYNTH_PHYS);
	assert_int_equal(kernel_place(k, mem, sizeof(mem), 0, &e), -EOPNOTSUPP);
	assert_int_equal(kernel_load_symbols(k, &e), -ENOENT);
	kernel_close(k);
	free(elf.data);
	free(packed.data);
	free(image.data);
}

/* Every truncation is refused with a line; -1 byte included. */
static void test_truncated(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		struct synth image = synth_full(formats[i]);

		for (size_t len = 1; len < image.len; len += len < 3000 ? 1 : 37) {
			struct err e = { "" };
			struct kernel *k = NULL;
			u8 *exact = malloc(len); /* so that ASan sees a byte too far */

			memcpy(exact, image.data, len);
			if (kernel_parse(&k, "cut", exact, len, false, &e) == 0)
				fail_msg("%s cut at %zu is taken", formats[i], len);
			assert_true(e.text[0]);
			free(exact);
		}
		free(image.data);
	}
}

/* The tail behind the payload is only for firmware and boot loaders, and is missed there. */
static void test_cut_tail(void **state)
{
	struct synth image = synth_full(formats[0]);
	size_t setup = 5 * 512, len = setup + (image.len - setup + 64) / 16 * 16;
	u32 paragraphs = (u32)((len - setup) / 16);
	u8 *whole = calloc(1, len);
	struct err e = { "" };
	struct kernel *k = NULL;

	(void)state;
	memcpy(whole, image.data, image.len);
	memcpy(whole + 0x1f4, &paragraphs, 4);
	assert_int_equal(kernel_parse(&k, "cut", whole, len, false, &e), 0);
	kernel_close(k);
	assert_int_equal(kernel_parse(&k, "cut", whole, len - 1, false, &e), -EINVAL);
	assert_non_null(strstr(e.text, "cut: truncated ("));
	assert_non_null(strstr(e.text, "bytes"));
	/* a PE file, with a signature behind its code */
	memcpy(whole, "MZ", 2);
	memcpy(whole + 0x3c, "\x40\0\0\0", 4);
	memcpy(whole + 0x40, "PE\0\0", 4);
	memcpy(whole + 0x40 + 24, "\x0b\x02", 2);
	whole[0x40 + 24 + 108] = 6;
	paragraphs = (u32)len - 8;
	memcpy(whole + 0x40 + 24 + 112 + 32, &paragraphs, 4);
	whole[0x40 + 24 + 112 + 36] = 8;
	assert_int_equal(kernel_parse(&k, "cut", whole, len, false, &e), 0);
	kernel_close(k);
	whole[0x40 + 24 + 112 + 36] = 9;
	assert_int_equal(kernel_parse(&k, "cut", whole, len, false, &e), -EINVAL);
	free(whole);
	free(image.data);
}

static void try_image(const u8 *data, size_t len)
{
	struct err e = { "" };
	struct kernel *k = NULL;
	int ret = kernel_parse(&k, "flip", data, len, true, &e);

	assert_true(ret <= 0);
	if (ret) {
		assert_true(e.text[0]);
		return;
	}
	if (kernel_layout(k)->span <= 0x100000) {
		u8 *mem = calloc(1, kernel_layout(k)->span + 1);
		u64 shift = kernel_layout(k)->relocatable ? kernel_layout(k)->align : 0;

		kernel_place(k, mem, kernel_layout(k)->span, shift, &e);
		free(mem);
	}
	kernel_load_symbols(k, &e);
	kernel_close(k);
}

/* Each bit of the header, of the ELF headers and of the relocation table, and bytes at random. */
static void test_flipped(void **state)
{
	struct synth image = synth_full("none");
	size_t payload = 5 * 512 + 64, relocs = payload + SYNTH_ELF;

	(void)state;
	for (size_t at = 0x1f0; at < image.len; at++) {
		if (at == 0x300)
			at = payload;
		if (at == payload + sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr))
			at = relocs;
		for (int bit = 0; bit < 8; bit++) {
			image.data[at] ^= (u8)(1 << bit);
			try_image(image.data, image.len);
			image.data[at] ^= (u8)(1 << bit);
		}
	}
	free(image.data);
	srand(1);
	for (size_t i = 0; i < ARRAY_SIZE(formats); i++) {
		image = synth_full(formats[i]);
		for (int n = 0; n < 300; n++) {
			size_t at = payload + (size_t)rand() % (image.len - payload);
			u8 old = image.data[at];

			image.data[at] = (u8)rand();
			try_image(image.data, image.len);
			image.data[at] = old;
		}
		free(image.data);
	}
}

static void test_files(void **state)
{
	char path[] = "/tmp/umbra-test-XXXXXX";
	struct err e = { "" };
	struct kernel *k;
	int fd = mkstemp(path);

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(kernel_open(&k, path, false, &e), -EINVAL);
	assert_non_null(strstr(e.text, "empty"));
	assert_int_equal(kernel_open(&k, "/dev/zero", false, &e), -EINVAL);
	assert_non_null(strstr(e.text, "not a regular file"));
	assert_int_equal(kernel_open(&k, "/tmp", false, &e), -EINVAL);
	assert_int_equal(kernel_open(&k, "/nonexistent/vmlinuz", false, &e), -ENOENT);
	assert_non_null(strstr(e.text, "/nonexistent/vmlinuz"));
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),	   cmocka_unit_test(test_lz4_blocks),
		cmocka_unit_test(test_elf),	   cmocka_unit_test(test_place_limits),
		cmocka_unit_test(test_odd_relocs), cmocka_unit_test(test_not_a_kernel),
		cmocka_unit_test(test_opaque),	   cmocka_unit_test(test_truncated),
		cmocka_unit_test(test_cut_tail),   cmocka_unit_test(test_flipped),
		cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
