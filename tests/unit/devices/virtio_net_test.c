// SPDX-License-Identifier: GPL-2.0-only
/* Tests virtio-net: frames both ways, what waits and what is dropped, a backend that goes away. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/virtio_net.h>

#include "devices/net_train.h"
#include "devices/virtio_net.h"
#include "tests/unit/devices/driver_fixture.h"

#define RX_BUF 0x10000ULL
#define TX_BUF 0x20000ULL
#define HDR    12U

struct ctx {
	struct fake_host f;
	struct virtio_net *n;
	struct fixture_driver d;
	int peer;
	int fd;
};

static u64 asked_for; /* of the backend with offloads */

static int backend_offload(int fd, u64 features)
{
	(void)fd;
	asked_for = features;
	return 0;
}

static int backend_tell(int fd, u64 features)
{
	return write(fd, &features, sizeof(features)) < 0 ? -errno : 0;
}

enum backend { PLAIN, OFFLOADING, TRAINS };

static int setup_with(void **state, enum backend kind, u64 features)
{
	struct ctx *t = fake_host_alloc(sizeof(*t));
	struct net_backend b = { .mac = { 2, 1, 2, 3, 4, 5 } };
	int pair[2];

	assert_non_null(t);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	b.fd = t->fd = pair[0];
	b.offload = kind == OFFLOADING ? backend_offload : NULL;
	b.long_frames = kind != OFFLOADING;
	b.tell = kind == TRAINS ? backend_tell : NULL;
	t->peer = pair[1];
	assert_int_equal(virtio_net_create(&t->n, &b), 0);
	assert_int_equal(virtio_create(&t->d.v, &t->f.host, virtio_net_type(t->n), t->n), 0);
	virtio_net_attach(t->n, t->d.v);
	t->d.f = &t->f;
	driver_start(&t->d, features | 1ULL << VIRTIO_NET_F_MAC | 1ULL << VIRTIO_NET_F_STATUS);
	*state = t;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, PLAIN, 0);
}

#define OFFLOADS                                                       \
	(1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_GUEST_CSUM | \
	 1ULL << VIRTIO_NET_F_HOST_TSO4 | 1ULL << VIRTIO_NET_F_GUEST_TSO4)

static int setup_offloads(void **state)
{
	return setup_with(state, OFFLOADING, OFFLOADS | 1ULL << VIRTIO_NET_F_MRG_RXBUF);
}

static int setup_long(void **state)
{
	return setup_with(state, PLAIN, 1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_HOST_TSO4);
}

static int setup_unmerged(void **state)
{
	return setup_with(state, OFFLOADING, OFFLOADS);
}

#define LONG_INPUT                                                           \
	(1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_TSO4 | \
	 1ULL << VIRTIO_NET_F_GUEST_TSO6)

static int setup_trains(void **state)
{
	return setup_with(state, TRAINS, LONG_INPUT | 1ULL << VIRTIO_NET_F_MRG_RXBUF);
}

static int setup_plain_trains(void **state)
{
	return setup_with(state, TRAINS, 0);
}

static int teardown(void **state)
{
	struct ctx *t = *state;

	virtio_destroy(t->d.v);
	virtio_net_destroy(t->n);
	close(t->fd);
	close(t->peer);
	free(t);
	return 0;
}

static s64 send_frame(struct ctx *t, u32 len, u8 flags, u8 gso)
{
	memset(t->f.ram + TX_BUF, 0, HDR);
	t->f.ram[TX_BUF] = flags;
	t->f.ram[TX_BUF + 1] = gso;
	memset(t->f.ram + TX_BUF + HDR, 0x42, 2000);
	driver_offer(&t->d, 1, TX_BUF, len, false);
	return driver_wait(&t->d, 1);
}

static ssize_t peer_takes(struct ctx *t)
{
	u8 buf[4096];

	return recv(t->peer, buf, sizeof(buf), MSG_DONTWAIT);
}

static void test_config(void **state)
{
	struct ctx *t = *state;
	u8 c[8] = { 0 };

	virtio_config_io(t->d.v, 0, c, 8, false);
	assert_memory_equal(c, "\2\1\2\3\4\5\1\0", 8);
	memset(c, 0xff, 8);
	virtio_config_io(t->d.v, 0, c, 8, true);
	virtio_config_io(t->d.v, 0, c, 8, false);
	assert_memory_equal(c, "\2\1\2\3\4\5\1\0", 8);
}

static void test_transmit(void **state)
{
	struct ctx *t = *state;

	assert_int_equal(send_frame(t, HDR + 60, 0, 0), 0);
	assert_int_equal(peer_takes(t), 60);
	assert_int_equal(send_frame(t, HDR + 14, 0, 0), 0);
	assert_int_equal(peer_takes(t), 14);
}

static void test_transmit_nonsense(void **state)
{
	struct ctx *t = *state;

	assert_int_equal(send_frame(t, 1, 0, 0), 0);
	assert_int_equal(send_frame(t, HDR, 0, 0), 0);
	assert_int_equal(send_frame(t, HDR + 13, 0, 0), 0);
	assert_int_equal(send_frame(t, HDR + 60, VIRTIO_NET_HDR_F_NEEDS_CSUM, 0), 0);
	assert_int_equal(send_frame(t, HDR + 60, 0, VIRTIO_NET_HDR_GSO_TCPV4), 0);
	assert_int_equal(send_frame(t, HDR + 65554, 0, 0), 0);
	assert_int_equal(peer_takes(t), -1);
	assert_int_equal(send_frame(t, HDR + 20, 0, 0), 0);
	assert_int_equal(peer_takes(t), 20);
	/* Only something to write into: an empty frame. */
	driver_offer(&t->d, 1, TX_BUF, 100, true);
	assert_int_equal(driver_wait(&t->d, 1), 0);
}

static void test_receive(void **state)
{
	struct ctx *t = *state;
	u8 frame[100];
	u32 len;

	memset(frame, 0x33, sizeof(frame));
	/* It waits for a buffer. */
	assert_int_equal(send(t->peer, frame, sizeof(frame), 0), sizeof(frame));
	driver_nap();
	assert_false(driver_take(&t->d, 0, &len));
	memset(t->f.ram + RX_BUF, 0xee, 200);
	driver_offer(&t->d, 0, RX_BUF, 1526, true);
	assert_int_equal(driver_wait(&t->d, 0), HDR + 100);
	assert_memory_equal(t->f.ram + RX_BUF, "\0\0\0\0\0\0\0\0\0\0\1\0", HDR);
	assert_memory_equal(t->f.ram + RX_BUF + HDR, frame, 100);
	assert_int_equal(t->f.ram[RX_BUF + HDR + 100], 0xee);
	/* The buffer waits for a frame. */
	driver_offer(&t->d, 0, RX_BUF, 1526, true);
	driver_nap();
	assert_false(driver_take(&t->d, 0, &len));
	assert_int_equal(send(t->peer, frame, 20, 0), 20);
	assert_int_equal(driver_wait(&t->d, 0), HDR + 20);
}

static void test_receive_too_long(void **state)
{
	struct ctx *t = *state;
	u8 frame[2000] = { 0 };

	driver_offer(&t->d, 0, RX_BUF, HDR + 60, true);
	assert_int_equal(send(t->peer, frame, 61, 0), 61);
	assert_int_equal(send(t->peer, frame, 2000, 0), 2000);
	assert_int_equal(send(t->peer, frame, 13, 0), 13);
	assert_int_equal(send(t->peer, frame, 60, 0), 60);
	assert_int_equal(driver_wait(&t->d, 0), HDR + 60);
	/* A buffer that holds no frame at all. */
	driver_offer(&t->d, 0, RX_BUF, HDR, true);
	assert_int_equal(send(t->peer, frame, 60, 0), 60);
	assert_int_equal(driver_wait(&t->d, 0), -1);
	assert_true(driver_broken(&t->d));
}

/* The backend is full: frames wait in the driver's buffers, receiving goes on. */
static void test_backend_full(void **state)
{
	struct ctx *t = *state;
	unsigned sent = 0, got = 0;
	u8 frame[60] = { 0 };
	u32 len;

	memset(t->f.ram + TX_BUF, 0, HDR + 1500);
	for (unsigned i = 0; i < 16 * 1000; i++) {
		driver_offer(&t->d, 1, TX_BUF, HDR + 1500, false);
		sent++;
		for (unsigned wait = 0; wait < 30 && !driver_take(&t->d, 1, &len); wait++) {
			if (wait == 29)
				goto full;
			driver_nap();
		}
	}
	fail_msg("never full");
full:
	driver_offer(&t->d, 0, RX_BUF, 1526, true);
	assert_int_equal(send(t->peer, frame, sizeof(frame), 0), sizeof(frame));
	assert_int_equal(driver_wait(&t->d, 0), HDR + 60);
	while (peer_takes(t) == 1500)
		got++;
	assert_int_equal(driver_wait(&t->d, 1), 0);
	driver_nap();
	while (peer_takes(t) == 1500)
		got++;
	assert_int_equal(got, sent);
}

static void test_backend_gone(void **state)
{
	struct ctx *t = *state;
	u8 c[2] = { 0xff, 0xff };

	driver_offer(&t->d, 0, RX_BUF, 1526, true);
	shutdown(t->peer, SHUT_RDWR);
	for (unsigned i = 0; i < 1000 && c[0]; i++) {
		virtio_config_io(t->d.v, 6, c, 2, false);
		driver_nap();
	}
	assert_int_equal(c[0], 0);
	assert_int_equal(virtio_isr(t->d.v) & 2, 2);
	assert_int_equal(send_frame(t, HDR + 60, 0, 0), 0);
	assert_false(driver_broken(&t->d));
}

/* The link is up again, and a frame that waits reaches a driver that does not kick. */
static void test_backend_back(void **state)
{
	struct ctx *t = *state;
	u8 frame[60] = { 1 }, c[2] = { 0xff, 0xff };
	int pair[2];

	driver_offer(&t->d, 0, RX_BUF, 1526, true);
	shutdown(t->peer, SHUT_RDWR);
	for (unsigned i = 0; i < 1000 && c[0]; i++) {
		virtio_config_io(t->d.v, 6, c, 2, false);
		driver_nap();
	}
	assert_int_equal(c[0], 0);
	virtio_isr(t->d.v);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	assert_int_equal(dup2(pair[0], t->fd), t->fd);
	close(pair[0]);
	close(t->peer);
	t->peer = pair[1];
	assert_int_equal(send(t->peer, frame, sizeof(frame), 0), sizeof(frame));
	virtio_net_backend_back(t->n);
	virtio_config_io(t->d.v, 6, c, 2, false);
	assert_int_equal(c[0], VIRTIO_NET_S_LINK_UP);
	assert_int_equal(virtio_isr(t->d.v) & 2, 2);
	assert_int_equal(driver_wait(&t->d, 0), HDR + sizeof(frame));
	/* And it is lost again like the first. */
	virtio_net_backend_gone(t->n);
	virtio_config_io(t->d.v, 6, c, 2, false);
	assert_int_equal(c[0], 0);
}

static void test_reset_storm(void **state)
{
	struct ctx *t = *state;
	u8 frame[60] = { 0 };

	for (unsigned i = 0; i < 200; i++) {
		assert_int_equal(send(t->peer, frame, sizeof(frame), 0), sizeof(frame));
		driver_offer(&t->d, 0, RX_BUF, 1526, true);
		driver_offer(&t->d, 1, TX_BUF, 100, false);
		driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
		memset(t->f.ram, 0xcc, FAKE_RAM);
		while (peer_takes(t) > 0)
			;
		driver_start(&t->d, 0);
	}
	/* A buffer from before a reset is not filled after it. */
	driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	while (recv(t->fd, frame, sizeof(frame), MSG_DONTWAIT) > 0)
		; /* what still waited */
	driver_start(&t->d, 0);
	driver_offer(&t->d, 0, RX_BUF, 1526, true);
	driver_nap();
	driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	driver_start(&t->d, 0);
	driver_offer(&t->d, 0, RX_BUF + 0x2000, 1526, true);
	memset(frame, 0x44, sizeof(frame));
	assert_int_equal(send(t->peer, frame, sizeof(frame), 0), sizeof(frame));
	assert_int_equal(driver_wait(&t->d, 0), HDR + 60);
	assert_memory_equal(t->f.ram + RX_BUF + 0x2000 + HDR, frame, sizeof(frame));
	for (unsigned i = 0; i < HDR + 60; i++)
		assert_int_equal(t->f.ram[RX_BUF + i], 0);
}

static s64 send_unfinished(struct ctx *t, const struct virtio_net_hdr_v1 *h, u32 len)
{
	memcpy(t->f.ram + TX_BUF, h, HDR);
	memset(t->f.ram + TX_BUF + HDR, 0x42, 4000);
	driver_offer(&t->d, 1, TX_BUF, len, false);
	return driver_wait(&t->d, 1);
}

static void test_unfinished_frames_go_out(void **state)
{
	struct virtio_net_hdr_v1 h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID,
		.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
		.gso_size = 1448,
		.csum_start = 34,
		.csum_offset = 16,
		.num_buffers = 7,
	};
	struct ctx *t = *state;
	u8 buf[4096];

	assert_int_equal(asked_for & OFFLOADS, OFFLOADS);
	assert_int_equal(send_unfinished(t, &h, HDR + 3000), 0);
	assert_int_equal(recv(t->peer, buf, sizeof(buf), MSG_DONTWAIT), HDR + 3000);
	h.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	h.num_buffers = 0;
	assert_memory_equal(buf, &h, HDR);
	/* Of a kind that was not negotiated, behind the frame's end, without what it needs. */
	h.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	assert_int_equal(send_unfinished(t, &h, HDR + 3000), 0);
	h.gso_type = VIRTIO_NET_HDR_GSO_UDP;
	assert_int_equal(send_unfinished(t, &h, HDR + 3000), 0);
	h.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	assert_int_equal(send_unfinished(t, &h, HDR + 51), 0);
	h.csum_start = 0xffff;
	assert_int_equal(send_unfinished(t, &h, HDR + 3000), 0);
	h = (struct virtio_net_hdr_v1){ .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1448 };
	assert_int_equal(send_unfinished(t, &h, HDR + 3000), 0);
	assert_int_equal(peer_takes(t), -1);
	/* A whole one. */
	h.gso_type = VIRTIO_NET_HDR_GSO_NONE;
	assert_int_equal(send_unfinished(t, &h, HDR + 60), 0);
	assert_int_equal(peer_takes(t), HDR + 60);
}

static void test_one_frame_in_several_buffers(void **state)
{
	struct ctx *t = *state;
	u8 frame[HDR + 3000] = { VIRTIO_NET_HDR_F_NEEDS_CSUM };
	clock_t before;
	u16 buffers;
	u32 len = 0;

	memset(frame + HDR, 0x33, 3000);
	assert_int_equal(send(t->peer, frame, sizeof(frame), 0), sizeof(frame));
	/* Three are too few; the frame waits, and nothing is given back. */
	for (u64 i = 0; i < 3; i++) {
		driver_offer(&t->d, 0, RX_BUF + i * 1000, 1000, true);
		driver_nap();
	}
	assert_false(driver_take(&t->d, 0, &len));
	/* And the device sleeps meanwhile. */
	before = clock();
	usleep(300000);
	assert_true(clock() - before < CLOCKS_PER_SEC / 100);
	driver_offer(&t->d, 0, RX_BUF + 3000, 1000, true);
	assert_int_equal(driver_wait(&t->d, 0), 1000);
	assert_true(driver_take(&t->d, 0, &len) && len == 1000);
	assert_true(driver_take(&t->d, 0, &len) && len == 1000);
	assert_true(driver_take(&t->d, 0, &len) && len == 12);
	memcpy(&buffers, t->f.ram + RX_BUF + 10, 2);
	assert_int_equal(buffers, 4);
	assert_int_equal(t->f.ram[RX_BUF], VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_memory_equal(t->f.ram + RX_BUF + HDR, frame + HDR, 3000);
	/* The next one is short again. */
	assert_int_equal(send(t->peer, frame, HDR + 60, 0), HDR + 60);
	driver_offer(&t->d, 0, RX_BUF, 1000, true);
	assert_int_equal(driver_wait(&t->d, 0), HDR + 60);
	memcpy(&buffers, t->f.ram + RX_BUF + 10, 2);
	assert_int_equal(buffers, 1);
}

static void test_frame_longer_than_its_buffer(void **state)
{
	struct ctx *t = *state;
	u8 frame[HDR + 3000] = { 0 };

	assert_int_equal(send(t->peer, frame, sizeof(frame), 0), sizeof(frame));
	assert_int_equal(send(t->peer, frame, HDR + 100, 0), HDR + 100);
	driver_offer(&t->d, 0, RX_BUF, 1000, true);
	/* Dropped; its buffer takes the next one. */
	assert_int_equal(driver_wait(&t->d, 0), HDR + 100);
}

/* Sends a frame of @len bytes whose checksum is to be completed, and looks at what came. */
static void expect_complete(struct ctx *t, const struct virtio_net_hdr_v1 *h, u32 len)
{
	size_t at = (size_t)h->csum_start + h->csum_offset;
	u8 buf[4096];
	u32 sum = 0x4242; /* of the pseudo-header, which the driver has put there */

	assert_int_equal(send_unfinished(t, h, HDR + len), 0);
	assert_int_equal(recv(t->peer, buf, sizeof(buf), MSG_DONTWAIT), len);
	/* As a receiver checks it: all words from the start on are ffff together. */
	for (u32 i = h->csum_start; i < len; i++)
		sum += (u32)buf[i] << ((i - h->csum_start) % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	assert_int_equal(sum, 0xffff);
	/* Nothing else has changed, and nothing in the driver's memory. */
	buf[at] = buf[at + 1] = 0x42;
	for (u32 i = 0; i < len; i++)
		assert_int_equal(buf[i], 0x42);
	for (u32 i = 0; i < len; i++)
		assert_int_equal(t->f.ram[TX_BUF + HDR + i], 0x42);
}

static void test_checksums_are_completed(void **state)
{
	struct virtio_net_hdr_v1 h = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
		.csum_start = 34,
		.csum_offset = 16,
	};
	struct ctx *t = *state;

	expect_complete(t, &h, 1514);
	expect_complete(t, &h, 1513);
	/* It ends with its checksum. */
	expect_complete(t, &h, 52);
	h.csum_start = 33;
	expect_complete(t, &h, 1514);
	h.csum_start = 38;
	h.csum_offset = 6;
	expect_complete(t, &h, 61);
	/* More than a segment goes as it is. */
	h.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	h.gso_size = 1448;
	expect_complete(t, &h, 3000);
	/* Where no protocol has its checksum. */
	h.csum_start = 3000 - 8;
	assert_int_equal(send_unfinished(t, &h, HDR + 3000), 0);
	assert_int_equal(peer_takes(t), -1);
	h.csum_start = 120;
	h.csum_offset = 7;
	assert_int_equal(send_unfinished(t, &h, HDR + 3000), 0);
	assert_int_equal(peer_takes(t), -1);
	h.csum_offset = 6;
	expect_complete(t, &h, 3000);
	/* What was not negotiated, or is no size. */
	h.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
	assert_int_equal(send_unfinished(t, &h, HDR + 3000), 0);
	h.gso_type = VIRTIO_NET_HDR_GSO_TCPV4;
	h.gso_size = 0;
	assert_int_equal(send_unfinished(t, &h, HDR + 3000), 0);
	h.flags = 0;
	h.gso_size = 1448;
	assert_int_equal(send_unfinished(t, &h, HDR + 3000), 0);
	assert_int_equal(peer_takes(t), -1);
}

/* How many calls of read(2) this process has made, those in vain included. */
static unsigned long reads(void)
{
	FILE *f = fopen("/proc/self/io", "r");
	unsigned long n = 0;
	char line[64];

	assert_non_null(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, "syscr: ", 7))
			n = strtoul(line + 7, NULL, 10);
	fclose(f);
	return n;
}

/* One for each kick; the backend is not asked for frames that it has not. */
static void test_sending_asks_for_no_frames(void **state)
{
	struct ctx *t = *state;
	unsigned long before;

	assert_int_equal(send_frame(t, HDR + 60, 0, 0), 0);
	driver_nap();
	before = reads();
	for (unsigned i = 0; i < 100; i++)
		assert_int_equal(send_frame(t, HDR + 60, 0, 0), 0);
	driver_nap();
	assert_in_range(reads() - before, 1, 120);
}

/* --- trains --------------------------------------------------------------------------------- */

struct packet {
	size_t len;
	u8 bytes[NET_TRAIN_MAX];
};

/* Adds a frame of @len bytes, each of which is @fill, with the header @h. */
static void packet_add(struct packet *p, const struct virtio_net_hdr_v1 *h, u32 len, u8 fill)
{
	struct net_train_head head = { .len = len, .h = *h };

	memcpy(p->bytes + p->len, &head, sizeof(head));
	memset(p->bytes + p->len + sizeof(head), fill, len);
	p->len += sizeof(head) + len;
}

static void packet_send(struct ctx *t, struct packet *p)
{
	assert_int_equal(send(t->peer, p->bytes, p->len, 0), p->len);
	p->len = 0;
}

/* Waits for what the driver accepts, as the peer hears it. */
static u64 peer_is_told(struct ctx *t)
{
	u64 features = 0;

	for (unsigned i = 0; i < 1000; i++) {
		if (recv(t->peer, &features, sizeof(features), MSG_DONTWAIT) == sizeof(features))
			return features & LONG_INPUT;
		driver_nap();
	}
	return 0;
}

static void expect_received(struct ctx *t, u32 len, u8 fill)
{
	assert_int_equal(driver_wait(&t->d, 0), HDR + len);
	for (u32 i = 0; i < len; i++)
		assert_int_equal(t->f.ram[RX_BUF + HDR + i], fill);
	driver_offer(&t->d, 0, RX_BUF, 1526, true);
}

static const struct virtio_net_hdr_v1 no_header, tcp4 = {
	.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
	.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
	.hdr_len = 54,
	.gso_size = 500,
	.csum_start = 34,
	.csum_offset = 16,
};

static void test_train_brings_frames_in_order(void **state)
{
	static struct packet p;
	struct ctx *t = *state;

	driver_offer(&t->d, 0, RX_BUF, 1526, true);
	for (u8 round = 0; round < 3; round++) {
		for (u8 i = 1; i < 40; i++)
			packet_add(&p, &no_header, 14U + i, i);
		packet_send(t, &p);
		for (u8 i = 1; i < 40; i++)
			expect_received(t, 14U + i, i);
	}
}

/* More frames than the device has in one turn; it drops them, so they need no buffers. */
static void test_train_of_several_turns(void **state)
{
	struct virtio_net_hdr_v1 bad = { .flags = VIRTIO_NET_HDR_F_DATA_VALID };
	static struct packet p;
	struct ctx *t = *state;

	driver_offer(&t->d, 0, RX_BUF, 1526, true);
	for (unsigned i = 0; i < 1000; i++)
		packet_add(&p, &bad, 14, 1);
	packet_add(&p, &no_header, 20, 2);
	packet_send(t, &p);
	expect_received(t, 20, 2);
}

static void test_train_with_a_long_frame(void **state)
{
	static struct packet p;
	struct virtio_net_hdr_v1 h;
	struct ctx *t = *state;
	u32 len = 0;

	packet_add(&p, &tcp4, 3000, 0x33);
	packet_add(&p, &no_header, 60, 0x44);
	packet_send(t, &p);
	for (u64 i = 0; i < 5; i++)
		driver_offer(&t->d, 0, RX_BUF + i * 1000, 1000, true);
	assert_int_equal(driver_wait(&t->d, 0), 1000);
	assert_int_equal(driver_wait(&t->d, 0), 1000);
	assert_int_equal(driver_wait(&t->d, 0), 1000);
	assert_int_equal(driver_wait(&t->d, 0), 12);
	assert_int_equal(driver_wait(&t->d, 0), HDR + 60);
	assert_false(driver_take(&t->d, 0, &len));
	memcpy(&h, t->f.ram + RX_BUF, HDR);
	assert_int_equal(h.num_buffers, 4);
	h.num_buffers = 0;
	assert_memory_equal(&h, &tcp4, HDR);
	for (u32 i = 0; i < 3000; i++)
		assert_int_equal(t->f.ram[RX_BUF + HDR + i], 0x33);
	memcpy(&h, t->f.ram + RX_BUF + 4000, HDR);
	assert_int_equal(h.num_buffers, 1);
	assert_int_equal(t->f.ram[RX_BUF + 4000 + HDR], 0x44);
}

/* Sends @h between two good frames; it is dropped. */
#define DROPPED(member, value)                     \
	do {                                       \
		struct virtio_net_hdr_v1 h = tcp4; \
                                                   \
		h.member = (value);                \
		packet_add(&p, &no_header, 20, 1); \
		packet_add(&p, &h, 600, 2);        \
		packet_add(&p, &no_header, 21, 3); \
		packet_send(t, &p);                \
		expect_received(t, 20, 1);         \
		expect_received(t, 21, 3);         \
	} while (0)

/* The process that made it may have been taken over by whom it talks with. */
static void test_hostile_train(void **state)
{
	static struct packet p;
	struct ctx *t = *state;
	u32 len;

	driver_offer(&t->d, 0, RX_BUF, 1526, true);
	DROPPED(flags, 0); /* a long frame without it */
	DROPPED(flags, VIRTIO_NET_HDR_F_DATA_VALID);
	DROPPED(flags, VIRTIO_NET_HDR_F_NEEDS_CSUM | 0x80);
	DROPPED(gso_type, VIRTIO_NET_HDR_GSO_UDP);
	DROPPED(gso_type, VIRTIO_NET_HDR_GSO_TCPV4 | VIRTIO_NET_HDR_GSO_ECN);
	DROPPED(gso_size, 0);
	DROPPED(hdr_len, 601);
	DROPPED(csum_start, 583);
	DROPPED(csum_start, 0xffff);
	DROPPED(csum_offset, 0xffff);
	/* No frame, or one that is not all there: the rest is. */
	for (unsigned i = 0; i < 3; i++) {
		static const u32 bad[] = { 13, 600, 0xffffffffU };

		packet_add(&p, &no_header, 20, 1);
		len = (u32)p.len;
		packet_add(&p, &no_header, 40, 2);
		packet_add(&p, &no_header, 41, 2);
		memcpy(p.bytes + len, &bad[i], sizeof(bad[i]));
		packet_send(t, &p);
		expect_received(t, 20, 1);
		packet_add(&p, &no_header, 21, 3);
		p.len += 15;
		packet_send(t, &p);
		expect_received(t, 21, 3);
	}
	/* What means nothing does not reach the driver. */
	packet_add(&p,
		   &(struct virtio_net_hdr_v1){
			   .hdr_len = 7, .gso_size = 7, .csum_start = 7, .num_buffers = 7 },
		   20, 1);
	packet_send(t, &p);
	assert_int_equal(driver_wait(&t->d, 0), HDR + 20);
	assert_memory_equal(t->f.ram + RX_BUF, "\0\0\0\0\0\0\0\0\0\0\1\0", HDR);
}

/* Whoever has accepted nothing gets none of it, though it was made for a driver before. */
static void test_train_keeps_to_what_was_accepted(void **state)
{
	static struct packet p;
	struct virtio_net_hdr_v1 h = { .flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
				       .csum_start = 34,
				       .csum_offset = 16 };
	struct ctx *t = *state;

	driver_offer(&t->d, 0, RX_BUF, 1526, true);
	packet_add(&p, &tcp4, 600, 2);
	packet_add(&p, &h, 600, 2);
	packet_add(&p, &no_header, 21, 3);
	packet_send(t, &p);
	expect_received(t, 21, 3);
	for (unsigned i = 0; i < 2; i++) {
		driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
		driver_start(&t->d, i ? LONG_INPUT & ~(1ULL << VIRTIO_NET_F_GUEST_TSO6)
				      : 1ULL << VIRTIO_NET_F_GUEST_CSUM);
		driver_offer(&t->d, 0, RX_BUF, 1526, true);
		h = tcp4;
		h.gso_type = VIRTIO_NET_HDR_GSO_TCPV6;
		packet_add(&p, &h, 600, 2);
		packet_add(&p, &tcp4, 600, 4);
		packet_add(&p, &no_header, 21, 3);
		packet_send(t, &p);
		if (i)
			expect_received(t, 600, 4);
		expect_received(t, 21, 3);
	}
}

/* At its start and after a reset by the driver; and so does another peer. */
static void test_peer_is_told(void **state)
{
	struct ctx *t = *state;
	int pair[2];
	u64 word;

	assert_int_equal(peer_is_told(t), LONG_INPUT);
	driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	driver_start(&t->d, 1ULL << VIRTIO_NET_F_GUEST_CSUM);
	assert_int_equal(peer_is_told(t), 1ULL << VIRTIO_NET_F_GUEST_CSUM);
	driver_nap();
	assert_int_equal(recv(t->peer, &word, sizeof(word), MSG_DONTWAIT), -1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	virtio_net_backend_gone(t->n);
	assert_int_equal(dup2(pair[0], t->fd), t->fd);
	close(pair[0]);
	close(t->peer);
	t->peer = pair[1];
	virtio_net_backend_back(t->n);
	assert_int_equal(peer_is_told(t), 1ULL << VIRTIO_NET_F_GUEST_CSUM);
}

/* A peer that does not read is told later, and meanwhile the device sleeps. */
static void test_full_peer_is_told_later(void **state)
{
	struct ctx *t = *state;
	u8 full[4096] = { 0 };
	clock_t before;
	ssize_t len = 0;
	u64 told;

	assert_int_equal(peer_is_told(t), LONG_INPUT);
	driver_put(&t->d, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	while (send(t->fd, full, sizeof(full), MSG_DONTWAIT) > 0)
		;
	driver_start(&t->d, 1ULL << VIRTIO_NET_F_GUEST_CSUM);
	before = clock();
	usleep(300000);
	assert_true(clock() - before < CLOCKS_PER_SEC / 100);
	for (unsigned i = 0; i < 10000 && len != sizeof(told); i++) {
		len = recv(t->peer, full, sizeof(full), MSG_DONTWAIT);
		if (len < 0)
			driver_nap();
	}
	memcpy(&told, full, sizeof(told));
	assert_int_equal(told & LONG_INPUT, 1ULL << VIRTIO_NET_F_GUEST_CSUM);
}

int main(void)
{
#define TRAIN(f) cmocka_unit_test_setup_teardown(f, setup_trains, teardown)
#define TEST(f)	 cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_config),
		TEST(test_transmit),
		TEST(test_transmit_nonsense),
		TEST(test_receive),
		TEST(test_receive_too_long),
		TEST(test_backend_full),
		TEST(test_backend_gone),
		TEST(test_backend_back),
		TEST(test_reset_storm),
		TEST(test_sending_asks_for_no_frames),
		TRAIN(test_train_brings_frames_in_order),
		TRAIN(test_train_of_several_turns),
		TRAIN(test_train_with_a_long_frame),
		TRAIN(test_hostile_train),
		TRAIN(test_peer_is_told),
		TRAIN(test_full_peer_is_told_later),
		cmocka_unit_test_setup_teardown(test_train_keeps_to_what_was_accepted,
						setup_plain_trains, teardown),
		cmocka_unit_test_setup_teardown(test_checksums_are_completed, setup_long, teardown),
		cmocka_unit_test_setup_teardown(test_unfinished_frames_go_out, setup_offloads,
						teardown),
		cmocka_unit_test_setup_teardown(test_one_frame_in_several_buffers, setup_offloads,
						teardown),
		cmocka_unit_test_setup_teardown(test_frame_longer_than_its_buffer, setup_unmerged,
						teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
