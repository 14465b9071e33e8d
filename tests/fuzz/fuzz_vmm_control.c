// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sends any bytes, in any pieces, to the control socket, against commands that answer at once and
 * late.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/loop.h"
#include "vmm/control/control.h"

static struct control_request *late;

static void answer_now(void *arg, struct control_request *r, const json_t *args)
{
	(void)arg;
	control_reply(r, json_deep_copy(args));
}

static void refuse_request(void *arg, struct control_request *r, const json_t *args)
{
	(void)arg;
	(void)args;
	control_fail(r, "no");
}

static void answer_later(void *arg, struct control_request *r, const json_t *args)
{
	(void)arg;
	(void)args;
	if (late)
		control_reply(late, NULL);
	late = r;
}

static const struct control_command commands[] = {
	{ "now", answer_now }, { "no", refuse_request }, { "later", answer_later }, { NULL, NULL }
};

static void stop_loop(void *arg, u32 events)
{
	(void)events;
	loop_stop(arg);
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	static const char hello[] = "{\"execute\":\"qmp_capabilities\"}";
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct control *c;
	struct loop *l;
	int fd, timer;

	if (!size || size > 60000)
		return 0;
	snprintf(sa.sun_path, sizeof(sa.sun_path), "/tmp/umbra-fuzz-%d.sock", getpid());
	if (loop_create(&l) || control_create(&c, l, sa.sun_path, NULL) ||
	    control_add(c, commands, NULL))
		abort();
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)))
		abort();
	if (data[0] & 1 && send(fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL) < 0)
		abort();
	if (send(fd, data + 1, size - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
		abort();
	if (data[0] & 2)
		shutdown(fd, SHUT_WR);
	timer = loop_timer(l, 2000000, 0, stop_loop, l);
	loop_run(l);
	loop_timer_del(l, timer);
	if (late)
		control_reply(late, NULL);
	late = NULL;
	close(fd);
	control_destroy(c);
	loop_destroy(l);
	return 0;
}
