// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmm stop, kill, reset, pause, resume and nmi: end a guest, start it anew, stop its time for a
 * while, or press its NMI button.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "base/socket_file.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/control/client.h"
#include "vmm/control/socket_dir.h"

#define STOP_TIMEOUT 60 /* seconds; a distribution takes some to end its services */
#define GONE_MS	     10000

static const char stop_help[] =
	"Usage: vmm stop [OPTION]... [GUEST]\n"
	"\n"
	"Press the guest's power button and wait until it has shut down and its disks are closed.\n"
	"Without GUEST, of the only one that runs. The vmm of a guest with --no-shutdown is ended\n"
	"too, also if the guest has shut down before.\n"
	"\n"
	"Options:\n"
	"      --timeout S    wait S seconds at most (default 60)\n"
	"  -f, --force        if it has not shut down by then, end it as if its power were cut;\n"
	"                     with --timeout 0 at once\n"
	"  -g, --guest GUEST  the same as GUEST\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit code: 0 it has shut down (or was ended by --force), 1 it still runs, ended in another\n"
	"way, or could not be asked, 2 usage.\n"
	"\n"
	"Examples:\n"
	"  vmm stop\n"
	"  vmm stop web --timeout 120 --force\n";

static const char kill_help[] =
	"Usage: vmm kill [OPTION]... [GUEST]\n"
	"\n"
	"End a guest at once (SIGKILL to its vmm), also one whose vmm hangs. What it had not flushed\n"
	"to its disks is as after a power cut. Without GUEST, the only one that runs.\n"
	"\n"
	"Options:\n"
	"  -g, --guest GUEST  the same as GUEST\n"
	"  -h, --help         this text\n"
	"\n"
	"Examples:\n"
	"  vmm kill web\n";

static const char reset_help[] =
	"Usage: vmm reset [OPTION]... [GUEST]\n"
	"\n"
	"Start a guest anew at once, as by its reset button: its processes do not hear of it, and what\n"
	"it had not flushed to its disks is as after a power cut. Its vmm, consoles and connections\n"
	"stay; the kernel's file and the initrd are read again. Without GUEST, the only one that runs.\n"
	"\n"
	"A guest that was started with --no-reboot ends instead. One that has ended and stays by\n"
	"--no-shutdown starts anew. Sessions are made anew too: with the drivers of the command line,\n"
	"read from their files again, and without those that `vmm driver load` has loaded.\n"
	"\n"
	"Options:\n"
	"  -g, --guest GUEST  the same as GUEST\n"
	"  -h, --help         this text\n"
	"\n"
	"Examples:\n"
	"  vmm reset web\n";

static const char pause_help[] =
	"Usage: vmm pause [OPTION]... [GUEST]\n"
	"\n"
	"Take a guest's CPUs away until `vmm resume`; what its devices have begun, they finish.\n"
	"Without GUEST, of the only one that runs.\n"
	"\n"
	"Options:\n"
	"  -g, --guest GUEST  the same as GUEST\n"
	"  -h, --help         this text\n"
	"\n"
	"Examples:\n"
	"  vmm pause web\n"
	"  vmm resume web\n";

static const char resume_help[] =
	"Usage: vmm resume [OPTION]... [GUEST]\n"
	"\n"
	"Let a guest go on that `vmm pause` stopped or that was started with --paused. Without\n"
	"GUEST, the only one that runs.\n"
	"\n"
	"Options:\n"
	"  -g, --guest GUEST  the same as GUEST\n"
	"  -h, --help         this text\n"
	"\n"
	"Examples:\n"
	"  vmm resume web\n";

static const char nmi_help[] =
	"Usage: vmm nmi [OPTION]... [GUEST]\n"
	"\n"
	"Press a guest's NMI button, as one looks into a machine that does not answer. What a Linux\n"
	"guest does with it: it says so on its console; with unknown_nmi_panic on its command line it\n"
	"panics. A paused guest gets it when it goes on. Without GUEST, the only one that runs.\n"
	"\n"
	"Options:\n"
	"  -g, --guest GUEST  the same as GUEST\n"
	"  -h, --help         this text\n"
	"\n"
	"Examples:\n"
	"  vmm nmi web\n";

/* Returns true if the process of the pidfd @fd ends within @ms: that makes it readable. */
static bool process_gone(int fd, long long ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms > 0 ? (int)ms : 0) == 1;
}

/*
 * Notes the reason of the guest's end, the first that is given. Returns true if the end is over and
 * the VMM stays, by --no-shutdown: it says STOP then.
 */
static bool event_ends_guest(const json_t *o, char reason[64])
{
	const char *event = cli_json_text(o, "event");

	if (!*reason && !strcmp(event, "SHUTDOWN"))
		snprintf(reason, 64, "%s", cli_json_text(json_object_get(o, "data"), "reason"));
	else if (!*reason && !strcmp(event, "GUEST_PANICKED"))
		snprintf(reason, 64, "guest-panic");
	return *reason && !strcmp(event, "STOP");
}

/*
 * Waits until the VMM is gone; *reason is SHUTDOWN's. 0, -ETIMEDOUT. A closed connection is not
 * enough: the VMM closes one also when it has no room for one more client.
 */
static int guest_await_end(struct client *c, int process, long long ms, char reason[64])
{
	long long until = now_ms() + ms;
	struct err none;

	for (;;) {
		long long left = until - now_ms();
		json_t *o = NULL;
		int ret = client_event(c, left > 0 ? (int)left : 0, &o);

		if (ret == -ETIMEDOUT)
			return ret;
		if (ret)
			return process < 0 || process_gone(process, until - now_ms()) ? 0
										      : -ETIMEDOUT;
		if (event_ends_guest(o, reason))
			client_call(c, "quit", NULL, NULL, &none);
		json_decref(o);
		/* An event arrived after the time was up: the VMM is still there. */
		if (left <= 0)
			return -ETIMEDOUT;
	}
}

/*
 * Returns true if an object of @list tells that this host's kernel holds its file, with a line that
 * names it (monitor_tell_held()).
 */
static bool file_is_held(struct client *c, const json_t *list, struct err *e)
{
	json_t *one;
	char time[24];
	size_t i;

	json_array_foreach(list, i, one)
	{
		long long ms = cli_json_number(one, "held-ms");

		if (ms <= 0)
			continue;
		err_set(e, -ETIMEDOUT,
			"guest %s: its end waits for this host's kernel, which has held what is "
			"done to %s for %s; the vmm ends when that is given back",
			client_name(c), cli_json_text(one, "file"), cli_duration(time, ms));
		return true;
	}
	return false;
}

/* Returns true for the status of a guest that runs no more, of which its VMM may stay. */
static bool guest_has_ended(const char *status)
{
	return !strcmp(status, "shutdown") || !strcmp(status, "guest-panicked") ||
	       !strcmp(status, "internal-error");
}

/* Returns true if the guest's end waits for this host's kernel, with a line that names the file. */
static bool guest_is_held(struct client *c, struct err *e)
{
	json_t *info = NULL, *section;
	const char *state, *name;
	bool held = false, runs;
	struct err none;

	if (client_call(c, "umbra-info", NULL, &info, &none))
		return false;
	state = cli_json_text(json_object_get(info, "guest"), "status");
	runs = !strcmp(state, "running") || !strcmp(state, "paused") || !strcmp(state, "prelaunch");
	/*
	 * A disk is held by its end or a resize only, and the files of a boot by a reset; other
	 * files are held also while the guest runs on.
	 */
	json_object_foreach(info, name, section)
	{
		if (!held && (!runs || !strcmp(name, "disks") || !strcmp(name, "boot")))
			held = file_is_held(c, section, e);
	}
	json_decref(info);
	return held;
}

/*
 * Presses the button; -EBUSY for a paused guest, whose CPUs could not see it; -ENOTCONN: the guest
 * has ended already, in @state, and its VMM is about to, or stays by --no-shutdown.
 */
static int power_button_press(struct client *c, char state[24], struct err *e)
{
	json_t *status = NULL;
	int ret = client_call(c, "query-status", NULL, &status, e);
	bool paused;

	snprintf(state, 24, "%s", cli_json_text(status, "status"));
	paused = !strcmp(state, "paused") || !strcmp(state, "prelaunch");
	if (!ret && !paused && !json_is_true(json_object_get(status, "running")))
		ret = -ENOTCONN;
	if (!ret && paused)
		ret = err_set(e, -EBUSY,
			      "guest %s is paused and cannot shut down; `vmm resume %s` first, or "
			      "`vmm stop --force --timeout 0 %s`",
			      client_name(c), client_name(c), client_name(c));
	json_decref(status);
	return ret ? ret : client_call(c, "system_powerdown", NULL, NULL, e);
}

/*
 * Presses the button and waits @seconds for the guest's end. -EIO: it has ended in another way; any
 * other error: it still runs.
 */
static int guest_shut_down(struct client *c, int process, int seconds, struct err *e)
{
	char reason[64] = "", state[24];
	int ret = power_button_press(c, state, e);
	bool ended = ret == -ENOTCONN;
	struct err none;

	/* A VMM that did not answer in time is not asked a second time. */
	if (ret && ret != -ETIMEDOUT && guest_is_held(c, e))
		return -ETIMEDOUT;
	/* -ENOTCONN: the guest has ended, and its VMM is about to, or stays by --no-shutdown. */
	if (ret && ret != -ENOTCONN)
		return ret;
	if (ended)
		client_call(c, "quit", NULL, NULL, &none);
	ret = guest_await_end(c, process, seconds * 1000LL, reason);
	/* A VMM that stayed tells of this quit; one that was about to end does not. */
	if (ended && !strcmp(reason, "host-qmp-quit"))
		snprintf(reason, sizeof(reason), "%s",
			 !strcmp(state, "shutdown") ? "guest-shutdown" : state);
	if (ret && guest_is_held(c, e))
		return ret;
	if (ret)
		return err_set(e, ret,
			       "guest %s has not shut down in %d s; does it listen to its power "
			       "button? `vmm console %s` shows it, `vmm stop --force %s` ends it",
			       client_name(c), seconds, client_name(c), client_name(c));
	if (strcmp(reason, "guest-shutdown") != 0)
		return err_set(e, -EIO, "guest %s ended, but did not shut down: %s", client_name(c),
			       *reason ? reason : "nobody said why; was its vmm killed?");
	return 0;
}

/* Ends the guest at once, as by cutting its power. */
static int guest_quit(struct client *c, int process, struct err *e)
{
	char reason[64] = "";
	int ret = client_call(c, "quit", NULL, NULL, e);

	if (ret && ret != -ENOTCONN)
		return ret;
	ret = guest_await_end(c, process, GONE_MS, reason);
	if (ret && !guest_is_held(c, e))
		err_set(e, ret, "guest %s: its vmm does not end; `vmm kill %s`", client_name(c),
			client_name(c));
	return ret;
}

static int guest_stop(struct client *c, int process, const struct cli_args *a, struct err *e)
{
	int ret = 0;

	if (!a->force)
		return guest_shut_down(c, process, a->timeout, e);
	if (a->timeout) {
		ret = guest_shut_down(c, process, a->timeout, e);
		if (!ret || ret == -EIO)
			return ret;
	}
	return guest_quit(c, process, e);
}

/* Has the VMM made the file @path itself? That of a socket which --control has named stays. */
static bool socket_is_own(struct client *c, const char *path)
{
	json_t *list = NULL, *one;
	char where[300];
	bool own = false;
	struct err none;
	size_t i;

	snprintf(where, sizeof(where), "unix:%s,server=on", path);
	if (client_call(c, "query-chardev", NULL, &list, &none))
		return false;
	json_array_foreach(list, i, one)
	{
		if (!strcmp(cli_json_text(one, "label"), "control") &&
		    !strcmp(cli_json_text(one, "filename"), where))
			own = true;
	}
	json_decref(list);
	return own;
}

int cmd_stop(int argc, char **argv)
{
	struct cli_args a = { .timeout = STOP_TIMEOUT };
	int process, ret;
	char *path = NULL;
	struct socket_id id;
	struct client *c;
	bool known;
	struct err e, none;
	pid_t pid;

	if (!cli_args_parse(&a, argc, argv, CLI_GUEST | CLI_FORCE | CLI_TIMEOUT, stop_help, &ret))
		return ret;
	if (client_open(&c, a.guest, CLIENT_TIMEOUT_MS, &e))
		return cli_fail(&e);
	pid = client_pid(c);
	/* The VMM is connected still, so the number is its own. */
	process = pid ? pidfd_open(pid, 0) : -1;
	known = process >= 0 && !socket_dir_path(&path, client_name(c), false, &none) &&
		!socket_file_id(path, &id) && socket_is_own(c, path);
	ret = guest_stop(c, process, &a, &e);
	if (process >= 0)
		close(process);
	/* The VMM of --confine managed has nobody who does. */
	if (known && (!ret || ret == -EIO))
		socket_file_remove(path, &id);
	free(path);
	client_close(c);
	return ret ? cli_fail(&e) : 0;
}

/*
 * Kills the guest's process. -EAGAIN: it has ended meanwhile, or has dropped this connection for
 * another client; ask again.
 */
static int guest_kill(struct client *c, struct err *e)
{
	pid_t pid = client_pid(c);
	int fd = pid ? pidfd_open(pid, 0) : -1, ret = 0;

	if (fd < 0 && !client_connected(c))
		return -EAGAIN;
	if (fd < 0)
		return err_set(e, -ESRCH, "guest %s: its process cannot be seen from here",
			       client_name(c));
	/* As long as the VMM is connected it lives, so the number is still its own. */
	if (!client_connected(c))
		ret = -EAGAIN;
	else if (pidfd_send_signal(fd, SIGKILL, NULL, 0))
		ret = err_set(e, -errno, "guest %s: process %d cannot be killed: %s",
			      client_name(c), pid, strerror(errno));
	else if (!process_gone(fd, GONE_MS))
		ret = err_set(e, -ETIMEDOUT,
			      "guest %s: process %d does not die; it waits for a disk or a network "
			      "file system of this host, most likely",
			      client_name(c), pid);
	close(fd);
	return ret;
}

int cmd_kill(int argc, char **argv)
{
	struct cli_args a = { 0 };
	int ret;
	char *path = NULL, *name;
	struct client *c = NULL;
	struct err e;

	if (!cli_args_parse(&a, argc, argv, CLI_GUEST, kill_help, &ret))
		return ret;
	if (client_dial(&c, a.guest, &e))
		return cli_fail(&e);
	name = strdup(client_name(c));
	ret = name ? guest_kill(c, &e) : err_set(&e, -ENOMEM, "out of memory");
	for (unsigned tries = 0; ret == -EAGAIN && tries < 100; tries++) {
		client_close(c);
		c = NULL;
		ret = client_dial(&c, name, &e);
		ret = ret ? ret : guest_kill(c, &e);
		/* -ENOENT: the guest has ended. */
		if (ret == -ENOENT)
			ret = 0;
	}
	if (ret == -EAGAIN)
		err_set(&e, ret, "guest %s: its vmm talks to too many others; try again", name);
	if (!ret && !socket_dir_path(&path, name, false, &e))
		socket_file_remove_stale(path);
	free(path);
	free(name);
	client_close(c);
	return ret ? cli_fail(&e) : 0;
}

/* Carries out a command that takes no more than a guest: @fn on a connection to it. */
static int guest_command(int argc, char **argv, const char *help,
			 int (*fn)(struct client *c, struct err *e))
{
	struct cli_args a = { 0 };
	int ret;
	struct client *c;
	struct err e;

	if (!cli_args_parse(&a, argc, argv, CLI_GUEST, help, &ret))
		return ret;
	if (client_open(&c, a.guest, CLIENT_TIMEOUT_MS, &e))
		return cli_fail(&e);
	ret = fn(c, &e);
	client_close(c);
	return ret ? cli_fail(&e) : 0;
}

/* Resets the guest; one that has ended and stays by --no-shutdown goes on after that. */
static int guest_reset(struct client *c, struct err *e)
{
	json_t *status = NULL;
	int ret = client_call(c, "query-status", NULL, &status, e);
	bool ended = !ret && guest_has_ended(cli_json_text(status, "status"));

	json_decref(status);
	if (!ret)
		ret = client_call(c, "system_reset", NULL, NULL, e);
	return ret || !ended ? ret : client_call(c, "cont", NULL, NULL, e);
}

int cmd_reset(int argc, char **argv)
{
	return guest_command(argc, argv, reset_help, guest_reset);
}

static int guest_pause(struct client *c, struct err *e)
{
	return client_call(c, "stop", NULL, NULL, e);
}

int cmd_pause(int argc, char **argv)
{
	return guest_command(argc, argv, pause_help, guest_pause);
}

static int guest_resume(struct client *c, struct err *e)
{
	return client_call(c, "cont", NULL, NULL, e);
}

int cmd_resume(int argc, char **argv)
{
	return guest_command(argc, argv, resume_help, guest_resume);
}

static int guest_nmi(struct client *c, struct err *e)
{
	return client_call(c, "inject-nmi", NULL, NULL, e);
}

int cmd_nmi(int argc, char **argv)
{
	return guest_command(argc, argv, nmi_help, guest_nmi);
}
