// SPDX-License-Identifier: GPL-2.0-only
/* Writes the prepared form of a kernel that was opened from its bzImage. */
#include <blake2.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "shadow/kernel/prepared_int.h"

/* Shorter gaps are stored: a run costs more than the zeros. */
#define GAP_MIN ((u64)8 * PREPARED_PAGE)

struct prepared_writer {
	struct kernel *k;
	u8 *flat;    /* layout.span bytes */
	u8 *symbols; /* of prepared_symbols_make(), or NULL */
	struct prepared_header h;
	struct prepared_run runs[PREPARED_RUNS];
};

int prepared_key(const void *bzimage, size_t len, u8 key[PREPARED_KEY])
{
	return blake2b(key, bzimage, NULL, PREPARED_KEY, len, 0) ? -EINVAL : 0;
}

static bool bytes_are_zero(const u8 *p, size_t len)
{
	return !p[0] && (len == 1 || !memcmp(p, p + 1, len - 1));
}

static int find_runs(struct prepared_writer *w)
{
	u64 span = w->h.span, end = 0;

	for (u64 at = 0; at < span; at += PREPARED_PAGE) {
		u64 len = span - at < PREPARED_PAGE ? span - at : PREPARED_PAGE;

		if (bytes_are_zero(w->flat + at, len))
			continue;
		if (!w->h.n_runs || at - end >= GAP_MIN || at % PREPARED_RUN == 0) {
			if (w->h.n_runs == PREPARED_RUNS)
				return -EINVAL;
			w->runs[w->h.n_runs++].offset = at;
		}
		end = at + len;
		w->runs[w->h.n_runs - 1].len = end - w->runs[w->h.n_runs - 1].offset;
	}
	for (u32 i = 0; i < w->h.n_runs; i++)
		w->runs[i].sum = prepared_sum(w->flat + w->runs[i].offset, w->runs[i].len);
	return w->h.n_runs ? 0 : -EINVAL;
}

/*
 * Returns where the bytes at @data of the ELF file lie in the flat image; PREPARED_NONE: nowhere.
 */
static u64 flat_offset(const struct kernel *k, const u8 *data, u64 size)
{
	u64 at = (u64)(data - k->image);

	for (unsigned i = 0; i < k->n_segments; i++) {
		const struct segment *s = &k->segments[i];

		if (at >= s->offset && at - s->offset < s->filesz &&
		    size <= s->filesz - (at - s->offset))
			return s->paddr - k->layout.pref_phys + (at - s->offset);
	}
	return PREPARED_NONE;
}

static void find_sections(struct prepared_writer *w)
{
	struct sections s = { 0 };
	const struct section *from = (const struct section *)(const void *)&s;

	/*
	 * A kernel without these sections boots, and has no sessions with or without a prepared
	 * image.
	 */
	if (vmlinux_sections(w->k, &s, NULL))
		memset(&s, 0, sizeof(s));
	for (size_t i = 0; i < PREPARED_SECTIONS; i++)
		w->h.sections[i] = (struct prepared_section){
			.addr = from[i].addr,
			.size = from[i].size,
			.offset = from[i].data ? flat_offset(w->k, from[i].data, from[i].size)
					       : PREPARED_NONE,
		};
}

static int prepared_fill_header(struct prepared_writer *w, const u8 *key)
{
	const struct kernel *k = w->k;
	const struct kernel_layout *l = &k->layout;
	u64 relocs = 0;

	memcpy(w->h.magic, PREPARED_MAGIC, sizeof(w->h.magic));
	w->h.version = PREPARED_VERSION;
	memcpy(w->h.key, key, PREPARED_KEY);
	w->h.pref_phys = l->pref_phys;
	w->h.span = l->span;
	w->h.init_size = l->init_size;
	w->h.align = l->align;
	w->h.link_text = l->link_text;
	w->h.entry = l->entry;
	memcpy(w->h.release, k->release, sizeof(w->h.release));
	for (unsigned i = 0; i < KERNEL_RELOCS; i++) {
		if (k->n_relocs[i] > PREPARED_RELOCS)
			return -EINVAL;
		w->h.n_relocs[i] = k->n_relocs[i];
		relocs += k->n_relocs[i];
	}
	w->h.pages_at = ALIGN_UP(PREPARED_TABLES + w->h.n_runs * sizeof(w->runs[0]) + relocs * 4,
				 (u64)PREPARED_PAGE);
	for (u32 i = 0; i < w->h.n_runs; i++)
		w->h.pages_len += w->runs[i].len;
	w->h.file_len = w->h.pages_at + w->h.pages_len;
	if (w->symbols) {
		w->h.symbols_at = ALIGN_UP(w->h.file_len, (u64)PREPARED_PAGE);
		w->h.symbols_sum = prepared_sum(w->symbols, w->h.symbols_len);
		w->h.file_len = w->h.symbols_at + w->h.symbols_len;
	}
	return 0;
}

/* Writes the symbols behind the runs, which end within a page. */
static int prepared_write_symbols(const struct prepared_writer *w, int fd)
{
	static const u8 zero[PREPARED_PAGE];
	int ret = file_write(fd, zero, w->h.symbols_at - w->h.pages_at - w->h.pages_len);

	return ret ? ret : file_write(fd, w->symbols, w->h.symbols_len);
}

static int prepared_write_file(struct prepared_writer *w, int fd)
{
	const size_t from = offsetof(struct prepared_header, version);
	const struct kernel *k = w->k;
	u8 *tables = calloc(1, w->h.pages_at), *p;
	int ret;

	if (!tables)
		return -ENOMEM;
	memcpy(tables, &w->h, sizeof(w->h));
	memcpy(tables + PREPARED_PAGE, k->file,
	       k->file_len < PREPARED_PAGE ? k->file_len : PREPARED_PAGE);
	memcpy(tables + PREPARED_TABLES, w->runs, w->h.n_runs * sizeof(w->runs[0]));
	p = tables + PREPARED_TABLES + w->h.n_runs * sizeof(w->runs[0]);
	for (unsigned i = 0; i < KERNEL_RELOCS; i++) {
		if (k->n_relocs[i])
			memcpy(p, k->relocs[i], 4 * k->n_relocs[i]);
		p += 4 * k->n_relocs[i];
	}
	w->h.sum = prepared_sum(tables + from, w->h.pages_at - from);
	memcpy(tables, &w->h, sizeof(w->h));
	ret = file_write(fd, tables, w->h.pages_at);
	/* Runs that touch are one write: file systems make folios as large as the write. */
	for (u32 i = 0, next; i < w->h.n_runs && !ret; i = next) {
		u64 begin = w->runs[i].offset, end = begin + w->runs[i].len;

		for (next = i + 1; next < w->h.n_runs && w->runs[next].offset == end; next++)
			end += w->runs[next].len;
		ret = file_write(fd, w->flat + begin, end - begin);
	}
	if (!ret && w->symbols)
		ret = prepared_write_symbols(w, fd);
	free(tables);
	return ret;
}

int prepared_write(struct kernel *k, const u8 key[PREPARED_KEY], int fd)
{
	struct prepared_writer *w;
	int ret;

	_Static_assert(sizeof(struct prepared_header) <= PREPARED_PAGE, "the header has a page");
	if (!k->bzimage || k->opaque || k->prepared || !k->image || !k->layout.relocatable)
		return -EINVAL;
	w = calloc(1, sizeof(*w));
	if (!w)
		return -ENOMEM;
	w->k = k;
	w->h.span = k->layout.span;
	w->flat = mmap(NULL, w->h.span, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (w->flat == MAP_FAILED) {
		free(w);
		return -ENOMEM;
	}
	ret = kernel_place(k, w->flat, w->h.span, 0, NULL);
	if (!ret)
		ret = find_runs(w);
	/* A kernel without symbols boots, and has no sessions with or without a prepared image. */
	if (!ret && prepared_symbols_make(k, &w->symbols, &w->h.symbols_len) == -ENOMEM)
		ret = -ENOMEM;
	if (!ret) {
		find_sections(w);
		ret = prepared_fill_header(w, key);
	}
	if (!ret)
		ret = prepared_write_file(w, fd);
	munmap(w->flat, w->h.span);
	free(w->symbols);
	free(w);
	return ret;
}
