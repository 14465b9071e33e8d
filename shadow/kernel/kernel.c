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
	exports_free(&k->exports);
	kallsyms_free(&k->syms);
	types_free(&k->types);
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

void kernel_trim(struct kernel *k)
{
	u64 page = (u64)sysconf(_SC_PAGESIZE);
	u8 *start = k->unpacked, *end, *keep, *keep_end;

	prepared_free(k);
	if (!start)
		return; /* an ELF file is its own image */
	free(k->file);
	k->file = NULL;
	k->file_len = 0;
	end = start + k->image_len / page * page;
	keep = keep_end = end;
	/* names of exports point into the image */
	if (k->loaded && k->sec.strings.data) {
		u64 from = (u64)(k->sec.strings.data - start);

		keep = start + from / page * page;
		keep_end = start + ALIGN_UP(from + k->sec.strings.size, page);
		if (keep_end > end)
			keep_end = end;
	}
	madvise(start, (size_t)(keep - start), MADV_DONTNEED);
	if (keep_end < end)
		madvise(keep_end, (size_t)(end - keep_end), MADV_DONTNEED);
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
