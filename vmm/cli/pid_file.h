/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Writes the file that holds a process's number, for whoever is to end the process. It is locked
 * for as long as the process lives, as QEMU's is, and no other file is written over: one that
 * is there must be a regular file that is empty or has a number in it, and unlocked.
 */
#ifndef UMBRA_VMM_CLI_PID_FILE_H
#define UMBRA_VMM_CLI_PID_FILE_H

#include "base/err.h"

/*
 * Writes the own number to @path. Returns the open file, which keeps the lock; a child of fork()
 * does not have it. -EEXIST: something else lies at @path; -EBUSY: another process holds it;
 * -errno and a line.
 */
int pid_file_create(const char *path, struct err *e);
/* Removes the file if it is still the one that is open as @fd, and closes @fd. */
void pid_file_remove(const char *path, int fd);

#endif
