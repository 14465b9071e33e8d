// SPDX-License-Identifier: GPL-2.0-only
/* Merges TCP segments for a driver into long frames, and collects frames into trains. */
#include "devices/net_merge.h"

#include <string.h>

#include "devices/net_sum.h"

#define F(n) (1ULL << VIRTIO_NET_F_##n)

#define ETHERNET     14U
#define TYPE_IPV4    0x0800U
#define TYPE_IPV6    0x86ddU
#define IPV4_LEN     20U /* without options */
#define IPV6_LEN     40U
#define IPV4_DF	     0x4000U
#define IP_MAX	     65535U /* of a packet; so far IPv6 counts its header, too */
#define PROTOCOL_TCP 6U
#define TCP_LEN	     20U /* without options */
#define TCP_SUM	     16U /* where its checksum is */
#define STAMPED_LEN  32U /* with a timestamp */
#define TCP_PSH	     0x08U
#define TCP_ACK	     0x10U
#define LOOK_BACK    32U /* frames in which a connection's last one is looked for */

/* A TCP segment that is to be added. */
struct tcp_segment {
	const u8 *f; /* the frame */
	size_t end;  /* of its IP packet */
	size_t tcp;  /* where that header begins */
	size_t body; /* where the data begins */
	bool ipv6;
	bool plain; /* may be merged, as far as it can be seen from it alone */
};

static u16 get16(const u8 *p)
{
	return (u16)(p[0] << 8 | p[1]);
}

static u32 get32(const u8 *p)
{
	return (u32)get16(p) << 16 | get16(p + 2);
}

static void put16(u8 *p, size_t value)
{
	p[0] = (u8)(value >> 8);
	p[1] = (u8)value;
}

/* Adds the pseudo-header of a TCP packet of @len bytes in frame @f. */
static void add_pseudo_header(struct net_sum *sum, const u8 *f, bool ipv6, size_t len)
{
	u8 tail[4] = { 0, PROTOCOL_TCP };

	put16(tail + 2, len);
	net_sum_add(sum, f + ETHERNET + (ipv6 ? 8 : 12), ipv6 ? 32 : 8);
	net_sum_add(sum, tail, sizeof(tail));
}

/* Are the words summed up, with their checksum, what they should be (RFC 1071)? */
static bool sum_is_right(const struct net_sum *sum)
{
	return net_sum_checksum(sum) == 0xffff;
}

/* Reads the IPv4 header of a frame of @len bytes. False: there is no whole TCP segment. */
static bool segment_read_ipv4(struct tcp_segment *s, size_t len)
{
	const u8 *ip = s->f + ETHERNET;
	struct net_sum sum = { 0 };
	size_t header, total;

	if (len < ETHERNET + IPV4_LEN + TCP_LEN || ip[0] >> 4 != 4)
		return false;
	header = (ip[0] & 15U) * 4;
	total = get16(ip + 2);
	if (header < IPV4_LEN || total < header + TCP_LEN || total > len - ETHERNET ||
	    ip[9] != PROTOCOL_TCP || get16(ip + 6) & ~IPV4_DF)
		return false;
	s->tcp = ETHERNET + header;
	s->end = ETHERNET + total;
	net_sum_add(&sum, ip, header);
	s->plain = header == IPV4_LEN && s->end == len && sum_is_right(&sum);
	return true;
}

static bool segment_read_ipv6(struct tcp_segment *s, size_t len)
{
	const u8 *ip = s->f + ETHERNET;
	size_t total;

	if (len < ETHERNET + IPV6_LEN + TCP_LEN || ip[0] >> 4 != 6 || ip[6] != PROTOCOL_TCP)
		return false;
	total = get16(ip + 4) + IPV6_LEN;
	if (total < IPV6_LEN + TCP_LEN || total > len - ETHERNET)
		return false;
	s->tcp = ETHERNET + IPV6_LEN;
	s->end = ETHERNET + total;
	s->plain = s->end == len;
	s->ipv6 = true;
	return true;
}

/* Is it data alone, with no options but a timestamp as all stacks write it (RFC 7323, A)? */
static bool tcp_is_plain(const struct tcp_segment *s)
{
	static const u8 stamp[] = { 1, 1, 8, 10 };
	const u8 *tcp = s->f + s->tcp;
	size_t header = s->body - s->tcp;
	struct net_sum sum = { 0 };

	if (s->body == s->end || tcp[12] & 15U || (tcp[13] & ~TCP_PSH) != TCP_ACK ||
	    get16(tcp + 18))
		return false;
	if (header != TCP_LEN &&
	    (header != STAMPED_LEN || memcmp(tcp + TCP_LEN, stamp, sizeof(stamp)) != 0))
		return false;
	add_pseudo_header(&sum, s->f, s->ipv6, s->end - s->tcp);
	net_sum_add(&sum, tcp, s->end - s->tcp);
	return sum_is_right(&sum);
}

/* Reads a frame of @len bytes, for a driver with @features. False: it is no whole TCP segment. */
static bool segment_read(struct tcp_segment *s, const u8 *f, size_t len, u64 features)
{
	u64 needed;

	*s = (struct tcp_segment){ .f = f };
	if (len < ETHERNET)
		return false;
	if (get16(f + 12) == TYPE_IPV4 ? !segment_read_ipv4(s, len)
				       : get16(f + 12) != TYPE_IPV6 || !segment_read_ipv6(s, len))
		return false;
	s->body = s->tcp + (f[s->tcp + 12] >> 4) * 4U;
	if (s->body < s->tcp + TCP_LEN || s->body > s->end)
		return false;
	needed = F(GUEST_CSUM) | (s->ipv6 ? F(GUEST_TSO6) : F(GUEST_TSO4));
	s->plain = s->plain && (features & needed) == needed && tcp_is_plain(s);
	return true;
}

static u8 *frame_bytes(struct net_merge *m, const struct net_merge_frame *frame)
{
	return m->data + m->pieces[frame->first].at;
}

static bool frame_is_of_connection(const struct net_merge_frame *frame, const u8 *f,
				   const struct tcp_segment *s)
{
	size_t addresses = ETHERNET + (s->ipv6 ? 8 : 12);

	return frame->tcp && frame->ipv6 == s->ipv6 &&
	       !memcmp(f + addresses, s->f + addresses, s->ipv6 ? 32 : 8) &&
	       !memcmp(f + frame->tcp, s->f + s->tcp, 4);
}

/* Returns the last frame of the segment's connection; NULL: there is none. */
static struct net_merge_frame *merge_find(struct net_merge *m, const struct tcp_segment *s)
{
	unsigned end = m->n_frames > LOOK_BACK ? m->n_frames - LOOK_BACK : 0;

	end = end > m->barrier ? end : m->barrier;
	for (unsigned i = m->n_frames; i > end; i--) {
		struct net_merge_frame *frame = &m->frames[i - 1];

		if (frame_is_of_connection(frame, frame_bytes(m, frame), s))
			return frame;
	}
	return NULL;
}

/* Could the IP header @f of @frame be the one before @s? Addresses are equal. */
static bool ip_follows(const struct net_merge_frame *frame, const u8 *f,
		       const struct tcp_segment *s)
{
	const u8 *a = f + ETHERNET, *b = s->f + ETHERNET;

	if (memcmp(f, s->f, ETHERNET) != 0)
		return false;
	/* Version, class, flow label; next header and hop limit. */
	if (s->ipv6)
		return !memcmp(a, b, 4) && !memcmp(a + 6, b + 6, 2);
	/* Version, length, service; DF and time to live. */
	return !memcmp(a, b, 2) && !memcmp(a + 6, b + 6, 3) &&
	       get16(b + 4) == (u16)(get16(a + 4) + frame->segments);
}

/* Can @s, of the connection of @frame, be merged into it? */
static bool segment_follows(const struct net_merge_frame *frame, const u8 *f,
			    const struct tcp_segment *s)
{
	const u8 *a = f + frame->tcp, *b = s->f + s->tcp;
	size_t data = s->end - s->body;

	return frame->open && s->plain && ip_follows(frame, f, s) && get32(b + 4) == frame->seq &&
	       data <= frame->size && frame->head.len - ETHERNET + data <= IP_MAX &&
	       /* Acknowledgement, length; window; options. */
	       !memcmp(a + 8, b + 8, 5) && !memcmp(a + 14, b + 14, 2) &&
	       !memcmp(a + TCP_LEN, b + TCP_LEN, s->body - s->tcp - TCP_LEN);
}

/* Appends bytes to @frame, the train having room. */
static void frame_append(struct net_merge *m, struct net_merge_frame *frame, const u8 *bytes,
			 size_t len)
{
	struct net_merge_piece *last = &m->pieces[frame->last];

	memcpy(m->data + m->used, bytes, len);
	if (frame->head.len && last->at + last->len == m->used) {
		last->len += (u32)len;
	} else {
		m->pieces[m->n_pieces] = (struct net_merge_piece){ (u32)m->used, (u32)len, 0 };
		if (frame->head.len)
			last->next = (u16)m->n_pieces;
		else
			frame->first = (u16)m->n_pieces;
		frame->last = (u16)m->n_pieces++;
	}
	m->used += len;
	frame->head.len += (u32)len;
}

static bool merge_has_room(const struct net_merge *m, unsigned frames, size_t len)
{
	return m->n_frames + frames <= NET_MERGE_FRAMES && m->n_pieces < NET_MERGE_PIECES &&
	       m->used + len + (m->n_frames + frames) * sizeof(struct net_train_head) <=
		       NET_TRAIN_MAX;
}

static bool merge_segment(struct net_merge *m, struct net_merge_frame *frame,
			  const struct tcp_segment *s)
{
	size_t data = s->end - s->body;
	u8 *f = frame_bytes(m, frame);

	if (!merge_has_room(m, 0, data))
		return false;
	frame_append(m, frame, s->f + s->body, data);
	frame->segments++;
	frame->seq += (u32)data;
	f[frame->tcp + 13] |= s->f[s->tcp + 13]; /* PSH */
	frame->open = data == frame->size && !(s->f[s->tcp + 13] & TCP_PSH);
	return true;
}

bool net_merge_add(struct net_merge *m, const void *bytes, size_t len)
{
	struct net_merge_frame *frame;
	struct tcp_segment s;
	bool tcp;

	if (len > NET_FRAME_MAX)
		return true; /* no driver takes it */
	tcp = segment_read(&s, bytes, len, m->features);
	frame = tcp ? merge_find(m, &s) : NULL;
	if (frame && segment_follows(frame, frame_bytes(m, frame), &s))
		return merge_segment(m, frame, &s);
	if (!merge_has_room(m, 1, len))
		return false;
	frame = &m->frames[m->n_frames++];
	*frame = (struct net_merge_frame){ .segments = 1 };
	frame_append(m, frame, bytes, len);
	if (!tcp) {
		m->barrier = m->n_frames;
		return true;
	}
	frame->tcp = (u8)s.tcp;
	frame->body = (u8)s.body;
	frame->ipv6 = s.ipv6;
	frame->size = (u16)(s.end - s.body);
	frame->seq = get32(s.f + s.tcp + 4) + frame->size;
	frame->open = s.plain && !(s.f[s.tcp + 13] & TCP_PSH);
	return true;
}

/* Writes lengths and checksums of a frame of several segments, and describes it in its head. */
static void frame_finish(struct net_merge_frame *frame, u8 *f)
{
	size_t packet = frame->head.len - ETHERNET, tcp = frame->head.len - frame->tcp;
	struct net_sum sum = { 0 };
	u16 checksum;

	if (frame->ipv6) {
		put16(f + ETHERNET + 4, packet - IPV6_LEN);
	} else {
		put16(f + ETHERNET + 2, packet);
		put16(f + ETHERNET + 10, 0);
		net_sum_add(&sum, f + ETHERNET, IPV4_LEN);
		checksum = net_sum_checksum(&sum);
		memcpy(f + ETHERNET + 10, &checksum, sizeof(checksum));
	}
	/* Whoever completes the checksum adds all from the TCP header on to what stands there. */
	sum = (struct net_sum){ 0 };
	add_pseudo_header(&sum, f, frame->ipv6, tcp);
	checksum = (u16)~net_sum_checksum(&sum);
	memcpy(f + frame->tcp + TCP_SUM, &checksum, sizeof(checksum));
	frame->head.h = (struct virtio_net_hdr_v1){
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.gso_type = frame->ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4,
		.hdr_len = frame->body,
		.gso_size = frame->size,
		.csum_start = frame->tcp,
		.csum_offset = TCP_SUM,
	};
}

unsigned net_merge_train(struct net_merge *m, struct iovec *iov)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_frames; i++) {
		struct net_merge_frame *frame = &m->frames[i];
		size_t left = frame->head.len;

		if (frame->segments > 1)
			frame_finish(frame, frame_bytes(m, frame));
		iov[n++] = (struct iovec){ &frame->head, sizeof(frame->head) };
		for (unsigned p = frame->first; left; p = m->pieces[p].next) {
			iov[n++] = (struct iovec){ m->data + m->pieces[p].at, m->pieces[p].len };
			left -= m->pieces[p].len;
		}
	}
	return n;
}

void net_merge_clear(struct net_merge *m)
{
	m->n_frames = m->n_pieces = m->barrier = 0;
	m->used = 0;
}
