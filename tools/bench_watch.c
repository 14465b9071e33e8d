// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench_watch [OPTION]... COMMAND...: runs a VMM and says what it cost, as one line of JSON.
 * bench_watch --ram MIB --process PID: says what a VMM that runs needs of memory, and nothing else.
 *
 *   --console FILE   where its standard output goes as well
 *   --ram MIB        size of the guest's RAM, which is not counted then
 *   --until MARK     kill it at this mark (default: let it end)
 *   --memory MARK    take the memory of the process there (default: at the first mark)
 *   --calls          count system calls, of all its threads and children, from marks named
 *                    "count-..." to the next mark
 *   --first-run      kill it where it first enters the guest
 *   --timeout S      kill it then, status 1 (default: 120)
 *
 * A guest that writes a line "@@ mark NAME" is at a mark: time since exec, KVM's counters for it
 * and, at one of them, the memory of the process are taken. Then a line is written to its standard
 * input, so a guest that waits for one stands still while it is looked at.
 *
 * The counters are those of debugfs (kvm/PID-FD). A VMM's memory is what smaps lists of the process
 * with the guest, without its helpers, but the guest's RAM, which is the run of neighbouring
 * mappings of one kind that is as large as that. Of it, "own" is what no other process can share,
 * anonymous pages; whether the pages of a program's file count as private depends on the others
 * that run it at the moment, and as dirty, on when it was built. "pss" and "private" are the
 * kernel's own words.
 *
 * The first entry to the guest is seen by a system call filter that the VMM is started with: it
 * lets all calls pass but KVM_RUN, which waits for an answer of this program, that never comes.
 * That needs nothing of the VMM (a library to preload would, a dynamic loader), works through
 * whatever processes and namespaces it makes, and costs some 0.1 us for a call; a tracer would cost
 * more than what is measured.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/kvm.h>
#include <linux/perf_event.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

#define MARKS_MAX   128
#define KVM_DIR	    "/sys/kernel/debug/kvm"
#define SYSCALL_ID  "/sys/kernel/debug/tracing/events/raw_syscalls/sys_enter/id"
#define COUNT_CALLS "count-" /* marks that begin thus */

static const char *const counters[] = {
	"exits",	"io_exits",	  "mmio_exits", "irq_exits", "halt_exits",
	"signal_exits", "insn_emulation", "pf_taken",	"req_event",
};
#define N_COUNTERS (sizeof(counters) / sizeof(counters[0]))

struct mark {
	char name[32];
	double ms;
	uint64_t counter[N_COUNTERS], calls;
};

struct footprint {
	uint64_t own_kib, resident_kib, pss_kib, private_kib;
};

struct mark_watch {
	const char *until, *memory_at;
	FILE *console;
	uint64_t ram;
	double limit_ms;
	bool count_calls, first_run;
	pid_t process; /* of --process, or 0 */
	pid_t child;
	int calls;    /* perf's counter, or -1 */
	int in, out;  /* our ends */
	int listener; /* where the filter reports KVM_RUN, or -1 */
	double start_ms, first_run_ms;
	struct footprint memory;
	struct mark marks[MARKS_MAX];
	unsigned n;
	char line[512];
	size_t used;
	bool done;
};

static uint64_t read_counter(const char *dir, const char *name)
{
	char path[384], text[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), KVM_DIR "/%s/%s", dir, name);
	f = fopen(path, "re");
	if (!f)
		return 0;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return strtoull(text, NULL, 10);
}

/*
 * Returns the process with the guest: of a VMM that is confined it is the child of the one that was
 * started, and the first of a process namespace of its own.
 */
static pid_t guest_process(pid_t pid)
{
	char path[64], line[256];
	bool found = false;
	char *end;
	int inner = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)pid, (int)pid);
	f = fopen(path, "re");
	if (f && fgets(line, sizeof(line), f))
		inner = (int)strtol(line, NULL, 10);
	if (f)
		fclose(f);
	snprintf(path, sizeof(path), "/proc/%d/status", inner);
	f = inner ? fopen(path, "re") : NULL;
	/* "NSpid:" and its id in each namespace. */
	while (f && fgets(line, sizeof(line), f))
		if (!strncmp(line, "NSpid:", 6) && strtol(line + 6, &end, 10))
			found = strtol(end, NULL, 10) != 0;
	if (f)
		fclose(f);
	return found ? inner : pid;
}

static void read_counters(pid_t pid, uint64_t *to)
{
	DIR *dir = opendir(KVM_DIR);
	struct dirent *d;
	char prefix[24];

	if (!dir)
		return;
	snprintf(prefix, sizeof(prefix), "%d-", (int)pid);
	while ((d = readdir(dir)))
		for (size_t i = 0; i < N_COUNTERS; i++)
			if (!strncmp(d->d_name, prefix, strlen(prefix)))
				to[i] = read_counter(d->d_name, counters[i]);
	closedir(dir);
}

/* A mapping, or several neighbours that differ in nothing but their addresses. */
struct mapping {
	uint64_t from, to;
	struct footprint f;
	char rights[8], name[128], flags[128];
};

/* Parses the first line of a mapping, "FROM-TO RIGHTS OFFSET DEVICE INODE [NAME]". */
static bool parse_mapping(const char *line, struct mapping *m)
{
	uint64_t from;
	char *end;

	from = strtoull(line, &end, 16);
	if (end == line || *end != '-')
		return false;
	*m = (struct mapping){ .from = from, .to = strtoull(end + 1, &end, 16) };
	return *end == ' ' && sscanf(end, "%7s %*s %*s %*s %127s", m->rights, m->name) >= 1;
}

static void footprint_add(struct footprint *to, const struct footprint *f)
{
	to->own_kib += f->own_kib;
	to->resident_kib += f->resident_kib;
	to->pss_kib += f->pss_kib;
	to->private_kib += f->private_kib;
}

static void count_mapping(const struct mapping *m, uint64_t ram, struct footprint *sum)
{
	if (!ram || m->to - m->from < ram - ram / 16)
		footprint_add(sum, &m->f);
}

static bool mapping_join(struct mapping *m, const struct mapping *next)
{
	if (next->from != m->to || strcmp(next->rights, m->rights) != 0 ||
	    strcmp(next->name, m->name) != 0 || strcmp(next->flags, m->flags) != 0)
		return false;
	m->to = next->to;
	footprint_add(&m->f, &next->f);
	return true;
}

static void measure_footprint(pid_t pid, uint64_t ram, struct footprint *sum)
{
	struct mapping run = { .from = 0 }, m = { .from = 0 };
	char path[64], line[512];
	FILE *f;

	*sum = (struct footprint){ 0 };
	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	f = fopen(path, "re");
	if (!f)
		return;
	while (fgets(line, sizeof(line), f)) {
		const char *value = line + strcspn(line, ":") + 1;

		if (parse_mapping(line, &m))
			continue;
		if (!strncmp(line, "Rss:", 4))
			m.f.resident_kib = strtoull(value, NULL, 10);
		if (!strncmp(line, "Anonymous:", 10))
			m.f.own_kib = strtoull(value, NULL, 10);
		if (!strncmp(line, "Pss:", 4))
			m.f.pss_kib = strtoull(value, NULL, 10);
		if (!strncmp(line, "Private_", 8)) /* Clean, Dirty */
			m.f.private_kib += strtoull(value, NULL, 10);
		/* The last line of a mapping. */
		if (strncmp(line, "VmFlags:", 8) != 0)
			continue;
		snprintf(m.flags, sizeof(m.flags), "%.127s", value);
		if (!mapping_join(&run, &m)) {
			count_mapping(&run, ram, sum);
			run = m;
		}
	}
	count_mapping(&run, ram, sum);
	fclose(f);
}

static void at_mark(struct mark_watch *w, const char *name)
{
	struct mark *m = &w->marks[w->n];

	if (w->n == MARKS_MAX)
		return;
	m->ms = (double)now_ns() / 1e6 - w->start_ms;
	if (w->calls >= 0) {
		ioctl(w->calls, PERF_EVENT_IOC_DISABLE, 0);
		if (read(w->calls, &m->calls, sizeof(m->calls)) != sizeof(m->calls))
			m->calls = 0;
	}
	snprintf(m->name, sizeof(m->name), "%s", name);
	/* The guest chooses a mark's name, which must not break the JSON or reach a shell. */
	m->name[strspn(m->name, "abcdefghijklmnopqrstuvwxyz0123456789-_.:")] = '\0';
	read_counters(guest_process(w->child), m->counter);
	if (w->memory_at ? !strcmp(w->memory_at, m->name) : !w->n)
		measure_footprint(guest_process(w->child), w->ram, &w->memory);
	w->n++;
	if (w->calls >= 0 && !strncmp(m->name, COUNT_CALLS, strlen(COUNT_CALLS)))
		ioctl(w->calls, PERF_EVENT_IOC_ENABLE, 0);
	if (w->until && !strcmp(w->until, m->name))
		w->done = true;
	else if (write(w->in, "\n", 1) != 1)
		w->done = true;
}

static void on_output(struct mark_watch *w)
{
	static const char mark[] = "@@ mark ";
	char buf[4096], *found;
	ssize_t n = read(w->out, buf, sizeof(buf));

	if (n <= 0) {
		w->done = true;
		return;
	}
	if (w->console)
		fwrite(buf, 1, (size_t)n, w->console);
	for (ssize_t i = 0; i < n && !w->done; i++) {
		if (buf[i] != '\n' && buf[i] != '\r' && w->used < sizeof(w->line) - 1) {
			w->line[w->used++] = buf[i];
			continue;
		}
		w->line[w->used] = '\0';
		w->used = 0;
		found = strstr(w->line, mark);
		if (found)
			at_mark(w, found + strlen(mark));
	}
}

/* Measures at the first KVM_RUN, whose thread stands still until it is answered, or killed. */
static void on_first_run(struct mark_watch *w)
{
	double ms = (double)now_ns() / 1e6 - w->start_ms;
	struct seccomp_notif call = { 0 };

	w->done = true;
	if (ioctl(w->listener, SECCOMP_IOCTL_NOTIF_RECV, &call))
		return;
	w->first_run_ms = ms;
	measure_footprint(guest_process(w->child), w->ram, &w->memory);
}

/* Returns a counter that @pid's threads and children inherit, off; -1 if the kernel has none. */
static int open_call_counter(pid_t pid)
{
	struct perf_event_attr a = {
		.type = PERF_TYPE_TRACEPOINT,
		.size = sizeof(a),
		.inherit = 1,
		.disabled = 1,
	};
	char text[32] = "";
	FILE *f = fopen(SYSCALL_ID, "re");

	if (!f)
		return -1;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	a.config = strtoull(text, NULL, 10);
	return (int)syscall(SYS_perf_event_open, &a, pid, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

/* Returns a descriptor that reports each KVM_RUN from now on; or -errno. */
static int listen_for_runs(void)
{
	/* The request is the low half of the second argument. */
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 0, 5),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ioctl, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, KVM_RUN, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = { .len = sizeof(code) / sizeof(code[0]), .filter = code };
	long fd = -1;

	/* Without CAP_SYS_ADMIN the kernel wants no_new_privs. */
	for (int tries = 0; fd < 0 && tries < 2; tries++) {
		if (tries && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
			break;
		fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
			     &prog);
	}
	return fd < 0 ? -errno : (int)fd;
}

/* Sends @fd by SCM_RIGHTS, or, if it is negative, an errno, as the message's text only. */
static void send_descriptor(int to, int fd)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control = { .buf = "" };
	struct iovec iov = { &fd, sizeof(fd) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.msg_control = &control;
		m.msg_controllen = sizeof(control);
		control.header = (struct cmsghdr){
			.cmsg_len = CMSG_LEN(sizeof(int)),
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
		};
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	if (sendmsg(to, &m, 0) != sizeof(fd))
		_exit(127);
}

static int receive_descriptor(int from)
{
	union {
		char buf[CMSG_SPACE(sizeof(int))];
		struct cmsghdr header;
	} control = { .buf = "" };
	int fd = -EPIPE;
	struct iovec iov = { &fd, sizeof(fd) };
	struct msghdr m = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};

	if (recvmsg(from, &m, MSG_CMSG_CLOEXEC) != sizeof(fd))
		return -EPIPE;
	if (fd < 0)
		return fd;
	if (control.header.cmsg_len != CMSG_LEN(sizeof(int)))
		return -EPIPE;
	memcpy(&fd, CMSG_DATA(&control.header), sizeof(fd));
	return fd;
}

static void run_child(const struct mark_watch *w, char **argv, int in, int out, int start)
{
	char go;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0)
		_exit(127);
	close(in);
	close(out);
	if (w->first_run)
		send_descriptor(start, listen_for_runs());
	/* Waits until the measuring process is ready. */
	if (read(start, &go, 1) != 1)
		_exit(127);
	execvp(argv[0], argv);
	fprintf(stderr, "bench_watch: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int spawn_command(struct mark_watch *w, char **argv)
{
	int in[2], out[2], start[2];

	if (pipe2(in, 0) || pipe2(out, 0) ||
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, start))
		return -errno;
	/* The child does not inherit this process's ends. */
	fcntl(in[1], F_SETFD, FD_CLOEXEC);
	fcntl(out[0], F_SETFD, FD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	w->child = fork();
	if (w->child < 0)
		return -errno;
	if (!w->child)
		run_child(w, argv, in[0], out[1], start[1]);
	close(in[0]);
	close(out[1]);
	close(start[1]);
	w->in = in[1];
	w->out = out[0];
	if (w->first_run) {
		w->listener = receive_descriptor(start[0]);
		if (w->listener < 0)
			return w->listener;
	}
	if (w->count_calls) {
		w->calls = open_call_counter(w->child);
		if (w->calls < 0)
			fprintf(stderr, "bench_watch: cannot count system calls: %s\n",
				strerror(errno));
	}
	w->start_ms = (double)now_ns() / 1e6;
	if (write(start[0], "", 1) != 1)
		return -EPIPE;
	close(start[0]);
	return 0;
}

/* Follows the command until it has ended or is at the last mark. 0 or -ETIMEDOUT. */
static int follow_command(struct mark_watch *w)
{
	struct pollfd p[] = {
		{ .fd = w->out, .events = POLLIN },
		{ .fd = w->listener, .events = POLLIN }, /* -1 is left out */
	};

	while (!w->done) {
		double left = w->limit_ms - ((double)now_ns() / 1e6 - w->start_ms);

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(p, 2, (int)left + 1) <= 0)
			continue;
		/* Before its output, which can wait. */
		if (p[1].revents & POLLIN)
			on_first_run(w);
		else if (p[0].revents)
			on_output(w);
		else
			w->done = true; /* no process with the filter is left */
	}
	return 0;
}

/*
 * Kills the guest's process first, so that its supervisor, if it has one, removes its files; then
 * the command. Files that stay could be in the way of the next start.
 */
static void end_command(const struct mark_watch *w)
{
	const struct timespec nap = { .tv_nsec = 1000000 };
	siginfo_t info = { 0 };

	kill(guest_process(w->child), SIGKILL);
	for (int tries = 1000; tries && !info.si_pid; tries--) {
		nanosleep(&nap, NULL);
		if (waitid(P_PID, (id_t)w->child, &info, WEXITED | WNOHANG | WNOWAIT))
			break;
	}
	kill(w->child, SIGKILL);
}

static void print_result(const struct mark_watch *w, int status)
{
	printf("{\"status\": %d, \"own_kib\": %" PRIu64 ", \"resident_kib\": %" PRIu64, status,
	       w->memory.own_kib, w->memory.resident_kib);
	if (w->first_run)
		printf(", \"first_run_ms\": %.3f", w->first_run_ms);
	printf(", \"marks\": [");
	for (unsigned i = 0; i < w->n; i++) {
		printf("%s{\"name\": \"%s\", \"ms\": %.3f", i ? ", " : "", w->marks[i].name,
		       w->marks[i].ms);
		for (size_t c = 0; c < N_COUNTERS; c++)
			printf(", \"%s\": %" PRIu64, counters[c], w->marks[i].counter[c]);
		if (w->calls >= 0)
			printf(", \"calls\": %" PRIu64, w->marks[i].calls);
		printf("}");
	}
	printf("]}\n");
}

static int parse_command_line(struct mark_watch *w, int argc, char **argv)
{
	static const struct option options[] = {
		{ "console", required_argument, NULL, 'c' },
		{ "ram", required_argument, NULL, 'r' },
		{ "until", required_argument, NULL, 'u' },
		{ "first-run", no_argument, NULL, 'f' },
		{ "memory", required_argument, NULL, 'm' },
		{ "calls", no_argument, NULL, 'n' },
		{ "timeout", required_argument, NULL, 't' },
		{ "process", required_argument, NULL, 'p' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			w->console = fopen(optarg, "we");
			if (!w->console) {
				fprintf(stderr, "bench_watch: %s: %s\n", optarg, strerror(errno));
				return -errno;
			}
			break;
		case 'r':
			w->ram = strtoull(optarg, NULL, 10) << 20;
			break;
		case 'u':
			w->until = optarg;
			break;
		case 'm':
			w->memory_at = optarg;
			break;
		case 'n':
			w->count_calls = true;
			break;
		case 'f':
			w->first_run = true;
			break;
		case 't':
			w->limit_ms = strtod(optarg, NULL) * 1e3;
			break;
		case 'p':
			w->process = (pid_t)strtol(optarg, NULL, 10);
			break;
		default:
			return -EINVAL;
		}
	}
	return w->process ? 0 : optind < argc ? 0 : -EINVAL;
}

/* Prints the memory of a process that somebody else has started. Returns the exit status. */
static int print_process(const struct mark_watch *w)
{
	struct footprint f;

	measure_footprint(w->process, w->ram, &f);
	if (!f.resident_kib) {
		fprintf(stderr, "bench_watch: no memory of process %d is seen\n", (int)w->process);
		return 1;
	}
	printf("{\"own_kib\": %" PRIu64 ", \"resident_kib\": %" PRIu64 ", \"pss_kib\": %" PRIu64
	       ", \"private_kib\": %" PRIu64 "}\n",
	       f.own_kib, f.resident_kib, f.pss_kib, f.private_kib);
	return 0;
}

int main(int argc, char **argv)
{
	struct mark_watch w = {
		.limit_ms = 120e3, .first_run_ms = -1, .calls = -1, .listener = -1
	};
	int ret = parse_command_line(&w, argc, argv), status = 0;

	if (ret) {
		fprintf(stderr, "usage: bench_watch [OPTION]... COMMAND...\n");
		return 2;
	}
	if (w.process)
		return print_process(&w);
	ret = spawn_command(&w, argv + optind);
	if (ret) {
		fprintf(stderr, "bench_watch: cannot run %s: %s\n", argv[optind], strerror(-ret));
		return 1;
	}
	ret = follow_command(&w);
	if (w.console)
		fclose(w.console);
	if (ret || w.first_run || w.until)
		end_command(&w);
	close(w.in);
	waitpid(w.child, &status, 0);
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (ret) {
		fprintf(stderr, "bench_watch: %s: ended after %.0f s\n", argv[optind],
			w.limit_ms / 1e3);
		return 1;
	}
	if (w.first_run && w.first_run_ms < 0) {
		fprintf(stderr, "bench_watch: %s: it ended before it entered a guest\n",
			argv[optind]);
		return 1;
	}
	print_result(&w, status);
	return 0;
}
