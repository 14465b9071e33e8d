// SPDX-License-Identifier: GPL-2.0-only
/* Keeps the point from which on the rings of a queue hold everything. */
#include "devices/vq_history.h"

void vq_history_reset(struct vq_history *h)
{
	*h = (struct vq_history){ .served = false };
}

bool vq_history_resume(const struct vq_history *h, const struct virtqueue *q, u16 *index)
{
	u16 avail;

	virtqueue_indices(q, &avail, index);
	/* Nobody has answered anything yet: the used index is what the driver began with. */
	if (!h->served || avail == *index)
		return true;
	return h->known && virtqueue_answered_since(q, h->since);
}

void vq_history_begin(struct vq_history *h, u16 index, bool known, s64 now)
{
	*h = (struct vq_history){
		.served = true, .known = known, .since = index, .looked_ms = now
	};
}

void vq_history_look(struct vq_history *h, const struct virtqueue *q, s64 now)
{
	bool late = now - h->looked_ms > VQ_HISTORY_LATE_MS;
	u16 avail, used;

	virtqueue_indices(q, &avail, &used);
	h->looked_ms = now;
	if (avail == used) {
		h->known = true;
		h->since = used;
	} else if (late || (u16)(avail - h->since) > q->size) {
		h->known = false;
	}
}
