/* SPDX-License-Identifier: GPL-2.0-only */
/* Shares the layers of confinement and their states among the files of this room. */
#ifndef UMBRA_VMM_CONFINE_CONFINE_INT_H
#define UMBRA_VMM_CONFINE_CONFINE_INT_H

#include <errno.h>
#include <sys/types.h>

#include "vmm/confine/confine.h"

enum layer {
	LAYER_USER,
	LAYER_CAPS,
	LAYER_NNP,
	LAYER_PID,
	LAYER_MOUNT,
	LAYER_NET,
	LAYER_IPC,
	LAYER_LANDLOCK,
	LAYER_RLIMITS,
	LAYER_SECCOMP,
	LAYERS,
};

/* In why[LAYER_PID] of CONFINE_MANAGED; no call that makes a namespace fails with it. */
#define CONFINE_NOT_HERE ENOTUNIQ

struct confine {
	enum confine_mode mode;
	bool drop; /* this is root: become uid and gid */
	u32 keep;  /* capabilities, as bits */
	uid_t uid;
	gid_t gid;
	pid_t pid;	 /* own; the first of its namespace */
	int guard;	 /* to the supervisor; or -1 */
	int refused;	 /* errno of the host that allows no namespaces; 0: it does, so far */
	int thread_link; /* /proc/thread-self of the host's procfs, as a link; or -1 */
	bool left;	 /* the supervisor's children are born in the VMM's namespaces */
	bool note;	 /* of confine_note() */
	int why[LAYERS]; /* 0: in force; ENODATA: not tried yet; else the errno of the refusal */
};

/*
 * Puts the user that root becomes into @c, by /etc/passwd alone: the name service's libraries cost
 * a hundred system calls. -ENOENT with the line for the user.
 */
int confine_find_user(struct confine *c, const char *user, struct err *e);

/*
 * Each of these functions notes in c->why[] whether its layers are in force. Namespaces need
 * CAP_SYS_ADMIN; Landlock needs NNP.
 */
void confine_namespaces(struct confine *c, int flags);
void confine_empty_root(struct confine *c);
/*
 * Makes the root a read-only tmpfs with nothing but an empty /etc/resolv.conf, and @dir, a real
 * path, at its own place (or NULL). *resolv writes to that file, or is -1: the root stays the old
 * one, read-only.
 */
void confine_network_root(struct confine *c, const char *dir, int *resolv);
/* Makes all mounts of this mount namespace read-only and noexec. Returns 0 or an errno. */
int confine_freeze_mounts(void);
/*
 * Restricts the process by Landlock. @paths, a list that NULL ends: the files and directories that
 * may be read. @paths NULL: none, and no TCP.
 */
void confine_landlock(struct confine *c, const char *const *paths);
/* Becomes the user and gives up all capabilities but c->keep. -errno: this is still root. */
int confine_drop(struct confine *c);

/* --- layers, for people (confine_info.c) ----------------------------------------------------- */

/* Returns "seccomp", ... */
const char *confine_layer_name(enum layer l);
/* Returns why layer @l is not in force; @why as in struct confine, not 0. */
const char *confine_layer_reason(enum layer l, int why);
/* Returns { NAME: bool... }, and in *missing { NAME: reason... }, both the caller's. */
json_t *confine_layers_describe(const int *why, json_t **missing);

/* --- filters (filter.c) ------------------------------------------------------------ */

enum filter {
	FILTER_VCPU = THREAD_VCPU,
	FILTER_QUEUE = THREAD_QUEUE,
	FILTER_BLOCK = THREAD_BLOCK,
	FILTER_FILE = THREAD_FILE,
	FILTER_MAIN,
	FILTER_NETWORK,
	FILTER_DIALER,
	FILTER_PARSER,
	FILTER_READER,
	FILTERS,
};

/* Has violations of @f, and of filters on top of it, reported; called before it is installed. */
int confine_report(enum filter f);
#define THREAD_LINK_SIZE 32 /* "PID/task/TID" has 20 bytes at most */
/*
 * Installs @f for the calling thread of process @pid and the threads that it makes. @link_size:
 * THREAD_LINK_SIZE if links may be read, into a buffer of that size; 0: they may not. -errno.
 */
int confine_filter(enum filter f, pid_t pid, unsigned link_size);
/* Returns the number of system calls that @f allows, and its name for people. */
unsigned confine_filter_calls(enum filter f);
const char *confine_filter_name(enum filter f);

#endif
