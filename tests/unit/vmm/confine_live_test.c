// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the command itself with a guest, whose threads are made to call what is on none of their
 * lists, as by somebody who has taken them over: by ptrace, so as root, and with a /dev/kvm that
 * runs anything.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sanitizer.h"
#include "base/types.h"
#include "tests/unit/base/child.h"
#include "tests/unit/vmm/command_fixture.h"
#include "tests/unit/vmm/confine_fixture.h"
#include "vmm/control/client.h"

#define KILLED	    (128 + SIGSYS)
#define PATIENCE_MS 10000
#define INSTRUCTION 0x050f /* syscall */
#define PROC_MAX    8192
#define NOBODY	    65534

struct guest {
	pid_t supervisor, vmm;
	int errors; /* what it says */
	char name[32];
};

struct call {
	const char *what;
	long nr;
	unsigned long args[3];
};

static char vmm[COMMAND_PATH], kernel[4096];
static unsigned inherited; /* filters that a guest's vmm had at its start */

static void nap(void)
{
	poll(NULL, 0, 10);
}

/* Returns what one read(2) gives, or nothing, with NULs behind. */
static char *read_fd(int fd)
{
	static char text[PROC_MAX];
	size_t len = 0;
	ssize_t n;

	while (fd >= 0 && (n = read(fd, text + len, sizeof(text) - 1 - len)) > 0)
		len += (size_t)n;
	memset(text + len, 0, sizeof(text) - len);
	return text;
}

static char *read_proc(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *text = read_fd(fd);

	if (fd >= 0)
		close(fd);
	return text;
}

static pid_t child_of(pid_t pid, const char *word)
{
	char path[64], list[256], *at = list, *end;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	snprintf(list, sizeof(list), "%s", read_proc(path));
	for (pid_t child; (child = (pid_t)strtol(at, &end, 10)) > 0; at = end) {
		snprintf(path, sizeof(path), "/proc/%d/cmdline", child);
		/* Its own name; or "vmm", NUL, and the command. */
		if (!strcmp(read_proc(path), word) ||
		    !strcmp(read_proc(path) + strlen(read_proc(path)) + 1, word))
			return child;
	}
	return 0;
}

/* Returns the process of the user-mode network, which has a keeper between itself and the VMM. */
static pid_t helper_of(pid_t vmm_pid)
{
	pid_t keeper = child_of(vmm_pid, "net-helper");

	return keeper ? child_of(keeper, "net-helper") : 0;
}

static bool filtered(pid_t tid, unsigned filters)
{
	char path[64], *at;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	at = strstr(read_proc(path), "\nSeccomp_filters:");
	return at && strtoul(at + 17, NULL, 10) == filters;
}

/* While a thread makes another it takes no signals, and the kernel kills it without a word. */
static bool silent(pid_t tid)
{
	char path[64], *at;

	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	at = strstr(read_proc(path), "\nSigBlk:");
	return !at || strtoull(at + 8, NULL, 16) >> (SIGSYS - 1) & 1;
}

/* Returns the thread of that name, once it has confined itself; 0: it is not there. */
static pid_t find_thread(pid_t pid, const char *name)
{
	unsigned filters = (strncmp(name, "vmm", 3) ? 2 : 1) + inherited;
	char path[64], want[32];
	struct dirent *d;
	pid_t tid = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	snprintf(want, sizeof(want), "%s\n", name);
	dir = opendir(path);
	while (dir && !tid && (d = readdir(dir))) {
		pid_t one = (pid_t)strtol(d->d_name, NULL, 10);

		snprintf(path, sizeof(path), "/proc/%d/comm", one);
		if (one > 0 && !strcmp(read_proc(path), want) && filtered(one, filters))
			tid = one;
	}
	if (dir)
		closedir(dir);
	return tid;
}

static pid_t await_thread(pid_t pid, const char *name)
{
	pid_t tid = 0;

	for (int i = 0; i < PATIENCE_MS / 10 && !(tid = find_thread(pid, name)); i++)
		nap();
	return tid;
}

/* Starts a guest; @before is called in its process, and may not return. */
static void launch(struct guest *g, void (*before)(void), const char *option, const char *value)
{
	int out[2];

	snprintf(g->name, sizeof(g->name), "confine-live-%d", getpid());
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	g->supervisor = child_fork();
	if (!g->supervisor) {
		int null = open("/dev/null", O_RDWR);

		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(out[1], STDERR_FILENO);
		if (before)
			before();
		execl(vmm, "vmm", "run", "--name", g->name, "--memory", "128M", "--kernel", kernel,
		      option, value, NULL);
		_exit(127);
	}
	close(out[1]);
	g->errors = out[0];
	g->vmm = 0;
}

static void await_guest(struct guest *g)
{
	for (int i = 0; i < PATIENCE_MS / 10 && !g->vmm; i++, nap())
		g->vmm = child_of(g->supervisor, "run");
	/* The vCPU's is the last one. */
	if (!g->vmm || !await_thread(g->vmm, "vcpu0")) {
		kill(g->supervisor, SIGKILL);
		fail_msg("no confined guest: %s", read_fd(g->errors));
	}
}

static void guest_start(struct guest *g, const char *option, const char *value)
{
	launch(g, NULL, option, value);
	await_guest(g);
}

/* Waits until the guest's VMM has said @want, which it may say in pieces. */
static void await_line(const struct guest *g, const char *want, char *said, size_t size)
{
	struct pollfd p = { .fd = g->errors, .events = POLLIN };
	size_t n = 0;
	ssize_t more;

	said[0] = '\0';
	while (!strstr(said, want)) {
		more = poll(&p, 1, PATIENCE_MS) > 0 ? read(g->errors, said + n, size - 1 - n) : -1;
		if (more <= 0)
			fail_msg("no \"%s\" in: %s", want, said);
		n += (size_t)more;
		said[n] = '\0';
	}
}

/* Returns the guest's exit code; what it said goes into @line. */
static int finish(struct guest *g, char *line, size_t size)
{
	struct pollfd end = { .fd = g->errors, .events = POLLIN };
	ssize_t n = 0, more;
	int status;

	/* A guest that lives on is no reason to wait for ever. */
	if (poll(&end, 1, PATIENCE_MS) <= 0)
		kill(g->supervisor, SIGKILL);
	while ((more = read(g->errors, line + n, size - 1 - (size_t)n)) > 0)
		n += more;
	line[n] = '\0';
	close(g->errors);
	child_await(g->supervisor, &status);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/*
 * Stops a thread when it is in a system call or has just left one, and has the next be @c. @stay:
 * until it is over, and as if nothing had been then; its result.
 */
static long inject(pid_t tid, const struct call *c, bool stay)
{
	struct user_regs_struct old, regs;
	bool in_call = false;
	int status;

	assert_int_equal(ptrace(PTRACE_SEIZE, tid, NULL, NULL), 0);
	for (int i = 0; i < PATIENCE_MS / 10; i++, nap()) {
		assert_int_equal(ptrace(PTRACE_INTERRUPT, tid, NULL, NULL), 0);
		assert_int_equal(child_next(tid, &status), tid);
		assert_true(WIFSTOPPED(status));
		assert_int_equal(ptrace(PTRACE_GETREGS, tid, NULL, &old), 0);
		in_call = (ptrace(PTRACE_PEEKTEXT, tid, old.rip - 2, NULL) & 0xffff) == INSTRUCTION;
		in_call = in_call && !silent(tid);
		if (in_call)
			break;
		assert_int_equal(ptrace(PTRACE_CONT, tid, NULL, NULL), 0);
	}
	assert_true(in_call);
	regs = old;
	regs.rip -= 2;
	regs.orig_rax = (unsigned long long)-1; /* nothing to restart */
	regs.rax = (unsigned long long)c->nr;
	regs.rdi = c->args[0];
	regs.rsi = c->args[1];
	regs.rdx = c->args[2];
	assert_int_equal(ptrace(PTRACE_SETREGS, tid, NULL, &regs), 0);
	if (stay) {
		assert_int_equal(ptrace(PTRACE_SINGLESTEP, tid, NULL, NULL), 0);
		assert_int_equal(child_next(tid, &status), tid);
		assert_true(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
		assert_int_equal(ptrace(PTRACE_GETREGS, tid, NULL, &regs), 0);
		assert_int_equal(ptrace(PTRACE_SETREGS, tid, NULL, &old), 0);
	}
	assert_int_equal(ptrace(PTRACE_DETACH, tid, NULL, NULL), 0);
	return (long)regs.rax;
}

static int find_parts(void **state)
{
	(void)state;
	command_find(vmm);
	command_image(kernel, sizeof(kernel), "cloud/vmlinuz");
	return 0;
}

static bool cannot(void)
{
#if SANITIZER_ADDRESS || SANITIZER_THREAD
	printf("SKIP the sanitizer makes calls of its own\n");
	return true;
#else
	if (!geteuid() && !access(kernel, R_OK) && !access("/dev/kvm", R_OK | W_OK))
		return false;
	printf("SKIP needs root, /dev/kvm and %s\n", kernel);
	return true;
#endif
}

static void expect_killed(const char *thread, const struct call *c)
{
	char line[1024], want[64], socket[64];
	struct guest g = { 0 };
	int code;

	guest_start(&g, NULL, NULL);
	inject(await_thread(g.vmm, thread), c, false);
	code = finish(&g, line, sizeof(line));
	snprintf(want, sizeof(want), "vmm: system call %ld of thread %s is forbidden", c->nr,
		 thread);
	if (code != KILLED || !strstr(line, want))
		fail_msg("%s by %s: code %d, and: %s", c->what, thread, code, line);
	/* Nor does it leave its socket, which it cannot remove itself. */
	snprintf(socket, sizeof(socket), "/run/umbra/%s.sock", g.name);
	assert_int_equal(access(socket, F_OK), -1);
}

static void forbidden_calls_end_the_guest(void **state)
{
	const struct call by_vcpu[] = {
		{ "execve", SYS_execve, { 0 } },
		{ "openat", SYS_openat, { (unsigned long)AT_FDCWD, 0, O_RDONLY } },
		{ "io_uring_setup", SYS_io_uring_setup, { 0 } },
	};
	const struct call by_main[] = {
		{ "socket", SYS_socket, { AF_INET, SOCK_STREAM } },
		{ "rt_sigaction", SYS_rt_sigaction, { SIGSYS } },
	};

	(void)state;
	if (cannot())
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(by_vcpu); i++)
		expect_killed("vcpu0", &by_vcpu[i]);
	for (size_t i = 0; i < ARRAY_SIZE(by_main); i++)
		expect_killed("vmm", &by_main[i]);
}

/* So that what killed it above was the call, and not that one was put there. */
static void an_allowed_call_does_not(void **state)
{
	const struct call getpid_ = { "getpid", SYS_getpid, { 0 } };
	char line[1024];
	struct guest g = { 0 };

	(void)state;
	if (cannot())
		skip();
	guest_start(&g, NULL, NULL);
	/* The first of its namespace. */
	assert_int_equal(inject(await_thread(g.vmm, "vcpu0"), &getpid_, true), 1);
	assert_int_equal(inject(await_thread(g.vmm, "vmm"), &getpid_, true), 1);
	kill(g.supervisor, SIGTERM);
	assert_int_equal(finish(&g, line, sizeof(line)), 128 + SIGTERM);
	assert_null(strstr(line, "forbidden"));
}

/* Its process ends, and the guest goes on: with another one. */
static void the_networks_process_is_confined_too(void **state)
{
	const struct call unix_ = { "socket", SYS_socket, { AF_UNIX, SOCK_STREAM } };
	char line[1024], said[2048];
	struct guest g = { 0 };
	pid_t helper;

	(void)state;
	if (cannot())
		skip();
	guest_start(&g, "--net", "user");
	helper = helper_of(g.vmm);
	assert_true(helper > 0);
	assert_int_equal(await_thread(helper, "vmm-net"), helper);
	inject(helper, &unix_, false);
	await_line(&g, "--net user: its process was started again", said, sizeof(said));
	assert_non_null(strstr(said, " of thread vmm-net is forbidden"));
	assert_int_not_equal(helper_of(g.vmm), helper);
	helper = helper_of(g.vmm);
	assert_true(helper > 0);
	assert_int_equal(await_thread(helper, "vmm-net"), helper);
	kill(g.supervisor, SIGTERM);
	assert_int_equal(finish(&g, line, sizeof(line)), 128 + SIGTERM);
}

/* Becomes a user who may use /dev/kvm, and has no home. */
static void become_nobody(void)
{
	struct stat st;
	gid_t group;

	if (stat("/dev/kvm", &st))
		_exit(126);
	group = st.st_gid;
	unsetenv("HOME");
	if (setgroups(1, &group) || setresgid(NOBODY, NOBODY, NOBODY) ||
	    setresuid(NOBODY, NOBODY, NOBODY))
		_exit(126);
}

/* Becomes that user where namespaces are refused, as container runtimes do it. */
static void become_nobody_without_namespaces(void)
{
	become_nobody();
	if (refuse_namespaces())
		_exit(126);
}

/* Returns true if that user cannot read what a guest needs. */
static bool nobody_cannot(void)
{
	int status;
	pid_t pid = child_fork();

	if (!pid) {
		become_nobody();
		_exit(access(vmm, X_OK) || access(kernel, R_OK) || access("/dev/kvm", R_OK | W_OK));
	}
	child_await(pid, &status);
	return !WIFEXITED(status) || WEXITSTATUS(status);
}

static unsigned count_lines(const char *s)
{
	unsigned n = 0;

	for (; *s; s++)
		n += *s == '\n';
	return n;
}

static bool same_namespace(pid_t a, pid_t b, const char *kind)
{
	struct stat of[2];
	char path[64];

	for (int i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%d/ns/%s", i ? b : a, kind);
		assert_int_equal(stat(path, &of[i]), 0);
	}
	return of[0].st_ino == of[1].st_ino;
}

/*
 * Counts the writable mounts in the namespace of @pid; proc(5): the sixth field of a line has the
 * options of the mount.
 */
static unsigned writable_mounts(pid_t pid)
{
	char path[64], *line, *rest, options[64];
	unsigned n = 0;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	rest = read_proc(path);
	assert_true(count_lines(rest) > 0);
	while ((line = strsep(&rest, "\n")) && *line) {
		assert_int_equal(sscanf(line, "%*s %*s %*s %*s %*s %63s", options), 1);
		n += strncmp(options, "ro", 2) != 0;
	}
	return n;
}

/* Of no kind: what a helper was lent to make namespaces is gone, and so is what the VMM had. */
static bool has_capabilities(pid_t pid)
{
	static const char *const kinds[] = { "CapInh:\t", "CapPrm:\t", "CapEff:\t", "CapAmb:\t" };
	char path[64], *status;
	bool has = false;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = read_proc(path);
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		const char *line = strstr(status, kinds[i]);

		assert_non_null(line);
		has |= strtoull(line + strlen(kinds[i]), NULL, 16) != 0;
	}
	return has;
}

static void a_user_without_a_home_gets_all_layers(void **state)
{
	char line[1024];
	struct guest g = { 0 };
	pid_t helper;

	(void)state;
	if (cannot() || nobody_cannot())
		skip();
	launch(&g, become_nobody, "--confine=strict", "--net=user");
	await_guest(&g);
	helper = helper_of(g.vmm);
	assert_int_equal(await_thread(helper, "vmm-net"), helper);
	assert_int_equal(writable_mounts(helper), 0);
	assert_false(has_capabilities(helper));
	assert_false(has_capabilities(g.vmm));
	assert_false(same_namespace(helper, getpid(), "user"));
	assert_true(same_namespace(helper, getpid(), "net"));
	kill(g.supervisor, SIGTERM);
	assert_int_equal(finish(&g, line, sizeof(line)), 128 + SIGTERM);
	if (count_lines(line) != 1)
		fail_msg("one line was expected: %s", line);
}

static void without_namespaces_there_are_fewer_layers(void **state)
{
	char line[1024];
	struct guest g = { 0 };

	(void)state;
	if (cannot() || nobody_cannot())
		skip();
	launch(&g, become_nobody_without_namespaces, "--confine", "on");
	inherited = 2;
	await_guest(&g);
	inherited = 0;
	kill(g.supervisor, SIGTERM);
	assert_int_equal(finish(&g, line, sizeof(line)), 128 + SIGTERM);
	if (count_lines(line) != 1)
		fail_msg("one line was expected: %s", line);
	launch(&g, become_nobody_without_namespaces, "--confine", "strict");
	assert_int_equal(finish(&g, line, sizeof(line)), 1);
	if (count_lines(line) != 1 || !strstr(line, "--confine strict: ") ||
	    !strstr(line, "the layer \"pid\""))
		fail_msg("the layer was to be named: %s", line);
}

/* Returns what `vmm info --json` prints, run as @become has it; NULL: as the caller. */
static json_t *info_of(const struct guest *g, void (*become)(void))
{
	json_t *info;
	int out[2];
	pid_t pid;

	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	pid = child_fork();
	assert_true(pid >= 0);
	if (!pid) {
		dup2(out[1], STDOUT_FILENO);
		if (become)
			become();
		execl(vmm, "vmm", "info", "--json", g->name, NULL);
		_exit(127);
	}
	close(out[1]);
	info = json_loadfd(out[0], 0, NULL);
	close(out[0]);
	child_await(pid, NULL);
	return info;
}

/* Checks that the id of a vCPU's thread is the one that this process's /proc has. */
static void expect_thread(const struct guest *g, unsigned cpu, const json_t *id)
{
	char name[16];

	snprintf(name, sizeof(name), "vcpu%u", cpu);
	assert_int_equal(json_integer_value(id), await_thread(g->vmm, name));
}

static void expect_threads(const struct guest *g, void (*become)(void))
{
	json_t *info = NULL, *list = NULL;

	/* It has none before the first exit of vCPU 0. */
	for (int i = 0; i < PATIENCE_MS / 10 && !list; i++, nap()) {
		json_decref(info);
		info = info_of(g, become);
		list = json_object_get(json_object_get(info, "guest"), "vcpu-threads");
	}
	assert_int_equal(json_array_size(list), 2);
	for (unsigned i = 0; i < 2; i++)
		expect_thread(g, i, json_array_get(list, i));
	json_decref(info);
}

static void end_guest(struct guest *g)
{
	char line[1024];

	kill(g->supervisor, SIGTERM);
	assert_int_equal(finish(g, line, sizeof(line)), 128 + SIGTERM);
}

/* Returns what query-cpus-fast says, whose ids are those of threads that have their filter once. */
static json_t *cpus_of(const struct guest *g)
{
	json_t *cpus = NULL;
	struct err e = { "" };

	if (client_call_once(g->name, "query-cpus-fast", NULL, &cpus, &e))
		fail_msg("%s", e.text);
	assert_int_equal(json_array_size(cpus), 2);
	for (unsigned i = 0; i < 2; i++)
		expect_thread(g, i, json_object_get(json_array_get(cpus, i), "thread-id"));
	return cpus;
}

/* Resets the guest; returns when it has started anew. */
static void reset_guest(const struct guest *g)
{
	struct client *c = NULL;
	struct err e = { "" };
	json_t *event = NULL;
	bool done = false;

	if (client_open(&c, g->name, PATIENCE_MS, &e) ||
	    client_call(c, "system_reset", NULL, NULL, &e))
		fail_msg("%s", e.text);
	while (!done) {
		assert_int_equal(client_event(c, PATIENCE_MS, &event), 0);
		done = !strcmp(json_string_value(json_object_get(event, "event")), "RESET");
		json_decref(event);
	}
	client_close(c);
}

static void threads_have_the_hosts_ids(void **state)
{
	struct guest g = { 0 };
	json_t *before, *after;

	(void)state;
	if (cannot())
		skip();
	guest_start(&g, "--cpus", "2");
	expect_threads(&g, NULL);
	before = cpus_of(&g);
	reset_guest(&g);
	after = cpus_of(&g);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
	end_guest(&g);
}

/* In a user namespace, and where there is none. */
static void threads_of_a_user_have_the_hosts_ids(void **state)
{
	struct guest g = { 0 };

	(void)state;
	if (cannot() || nobody_cannot())
		skip();
	launch(&g, become_nobody, "--cpus", "2");
	await_guest(&g);
	expect_threads(&g, become_nobody);
	end_guest(&g);
	launch(&g, become_nobody_without_namespaces, "--cpus", "2");
	inherited = 2;
	await_guest(&g);
	expect_threads(&g, become_nobody);
	inherited = 0;
	end_guest(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(forbidden_calls_end_the_guest),
		cmocka_unit_test(an_allowed_call_does_not),
		cmocka_unit_test(the_networks_process_is_confined_too),
		cmocka_unit_test(a_user_without_a_home_gets_all_layers),
		cmocka_unit_test(without_namespaces_there_are_fewer_layers),
		cmocka_unit_test(threads_have_the_hosts_ids),
		cmocka_unit_test(threads_of_a_user_have_the_hosts_ids),
	};

	return cmocka_run_group_tests(tests, find_parts, NULL);
}
