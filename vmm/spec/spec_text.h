/* SPDX-License-Identifier: GPL-2.0-only */
/* Options of `vmm run` that describe memory or a device: NAME[,word][,key=value]... */
#ifndef UMBRA_VMM_SPEC_SPEC_TEXT_H
#define UMBRA_VMM_SPEC_SPEC_TEXT_H

#include "vmm/spec/spec.h"

/* --memory SIZE[,shared][,hugepages[=2M|1G]] */
int parse_memory(struct guest_spec *o, const char *s, struct err *e);
/* --disk FILE[,ro][,direct][,serial=S][,queues=N][,aio=io_uring|threads] */
/* or --disk vhost-user=SOCKET[,queues=N] */
int parse_disk(struct guest_spec *o, const char *s, struct err *e);
/* --console stdio|pty|socket=PATH|file=PATH */
int parse_console(struct guest_spec *o, const char *s, struct err *e);
/* --port NAME=pty|socket=PATH|file=PATH */
int parse_port(struct guest_spec *o, const char *s, struct err *e);
/* --net user[,tftp=DIR][,bootfile=F][,hostfwd=tcp:PORT-:PORT]...[,mac=M] or tap=NAME[,mac=M] */
int parse_net(struct guest_spec *o, const char *s, struct err *e);
/* The same into *n; the caller frees n->buf, also after an error. */
int parse_net_text(struct spec_net *n, const char *s, struct err *e);

#endif
