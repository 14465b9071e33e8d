// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps the vector table of MSI-X, and knows which vectors the host routes and which are pending.
 */
#include "devices/msix.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define ENTRY_MASKED 1U
#define NOT_MADE     (-1)

struct entry {
	u32 word[4]; /* address low, high, data, control */
	int host_vector;
	bool pending;
	bool stale; /* the words changed since the route was set */
};

/* An eventfd that the host turns into a vector, without this process. */
struct attached {
	int fd; /* -1: free */
	u16 vector;
	bool bound; /* the host listens to it */
};

struct msix {
	struct host *h;
	pthread_mutex_t lock;
	unsigned n;
	u16 control;
	struct entry entries[MSIX_MAX_VECTORS];
	struct attached attached[MSIX_MAX_VECTORS];
};

int msix_create(struct msix **out, struct host *h, unsigned vectors)
{
	struct msix *x;

	if (!vectors || vectors > MSIX_MAX_VECTORS)
		return -EINVAL;
	x = calloc(1, sizeof(*x));
	if (!x)
		return -ENOMEM;
	x->h = h;
	x->n = vectors;
	pthread_mutex_init(&x->lock, NULL);
	for (unsigned i = 0; i < vectors; i++) {
		x->entries[i].word[3] = ENTRY_MASKED;
		x->entries[i].host_vector = NOT_MADE;
		x->entries[i].stale = true;
	}
	for (unsigned i = 0; i < MSIX_MAX_VECTORS; i++)
		x->attached[i].fd = -1;
	*out = x;
	return 0;
}

void msix_destroy(struct msix *x)
{
	if (!x)
		return;
	for (unsigned i = 0; i < x->n; i++)
		if (x->entries[i].host_vector >= 0)
			x->h->ops->msi_free(x->h, x->entries[i].host_vector);
	pthread_mutex_destroy(&x->lock);
	free(x);
}

unsigned msix_vectors(const struct msix *x)
{
	return x->n;
}

static bool msix_is_masked(const struct msix *x, const struct entry *t)
{
	return !(x->control & MSIX_CTRL_ENABLE) || (x->control & MSIX_CTRL_MASK) ||
	       (t->word[3] & ENTRY_MASKED);
}

/* Has the host listen to @a exactly while its vector may be delivered. */
static void msix_refresh_attached(struct msix *x, struct attached *a)
{
	const struct entry *t = &x->entries[a->vector];
	bool want = !msix_is_masked(x, t) && t->host_vector >= 0 && !t->stale;

	if (want == a->bound)
		return;
	if (!want)
		x->h->ops->msi_unbind(x->h, t->host_vector, a->fd);
	a->bound = want && !x->h->ops->msi_bind(x->h, t->host_vector, a->fd);
}

/* Brings the host's route of @t up to date, and delivers it if it is pending. */
static void msix_refresh_entry(struct msix *x, struct entry *t)
{
	if (msix_is_masked(x, t))
		return;
	if (t->host_vector < 0) {
		t->host_vector = x->h->ops->msi_alloc(x->h);
		if (t->host_vector < 0) {
			t->host_vector = NOT_MADE;
			return;
		}
		t->stale = true;
	}
	if (t->stale) {
		u64 addr = (u64)t->word[1] << 32 | t->word[0];

		if (x->h->ops->msi_route(x->h, t->host_vector, addr, t->word[2]))
			return;
		t->stale = false;
	}
	if (t->pending) {
		t->pending = false;
		x->h->ops->msi_send(x->h, t->host_vector);
	}
}

static void msix_refresh(struct msix *x, struct entry *t)
{
	msix_refresh_entry(x, t);
	for (unsigned i = 0; i < MSIX_MAX_VECTORS; i++)
		if (x->attached[i].fd >= 0 && &x->entries[x->attached[i].vector] == t)
			msix_refresh_attached(x, &x->attached[i]);
}

void msix_reset(struct msix *x)
{
	pthread_mutex_lock(&x->lock);
	x->control = 0;
	for (unsigned i = 0; i < x->n; i++) {
		struct entry *t = &x->entries[i];

		msix_refresh(x, t); /* unbinds the eventfds that are attached to it */
		if (t->host_vector >= 0)
			x->h->ops->msi_free(x->h, t->host_vector);
		*t = (struct entry){
			.word[3] = ENTRY_MASKED,
			.host_vector = NOT_MADE,
			.stale = true,
		};
	}
	pthread_mutex_unlock(&x->lock);
}

static void msix_write_word(struct msix *x, unsigned index, u32 value)
{
	struct entry *t = &x->entries[index / 4];
	unsigned w = index % 4;

	if (w == 0)
		value &= ~3U;
	if (w == 3)
		value &= ENTRY_MASKED;
	else if (t->word[w] != value)
		t->stale = true;
	t->word[w] = value;
	msix_refresh(x, t);
}

void msix_table_io(struct msix *x, u64 offset, void *data, unsigned len, bool write)
{
	u32 word[2];

	if ((len != 4 && len != 8) || offset % len)
		return;
	memcpy(word, data, len);
	pthread_mutex_lock(&x->lock);
	for (unsigned i = 0; i < len / 4; i++) {
		u64 index = offset / 4 + i;

		if (index >= 4ULL * x->n)
			word[i] = write ? word[i] : 0;
		else if (write)
			msix_write_word(x, (unsigned)index, word[i]);
		else
			word[i] = x->entries[index / 4].word[index % 4];
	}
	pthread_mutex_unlock(&x->lock);
	if (!write)
		memcpy(data, word, len);
}

/* Returns true if @a was signalled while the host did not listen to it. */
static bool attached_has_signal(const struct attached *a)
{
	struct pollfd p = { .fd = a->fd, .events = POLLIN };

	return a->fd >= 0 && !a->bound && poll(&p, 1, 0) == 1;
}

void msix_pba_io(struct msix *x, u64 offset, void *data, unsigned len, bool write)
{
	u64 bits = 0;

	if (write)
		return;
	memset(data, 0, len);
	if (offset >= 8 || len > 8 - offset)
		return;
	pthread_mutex_lock(&x->lock);
	for (unsigned i = 0; i < x->n; i++)
		bits |= (u64)x->entries[i].pending << i;
	for (unsigned i = 0; i < MSIX_MAX_VECTORS; i++)
		bits |= (u64)attached_has_signal(&x->attached[i]) << x->attached[i].vector;
	pthread_mutex_unlock(&x->lock);
	bits >>= 8 * offset;
	memcpy(data, &bits, len);
}

void msix_control(struct msix *x, u16 control)
{
	pthread_mutex_lock(&x->lock);
	x->control = control;
	for (unsigned i = 0; i < x->n; i++)
		msix_refresh(x, &x->entries[i]);
	pthread_mutex_unlock(&x->lock);
}

bool msix_enabled(struct msix *x)
{
	bool on;

	pthread_mutex_lock(&x->lock);
	on = x->control & MSIX_CTRL_ENABLE;
	pthread_mutex_unlock(&x->lock);
	return on;
}

void msix_notify(struct msix *x, u16 vector)
{
	struct entry *t;

	if (vector >= x->n)
		return;
	pthread_mutex_lock(&x->lock);
	t = &x->entries[vector];
	if (x->control & MSIX_CTRL_ENABLE) {
		t->pending = true;
		msix_refresh(x, t);
	}
	pthread_mutex_unlock(&x->lock);
}

static int msix_attach_locked(struct msix *x, u16 vector, int fd)
{
	struct attached *a = NULL;

	for (unsigned i = 0; i < MSIX_MAX_VECTORS && (!a || a->fd != fd); i++)
		if (x->attached[i].fd == fd || (!a && x->attached[i].fd < 0))
			a = &x->attached[i];
	if (!a)
		return vector < x->n ? -ENOSPC : 0;
	if (a->bound)
		x->h->ops->msi_unbind(x->h, x->entries[a->vector].host_vector, a->fd);
	*a = (struct attached){ .fd = -1 };
	if (vector >= x->n)
		return 0;
	a->fd = fd;
	a->vector = vector;
	msix_refresh_attached(x, a);
	return 0;
}

int msix_attach(struct msix *x, u16 vector, int fd)
{
	int ret;

	pthread_mutex_lock(&x->lock);
	ret = msix_attach_locked(x, vector, fd);
	pthread_mutex_unlock(&x->lock);
	return ret;
}
