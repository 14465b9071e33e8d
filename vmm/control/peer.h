/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Buffers the input and output of one client of a stream socket on the event loop, both bounded, so
 * that no client can block the loop, and keeps the descriptors that come with its bytes
 * (SCM_RIGHTS). The bytes' meaning is the owner's business (struct peer_ops).
 */
#ifndef UMBRA_VMM_CONTROL_PEER_H
#define UMBRA_VMM_CONTROL_PEER_H

#include "base/types.h"

/* A command is short, and an incomplete one is parsed anew with each piece of input. */
#define PEER_INPUT_MAX	(64u << 10)
#define PEER_OUTPUT_MAX (8u << 20) /* not sent yet; the buffer is at most twice that */

#define PEER_LOOSE_FDS 4 /* received, not yet taken by peer_take_fd() */

struct loop;
struct peer;

struct peer_ops {
	/*
	 * Called after each piece of input, and from peer_go_on_later(): @p has something to do.
	 * The owner calls peer_go_on() when it is @p's turn, not from here.
	 */
	void (*wants_turn)(struct peer *p);
	/*
	 * Called from peer_go_on(), when there is more in @p->in. Consumes whole commands by
	 * peer_consume(). -errno: the client must go. It must not call peer_close().
	 */
	int (*input)(struct peer *p);
	/* Frees the memory that @p lies in; the last call, when the client goes. */
	void (*gone)(struct peer *p);
	/* Closes a descriptor that came and that nobody takes. NULL: close(2) does. */
	void (*drop)(struct peer *p, int fd);
};

struct peer {
	struct loop *loop;
	const struct peer_ops *ops;
	int fd;
	char *in; /* in_len bytes and a NUL */
	size_t in_len;
	bool drops; /* descriptors that come are dropped; its owner sets it */
	bool more;  /* the input waits for its turn; nothing more is read until then */
	char *out;
	size_t out_len, out_done, out_size; /* bytes in @out, of these sent, and its room */
	int loose[PEER_LOOSE_FDS];
	unsigned n_loose;
};

/*
 * Serves @fd, which is @p's from here on, on @l. @p is zeroed. -errno: @fd is still the caller's.
 */
int peer_open(struct peer *p, struct loop *l, int fd, const struct peer_ops *ops);
/*
 * Closes the socket, drops the descriptors that were not taken or not even received, then calls
 * ops->gone().
 */
void peer_close(struct peer *p);

/* Queues @len bytes and sends what the socket takes. -errno: the client must go. */
int peer_send(struct peer *p, const char *text, size_t len);
/* Asks for the client's end from anywhere, also from ops->input(): the loop carries it out. */
void peer_hang_up(struct peer *p);

/*
 * Has @p want another turn, for what ops->input() leaves in the input. From ops->input() alone.
 */
void peer_go_on_later(struct peer *p);
/* Hands the input over, since it is @p's turn. @p may be gone after that. */
void peer_go_on(struct peer *p);
/* Removes the first @n bytes of the input. */
void peer_consume(struct peer *p, size_t n);
/*
 * Returns the oldest descriptor that came and was not taken; the caller's then. -1: there is none.
 */
int peer_take_fd(struct peer *p);
/* Closes a descriptor that came from the client, by ops->drop(). */
void peer_drop_fd(struct peer *p, int fd);

#endif
