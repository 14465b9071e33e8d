// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fuzzes what merges TCP segments, and what takes trains apart, with segments that differ as the
 * input says: cut again they have to be the same, for each connection in their order.
 *
 * Eight bytes make a segment that follows the last one of its connection: its bits and lengths, and
 * which byte of it is to be another one. The first byte of all is what the driver accepts.
 */
#include "tests/unit/devices/net_segments.h"

#define SENT	    64U
#define CONNECTIONS 4U
#define HEADER	    sizeof(struct virtio_net_hdr_v1)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sent {
	u8 f[SEGMENT_MAX];
	size_t len;
	u8 connection;
	bool seen;
};

static struct net_merge merge;
static struct net_train train;
static struct sent sent[SENT];
static unsigned n_sent;

/* A checksum of 0 and one of ffff mean the same, so those of merged segments are written anew. */
static bool is_this(const struct sent *s, const u8 *f, size_t len, size_t tcp)
{
	static u8 copy[SEGMENT_MAX];

	if (s->seen || s->len != len)
		return false;
	memcpy(copy, s->f, len);
	if (tcp)
		segment_sum(copy, tcp, len);
	return !memcmp(copy, f, len);
}

static void find(const u8 *f, size_t len, size_t tcp)
{
	unsigned at = 0;

	while (at < n_sent && !is_this(&sent[at], f, len, tcp))
		at++;
	if (at == n_sent)
		abort();
	sent[at].seen = true;
	for (unsigned i = 0; i < at; i++)
		if (!sent[i].seen && sent[i].connection == sent[at].connection)
			abort();
}

static void look(void)
{
	static u8 cut[NET_FRAME_MAX];
	struct virtio_net_hdr_v1 h;
	size_t len, part;

	train_send(&merge, &train);
	while (net_train_has_more(&train)) {
		const u8 *frame = net_train_next(&train, merge.features, &len);

		if (!frame)
			abort();
		memcpy(&h, frame, HEADER);
		for (unsigned i = 0; (part = frame_cut(frame, len - HEADER, i, cut)); i++)
			find(cut, part, h.gso_type ? h.csum_start : 0);
	}
	for (unsigned i = 0; i < n_sent; i++)
		if (!sent[i].seen)
			abort();
	n_sent = 0;
}

static void add(struct segment_form *s, const u8 *in)
{
	struct sent *to = &sent[n_sent];
	u16 len = s->len;

	if (in[1] & 0x80)
		s->len = (u16)(in[2] << 3 | in[3]) % 1500;
	s->flags = in[1] & 0x40 ? in[4] : in[1] & 0x20 ? 8 : 0;
	s->options = in[1] & 0x10 ? in[4] % 11 * 4 : 0;
	s->ip_options = in[1] & 8 && !s->ipv6 ? in[4] % 11 : 0;
	s->padding = in[1] & 4 ? in[4] % 8 : 0;
	s->ack += in[1] & 2;
	s->id = (u16)(s->id + (in[1] & 1));
	*to = (struct sent){ .connection = in[0] % CONNECTIONS };
	to->len = segment_make(to->f, s);
	if (in[5]) {
		const size_t at = (size_t)(in[6] << 8 | in[7]) % to->len;

		to->f[at] ^= in[5];
		/* With another address or port it is of a connection of its own. */
		if (at < 14U + (s->ipv6 ? 40U : 20U + 4U * s->ip_options) + 4U)
			to->connection = (u8)(CONNECTIONS + n_sent);
	}
	n_sent++;
	if (!net_merge_add(&merge, to->f, to->len)) {
		struct sent copy = *to;

		n_sent--;
		look();
		sent[n_sent++] = copy;
		if (!net_merge_add(&merge, sent[0].f, sent[0].len))
			abort();
	}
	s->seq += s->len;
	s->id++;
	s->len = len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct segment_form s[CONNECTIONS] = {
		{ .len = 1460 },
		{ .len = 1448, .port = 1, .stamp = 5 },
		{ .len = 1440, .ipv6 = true },
		{ .len = 1428, .ipv6 = true, .stamp = 7, .port = 1 }
	};

	if (!size)
		return 0;
	net_merge_clear(&merge);
	merge.features = data[0] & 1 ? NET_TRAIN_FEATURES : (u64)data[0] << 1;
	for (data++, size--; size >= 8; data += 8, size -= 8) {
		add(&s[data[0] % CONNECTIONS], data);
		if (n_sent == SENT)
			look();
	}
	look();
	/* And a process that lies. */
	train.at = 0;
	train.len = size < sizeof(train.bytes) ? size : sizeof(train.bytes);
	memcpy(train.bytes, data, train.len);
	while (net_train_has_more(&train))
		net_train_next(&train, merge.features, &size);
	return 0;
}
