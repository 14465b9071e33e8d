/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finds the other files of Umbra: under ../lib/umbra of the binary's own directory where it was
 * installed, beside the binary in a build tree. No path is compiled in, so that the whole of a
 * prefix can be moved. The installed place comes first: /usr/bin is not Umbra's own.
 */
#ifndef UMBRA_BASE_INSTALL_PATH_H
#define UMBRA_BASE_INSTALL_PATH_H

#include <stdbool.h>
#include <stddef.h>

#define PARTS_PLACES   2
#define PARTS_PATH_MAX 4096

/*
 * Writes the path of @file in place @place (0 to PARTS_PLACES - 1), whether or not it is there, to
 * @out of PARTS_PATH_MAX bytes. -ENAMETOOLONG; -errno: /proc is not mounted.
 */
int install_path(unsigned place, const char *file, char *out);

/*
 * Returns true in a build tree, whose tools are called by their path; false where Umbra is
 * installed. For advice in messages. To be called before confinement, since it looks at files.
 */
bool install_is_source_tree(void);

#endif
