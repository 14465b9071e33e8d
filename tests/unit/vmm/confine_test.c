// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests all layers of confinement by the true kernel: what it says of a process that has given all
 * up. confine_filter_test has the filters call by call, confine_live_test looks at a running guest.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <grp.h>
#include <poll.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "tests/unit/base/child.h"
#include "tests/unit/vmm/confine_fixture.h"
#include "vmm/confine/supervisor.h"

#define STAY_WITHOUT_A_MAP "--stay-without-a-map"
#define NOBODY		   65534

/* --- all layers ---------------------------------------------------------------------------- */

struct vmm {
	pid_t supervisor, pid; /* of the confined process, as seen from here */
	int out;	       /* what it says */
	int go;		       /* a byte: go on */
};

static const int ends[] = { SIGTERM, SIGINT, -1 };
static bool never_ready; /* the next one fails when it has confined itself */
static bool then_forks;	 /* the next one's supervisor makes a process at its end */

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

/* Returns @code if a child of this process's ends as it should. */
static int fork_once(int code)
{
	pid_t pid = fork();
	int status;

	if (!pid)
		_exit(0);
	return pid > 0 && waitpid(pid, &status, 0) == pid && !status ? code : 93;
}

/*
 * Starts a process that confines itself, says so, and does as @and_then when it is told to go on.
 * The supervisor is a child of ours, so that its end can be seen.
 */
static void vmm_start(struct vmm *v, enum confine_mode mode, const char *user, uid_t as,
		      const struct confine_file *files, int (*and_then)(const struct confine *c))
{
	int out[2], go[2];
	char ready[256] = "";
	ssize_t n;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(go, O_CLOEXEC), 0);
	v->supervisor = child_fork();
	if (!v->supervisor) {
		const struct confine_file none[] = { { .path = NULL } };
		struct confine *c = NULL;
		struct err e = { "" };
		int code = 0, ret;
		bool note;
		char byte;

		/* The user's rights are what the kernel told at the exec: become another by one. */
		if (as)
			_exit(96);
		dup2(out[1], STDERR_FILENO);
		ret = confine_fork(
			&c, &(struct confine_start){ .mode = mode, .user = user, .ends = ends },
			&code, &note, &e);
		if (ret == 1)
			_exit(then_forks ? fork_once(code) : code);
		if (!ret)
			ret = confine_enter(c, files ? files : none, &e);
		if (!ret && !never_ready)
			ret = confine_ready(c, &e);
		if (ret) {
			dprintf(out[1], "error: %s", e.text);
			_exit(95);
		}
		if (write(out[1], "ready", 5) != 5 || read(go[0], &byte, 1) != 1)
			_exit(94);
		dup2(go[0], STDIN_FILENO);
		_exit(and_then ? and_then(c) : 0);
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
	if (mode == CONFINE_MANAGED) {
		assert_int_equal(v->pid, 0);
		v->pid = v->supervisor;
	}
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

/* Looks at a process that is confined by @mode, from its @first namespace of these on. */
static void look_at_layers(enum confine_mode mode, size_t first)
{
	static const char *const namespaces[] = { "pid", "mnt", "net", "ipc", "uts" };
	char line[512], path[64], own[64], theirs[64];
	struct vmm v;

	if (needs_root())
		skip();
	vmm_start(&v, mode, "4242:4243", 0, NULL, NULL);
	expect_status(v.pid, "\nUid:", "4242\t4242\t4242\t4242");
	expect_status(v.pid, "\nGid:", "4243\t4243\t4243\t4243");
	expect_status(v.pid, "\nGroups:", " " + 1);
	expect_status(v.pid, "\nCapEff:", "0000000000000000");
	expect_status(v.pid, "\nCapPrm:", "0000000000000000");
	expect_status(v.pid, "\nCapInh:", "0000000000000000");
	expect_status(v.pid, "\nCapAmb:", "0000000000000000");
	expect_status(v.pid, "\nNoNewPrivs:", "1");
	expect_status(v.pid, "\nSeccomp:", FILTERED ? "2" : "0");
	for (size_t i = first; i < ARRAY_SIZE(namespaces); i++) {
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

static void the_kernel_confirms_it(void **state)
{
	(void)state;
	look_at_layers(CONFINE_ON, 0);
}

static void a_managed_process_is_confined_itself(void **state)
{
	(void)state;
	look_at_layers(CONFINE_MANAGED, 1);
}

/*
 * Is executed as this user: confines itself as a managed process whose map of users cannot be
 * written, as under libvirt's profile of AppArmor. Prints the layers that are missing.
 */
static int stay_without_a_map(void)
{
	const struct confine_file none[] = { { .path = NULL } };
	struct confine *c = NULL;
	struct err e = { "" };
	bool note;
	int code;

	/* The files of /proc/self are root's then. */
	prctl(PR_SET_DUMPABLE, 0);
	if (confine_fork(&c, &(struct confine_start){ .mode = CONFINE_MANAGED, .ends = ends },
			 &code, &note, &e) ||
	    confine_enter(c, none, &e)) {
		dprintf(STDOUT_FILENO, "%s", e.text);
		return 1;
	}
	dprintf(STDOUT_FILENO, "%s",
		json_dumps(json_object_get(confine_info(c), "missing"), JSON_COMPACT));
	return 0;
}

static void a_managed_process_does_without_a_map_of_users(void **state)
{
	int exe = open("/proc/self/exe", O_RDONLY | O_CLOEXEC), out[2], status;
	char line[1024];
	pid_t pid;

	(void)state;
	skip_unless_filtered();
	assert_true(exe >= 0);
	assert_int_equal(pipe(out), 0);
	pid = child_fork();
	if (!pid) {
		char *const argv[] = { "confine_test", STAY_WITHOUT_A_MAP, NULL };

		close(out[0]);
		dup2(out[1], STDOUT_FILENO);
		if (geteuid() || (!setgroups(0, NULL) && !setresgid(NOBODY, NOBODY, NOBODY) &&
				  !setresuid(NOBODY, NOBODY, NOBODY)))
			fexecve(exe, argv, environ);
		_exit(127);
	}
	close(exe);
	close(out[1]);
	status = outcome(pid, line, sizeof(line), out[0]);
	if (status)
		fail_msg("status %x: %s", status, line);
	assert_non_null(strstr(line, "\"mount\""));
	assert_null(strstr(line, "\"seccomp\""));
}

static int seven(const struct confine *c)
{
	(void)c;
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
	vmm_start(&v, CONFINE_ON, NULL, 0, NULL, seven);
	status = finish(&v, line, sizeof(line));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	/* Killed: said, and told by the code. */
	vmm_start(&v, CONFINE_ON, NULL, 0, NULL, NULL);
	kill(v.pid, SIGKILL);
	status = finish(&v, line, sizeof(line));
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGKILL);
	assert_non_null(strstr(line, "killed by signal 9"));
}

/* What its guest was too short for is done at the end, by a child. */
static void a_supervisor_can_fork_after_its_vmm(void **state)
{
	char line[512];
	struct vmm v;
	int status;

	(void)state;
	if (needs_root())
		skip();
	then_forks = true;
	vmm_start(&v, CONFINE_ON, NULL, 0, NULL, seven);
	then_forks = false;
	status = finish(&v, line, sizeof(line));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static int take_signal(const struct confine *c)
{
	sigset_t set;

	(void)c;
	/*
	 * No call for it is on the list of the event loop but reading a signalfd that exists: look.
	 */
	sigprocmask(SIG_BLOCK, NULL, &set);
	return sigismember(&set, SIGTERM) && sigismember(&set, SIGTTIN) &&
			       sigismember(&set, SIGTTOU)
		       ? 0
		       : 1;
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
	vmm_start(&v, CONFINE_ON, NULL, 0, NULL, take_signal);
	fd = (int)syscall(SYS_pidfd_open, v.pid, 0);
	assert_true(fd >= 0);
	kill(v.supervisor, SIGKILL);
	p = (struct pollfd){ .fd = fd, .events = POLLIN };
	assert_int_equal(poll(&p, 1, 5000), 1);
	close(fd);
	finish(&v, line, sizeof(line));
	/*
	 * And signals for the guest wait in the VMM, which reads them by a descriptor; those of a
	 * terminal whose foreground it has left are blocked for good.
	 */
	vmm_start(&v, CONFINE_ON, NULL, 0, NULL, take_signal);
	assert_int_equal(finish(&v, line, sizeof(line)), 0);
}

/* The directory of a test's sockets. */
static char sockets_dir[64];

static const char *in_sockets_dir(char path[96], const char *name)
{
	snprintf(path, 96, "%s/%s", sockets_dir, name);
	return path;
}

static int make_sockets_dir(void **state)
{
	(void)state;
	snprintf(sockets_dir, sizeof(sockets_dir), "/tmp/umbra-confine-test.XXXXXX");
	return mkdtemp(sockets_dir) ? 0 : -1;
}

static int remove_sockets_dir(void **state)
{
	static const char *const names[] = {
		"socket", "regular", "known", "taken", "next", "other"
	};
	char path[96];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		unlink(in_sockets_dir(path, names[i]));
	return rmdir(sockets_dir);
}

static void make_socket_file(const char *path)
{
	assert_int_equal(mknod(path, S_IFSOCK | 0600, 0), 0);
}

/* Does as a guest that took over the VMM: tells more names than were told at first. */
static int lie(const struct confine *c)
{
	struct supervisor_packet p = { .n = 1 };

	/* No path can be reached in here: with whatever identity, it must not be asked for. */
	snprintf(p.paths, sizeof(p.paths), "%s/other", sockets_dir);
	return write(c->guard, &p, sizeof(p)) < 0;
}

static void only_the_files_told_at_first_are_removed(void **state)
{
	char own[96], regular[96], known[96], taken[96], next[96], other[96], line[64];
	struct socket_id id[2];
	/*
	 * A regular file is nobody's socket, whoever names it; neither is one that took the own
	 * one's place.
	 */
	const struct confine_file files[] = {
		{ .path = in_sockets_dir(own, "socket") },
		{ .path = in_sockets_dir(regular, "regular") },
		{ .path = in_sockets_dir(known, "known"), .id = &id[0] },
		{ .path = in_sockets_dir(taken, "taken"), .id = &id[1] },
		{ .path = NULL }
	};
	struct vmm v;

	(void)state;
	if (needs_root())
		skip();
	make_socket_file(own);
	make_socket_file(known);
	make_socket_file(taken);
	make_socket_file(in_sockets_dir(next, "next"));
	assert_int_equal(socket_file_id(known, &id[0]), 0);
	assert_int_equal(socket_file_id(taken, &id[1]), 0);
	assert_int_equal(rename(next, taken), 0);
	make_socket_file(in_sockets_dir(other, "other"));
	close(open(regular, O_CREAT | O_WRONLY, 0600));
	vmm_start(&v, CONFINE_ON, NULL, 0, files, lie);
	assert_int_equal(finish(&v, line, sizeof(line)), 0);
	assert_int_equal(access(own, F_OK), -1);
	assert_int_equal(access(regular, F_OK), 0);
	assert_int_equal(access(known, F_OK), -1);
	assert_int_equal(access(taken, F_OK), 0);
	assert_int_equal(access(other, F_OK), 0);
}

/* --- threads, as the host numbers them ----------------------------------------------------- */

static void say_id(const struct confine *c, const char *end)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d%s", confine_thread_id(c), end);

	if (write(STDERR_FILENO, text, (size_t)len) != len)
		_exit(91);
}

static void *thread_tell_id(void *arg)
{
	char byte;

	confine_thread(arg, THREAD_VCPU);
	say_id(arg, "\n");
	return read(STDIN_FILENO, &byte, 1) == 1 ? NULL : arg;
}

static int tell_ids(const struct confine *c)
{
	void *result, *arg = (void *)(uintptr_t)c;
	pthread_t t;

	say_id(c, " ");
	return pthread_create(&t, NULL, thread_tell_id, arg) || pthread_join(t, &result) || result;
}

static void hear_thread_ids(enum confine_mode mode)
{
	char line[512] = "", status[64], *end;
	pid_t first, second;
	struct vmm v;
	bool known;
	ssize_t n;

	if (needs_root())
		skip();
	vmm_start(&v, mode, NULL, 0, NULL, tell_ids);
	assert_int_equal(write(v.go, "x", 1), 1);
	for (size_t at = 0; !strchr(line, '\n'); at += (size_t)n) {
		n = read(v.out, line + at, sizeof(line) - 1 - at);
		assert_true(n > 0);
	}
	first = (pid_t)strtol(line, &end, 10);
	second = (pid_t)strtol(end, &end, 10);
	if (first <= 0 || second <= 0)
		fail_msg("no two numbers: %s", line);
	/* Within its namespace the thread is number 2, of which this /proc knows nothing. */
	snprintf(status, sizeof(status), "task/%d/status", second);
	known = strstr(read_proc(v.pid, status), "\nNSpid:");
	assert_int_equal(finish(&v, line, sizeof(line)), 0);
	assert_int_equal(first, v.pid);
	assert_int_not_equal(second, first);
	if (!known)
		fail_msg("process %d has no thread %d", v.pid, second);
}

static void threads_know_their_numbers_on_the_host(void **state)
{
	(void)state;
	hear_thread_ids(CONFINE_ON);
	hear_thread_ids(CONFINE_MANAGED);
}

/*
 * A record that a start has made is in the way of the next one, if nothing came of the start; a
 * file for a dump is of no use when there was none.
 */
static void an_unused_file_goes_with_a_start_that_failed(void **state)
{
	char empty[96], full[96], spare[96], dump[96], line[64];
	const struct confine_file files[] = {
		{ .path = in_sockets_dir(empty, "regular"), .unused = true },
		{ .path = in_sockets_dir(full, "other"), .unused = true },
		{ .path = in_sockets_dir(spare, "spare"), .unused = true, .spare = true },
		{ .path = in_sockets_dir(dump, "dump"), .unused = true, .spare = true },
		{ .path = NULL }
	};
	struct vmm v;

	(void)state;
	if (needs_root())
		skip();
	for (int i = 0; i < 2; i++) {
		int fd = open(full, O_CREAT | O_WRONLY, 0600);
		int dump_fd = open(dump, O_CREAT | O_WRONLY, 0600);
		int spare_fd = open(spare, O_CREAT | O_WRONLY, 0600);

		close(open(empty, O_CREAT | O_WRONLY, 0600));
		never_ready = i;
		vmm_start(&v, CONFINE_ON, NULL, 0, files, NULL);
		never_ready = false;
		assert_int_equal(write(fd, "x", 1), 1); /* it is used meanwhile */
		assert_int_equal(write(dump_fd, "x", 1), 1);
		assert_int_equal(write(spare_fd, "x", 1), 1); /* and is emptied again */
		assert_int_equal(ftruncate(spare_fd, 0), 0);
		close(spare_fd);
		close(fd);
		close(dump_fd);
		assert_int_equal(finish(&v, line, sizeof(line)), 0);
		assert_int_equal(access(empty, F_OK), i ? -1 : 0);
		assert_int_equal(access(full, F_OK), 0);
		assert_int_equal(access(spare, F_OK), -1);
		assert_int_equal(access(dump, F_OK), 0);
		unlink(full);
		unlink(dump);
	}
}

/* Until it is ready it reads no signals, so that one ends it. */
static void a_signal_ends_a_start_that_is_confined_already(void **state)
{
	char line[512];
	struct vmm v;
	int status;

	(void)state;
	if (needs_root())
		skip();
	never_ready = true;
	vmm_start(&v, CONFINE_ON, NULL, 0, NULL, NULL);
	never_ready = false;
	kill(v.supervisor, SIGTERM);
	assert_int_equal(poll(&(struct pollfd){ .fd = v.out, .events = POLLIN }, 1, 5000), 1);
	close(v.go);
	status = outcome(v.supervisor, line, sizeof(line), v.out);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGTERM);
	assert_non_null(strstr(line, "before the guest had started"));
}

/* --- a host that lacks something ----------------------------------------------------------- */

/*
 * Takes a system call away, as if the kernel had no such one. Without unshare() there are no
 * namespaces by clone() either; of prctl() it takes the one that tells where a thread's id is.
 */
static void take_away(long nr, int error)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)nr, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)error),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = ARRAY_SIZE(code), .filter = code };
	int ret;

	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	if (nr == SYS_prctl)
		ret = refuse_calls(nr, BPF_JEQ, PR_GET_TID_ADDRESS, (unsigned)error);
	else if (nr == SYS_unshare)
		ret = refuse_namespaces();
	else
		ret = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog);
	if (ret)
		_exit(93);
}

/*
 * Returns what confine_enter() returns in a child where @nr fails; the missing layer's name goes to
 * @line.
 */
static int enter_without(long nr, int error, enum confine_mode mode, char *line, size_t size)
{
	int out[2];
	pid_t pid;

	assert_int_equal(pipe(out), 0);
	pid = child_fork();
	if (!pid) {
		const struct confine_file none[] = { { .path = NULL } };
		struct confine *c = NULL;
		struct err e = { "" };
		int code = 0, ret;
		bool note;
		char *text;

		close(out[0]);
		take_away(nr, error);
		ret = confine_fork(&c, &(struct confine_start){ .mode = mode, .ends = ends }, &code,
				   &note, &e);
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
	skip_unless_filtered();
	if (needs_root())
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

/* A kernel without CONFIG_CHECKPOINT_RESTORE: one layer is entered in another way. */
static void a_kernel_may_not_tell_where_thread_ids_are(void **state)
{
	char line[1024];

	(void)state;
	skip_unless_filtered();
	if (needs_root())
		skip();
	assert_int_equal(enter_without(SYS_prctl, EINVAL, CONFINE_ON, line, sizeof(line)), 0);
	assert_null(strstr(line, "pid"));
	assert_null(strstr(line, "mount"));
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

static void what_is_refused_is_one_line(void **state)
{
	struct confine c = { .mode = CONFINE_MANAGED };
	char line[512], brief[16], why[200], expected[512];

	(void)state;
	c.why[LAYER_PID] = CONFINE_NOT_HERE; /* as ever with this mode */
	assert_false(confine_refused(&c, line, sizeof(line)));
	assert_string_equal(line, "");
	c.why[LAYER_MOUNT] = c.why[LAYER_NET] = c.why[LAYER_IPC] = EACCES;
	snprintf(why, sizeof(why), "%s", confine_layer_reason(LAYER_MOUNT, EACCES));
	assert_non_null(strstr(why, "AppArmor"));
	snprintf(expected, sizeof(expected), "\"mount\", \"net\", \"ipc\": %s", why);
	assert_true(confine_refused(&c, line, sizeof(line)));
	assert_string_equal(line, expected);
	c.why[LAYER_NET] = 0;
	c.why[LAYER_LANDLOCK] = ENOSYS;
	snprintf(expected, sizeof(expected), "\"mount\", \"ipc\": %s; \"landlock\": %s", why,
		 confine_layer_reason(LAYER_LANDLOCK, ENOSYS));
	assert_true(confine_refused(&c, line, sizeof(line)));
	assert_string_equal(line, expected);
	assert_true(confine_refused(&c, brief, sizeof(brief)));
	assert_memory_equal(brief, expected, sizeof(brief) - 1);
	assert_int_equal(brief[sizeof(brief) - 1], '\0');
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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_confirms_it),
		cmocka_unit_test(a_managed_process_is_confined_itself),
		cmocka_unit_test(a_managed_process_does_without_a_map_of_users),
		cmocka_unit_test(the_supervisor_hands_on_codes_and_signals),
		cmocka_unit_test(a_supervisor_can_fork_after_its_vmm),
		cmocka_unit_test(a_killed_supervisor_takes_the_vmm_along),
		cmocka_unit_test_setup_teardown(only_the_files_told_at_first_are_removed,
						make_sockets_dir, remove_sockets_dir),
		cmocka_unit_test_setup_teardown(an_unused_file_goes_with_a_start_that_failed,
						make_sockets_dir, remove_sockets_dir),
		cmocka_unit_test(a_signal_ends_a_start_that_is_confined_already),
		cmocka_unit_test(threads_know_their_numbers_on_the_host),
		cmocka_unit_test(a_missing_layer_is_told_or_refused),
		cmocka_unit_test(a_kernel_may_not_tell_where_thread_ids_are),
		cmocka_unit_test(all_layers_are_here),
		cmocka_unit_test(what_is_refused_is_one_line),
		cmocka_unit_test(users_are_found_or_refused),
	};

	if (argc == 2 && !strcmp(argv[1], STAY_WITHOUT_A_MAP))
		return stay_without_a_map();
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
