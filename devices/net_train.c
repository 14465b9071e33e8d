// SPDX-License-Identifier: GPL-2.0-only
/* Takes a packet of frames apart that another process has made. */
#include "devices/net_train.h"

#include <assert.h>
#include <string.h>

#define F(n) (1ULL << VIRTIO_NET_F_##n)

static_assert(sizeof(struct net_train_head) == 16, "a frame's header stands right before it");

/* Is it a header for a driver with @features, before a frame of @len bytes (5.1.6.4)? */
static bool header_is_good(const struct virtio_net_hdr_v1 *h, u64 features, size_t len)
{
	bool csum = h->flags == VIRTIO_NET_HDR_F_NEEDS_CSUM;

	if (h->flags && !csum)
		return false;
	if (csum && (!(features & F(GUEST_CSUM)) ||
		     (size_t)h->csum_start + h->csum_offset + sizeof(u16) > len))
		return false;
	switch (h->gso_type) {
	case VIRTIO_NET_HDR_GSO_NONE:
		return true;
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return csum && h->gso_size && h->hdr_len <= len && (features & F(GUEST_TSO4));
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return csum && h->gso_size && h->hdr_len <= len && (features & F(GUEST_TSO6));
	default:
		return false;
	}
}

u8 *net_train_next(struct net_train *t, u64 features, size_t *len)
{
	size_t left = t->len - t->at;
	u8 *at = t->bytes + t->at;
	struct net_train_head head;

	if (left >= sizeof(head))
		memcpy(&head, at, sizeof(head));
	if (left < sizeof(head) || head.len > left - sizeof(head)) {
		t->at = t->len;
		return NULL;
	}
	t->at += sizeof(head) + head.len;
	if (!header_is_good(&head.h, features, head.len))
		return NULL;
	at += sizeof(head) - sizeof(head.h);
	if (head.h.gso_type == VIRTIO_NET_HDR_GSO_NONE)
		head.h.hdr_len = head.h.gso_size = 0;
	if (!head.h.flags)
		head.h.csum_start = head.h.csum_offset = 0;
	memcpy(at, &head.h, sizeof(head.h));
	*len = sizeof(head.h) + head.len;
	return at;
}
