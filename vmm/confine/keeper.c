// SPDX-License-Identifier: GPL-2.0-only
/* Starts a server process for the VMM, again if it dies, and answers what it asks. */
#include "vmm/confine/keeper.h"

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
#include "vmm/confine/helper.h"

#define DYING_MS 100 /* a process that dies closes its sockets one after the other, within that */

struct keeper {
	const struct keeper_job *job;
	pid_t server;	/* 0: none */
	int link;	/* to the server, which asks over it; hangs up when that has died */
	int channel;	/* the VMM's end of the server's channel, until the VMM has it; or -1 */
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
static void server_main(const struct keeper *k, int link, int channel, pid_t parent)
{
	const struct keeper_job *job = k->job;

	close(HELPER_FD);
	close(k->link);
	close(k->channel);
	prctl(PR_SET_NAME, job->name, 0, 0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (getppid() != parent)
		_exit(EXIT_CODE_ERROR);
	exit(job->run(job->arg, channel, link) ? EXIT_CODE_ERROR : 0);
}

static int server_start(struct keeper *k)
{
	int link[2] = { -1, -1 }, channel[2] = { -1, -1 }, ret = 0;
	pid_t self = getpid();

	k->ready = false;
	k->why.text[0] = '\0';
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, link) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, channel))
		ret = -errno;
	k->link = link[0];
	k->channel = channel[0];
	k->server = ret ? -1 : fork();
	if (!k->server)
		server_main(k, link[1], channel[1], self);
	if (!ret && k->server < 0)
		ret = -errno;
	keeper_close_fd(&link[1]);
	keeper_close_fd(&channel[1]);
	if (ret) {
		k->server = 0;
		keeper_close_fd(&k->link);
		keeper_close_fd(&k->channel);
		err_set(&k->why, ret, "%s: cannot start %s: %s", k->job->what, k->job->process,
			strerror(-ret));
	}
	return ret;
}

/* Kills the server, unless it has ended by itself; returns its status as waitpid() gives it. */
static int server_end(struct keeper *k)
{
	int status = 0;

	keeper_close_fd(&k->link);
	keeper_close_fd(&k->channel);
	if (k->server > 0) {
		kill(k->server, SIGKILL);
		while (waitpid(k->server, &status, 0) < 0 && errno == EINTR)
			;
	}
	k->server = 0;
	return status;
}

/* Notes that the server has closed its channel, unless that is because it dies. */
static void server_note_hang_up(struct keeper *k)
{
	struct pollfd p = { .fd = k->link };

	if (poll(&p, 1, DYING_MS) == 0)
		err_set(&k->why, 0, "%s: %s has hung up before it was ready", k->job->what,
			k->job->process);
}

/*
 * Receives the first packet on the channel, which is the server's for the keeper. One byte says
 * that the server is ready: the VMM gets the channel. More bytes are the text of an error. Returns
 * false if the server has closed its end or sent no byte: it will not be ready any more.
 */
static bool server_first_packet(struct keeper *k)
{
	ssize_t len = recv(k->channel, k->why.text, sizeof(k->why.text) - 1, MSG_DONTWAIT);

	if (len < 0 && (errno == EAGAIN || errno == EINTR))
		return true;
	if (len <= 0) {
		server_note_hang_up(k);
		return false;
	}
	k->why.text[len == 1 ? 0 : len] = '\0';
	k->ready = len == 1 && !helper_send(HELPER_FD, "", 1, k->channel);
	keeper_close_fd(&k->channel);
	return true;
}

/*
 * Answers each packet of the server, whatever is in it. Returns false if the server has hung up.
 */
static bool server_asks(const struct keeper *k)
{
	char any, line[KEEPER_LINE];
	ssize_t len = recv(k->link, &any, sizeof(any), MSG_DONTWAIT);

	if (len <= 0)
		return len < 0 && errno == EAGAIN;
	if (!k->job->answer)
		return true;
	k->job->answer(line);
	/* A server that does not read its answers loses them. */
	send(k->link, line, strlen(line), MSG_DONTWAIT | MSG_NOSIGNAL);
	return true;
}

/* Waits until the server has died or is to be ended; false: the VMM is gone. */
static bool server_watch(struct keeper *k)
{
	while (1) {
		struct pollfd p[] = {
			{ .fd = HELPER_FD },
			{ .fd = k->link, .events = POLLIN },
			{ .fd = k->channel, .events = POLLIN },
		};

		if (poll(p, ARRAY_SIZE(p), -1) < 0)
			continue;
		if (p[0].revents)
			return false;
		if (p[2].revents && !server_first_packet(k))
			return true;
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

/* Notes how the server has ended, by waitpid()'s @status, unless it has said why itself. */
static void keeper_note_end(struct keeper *k, int status)
{
	char how[64] = "";

	if (*k->why.text)
		return;
	if (WIFSIGNALED(status))
		snprintf(how, sizeof(how), " (signal %d, %s)", WTERMSIG(status),
			 strsignal(WTERMSIG(status)));
	else
		snprintf(how, sizeof(how), " (exit code %d)", WEXITSTATUS(status));
	err_set(&k->why, 0, "%s: %s has ended%s", k->job->what, k->job->process, how);
}

static void keeper_tell_end(const struct keeper *k, bool last)
{
	struct err line;

	if (last)
		err_set(&line, 0,
			"%s; that is %d times within a minute, so it is not started again",
			k->why.text, KEEPER_RESTARTS + 1);
	else
		err_set(&line, 0, "%s; %s until it is started again", k->why.text, k->job->loss);
	keeper_tell_vmm(line.text);
}

/* Waits @ms milliseconds; returns false as soon as the VMM is gone. */
static bool vmm_is_there_for(int ms)
{
	struct pollfd p = { .fd = HELPER_FD };

	return poll(&p, 1, ms) <= 0;
}

int keeper_run(const struct keeper_job *job)
{
	struct keeper k = { .job = job, .link = -1, .channel = -1 };
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
		keeper_note_end(&k, status);
		if (!ran) {
			keeper_tell_vmm(k.why.text);
			return ret ? ret : -EIO;
		}
		last = ends_too_often(&k);
		keeper_tell_end(&k, last);
		if (last)
			return -EIO;
		if (!vmm_is_there_for(KEEPER_PAUSE_MS))
			return 0;
	}
}

/* --- the VMM's side ------------------------------------------------------------------------ */

enum keeper_news keeper_read(int keeper, int *channel, struct err *why)
{
	ssize_t len = helper_receive(keeper, why->text, sizeof(why->text) - 1, channel);

	why->text[len < 0 ? 0 : len] = '\0';
	if (len < 0)
		return len == -EAGAIN ? KEEPER_NOTHING : KEEPER_GONE;
	return *channel < 0 ? KEEPER_DOWN : KEEPER_UP;
}
