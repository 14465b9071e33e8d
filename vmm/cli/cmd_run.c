// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/exit_code.h"
#include "shadow/kernel/kernel.h"
#include "vmm/backend/console.h"
#include "vmm/backend/platform.h"
#include "vmm/boot/boot.h"
#include "vmm/boot/firmware.h"
#include "vmm/boot/kernel_cache.h"
#include "vmm/boot/panic_watch.h"
#include "vmm/boot/symbolize.h"
#include "vmm/cli/commands.h"
#include "vmm/cli/detach.h"
#include "vmm/cli/run_options.h"
#include "vmm/cli/stats.h"
#include "vmm/cli/syscount.h"
#include "vmm/confine/confine.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/machine_int.h"
#include "vmm/machine/threads.h"
#include "vmm/monitor/block_resize.h"
#include "vmm/monitor/monitor.h"
#include "vmm/session/sessions.h"

struct run {
	struct run_options o;
	struct descriptors inherited;
	struct detach *detach;
	struct confine *confine;
	struct stats *stats;
	struct kernel *kernel;
	struct machine *m;
	struct monitor *monitor;
	struct panic_watch *panic;
	struct console *console;
	struct platform *platform;
	struct firmware *firmware;
	struct sessions *sessions;
	char *cmdline;
	u64 kaslr;
	struct boot_random random;
	int initrd; /* descriptor, or -1 */
	int signals;
	int started_timer;
};

static void note(const char *fmt, ...) __printf(1, 2);

static void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("vmm: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static bool has_word(const char *line, const char *word, bool prefix)
{
	size_t len = strlen(word);

	for (const char *p = line; (p = strstr(p, word)); p += len) {
		bool begins = p == line || p[-1] == ' ';
		bool ends = prefix || !p[len] || p[len] == ' ';

		if (begins && ends)
			return true;
	}
	return false;
}

/* Is the last console= of the line, which becomes /dev/console, a virtio console? */
static bool ends_on_hvc(const char *line)
{
	static const char word[] = "console=";
	const char *last = NULL;

	for (const char *p = line; (p = strstr(p, word)); p += sizeof(word) - 1)
		if (p == line || p[-1] == ' ')
			last = p;
	return last && !strncmp(last + sizeof(word) - 1, "hvc", 3);
}

static void on_signal(void *arg, u32 events)
{
	struct run *r = arg;
	struct signalfd_siginfo info;

	(void)events;
	if (read(r->signals, &info, sizeof(info)) == sizeof(info))
		machine_exit(r->m, VMM_EXIT_SIGNAL + (int)info.ssi_signo, "ended by signal %u (%s)",
			     info.ssi_signo, strsignal((int)info.ssi_signo));
}

static const int ends[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT, -1 };

/*
 * Before any thread exists: all of them inherit the mask, and only the signalfd sees the signals. A
 * pipe that is closed, and a limit on the size of files, are errors of the call and no signals.
 */
static int block_signals(struct run *r, struct err *e)
{
	sigset_t set, errors;

	sigemptyset(&set);
	for (size_t i = 0; ends[i] >= 0; i++)
		sigaddset(&set, ends[i]);
	errors = set;
	sigaddset(&errors, SIGPIPE);
	sigaddset(&errors, SIGXFSZ);
	/* confine_fork() has done so. */
	if (!r->confine)
		sigprocmask(SIG_BLOCK, &errors, NULL);
	r->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r->signals < 0)
		return err_set(e, -errno, "cannot receive signals: %s", strerror(errno));
	return 0;
}

/* Of each start, and of each reset. */
static int choose_kaslr(struct run *r, struct err *e)
{
	const struct kernel_layout *l = kernel_layout(r->kernel);
	bool sessions = guest_spec_has_sessions(&r->o.spec);
	int ret = boot_draw(&r->random, e);

	if (ret)
		return ret;
	if (kernel_payload_opaque(r->kernel)) {
		if (sessions)
			return err_set(
				e, -EOPNOTSUPP,
				"%s: cannot be decompressed here, so its addresses are unknown; "
				"sessions need them",
				r->o.spec.kernel);
		note("%s: the payload's format is not known here; the kernel decompresses itself",
		     r->o.spec.kernel);
		return 0;
	}
	r->kaslr = 0;
	if (r->o.spec.no_kaslr)
		return 0;
	if (!l->relocatable) {
		note("%s: runs without KASLR: %s", r->o.spec.kernel,
		     l->no_reloc_reason ? l->no_reloc_reason : "it has no relocations");
		return 0;
	}
	r->kaslr = boot_choose_kaslr(r->kernel, &r->random);
	return 0;
}

static int make_cmdline(struct run *r, struct err *e)
{
	const char *console = has_word(r->o.spec.append, "console=", true) ? "" : "console=ttyS0 ";
	const char *nokaslr = "";
	const char *append = r->sessions ? sessions_cmdline(r->sessions) : r->o.spec.append;

	if (r->o.spec.no_kaslr && !has_word(r->o.spec.append, "nokaslr", false))
		nokaslr = "nokaslr ";
	/* In front: what stands behind " -- " or an init= is for the guest's init. */
	if (asprintf(&r->cmdline, "%s%s%s", nokaslr, console, append) < 0) {
		r->cmdline = NULL;
		return err_set(e, -ENOMEM, "out of memory");
	}
	return 0;
}

static int create_firmware(struct run *r, struct err *e)
{
	struct firmware_config c = {
		.image = r->o.spec.firmware,
		.log = r->o.spec.firmware_log,
		.kernel = r->o.spec.kernel,
		.initrd = r->o.spec.initrd,
		.cmdline = r->o.spec.append,
	};

	c.n_disks = platform_disk_slots(r->platform, c.disks, ARRAY_SIZE(c.disks));
	return firmware_create(&r->firmware, r->m, &c, e);
}

static int create_devices(struct run *r, struct err *e)
{
	struct console_config c = { .tap = panic_watch_byte, .polled_input = r->o.spec.firmware };
	int ret = panic_watch_create(&r->panic, r->m, guest_spec_has_sessions(&r->o.spec));

	if (ret)
		return err_set(e, ret, "cannot watch for panics: %s", strerror(-ret));
	c.tap_arg = r->panic;
	ret = platform_create(&r->platform, r->m, &r->o.spec, e);
	if (!ret && r->o.spec.firmware)
		ret = create_firmware(r, e);
	/* The console last: the terminal goes raw when nothing can fail any more. */
	c.bus = ret ? NULL : platform_bus(r->platform);
	c.virtio_input =
		r->o.spec.console_given && (r->o.spec.firmware || ends_on_hvc(r->o.spec.append));
	return ret ? ret : console_create(&r->console, r->m, &r->o.spec, &c, e);
}

static int load(struct run *r, struct err *e)
{
	struct boot_plan p = {
		.kernel = r->kernel,
		.initrd = r->o.spec.initrd,
		.kaslr = r->kaslr,
		.random = &r->random,
		.randomize = !r->o.spec.no_kaslr,
		.reserve_umbra = r->sessions,
	};
	void *prefix = NULL;
	int ret;

	if (r->sessions)
		sessions_initrd(r->sessions, &prefix, &p.prefix_len);
	p.initrd_prefix = prefix;
	if (r->o.spec.initrd && r->initrd < 0)
		r->initrd = boot_open_initrd(r->o.spec.initrd, e);
	if (r->o.spec.initrd && r->initrd < 0)
		return r->initrd;
	p.initrd_fd = r->initrd;
	ret = r->cmdline ? 0 : make_cmdline(r, e);
	p.cmdline = r->cmdline;
	return ret ? ret : boot_load(r->m, &p, e);
}

/* Not at once: the vCPUs' threads have some calls to make before they enter the guest. */
#define STARTED_NS 10000000

/* While the guest is starting already: give back what only placing it needed. */
static void on_started(void *arg, u32 expiries)
{
	struct run *r = arg;

	(void)expiries;
	loop_timer_del(machine_loop(r->m), r->started_timer);
	detach_done(r->detach, monitor_name(r->monitor));
	r->detach = NULL;
	if (r->sessions) {
		kernel_trim(r->kernel); /* they need its symbols and types */
		return;
	}
	symbolize_release_kernel(r->m);
	kernel_close(r->kernel);
	r->kernel = NULL;
}

static int watch_start(struct run *r, struct err *e)
{
	r->started_timer = loop_timer(machine_loop(r->m), STARTED_NS, 0, on_started, r);
	return r->started_timer < 0 ? err_set(e, r->started_timer, "cannot create a timer") : 0;
}

/* The kernel's file as it is now, by the descriptor of the first start: no path can be opened any more. */
static int reopen_kernel(struct run *r, struct err *e)
{
	struct kernel *known = machine_kernel(r->m);
	const char *path;
	int fd = machine_kernel_file(r->m, &path), ret;

	symbolize_release_kernel(r->m);
	if (known != r->kernel)
		kernel_close(known);
	kernel_close(r->kernel);
	r->kernel = NULL;
	ret = fd < 0 ? err_set(e, -EBADF, "the kernel's file could not be kept open")
		     : kernel_open_fd(&r->kernel, fd, path, true, e);
	return ret ? ret : choose_kaslr(r, e);
}

/* Does the machine start anew at a reset? */
static bool can_reboot(const struct run *r)
{
	/* Sessions belong to the kernel that they were made for, and so does their record. */
	return !r->o.spec.no_reboot && !r->sessions;
}

/*
 * As a PC does at a reset: devices first, which use memory, then memory and processors, then what
 * starts at the reset vector.
 */
static int reboot(struct run *r, struct err *e)
{
	int ret = 0;

	panic_watch_reset(r->panic);
	console_reset(r->console);
	platform_reset(r->platform);
	if (r->firmware)
		ret = firmware_reset(r->firmware, e);
	else
		ret = reopen_kernel(r, e);
	if (!ret)
		ret = machine_reset(r->m, e);
	if (!ret)
		ret = r->firmware ? firmware_place(r->firmware, e) : load(r, e);
	if (ret)
		return ret;
	monitor_reset(r->monitor);
	return watch_start(r, e);
}

/* From the first instruction to the end of the last kernel: an exit code. */
static int run_guest(struct run *r, struct err *e)
{
	int code;

	while ((code = machine_run(r->m, e)) == VMM_EXIT_REBOOT && can_reboot(r))
		if (reboot(r, e))
			return VMM_EXIT_ERROR;
	return code;
}

static int create_monitor(struct run *r, struct err *e)
{
	struct err warning;
	int ret = monitor_create(&r->monitor, r->m, &r->o.spec, &warning, e);

	if (!ret && *warning.text)
		note("%s", warning.text);
	return ret;
}

static json_t *describe_confinement(void *arg)
{
	return confine_info(arg);
}

/* The last act before the guest's first. */
static int confine(struct run *r, struct err *e)
{
	const char *files[CONFINE_MAX_FILES + 1] = { NULL };
	size_t n = 0;
	int ret;

	ret = monitor_add_info(r->monitor, "confinement", describe_confinement, r->confine);
	if (ret)
		return err_set(e, ret, "out of memory");
	threads_set_confine(machine_threads(r->m), r->confine);
	if (!r->confine)
		return 0;
	if (monitor_socket(r->monitor))
		files[n++] = monitor_socket(r->monitor);
	if (r->o.spec.console.kind == SPEC_SOCKET)
		files[n++] = r->o.spec.console.path;
	for (size_t i = 0; i < r->o.spec.n_ports; i++)
		if (r->o.spec.ports[i].end.kind == SPEC_SOCKET)
			files[n++] = r->o.spec.ports[i].end.path;
	descriptors_close(&r->inherited);
	return confine_enter(r->confine, files, e);
}

static int prepare(struct run *r, u64 exec_ns, struct err *e)
{
	struct machine_config c = {
		.memory = r->o.spec.memory,
		.shared = guest_spec_shares_memory(&r->o.spec),
		.huge_page = r->o.spec.huge_page,
		.cpus = r->o.spec.cpus,
		.start_ns = exec_ns,
		.pc = r->o.spec.firmware,
	};
	int ret = block_signals(r, e);

	if (!ret && !r->o.spec.firmware)
		ret = r->o.spec.no_cache ? kernel_open(&r->kernel, r->o.spec.kernel, true, e)
					 : kernel_cache_open(&r->kernel, r->o.spec.kernel, e);
	if (!ret && !r->o.spec.firmware)
		ret = choose_kaslr(r, e);
	if (!ret)
		ret = machine_create(&r->m, &c, e);
	if (!ret)
		ret = create_monitor(r, e);
	if (!ret && guest_spec_has_sessions(&r->o.spec))
		ret = sessions_prepare(&r->sessions, r->m, &r->o.spec, r->kernel, r->kaslr, e);
	if (!ret && !r->o.spec.firmware)
		ret = load(r, e);
	if (!ret)
		ret = create_devices(r, e);
	if (!ret && disks_add_commands(monitor_control(r->monitor), r->platform))
		ret = err_set(e, -ENOMEM, "out of memory");
	if (!ret) {
		ret = loop_add(machine_loop(r->m), r->signals, EPOLLIN, on_signal, r);
		if (ret)
			err_set(e, ret, "cannot receive signals: %s", strerror(-ret));
	}
	if (!ret)
		monitor_set_devices(r->monitor, r->platform, r->console);
	if (!ret && r->o.spec.paused && machine_pause(r->m))
		ret = err_set(e, -EMFILE, "cannot hold the guest back (--paused)");
	if (!ret && r->sessions)
		ret = sessions_start(r->sessions, machine_loop(r->m), monitor_control(r->monitor),
				     e);
	if (!ret)
		ret = watch_start(r, e);
	if (!ret && r->o.stats)
		stats_open(r->stats);
	return ret ? ret : confine(r, e);
}

static void release(struct run *r)
{
	struct kernel *reopened = r->m ? machine_kernel(r->m) : NULL;

	console_destroy(r->console);
	firmware_destroy(r->firmware);
	platform_destroy(r->platform);
	panic_watch_destroy(r->panic);
	monitor_destroy(r->monitor);
	machine_destroy(r->m);
	if (reopened != r->kernel)
		kernel_close(reopened);
	kernel_close(r->kernel);
	if (r->signals >= 0)
		close(r->signals);
	if (r->initrd >= 0)
		close(r->initrd);
	detach_free(r->detach);
	stats_close(r->stats);
	confine_free(r->confine);
	free(r->cmdline);
	run_options_free(&r->o);
}

static void report(struct run *r, int code)
{
	const char *line = machine_exit_line(r->m);
	char text[600];

	if (!*line)
		return;
	symbolize_line(r->m, line, text, sizeof(text));
	if (code == VMM_EXIT_ESCAPE || code == VMM_EXIT_REBOOT)
		note("%s", line);
	else
		note("%s", text);
}

/* Has a guest that ended by itself perhaps ended before its kernel was prepared? */
static bool was_short(const struct run *r, int code, u64 ns)
{
	const u64 long_enough = 60ULL * 1000000000;

	return (code == VMM_EXIT_POWEROFF ||
		(code >= VMM_EXIT_REBOOT && code <= VMM_EXIT_HALTED && code != VMM_EXIT_KVM)) &&
	       !r->o.spec.firmware && !r->o.spec.no_cache && ns < long_enough;
}

int cmd_run(int argc, char **argv)
{
	u64 exec_ns = 0;
	struct run r = { .initrd = -1, .signals = -1 };
	struct err e = { "" };
	u64 syscalls = 0;
	int code, ret;

	if (run_options_parse(&r.o, argc, argv, &e)) {
		note("%s", e.text);
		run_options_free(&r.o);
		return VMM_EXIT_USAGE;
	}
	if (r.o.help) {
		run_options_help(stdout);
		run_options_free(&r.o);
		return 0;
	}
	if (r.o.stats)
		exec_ns = stats_exec_ns();
	if (r.o.stats && !guest_spec_has_sessions(&r.o.spec)) {
		u64 before = stats_now_ns();

		syscalls = syscount_start(argc, argv);
		exec_ns += stats_now_ns() - before; /* as if it had not been */
	}
	descriptors_look(&r.inherited);
	ret = r.o.detach ? detach_fork(&r.detach, &code, &e) : 0;
	if (r.o.stats)
		r.stats = stats_create(r.o.spec.confine != CONFINE_OFF);
	if (!ret) {
		u64 begin = stats_now_ns();

		ret = confine_fork(&r.confine, r.o.spec.confine, r.o.spec.user, ends, &code, &e);
		if (ret == 1 && was_short(&r, code, stats_now_ns() - begin))
			kernel_cache_complete(r.o.spec.kernel);
	}
	if (ret == 1) {
		release(&r);
		return code;
	}
	if (!ret)
		ret = prepare(&r, exec_ns, &e);
	if (!ret)
		e.text[0] = '\0'; /* of something that was tried and did without */
	code = ret ? VMM_EXIT_ERROR : run_guest(&r, &e);
	if (!ret)
		monitor_ended(r.monitor, code);
	/* The terminal first, so that what follows is readable. */
	console_destroy(r.console);
	r.console = NULL;
	if (!code && r.sessions && sessions_complete(r.sessions, &e))
		code = VMM_EXIT_ERROR;
	if (*e.text)
		note("%s", e.text);
	else
		report(&r, code);
	if (r.sessions) {
		ret = sessions_finish(r.sessions, &e);
		r.sessions = NULL;
		if (ret) {
			note("%s", e.text);
			code = code ? code : VMM_EXIT_ERROR;
		}
	}
	if (r.o.stats && r.m && code != VMM_EXIT_ERROR)
		stats_print(r.stats, r.m, syscalls, stderr);
	release(&r);
	return code;
}
