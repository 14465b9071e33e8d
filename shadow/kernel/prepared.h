/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes and opens prepared kernels: all that a start needs of a bzImage, in a file from which it is
 * read straight into guest memory. kernel_open() decompresses some 50 MB and copies 46; this reads
 * 31 at once.
 *
 * The file holds the image as it lies in memory, without its zero pages and not relocated (each
 * start has its own shift), with the relocation lists, where the sections of symbols are, and the
 * bzImage's first page for its boot header:
 *
 *	0	struct prepared_header (prepared_int.h)
 *	4096	the bzImage's first 4096 bytes
 *	8192	runs of pages that are not zero, then the relocation lists
 *	at	the runs' bytes, from a multiple of 4096
 *	at	the symbols, from a multiple of 4096: what kernel_load_symbols() finds, as tables
 *
 * The symbols are mapped and not read: all VMMs with sessions share their pages, and a start does
 * without 40 ms and 50 MB. So a VMM ends by SIGBUS if somebody makes the file shorter while it
 * runs; only its owner could, and no vmm does: a file is written whole and gets its name then.
 *
 * These checks are made before it is used. The file is a cache of its owner's: it must be a
 * regular file that belongs to this process's user and that nobody else can write. Only that user
 * or root could forge one, and they could as well change vmm itself; so its checksums (XXH3) guard
 * against damage, not against forgery. Header, lists and layout are summed before anything of them
 * is believed; each run is summed after it was read, in the memory in which it is used, so that
 * nothing can change between the check and the use. All numbers are bounded nevertheless: a file
 * that a defect of ours wrote must not make us write outside the guest. The name under which a
 * file is found is a collision-resistant hash of the bzImage and stands in the file too
 * (vmm/boot/kernel_cache.h).
 */
#ifndef UMBRA_SHADOW_KERNEL_PREPARED_H
#define UMBRA_SHADOW_KERNEL_PREPARED_H

#include "base/err.h"
#include "base/types.h"

struct kernel;

#define PREPARED_KEY 32

/* Computes the key of a file: BLAKE2b-256 of its @len bytes. 25 ms for 14 MB. -EINVAL. */
int prepared_key(const void *bzimage, size_t len, u8 key[PREPARED_KEY]);

/*
 * Writes @k, opened from a bzImage and not trimmed, to @fd, an empty file; loads its symbols, and
 * leaves them out if it has none. -EINVAL: cannot be prepared (not a bzImage, opaque, or not
 * relocatable); -errno of write().
 */
int prepared_write(struct kernel *k, const u8 key[PREPARED_KEY], int fd);

/*
 * Makes a kernel from the prepared file @fd, which belongs to it from now on, also if this fails.
 * @path is the bzImage that it stands for; kernel_reread() goes back to that, by the descriptor of
 * kernel_set_source(). @key: the key that it must have, or NULL. The file must belong to @uid.
 * kernel_file() has the first 4096 bytes only. -EBADMSG: damaged, not @uid's or of another version;
 * -errno of read().
 */
int prepared_open(struct kernel **out, const char *path, int fd, unsigned uid, const u8 *key,
		  struct err *e);
/*
 * Gives the file of a kernel that was prepared and is placed to the caller, to be closed: nothing
 * more is read from it. -1: it has none.
 */
int prepared_take_file(struct kernel *k);

/* Reads all of it and compares the checksums. -EBADMSG. */
int prepared_verify(struct kernel *k, struct err *e);

#endif
