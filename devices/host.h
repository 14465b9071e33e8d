/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Declares the host's services for devices, which are all that a device may use of its host.
 *
 * The VMM implements them over KVM; unit tests and fuzzers implement them over a plain array. So no
 * device knows KVM, and every device can be driven by a fuzzer. A host is a struct that embeds
 * struct host; its functions find it with container_of().
 *
 * Threads: an I/O callback runs on whichever vCPU thread touched the region, several at once. A
 * device brings its own lock. All host functions may be called from any thread and from inside any
 * callback. Hence an access that began before mmio_unmap() may still be running after it.
 */
#ifndef UMBRA_DEVICES_HOST_H
#define UMBRA_DEVICES_HOST_H

#include <pthread.h>

#include "base/types.h"

#define HOST_MAX_REGIONS 8

struct host;

/*
 * Carries out an access to an I/O region: @offset from its start, @len 1, 2, 4 or 8 bytes (MMIO) or
 * 1, 2 or 4 (ports). A read starts with all bits set in @data, as an absent register reads.
 */
typedef void host_io_fn(void *arg, u64 offset, void *data, unsigned len, bool write);

/* Called with @events as epoll(7) has them, on the thread of the event loop. */
typedef void host_event_fn(void *arg, u32 events);

enum host_power {
	HOST_POWEROFF,
	HOST_RESET,
	HOST_PANICKED,
};

/* A piece of the guest's RAM, for a process that is to map it. */
struct host_region {
	u64 gpa, len;
	int fd; /* -1: no other process can map it */
	u64 offset;
};

/* The purpose of a thread, by which the host confines it. */
enum host_thread_kind {
	HOST_THREAD_QUEUE, /* serves queues: descriptors of the device, interrupts */
	HOST_THREAD_BLOCK, /* the same with files, by io_uring too */
	HOST_THREAD_FILE,  /* writes one open file, or reads one */
};

/*
 * A thread of a device, in the device's memory. host_thread_start() has run(@arg) called on a
 * thread of its own, perhaps only after host_thread_start() returned: the thread that starts a
 * device is a vCPU's, which a host may forbid to make threads. If the thread cannot be made then,
 * failed() is called instead, on any thread. host_thread_stop() waits for run() to return, after
 * the device has told it to; if run() has not begun yet, neither of the two is called any more.
 * Then it may be started again.
 */
struct host_thread {
	enum host_thread_kind kind;
	const char *name; /* at most 15 bytes */
	void (*run)(void *arg);
	void (*failed)(void *arg);
	void *arg;

	/* The host's. */
	struct host_thread *next;
	pthread_t thread;
	enum { HOST_THREAD_IDLE, HOST_THREAD_WAITS, HOST_THREAD_RUNS } state;
};

struct host_ops {
	/*
	 * Returns a pointer to [gpa, gpa + len) if all of it is RAM in one piece, else NULL.
	 * Devices reach guest memory in no other way. len 0 gives NULL. The pointer lives as long
	 * as the host. The bytes are hostile and change at any time: copy once, then check the
	 * copy.
	 */
	void *(*ram)(struct host *h, u64 gpa, u64 len);

	/*
	 * Describes piece @i of the RAM, from 0 on; false: there is none. The descriptor is
	 * borrowed, and its size is sealed. All RAM is in these pieces, at most HOST_MAX_REGIONS.
	 */
	bool (*ram_region)(struct host *h, unsigned i, struct host_region *out);

	/*
	 * Gives RAM back: [p, p + len), whole pages of 4096 bytes that ram() gave, reads as zero
	 * from then on, for every process that maps it, and takes memory of the host again when it
	 * is touched. What is under way to it or from it meanwhile goes to the old page or the new
	 * one. -EOPNOTSUPP: this memory stays as it is; -EINVAL: no whole pages of RAM. Any thread
	 * that may take as long as that takes: a system call, which is longer for more memory.
	 */
	int (*ram_discard)(struct host *h, void *p, u64 len);

	/* Sets the level of an interrupt line. */
	void (*irq_line)(struct host *h, u32 gsi, bool level);

	/*
	 * Message-signalled interrupts. msi_alloc() gives a vector (>= 0) or -errno; msi_route()
	 * says where it goes and must precede the first use; msi_send() delivers one.
	 */
	int (*msi_alloc)(struct host *h);
	int (*msi_route)(struct host *h, int vector, u64 addr, u32 data);
	void (*msi_send)(struct host *h, int vector);
	void (*msi_free)(struct host *h, int vector);
	/*
	 * Has signals of the eventfd @fd, by any process, deliver @vector, which has a route; also
	 * a signal that came before. It is unbound before the vector is freed.
	 */
	int (*msi_bind)(struct host *h, int vector, int fd);
	void (*msi_unbind)(struct host *h, int vector, int fd);

	/* Registers @len ports for the life of the host. -EEXIST: one of them is taken. */
	int (*pio_add)(struct host *h, u16 port, u16 len, host_io_fn *fn, void *arg);

	/*
	 * Registers a guest-physical region. -EBUSY: it overlaps another one; -EINVAL: it is
	 * outside the window that the host keeps for devices (so a BAR never covers RAM).
	 */
	int (*mmio_map)(struct host *h, u64 gpa, u64 len, host_io_fn *fn, void *arg);
	void (*mmio_unmap)(struct host *h, u64 gpa, u64 len);

	/* Has a guest write to @gpa, of any size, signal the eventfd @fd; -errno. */
	int (*ioeventfd_add)(struct host *h, u64 gpa, int fd);
	void (*ioeventfd_del)(struct host *h, u64 gpa, int fd);

	/* Powers the machine off, resets it, or reports a panic. @why: one phrase for people. */
	void (*power)(struct host *h, enum host_power what, const char *why);

	/* Called by host_thread_start() and _stop(), which use pthreads if these are NULL. */
	int (*thread_start)(struct host *h, struct host_thread *t);
	void (*thread_stop)(struct host *h, struct host_thread *t);
};

struct host {
	const struct host_ops *ops;
};

/* Starts the thread. -errno: it does not run, and need not be stopped. */
int host_thread_start(struct host *h, struct host_thread *t);
void host_thread_stop(struct host *h, struct host_thread *t);

#endif
