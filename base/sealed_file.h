/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Copies a file into memory that nobody can change any more (a sealed memfd, memfd_create(2)), for
 * a process that must not wait for the file's storage and must not see it change while it reads.
 * Where the kernel knows MFD_NOEXEC_SEAL (Linux 6.3), it cannot be executed either.
 */
#ifndef UMBRA_BASE_SEALED_FILE_H
#define UMBRA_BASE_SEALED_FILE_H

#include "base/err.h"
#include "base/types.h"

/*
 * Copies all that @fd, a file from its start on, has; @path is for messages. Returns the sealed
 * memfd, the caller's, with its offset at the start. -EFBIG: it has more than @max bytes, which is
 * known before any is copied; -errno of read(2) and memfd_create(2). Takes as long as the storage
 * does.
 */
int sealed_file_copy(int fd, const char *path, size_t max, struct err *e);
/*
 * Returns true if @fd is such a copy: bytes and size are sealed, so that reading never waits for
 * storage. It makes one system call, which itself does not wait either.
 */
bool sealed_file_is(int fd);

#endif
