// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests prepared kernels: the same memory and symbols as from the bzImage, and no file, however
 * damaged or made up, that gives anything else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <bpf/btf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "shadow/kernel/prepared.h"
#include "shadow/kernel/prepared_int.h"
#include "tests/unit/shadow/images.h"
#include "tests/unit/shadow/synth.h"

#define SHIFT 0x3400000ull
#define SPAN  ((size_t)0x10000 + SYNTH_SEG)

struct ctx {
	char path[32]; /* of the bzImage */
	u8 want[SPAN]; /* memory of it at SHIFT */
	u8 *file;      /* its prepared file */
	size_t len;
	u8 key[PREPARED_KEY];
};

static int file_of(const void *data, size_t len)
{
	int fd = memfd_create("prepared", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0600), 0);
	assert_int_equal(write(fd, data, len), len);
	return fd;
}

static u8 *bytes_of(int fd, size_t *len)
{
	struct stat st;
	u8 *p;

	assert_int_equal(fstat(fd, &st), 0);
	*len = (size_t)st.st_size;
	p = malloc(*len);
	assert_int_equal(pread(fd, p, *len, 0), st.st_size);
	return p;
}

static void write_path(const char *path, const struct synth *s)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, s->data, s->len), s->len);
	close(fd);
}

static int setup(void **state)
{
	struct ctx *t = calloc(1, sizeof(*t));
	struct synth image = synth_full("LZ4");
	struct kernel *k;
	int fd;

	strcpy(t->path, "/tmp/umbra-prepared.XXXXXX");
	close(mkstemp(t->path));
	write_path(t->path, &image);
	assert_int_equal(kernel_open(&k, t->path, false, NULL), 0);
	assert_int_equal(kernel_place(k, t->want, SPAN, SHIFT, NULL), 0);
	assert_int_equal(prepared_key(image.data, image.len, t->key), 0);
	fd = file_of("", 0);
	assert_int_equal(prepared_write(k, t->key, fd), 0);
	t->file = bytes_of(fd, &t->len);
	close(fd);
	kernel_close(k);
	free(image.data);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *t = *state;

	unlink(t->path);
	free(t->file);
	free(t);
	return 0;
}

static int open_bytes(struct kernel **k, const struct ctx *t, const u8 *data, size_t len)
{
	struct err e = { "" };

	return prepared_open(k, t->path, file_of(data, len), geteuid(), t->key, &e);
}

static void test_same_memory(void **state)
{
	struct ctx *t = *state;
	struct kernel *plain, *k;
	const struct kernel_layout *a, *b;
	u8 mem[SPAN] = { 0 };
	const u8 *x, *y;
	size_t n;

	/* Two tasks have something to do. */
	assert_true(((const struct prepared_header *)(const void *)t->file)->n_runs > 1);
	assert_int_equal(open_bytes(&k, t, t->file, t->len), 0);
	assert_int_equal(kernel_open(&plain, t->path, false, NULL), 0);
	assert_int_equal(kernel_place(k, mem, SPAN, SHIFT, NULL), 0);
	assert_memory_equal(mem, t->want, SPAN);
	a = kernel_layout(k);
	b = kernel_layout(plain);
	assert_true(a->pref_phys == b->pref_phys && a->span == b->span && a->align == b->align &&
		    a->init_size == b->init_size && a->link_text == b->link_text &&
		    a->entry == b->entry && a->image_limit == b->image_limit && a->relocatable);
	assert_string_equal(kernel_release(k), kernel_release(plain));
	assert_true(kernel_is_bzimage(k) && !kernel_payload_opaque(k));
	x = kernel_file(k, &n);
	assert_int_equal(n, 4096);
	y = kernel_file(plain, &n);
	assert_memory_equal(x, y, n < 4096 ? n : 4096);
	/* as often as one likes, each time with another shift */
	memset(mem, 0, SPAN);
	assert_int_equal(kernel_place(k, mem, SPAN, 0, NULL), 0);
	assert_memory_not_equal(mem, t->want, SPAN);
	assert_int_equal(kernel_place(k, mem, SPAN, 0x1000, NULL), -EINVAL);
	assert_int_equal(kernel_place(k, mem, SPAN - 1, 0, NULL), -ENOMEM);
	kernel_trim(k);
	assert_null(kernel_file(k, &n));
	assert_int_equal(kernel_place(k, mem, SPAN, 0, NULL), -EINVAL);
	kernel_close(k);
	kernel_close(plain);
}

/* No byte of the file may change and still be used, but for those that nothing reads. */
static void test_every_damaged_byte_is_found(void **state)
{
	struct ctx *t = *state;
	u8 *copy = malloc(t->len), mem[SPAN];
	u8 zero[SPAN] = { 0 };

	for (size_t at = 0; at < t->len; at += at < 8192 + 256 ? 1 : 61) {
		struct kernel *k;
		int ret;

		memcpy(copy, t->file, t->len);
		copy[at] ^= 0x10;
		ret = open_bytes(&k, t, copy, t->len);
		if (ret) {
			assert_int_equal(ret, -EBADMSG);
			continue;
		}
		memset(mem, 0, SPAN);
		ret = kernel_place(k, mem, SPAN, SHIFT, NULL);
		if (ret != -EBADMSG)
			fail_msg("byte %zu of %zu: %d", at, t->len, ret);
		assert_memory_equal(mem, zero, SPAN);
		assert_int_equal(prepared_verify(k, NULL), -EBADMSG);
		kernel_close(k);
	}
	free(copy);
}

static void test_truncated(void **state)
{
	struct ctx *t = *state;
	struct kernel *k;

	for (size_t len = 0; len < t->len; len += len < 4096 ? 97 : 511)
		assert_int_equal(open_bytes(&k, t, t->file, len), -EBADMSG);
}

/* So many relocations that the tables are more than what is read at first. */
static void test_large_tables(void **state)
{
	struct ctx *t = *state;
	const size_t more = (size_t)2 * PREPARED_FIRST,
		     from = offsetof(struct prepared_header, version);
	struct prepared_header h;
	u8 mem[SPAN] = { 0 }, plain[SPAN] = { 0 }, *file = calloc(1, t->len + more), *list;
	struct kernel *k;

	memcpy(&h, t->file, sizeof(h));
	list = file + PREPARED_TABLES + h.n_runs * sizeof(struct prepared_run);
	memcpy(file, t->file, (size_t)(list - file));
	for (size_t i = 0; i < more / 4; i++)
		memcpy(list + 4 * i, t->file + (list - file), 4); /* the first one again */
	memcpy(list + more, t->file + (list - file), h.pages_at - (size_t)(list - file));
	memcpy(file + h.pages_at + more, t->file + h.pages_at, t->len - h.pages_at);
	assert_true(h.n_relocs[0]);
	h.n_relocs[0] += more / 4;
	h.pages_at += more;
	h.file_len += more;
	memcpy(file, &h, sizeof(h));
	assert_int_equal(open_bytes(&k, t, file, t->len + more), -EBADMSG);
	h.sum = XXH3_64bits(file + from, h.pages_at - from);
	memcpy(file, &h, sizeof(h));
	assert_int_equal(open_bytes(&k, t, file, t->len + more), 0);
	assert_int_equal(kernel_place(k, mem, SPAN, 0, NULL), 0);
	kernel_close(k);
	assert_int_equal(open_bytes(&k, t, t->file, t->len), 0);
	assert_int_equal(kernel_place(k, plain, SPAN, 0, NULL), 0);
	kernel_close(k);
	assert_memory_equal(mem, plain, SPAN);
	free(file);
}

/* Shrunk after it was opened, which its owner may do. */
static void test_truncated_later(void **state)
{
	struct ctx *t = *state;
	u8 mem[SPAN] = { 0 };
	int fd = file_of(t->file, t->len);
	struct kernel *k;

	assert_int_equal(prepared_open(&k, t->path, fd, geteuid(), NULL, NULL), 0);
	assert_int_equal(ftruncate(fd, (off_t)t->len - 1), 0);
	assert_int_equal(kernel_place(k, mem, SPAN, SHIFT, NULL), -EBADMSG);
	/* and then the bzImage itself serves */
	assert_int_equal(kernel_reread(k, NULL), 0);
	assert_int_equal(kernel_place(k, mem, SPAN, SHIFT, NULL), 0);
	assert_memory_equal(mem, t->want, SPAN);
	kernel_close(k);
}

static void test_reread_of_another_kernel(void **state)
{
	struct ctx *t = *state;
	struct synth elf = synth_elf(), packed, other;
	struct err e = { "" };
	struct kernel *k;

	synth_relocs(&elf, 3);
	packed = synth_pack(&elf, "gzip");
	other = synth_bzimage(&packed, 2 * SYNTH_INIT_SIZE);
	assert_int_equal(open_bytes(&k, t, t->file, t->len), 0);
	write_path(t->path, &other);
	assert_int_equal(kernel_reread(k, &e), -ESTALE);
	assert_non_null(strstr(e.text, "has changed"));
	unlink(t->path);
	assert_int_equal(kernel_reread(k, &e), -ENOENT);
	kernel_close(k);
	free(elf.data);
	free(packed.data);
	free(other.data);
}

static void test_rights(void **state)
{
	struct ctx *t = *state;
	struct kernel *k;
	u8 key[PREPARED_KEY];
	int fd;

	assert_int_equal(
		prepared_open(&k, t->path, file_of(t->file, t->len), geteuid() + 1, NULL, NULL),
		-EBADMSG);
	for (int bit = S_IWOTH; bit <= S_IWGRP; bit <<= 3) {
		fd = file_of(t->file, t->len);
		assert_int_equal(fchmod(fd, 0600 | (mode_t)bit), 0);
		assert_int_equal(prepared_open(&k, t->path, fd, geteuid(), NULL, NULL), -EBADMSG);
	}
	fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	assert_int_equal(prepared_open(&k, t->path, fd, geteuid(), NULL, NULL), -EBADMSG);
	memcpy(key, t->key, sizeof(key));
	key[31] ^= 1;
	assert_int_equal(prepared_open(&k, t->path, file_of(t->file, t->len), geteuid(), key, NULL),
			 -EBADMSG);
}

static void set_sums(u8 *file, u64 tables)
{
	struct prepared_header *h = (struct prepared_header *)(void *)file;
	const size_t from = offsetof(struct prepared_header, version);

	h->sum = XXH3_64bits(file + from, tables - from);
}

/*
 * With checksums that are right: what a defect of ours, or somebody with the user's rights, wrote.
 */
static void test_numbers_that_cannot_be(void **state)
{
	static const u64 values[] = { 0,	  1,	      4095,	      4096,
				      1u << 20,	  SPAN,	      1u << 30,	      1ull << 31,
				      1ull << 40, 1ull << 63, UINT64_MAX - 8, UINT64_MAX };
	struct ctx *t = *state;
	u8 *copy = malloc(t->len), *mem = malloc(SPAN);
	u64 tables = ((struct prepared_header *)(void *)t->file)->pages_at;
	size_t refused = 0, runs = PREPARED_TABLES + 2 * sizeof(struct prepared_run);

	for (size_t at = 16; at < runs + 64; at += 8) {
		if (at == sizeof(struct prepared_header) / 8 * 8)
			at = PREPARED_TABLES;
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			struct kernel *k;

			memcpy(copy, t->file, t->len);
			memcpy(copy + at, &values[i], 8);
			set_sums(copy, tables);
			if (open_bytes(&k, t, copy, t->len)) {
				refused++;
				continue;
			}
			/* What is let through must do no harm, which ASan sees. */
			if (kernel_layout(k)->span <= SPAN)
				kernel_place(k, mem, SPAN, SHIFT, NULL);
			kernel_load_symbols(k, NULL);
			kernel_close(k);
		}
	}
	assert_true(refused > 250);
	free(copy);
	free(mem);
}

static void test_what_cannot_be_prepared(void **state)
{
	struct ctx *t = *state;
	struct synth elf = synth_elf();
	struct kernel *k;
	size_t len;
	int fd;

	assert_int_equal(kernel_parse(&k, "elf", elf.data, elf.len, false, NULL), 0);
	fd = file_of("", 0);
	assert_int_equal(prepared_write(k, t->key, fd), -EINVAL);
	kernel_close(k);
	assert_int_equal(open_bytes(&k, t, t->file, t->len), 0);
	assert_int_equal(prepared_write(k, t->key, fd), -EINVAL);
	/* Nor can its key be found: the file is not there. */
	kernel_file(k, &len);
	assert_int_equal(len, 4096);
	kernel_close(k);
	close(fd);
	free(elf.data);
}

/* Are all symbols, exports and prototypes of @b those of @a, and in the same order? */
static void same_symbols(const struct kernel *a, const struct kernel *b)
{
	const struct kernel_export *x, *y;
	char text[2][1024];
	u32 off[2], size[2];
	u64 start[2], end[2];
	size_t n, m;

	x = kernel_exports(a, &n);
	y = kernel_exports(b, &m);
	assert_true(n > 5000 && n == m);
	for (size_t i = 0; i < n; i++) {
		assert_string_equal(x[i].name, y[i].name);
		assert_true(!x[i].ns == !y[i].ns && (!x[i].ns || !strcmp(x[i].ns, y[i].ns)));
		assert_true(x[i].addr == y[i].addr && x[i].crc == y[i].crc &&
			    x[i].btf_id == y[i].btf_id && x[i].has_crc == y[i].has_crc &&
			    x[i].gpl_only == y[i].gpl_only && x[i].compiled == y[i].compiled &&
			    x[i].class == y[i].class);
		assert_ptr_equal(kernel_export(b, x[i].name), &y[i]);
		if (!kernel_prototype(a, x[i].name, text[0], sizeof(text[0]))) {
			assert_int_equal(kernel_prototype(b, x[i].name, text[1], sizeof(text[1])),
					 0);
			assert_string_equal(text[0], text[1]);
		}
	}
	for (n = 0; kernel_function(a, n); n++)
		assert_string_equal(kernel_function(a, n)->name, kernel_function(b, n)->name);
	assert_null(kernel_function(b, n));
	assert_int_equal(a->syms.count, b->syms.count);
	for (u32 i = 0; i < a->syms.count; i++) {
		const struct name_table ta = kallsyms_table(&a->syms),
					tb = kallsyms_table(&b->syms);
		const char *name = ta.name(ta.of, i);

		assert_string_equal(name, tb.name(tb.of, i));
		assert_true(kernel_symbol(a, name) == kernel_symbol(b, name));
	}
	assert_int_equal(kernel_symbol(b, "no_such_symbol"), 0);
	assert_string_equal(kernel_symbolize(a, kernel_symbol(a, "vfs_read") + 3, NULL),
			    kernel_symbolize(b, kernel_symbol(a, "vfs_read") + 3, NULL));
	for (u32 id = 1; id < a->types.btf.count; id++) {
		const struct btf_type *t = btf_type_at(&a->types.btf, id);
		const char *name = btf_name(&a->types.btf, t->name_off);

		if (!btf_is_composite(t) || !*name)
			continue;
		assert_int_equal(kernel_struct_size(a, name, &size[0]), 0);
		assert_int_equal(kernel_struct_size(b, name, &size[1]), 0);
		assert_int_equal(size[0], size[1]);
	}
	assert_int_equal(kernel_member(a, "module", "name", &off[0], &size[0]), 0);
	assert_int_equal(kernel_member(b, "module", "name", &off[1], &size[1]), 0);
	assert_true(off[0] == off[1] && size[0] == size[1]);
	kernel_text(a, &start[0], &end[0]);
	kernel_text(b, &start[1], &end[1]);
	assert_true(start[0] == start[1] && end[0] == end[1]);
	assert_true(kernel_percpu_size(a) == kernel_percpu_size(b));
	assert_string_equal(kernel_vermagic(a), kernel_vermagic(b));
}

/* Debian's: its memory, and its symbols and types, which sessions live on. */
static void test_debian(void **state)
{
	struct kernel *plain, *k;
	char path[512];
	u8 key[PREPARED_KEY], *a, *b;
	size_t span, n;
	struct err e = { "" };
	int fd;

	(void)state;
	image_path(path, sizeof(path), "cloud", "vmlinuz");
	if (!getenv("UMBRA_TEST_IMAGES") || access(path, R_OK))
		skip();
	assert_int_equal(kernel_open(&plain, path, false, NULL), 0);
	a = (u8 *)(uintptr_t)kernel_file(plain, &n);
	assert_int_equal(prepared_key(a, n, key), 0);
	fd = file_of("", 0);
	assert_int_equal(prepared_write(plain, key, fd), 0);
	if (prepared_open(&k, path, fd, geteuid(), key, &e))
		fail_msg("%s", e.text);
	span = kernel_layout(plain)->span;
	a = mmap(NULL, 2 * span, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(a, MAP_FAILED);
	b = a + span;
	assert_int_equal(kernel_place(plain, a, span, SHIFT, NULL), 0);
	assert_int_equal(kernel_place(k, b, span, SHIFT, NULL), 0);
	assert_memory_equal(a, b, span);
	munmap(a, 2 * span);
	assert_int_equal(kernel_load_symbols(plain, NULL), 0);
	if (kernel_load_symbols(k, &e))
		fail_msg("%s", e.text);
	/* they come from the file, and its image is not read for them */
	assert_null(k->image);
	assert_true(k->syms.borrowed);
	same_symbols(plain, k);
	kernel_trim(k);
	assert_non_null(kernel_export(k, "filp_open"));
	same_symbols(plain, k);
	kernel_trim(plain);
	same_symbols(plain, k);
	kernel_close(k);
	kernel_close(plain);
}

/* Debian's prepared file, its symbols writable, and the header, at the start of the file. */
struct debian {
	int fd;
	char path[512];
	struct prepared_header h;
	u8 *symbols;
};

static void debian_open(struct debian *d)
{
	struct kernel *k;
	u8 key[PREPARED_KEY] = { 0 };

	image_path(d->path, sizeof(d->path), "cloud", "vmlinuz");
	if (!getenv("UMBRA_TEST_IMAGES") || access(d->path, R_OK))
		skip();
	assert_int_equal(kernel_open(&k, d->path, false, NULL), 0);
	d->fd = file_of("", 0);
	assert_int_equal(prepared_write(k, key, d->fd), 0);
	kernel_close(k);
	assert_int_equal(pread(d->fd, &d->h, sizeof(d->h), 0), sizeof(d->h));
	assert_true(d->h.symbols_len > 1 << 20);
	d->symbols = mmap(NULL, d->h.symbols_len, PROT_READ | PROT_WRITE, MAP_SHARED, d->fd,
			  (off_t)d->h.symbols_at);
	assert_ptr_not_equal(d->symbols, MAP_FAILED);
}

static void debian_close(struct debian *d)
{
	munmap(d->symbols, d->h.symbols_len);
	close(d->fd);
}

/* Writes checksums that are right. */
static void debian_sum(struct debian *d)
{
	const size_t from = offsetof(struct prepared_header, version);
	u8 *tables = malloc(d->h.pages_at);

	d->h.symbols_sum = XXH3_64bits(d->symbols, d->h.symbols_len);
	assert_int_equal(pread(d->fd, tables, d->h.pages_at, 0), d->h.pages_at);
	memcpy(tables, &d->h, sizeof(d->h));
	d->h.sum = XXH3_64bits(tables + from, d->h.pages_at - from);
	assert_int_equal(pwrite(d->fd, &d->h, sizeof(d->h), 0), sizeof(d->h));
	free(tables);
}

/* Loads what the file says and asks for all kinds of things; returns what the load did. */
static int debian_use(const struct debian *d)
{
	struct kernel *k;
	struct err e = { "" };
	char text[200];
	u32 off, size;
	int ret;

	assert_int_equal(prepared_open(&k, d->path, dup(d->fd), geteuid(), NULL, &e), 0);
	ret = prepared_symbols_load(k, &e);
	if (ret) {
		assert_int_equal(ret, -EBADMSG);
		assert_non_null(strstr(e.text, "symbols are damaged"));
		assert_null(kernel_export(k, "filp_open"));
		assert_int_equal(kernel_symbol(k, "_text"), 0);
	}
	kernel_symbol(k, "vfs_read");
	kernel_symbolize(k, k->layout.link_text + 0x1234, NULL);
	kernel_member(k, "module", "name", &off, &size);
	kernel_prototype(k, "filp_open", text, sizeof(text));
	for (size_t i = 0; kernel_function(k, i); i += 97)
		kernel_prototype(k, kernel_function(k, i)->name, text, sizeof(text));
	kernel_close(k);
	return ret;
}

/* A byte that differs is found, and then the symbols come from the image. */
static void test_damaged_symbols(void **state)
{
	struct debian d;
	struct kernel *k;

	(void)state;
	debian_open(&d);
	for (u64 at = 0; at < d.h.symbols_len; at += d.h.symbols_len / 23) {
		d.symbols[at] ^= 0x10;
		assert_int_equal(debian_use(&d), -EBADMSG);
		d.symbols[at] ^= 0x10;
	}
	assert_int_equal(debian_use(&d), 0);
	d.symbols[d.h.symbols_len - 1] ^= 1;
	assert_int_equal(prepared_open(&k, d.path, dup(d.fd), geteuid(), NULL, NULL), 0);
	assert_int_equal(prepared_verify(k, NULL), -EBADMSG);
	kernel_close(k);
	assert_int_equal(prepared_open(&k, d.path, dup(d.fd), geteuid(), NULL, NULL), 0);
	assert_int_equal(kernel_load_symbols(k, NULL), 0);
	assert_false(k->syms.borrowed);
	assert_true(kernel_symbols_damaged(k)); /* so that the file is dropped */
	assert_non_null(kernel_export(k, "filp_open"));
	kernel_close(k);
	debian_close(&d);
}

/* Numbers that no defect-free writer has written, under checksums that are right. */
static void test_symbols_that_cannot_be(void **state)
{
	static const u64 values[] = { 0, 65, 1ull << 20, 1ull << 32, 1ull << 63, UINT64_MAX };
	struct debian d;
	unsigned refused = 0;
	u64 was;

	(void)state;
	debian_open(&d);
	for (size_t at = 0; at < offsetof(struct prepared_symbols, vermagic); at += 8) {
		memcpy(&was, d.symbols + at, 8);
		for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
			memcpy(d.symbols + at, &values[i], 8);
			debian_sum(&d);
			refused += !!debian_use(&d);
		}
		memcpy(d.symbols + at, &was, 8);
	}
	assert_true(refused > 80);
	/* and any bytes in the tables, where loading looks at them or only use does */
	srand(1);
	for (int i = 0; i < 40; i++) {
		for (int j = 0; j < 400; j++)
			d.symbols[(u64)rand() % d.h.symbols_len] ^= (u8)(1 << rand() % 8);
		debian_sum(&d);
		debian_use(&d);
	}
	debian_close(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_same_memory, setup, teardown),
		cmocka_unit_test_setup_teardown(test_every_damaged_byte_is_found, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncated, setup, teardown),
		cmocka_unit_test_setup_teardown(test_truncated_later, setup, teardown),
		cmocka_unit_test_setup_teardown(test_reread_of_another_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rights, setup, teardown),
		cmocka_unit_test_setup_teardown(test_numbers_that_cannot_be, setup, teardown),
		cmocka_unit_test_setup_teardown(test_what_cannot_be_prepared, setup, teardown),
		cmocka_unit_test(test_debian),
		cmocka_unit_test(test_damaged_symbols),
		cmocka_unit_test(test_symbols_that_cannot_be),
	};

	return cmocka_run_group_tests_name("prepared", tests, NULL, NULL);
}
