/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Serves viewers of the guest's console on other terminals (`vmm console`), beside or instead of
 * the endpoint that it has anyhow (endpoint.h): several at a time, each sees all and may type.
 *
 * A viewer comes with a socket of its own, whose other end it holds, so no path is opened and no
 * protocol is between: bytes of the guest in one direction, keys in the other. The guest's output
 * goes through a ring of VIEWERS_RING bytes, from which each viewer is served at its own pace. A
 * viewer that is slower than that is told how many bytes it has missed; it never holds up the
 * guest, as screen's and tmux's viewers do not either. With @keep the ring is there from the start,
 * so that the first viewer sees older output; else, where an endpoint shows the console already, it
 * is made for the first viewer.
 */
#ifndef UMBRA_VMM_BACKEND_VIEWERS_H
#define UMBRA_VMM_BACKEND_VIEWERS_H

#include "base/err.h"
#include "base/loop.h"
#include "base/types.h"

#define VIEWERS_RING 65536U
#define VIEWERS_MAX  8

struct closer;
struct viewers;

/*
 * Makes a set of viewers. @input takes bytes for the guest, and returns how many it took. @c closes
 * descriptors that a viewer has sent for nothing; NULL: they are closed at once. Main thread.
 * -ENOMEM.
 */
int viewers_create(struct viewers **out, struct loop *l, bool keep, struct closer *c,
		   size_t (*input)(void *arg, const u8 *buf, size_t len), void *arg);
/*
 * Sends the rest of the ring to the viewers that take it, until now_ms() is @until_ms at the
 * latest. Main thread, after the guest has ended. NULL allowed.
 */
void viewers_destroy(struct viewers *v, s64 until_ms);
/* Takes bytes of the guest; any thread. */
void viewers_write(struct viewers *v, const u8 *buf, size_t len);
/* Tells the viewers that the guest takes input again; any thread. */
void viewers_room(struct viewers *v);
/*
 * Adds a viewer on socket @fd, which is taken over if this succeeds. -ENOTSOCK: no stream socket;
 * -EBUSY: VIEWERS_MAX are there. Main thread.
 */
int viewers_add(struct viewers *v, int fd, struct err *e);
unsigned viewers_count(struct viewers *v);

#endif
