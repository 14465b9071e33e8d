/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Opens a pipe or a terminal once more, by way of /proc/self/fd, so that this process does not wait
 * for it. O_NONBLOCK belongs to the open file, which a descriptor that a process was started with
 * shares with the user's shell and its other programs; the new open file is this process's alone.
 */
#ifndef UMBRA_BASE_REOPEN_H
#define UMBRA_BASE_REOPEN_H

#include <sys/stat.h>

/*
 * Opens @fd, of which fstat(2) said @st, for @access (O_RDONLY or O_WRONLY) with O_NONBLOCK and
 * O_CLOEXEC. Returns the descriptor, which the caller closes. -ENOTSUP: it is no pipe, FIFO or
 * character device, or one whose opening makes another device (/dev/ptmx); -EACCES: it is another
 * user's; -errno, for example without /proc.
 */
int reopen_nonblock(int fd, const struct stat *st, int access);

#endif
