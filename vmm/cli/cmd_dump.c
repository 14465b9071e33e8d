// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmm dump: has a guest's memory and registers written to a file, for crash(8) and the like.
 *
 * The command opens the file and passes the descriptor; the VMM writes. A dump that is not complete
 * leaves no file behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/control/client.h"

#define PROGRESS_MS 300

static const char help[] =
	"Usage: vmm dump [OPTION]... GUEST FILE\n"
	"\n"
	"Write a guest's memory and registers to FILE, as an ELF core for crash, drgn and makedumpfile.\n"
	"The guest stands still meanwhile, and goes on if it ran before. Pages of zeros are holes in\n"
	"FILE, which only its owner can read: it has all secrets of the guest. FILE - is stdout, a pipe.\n"
	"\n"
	"ps of Debian 12's crash (8.0.2) lists only the tasks that ran; all of them, with any crash:\n"
	"  crash> list task_struct.tasks -s task_struct.pid,comm -h init_task\n"
	"\n"
	"Options:\n"
	"  -f, --force        replace a FILE that is there, when the dump is complete\n"
	"  -g, --guest GUEST  the same as GUEST\n"
	"  -h, --help         this text\n"
	"\n"
	"Examples:\n"
	"  vmm dump web web.core && crash /usr/lib/debug/boot/vmlinux-$(uname -r) web.core\n"
	"  vmm dump web - | zstd >web.core.zst\n";

struct dump_file {
	const char *path; /* as the user calls it */
	char *partial;	  /* another path until it is complete, or NULL */
	int fd;
	bool is_stdout;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	interrupted = sig;
}

static void watch_interrupts(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction sa = { .sa_handler = on_interrupt }, old;

	sigemptyset(&sa.sa_mask);
	for (size_t i = 0; i < ARRAY_SIZE(signals); i++)
		if (!sigaction(signals[i], NULL, &old) && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &sa, NULL);
}

static int open_stdout(struct dump_file *f, struct err *e)
{
	f->path = "stdout";
	f->is_stdout = true;
	if (isatty(STDOUT_FILENO))
		return err_set(e, -EINVAL, "stdout is a terminal; want a FILE, or a pipe");
	f->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
	return f->fd < 0 ? err_set(e, -errno, "stdout: %s", strerror(errno)) : 0;
}

static int open_file(struct dump_file *f, bool force, struct err *e)
{
	struct stat st;

	if (!strcmp(f->path, "-"))
		return open_stdout(f, e);
	/* A device, a socket or a FIFO that others use, or a link, cannot be replaced. */
	if (!lstat(f->path, &st) && !S_ISREG(st.st_mode))
		return err_set(
			e, -EEXIST,
			"%s is there already, and is no regular file; name another FILE, or - "
			"for stdout",
			f->path);
	f->fd = open(f->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (f->fd < 0 && errno == EEXIST && force) {
		if (asprintf(&f->partial, "%s.XXXXXX", f->path) < 0) {
			f->partial = NULL;
			return err_set(e, -ENOMEM, "out of memory");
		}
		f->fd = mkostemp(f->partial, O_CLOEXEC);
	}
	if (f->fd < 0 && errno == EEXIST)
		return err_set(e, -EEXIST, "%s is there already; --force replaces it", f->path);
	return f->fd < 0 ? err_set(e, -errno, "%s: cannot create: %s", f->path, strerror(errno))
			 : 0;
}

/* Puts a file that is complete in its place, or removes it. */
static int close_file(struct dump_file *f, int ret, struct err *e)
{
	if (f->fd >= 0 && !f->is_stdout) {
		if (ret)
			file_remove_own(f->partial ? f->partial : f->path, f->fd);
		else if (f->partial && rename(f->partial, f->path)) {
			ret = err_set(e, -errno, "%s: cannot replace: %s", f->path,
				      strerror(errno));
			unlink(f->partial);
		}
	}
	if (f->fd >= 0)
		close(f->fd);
	free(f->partial);
	return ret;
}

/* Tells on a terminal how far it is; @done: takes that away. */
static void show_progress(struct client *c, bool done)
{
	json_t *o = NULL;
	char total[24];
	struct err none;
	long long all;

	if (!isatty(STDERR_FILENO))
		return;
	if (done) {
		fputs("\r\033[K", stderr);
		return;
	}
	if (client_call(c, "query-dump", NULL, &o, &none))
		return;
	all = cli_json_number(o, "total");
	if (all > 0)
		fprintf(stderr, "\r%3lld %% of %s", cli_json_number(o, "completed") * 100 / all,
			cli_size(total, all));
	json_decref(o);
}

/* Reads one event; returns 1 if it is none of the dump's end. */
static int dump_ended(const struct dump_file *f, const json_t *event, long long *bytes,
		      struct err *e)
{
	const json_t *data = json_object_get(event, "data");
	const char *why = cli_json_text(data, "error");

	if (strcmp(cli_json_text(event, "event"), "DUMP_COMPLETED") != 0)
		return 1;
	*bytes = cli_json_number(json_object_get(data, "result"), "total");
	return *why ? err_set(e, -EIO, "%s: cannot write: %s", f->path, why) : 0;
}

/* Waits for the end of the dump; at the first signal asks for it, at the second gives up. */
static int await_dump(struct client *c, const struct dump_file *f, long long *bytes, struct err *e)
{
	struct err none;
	int ret = 1, signals = 0;

	while (ret > 0) {
		json_t *o = NULL;

		ret = client_event(c, PROGRESS_MS, &o);
		if (!ret)
			ret = dump_ended(f, o, bytes, e);
		else if (ret == -ETIMEDOUT)
			ret = 1;
		else
			err_set(e, ret, "guest %s: its vmm has ended; %s is not complete",
				client_name(c), f->path);
		json_decref(o);
		if (ret > 0 && interrupted && !signals++) {
			interrupted = 0;
			client_call(c, "umbra-dump-cancel", NULL, NULL, &none);
		} else if (ret > 0 && interrupted) {
			ret = err_set(e, -EINTR,
				      "%s: its dump still goes on: this host's kernel "
				      "holds the file",
				      f->path);
		}
		show_progress(c, ret <= 0);
	}
	return ret;
}

static int dump_to(struct client *c, const struct dump_file *f, long long *bytes, struct err *e)
{
	json_t *args =
		json_pack("{s:b, s:s, s:b}", "paging", 0, "protocol", "fd:dump", "detach", 1);
	int ret = client_give_fd(c, "dump", f->fd, e);

	if (ret) {
		json_decref(args);
		return ret;
	}
	ret = client_call(c, "dump-guest-memory", args, NULL, e);
	return ret ? ret : await_dump(c, f, bytes, e);
}

static int guest_dump(const char *guest, const char *path, bool force)
{
	struct dump_file f = { .path = path, .fd = -1 };
	struct client *c;
	struct err e;
	long long bytes = 0;
	char size[24];
	int ret;

	if (client_open(&c, guest, CLIENT_TIMEOUT_MS, &e))
		return cli_fail(&e);
	watch_interrupts(); /* from here on there is something to remove */
	ret = open_file(&f, force, &e);
	if (!ret)
		ret = dump_to(c, &f, &bytes, &e);
	ret = close_file(&f, ret, &e);
	if (!ret && !f.is_stdout)
		printf("%s: %s of guest %s\n", f.path, cli_size(size, bytes), client_name(c));
	client_close(c);
	return ret ? cli_fail(&e) : 0;
}

int cmd_dump(int argc, char **argv)
{
	struct cli_args a = { 0 };
	struct cli_syntax s = { .command = "dump" };
	int ret;

	if (!cli_args_parse(&a, argc, argv, CLI_GUEST | CLI_FORCE | CLI_WORDS, help, &ret))
		return ret;
	if (!a.guest && a.n_words) {
		a.guest = *a.words++;
		a.n_words--;
	}
	if (!a.guest)
		return cli_usage("dump", "say which GUEST, and into which FILE");
	if (!a.n_words)
		return cli_usage("dump", "say into which FILE");
	if (a.n_words > 1)
		return cli_unexpected(&s, a.words[1]);
	return guest_dump(a.guest, a.words[0], a.force);
}
