// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests confinement by the true kernel: what each filter forbids ends the process, what it allows
 * works, and what the kernel says of a process that has given all up. confine_live_test does the
 * same to a running guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "vmm/confine/confine_int.h"
#include "vmm/confine/supervisor.h"

#if defined(__SANITIZE_ADDRESS__)
#define FILTERED false
#else
#define FILTERED true
#endif

#define KILLED (128 + SIGSYS)

/* --- the filters --------------------------------------------------------------------------- */

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
};

/* The rest of a child whose parent wants to know how it ends: status as waitpid() gives it. */
static int outcome(pid_t pid, char *line, size_t size, int from)
{
	ssize_t n = 0, more;
	int status;

	while ((more = read(from, line + n, size - 1 - (size_t)n)) > 0)
		n += more;
	line[n] = '\0';
	close(from);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

/* Like outcome(), of a call that is made under a filter; what the child says goes into @line. */
static int call_under(enum filter f, const struct call *c, char *line, size_t size)
{
	const unsigned long *a = c->args;
	int out[2];
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(out[1], STDERR_FILENO);
		close(out[0]);
		close(out[1]);
		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		if (confine_report() || confine_filter(f, getpid()))
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
	if (!FILTERED)
		skip();
	for (int f = 0; f < FILTERS; f++)
		for (size_t i = 0; i < ARRAY_SIZE(never); i++)
			if (f != FILTER_DIALER || strcmp(never[i].name, "socket AF_UNIX") != 0)
				expect_killed((enum filter)f, &never[i]);
}

static void a_vcpu_makes_nothing(void **state)
{
	(void)state;
	if (!FILTERED)
		skip();
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
	if (!FILTERED)
		skip();
	for (int f = 0; f < FILTERS; f++) {
		expect_killed((enum filter)f, &setup);
		expect_killed((enum filter)f, &change);
	}
}

static void internet_sockets_are_the_helpers(void **state)
{
	const struct call inet = { "socket", SYS_socket, { AF_INET, SOCK_STREAM } };
	const struct call look = { "openat", SYS_openat, { (unsigned long)AT_FDCWD, 0, O_RDONLY } };
	char line[512];

	(void)state;
	if (!FILTERED)
		skip();
	for (int f = 0; f < FILTERS; f++) {
		if (f == FILTER_HELPER) {
			assert_int_equal(call_under(FILTER_HELPER, &inet, line, sizeof(line)), 0);
			assert_int_equal(call_under(FILTER_HELPER, &look, line, sizeof(line)), 0);
			continue;
		}
		expect_killed((enum filter)f, &inet);
		expect_killed((enum filter)f, &look);
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
	if (!FILTERED)
		skip();
	for (int f = 0; f < FILTERS; f++) {
		status = call_under((enum filter)f, &x32, line, sizeof(line));
		assert_true((WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS) ||
			    (WIFEXITED(status) && WEXITSTATUS(status) == KILLED));
		pid = fork();
		if (!pid) {
			prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
			if (confine_filter((enum filter)f, getpid()))
				_exit(99);
			__asm__ volatile("int $0x80" : : "a"(20L) : "memory");
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		/* A kernel without 32-bit calls raises a fault. */
		assert_true(WIFSIGNALED(status) &&
			    (WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV));
	}
}

static void *thread(void *arg)
{
	char name[16] = "";

	if (confine_filter(*(enum filter *)arg, getpid()))
		_exit(98);
	prctl(PR_GET_NAME, name);
	free(malloc(200000));
	return NULL;
}

/* What a guest needs: threads that narrow themselves, memory, signals to each other. */
static void allowed_calls_work(void **state)
{
	int status, ret;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		static enum filter kinds[] = { FILTER_VCPU, FILTER_QUEUE, FILTER_BLOCK };
		pthread_t t;

		prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
		ret = FILTERED ? confine_report() || confine_filter(FILTER_MAIN, getpid()) : 0;
		for (size_t i = 0; i < ARRAY_SIZE(kinds) && !ret && FILTERED; i++)
			ret = pthread_create(&t, NULL, thread, &kinds[i]) || pthread_join(t, NULL);
		ret |= syscall(SYS_tgkill, getpid(), gettid(), 0) != 0;
		_exit(ret ? 97 : 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

/* --- all layers ---------------------------------------------------------------------------- */

struct vmm {
	pid_t supervisor, pid; /* of the confined process, as seen from here */
	int out;	       /* what it says */
	int go;		       /* a byte: go on */
};

static const int ends[] = { SIGTERM, SIGINT, -1 };

static char *read_proc(pid_t pid, const char *file)
{
	static char text[65536];
	char path[64];
	int fd, n;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	fd = open(path, O_RDONLY);
	n = fd < 0 ? -1 : (int)read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return text;
}

static pid_t child_of(pid_t pid)
{
	char file[64];

	snprintf(file, sizeof(file), "task/%d/children", pid);
	return (pid_t)strtol(read_proc(pid, file), NULL, 10);
}

/*
 * A process that confines itself, says so, and does as @and_then when it is told to go on. The
 * supervisor is a child of ours, so that its end can be seen.
 */
static void start(struct vmm *v, enum confine_mode mode, const char *user, uid_t as,
		  const struct confine_file *files, int (*and_then)(int guard))
{
	int out[2], go[2];
	char ready[256] = "";
	ssize_t n;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	v->supervisor = fork();
	assert_true(v->supervisor >= 0);
	if (!v->supervisor) {
		const struct confine_file none[] = { { NULL, NULL } };
		struct confine *c = NULL;
		struct err e = { "" };
		int code = 0, ret;
		char byte;

		/* The user's rights are what the kernel told at the exec: become another by one. */
		if (as)
			_exit(96);
		dup2(out[1], STDERR_FILENO);
		ret = confine_fork(
			&c, &(struct confine_start){ .mode = mode, .user = user, .ends = ends },
			&code, &e);
		if (ret == 1)
			_exit(code);
		if (!ret)
			ret = confine_enter(c, files ? files : none, &e);
		if (ret) {
			dprintf(out[1], "error: %s", e.text);
			_exit(95);
		}
		if (write(out[1], "ready", 5) != 5 || read(go[0], &byte, 1) != 1)
			_exit(94);
		_exit(and_then ? and_then(c->guard) : 0);
	}
	close(out[1]);
	close(go[0]);
	v->out = out[0];
	v->go = go[1];
	n = read(v->out, ready, sizeof(ready) - 1);
	ready[n < 0 ? 0 : n] = '\0';
	if (strcmp(ready, "ready") != 0)
		fail_msg("not confined: %s", ready);
	v->pid = child_of(v->supervisor);
	assert_true(v->pid > 0);
}

static int finish(struct vmm *v, char *line, size_t size)
{
	if (v->go >= 0 && write(v->go, "x", 1) < 0)
		assert_int_equal(errno, EPIPE);
	close(v->go);
	return outcome(v->supervisor, line, size, v->out);
}

static bool needs_root(void)
{
	return geteuid() != 0;
}

static void expect_status(pid_t pid, const char *key, const char *value)
{
	char *at = strstr(read_proc(pid, "status"), key), *end;

	if (!at)
		fail_msg("no %s in its status", key);
	at += strlen(key);
	at += strspn(at, " \t");
	end = strchr(at, '\n');
	if (end)
		*end = '\0';
	assert_string_equal(at, value);
}

static void the_kernel_confirms_it(void **state)
{
	static const char *const namespaces[] = { "pid", "mnt", "net", "ipc", "uts" };
	char line[512], path[64], own[64], theirs[64];
	struct vmm v;

	(void)state;
	if (needs_root())
		skip();
	start(&v, CONFINE_ON, "4242:4243", 0, NULL, NULL);
	expect_status(v.pid, "\nUid:", "4242\t4242\t4242\t4242");
	expect_status(v.pid, "\nGid:", "4243\t4243\t4243\t4243");
	expect_status(v.pid, "\nGroups:", " " + 1);
	expect_status(v.pid, "\nCapEff:", "0000000000000000");
	expect_status(v.pid, "\nCapPrm:", "0000000000000000");
	expect_status(v.pid, "\nCapInh:", "0000000000000000");
	expect_status(v.pid, "\nCapAmb:", "0000000000000000");
	expect_status(v.pid, "\nNoNewPrivs:", "1");
	expect_status(v.pid, "\nSeccomp:", FILTERED ? "2" : "0");
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", v.pid, namespaces[i]);
		memset(theirs, 0, sizeof(theirs));
		assert_true(readlink(path, theirs, sizeof(theirs) - 1) > 0);
		snprintf(path, sizeof(path), "/proc/self/ns/%s", namespaces[i]);
		memset(own, 0, sizeof(own));
		assert_true(readlink(path, own, sizeof(own) - 1) > 0);
		assert_string_not_equal(own, theirs);
	}
	assert_non_null(strstr(read_proc(v.pid, "limits"),
			       "Max core file size        0                    0 "));
	/* One mount: the root, in which nothing is and nothing can be made. */
	snprintf(line, sizeof(line), "%s", read_proc(v.pid, "mountinfo"));
	assert_non_null(strstr(line, " / / ro,nosuid,nodev,noexec"));
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	snprintf(path, sizeof(path), "/proc/%d/root/dev", v.pid);
	assert_int_equal(access(path, F_OK), -1);
	/* Of interfaces only its own loopback. */
	snprintf(line, sizeof(line), "%s", read_proc(v.pid, "net/dev"));
	assert_non_null(strstr(line, "lo:"));
	assert_null(strstr(line, "eth"));
	assert_int_equal(finish(&v, line, sizeof(line)), 0);
}

static int seven(int guard)
{
	(void)guard;
	return 7;
}

static void the_supervisor_hands_on_codes_and_signals(void **state)
{
	char line[512];
	struct vmm v;
	int status;

	(void)state;
	if (needs_root())
		skip();
	start(&v, CONFINE_ON, NULL, 0, NULL, seven);
	status = finish(&v, line, sizeof(line));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	/* Killed: said, and told by the code. */
	start(&v, CONFINE_ON, NULL, 0, NULL, NULL);
	kill(v.pid, SIGKILL);
	status = finish(&v, line, sizeof(line));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGKILL);
	assert_non_null(strstr(line, "killed by signal 9"));
}

static int take_signal(int guard)
{
	sigset_t set;

	(void)guard;
	/*
	 * No call for it is on the list of the event loop but reading a signalfd that exists: look.
	 */
	sigprocmask(SIG_BLOCK, NULL, &set);
	return sigismember(&set, SIGTERM) ? 0 : 1;
}

static void a_killed_supervisor_takes_the_vmm_along(void **state)
{
	struct pollfd p;
	char line[64];
	struct vmm v;
	int fd;

	(void)state;
	if (needs_root())
		skip();
	start(&v, CONFINE_ON, NULL, 0, NULL, take_signal);
	fd = (int)syscall(SYS_pidfd_open, v.pid, 0);
	assert_true(fd >= 0);
	kill(v.supervisor, SIGKILL);
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 5000), 1);
	close(fd);
	finish(&v, line, sizeof(line));
	/* And signals for the guest wait in the VMM, which reads them by a descriptor. */
	start(&v, CONFINE_ON, NULL, 0, NULL, take_signal);
	assert_int_equal(finish(&v, line, sizeof(line)), 0);
}

#define SOCKETS_DIR "/tmp/umbra-confine-test"

/* As a guest that took over the VMM: more names than were told at first. */
static int lie(int guard)
{
	struct supervisor_packet p = { .n = 1, .paths = SOCKETS_DIR "/other" };

	/* No path can be reached in here: with whatever identity, it must not be asked for. */
	return write(guard, &p, sizeof(p)) < 0;
}

static void only_the_files_told_at_first_are_removed(void **state)
{
	static const char taken[] = SOCKETS_DIR "/taken", next[] = SOCKETS_DIR "/next";
	struct socket_id id[2];
	/*
	 * A regular file is nobody's socket, whoever names it; neither is one that took the own
	 * one's place.
	 */
	const struct confine_file files[] = { { SOCKETS_DIR "/socket", NULL },
					      { SOCKETS_DIR "/regular", NULL },
					      { SOCKETS_DIR "/known", &id[0] },
					      { taken, &id[1] },
					      { NULL, NULL } };
	char line[64];
	struct vmm v;

	(void)state;
	if (needs_root())
		skip();
	mkdir(SOCKETS_DIR, 0700);
	assert_int_equal(mknod(files[0].path, S_IFSOCK | 0600, 0), 0);
	assert_int_equal(mknod(files[2].path, S_IFSOCK | 0600, 0), 0);
	assert_int_equal(mknod(taken, S_IFSOCK | 0600, 0), 0);
	assert_int_equal(mknod(next, S_IFSOCK | 0600, 0), 0);
	assert_int_equal(socket_file_id(files[2].path, &id[0]), 0);
	assert_int_equal(socket_file_id(taken, &id[1]), 0);
	assert_int_equal(rename(next, taken), 0);
	assert_int_equal(mknod(SOCKETS_DIR "/other", S_IFSOCK | 0600, 0), 0);
	close(open(files[1].path, O_CREAT | O_WRONLY, 0600));
	start(&v, CONFINE_ON, NULL, 0, files, lie);
	assert_int_equal(finish(&v, line, sizeof(line)), 0);
	assert_int_equal(access(files[0].path, F_OK), -1);
	assert_int_equal(access(files[1].path, F_OK), 0);
	assert_int_equal(access(files[2].path, F_OK), -1);
	assert_int_equal(access(taken, F_OK), 0);
	assert_int_equal(access(SOCKETS_DIR "/other", F_OK), 0);
	unlink(SOCKETS_DIR "/other");
	unlink(taken);
	unlink(files[1].path);
	rmdir(SOCKETS_DIR);
}

/* --- a host that lacks something ----------------------------------------------------------- */

/* As if the kernel had no such system call. */
static void take_away(long nr, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog))
		_exit(93);
}

/* In a child: what confine_enter() says where @nr fails; the missing layer's name to @line. */
static int enter_without(long nr, int error, enum confine_mode mode, char *line, size_t size)
{
	int out[2];
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = fork();
	if (!pid) {
		const struct confine_file none[] = { { NULL, NULL } };
		struct confine *c = NULL;
		struct err e = { "" };
		int code = 0, ret;
		char *text;

		close(out[0]);
		take_away(nr, error);
		ret = confine_fork(&c, &(struct confine_start){ .mode = mode, .ends = ends }, &code,
				   &e);
		if (ret == 1)
			_exit(code);
		if (!ret)
			ret = confine_enter(c, none, &e);
		if (ret) {
			dprintf(out[1], "%s", e.text);
			_exit(1);
		}
		text = json_dumps(json_object_get(confine_info(c), "missing"), JSON_COMPACT);
		if (write(out[1], text, strlen(text)) < 0)
			_exit(92);
		_exit(0);
	}
	close(out[1]);
	return outcome(pid, line, size, out[0]);
}

static void a_missing_layer_is_told_or_refused(void **state)
{
	static const struct {
		long nr;
		int error;
		const char *layer, *why;
	} hosts[] = {
		{ SYS_landlock_create_ruleset, ENOSYS, "landlock", "the kernel has no Landlock" },
		{ SYS_unshare, EPERM, "pid", "namespaces are not allowed" },
		{ SYS_mount, EPERM, "mount", "" },
	};
	char line[1024];

	(void)state;
	if (needs_root() || !FILTERED)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		int status =
			enter_without(hosts[i].nr, hosts[i].error, CONFINE_ON, line, sizeof(line));

		if (status)
			fail_msg("without %s: status %x: %s", hosts[i].layer, status, line);
		assert_non_null(strstr(line, hosts[i].layer));
		assert_non_null(strstr(line, hosts[i].why));
		status = enter_without(hosts[i].nr, hosts[i].error, CONFINE_STRICT, line,
				       sizeof(line));
		assert_int_equal(WEXITSTATUS(status), 1);
		assert_non_null(strstr(line, "--confine strict: this host does not allow"));
		assert_non_null(strstr(line, hosts[i].layer));
	}
}

static void all_layers_are_here(void **state)
{
	json_t *probe = confine_probe(), *missing = json_object_get(probe, "missing");
	char *text;

	(void)state;
	assert_non_null(probe);
	text = json_dumps(missing, JSON_COMPACT);
	/*
	 * Of Landlock and filters nothing can be demanded of a kernel; the rest is older than KVM.
	 */
	if (!needs_root() && FILTERED && !json_object_get(missing, "landlock"))
		assert_string_equal(text, "{}");
	free(text);
	json_decref(probe);
}

/* --- who root becomes ---------------------------------------------------------------------- */

static void users_are_found_or_refused(void **state)
{
	static const char *const bad[] = {
		"",   "no-such-user", "1:",    ":1", "1:2:3",
		"-1", "4294967295",   "root:", "1x", "99999999999999999999"
	};
	struct confine c = { .mode = CONFINE_ON };
	struct err e;

	(void)state;
	assert_int_equal(confine_find_user(&c, NULL, &e), 0);
	assert_true(c.drop);
	assert_int_not_equal(c.uid, 0);
	assert_int_equal(confine_find_user(&c, "root", &e), 0);
	assert_int_equal(c.uid, 0);
	assert_int_equal(confine_find_user(&c, "17", &e), 0);
	assert_int_equal(c.uid, 17);
	assert_int_equal(c.gid, 17);
	assert_int_equal(confine_find_user(&c, "17:18", &e), 0);
	assert_int_equal(c.gid, 18);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (confine_find_user(&c, bad[i], &e) != -ENOENT)
			fail_msg("--user \"%s\" was taken", bad[i]);
		assert_non_null(strstr(e.text, "--user"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forbidden_calls_end_every_thread),
		cmocka_unit_test(a_vcpu_makes_nothing),
		cmocka_unit_test(nobody_makes_a_ring),
		cmocka_unit_test(internet_sockets_are_the_helpers),
		cmocka_unit_test(other_abis_are_killed),
		cmocka_unit_test(allowed_calls_work),
		cmocka_unit_test(the_kernel_confirms_it),
		cmocka_unit_test(the_supervisor_hands_on_codes_and_signals),
		cmocka_unit_test(a_killed_supervisor_takes_the_vmm_along),
		cmocka_unit_test(only_the_files_told_at_first_are_removed),
		cmocka_unit_test(a_missing_layer_is_told_or_refused),
		cmocka_unit_test(all_layers_are_here),
		cmocka_unit_test(users_are_found_or_refused),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
