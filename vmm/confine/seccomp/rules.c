// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lists the rules of all filters. Conditions compare the low 32 bits of an argument, which is all
 * that the kernel looks at in each of them.
 */
#include "vmm/confine/seccomp/rules.h"

#include <asm/ioctls.h>
#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/sockios.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

#define AT_EMPTY       0x1000 /* AT_EMPTY_PATH: the descriptor itself */
#define SIGNAL_SETXID  33
#define READ_ONLY_MASK (O_ACCESS | O_CREATE | O_TRUNCATE)
#define O_ACCESS       3
#define O_CREATE       0100
#define O_TRUNCATE     01000

#define ALLOW(name, threads)                    \
	{                                       \
		.call = #name, .who = (threads) \
	}
#define REFUSE(name, threads, errno)                              \
	{                                                         \
		.call = #name, .who = (threads), .error = (errno) \
	}
#define WHERE(name, threads, arg, bits, is)                                                 \
	{                                                                                   \
		.call = #name, .who = (threads), .n_args = 1, .args = { { arg, bits, is } } \
	}
#define EQUAL(name, threads, arg, is)	  WHERE(name, threads, arg, 0xffffffffU, is)
#define WITHOUT(name, threads, arg, bits) WHERE(name, threads, arg, bits, 0)
#define IOCTL(threads, request)		  EQUAL(ioctl, threads, 1, request)

/* The flags of pthread_create(), and no others: no process, no namespace. */
#define THREAD_FLAGS                                                                        \
	(CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM | \
	 CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID)

const struct rule rules[] = {
	/* The guest. */
	{ .call = "ioctl",
	  .who = VCPU,
	  .n_args = 1,
	  .args = { { 1, 0xffffffffU, KVM_RUN } },
	  .often = true },
	IOCTL(VCPU, KVM_GET_SREGS),
	IOCTL(VCPU, KVM_TRANSLATE),
	IOCTL(VCPU, KVM_GET_VCPU_EVENTS),
	IOCTL(VCPU, KVM_SET_VCPU_EVENTS),
	IOCTL(VCPU, KVM_GET_MP_STATE),
	IOCTL(VCPU, KVM_KVMCLOCK_CTRL),
	IOCTL(VCPU, KVM_GET_LAPIC), /* does the guest take an NMI at LINT1? */
	IOCTL(VCPU, KVM_NMI),
	IOCTL(VCPU, KVM_IOEVENTFD),
	IOCTL(VCPU | QUEUE, KVM_IRQFD),
	IOCTL(VCPU, KVM_SET_GSI_ROUTING),
	IOCTL(VCPU, KVM_SET_USER_MEMORY_REGION),
	IOCTL(VCPU | BLOCK | QUEUE | FILES, KVM_IRQ_LINE), /* FILES: a disk has another size */

	/* The state of another start of the guest, after a reset. */
	IOCTL(MAIN, KVM_SET_REGS),
	IOCTL(MAIN, KVM_SET_SREGS),
	IOCTL(MAIN, KVM_SET_MSRS),
	IOCTL(MAIN, KVM_SET_LAPIC),
	IOCTL(MAIN, KVM_SET_MP_STATE),
	IOCTL(MAIN, KVM_SET_FPU),
	IOCTL(MAIN, KVM_SET_XSAVE),
	IOCTL(MAIN, KVM_SET_XCRS),
	IOCTL(MAIN, KVM_SET_DEBUGREGS),
	IOCTL(MAIN, KVM_GET_NESTED_STATE),
	IOCTL(MAIN, KVM_SET_NESTED_STATE),
	IOCTL(MAIN, KVM_GET_IRQCHIP),
	IOCTL(MAIN, KVM_SET_IRQCHIP),
	IOCTL(MAIN, KVM_SET_PIT2),

	/* The registers of a guest that is paused or has ended, for a dump. */
	IOCTL(MAIN, KVM_GET_REGS),
	IOCTL(MAIN, KVM_GET_SREGS),
	IOCTL(MAIN, KVM_GET_MSRS),

	/* Memory: never executable. */
	WITHOUT(mmap, THREADS | NETWORK | READERS, 2, PROT_EXEC),
	WITHOUT(mprotect, THREADS | NETWORK | READERS, 2, PROT_EXEC),
	ALLOW(munmap, THREADS | NETWORK | READERS),
	ALLOW(mremap, THREADS | NETWORK | READERS),
	ALLOW(madvise, THREADS | NETWORK | READERS),
	ALLOW(brk, THREADS | NETWORK | READERS),

	/* Threads, each with its own end; the names are for people. */
	ALLOW(futex, THREADS | NETWORK | READERS),
	ALLOW(rt_sigprocmask, THREADS | NETWORK | DIALER | READERS),
	ALLOW(rt_sigreturn, THREADS | NETWORK | DIALER | READERS),
	ALLOW(restart_syscall, THREADS | NETWORK | DIALER | READERS),
	ALLOW(sched_yield, THREADS),
	ALLOW(sysinfo, THREADS | READERS), /* qsort() asks how much memory there is */
	ALLOW(gettid, THREADS | NETWORK | DIALER | READERS),
	/*
	 * Reads a thread's id on the host (confine_thread_id()); an empty root has no other link.
	 */
	EQUAL(readlinkat, VCPU | MAIN, 3, RULES_LINK_SIZE),
	ALLOW(getpid, THREADS | NETWORK | DIALER | READERS),
	ALLOW(exit, THREADS | READERS),
	ALLOW(exit_group, THREADS | NETWORK | DIALER | READERS),
	EQUAL(tgkill, THREADS | NETWORK | DIALER | READERS, 0, RULES_OWN_PID),
	EQUAL(prctl, THREADS | NETWORK | DIALER | READERS, 0, PR_GET_NAME),
	ALLOW(set_robust_list, MAIN | READERS),
	ALLOW(rseq, MAIN | READERS),
	ALLOW(sched_getaffinity, MAIN | READERS),
	EQUAL(clone, MAIN | READERS, 0, THREAD_FLAGS),
	/* The flags of clone3() are behind a pointer; the C library falls back to clone(). */
	REFUSE(clone3, MAIN | READERS, ENOSYS),
	/* The C library's own signal, with its first thread; no handler of ours can be replaced. */
	EQUAL(rt_sigaction, MAIN | READERS, 0, SIGNAL_SETXID),
	/* Asks whether a signal that has come is ignored (base/signals.h). */
	EQUAL(rt_sigaction, MAIN, 0, SIGHUP),
	EQUAL(rt_sigaction, MAIN, 0, SIGINT),
	EQUAL(rt_sigaction, MAIN, 0, SIGQUIT),
	EQUAL(rt_sigaction, MAIN, 0, SIGTERM),
	EQUAL(prctl, MAIN, 0, PR_SET_NAME),
	EQUAL(seccomp, MAIN, 0, SECCOMP_SET_MODE_FILTER),
	ALLOW(getrandom, MAIN | QUEUE | NETWORK | READERS),
	ALLOW(clock_gettime, THREADS | NETWORK | READERS), /* where the vDSO has no clock */
	/* Has a write to the page cache waited, or was it only slow? */
	EQUAL(getrusage, BLOCK, 0, RUSAGE_THREAD),
	ALLOW(clock_nanosleep, FILES | READER), /* READER: a file that grows is followed */
	/* Interrupts a dump's write to a pipe or a terminal; a signal of a timer is one's own. */
	ALLOW(timer_create, FILES),
	ALLOW(timer_settime, FILES),
	ALLOW(timer_delete, FILES),

	/* Descriptors that are open already. */
	ALLOW(read, THREADS | NETWORK | READERS),
	ALLOW(write, THREADS | NETWORK | DIALER | READERS),
	ALLOW(writev, VCPU | QUEUE | NETWORK | READERS),
	ALLOW(readv, QUEUE),
	ALLOW(close, VCPU | BLOCK | QUEUE | FILES | NETWORK | DIALER | READERS),
	ALLOW(poll, VCPU | BLOCK | QUEUE | FILES | NETWORK), /* FILES: a dump's pipe */
	ALLOW(ppoll, NETWORK),
	ALLOW(epoll_ctl, VCPU | QUEUE),
	ALLOW(epoll_pwait2, MAIN),
	ALLOW(epoll_wait, MAIN), /* before Linux 5.11 */
	ALLOW(eventfd2, VCPU | MAIN),
	ALLOW(dup2, MAIN), /* a detached guest leaves its starter's stderr */
	ALLOW(lseek, MAIN | FILES | NETWORK | READERS), /* FILES: a dump's holes */
	ALLOW(fstat, MAIN | BLOCK | FILES | NETWORK | READERS),
	EQUAL(newfstatat, MAIN | BLOCK | FILES | PARSER, 3, AT_EMPTY),
	/*
	 * F_SETOWN and F_SETSIG are left out: they have any signal sent to any process of the user.
	 */
	EQUAL(fcntl, MAIN | NETWORK | READER, 1, F_GETFL),
	EQUAL(fcntl, MAIN | NETWORK, 1, F_GETFD),
	EQUAL(fcntl, MAIN | NETWORK, 1, F_SETFD),
	{ .call = "fcntl",
	  .who = MAIN | NETWORK,
	  .n_args = 2,
	  .args = { { 1, 0xffffffffU, F_SETFL }, { 2, O_ASYNC, 0 } } },
	EQUAL(fcntl, MAIN, 1, F_OFD_SETLK),
	EQUAL(fcntl, MAIN, 1, F_GET_SEALS), /* of a file that a client passes */
	EQUAL(fcntl, MAIN | NETWORK, 1, F_DUPFD_CLOEXEC),
	IOCTL(THREADS | READER, TCGETS),
	IOCTL(THREADS, TCSETS), /* the terminal as it was, at a crash too */

	/* Disks. */
	ALLOW(preadv, BLOCK),
	ALLOW(pwritev2, BLOCK),
	ALLOW(pread64, BLOCK | FILES | READERS), /* FILES: a kernel, at a reset */
	ALLOW(pwrite64, BLOCK),
	ALLOW(fdatasync, BLOCK),
	ALLOW(fallocate, BLOCK),
	/* Rings are made with their disks: none is made or changed once there are filters. */
	ALLOW(io_uring_enter, BLOCK),
	ALLOW(ftruncate, FILES | NETWORK), /* the network: of its resolv.conf */
	ALLOW(fsync, FILES),		   /* the record of requests, at the end */
	IOCTL(FILES, BLKGETSIZE64),
	/* A tap. */
	IOCTL(VCPU, TUNSETOFFLOAD),

	/* Clients of sockets that listen already, and the process of the network. */
	ALLOW(accept4, MAIN),
	ALLOW(recvfrom, QUEUE | MAIN | NETWORK),
	/* A vCPU: the guest's output, to viewers of its console. */
	ALLOW(sendto, VCPU | QUEUE | MAIN | NETWORK),
	/*
	 * Messages with descriptors: the thread of a disk that another process serves exchanges
	 * them with its back end, the main thread with clients.
	 */
	ALLOW(recvmsg, QUEUE | MAIN | NETWORK | DIALER),
	ALLOW(sendmsg, QUEUE | MAIN | NETWORK | DIALER),
	/* Pairs of stream sockets: one of datagrams could be used to send to any name. */
	{ .call = "socketpair",
	  .who = QUEUE,
	  .n_args = 2,
	  .args = { { 0, 0xffffffffU, AF_UNIX }, { 1, 0xf, SOCK_STREAM } } },
	ALLOW(shutdown, MAIN | NETWORK | READER), /* READER: `vmm trace` says that it is the end */
	ALLOW(getsockopt, MAIN | NETWORK),
	/* A socket's file lies outside of the empty root; the supervisor removes it. */
	REFUSE(unlink, MAIN, ENOENT),

	/* The network's process opens sockets, but Internet ones only. */
	EQUAL(socket, NETWORK, 0, AF_INET),
	EQUAL(socket, NETWORK, 0, AF_INET6),
	/* The dial helper makes UNIX sockets only. */
	EQUAL(socket, DIALER, 0, AF_UNIX),
	ALLOW(connect, NETWORK | DIALER),
	ALLOW(bind, NETWORK),
	ALLOW(listen, NETWORK),
	ALLOW(accept4, NETWORK),
	ALLOW(accept, NETWORK),
	ALLOW(setsockopt, NETWORK),
	ALLOW(getsockname, NETWORK),
	ALLOW(getpeername, NETWORK),
	IOCTL(NETWORK, FIONREAD),
	IOCTL(NETWORK, FIONBIO),
	/* Files of TFTP and /etc/resolv.conf: the process's root has no others. */
	WITHOUT(openat, NETWORK, 2, READ_ONLY_MASK),
	ALLOW(newfstatat, NETWORK),
	ALLOW(access, NETWORK),
	ALLOW(geteuid, NETWORK), /* to name the user that cannot read a file */

	/* A command that reads files, which Landlock restricts. */
	WITHOUT(openat, READER, 2, READ_ONLY_MASK),
	ALLOW(newfstatat, READER),
	ALLOW(access, READER),
	ALLOW(getdents64, READER),
	ALLOW(fstatfs, READER),
	IOCTL(READER, TIOCGWINSZ),
};

const size_t n_rules = sizeof(rules) / sizeof(rules[0]);
