// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opens a prepared kernel of any content. The bytes come as they are; then with checksums that are
 * right, so that what lies behind them is reached too; and then with lengths that agree as well.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "shadow/kernel/prepared.h"
#include "shadow/kernel/prepared_int.h"

#define PLACE_MAX ((u64)16 << 20)
#define RUN_ROOM  64 /* runs and relocations that the mutator likes */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

static struct prepared_header *file_header(u8 *file)
{
	return (struct prepared_header *)(void *)file;
}

static struct prepared_run *file_runs(u8 *file)
{
	return (struct prepared_run *)(void *)(file + PREPARED_TABLES);
}

/* Runs that lie in the file's tables. */
static u32 count_runs(u8 *file, size_t size)
{
	size_t room = (size - PREPARED_TABLES) / sizeof(struct prepared_run);
	u32 n = file_header(file)->n_runs;

	if (room > PREPARED_RUNS)
		room = PREPARED_RUNS;
	return n > room ? (u32)room : n;
}

static void set_sums(u8 *file, size_t size)
{
	struct prepared_header *h = file_header(file);
	const size_t from = offsetof(struct prepared_header, version);
	struct prepared_run *r = file_runs(file);
	u64 at = h->pages_at;

	if (at > size || at < PREPARED_TABLES)
		return;
	for (u32 i = 0, n = count_runs(file, size); i < n; i++) {
		if (r[i].len > size - at)
			break;
		r[i].sum = XXH3_64bits(file + at, r[i].len);
		at += r[i].len;
	}
	h->sum = XXH3_64bits(file + from, h->pages_at - from);
}

/* Makes numbers agree that stand twice in the file, so that the others are looked at. */
static void make_lengths_agree(u8 *file, size_t size)
{
	struct prepared_header *h = file_header(file);
	struct prepared_run *r = file_runs(file);
	u64 at;

	memcpy(h->magic, PREPARED_MAGIC, sizeof(h->magic));
	h->version = PREPARED_VERSION;
	h->file_len = size;
	h->pages_at = h->pages_at / PREPARED_PAGE * PREPARED_PAGE;
	h->link_text = KERNEL_MAP + h->pref_phys;
	h->pages_len = size - h->pages_at;
	h->symbols_at = h->symbols_len = h->symbols_sum = 0;
	at = h->pages_at;
	for (u32 i = 0, n = count_runs(file, size); i < n && at < size; i++) {
		if (i + 1 == n || r[i].len > size - at)
			r[i].len = size - at;
		at += r[i].len;
	}
}

static void use_kernel(struct kernel *k)
{
	struct kernel_callee open;
	const struct kernel_layout *l = kernel_layout(k);
	u64 span = l->span, shift = l->align;
	const u8 *file;
	static const u64 args[KERNEL_CALL_ARGS] = { 0, 1, 2, 3, 4, 5, 6, 7 };
	static const char *const texts[KERNEL_CALL_ARGS];
	struct kernel_call call;
	const char *why;
	char buf[256];
	u32 off, len;
	size_t n;
	u8 *mem;

	file = kernel_file(k, &n);
	if (n != PREPARED_PAGE || XXH3_64bits(file, n) == 1 || !l->relocatable ||
	    l->entry - l->pref_phys >= span)
		abort();
	if (kernel_release(k) && strlen(kernel_release(k)) > 64)
		abort();
	if (span > PLACE_MAX)
		return;
	mem = calloc(1, span);
	if (!mem)
		abort();
	for (int i = 0; i < 2; i++, shift = 0)
		if (kernel_place(k, mem, span, shift, NULL) == -EBADMSG &&
		    (mem[0] || memcmp(mem, mem + 1, span - 1) != 0))
			abort();
	free(mem);
	prepared_verify(k, NULL);
	kernel_load_symbols(k, NULL);
	kernel_prototype(k, "filp_open", buf, sizeof(buf));
	kernel_symbolize(k, l->link_text, NULL);
	kernel_member(k, "module", "name", &off, &len);
	kernel_call_shape(k, "filp_open", &call, &why);
	open = kernel_callee(k, "filp_open");
	kernel_call_text(k, &open, args, texts, buf, sizeof(buf));
	kernel_result_text(k, &open, 7, buf, sizeof(buf));
	kernel_symbol(k, "_end");
	for (size_t i = 0; kernel_function(k, i); i++)
		n += kernel_function(k, i)->name[0] + kernel_function_from(k, l->link_text);
	kernel_trim(k);
	/* Only what the file had as symbols is still there. */
	if (kernel_export(k, "filp_open") && !kernel_symbols_loaded(k))
		abort();
}

static void open_it(const u8 *file, size_t size, const u8 *key)
{
	int fd = memfd_create("prepared", MFD_CLOEXEC);
	struct err e = { "" };
	struct kernel *k;

	/* No such path: what is damaged has no bzImage to go back to. */
	if (fd < 0 || fchmod(fd, 0600) || write(fd, file, size) != (ssize_t)size)
		abort();
	if (!prepared_open(&k, "/nowhere/vmlinuz", fd, geteuid(), key, &e)) {
		use_kernel(k);
		kernel_close(k);
	} else if (!*e.text) {
		abort();
	}
}

/* Opens a file that is as it must be, but for its symbols. */
static void open_symbols(const u8 *data, size_t size)
{
	const size_t from = offsetof(struct prepared_header, version),
		     pages_at = PREPARED_TABLES + PREPARED_PAGE,
		     symbols_at = pages_at + PREPARED_PAGE;
	u8 *file = calloc(1, symbols_at + size);
	struct prepared_symbols *s = (struct prepared_symbols *)(void *)(file + symbols_at);
	struct prepared_header *h = file_header(file);

	if (!file)
		abort();
	*h = (struct prepared_header){
		.version = PREPARED_VERSION,
		.n_runs = 1,
		.pages_at = pages_at,
		.pages_len = PREPARED_PAGE,
		.file_len = symbols_at + size,
		.symbols_at = symbols_at,
		.symbols_len = size,
		.pref_phys = 0x1000000,
		.span = 0x100000,
		.init_size = 0x100000,
		.align = 0x200000,
		.link_text = KERNEL_MAP + 0x1000000,
		.entry = 0x1000000,
	};
	for (size_t i = 0; i < PREPARED_SECTIONS; i++)
		h->sections[i].offset = PREPARED_NONE;
	memcpy(h->magic, PREPARED_MAGIC, sizeof(h->magic));
	*file_runs(file) = (struct prepared_run){ .len = PREPARED_PAGE };
	memcpy(s, data, size);
	s->text_start = h->link_text;
	s->text_end = h->link_text + 0x1000;
	s->percpu_size = 0;
	s->vermagic[sizeof(s->vermagic) - 1] = 0;
	h->symbols_sum = XXH3_64bits(s, size);
	h->sum = XXH3_64bits(file + from, pages_at - from);
	file_runs(file)->sum = XXH3_64bits(file + pages_at, PREPARED_PAGE);
	h->sum = XXH3_64bits(file + from, pages_at - from);
	open_it(file, symbols_at + size, NULL);
	free(file);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const u8 other[PREPARED_KEY];
	u8 *file;

	if (size >= sizeof(struct prepared_symbols))
		open_symbols(data, size);
	open_it(data, size, NULL);
	open_it(data, size, other);
	if (size < PREPARED_TABLES)
		return 0;
	file = malloc(size);
	if (!file)
		abort();
	memcpy(file, data, size);
	set_sums(file, size);
	open_it(file, size, file_header(file)->key);
	make_lengths_agree(file, size);
	set_sums(file, size);
	open_it(file, size, NULL);
	free(file);
	return 0;
}

/* Mutates what is looked at, and where it is: most of a file is padding and pages. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed)
{
	size_t runs_at = PREPARED_TABLES, pages_at;

	if (size < PREPARED_TABLES + RUN_ROOM * 4)
		return LLVMFuzzerMutate(data, size, max);
	pages_at = PREPARED_TABLES + PREPARED_PAGE;
	switch (seed % 8) {
	case 0:
		return LLVMFuzzerMutate(data, size, max);
	case 1:
	case 2:
		LLVMFuzzerMutate(data + runs_at, RUN_ROOM * 4, RUN_ROOM * 4);
		return size;
	case 3:
		if (size <= pages_at)
			return size;
		return pages_at +
		       LLVMFuzzerMutate(data + pages_at, size - pages_at, max - pages_at);
	default:
		LLVMFuzzerMutate(data, sizeof(struct prepared_header),
				 sizeof(struct prepared_header));
		return size;
	}
}
