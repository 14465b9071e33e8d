/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Adds the commands of the control socket that change disks: QMP's block_resize {device |
 * node-name, size}, and umbra-disk-resize {disk, size, more, shrink}, which is for people: it can
 * add, returns the old size, and makes a disk smaller only with @shrink. A size of 0 is the one
 * that a block device has now, after it was resized on the host. A disk is called by its id= or
 * node=, else "disk0", "disk1", ... in the order of the options ("node0", ... as a node), or by its
 * serial=.
 *
 * A resize is answered when it is done; or after a second with an error that names the file, if its
 * storage does not answer: it cannot be taken back then, and is done when that answers. If it fails
 * then, a note says so. Once the guest's end or a reset has begun, a resize is refused.
 */
#ifndef UMBRA_VMM_MONITOR_BLOCK_RESIZE_H
#define UMBRA_VMM_MONITOR_BLOCK_RESIZE_H

struct control;
struct platform;

/* Adds the commands. @p must live as long as @c. -ENOMEM. */
int block_resize_add_commands(struct control *c, struct platform *p);

#endif
