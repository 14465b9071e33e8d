// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests which TCP segments are merged into one frame, that cutting it gives the same ones, and that
 * frames keep their order.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tests/unit/devices/net_segments.h"

#define MSS    1460U
#define HEADER sizeof(struct virtio_net_hdr_v1)
#define FIN    0x01
#define SYN    0x02
#define RST    0x04
#define PSH    0x08
#define ACK    0x10
#define URG    0x20
#define ECE    0x40
#define CWR    0x80

static struct net_merge merge;
static struct net_train train;

static int setup(void **state)
{
	(void)state;
	merge = (struct net_merge){ .features = NET_TRAIN_FEATURES };
	return 0;
}

static void add(const struct segment_form *s)
{
	u8 f[SEGMENT_MAX];

	assert_true(net_merge_add(&merge, f, segment_make(f, s)));
}

/* Returns how many frames were collected; the first one's length goes to *len. */
static unsigned frames_sent(size_t *len)
{
	unsigned n = 0;
	size_t l;

	train_send(&merge, &train);
	while (net_train_has_more(&train)) {
		assert_non_null(net_train_next(&train, merge.features, &l));
		if (!n++ && len)
			*len = l - HEADER;
	}
	return n;
}

static const struct segment_form first = { .seq = 100, .id = 7, .len = MSS };

static struct segment_form next(const struct segment_form *s)
{
	struct segment_form n = *s;

	n.seq += s->len;
	n.id++;
	return n;
}

static void expect_frames(const struct segment_form *a, const struct segment_form *b, unsigned want,
			  const char *why)
{
	unsigned got;

	add(a);
	add(b);
	got = frames_sent(NULL);
	if (got != want)
		fail_msg("%s: %u frames, and not %u", why, got, want);
}

/* --- what a merged frame is ---------------------------------------------------------------- */

/* Is the sum over the TCP packet right, once the driver has completed it? */
static bool completed_is_right(const u8 *frame, const struct virtio_net_hdr_v1 *h, size_t len)
{
	static u8 copy[NET_FRAME_MAX];
	size_t at = (size_t)h->csum_start + h->csum_offset;
	struct net_sum sum = { 0 };
	u16 checksum, right;

	memcpy(copy, frame, len);
	net_sum_add(&sum, copy + h->csum_start, len - h->csum_start);
	checksum = net_sum_checksum(&sum);
	segment_sum(copy, h->csum_start, len);
	memcpy(&right, copy + at, 2);
	return checksum == right;
}

static void merged_is_described(bool ipv6, u32 stamp)
{
	struct segment_form s = first;
	size_t len, headers = (ipv6 ? 74 : 54) + (stamp ? 12 : 0);
	struct virtio_net_hdr_v1 h;
	struct net_sum sum = { 0 };
	const u8 *f;

	s.ipv6 = ipv6;
	s.stamp = stamp;
	for (unsigned i = 0; i < 5; i++) {
		s.flags = i == 4 ? PSH : 0;
		s.len = i == 4 ? 333 : MSS;
		add(&s);
		s = next(&s);
	}
	train_send(&merge, &train);
	f = net_train_next(&train, merge.features, &len);
	assert_non_null(f);
	assert_false(net_train_has_more(&train));
	memcpy(&h, f, HEADER);
	f += HEADER;
	len -= HEADER;
	assert_int_equal(len, headers + 4 * MSS + 333);
	assert_int_equal(h.flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(h.gso_type, ipv6 ? VIRTIO_NET_HDR_GSO_TCPV6 : VIRTIO_NET_HDR_GSO_TCPV4);
	assert_int_equal(h.gso_size, MSS);
	assert_int_equal(h.hdr_len, headers);
	assert_int_equal(h.csum_start, ipv6 ? 54 : 34);
	assert_int_equal(h.csum_offset, 16);
	assert_true(completed_is_right(f, &h, len));
	assert_int_equal(segment_get(f + (ipv6 ? 18 : 16), 2), len - (ipv6 ? 54 : 14));
	assert_int_equal(f[h.csum_start + 13], ACK | PSH);
	if (!ipv6) {
		net_sum_add(&sum, f + 14, 20);
		assert_int_equal(net_sum_checksum(&sum), 0xffff);
	}
}

static void what_follows_becomes_one_frame(void **state)
{
	(void)state;
	merged_is_described(false, 0);
	merged_is_described(false, 12345);
	merged_is_described(true, 0);
	merged_is_described(true, 12345);
}

/* As it came, its checksum too; and so does what the driver has not accepted. */
static void one_segment_stays_as_it_is(void **state)
{
	static const struct virtio_net_hdr_v1 plain;
	const u64 csum = 1ULL << VIRTIO_NET_F_GUEST_CSUM, tso4 = 1ULL << VIRTIO_NET_F_GUEST_TSO4;
	struct segment_form second = next(&first), v6 = first;
	u8 f[SEGMENT_MAX], *got;
	size_t len;

	(void)state;
	add(&first);
	train_send(&merge, &train);
	got = net_train_next(&train, 0, &len);
	assert_int_equal(len, HEADER + segment_make(f, &first));
	assert_memory_equal(got, &plain, HEADER);
	assert_memory_equal(got + HEADER, f, len - HEADER);
	merge.features = 0;
	expect_frames(&first, &second, 2, "no features");
	merge.features = tso4;
	expect_frames(&first, &second, 2, "no checksums");
	merge.features = csum;
	expect_frames(&first, &second, 2, "no long frames");
	merge.features = csum | tso4;
	expect_frames(&first, &second, 1, "all that is needed");
	v6.ipv6 = true;
	second = next(&v6);
	expect_frames(&v6, &second, 2, "not of IPv6");
}

/* --- the rules ----------------------------------------------------------------------------- */

#define RULE(member, value)                                                       \
	do {                                                                      \
		struct segment_form b = next(&a);                                 \
                                                                                  \
		expect_frames(&a, &b, 1, "as they are");                          \
		b.member = (value);                                               \
		expect_frames(&a, &b, 2, #member " = " #value ", of the second"); \
	} while (0)

/* One that both have, and that forbids all merging. */
#define NEITHER(member, value)                                           \
	do {                                                             \
		struct segment_form c = a, b;                            \
                                                                         \
		c.member = (value);                                      \
		b = next(&c);                                            \
		expect_frames(&c, &b, 2, #member " = " #value ", both"); \
	} while (0)

static void what_differs_is_not_merged(void **state)
{
	struct segment_form a = first;

	(void)state;
	for (unsigned form = 0; form < 4; form++) {
		a.ipv6 = form & 1;
		a.stamp = form & 2 ? 500 : 0;
		RULE(seq, a.seq + a.len + 1); /* a hole */
		RULE(seq, a.seq + a.len - 1);
		RULE(seq, a.seq); /* sent once more */
		RULE(ack, 1);
		RULE(window, 1);
		RULE(mac, 1);
		RULE(tos, 3); /* congestion experienced */
		RULE(ttl, 1);
		RULE(port, 1);
		RULE(address, 1);
		RULE(stamp, 501);
		RULE(len, MSS + 1); /* more than the first one has */
		RULE(len, 0);
		RULE(bad_sum, true);
		RULE(padding, 2);
		if (!a.ipv6) {
			RULE(df, true);
			RULE(id, a.id);
			RULE(id, a.id + 2);
			RULE(bad_ip_sum, true);
			RULE(ip_options, 1);
			RULE(fragment, 0x2000);
			RULE(fragment, 1);
			RULE(fragment, 0x8000);
		}
	}
}

static void what_is_no_plain_data_is_not_merged(void **state)
{
	struct segment_form a = first;

	(void)state;
	for (unsigned form = 0; form < 4; form++) {
		a.ipv6 = form & 1;
		a.stamp = form & 2 ? 500 : 0;
		for (unsigned bit = 0; bit < 8; bit++) {
			if (1U << bit == PSH)
				continue;
			RULE(flags, (u8)(1U << bit)); /* ACK: without it */
			NEITHER(flags, (u8)(1U << bit));
		}
		/* What ends with the first of them. */
		NEITHER(flags, PSH);
		RULE(reserved, 1);
		NEITHER(reserved, 8);
		RULE(urgent, 1);
		NEITHER(urgent, 1);
		NEITHER(bad_sum, true);
		NEITHER(padding, 2);
		NEITHER(len, 0);
		if (!a.stamp) {
			RULE(options, 4);
			NEITHER(options, 4);
			NEITHER(options, 12);
		}
		if (!a.ipv6) {
			NEITHER(bad_ip_sum, true);
			NEITHER(ip_options, 1);
			NEITHER(fragment, 0x2000);
			NEITHER(fragment, 100);
			NEITHER(fragment, 0x8000);
		}
	}
}

static void a_shorter_one_is_the_last(void **state)
{
	struct segment_form a = first, b = next(&a), c;

	(void)state;
	b.len = MSS - 1;
	c = next(&b);
	c.len = 10;
	add(&a);
	add(&b);
	add(&c);
	assert_int_equal(frames_sent(NULL), 2);
}

static void a_frame_is_as_long_as_ip_permits(void **state)
{
	struct segment_form s = first;
	size_t len;

	(void)state;
	for (unsigned ipv6 = 0; ipv6 < 2; ipv6++) {
		s.ipv6 = ipv6;
		s.len = MSS;
		for (unsigned i = 0; i < 44; i++) {
			add(&s);
			s = next(&s);
		}
		assert_int_equal(frames_sent(&len), 1);
		assert_int_equal(len, (ipv6 ? 74 : 54) + 44 * MSS);
		/* To the byte, and one more. */
		for (unsigned more = 0; more < 2; more++) {
			unsigned headers = ipv6 ? 60 : 40;

			s.len = 2000;
			for (unsigned i = 0; i < 32; i++) {
				add(&s);
				s = next(&s);
			}
			s.len = (u16)(65535 - headers - 32 * 2000 + more);
			if (!more) {
				add(&s);
				assert_int_equal(frames_sent(&len), 1);
				assert_int_equal(len, 14 + 65535);
			} else {
				u8 f[SEGMENT_MAX];

				/* A train has room for one such frame. */
				assert_false(net_merge_add(&merge, f, segment_make(f, &s)));
				assert_int_equal(frames_sent(&len), 1);
			}
			s = next(&s);
		}
	}
}

/* --- order --------------------------------------------------------------------------------- */

static void connections_are_kept_apart(void **state)
{
	struct segment_form s[3] = { first, first, first };

	(void)state;
	s[1].port = 1;
	s[2].address = 1;
	for (unsigned i = 0; i < 12; i++) {
		add(&s[i % 3]);
		s[i % 3] = next(&s[i % 3]);
	}
	assert_int_equal(frames_sent(NULL), 3);
}

static void nothing_goes_past_another_frame(void **state)
{
	const u8 arp[42] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 8, 6 };
	struct segment_form a = first, b = next(&a), ack = b, c = next(&b);

	(void)state;
	ack.len = 0;
	/* Of the connection. */
	add(&a);
	add(&ack);
	add(&b);
	add(&c);
	assert_int_equal(frames_sent(NULL), 3);
	/* Of nobody knows which. */
	add(&a);
	assert_true(net_merge_add(&merge, arp, sizeof(arp)));
	add(&b);
	add(&c);
	assert_int_equal(frames_sent(NULL), 3);
}

static void a_full_train_says_so(void **state)
{
	static u8 longest[NET_FRAME_MAX + 1];
	struct segment_form s = first;
	u8 f[SEGMENT_MAX];
	unsigned n = 0;
	size_t len;

	(void)state;
	s.len = 0;
	for (; n < 10000; n++, s.port++)
		if (!net_merge_add(&merge, f, segment_make(f, &s)))
			break;
	assert_int_equal(n, NET_MERGE_FRAMES);
	assert_int_equal(frames_sent(NULL), n);
	assert_true(net_merge_add(&merge, longest, NET_FRAME_MAX));
	assert_false(net_merge_add(&merge, longest, 60));
	assert_int_equal(frames_sent(&len), 1);
	assert_int_equal(len, NET_FRAME_MAX);
	assert_true(net_merge_add(&merge, longest, sizeof(longest)));
	assert_int_equal(frames_sent(NULL), 0);
}

/* One that could not be sent yet goes on to be filled. */
static void a_train_can_wait(void **state)
{
	static struct iovec iov[NET_MERGE_IOV];
	struct segment_form s = first;
	size_t len;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		add(&s);
		s = next(&s);
		assert_in_range(net_merge_train(&merge, iov), 2, 3);
	}
	assert_int_equal(frames_sent(&len), 1);
	assert_int_equal(len, 54 + 6 * MSS);
}

/* --- all together -------------------------------------------------------------------------- */

#define SENT 40U

struct sent {
	u8 f[SEGMENT_MAX];
	size_t len;
	unsigned connection;
};

/* Changes a few segments, so that some are merged and some are not. */
static void change_something(struct segment_form *s)
{
	switch (rand() % 40) { /* NOLINT(cert-msc30-c, cert-msc50-cpp) */
	case 0:
		s->flags = PSH;
		break;
	case 1:
		s->flags = FIN;
		break;
	case 2:
		s->len = (u16)(rand() % 1500);
		break; /* NOLINT(cert-msc30-c, cert-msc50-cpp) */
	case 3:
		s->bad_sum = true;
		break;
	case 4:
		s->ack++;
		break;
	case 5:
		s->stamp ^= 3;
		break;
	case 6:
		s->id++;
		break;
	case 7:
		s->len = 0;
		break;
	default:
		break;
	}
}

/* What comes out, cut, is what went in, for each connection in its order. */
static void expect_the_same(struct sent *sent, unsigned n)
{
	static u8 cut[NET_FRAME_MAX];
	bool seen[SENT] = { false };
	unsigned found = 0;
	size_t len, part;
	u8 *frame;

	train_send(&merge, &train);
	while (net_train_has_more(&train)) {
		frame = net_train_next(&train, merge.features, &len);
		assert_non_null(frame);
		for (unsigned i = 0; (part = frame_cut(frame, len - HEADER, i, cut));
		     i++, found++) {
			unsigned at = 0;

			while (at < n && (seen[at] || sent[at].len != part ||
					  memcmp(sent[at].f, cut, part) != 0))
				at++;
			assert_true(at < n);
			seen[at] = true;
			for (unsigned before = 0; before < at; before++)
				assert_true(seen[before] ||
					    sent[before].connection != sent[at].connection);
		}
	}
	assert_int_equal(found, n);
}

static void cut_again_they_are_the_same(void **state)
{
	static struct sent sent[SENT];
	struct segment_form s[3] = { first, first, first };

	(void)state;
	srand(1); /* NOLINT(cert-msc32-c, cert-msc51-cpp) */
	s[1].ipv6 = true;
	s[2].port = 1;
	for (unsigned round = 0; round < 2000; round++) {
		unsigned n = 0;

		for (; n < SENT; n++) {
			unsigned c =
				(unsigned)rand() % 3; /* NOLINT(cert-msc30-c, cert-msc50-cpp) */
			struct segment_form as_sent;

			change_something(&s[c]);
			as_sent = s[c];
			sent[n].connection = c;
			sent[n].len = segment_make(sent[n].f, &as_sent);
			if (!net_merge_add(&merge, sent[n].f, sent[n].len))
				break;
			s[c] = next(&s[c]);
			s[c].flags = 0;
			s[c].bad_sum = false;
			s[c].len = MSS;
		}
		expect_the_same(sent, n);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
	const struct CMUnitTest tests[] = {
		TEST(what_follows_becomes_one_frame), TEST(one_segment_stays_as_it_is),
		TEST(what_differs_is_not_merged),     TEST(what_is_no_plain_data_is_not_merged),
		TEST(a_shorter_one_is_the_last),      TEST(a_frame_is_as_long_as_ip_permits),
		TEST(connections_are_kept_apart),     TEST(nothing_goes_past_another_frame),
		TEST(a_full_train_says_so),	      TEST(a_train_can_wait),
		TEST(cut_again_they_are_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
