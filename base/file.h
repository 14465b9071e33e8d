/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Reads and writes whole files, and takes the first look at an ELF header, for kernels and drivers
 * alike.
 *
 * Files are read, not mapped: a file that somebody else changes or truncates while it is parsed
 * would otherwise change under the checks, or end the process with SIGBUS.
 */
#ifndef UMBRA_BASE_FILE_H
#define UMBRA_BASE_FILE_H

#include "base/err.h"
#include "base/types.h"

/*
 * Reads PATH, a regular file of 1 to @max bytes, into *data (malloc'ed, the caller frees it).
 * -errno of open() or read(), -EINVAL (not a regular file, empty), -EFBIG, -ENOMEM.
 */
int file_read(const char *path, size_t max, u8 **data, size_t *len, struct err *e);
/*
 * Opens PATH for file_read_fd(). Returns the descriptor, or -errno with the line that file_read()
 * has.
 */
int file_open(const char *path, struct err *e);
/*
 * Does the same for an open descriptor, from the file's start; @path is for messages. @fd stays
 * open.
 */
int file_read_fd(int fd, const char *path, size_t max, u8 **data, size_t *len, struct err *e);

/*
 * Reads exactly @len bytes of the file from @at on. -EIO: it ends before; else -errno of pread(2).
 */
int file_pread(int fd, void *buf, size_t len, u64 at);
/*
 * Writes all of @buf, to anything that can be written to; it blocks if @fd does. -errno of
 * write(2); some of it may be written then.
 */
int file_write(int fd, const void *buf, size_t len);

/*
 * Removes the file at @path if it is the one that is open as @fd: another may lie there by now.
 * (base/socket_file.h does so for a file that is not open any more.)
 */
void file_remove_own(const char *path, int fd);

/*
 * Checks that @data is an ELF64 file for x86-64 of type @type (ET_REL, ET_EXEC). -EINVAL and a line
 * that says what it is instead of @what: "a kernel module".
 */
int elf_check(const void *data, size_t len, unsigned type, const char *what, const char *label,
	      struct err *e);

#endif
