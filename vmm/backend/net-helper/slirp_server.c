// SPDX-License-Identifier: GPL-2.0-only
/* Moves frames between the guest and libslirp, and confines the process that does it. */
#include "vmm/backend/net-helper/slirp_server.h"

#include <errno.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "devices/net_merge.h"
#include "vmm/backend/net-helper/name_server.h"
#include "vmm/confine/confine.h"

#define NETWORK	   0x0a000200U /* 10.0.2.0/24, as with QEMU */
#define MAX_TIMERS 8
#define MAX_FDS	   1024
#define BATCH	   64	/* frames of the guest before sockets have their turn */
#define LOOK_MS	   1000 /* libslirp looks into resolv.conf no more often */

struct timer {
	bool used;
	s64 at_ms; /* -1: not armed */
	SlirpTimerCb fn;
	void *arg;
};

struct user_net {
	const struct slirp_server *s;
	Slirp *slirp;
	struct name_server_file resolv;
	s64 asked_ms;
	struct timer timers[MAX_TIMERS];
	struct pollfd fds[MAX_FDS];
	unsigned n_fds;
	u8 frame[NET_FRAME_MAX];
	struct net_merge merge; /* frames for the guest, until the end of the round */
	bool full;		/* the socket took them not yet */
	struct iovec train[NET_MERGE_IOV];
};

/* --- what libslirp asks of us -------------------------------------------------------------- */

/* Sends what was collected for the guest. -errno; -EAGAIN: it stays, until the guest reads. */
static int send_train(struct user_net *u)
{
	struct msghdr m = { .msg_iov = u->train,
			    .msg_iovlen = net_merge_train(&u->merge, u->train) };
	int ret = 0;

	u->full = false;
	if (!m.msg_iovlen)
		return 0;
	if (sendmsg(u->s->frames, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
		ret = -errno;
	u->full = ret == -EAGAIN;
	if (!u->full)
		net_merge_clear(&u->merge);
	return ret;
}

static ssize_t user_net_on_send(const void *buf, size_t len, void *opaque)
{
	struct user_net *u = opaque;
	int ret = 0;

	if (net_merge_add(&u->merge, buf, len))
		return (ssize_t)len;
	/* A guest that does not read loses frames, as on a wire. */
	if (!u->full)
		ret = send_train(u);
	if (!u->full)
		net_merge_add(&u->merge, buf, len);
	return ret && ret != -EAGAIN ? -1 : (ssize_t)len;
}

static void on_guest_error(const char *msg, void *opaque)
{
	(void)msg;
	(void)opaque;
}

static int64_t slirp_clock_ns(void *opaque)
{
	(void)opaque;
	return (int64_t)now_ns();
}

static void *timer_new(SlirpTimerCb fn, void *arg, void *opaque)
{
	struct user_net *u = opaque;

	for (size_t i = 0; i < MAX_TIMERS; i++) {
		if (u->timers[i].used)
			continue;
		u->timers[i] = (struct timer){ true, -1, fn, arg };
		return &u->timers[i];
	}
	return NULL;
}

static void timer_free(void *timer, void *opaque)
{
	(void)opaque;
	if (timer)
		((struct timer *)timer)->used = false;
}

static void timer_mod(void *timer, int64_t at_ms, void *opaque)
{
	(void)opaque;
	if (timer)
		((struct timer *)timer)->at_ms = at_ms;
}

static void user_net_on_fd(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

static void user_net_on_notify(void *opaque)
{
	(void)opaque;
}

static int user_net_add_poll(int fd, int events, void *opaque)
{
	struct user_net *u = opaque;

	if (u->n_fds == MAX_FDS)
		return -1;
	u->fds[u->n_fds] = (struct pollfd){
		.fd = fd,
		.events = (short)((events & SLIRP_POLL_IN ? POLLIN : 0) |
				  (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
				  (events & SLIRP_POLL_PRI ? POLLPRI : 0)),
	};
	return (int)u->n_fds++;
}

static int get_revents(int i, void *opaque)
{
	struct user_net *u = opaque;
	int r = i >= 0 && (unsigned)i < u->n_fds ? u->fds[i].revents : 0;

	return (r & POLLIN ? SLIRP_POLL_IN : 0) | (r & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (r & POLLPRI ? SLIRP_POLL_PRI : 0) | (r & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (r & POLLHUP ? SLIRP_POLL_HUP : 0);
}

/* --- set-up -------------------------------------------------------------------------------- */

static struct in_addr in_address(u32 a)
{
	return (struct in_addr){ .s_addr = htonl(a) };
}

static int user_net_set_up(struct user_net *u, const struct spec_net *n, struct err *e)
{
	static const SlirpCb callbacks = {
		.send_packet = user_net_on_send,
		.guest_error = on_guest_error,
		.clock_get_ns = slirp_clock_ns,
		.timer_new = timer_new,
		.timer_free = timer_free,
		.timer_mod = timer_mod,
		.register_poll_fd = user_net_on_fd,
		.unregister_poll_fd = user_net_on_fd,
		.notify = user_net_on_notify,
	};
	SlirpConfig c = {
		.version = 1,
		.in_enabled = true,
		.vnetwork = in_address(NETWORK),
		.vnetmask = in_address(0xffffff00U),
		.vhost = in_address(NETWORK + 2),
		.vnameserver = in_address(NETWORK + 3),
		.vdhcp_start = in_address(NETWORK + 15),
		.vhostname = "umbra",
		.tftp_path = n->tftp,
		.bootfile = n->bootfile,
	};

	u->slirp = slirp_new(&c, &callbacks, u);
	if (!u->slirp)
		return err_set(e, -EIO, "--net %s: libslirp refuses to start", n->text);
	for (size_t i = 0; i < n->n_forwards; i++) {
		const struct spec_forward *f = &n->forwards[i];
		u32 guest = f->guest_addr ? f->guest_addr : NETWORK + 15;

		if (slirp_add_hostfwd(u->slirp, f->udp, in_address(f->host_addr), f->host_port,
				      in_address(guest), f->guest_port) < 0)
			return err_set(e, -EADDRINUSE,
				       "--net %s: cannot listen on port %u of the host: %s",
				       n->text, f->host_port, strerror(errno));
	}
	return 0;
}

/* --- service ------------------------------------------------------------------------------- */

static void run_timers(struct user_net *u, uint32_t *timeout, bool fire)
{
	s64 now = now_ms();

	for (size_t i = 0; i < MAX_TIMERS; i++) {
		struct timer *t = &u->timers[i];

		if (!t->used || t->at_ms < 0)
			continue;
		if (fire && t->at_ms <= now) {
			t->at_ms = -1;
			t->fn(t->arg);
		} else if (!fire) {
			s64 left = t->at_ms > now ? t->at_ms - now : 0;

			if (left < *timeout)
				*timeout = (uint32_t)left;
		}
	}
}

/* Returns true for an IPv4 frame to the guest's name server, for which libslirp puts the host's. */
static bool is_to_name_server(const u8 *frame, size_t len)
{
	const u32 server = htonl(NETWORK + 3);

	return len >= 34 && frame[12] == 0x08 && frame[13] == 0x00 &&
	       !memcmp(frame + 30, &server, sizeof(server));
}

/*
 * Asks the keeper for the host's name server, see name_server.h. The answer to an earlier question
 * may come first.
 */
static void ask_for_name_server(struct user_net *u)
{
	struct pollfd p = { .fd = u->s->keeper, .events = POLLIN };
	char line[NAME_SERVER_LINE];
	s64 now = now_ms();
	ssize_t len;

	if (u->resolv.fd < 0 || now - u->asked_ms < LOOK_MS)
		return;
	u->asked_ms = now;
	if (send(p.fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1 || poll(&p, 1, NAME_SERVER_MS) != 1)
		return;
	while ((len = recv(p.fd, line, sizeof(line) - 1, MSG_DONTWAIT)) > 0) {
		line[len] = '\0';
		name_server_write(&u->resolv, line);
	}
}

/* Takes what the guest's driver accepts, see devices/net_train.h. */
static void take_features(struct user_net *u, size_t len)
{
	if (len == sizeof(u->merge.features))
		memcpy(&u->merge.features, u->frame, len);
}

/* Takes frames from the guest; returns false if the guest is gone. */
static bool from_guest(struct user_net *u)
{
	for (unsigned i = 0; i < BATCH; i++) {
		ssize_t len = recv(u->s->frames, u->frame, sizeof(u->frame), MSG_DONTWAIT);

		if (len < 0)
			return errno == EAGAIN || errno == EINTR;
		if (!len)
			return false;
		if (len < (ssize_t)NET_FRAME_MIN) {
			take_features(u, (size_t)len);
			continue;
		}
		if (is_to_name_server(u->frame, (size_t)len))
			ask_for_name_server(u);
		slirp_input(u->slirp, u->frame, (int)len);
	}
	return true;
}

static void user_net_serve(struct user_net *u)
{
	bool there = true;

	while (there) {
		uint32_t timeout = 60000;
		int ret;

		u->n_fds = 0;
		user_net_add_poll(u->s->frames, SLIRP_POLL_IN | (u->full ? SLIRP_POLL_OUT : 0), u);
		slirp_pollfds_fill(u->slirp, &timeout, user_net_add_poll, u);
		run_timers(u, &timeout, false);
		ret = poll(u->fds, u->n_fds, timeout > 60000 ? 60000 : (int)timeout);
		slirp_pollfds_poll(u->slirp, ret < 0, get_revents, u);
		run_timers(u, &timeout, true);
		if (ret > 0 && u->fds[0].revents & ~POLLOUT)
			there = from_guest(u);
		if (!u->full || u->fds[0].revents & POLLOUT)
			send_train(u);
	}
}

/*
 * Confines the process when the ports are open, which may need root; files to be served are read
 * without root's rights.
 */
static int confine_self(struct user_net *u, struct err *e)
{
	const struct spec_net *n = u->s->net;
	int ret = confine_network(u->s->confine, u->s->user, n->tftp, &u->resolv.fd, e);

	if (!ret && n->tftp && access(n->tftp, R_OK | X_OK))
		ret = err_set(e, -errno, "--net %s: user %u cannot read %s: %s%s", n->text,
			      (unsigned)geteuid(), n->tftp, strerror(errno),
			      u->s->confine != CONFINE_OFF ? "; --user names another user" : "");
	return ret;
}

int slirp_server_run(const struct slirp_server *s, struct err *e)
{
	struct user_net *u = calloc(1, sizeof(*u));
	int ret;

	if (!u)
		return err_set(e, -ENOMEM, "out of memory");
	u->s = s;
	u->resolv.fd = -1;
	u->asked_ms = -LOOK_MS;
	ret = user_net_set_up(u, s->net, e);
	if (!ret)
		ret = confine_self(u, e);
	ask_for_name_server(u);
	/* One byte tells the keeper that all is set up; more are an error for the user. */
	if (ret)
		send(s->frames, e->text, strlen(e->text), MSG_NOSIGNAL);
	else if (send(s->frames, "", 1, MSG_NOSIGNAL) == 1)
		user_net_serve(u);
	if (u->slirp)
		slirp_cleanup(u->slirp);
	free(u);
	return ret;
}
