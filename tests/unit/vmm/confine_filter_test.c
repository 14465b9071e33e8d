// SPDX-License-Identifier: GPL-2.0-only
/* Tests the filters of system calls by the true kernel: what each forbids ends the process. */
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include "tests/unit/base/child.h"
#include "tests/unit/vmm/confine_fixture.h"

#define KILLED (128 + SIGSYS)

struct call {
	const char *name;
	long nr;
	unsigned long args[6];
};

/* By nobody, after the guest has begun. */
static const struct call never[] = {
	{ "execve", SYS_execve, { 0 } },
	{ "execveat", SYS_execveat, { 0 } },
	{ "fork", SYS_fork, { 0 } },
	{ "vfork", SYS_vfork, { 0 } },
	{ "clone of a process", SYS_clone, { SIGCHLD } },
	{ "clone with a namespace", SYS_clone, { CLONE_NEWUSER | SIGCHLD } },
	{ "open", SYS_open, { 0 } },
	{ "openat for writing", SYS_openat, { 0, 0, O_WRONLY | O_CREAT } },
	{ "openat2", SYS_openat2, { 0 } },
	{ "open_by_handle_at", SYS_open_by_handle_at, { 0 } },
	{ "readlink", SYS_readlink, { 0 } },
	{ "readlinkat of a link", SYS_readlinkat, { (unsigned long)AT_FDCWD, 0, 0, 4096 } },
	{ "memfd_create", SYS_memfd_create, { 0 } },
	{ "socket AF_UNIX", SYS_socket, { AF_UNIX, SOCK_STREAM } },
	{ "socket AF_NETLINK", SYS_socket, { AF_NETLINK, SOCK_RAW } },
	{ "socket AF_PACKET", SYS_socket, { AF_PACKET, SOCK_RAW } },
	{ "ptrace", SYS_ptrace, { PTRACE_TRACEME } },
	{ "process_vm_readv", SYS_process_vm_readv, { 1 } },
	{ "kill", SYS_kill, { 1, 0 } },
	{ "tkill", SYS_tkill, { 1, 0 } },
	{ "tgkill of another process", SYS_tgkill, { 0x0badc0de, 1, 0 } },
	{ "pidfd_open", SYS_pidfd_open, { 1 } },
	{ "mmap of code",
	  SYS_mmap,
	  { 0, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS } },
	{ "mprotect to code", SYS_mprotect, { 0, 4096, PROT_READ | PROT_EXEC } },
	{ "pkey_mprotect", SYS_pkey_mprotect, { 0 } },
	{ "personality", SYS_personality, { 0 } },
	{ "unshare", SYS_unshare, { CLONE_NEWUSER } },
	{ "setns", SYS_setns, { 0 } },
	{ "mount", SYS_mount, { 0 } },
	{ "chroot", SYS_chroot, { 0 } },
	{ "setuid", SYS_setuid, { 0 } },
	{ "capset", SYS_capset, { 0 } },
	{ "prctl of dumpable", SYS_prctl, { PR_SET_DUMPABLE, 1 } },
	{ "bpf", SYS_bpf, { 0 } },
	{ "perf_event_open", SYS_perf_event_open, { 0 } },
	{ "fcntl F_SETOWN", SYS_fcntl, { 0, F_SETOWN, 1 } },
	{ "fcntl F_SETSIG", SYS_fcntl, { 0, F_SETSIG, SIGKILL } },
	{ "fcntl of O_ASYNC", SYS_fcntl, { 0, F_SETFL, O_ASYNC } },
	{ "socketpair of datagrams", SYS_socketpair, { AF_UNIX, SOCK_DGRAM } },
	{ "userfaultfd", SYS_userfaultfd, { 0 } },
	{ "keyctl", SYS_keyctl, { 0 } },
	{ "init_module", SYS_init_module, { 0 } },
	{ "kexec_load", SYS_kexec_load, { 0 } },
	{ "reboot", SYS_reboot, { 0 } },
	{ "rt_sigaction of SIGSYS", SYS_rt_sigaction, { SIGSYS } },
	{ "ioctl TIOCSTI", SYS_ioctl, { 0, 0x5412 } },
	{ "ioctl KVM_CREATE_VM", SYS_ioctl, { 0, 0xae01 } },
	{ "ioctl KVM_CREATE_VCPU", SYS_ioctl, { 0, 0xae41 } },
};

/* Nor may a vCPU: only the event loop's thread and the disks' do these. */
static const struct call not_by_vcpus[] = {
	{ "clone of a thread", SYS_clone, { 0x3d0f00 } },
	{ "io_uring_setup", SYS_io_uring_setup, { 0 } },
	{ "io_uring_enter", SYS_io_uring_enter, { 0 } },
	{ "pwrite64", SYS_pwrite64, { 0 } },
	{ "fallocate", SYS_fallocate, { 0 } },
	{ "accept4", SYS_accept4, { 0 } },
	{ "seccomp", SYS_seccomp, { 0 } },
	{ "timer_create", SYS_timer_create, { 0 } },
};

/* Does as outcome() for a call that is made under a filter; what the child says goes into @line. */
static int call_under(enum filter f, const struct call *c, char *line, size_t size)
{
	const unsigned long *a = c->args;
	int out[2];
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = child_fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(out[1], STDERR_FILENO);
		close(out[0]);
		close(out[1]);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (confine_report(f) || confine_filter(f, getpid(), 0))
			_exit(99);
		syscall(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]);
		_exit(0);
	}
	close(out[1]);
	return outcome(pid, line, size, out[0]);
}

static void expect_killed(enum filter f, const struct call *c)
{
	char line[512], want[64];
	int status = call_under(f, c, line, sizeof(line));

	if (!WIFEXITED(status) || WEXITSTATUS(status) != KILLED)
		fail_msg("%s survived %s (status %x): %s", confine_filter_name(f), c->name, status,
			 line);
	snprintf(want, sizeof(want), "vmm: system call %ld of thread ", c->nr);
	if (!strstr(line, want))
		fail_msg("%s, %s: no \"%s\" in: %s", confine_filter_name(f), c->name, want, line);
}

static void forbidden_calls_end_every_thread(void **state)
{
	(void)state;
	skip_unless_filtered();
	for (int f = 0; f < FILTERS; f++)
		for (size_t i = 0; i < ARRAY_SIZE(never); i++)
			if (f != FILTER_DIALER || strcmp(never[i].name, "socket AF_UNIX") != 0)
				expect_killed((enum filter)f, &never[i]);
}

static void a_vcpu_makes_nothing(void **state)
{
	(void)state;
	skip_unless_filtered();
	for (size_t i = 0; i < ARRAY_SIZE(not_by_vcpus); i++)
		expect_killed(FILTER_VCPU, &not_by_vcpus[i]);
	/* Its goal. */
	assert_in_range(confine_filter_calls(FILTER_VCPU), 10, 35);
}

/* Rings are made before there is a filter: not even the thread that made them makes another. */
static void nobody_makes_a_ring(void **state)
{
	const struct call setup = { "io_uring_setup", SYS_io_uring_setup, { 0 } };
	const struct call change = { "io_uring_register", SYS_io_uring_register, { 0 } };

	(void)state;
	skip_unless_filtered();
	for (int f = 0; f < FILTERS; f++) {
		expect_killed((enum filter)f, &setup);
		expect_killed((enum filter)f, &change);
	}
}

/* Of a thread that serves a disk, how often it has slept (devices/blk_queue.c); of no other. */
static void a_disk_counts_its_own_sleeps(void **state)
{
	const struct call own = { "getrusage", SYS_getrusage, { RUSAGE_THREAD, 0 } };
	const struct call all = { "getrusage of all", SYS_getrusage, { RUSAGE_SELF, 0 } };
	char line[512];

	(void)state;
	skip_unless_filtered();
	assert_int_equal(call_under(FILTER_BLOCK, &own, line, sizeof(line)), 0);
	expect_killed(FILTER_BLOCK, &all);
	expect_killed(FILTER_VCPU, &own);
}

static void internet_sockets_are_the_networks(void **state)
{
	const struct call inet = { "socket", SYS_socket, { AF_INET, SOCK_STREAM } };
	const struct call look = { "openat", SYS_openat, { (unsigned long)AT_FDCWD, 0, O_RDONLY } };
	char line[512];

	(void)state;
	skip_unless_filtered();
	for (int f = 0; f < FILTERS; f++) {
		if (f == FILTER_NETWORK)
			assert_int_equal(call_under(FILTER_NETWORK, &inet, line, sizeof(line)), 0);
		else
			expect_killed((enum filter)f, &inet);
		if (f == FILTER_NETWORK || f == FILTER_READER)
			assert_int_equal(call_under((enum filter)f, &look, line, sizeof(line)), 0);
		else
			expect_killed((enum filter)f, &look);
	}
}

/* A vCPU or a disk's queue cannot make a file shorter, whoever's it is. */
static void sizes_are_the_files_threads(void **state)
{
	static const enum filter others[] = { FILTER_VCPU, FILTER_QUEUE, FILTER_BLOCK };
	/* With no descriptor: the calls fail, and are allowed. */
	const struct call calls[] = {
		{ "ftruncate", SYS_ftruncate, { ~0UL } },
		{ "fsync", SYS_fsync, { ~0UL } },
	};
	char line[512];

	(void)state;
	if (!FILTERED)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		for (size_t f = 0; f < ARRAY_SIZE(others); f++)
			expect_killed(others[f], &calls[i]);
		assert_int_equal(call_under(FILTER_FILE, &calls[i], line, sizeof(line)), 0);
	}
}

/* 32-bit calls and those of the x32 ABI have numbers of their own. */
static void other_abis_are_killed(void **state)
{
	const struct call x32 = { "x32", 0x40000000 | SYS_getpid, { 0 } };
	char line[512];
	int status;
	pid_t pid;

	(void)state;
	skip_unless_filtered();
	for (int f = 0; f < FILTERS; f++) {
		status = call_under((enum filter)f, &x32, line, sizeof(line));
		assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) ||
			    (WIFEXITED(status) && WEXITSTATUS(status) == KILLED));
		pid = child_fork();
		if (!pid) {
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
			if (confine_filter((enum filter)f, getpid(), 0))
				_exit(99);
			__asm__ volatile("int $0x80" : : "a"(20L) : "memory");
			_exit(0);
		}
		child_await(pid, &status);
		/* A kernel without 32-bit calls raises a fault. */
		assert_true(WIFSIGNALED(status) &&
			    (WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV));
	}
}

/* Allocates @size bytes; the compiler leaves out what is freed and not looked at. */
static void use_memory(size_t size)
{
	void *volatile p = malloc(size);

	free(p);
}

static void *thread(void *arg)
{
	char name[16] = "";

	if (confine_filter(*(enum filter *)arg, getpid(), 0))
		_exit(98);
	prctl(PR_GET_NAME, name);
	use_memory(200000);
	return NULL;
}

/* What a guest needs: threads that narrow themselves, memory, signals to each other. */
static void allowed_calls_work(void **state)
{
	int status, ret;
	pid_t pid = child_fork();

	(void)state;
	if (!pid) {
		static enum filter kinds[] = { FILTER_VCPU, FILTER_QUEUE, FILTER_BLOCK,
					       FILTER_FILE };
		pthread_t t;

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		ret = FILTERED ? confine_report(FILTER_MAIN) ||
					 confine_filter(FILTER_MAIN, getpid(), 0)
			       : 0;
		for (size_t i = 0; i < ARRAY_SIZE(kinds) && !ret && FILTERED; i++)
			ret = pthread_create(&t, NULL, thread, &kinds[i]) || pthread_join(t, NULL);
		ret |= syscall(SYS_tgkill, getpid(), gettid(), 0) != 0;
		_exit(ret ? 97 : 0);
	}
	child_await(pid, &status);
	assert_int_equal(status, 0);
}

/* More than the C library gives a heap each without looking how many CPUs there are. */
#define CROWD 12

struct crowd {
	enum filter kind;
	pthread_barrier_t all;
};

static void *one_of_a_crowd(void *arg)
{
	struct crowd *c = arg;

	if (confine_filter(c->kind, getpid(), 0))
		_exit(98);
	use_memory(2000);
	/* A heap of its own would not be another's as long as it lives. */
	pthread_barrier_wait(&c->all);
	return NULL;
}

static void run_crowd(enum filter kind)
{
	static const int ends[] = { SIGTERM, -1 };
	const struct confine_start start = { .mode = CONFINE_ON, .ends = ends };
	const struct confine_file none[] = { { .path = NULL } };
	struct crowd c = { .kind = kind };
	struct confine *confine = NULL;
	pthread_t t[CROWD];
	int code, ret;
	bool note;

	ret = confine_fork(&confine, &start, &code, &note, NULL);
	if (ret == 1)
		_exit(code);
	if (ret || confine_enter(confine, none, NULL) || confine_ready(confine, NULL))
		_exit(97);
	pthread_barrier_init(&c.all, NULL, CROWD);
	for (size_t i = 0; i < CROWD; i++)
		if (pthread_create(&t[i], NULL, one_of_a_crowd, &c))
			_exit(96);
	for (size_t i = 0; i < CROWD; i++)
		pthread_join(t[i], NULL);
	_exit(0);
}

/* Many threads of any kind may call malloc() for the first time while all of them live. */
static void a_crowd_of_threads_has_memory(void **state)
{
	static const enum filter kinds[] = { FILTER_VCPU, FILTER_QUEUE, FILTER_BLOCK, FILTER_FILE };

	(void)state;
	skip_unless_filtered();
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int status;
		pid_t pid = child_fork();

		if (!pid)
			run_crowd(kinds[i]);
		child_await(pid, &status);
		assert_int_equal(status, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forbidden_calls_end_every_thread),
		cmocka_unit_test(a_vcpu_makes_nothing),
		cmocka_unit_test(nobody_makes_a_ring),
		cmocka_unit_test(a_disk_counts_its_own_sleeps),
		cmocka_unit_test(internet_sockets_are_the_networks),
		cmocka_unit_test(sizes_are_the_files_threads),
		cmocka_unit_test(other_abis_are_killed),
		cmocka_unit_test(allowed_calls_work),
		cmocka_unit_test(a_crowd_of_threads_has_memory),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
