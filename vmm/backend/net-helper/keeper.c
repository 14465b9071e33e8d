// SPDX-License-Identifier: GPL-2.0-only
/* Starts the process of the user-mode network, again if it dies, and answers what it asks. */
#include "vmm/backend/net-helper/keeper.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "vmm/backend/net-helper/name_server.h"
#include "vmm/backend/net-helper/slirp_server.h"
#include "vmm/confine/helper.h"

struct keeper {
	const struct spec_net *n;
	enum confine_mode confine;
	const char *user;
	pid_t server;	/* 0: none */
	int link;	/* to the server, which asks over it; hangs up when that has died */
	int frames;	/* the VMM's end of the socket for frames, until the VMM has it; or -1 */
	bool ready;	/* this server */
	struct err why; /* it could not start */
	s64 ends_ms[KEEPER_RESTARTS];
	unsigned ends;
};

static void keeper_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void keeper_tell_vmm(const char *line)
{
	helper_send(HELPER_FD, line, strlen(line), -1);
}

/* --- one server ---------------------------------------------------------------------------- */

/* Runs the server in the child process and exits. */
static void server_main(const struct keeper *k, int link, int frames, pid_t parent)
{
	const struct slirp_server s = {
		.net = k->n,
		.confine = k->confine,
		.user = k->user,
		.frames = frames,
		.keeper = link,
	};
	struct err e = { "" };

	close(HELPER_FD);
	close(k->link);
	close(k->frames);
	prctl(PR_SET_NAME, "vmm-net", 0, 0, 0); /* for ps and top */
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(EXIT_CODE_ERROR);
	exit(slirp_server_run(&s, &e) ? EXIT_CODE_ERROR : 0);
}

static int server_start(struct keeper *k)
{
	int link[2] = { -1, -1 }, frames[2] = { -1, -1 }, ret = 0;
	pid_t self = getpid();

	k->ready = false;
	k->why.text[0] = '\0';
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, frames))
		ret = -errno;
	k->link = link[0];
	k->frames = frames[0];
	k->server = ret ? -1 : fork();
	if (!k->server)
		server_main(k, link[1], frames[1], self);
	if (!ret && k->server < 0)
		ret = -errno;
	keeper_close_fd(&link[1]);
	keeper_close_fd(&frames[1]);
	if (ret) {
		k->server = 0;
		keeper_close_fd(&k->link);
		keeper_close_fd(&k->frames);
		err_set(&k->why, ret, "--net %s: cannot start its process: %s", k->n->text,
			strerror(-ret));
	}
	return ret;
}

/* Kills the server, unless it has ended by itself; returns its status as waitpid() gives it. */
static int server_end(struct keeper *k)
{
	int status = 0;

	keeper_close_fd(&k->link);
	keeper_close_fd(&k->frames);
	if (k->server > 0) {
		kill(k->server, SIGKILL);
		while (waitpid(k->server, &status, 0) < 0 && errno == EINTR)
			;
	}
	k->server = 0;
	return status;
}

/*
 * Receives the first packet on the frames' socket, which is the server's and no frame. One byte
 * says that the server is ready: the VMM gets the socket. More bytes are the text of an error.
 */
static void server_first_packet(struct keeper *k)
{
	ssize_t len = recv(k->frames, k->why.text, sizeof(k->why.text) - 1, MSG_DONTWAIT);

	if (len <= 0)
		return;
	k->why.text[len == 1 ? 0 : len] = '\0';
	k->ready = len == 1 && !helper_send(HELPER_FD, "", 1, k->frames);
	keeper_close_fd(&k->frames);
}

/*
 * Answers each packet of the server, whatever is in it, with the address of the host's name server.
 * Returns false if the server has hung up.
 */
static bool server_asks(const struct keeper *k)
{
	char any, line[NAME_SERVER_LINE];
	ssize_t len = recv(k->link, &any, sizeof(any), MSG_DONTWAIT);

	if (len <= 0)
		return len < 0 && errno == EAGAIN;
	name_server_line(line);
	/* A server that does not read its answers loses them. */
	send(k->link, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
	return true;
}

/* Waits until the server has died; false: the VMM is gone. */
static bool server_watch(struct keeper *k)
{
	while (1) {
		struct pollfd p[] = {
			{ .fd = HELPER_FD },
			{ .fd = k->link, .events = POLLIN },
			{ .fd = k->frames, .events = POLLIN },
		};

		if (poll(p, ARRAY_SIZE(p), -1) < 0)
			continue;
		if (p[0].revents)
			return false;
		if (p[2].revents)
			server_first_packet(k);
		if (p[1].revents && !server_asks(k))
			return true;
	}
}

/* --- one after the other ------------------------------------------------------------------- */

/*
 * Notes that a server has ended now; returns true if more than KEEPER_RESTARTS have within
 * KEEPER_PERIOD_MS.
 */
static bool ends_too_often(struct keeper *k)
{
	s64 now = now_ms(), *oldest = &k->ends_ms[k->ends % KEEPER_RESTARTS];
	bool too_often = k->ends >= KEEPER_RESTARTS && now - *oldest < KEEPER_PERIOD_MS;

	*oldest = now;
	k->ends++;
	return too_often;
}

static void keeper_tell_end(struct keeper *k, int status, bool last)
{
	char how[64] = "";
	struct err line;

	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), " (signal %d, %s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), " (exit code %d)", WEXITSTATUS(status));
	if (!*k->why.text)
		err_set(&k->why, 0, "--net %s: its process has ended%s", k->n->text, how);
	if (last)
		err_set(&line, 0,
			"%s; that is %d times within a minute, so it is not started again",
			k->why.text, KEEPER_RESTARTS + 1);
	else
		err_set(&line, 0, "%s; the guest's link is down until it is started again",
			k->why.text);
	keeper_tell_vmm(line.text);
}

/* Waits @ms milliseconds; returns false as soon as the VMM is gone. */
static bool vmm_is_there_for(int ms)
{
	struct pollfd p = { .fd = HELPER_FD };

	return poll(&p, 1, ms) <= 0;
}

int keeper_run(const struct spec_net *n, enum confine_mode confine, const char *user)
{
	struct keeper k = { .n = n, .confine = confine, .user = user, .link = -1, .frames = -1 };
	bool ran = false;

	while (1) {
		int status, ret = server_start(&k);
		bool last;

		if (!ret && !server_watch(&k)) {
			server_end(&k);
			return 0;
		}
		status = server_end(&k);
		ran |= k.ready;
		if (!ran) {
			keeper_tell_vmm(k.why.text);
			return ret ? ret : -EIO;
		}
		last = ends_too_often(&k);
		keeper_tell_end(&k, status, last);
		if (last)
			return -EIO;
		if (!vmm_is_there_for(KEEPER_PAUSE_MS))
			return 0;
	}
}
