// SPDX-License-Identifier: GPL-2.0-only
/*
 * Preloaded into a VMM by bench_watch: says when the process first enters a guest. A wrapper of
 * ioctl() costs nothing that can be seen; strace would cost more than what is measured.
 */
#include <linux/kvm.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

/*
 * Shared with whoever watches. A page, not a descriptor: a VMM that confines itself closes those that
 * it was not told about, and its vCPU may not be allowed to write to one.
 */
static volatile uint64_t *page;

__attribute__((constructor)) static void open_page(void)
{
	const char *name = getenv("BENCH_FIRST_RUN_FD");
	void *p = MAP_FAILED;

	if (name)
		p = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED,
			 (int)strtol(name, NULL, 10), 0);
	if (p != MAP_FAILED)
		page = p;
}

static void tell(void)
{
	struct timespec t;

	if (!page)
		return;
	clock_gettime(CLOCK_MONOTONIC, &t);
	*page = (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
	/* Stay here until whoever watches has seen enough, and kills this process. */
	for (;;)
		__builtin_ia32_pause();
}

/* Not static: this is the C library's name. */
int ioctl(int fd, unsigned long request, ...)
{
	static int told;
	void *arg;
	va_list ap;

	va_start(ap, request);
	arg = va_arg(ap, void *);
	va_end(ap);
	if (request == KVM_RUN && !__atomic_exchange_n(&told, 1, __ATOMIC_RELAXED))
		tell();
	return (int)syscall(SYS_ioctl, fd, request, arg);
}
