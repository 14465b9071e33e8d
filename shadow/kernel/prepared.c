// SPDX-License-Identifier: GPL-2.0-only
/* Opens a prepared kernel: reads and checks its tables, and reads its image where it is needed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "shadow/kernel/prepared_int.h"

/* Checks all of the header but the sums. Returns NULL, or the fault in words. */
static const char *check_header(const struct prepared_header *h, u64 file_len)
{
	u64 relocs = 0;

	if (memcmp(h->magic, PREPARED_MAGIC, sizeof(h->magic)) != 0 ||
	    h->version != PREPARED_VERSION)
		return "of another version";
	for (unsigned i = 0; i < KERNEL_RELOCS; i++) {
		if (h->n_relocs[i] > PREPARED_RELOCS)
			return "too many relocations";
		relocs += h->n_relocs[i];
	}
	if (!h->n_runs || h->n_runs > PREPARED_RUNS)
		return "a number of runs that cannot be";
	if (h->pages_at % PREPARED_PAGE || h->file_len != file_len || h->pages_at >= file_len ||
	    !h->pages_len || h->pages_len > file_len - h->pages_at ||
	    h->pages_at < PREPARED_TABLES + h->n_runs * sizeof(struct prepared_run) + relocs * 4 ||
	    h->pages_at > PREPARED_TABLES + 4 * (u64)KERNEL_RELOCS * PREPARED_RELOCS)
		return "lengths that do not agree";
	if (h->symbols_len
		    ? h->symbols_at != ALIGN_UP(h->pages_at + h->pages_len, (u64)PREPARED_PAGE) ||
			      h->symbols_at > file_len || h->symbols_len != file_len - h->symbols_at
		    : h->symbols_at || h->pages_len != file_len - h->pages_at)
		return "symbols that do not end the file";
	if (!h->span || h->span > KERNEL_IMAGE_SIZE || h->init_size < h->span ||
	    h->init_size > KERNEL_IMAGE_SIZE || h->pref_phys > KERNEL_IMAGE_SIZE ||
	    h->init_size > KERNEL_IMAGE_SIZE - h->pref_phys ||
	    h->link_text != KERNEL_MAP + h->pref_phys || h->entry < h->pref_phys ||
	    h->entry - h->pref_phys >= h->span || h->align < PREPARED_PAGE ||
	    h->align > KERNEL_IMAGE_SIZE || h->align & (h->align - 1))
		return "a layout that cannot be";
	if (!memchr(h->release, 0, sizeof(h->release)))
		return "a release without an end";
	return NULL;
}

static const char *check_runs(const struct prepared_header *h, const struct prepared_run *r)
{
	u64 end = 0, sum = 0;

	for (u32 i = 0; i < h->n_runs; i++) {
		if (r[i].offset < end || !r[i].len || r[i].offset > h->span ||
		    r[i].len > h->span - r[i].offset)
			return "a run outside the image";
		end = r[i].offset + r[i].len;
		sum += r[i].len;
	}
	return sum == h->pages_len ? NULL : "runs that do not fill the file";
}

static const char *check_sections(const struct prepared_header *h)
{
	for (size_t i = 0; i < PREPARED_SECTIONS; i++) {
		const struct prepared_section *s = &h->sections[i];

		if (s->offset != PREPARED_NONE &&
		    (s->offset > h->span || s->size > h->span - s->offset))
			return "a section outside the image";
	}
	return NULL;
}

/* Reads the first @room bytes of the file into fresh memory, and frees those of an earlier call. */
static int map_tables(struct kernel *k, struct prepared *p, size_t room, u64 file_len,
		      struct err *e)
{
	if (p->tables)
		munmap(p->tables, p->tables_len);
	p->tables_len = room + PREPARED_STACK;
	/* Populating some 250 pages at once is cheaper than a fault for each, as with malloc(). */
	p->tables = mmap(NULL, p->tables_len, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	if (p->tables == MAP_FAILED) {
		p->tables = NULL;
		err_set(e, -ENOMEM, "%s: out of memory", k->path);
		return -ENOMEM;
	}
	p->h = (const struct prepared_header *)(const void *)p->tables;
	p->runs = (const struct prepared_run *)(const void *)(p->tables + PREPARED_TABLES);
	return file_pread(p->fd, p->tables, room < file_len ? room : file_len, 0)
		       ? prepared_damaged(k, "it cannot be read", e)
		       : 0;
}

static int read_tables(struct kernel *k, struct prepared *p, unsigned uid, const u8 *key,
		       struct err *e)
{
	const size_t from = offsetof(struct prepared_header, version);
	u64 room, need = PREPARED_FIRST;
	const char *wrong;
	struct stat st;
	int ret;

	if (fstat(p->fd, &st))
		return prepared_damaged(k, "it cannot be looked at", e);
	if (!S_ISREG(st.st_mode) || st.st_uid != uid || st.st_mode & (S_IWGRP | S_IWOTH))
		return prepared_damaged(k, "somebody else could write it", e);
	if (st.st_size < (off_t)PREPARED_TABLES)
		return prepared_damaged(k, "it is too short", e);
	/*
	 * The tables are checked in the memory in which they are used; if they are longer than what
	 * was read, all of them are read anew.
	 */
	do {
		room = need;
		ret = map_tables(k, p, room, (u64)st.st_size, e);
		if (ret)
			return ret;
		wrong = check_header(p->h, (u64)st.st_size);
		need = p->h->pages_at;
	} while (!wrong && need > room);
	if (!wrong && prepared_sum(p->tables + from, p->h->pages_at - from) != p->h->sum)
		wrong = "a checksum of its header differs";
	if (!wrong && key && memcmp(key, p->h->key, sizeof(p->h->key)) != 0)
		wrong = "it is another kernel's";
	if (!wrong)
		wrong = check_runs(p->h, p->runs);
	if (!wrong)
		wrong = check_sections(p->h);
	return wrong ? prepared_damaged(k, wrong, e) : 0;
}

static int adopt_tables(struct kernel *k, const struct prepared *p, struct err *e)
{
	const struct prepared_header *h = p->h;
	const u8 *list = (const u8 *)(p->runs + h->n_runs);

	k->bzimage = true;
	k->file = p->tables + PREPARED_PAGE;
	k->file_len = PREPARED_PAGE;
	k->image_len = h->span;
	k->layout = (struct kernel_layout){
		.pref_phys = h->pref_phys,
		.span = h->span,
		.init_size = h->init_size,
		.align = h->align,
		.link_text = h->link_text,
		.entry = h->entry,
		.image_limit = KERNEL_IMAGE_SIZE,
		.relocatable = true,
	};
	k->segments[0] = (struct segment){ 0, h->span, h->pref_phys, h->span };
	k->n_segments = 1;
	for (unsigned i = 0; i < KERNEL_RELOCS; i++) {
		k->relocs[i] = list;
		k->n_relocs[i] = h->n_relocs[i];
		list += 4 * h->n_relocs[i];
	}
	memcpy(k->release, h->release, sizeof(k->release));
	return relocs_fit(k) ? 0 : prepared_damaged(k, "a relocation outside the image", e);
}

int prepared_load(struct kernel *k, int fd, unsigned uid, const u8 *key, struct err *e)
{
	int ret;

	k->prepared = calloc(1, sizeof(*k->prepared));
	if (!k->prepared) {
		close(fd);
		return err_set(e, -ENOMEM, "%s: out of memory", k->path);
	}
	k->prepared->fd = fd;
	ret = read_tables(k, k->prepared, uid, key, e);
	return ret ? ret : adopt_tables(k, k->prepared, e);
}

int prepared_take_file(struct kernel *k)
{
	int fd = k->prepared ? k->prepared->fd : -1;

	if (fd >= 0)
		k->prepared->fd = -1;
	return fd;
}

void prepared_free(struct kernel *k)
{
	struct prepared *p = k->prepared;

	if (!p)
		return;
	if (p->fd >= 0)
		close(p->fd);
	if (p->tables)
		munmap(p->tables, p->tables_len);
	free(p);
	k->prepared = NULL;
	/* The file's first bytes and the relocation lists were pointers into the tables. */
	k->file = NULL;
	k->file_len = 0;
	memset(k->relocs, 0, sizeof(k->relocs));
	memset(k->n_relocs, 0, sizeof(k->n_relocs));
}

int prepared_unpack(struct kernel *k, struct err *e)
{
	u8 *buf = mmap(NULL, k->image_len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	int ret;

	if (buf == MAP_FAILED)
		return err_set(e, -ENOMEM, "%s: out of memory", k->path);
	madvise(buf, k->image_len, MADV_HUGEPAGE);
	ret = prepared_read(k, buf, false, e);
	if (ret) {
		munmap(buf, k->image_len);
		return ret;
	}
	k->image = k->unpacked = buf;
	return 0;
}

int prepared_verify(struct kernel *k, struct err *e)
{
	int ret = k->image ? 0 : prepared_unpack(k, e);

	if (ret || k->loaded)
		return ret;
	ret = prepared_symbols_load(k, e);
	if (!ret)
		prepared_symbols_free(k);
	return ret == -ENOENT ? 0 : ret;
}

void prepared_sections(const struct kernel *k, struct sections *s)
{
	struct section *to = (struct section *)(void *)s;

	for (size_t i = 0; i < PREPARED_SECTIONS; i++) {
		const struct prepared_section *from = &k->prepared->h->sections[i];

		to[i].addr = from->addr;
		to[i].size = from->size;
		to[i].data = from->offset == PREPARED_NONE ? NULL : k->image + from->offset;
	}
}
