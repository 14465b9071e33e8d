// SPDX-License-Identifier: GPL-2.0-only
/*
 * Walks descriptor chains, keeps the positions in both rings, and decides about wake-ups.
 *
 * (Q1) to (Q11) are the invariants in virtqueue.h. The memory order of (Q9) and (Q10) is that of
 * virtio 1.2, 2.7.13 and 2.7.14.
 */
#include "devices/virtqueue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#define AVAIL_FLAGS 0
#define AVAIL_IDX   2
#define AVAIL_RING  4
#define USED_FLAGS  0
#define USED_IDX    2
#define USED_RING   4
#define DESC_SIZE   sizeof(struct vring_desc)

static u16 load16(const u8 *ring, size_t offset, int order)
{
	const u16 *p = (const u16 *)(const void *)(ring + offset);

	return order == __ATOMIC_ACQUIRE ? __atomic_load_n(p, __ATOMIC_ACQUIRE)
					 : __atomic_load_n(p, __ATOMIC_RELAXED);
}

static void store16(u8 *ring, size_t offset, u16 value)
{
	__atomic_store_n((u16 *)(void *)(ring + offset), value, __ATOMIC_RELEASE);
}

/*
 * Copies bytes that the guest may change meanwhile (Q4). The barrier keeps the compiler from
 * reading the source a second time where the copy is used.
 */
static void guest_copy_once(void *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	__asm__ volatile("" ::: "memory");
}

/*
 * Returns the offset of used_event: the driver wants an interrupt when the used index has passed
 * it.
 */
static size_t used_event_at(const struct virtqueue *q)
{
	return AVAIL_RING + 2U * q->size;
}

/*
 * Returns the offset of avail_event: the driver is asked for a notification when its index has
 * passed it.
 */
static size_t avail_event_at(const struct virtqueue *q)
{
	return USED_RING + 8U * q->size;
}

void virtqueue_reset(struct virtqueue *q)
{
	u16 max = q->max;

	memset(q, 0, sizeof(*q));
	q->max = max;
	q->size = max;
}

int virtqueue_enable(struct virtqueue *q, struct host *h)
{
	/* (Q1) */
	if (!q->size || q->size > q->max || q->max > VIRTQUEUE_MAX || (q->size & (q->size - 1)))
		return -EINVAL;
	if (q->desc % 16 || q->avail % 2 || q->used % 4)
		return -EINVAL;
	q->desc_ring = h->ops->ram(h, q->desc, DESC_SIZE * q->size);
	q->avail_ring = h->ops->ram(h, q->avail, AVAIL_RING + 2ULL * q->size + 2);
	q->used_ring = h->ops->ram(h, q->used, USED_RING + 8ULL * q->size + 2);
	if (!q->desc_ring || !q->avail_ring || !q->used_ring)
		return -EINVAL;
	q->host = h;
	q->next_avail = q->next_used = 0;
	q->unlooked = 0;
	q->signalled = false;
	q->broken = false;
	q->enabled = true;
	return 0;
}

/*
 * Appends one buffer to the chain, as (Q3) and (Q6) want it; -EIO: no correct driver adds such a
 * buffer.
 */
static int add_buffer(struct virtqueue *q, struct vq_chain *c, const struct vring_desc *d)
{
	unsigned n = c->n_out + c->n_in;
	void *p;

	if (n == VIRTQUEUE_MAX)
		return -EIO; /* (Q5) */
	p = q->host->ops->ram(q->host, d->addr, d->len);
	if (!p)
		return -EIO; /* no length, or not in RAM */
	if (d->flags & VRING_DESC_F_WRITE) {
		c->n_in++;
		c->in_len += d->len;
	} else {
		if (c->n_in)
			return -EIO; /* 2.7.4.2: readable ones come first */
		c->n_out++;
		c->out_len += d->len;
	}
	c->iov[n] = (struct iovec){ p, d->len };
	return 0;
}

/* Follows the chain that starts at @index of a table of @count descriptors; it ends by (Q5). */
static int walk_chain(struct virtqueue *q, struct vq_chain *c, const u8 *table, u32 count,
		      u32 index, bool is_indirect)
{
	for (u32 steps = 0; steps < q->max; steps++) {
		struct vring_desc d;
		int ret;

		if (index >= count)
			return -EIO; /* (Q3) */
		guest_copy_once(&d, table + (size_t)index * DESC_SIZE, DESC_SIZE);
		if (d.flags & VRING_DESC_F_INDIRECT) {
			const u8 *inner;

			/* 2.7.5.3.1: not nested, not with NEXT, whole entries, as many as fit. */
			if (is_indirect || !q->indirect || (d.flags & VRING_DESC_F_NEXT) ||
			    !d.len || d.len % DESC_SIZE || d.len / DESC_SIZE > q->max)
				return -EIO;
			inner = q->host->ops->ram(q->host, d.addr, d.len);
			if (!inner)
				return -EIO;
			return walk_chain(q, c, inner, d.len / DESC_SIZE, 0, true);
		}
		ret = add_buffer(q, c, &d);
		if (ret)
			return ret;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		index = d.next;
	}
	return -EIO; /* a loop, or longer than any chain may be */
}

int virtqueue_pop(struct virtqueue *q, struct vq_chain *c)
{
	u16 idx, head;

	if (!q->enabled || q->broken)
		return q->broken ? -EIO : 0;
	idx = load16(q->avail_ring, AVAIL_IDX, __ATOMIC_ACQUIRE); /* (Q9) */
	if (idx == q->next_avail)
		return 0;
	if ((u16)(idx - q->next_avail) > q->size)
		goto broken;
	head = load16(q->avail_ring, AVAIL_RING + 2U * (q->next_avail & (q->size - 1U)),
		      __ATOMIC_RELAXED);
	if (head >= q->size)
		goto broken; /* (Q3) */
	c->head = head;
	c->n_out = c->n_in = 0;
	c->out_len = c->in_len = 0;
	if (walk_chain(q, c, q->desc_ring, q->size, head, false))
		goto broken;
	q->next_avail++;
	q->unpopped = 0;
	return 1;
broken:
	q->broken = true; /* (Q11) */
	return -EIO;
}

void virtqueue_fill(struct virtqueue *q, unsigned nth, u16 head, u32 written)
{
	struct vring_used_elem elem = { .id = head, .len = written };

	if (!q->enabled || q->broken)
		return;
	memcpy(q->used_ring + USED_RING + 8U * ((q->next_used + nth) & (q->size - 1U)), &elem,
	       sizeof(elem));
}

void virtqueue_publish(struct virtqueue *q, unsigned n)
{
	if (!q->enabled || q->broken)
		return;
	q->next_used = (u16)(q->next_used + n);
	/* More than the index has values count as one number: see virtqueue_wants_interrupt(). */
	q->unlooked = q->unlooked > UINT16_MAX ? q->unlooked : q->unlooked + n;
	/* (Q9): a release; the entries are filled in already. */
	store16(q->used_ring, USED_IDX, q->next_used);
}

void virtqueue_push(struct virtqueue *q, u16 head, u32 written)
{
	virtqueue_fill(q, 0, head, written);
	virtqueue_publish(q, 1);
}

void virtqueue_unpop(struct virtqueue *q, unsigned n)
{
	q->next_avail = (u16)(q->next_avail - n);
	q->unpopped = (u16)n;
}

bool virtqueue_wants_interrupt(struct virtqueue *q)
{
	u16 event, old = (u16)(q->next_used - q->unlooked);
	/* For more chains than the index has values, it has passed every event. */
	bool all = q->unlooked > UINT16_MAX || !q->signalled;

	if (!q->enabled || q->broken || !q->unlooked)
		return false;			 /* or nothing was published since the last look */
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* (Q10) */
	q->unlooked = 0;
	if (!q->event_idx)
		return !(load16(q->avail_ring, AVAIL_FLAGS, __ATOMIC_RELAXED) &
			 VRING_AVAIL_F_NO_INTERRUPT);
	q->signalled = true;
	event = load16(q->avail_ring, used_event_at(q), __ATOMIC_RELAXED);
	return all || vring_need_event(event, q->next_used, old);
}

bool virtqueue_waiting(const struct virtqueue *q)
{
	u16 known = (u16)(q->next_avail + q->unpopped);

	return q->enabled && !q->broken &&
	       load16(q->avail_ring, AVAIL_IDX, __ATOMIC_ACQUIRE) != known;
}

bool virtqueue_listen(struct virtqueue *q, bool on)
{
	u16 known = (u16)(q->next_avail + q->unpopped);

	if (!q->enabled || q->broken)
		return false;
	if (!q->event_idx)
		store16(q->used_ring, USED_FLAGS, on ? 0 : VRING_USED_F_NO_NOTIFY);
	else if (on)
		store16(q->used_ring, avail_event_at(q), known);
	if (!on)
		return false;
	__atomic_thread_fence(__ATOMIC_SEQ_CST); /* (Q10) */
	return load16(q->avail_ring, AVAIL_IDX, __ATOMIC_ACQUIRE) != known;
}

enum direction { FROM_IOV, TO_IOV };

static size_t iov_copy(const struct iovec *iov, unsigned n, u64 offset, u8 *buf, size_t len,
		       enum direction dir)
{
	size_t done = 0;

	for (unsigned i = 0; i < n && done < len; i++) {
		size_t part = iov[i].iov_len;

		if (offset >= part) {
			offset -= part;
			continue;
		}
		part -= (size_t)offset;
		if (part > len - done)
			part = len - done;
		if (dir == TO_IOV)
			memcpy((u8 *)iov[i].iov_base + offset, buf + done, part);
		else
			guest_copy_once(buf + done, (const u8 *)iov[i].iov_base + offset, part);
		done += part;
		offset = 0;
	}
	return done;
}

void virtqueue_indices(const struct virtqueue *q, u16 *avail, u16 *used)
{
	/* In this order: the available index, which only grows, is no smaller than the used one. */
	*used = load16(q->used_ring, USED_IDX, __ATOMIC_ACQUIRE);
	*avail = load16(q->avail_ring, AVAIL_IDX, __ATOMIC_ACQUIRE);
}

/* Returns entry @index of the available ring. */
static u16 avail_head(const struct virtqueue *q, u16 index)
{
	size_t slot = index & (q->size - 1U);

	return load16(q->avail_ring, AVAIL_RING + 2 * slot, __ATOMIC_RELAXED);
}

/* Returns the head in entry @index of the used ring. */
static u16 used_head(const struct virtqueue *q, u16 index)
{
	size_t slot = index & (q->size - 1U);

	return load16(q->used_ring, USED_RING + 8 * slot, __ATOMIC_RELAXED);
}

bool virtqueue_answered_since(const struct virtqueue *q, u16 since)
{
	/* By head: how often it is in the available ring, less how often in the used ring. */
	int16_t asked[VIRTQUEUE_MAX] = { 0 };
	unsigned chains, answers;
	u16 avail, used;

	virtqueue_indices(q, &avail, &used);
	chains = (u16)(avail - since);
	answers = (u16)(used - since);
	if (chains > q->size || answers > chains)
		return false;
	for (unsigned n = 0; n < answers; n++) {
		u16 in = avail_head(q, (u16)(since + n)), out = used_head(q, (u16)(since + n));

		if (in >= q->size || out >= q->size)
			return false;
		asked[in]++;
		asked[out]--;
	}
	for (unsigned head = 0; head < q->size; head++)
		if (asked[head])
			return false;
	/* What is left is under way: a head can be that once only. */
	for (unsigned n = answers; n < chains; n++) {
		u16 in = avail_head(q, (u16)(since + n));

		if (in >= q->size || asked[in]++)
			return false;
	}
	return true;
}

size_t iov_read(const struct iovec *iov, unsigned n, u64 offset, void *to, size_t len)
{
	return iov_copy(iov, n, offset, to, len, FROM_IOV);
}

size_t iov_write(const struct iovec *iov, unsigned n, u64 offset, const void *from, size_t len)
{
	/* TO_IOV only reads the buffer. */
	union {
		const void *in;
		void *out;
	} u = { .in = from };

	return iov_copy(iov, n, offset, u.out, len, TO_IOV);
}

unsigned iov_cut(struct iovec *iov, unsigned n, u64 skip, u64 len)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < n && len; i++) {
		struct iovec v = iov[i];

		if (skip >= v.iov_len) {
			skip -= v.iov_len;
			continue;
		}
		v.iov_base = (u8 *)v.iov_base + skip;
		v.iov_len -= (size_t)skip;
		skip = 0;
		if (v.iov_len > len)
			v.iov_len = (size_t)len;
		len -= v.iov_len;
		iov[kept++] = v;
	}
	return kept;
}
