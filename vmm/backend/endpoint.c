// SPDX-License-Identifier: GPL-2.0-only
/* Creates the endpoint of the kind that was asked for, and forwards to it. */
#include <stdio.h>

#include "vmm/backend/endpoint_int.h"

static int create_kind(struct endpoint **out, const struct endpoint_config *c, struct err *e)
{
	switch (c->what->kind) {
	case SPEC_ATTACH:
		return 0;
	case SPEC_PTY:
	case SPEC_SOCKET:
	case SPEC_SOCKET_FD:
		return endpoint_stream_create(out, c, e);
	case SPEC_STDIO:
	case SPEC_FILE:
	case SPEC_FILE_FD:
	default:
		return endpoint_stdio_create(out, c, e);
	}
}

static size_t refuse_input(void *arg, const u8 *buf, size_t len)
{
	(void)arg;
	(void)buf;
	return len;
}

/* Makes the file that all output of @ep goes to as well, which it then owns. */
static int create_log(struct endpoint *ep, struct err *e)
{
	const struct spec_endpoint *what = ep->c.what;
	struct endpoint_config c = ep->c;

	if (!what->log && !what->log_fd)
		return 0;
	ep->log_what = (struct spec_endpoint){
		.kind = what->log ? SPEC_FILE : SPEC_FILE_FD,
		.path = what->log,
		.fd = what->log_fd,
	};
	c.what = &ep->log_what;
	c.input = refuse_input;
	c.room = NULL;
	c.help = NULL;
	return create_kind(&ep->log, &c, e);
}

int endpoint_create(struct endpoint **out, const struct endpoint_config *c, struct err *e)
{
	int ret;

	*out = NULL;
	ret = create_kind(out, c, e);
	if (ret || !*out)
		return ret;
	ret = create_log(*out, e);
	if (ret) {
		endpoint_destroy(*out, 0);
		*out = NULL;
	}
	return ret;
}

void endpoint_start(struct endpoint *ep)
{
	if (ep && ep->ops->start)
		ep->ops->start(ep);
}

bool endpoint_end(struct endpoint *ep)
{
	bool ends = ep && ep->log && ep->log->ops->end(ep->log);

	return (ep && ep->ops->end && ep->ops->end(ep)) || ends;
}

void endpoint_destroy(struct endpoint *ep, s64 until_ms)
{
	struct endpoint *log = ep ? ep->log : NULL;

	if (log)
		log->ops->destroy(log, until_ms);
	if (ep)
		ep->ops->destroy(ep, until_ms);
}

size_t endpoint_write(struct endpoint *ep, const u8 *buf, size_t len, bool may_refuse)
{
	size_t taken = !ep ? len : ep->ops->write(ep, buf, len, may_refuse);

	if (ep && ep->log && taken)
		ep->log->ops->write(ep->log, buf, taken, false);
	return taken;
}

s64 endpoint_held_ms(const struct endpoint *ep, const char **file)
{
	s64 ms = ep && ep->ops->held ? ep->ops->held(ep, file) : 0;

	return ms || !ep || !ep->log ? ms : ep->log->ops->held(ep->log, file);
}

void endpoint_room(struct endpoint *ep)
{
	if (ep)
		ep->ops->room(ep);
}

void endpoint_describe(const struct endpoint *ep, char *buf, size_t len)
{
	if (ep)
		ep->ops->describe(ep, buf, len);
	else
		snprintf(buf, len, "null");
}

bool endpoint_disown(struct endpoint *ep, struct confine_file *file)
{
	return ep && ep->ops->disown && ep->ops->disown(ep, file);
}
