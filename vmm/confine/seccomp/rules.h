/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Says which system calls each kind of thread of `vmm` may make once it is confined. It declares a
 * table that a program of the build (compile_filters.c) turns into BPF; only the result is part of
 * `vmm`.
 *
 * Why at build time: a filter by libseccomp at run time costs a library of 130 KiB, some hundred
 * allocations and milliseconds at every start, for a result that never changes. Firecracker
 * (seccompiler) and crosvm (minijail's compile_seccomp_policy) came to the same. From them also: a
 * list for each kind of thread, and an action that tells which call it was. QEMU's -sandbox names
 * the calls that are forbidden; here all calls are forbidden that the table does not name.
 *
 * A thread inherits the filter of the one that made it, and adds its own. So the main thread, which
 * makes all others, is allowed all calls that any of them needs; it reads nothing that the guest
 * wrote but by way of a device's lock-protected state. A vCPU makes no thread at all
 * (devices/host.h, thread_start).
 */
#ifndef UMBRA_VMM_CONFINE_SECCOMP_RULES_H
#define UMBRA_VMM_CONFINE_SECCOMP_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	VCPU = 1 << 0,	  /* runs the guest; devices' registers, sessions */
	BLOCK = 1 << 1,	  /* a queue of a disk */
	QUEUE = 1 << 2,	  /* the queues of another device */
	MAIN = 1 << 3,	  /* the event loop; includes all of the above */
	NETWORK = 1 << 4, /* the process of the user-mode network */
	DIALER = 1 << 5,  /* the process that connects to a disk's back end (dialer.h) */
	PARSER = 1 << 6,  /* a process that parses one file, which is open already */
	READER = 1 << 7,  /* a command that opens and parses files (vmm inspect) */
	FILES = 1 << 8,	  /* one open file: what goes to it, comes from it, or is its size */
};

#define THREADS (VCPU | BLOCK | QUEUE | FILES | MAIN)
#define READERS (PARSER | READER)

/* Stands in a filter for the process's own id, which filter.c puts there. */
#define RULES_OWN_PID 0x0badc0deU
/* Stands for the size of the buffer into which a link may be read; 0, with which none can be. */
#define RULES_LINK_SIZE 0x0badf00dU

struct rule {
	const char *call;
	struct {
		unsigned index;
		uint64_t mask, value;
	} args[2]; /* conditions, all of which must hold */
	unsigned who;
	int error; /* 0: allowed; else refused with this, because a library tries it first */
	unsigned n_args;
	bool often; /* look at it first */
};

extern const struct rule rules[];
extern const size_t n_rules;

#endif
