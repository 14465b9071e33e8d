// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opens a kernel: reads the file whole, finds out its kind, and makes the struct kernel that stands
 * for it.
 */
#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "shadow/kernel/kernel_int.h"
#include "shadow/kernel/payload.h"
#include "shadow/kernel/prepared.h"

/* A distribution's vmlinux with debug information is some 500 MB. */
#define FILE_MAX_SIZE ((size_t)2 << 30)

static int image_open(struct kernel *k, struct err *e)
{
	size_t elf_end = 0;
	int ret;

	ret = elf_check(k->image, k->image_len, ET_EXEC, "a Linux kernel (vmlinux)", k->path, e);
	if (ret)
		return ret;
	ret = vmlinux_parse(k, &elf_end, e);
	if (ret)
		return ret;
	if (k->bzimage && k->layout.init_size < k->layout.span)
		return err_set(e, -EINVAL,
			       "%s: damaged (its segments need %#llx bytes, init_size is %#llx)",
			       k->path, (unsigned long long)k->layout.span,
			       (unsigned long long)k->layout.init_size);
	relocs_parse(k, elf_end);
	if (k->bzimage && !bzimage_relocatable(k)) {
		k->layout.relocatable = false;
		k->layout.no_reloc_reason = "its header says that it is not relocatable";
	}
	if (!k->release[0])
		vmlinux_release(k);
	return 0;
}

static int kernel_file_parse(struct kernel *k, bool allow_opaque, struct err *e)
{
	int ret;

	if (kernel_looks_like_bzimage(k->file, k->file_len)) {
		ret = bzimage_open(k, allow_opaque, e);
		if (ret || k->opaque)
			return ret;
		return image_open(k, e);
	}
	if (k->file_len >= SELFMAG && !memcmp(k->file, ELFMAG, SELFMAG)) {
		k->image = k->file;
		k->image_len = k->file_len;
		return image_open(k, e);
	}
	if (k->file_len >= 0x3c && !memcmp(k->file + 0x38, "ARM\x64", 4))
		return err_set(e, -EINVAL, "%s: a kernel for 64-bit ARM; only x86-64 runs here",
			       k->path);
	if (k->file_len < BZIMAGE_HEADER)
		return err_set(e, -EINVAL, "%s: not a kernel, or truncated (%zu bytes)", k->path,
			       k->file_len);
	return err_set(
		e, -EINVAL,
		"%s: not a kernel (neither a bzImage, such as /boot/vmlinuz-*, nor an ELF vmlinux)",
		k->path);
}

static int kernel_open_owned(struct kernel **out, const char *label, u8 *file, size_t len,
			     bool allow_opaque, struct err *e)
{
	struct kernel *k = calloc(1, sizeof(*k));
	int ret;

	if (!k) {
		free(file);
		return err_set(e, -ENOMEM, "%s: out of memory", label);
	}
	k->source = -1;
	k->file = file;
	k->file_len = len;
	k->path = strdup(label);
	ret = k->path ? kernel_file_parse(k, allow_opaque, e)
		      : err_set(e, -ENOMEM, "%s: out of memory", label);
	if (ret) {
		kernel_close(k);
		return ret;
	}
	*out = k;
	return 0;
}

int kernel_open(struct kernel **out, const char *path, bool allow_opaque, struct err *e)
{
	size_t len;
	u8 *file;
	int ret;

	ret = file_read(path, FILE_MAX_SIZE, &file, &len, e);
	if (ret)
		return ret;
	return kernel_open_owned(out, path, file, len, allow_opaque, e);
}

int kernel_open_fd(struct kernel **out, int fd, const char *path, bool allow_opaque, struct err *e)
{
	size_t len;
	u8 *file;
	int ret;

	ret = file_read_fd(fd, path, FILE_MAX_SIZE, &file, &len, e);
	if (ret)
		return ret;
	return kernel_open_owned(out, path, file, len, allow_opaque, e);
}

int kernel_parse(struct kernel **out, const char *label, const void *data, size_t len,
		 bool allow_opaque, struct err *e)
{
	u8 *copy;

	if (!len)
		return err_set(e, -EINVAL, "%s: the file is empty", label);
	copy = malloc(len);
	if (!copy)
		return err_set(e, -ENOMEM, "%s: out of memory", label);
	memcpy(copy, data, len);
	return kernel_open_owned(out, label, copy, len, allow_opaque, e);
}

static bool kernel_layouts_equal(const struct kernel_layout *a, const struct kernel_layout *b)
{
	return a->pref_phys == b->pref_phys && a->span == b->span && a->init_size == b->init_size &&
	       a->align == b->align && a->link_text == b->link_text && a->entry == b->entry &&
	       a->relocatable == b->relocatable;
}

void kernel_set_source(struct kernel *k, int fd)
{
	k->source = fd;
}

int kernel_reread(struct kernel *k, struct err *e)
{
	struct kernel *n = NULL;
	int ret = k->source >= 0 ? kernel_open_fd(&n, k->source, k->path, false, e)
				 : kernel_open(&n, k->path, false, e);

	if (!n)
		return ret;
	if (!kernel_layouts_equal(&k->layout, &n->layout) || strcmp(k->release, n->release) != 0) {
		kernel_close(n);
		return err_set(e, -ESTALE, "%s: has changed while it was opened; try again",
			       k->path);
	}
	prepared_free(k);
	payload_free(k->unpacked, k->image_len);
	k->file = n->file;
	k->file_len = n->file_len;
	k->image = n->image;
	k->image_len = n->image_len;
	k->unpacked = n->unpacked;
	memcpy(k->segments, n->segments, sizeof(k->segments));
	k->n_segments = n->n_segments;
	memcpy(k->relocs, n->relocs, sizeof(k->relocs));
	memcpy(k->n_relocs, n->n_relocs, sizeof(k->n_relocs));
	n->file = n->unpacked = NULL;
	kernel_close(n);
	return 0;
}

int prepared_open(struct kernel **out, const char *path, int fd, unsigned uid, const u8 *key,
		  struct err *e)
{
	struct kernel *k = calloc(1, sizeof(*k));
	int ret = -ENOMEM;

	if (k) {
		k->source = -1;
		k->path = strdup(path);
	}
	if (!k || !k->path) {
		close(fd);
		err_set(e, ret, "%s: out of memory", path);
		goto fail;
	}
	ret = prepared_load(k, fd, uid, key, e);
	if (ret)
		goto fail;
	*out = k;
	return 0;
fail:
	kernel_close(k);
	return ret;
}
