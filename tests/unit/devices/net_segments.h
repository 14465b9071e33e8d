/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Makes TCP segments, takes the train apart that they went into, and cuts its frames into segments
 * again as a driver's stack does that forwards them.
 */
#ifndef UMBRA_TESTS_UNIT_DEVICES_NET_SEGMENTS_H
#define UMBRA_TESTS_UNIT_DEVICES_NET_SEGMENTS_H

#include <stdlib.h>
#include <string.h>

#include "devices/net_merge.h"
#include "devices/net_sum.h"

#define SEGMENT_MAX (14U + 40U + 60U + 2000U)

/* The members' names are those of the headers' fields; zeros are what most segments have. */
struct segment_form {
	bool ipv6, df, bad_sum, bad_ip_sum;
	u8 mac, tos, ttl, address, reserved, flags; /* flags: beside ACK */
	u16 port, id, window, urgent;
	u32 seq, ack, stamp;
	u16 len;       /* of the data */
	u8 options;    /* bytes of them, if there is no @stamp */
	u8 padding;    /* behind the packet */
	u16 fragment;  /* offset and flags, beside DF */
	u8 ip_options; /* words of them */
};

static inline void segment_put(u8 *p, u32 value, unsigned len)
{
	while (len--) {
		p[len] = (u8)value;
		value >>= 8;
	}
}

static inline u32 segment_get(const u8 *p, unsigned len)
{
	u32 value = 0;

	while (len--)
		value = value << 8 | *p++;
	return value;
}

/* Writes both checksums of a frame of @len bytes, whose TCP header is at @tcp. */
static inline void segment_sum(u8 *f, size_t tcp, size_t len)
{
	bool ipv6 = f[12] == 0x86;
	struct net_sum sum = { 0 };
	u8 tail[4] = { 0, 6 };
	u16 checksum;

	if (!ipv6) {
		segment_put(f + 24, 0, 2);
		net_sum_add(&sum, f + 14, tcp - 14);
		checksum = net_sum_checksum(&sum);
		memcpy(f + 24, &checksum, 2);
	}
	sum = (struct net_sum){ 0 };
	segment_put(tail + 2, (u32)(len - tcp), 2);
	segment_put(f + tcp + 16, 0, 2);
	net_sum_add(&sum, f + (ipv6 ? 22 : 26), ipv6 ? 32 : 8);
	net_sum_add(&sum, tail, 4);
	net_sum_add(&sum, f + tcp, len - tcp);
	checksum = net_sum_checksum(&sum);
	memcpy(f + tcp + 16, &checksum, 2);
}

/* Writes a frame of SEGMENT_MAX bytes at most; returns its length. */
static inline size_t segment_make(u8 *f, const struct segment_form *s)
{
	static const u8 stamp[] = { 1, 1, 8, 10 };
	size_t ip_len = s->ipv6 ? 40 : 20 + 4U * s->ip_options, tcp = 14 + ip_len;
	size_t tcp_len = 20 + (s->stamp ? 12U : s->options), len = tcp + tcp_len + s->len;

	memset(f, 0, len + s->padding);
	memcpy(f, "\x52\x55\0\1\2\3\x52\x55\n\0\2\2", 12);
	f[5] = s->mac;
	segment_put(f + 12, s->ipv6 ? 0x86dd : 0x0800, 2);
	if (s->ipv6) {
		segment_put(f + 14, 6U << 28 | (u32)s->tos << 20 | 77, 4);
		segment_put(f + 18, (u32)(len - tcp), 2);
		f[20] = 6;
		f[21] = (u8)(64 - s->ttl);
		f[22] = f[38] = 0xfe;
		f[37] = s->address;
	} else {
		f[14] = (u8)(0x40 | ip_len / 4);
		f[15] = s->tos;
		segment_put(f + 16, (u32)(len - 14), 2);
		segment_put(f + 18, s->id, 2);
		segment_put(f + 20, (s->df ? 0x4000 : 0) | s->fragment, 2);
		f[22] = (u8)(64 - s->ttl);
		f[23] = 6;
		memcpy(f + 26, "\12\0\2\2\12\0\2\17", 8);
		f[29] = s->address;
		memset(f + 34, 1, 4U * s->ip_options); /* NOP */
	}
	segment_put(f + tcp, 80U + s->port, 2);
	segment_put(f + tcp + 2, 40000, 2);
	segment_put(f + tcp + 4, s->seq, 4);
	segment_put(f + tcp + 8, 7000 + s->ack, 4);
	f[tcp + 12] = (u8)(tcp_len / 4 << 4 | s->reserved);
	f[tcp + 13] = 0x10 ^ s->flags;
	segment_put(f + tcp + 14, 0x4000U + s->window, 2);
	segment_put(f + tcp + 18, s->urgent, 2);
	memset(f + tcp + 20, 1, tcp_len - 20);
	if (s->stamp) {
		memcpy(f + tcp + 20, stamp, sizeof(stamp));
		segment_put(f + tcp + 24, s->stamp, 4);
		segment_put(f + tcp + 28, 99, 4);
	}
	for (u32 i = 0; i < s->len; i++)
		f[tcp + tcp_len + i] = (u8)((s->seq + i) * 7 ^ (s->seq + i) >> 8);
	segment_sum(f, tcp, len);
	f[tcp + 16] ^= s->bad_sum;
	f[24] ^= !s->ipv6 && s->bad_ip_sum;
	return len + s->padding;
}

/* Copies what was collected into @t, as if it had been received, and begins the next train. */
static inline void train_send(struct net_merge *m, struct net_train *t)
{
	static struct iovec iov[NET_MERGE_IOV];
	unsigned n = net_merge_train(m, iov);

	t->at = t->len = 0;
	for (unsigned i = 0; i < n; i++) {
		if (iov[i].iov_len > sizeof(t->bytes) - t->len)
			abort();
		memcpy(t->bytes + t->len, iov[i].iov_base, iov[i].iov_len);
		t->len += iov[i].iov_len;
	}
	net_merge_clear(m);
}

/*
 * Cuts segment number @i out of a frame of @len bytes behind its header; returns its length, 0: it
 * has no more. @out has room for the whole frame.
 */
static inline size_t frame_cut(const u8 *header, size_t len, unsigned i, u8 *out)
{
	struct virtio_net_hdr_v1 h;
	const u8 *f = header + sizeof(h);
	size_t at, part;
	bool last;

	memcpy(&h, header, sizeof(h));
	if (h.gso_type == VIRTIO_NET_HDR_GSO_NONE) {
		memcpy(out, f, len);
		return i ? 0 : len;
	}
	at = h.hdr_len + (size_t)i * h.gso_size;
	if (at >= len)
		return 0;
	part = len - at < h.gso_size ? len - at : h.gso_size;
	last = at + part == len;
	memcpy(out, f, h.hdr_len);
	memcpy(out + h.hdr_len, f + at, part);
	if (h.gso_type == VIRTIO_NET_HDR_GSO_TCPV4) {
		segment_put(out + 16, (u32)(h.hdr_len + part - 14), 2);
		segment_put(out + 18, segment_get(f + 18, 2) + i, 2);
	} else {
		segment_put(out + 18, (u32)(h.hdr_len + part - 54), 2);
	}
	segment_put(out + h.csum_start + 4, segment_get(f + h.csum_start + 4, 4) + i * h.gso_size,
		    4);
	if (!last)
		out[h.csum_start + 13] &= 0xf7;
	segment_sum(out, h.csum_start, h.hdr_len + part);
	return h.hdr_len + part;
}

#endif
