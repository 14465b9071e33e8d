// SPDX-License-Identifier: GPL-2.0-only
/*
 * Opening a kernel: the file, the bzImage header (Documentation/arch/x86/boot.rst), the payload.
 */
#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "shadow/kernel/kernel_int.h"
#include "shadow/kernel/payload.h"

/* A distribution's vmlinux with debug information is some 500 MB. */
#define FILE_MAX_SIZE ((size_t)2 << 30)

/* Offsets in the file: struct setup_header. */
#define HDR_SETUP_SECTS	   0x1f1
#define HDR_BOOT_FLAG	   0x1fe
#define HDR_MAGIC	   0x202
#define HDR_VERSION	   0x206
#define HDR_KERNEL_VERSION 0x20e
#define HDR_ALIGNMENT	   0x230
#define HDR_RELOCATABLE	   0x234
#define HDR_XLOADFLAGS	   0x236
#define HDR_PAYLOAD_OFFSET 0x248
#define HDR_PAYLOAD_LENGTH 0x24c
#define HDR_PREF_ADDRESS   0x258
#define HDR_INIT_SIZE	   0x260
#define HDR_END		   0x264
#define SECTOR		   512u
#define VERSION_64BIT	   0x20c /* first protocol with xloadflags */
#define XLF_KERNEL_64	   1u

static u16 get_u16(const u8 *p)
{
	return (u16)(p[0] | p[1] << 8);
}

bool kernel_looks_like_bzimage(const u8 *d, size_t len)
{
	return len >= HDR_END && get_u16(d + HDR_BOOT_FLAG) == 0xaa55 &&
	       !memcmp(d + HDR_MAGIC, "HdrS", 4);
}

/* kernel_version points at "6.1.0-56-amd64 (builder@host) #1 SMP ..." within the setup sectors. */
static void header_release(struct kernel *k, size_t setup_len)
{
	size_t at = (size_t)get_u16(k->file + HDR_KERNEL_VERSION) + 0x200, n = 0;

	if (at == 0x200)
		return;
	while (at + n < setup_len && isgraph(k->file[at + n]) && n + 1 < sizeof(k->release))
		n++;
	/* Cut off by the end of the setup sectors or of our buffer: not a release then. */
	if (at + n >= setup_len || n + 1 == sizeof(k->release))
		return;
	memcpy(k->release, k->file + at, n);
	k->release[n] = '\0';
}

static int check_header(const struct kernel *k, size_t *setup_len, struct err *e)
{
	const u8 *d = k->file;
	unsigned sects = d[HDR_SETUP_SECTS] ? d[HDR_SETUP_SECTS] : 4;
	unsigned version = get_u16(d + HDR_VERSION);
	u32 align = load_u32(d + HDR_ALIGNMENT), init = load_u32(d + HDR_INIT_SIZE);

	if (version < VERSION_64BIT)
		return err_set(e, -EINVAL, "%s: boot protocol %u.%02u is too old (2.12 is needed)",
			       k->path, version >> 8, version & 0xff);
	if (!(get_u16(d + HDR_XLOADFLAGS) & XLF_KERNEL_64))
		return err_set(e, -EINVAL, "%s: a 32-bit x86 kernel; only x86-64 kernels run here",
			       k->path);
	*setup_len = (sects + 1) * SECTOR;
	if (*setup_len >= k->file_len)
		return err_set(e, -EINVAL,
			       "%s: truncated (%zu bytes, the setup code alone has %zu)", k->path,
			       k->file_len, *setup_len);
	if (align < 4096 || align > KERNEL_IMAGE_SIZE || (align & (align - 1)))
		return err_set(e, -EINVAL, "%s: damaged header (kernel_alignment is %#x)", k->path,
			       align);
	if (init < 4096 || init > KERNEL_IMAGE_SIZE)
		return err_set(e, -EINVAL, "%s: damaged header (init_size is %#x)", k->path, init);
	if (load_u64(d + HDR_PREF_ADDRESS) > (u64)1 << 40)
		return err_set(e, -EINVAL, "%s: damaged header (pref_address is %#llx)", k->path,
			       (unsigned long long)load_u64(d + HDR_PREF_ADDRESS));
	return 0;
}

/* An image that only its own decompressor can read: what is known without its ELF file. */
static void opaque_layout(struct kernel *k, const char *format)
{
	struct kernel_layout *l = &k->layout;

	k->opaque = true;
	l->pref_phys = load_u64(k->file + HDR_PREF_ADDRESS);
	l->span = l->init_size;
	l->entry = l->pref_phys + 0x200;
	l->no_reloc_reason =
		format ? "its payload is compressed in a format that is not decoded here"
		       : "its payload is in an unknown format";
}

static int open_bzimage(struct kernel *k, bool allow_opaque, struct err *e)
{
	const u8 *d = k->file;
	const char *format;
	u64 at, len;
	size_t setup_len = 0;
	int ret;

	ret = check_header(k, &setup_len, e);
	if (ret)
		return ret;
	k->bzimage = true;
	k->layout.init_size = load_u32(d + HDR_INIT_SIZE);
	k->layout.align = load_u32(d + HDR_ALIGNMENT);
	header_release(k, setup_len);

	at = setup_len + (u64)load_u32(d + HDR_PAYLOAD_OFFSET);
	len = load_u32(d + HDR_PAYLOAD_LENGTH);
	if (at >= k->file_len || len > k->file_len - at)
		return err_set(
			e, -EINVAL,
			"%s: truncated (the payload is %llu bytes at %#llx, the file has %zu)",
			k->path, (unsigned long long)len, (unsigned long long)at, k->file_len);
	/* The kernel decompresses within its init_size, so a larger payload cannot be honest. */
	ret = payload_unpack(d + at, len, k->layout.init_size, &k->unpacked, &k->image_len, &format,
			     e);
	if (ret == -EOPNOTSUPP && allow_opaque) {
		opaque_layout(k, format);
		return 0;
	}
	if (ret)
		return err_prefix(e, ret, "%s", k->path);
	k->image = k->unpacked;
	return 0;
}

static int open_image(struct kernel *k, struct err *e)
{
	const u8 *d = k->file;
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
	if (k->bzimage && !d[HDR_RELOCATABLE]) {
		k->layout.relocatable = false;
		k->layout.no_reloc_reason = "its header says that it is not relocatable";
	}
	if (!k->release[0])
		vmlinux_release(k);
	return 0;
}

static int parse(struct kernel *k, bool allow_opaque, struct err *e)
{
	int ret;

	if (kernel_looks_like_bzimage(k->file, k->file_len)) {
		ret = open_bzimage(k, allow_opaque, e);
		if (ret || k->opaque)
			return ret;
		return open_image(k, e);
	}
	if (k->file_len >= SELFMAG && !memcmp(k->file, ELFMAG, SELFMAG)) {
		k->image = k->file;
		k->image_len = k->file_len;
		return open_image(k, e);
	}
	if (k->file_len >= 0x3c && !memcmp(k->file + 0x38, "ARM\x64", 4))
		return err_set(e, -EINVAL, "%s: a kernel for 64-bit ARM; only x86-64 runs here",
			       k->path);
	if (k->file_len < HDR_END)
		return err_set(e, -EINVAL, "%s: not a kernel, or truncated (%zu bytes)", k->path,
			       k->file_len);
	return err_set(
		e, -EINVAL,
		"%s: not a kernel (neither a bzImage, such as /boot/vmlinuz-*, nor an ELF vmlinux)",
		k->path);
}

static int open_owned(struct kernel **out, const char *label, u8 *file, size_t len,
		      bool allow_opaque, struct err *e)
{
	struct kernel *k = calloc(1, sizeof(*k));
	int ret;

	if (!k) {
		free(file);
		return err_set(e, -ENOMEM, "%s: out of memory", label);
	}
	k->file = file;
	k->file_len = len;
	k->path = strdup(label);
	ret = k->path ? parse(k, allow_opaque, e) : err_set(e, -ENOMEM, "%s: out of memory", label);
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
	return open_owned(out, path, file, len, allow_opaque, e);
}

int kernel_open_fd(struct kernel **out, int fd, const char *path, bool allow_opaque, struct err *e)
{
	size_t len;
	u8 *file;
	int ret;

	ret = file_read_fd(fd, path, FILE_MAX_SIZE, &file, &len, e);
	if (ret)
		return ret;
	return open_owned(out, path, file, len, allow_opaque, e);
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
	return open_owned(out, label, copy, len, allow_opaque, e);
}

static bool same_layout(const struct kernel_layout *a, const struct kernel_layout *b)
{
	return a->pref_phys == b->pref_phys && a->span == b->span && a->init_size == b->init_size &&
	       a->align == b->align && a->link_text == b->link_text && a->entry == b->entry &&
	       a->relocatable == b->relocatable;
}

int kernel_reread(struct kernel *k, struct err *e)
{
	struct kernel *n = NULL;
	int ret = kernel_open(&n, k->path, false, e);

	if (!n)
		return ret;
	if (!same_layout(&k->layout, &n->layout) || strcmp(k->release, n->release) != 0) {
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

static void forget_symbols(struct kernel *k)
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
	forget_symbols(k);
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

int kernel_load_symbols(struct kernel *k, struct err *e)
{
	u64 addr, text;
	int ret;

	if (k->loaded)
		return 0;
	forget_symbols(k); /* of an attempt that failed */
	if (k->prepared && !k->image && prepared_unpack(k, e)) {
		ret = kernel_reread(k, e);
		if (ret)
			return ret;
	}
	if (k->opaque || !k->image)
		return err_set(e, -ENOENT, "%s: its symbols cannot be read: %s", k->path,
			       k->opaque ? k->layout.no_reloc_reason : "its image was given back");
	if (k->prepared) {
		prepared_sections(k, &k->sec);
	} else {
		ret = vmlinux_sections(k, &k->sec, e);
		if (ret)
			return ret;
	}
	if (!k->sec.text.data || !k->sec.rodata.data)
		return err_set(e, -ENOENT,
			       "%s: has no section headers, so its symbols cannot be found",
			       k->path);
	text = k->layout.link_text;
	ret = kallsyms_load(&k->syms, &k->sec.rodata, text, k->path, e);
	if (ret)
		return ret;
	k->text_start = text;
	k->text_end = kernel_symbol(k, "_etext");
	if (k->sec.text.addr != text || k->text_end <= text ||
	    k->text_end - text > k->sec.text.size)
		return err_set(e, -EINVAL, "%s: .text and the symbols _text and _etext disagree",
			       k->path);
	if (!k->sec.strings.data || !(k->sec.ksymtab[0].data || k->sec.ksymtab[1].data))
		return err_set(e, -ENOENT,
			       "%s: has no table of exported symbols (CONFIG_MODULES is off?)",
			       k->path);
	if (!k->sec.btf.data)
		return err_set(
			e, -ENOENT,
			"%s: has no BTF type information; sessions need a kernel with CONFIG_DEBUG_INFO_BTF=y",
			k->path);
	ret = types_load(&k->types, &k->sec.btf, k->path, e);
	if (ret)
		return ret;
	ret = exports_load(k, e);
	if (ret)
		return ret;
	/* static const char vermagic[] of kernel/module; absent without CONFIG_KALLSYMS_ALL. */
	addr = kernel_symbol(k, "vermagic");
	if (addr >= k->sec.rodata.addr && addr - k->sec.rodata.addr < k->sec.rodata.size) {
		u64 left = k->sec.rodata.size - (addr - k->sec.rodata.addr);
		const char *s = (const char *)k->sec.rodata.data + (addr - k->sec.rodata.addr);
		size_t n = strnlen(s, left);

		if (n < left && n < sizeof(k->vermagic))
			memcpy(k->vermagic, s, n);
	}
	k->loaded = true;
	return 0;
}

void kernel_text(const struct kernel *k, u64 *start, u64 *end)
{
	*start = k->text_start;
	*end = k->text_end;
}
