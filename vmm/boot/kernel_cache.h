/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Keeps kernels that were started before, prepared (shadow/kernel/prepared.h), in the user's cache
 * directory: $XDG_CACHE_HOME/umbra, else ~/.cache/umbra, for root /var/cache/umbra.
 *
 *	KEY.kernel	a prepared kernel; KEY is the hash of its bzImage (BLAKE2b-256)
 *	IDENTITY	a link to one: device, inode, size, mtime and ctime of the file that had
 *			that hash
 *	lock		held by the one process that changes the directory
 *
 * A start looks for IDENTITY, so that it need not read and hash a file of 14 MB to know that it is
 * the same as yesterday. That is as safe as reading it would be: a change of a file's bytes changes
 * its ctime, which cannot be set back, and a file that was changed within the last seconds before
 * it was read gets no link, since a clock's tick may hide the next change. Nor does a file get one
 * on a file system that is mounted read-only or whose times are not this kernel's doing: there two
 * builds of an image may agree in all of these numbers, and each start decompresses. Names in the
 * directory are believed only if it belongs to this user and nobody else can write it (and if root
 * was given its path by a variable, then no link leads there, and all above it is root's); the
 * content of the file behind a name is checked again. If the vmlinuz moved, or is another file with
 * the same bytes, its hash finds the prepared kernel, which gets one more link.
 *
 * Root's cache can have kernels for all users (kernel_cache_share(), `vmm prepare`), beside each
 * the bzImage that it was made of:
 *
 *	KEY.image	what the bzImage has, byte for byte
 *
 * Whoever finds nothing in the own cache looks there, and only reads: for the IDENTITY, then for an
 * image of the same size with the same bytes. Why bytes: libvirt gives a domain's kernel another
 * owner and remembers the old one in an attribute at each start, so that its ctime is never that of
 * a link. Hashing the 14 MB of a kernel packed by lz4 takes as long as decompressing them, reading
 * and comparing them a fraction of that. What is there for all users is believed if it is root's
 * and nobody else can write it, the directory as well as each file: nothing of what another user
 * could have prepared is looked at.
 *
 * Where anything is amiss (no directory, foreign rights, a damaged or old file, a full disk), the
 * kernel is opened as if there were no cache, and nothing is said. A kernel that is missing is
 * prepared by a process of its own at idle priority, begun before the VMM confines itself and ended
 * within the second: it needs rights that a VMM shall not keep. That process hashes the file's
 * bytes and looks at none of them; a child of it, confined before it does, parses them
 * (confine_parser()). As a child of the VMM's process namespace it may end with the guest; then the
 * supervisor does its work at the end. At most 8 kernels and 512 MiB stay; the oldest leave. Of the
 * links to one kernel the newest 4 stay, and one of each inode: a file that has changed, or that
 * another has replaced, is not looked for again.
 */
#ifndef UMBRA_VMM_BOOT_KERNEL_CACHE_H
#define UMBRA_VMM_BOOT_KERNEL_CACHE_H

#include "base/err.h"
#include "shadow/kernel/kernel.h"

/*
 * Finds the prepared form of the bzImage that @fd is open for, by the name @path; nothing of @fd is
 * read, and it must stay open as long as *out: kernel_set_source(). -ENOENT: there is none that is
 * of use; if it can be, a process has been started that prepares it. Before any thread exists.
 */
int kernel_cache_find(struct kernel **out, int fd, const char *path);

/*
 * Prepares @path, in some 0.1 s and without the standard streams, if the process that was to
 * prepare it has ended with a guest that was too short for it. To be called at the end of a guest,
 * outside of its process namespace. If it is prepared already, this costs a look at its file.
 */
void kernel_cache_complete(const char *path);

/*
 * Looks whose root's cache is, before this process enters a user namespace, in which all others'
 * files are nobody's: without it kernel_cache_find() does not believe them there. The next
 * kernel_cache_find() closes what this has opened.
 */
void kernel_cache_look_at_shared(void);

/*
 * Prepares @path in root's cache for all users, who can read it in @path as well: else -EACCES.
 * Only root can do that. -EWOULDBLOCK: another process changes the cache; -EINVAL: it cannot be
 * prepared; -errno and a line. It takes what decompressing takes, some seconds for a kernel packed
 * by xz.
 */
int kernel_cache_share(const char *path, struct err *e);

/*
 * Drops the prepared kernel of @path, which turned out to be damaged: the next start prepares it
 * anew.
 */
void kernel_cache_forget(const char *path);

#endif
