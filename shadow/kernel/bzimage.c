// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a bzImage: checks its boot header (Documentation/arch/x86/boot.rst), and has the payload
 * decompressed.
 */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "base/little_endian.h"
#include "shadow/kernel/kernel_int.h"
#include "shadow/kernel/payload.h"

/* Offsets in the file: struct setup_header. */
#define HDR_SETUP_SECTS	   0x1f1
#define HDR_SYSSIZE	   0x1f4
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
/* Offsets in the PE header, from its start. */
#define PE_OFFSET      0x3c /* in the file: where it starts */
#define PE_OPTIONAL    24
#define PE_64BIT       0x20b
#define PE_DIRECTORIES (PE_OPTIONAL + 108) /* their number */
#define PE_SECURITY    (PE_OPTIONAL + 112 + 4 * 8)
#define SECTOR	       512u
#define VERSION_64BIT  0x20c /* first protocol with xloadflags */
#define XLF_KERNEL_64  1u

bool kernel_looks_like_bzimage(const u8 *d, size_t len)
{
	return len >= BZIMAGE_HEADER && load_u16(d + HDR_BOOT_FLAG) == 0xaa55 &&
	       !memcmp(d + HDR_MAGIC, "HdrS", 4);
}

/*
 * Copies the release: kernel_version points at "6.1.0-56-amd64 (builder@host) #1 SMP ..." within
 * the setup sectors.
 */
static void header_release(struct kernel *k, size_t setup_len)
{
	size_t at = (size_t)load_u16(k->file + HDR_KERNEL_VERSION) + 0x200, n = 0;

	if (at == 0x200)
		return;
	while (at + n < setup_len && isgraph(k->file[at + n]) && n + 1 < sizeof(k->release))
		n++;
	/*
	 * A text cut off by the end of the setup sectors, or too long for k->release, is no
	 * release.
	 */
	if (at + n >= setup_len || n + 1 == sizeof(k->release))
		return;
	memcpy(k->release, k->file + at, n);
	k->release[n] = '\0';
}

static int bzimage_check_header(const struct kernel *k, size_t *setup_len, struct err *e)
{
	const u8 *d = k->file;
	unsigned sects = d[HDR_SETUP_SECTS] ? d[HDR_SETUP_SECTS] : 4;
	unsigned version = load_u16(d + HDR_VERSION);
	u32 align = load_u32(d + HDR_ALIGNMENT), init = load_u32(d + HDR_INIT_SIZE);

	if (version < VERSION_64BIT)
		return err_set(e, -EINVAL, "%s: boot protocol %u.%02u is too old (2.12 is needed)",
			       k->path, version >> 8, version & 0xff);
	if (!(load_u16(d + HDR_XLOADFLAGS) & XLF_KERNEL_64))
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

/*
 * Fills in the layout of an image that only its own decompressor can read, as far as it is known
 * without the ELF file.
 */
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

/*
 * Returns how long the file says that it is: its code, in paragraphs of 16 bytes, and behind that
 * the signature of a PE file for UEFI, by the entry of its data directory.
 */
static u64 whole_len(const struct kernel *k, size_t setup_len)
{
	const u8 *d = k->file;
	u64 len = setup_len + (u64)load_u32(d + HDR_SYSSIZE) * 16, signed_len;
	u32 pe = load_u32(d + PE_OFFSET), directory;

	if (load_u16(d) != 0x5a4d || pe > setup_len || setup_len - pe < PE_SECURITY + 8 ||
	    memcmp(d + pe, "PE\0\0", 4) != 0 || load_u16(d + pe + PE_OPTIONAL) != PE_64BIT ||
	    load_u32(d + pe + PE_DIRECTORIES) <= 4)
		return len;
	directory = pe + PE_SECURITY;
	signed_len = (u64)load_u32(d + directory) + load_u32(d + directory + 4);
	return signed_len > len ? signed_len : len;
}

int bzimage_open(struct kernel *k, bool allow_opaque, struct err *e)
{
	const u8 *d = k->file;
	struct payload p = { 0 };
	u64 at, len;
	size_t setup_len = 0;
	int ret;

	ret = bzimage_check_header(k, &setup_len, e);
	if (ret)
		return ret;
	k->bzimage = true;
	k->layout.init_size = load_u32(d + HDR_INIT_SIZE);
	k->layout.align = load_u32(d + HDR_ALIGNMENT);
	header_release(k, setup_len);

	at = whole_len(k, setup_len);
	if (at > k->file_len)
		return err_set(
			e, -EINVAL,
			"%s: truncated (%zu bytes, its header says %llu bytes): copy it again",
			k->path, k->file_len, (unsigned long long)at);
	at = setup_len + (u64)load_u32(d + HDR_PAYLOAD_OFFSET);
	len = load_u32(d + HDR_PAYLOAD_LENGTH);
	if (at >= k->file_len || len > k->file_len - at)
		return err_set(
			e, -EINVAL,
			"%s: truncated (the payload is %llu bytes at %#llx, the file has %zu)",
			k->path, (unsigned long long)len, (unsigned long long)at, k->file_len);
	/* The kernel decompresses within its init_size, so a larger payload cannot be honest. */
	ret = payload_unpack(&p, d + at, len, k->layout.init_size, e);
	if (ret == -EOPNOTSUPP && allow_opaque) {
		opaque_layout(k, p.format);
		return 0;
	}
	if (ret)
		return err_prefix(e, ret, "%s", k->path);
	k->image = k->unpacked = p.data;
	k->image_len = p.len;
	return 0;
}

bool bzimage_relocatable(const struct kernel *k)
{
	return k->file[HDR_RELOCATABLE];
}
