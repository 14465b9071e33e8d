/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Recognizes by its first sectors a file that is no raw image, or whose tail is missing.
 *
 * Nothing else is taken from these sectors, which the guest wrote.
 */
#ifndef UMBRA_DEVICES_BLK_FORMAT_H
#define UMBRA_DEVICES_BLK_FORMAT_H

#include "base/types.h"

#define BLK_FORMAT_HEAD 1024U /* bytes that are looked at */

/*
 * Returns the format of a file that begins with the @len bytes @head, by the name that
 * qemu-storage-daemon's driver= has for it; NULL: none that is known, so it is raw.
 */
const char *blk_format_name(const u8 *head, size_t len);

/*
 * Returns how many sectors the disk must have by the partition table in @head, MBR or GPT, if these
 * are more than @sectors; else 0.
 */
u64 blk_format_reach(const u8 *head, size_t len, u64 sectors);

#endif
