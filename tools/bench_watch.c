// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench_watch [OPTION]... COMMAND...: run a VMM and say what it cost, as one line of JSON.
 *
 *   --console FILE   where its standard output goes as well
 *   --ram MIB        size of the guest's RAM: what memory is then not counted
 *   --until MARK     kill it at this mark (default: let it end)
 *   --memory MARK    take the memory of the process there (default: at the first mark)
 *   --calls          count system calls, of all its threads and children, from marks named
 *                    "count-..." to the next mark
 *   --first-run LIB  kill it where it first enters the guest; LIB is bench_first_run.so
 *   --timeout S      kill it then, status 1 (default: 120)
 *
 * A guest that writes a line "@@ mark NAME" is at a mark: time since exec, KVM's counters for it and,
 * at one of them, the memory of the process are taken. Then a line is written to its standard
 * input, so a guest that waits for one stands still while it is looked at.
 *
 * The counters are those of debugfs (kvm/PID-FD). A VMM's memory is what smaps lists of the process
 * with the guest, without its helpers, but the guest's RAM, which is the run of neighbouring mappings
 * of one kind that is as large as that. Of it, "own" is what no other process can share, anonymous
 * pages; whether the pages of a program's file count as private depends on who else runs it at the
 * moment, and as dirty, on when it was built.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <linux/perf_event.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

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
	uint64_t own_kib, resident_kib;
};

struct watch {
	const char *until, *memory_at, *library;
	FILE *console;
	uint64_t ram;
	double limit_ms;
	bool count_calls;
	pid_t child;
	int calls;		      /* perf's counter, or -1 */
	int in, out;		      /* our ends */
	volatile uint64_t *first_run; /* ns; bench_first_run.so writes it */
	double start_ms, first_run_ms;
	struct footprint memory;
	struct mark marks[MARKS_MAX];
	unsigned n;
	char line[512];
	size_t used;
	bool done;
};

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

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
 * The process with the guest: of a VMM that is confined it is the child of the one that was started,
 * and the first of a process namespace of its own.
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

/* "FROM-TO RIGHTS OFFSET DEVICE INODE [NAME]": the first line of a mapping. */
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

static void count_mapping(const struct mapping *m, uint64_t ram, struct footprint *sum)
{
	if (ram && m->to - m->from >= ram - ram / 16)
		return;
	sum->own_kib += m->f.own_kib;
	sum->resident_kib += m->f.resident_kib;
}

static bool join(struct mapping *m, const struct mapping *next)
{
	if (next->from != m->to || strcmp(next->rights, m->rights) != 0 ||
	    strcmp(next->name, m->name) != 0 || strcmp(next->flags, m->flags) != 0)
		return false;
	m->to = next->to;
	m->f.own_kib += next->f.own_kib;
	m->f.resident_kib += next->f.resident_kib;
	return true;
}

static void measure(pid_t pid, uint64_t ram, struct footprint *sum)
{
	struct mapping run = { .from = 0 }, m = { .from = 0 };
	char path[64], line[512];
	FILE *f;

	*sum = (struct footprint){ 0, 0 };
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
		/* The last line of a mapping. */
		if (strncmp(line, "VmFlags:", 8) != 0)
			continue;
		snprintf(m.flags, sizeof(m.flags), "%.127s", value);
		if (!join(&run, &m)) {
			count_mapping(&run, ram, sum);
			run = m;
		}
	}
	count_mapping(&run, ram, sum);
	fclose(f);
}

static void at_mark(struct watch *w, const char *name)
{
	struct mark *m = &w->marks[w->n];

	if (w->n == MARKS_MAX)
		return;
	m->ms = now_ms() - w->start_ms;
	if (w->calls >= 0) {
		ioctl(w->calls, PERF_EVENT_IOC_DISABLE, 0);
		if (read(w->calls, &m->calls, sizeof(m->calls)) != sizeof(m->calls))
			m->calls = 0;
	}
	snprintf(m->name, sizeof(m->name), "%s", name);
	/* A mark's name ends up in JSON and in nobody's shell. */
	m->name[strspn(m->name, "abcdefghijklmnopqrstuvwxyz0123456789-_.:")] = '\0';
	read_counters(guest_process(w->child), m->counter);
	if (w->memory_at ? !strcmp(w->memory_at, m->name) : !w->n)
		measure(guest_process(w->child), w->ram, &w->memory);
	w->n++;
	if (w->calls >= 0 && !strncmp(m->name, COUNT_CALLS, strlen(COUNT_CALLS)))
		ioctl(w->calls, PERF_EVENT_IOC_ENABLE, 0);
	if (w->until && !strcmp(w->until, m->name))
		w->done = true;
	else if (write(w->in, "\n", 1) != 1)
		w->done = true;
}

static void on_output(struct watch *w)
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

static void look_for_first_run(struct watch *w)
{
	uint64_t ns = *w->first_run;

	if (!ns)
		return;
	w->first_run_ms = (double)ns / 1e6 - w->start_ms;
	measure(guest_process(w->child), w->ram, &w->memory);
	w->done = true;
}

/* A counter that @pid's threads and children inherit, off; -1 if the kernel has none. */
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

static void run_child(const struct watch *w, char **argv, int in, int out, int first_run)
{
	char text[16], go;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Until whoever counts is ready. */
	if (w->count_calls && read(in, &go, 1) != 1)
		_exit(127);
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0)
		_exit(127);
	close(in);
	close(out);
	if (w->library) {
		snprintf(text, sizeof(text), "%d", first_run);
		setenv("LD_PRELOAD", w->library, 1);
		setenv("BENCH_FIRST_RUN_FD", text, 1);
	} else {
		close(first_run);
	}
	execvp(argv[0], argv);
	fprintf(stderr, "bench_watch: %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static int start(struct watch *w, char **argv)
{
	int in[2], out[2], first = memfd_create("first-run", 0);
	void *page = MAP_FAILED;

	if (first >= 0 && !ftruncate(first, sizeof(*w->first_run)))
		page = mmap(NULL, sizeof(*w->first_run), PROT_READ | PROT_WRITE, MAP_SHARED, first,
			    0);
	if (page == MAP_FAILED || pipe2(in, 0) || pipe2(out, 0))
		return -errno;
	w->first_run = page;
	/* Our ends are not the child's. */
	fcntl(in[1], F_SETFD, FD_CLOEXEC);
	fcntl(out[0], F_SETFD, FD_CLOEXEC);
	signal(SIGPIPE, SIG_IGN);
	w->start_ms = now_ms();
	w->child = fork();
	if (w->child < 0)
		return -errno;
	if (!w->child)
		run_child(w, argv, in[0], out[1], first);
	if (w->count_calls) {
		w->calls = open_call_counter(w->child);
		if (w->calls < 0)
			fprintf(stderr, "bench_watch: cannot count system calls: %s\n",
				strerror(errno));
		if (write(in[1], "", 1) != 1)
			return -EPIPE;
	}
	close(in[0]);
	close(out[1]);
	close(first);
	w->in = in[1];
	w->out = out[0];
	return 0;
}

/* 0: it ended or was at the last mark; -ETIMEDOUT. */
static int follow(struct watch *w)
{
	struct pollfd p = { .fd = w->out, .events = POLLIN };

	while (!w->done) {
		double left = w->limit_ms - (now_ms() - w->start_ms);

		if (left <= 0)
			return -ETIMEDOUT;
		if (poll(&p, 1, w->library ? 1 : (int)left + 1) > 0)
			on_output(w);
		if (w->library && !w->done)
			look_for_first_run(w);
	}
	return 0;
}

static void print(const struct watch *w, int status)
{
	printf("{\"status\": %d, \"own_kib\": %" PRIu64 ", \"resident_kib\": %" PRIu64, status,
	       w->memory.own_kib, w->memory.resident_kib);
	if (w->library)
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

static int parse(struct watch *w, int argc, char **argv)
{
	static const struct option options[] = {
		{ "console", required_argument, NULL, 'c' },
		{ "ram", required_argument, NULL, 'r' },
		{ "until", required_argument, NULL, 'u' },
		{ "first-run", required_argument, NULL, 'f' },
		{ "memory", required_argument, NULL, 'm' },
		{ "calls", no_argument, NULL, 'n' },
		{ "timeout", required_argument, NULL, 't' },
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
			w->library = optarg;
			break;
		case 't':
			w->limit_ms = strtod(optarg, NULL) * 1e3;
			break;
		default:
			return -EINVAL;
		}
	}
	return optind < argc ? 0 : -EINVAL;
}

int main(int argc, char **argv)
{
	struct watch w = { .limit_ms = 120e3, .first_run_ms = -1, .calls = -1 };
	int ret = parse(&w, argc, argv), status = 0;

	if (ret) {
		fprintf(stderr, "usage: bench_watch [OPTION]... COMMAND...\n");
		return 2;
	}
	ret = start(&w, argv + optind);
	if (ret) {
		fprintf(stderr, "bench_watch: cannot run %s: %s\n", argv[optind], strerror(-ret));
		return 1;
	}
	ret = follow(&w);
	if (w.console)
		fclose(w.console);
	if (ret || w.library || w.until)
		kill(w.child, SIGKILL);
	close(w.in);
	waitpid(w.child, &status, 0);
	status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	if (ret) {
		fprintf(stderr, "bench_watch: %s: ended after %.0f s\n", argv[optind],
			w.limit_ms / 1e3);
		return 1;
	}
	if (w.library && w.first_run_ms < 0) {
		fprintf(stderr, "bench_watch: %s: it ended before it entered a guest\n",
			argv[optind]);
		return 1;
	}
	print(&w, status);
	return 0;
}
