/* SPDX-License-Identifier: GPL-2.0-only */
/* Declares the two kinds of endpoint, to which endpoint.c forwards. */
#ifndef UMBRA_VMM_BACKEND_ENDPOINT_INT_H
#define UMBRA_VMM_BACKEND_ENDPOINT_INT_H

#include "vmm/backend/endpoint.h"

struct endpoint_ops {
	void (*destroy)(struct endpoint *ep, s64 until_ms);
	size_t (*write)(struct endpoint *ep, const u8 *buf, size_t len, bool may_refuse);
	void (*room)(struct endpoint *ep);
	void (*describe)(const struct endpoint *ep, char *buf, size_t len);
	/* NULL: it has no file to remove. */
	bool (*disown)(struct endpoint *ep, struct confine_file *file);
	void (*start)(struct endpoint *ep); /* NULL: it has started when it was created */
	/* What endpoint_end() and endpoint_held_ms() say; NULL, both: it has no file. */
	bool (*end)(struct endpoint *ep);
	s64 (*held)(const struct endpoint *ep, const char **file);
};

/* Each kind begins with it. */
struct endpoint {
	const struct endpoint_ops *ops;
	struct endpoint_config c;
	struct endpoint *log;	       /* gets all output, too; or NULL */
	struct spec_endpoint log_what; /* of that */
};

/* Makes an endpoint of stdin and stdout, or of a file for output. */
int endpoint_stdio_create(struct endpoint **out, const struct endpoint_config *c, struct err *e);
/* Makes an endpoint of a pseudo-terminal or a socket. */
int endpoint_stream_create(struct endpoint **out, const struct endpoint_config *c, struct err *e);

#endif
