// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the bytes of a prepared kernel into fresh memory. Reading 31 MB costs 5 to 8 ms, of which
 * the zeroing of huge pages is a third, and their checksums 1 ms; mapping the file into the guest
 * instead costs a fault for each of the 3300 pages that the relocations change, takes the guest's
 * kernel its huge pages, and would let a truncated file kill it. So a second thread reads one half
 * while this one reads the other.
 *
 * The thread is made by clone() and not by pthread_create(), which maps and unmaps a stack and sets
 * masks of signals, a robust list and an rseq area: some 14 system calls of the 120 that a start
 * may take, where clone() needs 4. The flags are those of pthread_create(), since a confined
 * process may make no other threads. The new thread has the thread pointer of the thread that made
 * it, and so must not call the C library: a wrapper of a system call would write that thread's
 * errno. Its only system call, preadv(2), is inline assembly.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/sanitizer.h"
#include "shadow/kernel/prepared_int.h"

/*
 * ThreadSanitizer keeps what it knows of a thread behind the thread pointer, which two would share:
 * it crashes.
 */
#define CLONE_WORKS (!SANITIZER_THREAD)

int prepared_damaged(const struct kernel *k, const char *what, struct err *e)
{
	err_set(e, -EBADMSG, "the prepared image of %s is of no use: %s", k->path, what);
	return -EBADMSG;
}

/* The runs that one thread reads; @ret: 0, -EBADMSG for a short file or a wrong sum, or -errno. */
struct half {
	const struct prepared *p;
	u8 *dst;
	u32 from, to;
	int ret;
};

/*
 * Calls preadv(2) without the C library; returns what was read, or -errno. The kernel takes the
 * position from two registers, of which the first holds all of it on x86-64.
 */
static long raw_preadv(int fd, const struct iovec *v, u32 n, u64 at)
{
	register u64 low __asm__("r10") = at;
	register u64 high __asm__("r8") = 0;
	long ret;

	__asm__ volatile("syscall"
			 : "=a"(ret)
			 : "0"((long)SYS_preadv), "D"((long)fd), "S"(v), "d"((u64)n), "r"(low),
			   "r"(high)
			 : "rcx", "r11", "memory");
	return ret;
}

static u64 bytes_before(const struct prepared *p, u32 run)
{
	u64 sum = 0;

	for (u32 i = 0; i < run; i++)
		sum += p->runs[i].len;
	return sum;
}

static int read_runs(const struct half *a)
{
	struct iovec v[PREPARED_RUNS];
	u64 at = a->p->h->pages_at + bytes_before(a->p, a->from);
	u32 i = 0, n = a->to - a->from;

	_Static_assert(PREPARED_RUNS <= IOV_MAX, "one vector holds all runs");
	for (u32 j = 0; j < n; j++) {
		const struct prepared_run *r = &a->p->runs[a->from + j];

		v[j] = (struct iovec){ a->dst + r->offset, r->len };
	}
	while (i < n) {
		long got = raw_preadv(a->p->fd, v + i, n - i, at);

		if (got == -EINTR)
			continue;
		if (got <= 0)
			return got ? (int)got : -EBADMSG;
		at += (u64)got;
		while (i < n && (size_t)got >= v[i].iov_len)
			got -= (long)v[i++].iov_len;
		if (i < n && got) {
			v[i].iov_base = (u8 *)v[i].iov_base + got;
			v[i].iov_len -= (size_t)got;
		}
	}
	return 0;
}

static int prepared_read_half(void *arg)
{
	struct half *a = arg;

	a->ret = read_runs(a);
	for (u32 i = a->from; i < a->to && !a->ret; i++) {
		const struct prepared_run *r = &a->p->runs[i];

		if (prepared_sum(a->dst + r->offset, r->len) != r->sum)
			a->ret = -EBADMSG;
	}
	return 0;
}

/* Returns the first run of the second half, or n_runs. */
static u32 second_half(const struct prepared *p)
{
	u64 half = p->h->pages_len / 2, sum = 0;
	u32 i = 0;

	while (i < p->h->n_runs && sum < half)
		sum += p->runs[i++].len;
	return i;
}

/* Waits until the thread has ended: the kernel clears @tid then and wakes the futex. */
static void await_thread(atomic_int *tid)
{
	int now;

	while ((now = atomic_load(tid)))
		syscall(SYS_futex, tid, FUTEX_WAIT, now, NULL, NULL, 0);
}

int prepared_read(const struct kernel *k, u8 *dst, bool in_two, struct err *e)
{
	/* The flags of pthread_create(), and no others. */
	const int flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
			  CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID;
	const struct prepared *p = k->prepared;
	struct half mine = { p, dst, 0, p->h->n_runs, 0 }, other = mine;
	u8 *stack = p->tables + (p->h->pages_at & ~(u64)15) + PREPARED_STACK;
	bool two = false;
	atomic_int tid = 0;

	_Static_assert(PREPARED_RUNS * sizeof(struct iovec) <= PREPARED_STACK / 4,
		       "the vector is on that stack, which has no guard");

	if (in_two) {
		mine.to = other.from = second_half(p);
		/*
		 * The new thread gets this thread's thread pointer, which is pthread_self() on
		 * x86-64.
		 */
		if (CLONE_WORKS && other.from < other.to)
			two = clone(prepared_read_half, stack, flags, &other, &tid,
				    (void *)pthread_self(), &tid) > 0;
		if (!two)
			mine.to = p->h->n_runs; /* read all of it here */
	}
	prepared_read_half(&mine);
	if (two) {
		await_thread(&tid);
		mine.ret = mine.ret ? mine.ret : other.ret;
	}
	return mine.ret ? prepared_damaged(k, "it cannot be read, or a checksum differs", e) : 0;
}
