// SPDX-License-Identifier: GPL-2.0-only
/* Knows the magic numbers of image formats, and where partition tables say that they end. */
#include "devices/blk_format.h"

#include <string.h>

#include "base/little_endian.h"

#define SECTOR	       512U
#define MBR_ENTRIES    446U
#define MBR_SIGNATURE  510U
#define MBR_PROTECTIVE 0xeeU /* in front of a GPT */
#define GPT_ALTERNATE  32U   /* offset of the other header's sector, the last one of the disk */

const char *blk_format_name(const u8 *head, size_t len)
{
	static const struct {
		const char *name;
		unsigned at, len;
		const char *magic;
	} formats[] = {
		/* QEMU has a driver of its own for version 1. */
		{ "qcow", 0, 8, "QFI\xfb\0\0\0\1" },
		{ "qcow2", 0, 4, "QFI\xfb" },
		{ "qed", 0, 4, "QED\0" },
		{ "vmdk", 0, 4, "KDMV" },
		{ "vmdk", 0, 4, "COWD" },
		{ "vmdk", 0, 21, "# Disk DescriptorFile" },
		{ "vdi", 64, 4, "\x7f\x10\xda\xbe" },
		{ "vhdx", 0, 8, "vhdxfile" },
		{ "vpc", 0, 8, "conectix" },
		{ "parallels", 0, 16, "WithoutFreeSpace" },
		{ "parallels", 0, 16, "WithouFreSpacExt" },
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (formats[i].at + formats[i].len <= len &&
		    !memcmp(head + formats[i].at, formats[i].magic, formats[i].len))
			return formats[i].name;
	return NULL;
}

/* Returns the sector behind the last partition of an MBR; 0: it is no MBR, or has no partition. */
static u64 mbr_end(const u8 *head)
{
	u64 end = 0;

	if (head[MBR_SIGNATURE] != 0x55 || head[MBR_SIGNATURE + 1] != 0xaa)
		return 0;
	for (unsigned i = 0; i < 4; i++) {
		const u8 *entry = head + MBR_ENTRIES + (size_t)16 * i;
		u64 last = (u64)load_u32(entry + 8) + load_u32(entry + 12);

		/* A boot sector without a table has code here. */
		if (entry[0] & 0x7f)
			return 0;
		if (entry[4] && entry[4] != MBR_PROTECTIVE && last > end)
			end = last;
	}
	return end;
}

u64 blk_format_reach(const u8 *head, size_t len, u64 sectors)
{
	u64 end = len >= SECTOR ? mbr_end(head) : 0;

	if (len >= SECTOR + GPT_ALTERNATE + 8 && !memcmp(head + SECTOR, "EFI PART", 8)) {
		u64 last = load_u64(head + SECTOR + GPT_ALTERNATE);

		if (last < UINT64_MAX && last >= end)
			end = last + 1;
	}
	return end > sectors ? end : 0;
}
