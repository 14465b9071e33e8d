// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes the virtqueue walker with guest memory (rings, descriptors, tables) and the set-up of the
 * queue as the input; buffers that come out are touched to their last byte, so that an address
 * outside RAM is seen by ASan. Every fourth run a second thread rewrites the rings meanwhile.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "devices/virtqueue.h"
#include "tests/unit/devices/fake_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define RINGS 0x1000ULL

struct setup {
	u16 size_log, flags;
	u16 desc, avail, used;
};

struct writer {
	struct fake_host *f;
	const u8 *data;
	size_t size;
	bool stop;
};

static void *scribble_over_rings(void *arg)
{
	struct writer *w = arg;
	size_t i = 0;

	while (!__atomic_load_n(&w->stop, __ATOMIC_RELAXED)) {
		__atomic_store_n(&w->f->ram[RINGS + i * 7 % 0x3000], w->data[i % w->size],
				 __ATOMIC_RELAXED);
		i++;
	}
	return NULL;
}

static void touch_buffers(const struct vq_chain *c)
{
	u64 out = 0, in = 0;

	if (c->n_out + c->n_in > VIRTQUEUE_MAX)
		abort();
	for (unsigned i = 0; i < c->n_out + c->n_in; i++) {
		u8 *p = c->iov[i].iov_base;
		size_t len = c->iov[i].iov_len;

		if (!len)
			abort();
		if (i < c->n_out) {
			out += len;
			(void)*(volatile u8 *)p;
			(void)*(volatile u8 *)(p + len - 1);
		} else {
			in += len;
			*(volatile u8 *)(p + len - 1) = 1;
		}
	}
	if (out != c->out_len || in != c->in_len)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_host f;
	static struct vq_chain c;
	struct virtqueue q = { .max = VIRTQUEUE_MAX };
	struct writer w = { &f, data, size, false };
	struct setup s;
	pthread_t thread;
	bool racing;

	if (size < sizeof(s) + 16)
		return 0;
	memcpy(&s, data, sizeof(s));
	data += sizeof(s);
	size -= sizeof(s);
	w.data = data;
	w.size = size;
	fake_host_init(&f);
	memcpy(f.ram + RINGS, data, size < 0x8000 ? size : 0x8000);
	virtqueue_reset(&q);
	q.size = (u16)(1U << (s.size_log & 9));
	q.desc = RINGS + (s.desc & 0xfff0ULL);
	q.avail = RINGS + (s.avail & 0xfffeULL);
	q.used = RINGS + (s.used & 0xfffcULL);
	q.event_idx = s.flags & 1;
	q.indirect = s.flags & 2;
	if (virtqueue_enable(&q, &f.host))
		return 0;
	racing =
		(s.flags & 0x30) == 0x30 && !pthread_create(&thread, NULL, scribble_over_rings, &w);
	for (unsigned i = 0; i < 64; i++) {
		virtqueue_listen(&q, i & 1);
		if (virtqueue_pop(&q, &c) == 1) {
			touch_buffers(&c);
			virtqueue_push(&q, c.head, i);
		}
		virtqueue_wants_interrupt(&q);
		if (q.broken && (s.flags & 4))
			q.broken = false;
	}
	if (racing) {
		__atomic_store_n(&w.stop, true, __ATOMIC_RELAXED);
		pthread_join(thread, NULL);
	}
	return 0;
}
