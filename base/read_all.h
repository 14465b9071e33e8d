/* SPDX-License-Identifier: GPL-2.0-only */
/* Reading a file whole, whose size is known: a short file is an error, not a short result. */
#ifndef UMBRA_BASE_READ_ALL_H
#define UMBRA_BASE_READ_ALL_H

#include "base/types.h"

/* Exactly the first @len bytes of the file at @fd. -EIO: it ended before; else -errno of pread(2). */
int read_all(int fd, u8 *to, u64 len);

#endif
