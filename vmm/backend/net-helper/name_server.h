/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host's name server, as /etc/resolv.conf has it: found by the keeper, and written into the
 * only file that the process of the network sees, which is a file of its own (confine_network()
 * says why it is not the host's).
 *
 * libslirp looks into /etc/resolv.conf when the guest asks its name server, 10.0.2.3, and the last
 * look is a second old; if the file is gone it drops the guest's question. So just then, and no
 * more often, the process asks the keeper, waits NAME_SERVER_MS at most, and rewrites its file if
 * the answer is another: a change is followed within a second, and a guest that asks nothing wakes
 * nobody. Only the first IPv4 server is passed on, the one that libslirp takes. At a line with a
 * scope ("fe80::1%eth0") libslirp would look for an interface, by a system call for which the
 * filter ends the process.
 */
#ifndef UMBRA_VMM_BACKEND_NET_HELPER_NAME_SERVER_H
#define UMBRA_VMM_BACKEND_NET_HELPER_NAME_SERVER_H

#include "base/types.h"

#define NAME_SERVER_MS	 100
#define NAME_SERVER_LINE 32 /* "nameserver 255.255.255.255\n", with its NUL */

/*
 * Writes the first IPv4 server of the host's resolv.conf, wherever that leads by now, as a line of
 * such a file to @line of NAME_SERVER_LINE bytes; an empty line if there is none.
 */
void name_server_line(char *line);

/* The process's own resolv.conf, which holds one line. */
struct name_server_file {
	int fd;			     /* to write it; -1: there is none */
	char line[NAME_SERVER_LINE]; /* what it holds */
	size_t size;
};

/*
 * Rewrites @f if @line is another one, so that libslirp, which compares inode, size and the second
 * of the last change, sees that each time.
 */
void name_server_write(struct name_server_file *f, const char *line);

#endif
