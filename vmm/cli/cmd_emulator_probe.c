// SPDX-License-Identifier: GPL-2.0-only
/*
 * vmm emulator-probe: answers what libvirt asks of an emulator, in the background and without a
 * guest; started by umbra-qemu -machine none, not by people.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/exit_code.h"
#include "base/loop.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/cli/pid_file.h"
#include "vmm/control/control.h"
#include "vmm/monitor/emulator.h"

struct responder {
	const char *socket, *pid_file;
	struct loop *loop;
	struct control *control;
	int signals, pid_fd;
};

static void on_end_signal(void *arg, u32 events)
{
	(void)events;
	loop_stop(arg);
}

/* Opens all that the answers need. The signals that end it are blocked already. */
static int probe_open(struct responder *r, const sigset_t *ends, struct err *e)
{
	int ret = loop_create(&r->loop);

	if (ret)
		return err_set(e, ret, "cannot make an event loop: %s", strerror(-ret));
	r->signals = signalfd(-1, ends, SFD_CLOEXEC | SFD_NONBLOCK);
	if (r->signals < 0)
		return err_set(e, -errno, "cannot wait for signals: %s", strerror(errno));
	ret = loop_add(r->loop, r->signals, EPOLLIN, on_end_signal, r->loop);
	if (ret)
		return err_set(e, ret, "cannot wait for signals: %s", strerror(-ret));
	ret = control_create(&r->control, r->loop, r->socket, e);
	if (ret)
		return ret;
	if (emulator_add_commands(r->control))
		return err_set(e, -ENOMEM, "out of memory");
	r->pid_fd = pid_file_create(r->pid_file, e);
	return r->pid_fd < 0 ? r->pid_fd : 0;
}

static void probe_close(struct responder *r)
{
	if (r->pid_fd >= 0)
		pid_file_remove(r->pid_file, r->pid_fd);
	control_destroy(r->control);
	if (r->signals >= 0)
		close(r->signals);
	loop_destroy(r->loop);
}

/* Gives up the starter's terminal or pipes: it waits for their end. */
static int leave_starter(struct err *e)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return err_set(e, -errno, "/dev/null: cannot open: %s", strerror(errno));
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
	if (null > 2)
		close(null);
	return 0;
}

/* Serves in the background; @ready is told when a client can connect. Returns the exit code. */
static int serve_probe(struct responder *r, const sigset_t *ends, int ready)
{
	struct err e = { "" };
	int ret;

	setsid();
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	ret = probe_open(r, ends, &e);
	if (!ret)
		ret = leave_starter(&e);
	if (ret) {
		probe_close(r);
		return cli_fail(&e);
	}
	/* The starter may be gone by now, which changes nothing. */
	if (write(ready, "", 1) != 1)
		ready = -1;
	close(ready);
	ret = loop_run(r->loop);
	probe_close(r);
	return ret ? EXIT_CODE_ERROR : 0;
}

/* Waits until the child is ready, or has ended with a line of its own. Returns the exit code. */
static int await_probe(int ready)
{
	char byte;
	ssize_t n;

	do
		n = read(ready, &byte, 1);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : EXIT_CODE_ERROR;
}

static int fork_probe(struct responder *r)
{
	struct err e;
	sigset_t ends;
	int ready[2];
	pid_t child;

	sigemptyset(&ends);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGHUP);
	if (pipe2(ready, O_CLOEXEC)) {
		err_set(&e, -errno, "cannot run in the background: %s", strerror(errno));
		return cli_fail(&e);
	}
	sigprocmask(SIG_BLOCK, &ends, NULL);
	signal(SIGPIPE, SIG_IGN);
	child = fork();
	if (child < 0) {
		err_set(&e, -errno, "cannot run in the background: %s", strerror(errno));
		return cli_fail(&e);
	}
	if (!child) {
		close(ready[0]);
		return serve_probe(r, &ends, ready[1]);
	}
	close(ready[1]);
	return await_probe(ready[0]);
}

int cmd_emulator_probe(int argc, char **argv)
{
	struct responder r = { .signals = -1, .pid_fd = -1 };
	const struct cli_option options[] = {
		{ .name = "qmp", .text = &r.socket },
		{ .name = "pidfile", .text = &r.pid_file },
	};
	const struct cli_syntax syntax = {
		.command = "emulator-probe",
		.options = options,
		.n = ARRAY_SIZE(options),
		.help = "vmm emulator-probe --qmp SOCKET --pidfile FILE is started by umbra-qemu\n",
	};
	struct descriptors inherited;
	int code, first = cli_command_line(&syntax, argc, argv, &code);

	if (!first)
		return code;
	if (first < argc)
		return cli_unexpected(&syntax, argv[first]);
	if (!r.socket || !r.pid_file) {
		fputs("vmm: emulator-probe is started by umbra-qemu\n", stderr);
		return EXIT_CODE_USAGE;
	}
	descriptors_look(&inherited, false);
	return fork_probe(&r);
}
