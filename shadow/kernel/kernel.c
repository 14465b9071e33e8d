// SPDX-License-Identifier: GPL-2.0-only
/* Answers questions about an open kernel, places its image in a guest's memory, and closes it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "shadow/kernel/kernel_int.h"
#include "shadow/kernel/payload.h"

void kernel_forget_symbols(struct kernel *k)
{
	prepared_symbols_free(k);
	memset(&k->sec, 0, sizeof(k->sec));
}

void kernel_close(struct kernel *k)
{
	if (!k)
		return;
	kernel_forget_symbols(k);
	prepared_free(k);
	payload_free(k->unpacked, k->image_len);
	free(k->file);
	free(k->path);
	free(k);
}

bool kernel_is_bzimage(const struct kernel *k)
{
	return k->bzimage;
}

/* Gives back the pages of [@from, @to) of an image that has @len bytes. */
static void pages_give_back(u8 *image, u64 from, u64 to, size_t len)
{
	const u64 page = (u64)sysconf(_SC_PAGESIZE);

	from = ALIGN_UP(from, page);
	to = (to < len ? to : len) / page * page;
	if (from < to)
		madvise(image + from, to - from, MADV_DONTNEED);
}

void kernel_trim(struct kernel *k)
{
	/* names of exports, and types, point into the image */
	const bool strings_first = k->sec.strings.data < k->sec.btf.data;
	const struct section *keep[] = { strings_first ? &k->sec.strings : &k->sec.btf,
					 strings_first ? &k->sec.btf : &k->sec.strings };
	u8 *start = k->unpacked;
	u64 from = 0;

	prepared_free(k);
	if (!start)
		return; /* an ELF file is its own image */
	free(k->file);
	k->file = NULL;
	k->file_len = 0;
	for (size_t i = 0; i < ARRAY_SIZE(keep); i++) {
		if (!k->loaded || !keep[i]->data)
			continue;
		pages_give_back(start, from, (u64)(keep[i]->data - start), k->image_len);
		from = (u64)(keep[i]->data - start) + keep[i]->size;
	}
	pages_give_back(start, from, k->image_len, k->image_len);
	k->image = NULL;
}

bool kernel_payload_opaque(const struct kernel *k)
{
	return k->opaque;
}

const u8 *kernel_file(const struct kernel *k, size_t *len)
{
	*len = k->file_len;
	return k->file;
}

const char *kernel_path(const struct kernel *k)
{
	return k->path;
}

const char *kernel_release(const struct kernel *k)
{
	return k->release[0] ? k->release : NULL;
}

const char *kernel_vermagic(const struct kernel *k)
{
	return k->vermagic[0] ? k->vermagic : NULL;
}

const struct kernel_layout *kernel_layout(const struct kernel *k)
{
	return &k->layout;
}

int kernel_place(const struct kernel *k, void *dst, size_t len, u64 kaslr, struct err *e)
{
	const struct kernel_layout *l = &k->layout;

	if (k->opaque)
		return err_set(e, -EOPNOTSUPP, "%s: cannot be placed: %s", k->path,
			       l->no_reloc_reason);
	if (!k->image && !k->prepared)
		return err_set(e, -EINVAL, "%s: was placed before and its image given back",
			       k->path);
	if (len < l->span)
		return err_set(e, -ENOMEM, "%s: needs %#llx bytes of memory, there are %#zx",
			       k->path, (unsigned long long)l->span, len);
	if (kaslr && !l->relocatable)
		return err_set(e, -EINVAL, "%s: cannot be moved: %s", k->path, l->no_reloc_reason);
	if (kaslr & (l->align - 1) || kaslr >= l->image_limit ||
	    l->link_text - KERNEL_MAP + l->init_size > l->image_limit - kaslr)
		if (kaslr)
			return err_set(e, -EINVAL, "%s: a shift of %#llx is not possible", k->path,
				       (unsigned long long)kaslr);
	if (!k->image) {
		int ret = prepared_read(k, dst, true, e);

		if (ret) {
			memset(dst, 0, l->span);
			return ret;
		}
	}
	for (unsigned i = 0; i < k->n_segments && k->image; i++) {
		const struct segment *s = &k->segments[i];
		u8 *at = (u8 *)dst + (s->paddr - l->pref_phys);

		memcpy(at, k->image + s->offset, s->filesz);
		memset(at + s->filesz, 0, s->memsz - s->filesz);
	}
	if (kaslr)
		relocs_apply(k, dst, kaslr);
	return 0;
}

void kernel_text(const struct kernel *k, u64 *start, u64 *end)
{
	*start = k->text_start;
	*end = k->text_end;
}

u64 kernel_percpu_size(const struct kernel *k)
{
	return k->sec.percpu.size;
}
