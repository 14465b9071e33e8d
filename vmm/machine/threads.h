/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes the threads of a machine: those of its vCPUs and of its devices. Before anything else each
 * one confines itself to the system calls that its kind needs.
 *
 * Only the event loop's thread makes threads. A thread inherits the system call filter of the one
 * that made it, so a vCPU that made a disk's thread, as it does by writing DRIVER_OK, would have to
 * be allowed all calls of that thread (io_uring among them), and to make threads at all. It does
 * not wait for the thread either: it holds the device's lock, and the event loop may be about to
 * take that.
 */
#ifndef UMBRA_VMM_MACHINE_THREADS_H
#define UMBRA_VMM_MACHINE_THREADS_H

#include <sys/types.h>

#include "base/loop.h"
#include "devices/host.h"
#include "vmm/confine/confine.h"

struct threads;

/* Makes a set of threads, which the calling thread creates; it serves @l. -ENOMEM. */
int threads_create(struct threads **out, struct loop *l);
/* Frees the set, when all threads have ended. NULL allowed. */
void threads_destroy(struct threads *t);

/*
 * Sets, once, the confinement that each thread enters first; NULL: none. A thread inherits only
 * the filters that its maker already has, so none is made before this call: a threads_start() that
 * comes earlier is deferred. The order is threads_start() (queues it), threads_set_confine(),
 * loop_run() (makes it).
 */
void threads_set_confine(struct threads *t, const struct confine *c);
/* Was threads_set_confine() called, so that a thread can be made? */
bool threads_ready(const struct threads *t);
/*
 * Sets the calling thread's name, at most 15 bytes, and its confinement: what each thread does
 * first.
 */
void threads_begin(const struct threads *t, enum thread_kind kind, const char *name);

/* Returns the calling thread's id as the host numbers it; 0: not known (confine_thread_id()). */
pid_t threads_own_id(const struct threads *t);

/* These do what thread_start() and thread_stop() of struct host_ops say. */
int threads_start(struct threads *t, struct host_thread *ht);
void threads_stop(struct threads *t, struct host_thread *ht);

#endif
