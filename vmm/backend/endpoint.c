// SPDX-License-Identifier: GPL-2.0-only
/* Creates the endpoint of the kind that was asked for, and forwards to it. */
#include <stdio.h>

#include "vmm/backend/endpoint_int.h"

int endpoint_create(struct endpoint **out, const struct endpoint_config *c, struct err *e)
{
	*out = NULL;
	switch (c->what->kind) {
	case SPEC_ATTACH:
		return 0;
	case SPEC_PTY:
	case SPEC_SOCKET:
	case SPEC_SOCKET_FD:
		return endpoint_stream_create(out, c, e);
	case SPEC_STDIO:
	case SPEC_FILE:
	default:
		return endpoint_stdio_create(out, c, e);
	}
}

void endpoint_start(struct endpoint *ep)
{
	if (ep && ep->ops->start)
		ep->ops->start(ep);
}

bool endpoint_end(struct endpoint *ep)
{
	return ep && ep->ops->end && ep->ops->end(ep);
}

void endpoint_destroy(struct endpoint *ep, s64 until_ms)
{
	if (ep)
		ep->ops->destroy(ep, until_ms);
}

size_t endpoint_write(struct endpoint *ep, const u8 *buf, size_t len, bool may_refuse)
{
	return !ep ? len : ep->ops->write(ep, buf, len, may_refuse);
}

s64 endpoint_held_ms(const struct endpoint *ep, const char **file)
{
	return ep && ep->ops->held ? ep->ops->held(ep, file) : 0;
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
