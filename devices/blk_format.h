/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an image's first sectors say about the file: that it is no raw image at all, or that its tail is
 * missing. Nothing else of them is read, and nothing that they say is used.
 */
#ifndef UMBRA_DEVICES_BLK_FORMAT_H
#define UMBRA_DEVICES_BLK_FORMAT_H

#include "base/types.h"

#define BLK_FORMAT_HEAD 1024U /* bytes that are looked at */

/*
 * The format that a file with the first @len bytes @head has, as qemu-storage-daemon's driver= names it;
 * NULL: none that is known, so it is raw.
 */
const char *blk_format_name(const u8 *head, size_t len);

/*
 * A partition table at @head that reaches behind @sectors: the first sector that is missing at its end,
 * or 0. MBR and GPT.
 */
u64 blk_format_reach(const u8 *head, size_t len, u64 sectors);

#endif
