/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Puts this kernel's TCP behind the network device, as a guest's stack is: a tap in a network
 * namespace of its own, and a driver that moves frames between it and the device. The driver
 * sleeps unless the tap has a frame or the device has interrupted it, and notifies the device only
 * where that asks for it (EVENT_IDX), so that a wake-up that is lost stays lost.
 */
#ifndef UMBRA_TESTS_UNIT_VMM_NET_DRIVER_FIXTURE_H
#define UMBRA_TESTS_UNIT_VMM_NET_DRIVER_FIXTURE_H

#define FAKE_RAM (512U << 10)

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/eventfd.h"
#include "devices/virtio_net.h"
#include "tests/unit/devices/driver_fixture.h"

#define NET_DRIVER_HEADER sizeof(struct virtio_net_hdr_v1)
#define NET_DRIVER_RX	  12	     /* buffers, which may be merged */
#define NET_DRIVER_RX_AT  0x40000ULL /* of so many bytes each: */
#define NET_DRIVER_RX_LEN 0x2000U
#define NET_DRIVER_TX	  2
#define NET_DRIVER_TX_AT  0x10000ULL
#define NET_DRIVER_TX_LEN 0x18000ULL
enum { NET_DRIVER_RECEIVES, NET_DRIVER_SENDS };

struct net_driver {
	struct fake_host f; /* first */
	struct fixture_driver d;
	struct virtio_net *n;
	int tap, interrupt;
	unsigned sent, under_way; /* frames */
	unsigned parts;		  /* buffers that the frame in @got is still to have */
	size_t len;
	u8 got[NET_DRIVER_RX * NET_DRIVER_RX_LEN];
};

/*
 * Makes a tap in the network namespace that this thread is in, whose kernel has the address
 * 10.0.2.15 and cuts no TCP data into segments. -1: there are none on this machine.
 */
static inline int net_driver_tap(void)
{
	struct ifreq r = { .ifr_name = "guest0", .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	struct sockaddr_in *a = (struct sockaddr_in *)(void *)&r.ifr_addr;
	int header = NET_DRIVER_HEADER, s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	bool ok = fd >= 0 && !ioctl(fd, TUNSETIFF, &r) && !ioctl(fd, TUNSETVNETHDRSZ, &header) &&
		  !ioctl(fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4);

	memset(&r.ifr_addr, 0, sizeof(r.ifr_addr));
	a->sin_family = AF_INET;
	a->sin_addr.s_addr = htonl(0x0a00020fU);
	ok = ok && !ioctl(s, SIOCSIFADDR, &r);
	a->sin_addr.s_addr = htonl(0xffffff00U);
	ok = ok && !ioctl(s, SIOCSIFNETMASK, &r);
	r.ifr_flags = IFF_UP | IFF_RUNNING;
	ok = ok && !ioctl(s, SIOCSIFFLAGS, &r);
	close(s);
	if (!ok && fd >= 0)
		close(fd);
	return ok ? fd : -1;
}

static inline void net_driver_on_interrupt(void *arg, u16 vector)
{
	(void)vector;
	eventfd_signal(((struct net_driver *)arg)->interrupt);
}

static inline u16 *net_driver_avail(struct net_driver *g, unsigned queue)
{
	return (u16 *)(void *)(driver_page(&g->d, queue) + QUEUE_AVAIL);
}

static inline u16 *net_driver_used(struct net_driver *g, unsigned queue)
{
	return (u16 *)(void *)(driver_page(&g->d, queue) + QUEUE_USED);
}

/* Offers @slot, which is a descriptor and a buffer. */
static inline void net_driver_offer(struct net_driver *g, unsigned queue, u16 slot, u64 at, u32 len)
{
	struct vring_desc *desc = (struct vring_desc *)(void *)driver_page(&g->d, queue);
	u16 *avail = net_driver_avail(g, queue), old = avail[1], event;

	desc[slot] =
		(struct vring_desc){ at, len, queue == NET_DRIVER_RECEIVES ? VRING_DESC_F_WRITE : 0,
				     0 };
	__atomic_store_n(&avail[2 + old % DRIVER_SIZE], slot, __ATOMIC_RELAXED);
	__atomic_store_n(&avail[1], (u16)(old + 1), __ATOMIC_RELEASE);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	event = __atomic_load_n(&net_driver_used(g, queue)[2 + 4 * DRIVER_SIZE], __ATOMIC_RELAXED);
	if (vring_need_event(event, (u16)(old + 1), old))
		virtio_notify(g->d.v, queue);
}

static inline void net_driver_offer_rx(struct net_driver *g, u16 slot)
{
	net_driver_offer(g, NET_DRIVER_RECEIVES, slot,
			 NET_DRIVER_RX_AT + (u64)NET_DRIVER_RX_LEN * slot, NET_DRIVER_RX_LEN);
}

/* Takes the next buffer back; false: there is none, and an interrupt will tell of the next one. */
static inline bool net_driver_take(struct net_driver *g, unsigned queue, u16 *slot, u32 *len)
{
	u16 *used = net_driver_used(g, queue);
	struct vring_used_elem *e = (struct vring_used_elem *)(void *)(used + 2);
	u16 at = g->d.served[queue];

	if (__atomic_load_n(&used[1], __ATOMIC_ACQUIRE) == at) {
		__atomic_store_n(&net_driver_avail(g, queue)[2 + DRIVER_SIZE], at,
				 __ATOMIC_RELAXED);
		__atomic_thread_fence(__ATOMIC_SEQ_CST);
		if (__atomic_load_n(&used[1], __ATOMIC_ACQUIRE) == at)
			return false;
	}
	*slot = (u16)e[at % DRIVER_SIZE].id;
	*len = e[at % DRIVER_SIZE].len;
	g->d.served[queue]++;
	return true;
}

static inline bool net_driver_begin(struct net_driver *g, int tap, const struct net_backend *b)
{
	const struct virtio_transport transport = { .interrupt = net_driver_on_interrupt,
						    .arg = g };

	g->d.f = &g->f;
	g->tap = tap;
	g->interrupt = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (g->interrupt < 0 || virtio_net_create(&g->n, b) ||
	    virtio_create(&g->d.v, &g->f.host, virtio_net_type(g->n), g->n))
		return false;
	virtio_net_attach(g->n, g->d.v);
	virtio_set_transport(g->d.v, &transport);
	driver_start(&g->d,
		     1ULL << VIRTIO_NET_F_CSUM | 1ULL << VIRTIO_NET_F_HOST_TSO4 |
			     1ULL << VIRTIO_NET_F_GUEST_CSUM | 1ULL << VIRTIO_NET_F_GUEST_TSO4 |
			     1ULL << VIRTIO_NET_F_MRG_RXBUF | 1ULL << VIRTIO_RING_F_EVENT_IDX);
	for (u16 i = 0; i < NET_DRIVER_RX; i++)
		net_driver_offer_rx(g, i);
	return true;
}

/* Sends what the tap has, as long as there are buffers. Returns the length of the longest frame. */
static inline u32 net_driver_send(struct net_driver *g)
{
	u32 longest = 0;

	while (g->under_way < NET_DRIVER_TX) {
		u16 slot = (u16)(g->sent % NET_DRIVER_TX);
		u64 at = NET_DRIVER_TX_AT + slot * NET_DRIVER_TX_LEN;
		ssize_t len = read(g->tap, g->f.ram + at, NET_DRIVER_TX_LEN);

		if (len <= 0)
			break;
		longest = (u32)len > longest ? (u32)len : longest;
		g->sent++;
		g->under_way++;
		net_driver_offer(g, NET_DRIVER_SENDS, slot, at, (u32)len);
	}
	return longest;
}

/*
 * Receives what the device has, for the tap. Returns the length of the longest frame; a frame may
 * be in several buffers, and the first says in how many.
 */
static inline u32 net_driver_receive(struct net_driver *g)
{
	u32 longest = 0, len;
	u16 slot;

	while (net_driver_take(g, NET_DRIVER_RECEIVES, &slot, &len)) {
		const u8 *buffer = g->f.ram + NET_DRIVER_RX_AT + (u64)NET_DRIVER_RX_LEN * slot;

		if (!g->parts) {
			g->parts = buffer[10];
			g->len = 0;
		}
		if (len > sizeof(g->got) - g->len)
			_exit(3);
		memcpy(g->got + g->len, buffer, len);
		g->len += len;
		net_driver_offer_rx(g, slot);
		if (--g->parts)
			continue;
		/* A tap that is full loses it. */
		if (write(g->tap, g->got, g->len) < 0 && errno != EAGAIN)
			_exit(4);
		longest = g->len > longest ? (u32)g->len : longest;
	}
	return longest;
}

/*
 * Runs the driver until it is killed. The length of the longest frame that came goes to
 * longest[NET_DRIVER_RECEIVES], of one that went to longest[NET_DRIVER_SENDS].
 */
static inline void net_driver_run(struct net_driver *g, u32 *longest)
{
	for (;;) {
		struct pollfd p[] = { { .fd = g->interrupt, .events = POLLIN },
				      { .fd = g->tap, .events = POLLIN } };
		u32 len;
		u16 slot;

		while (net_driver_take(g, NET_DRIVER_SENDS, &slot, &len))
			g->under_way--;
		len = net_driver_receive(g);
		if (len > longest[NET_DRIVER_RECEIVES])
			longest[NET_DRIVER_RECEIVES] = len;
		p[1].fd = g->under_way < NET_DRIVER_TX ? g->tap : -1;
		if (poll(p, 2, -1) < 0)
			_exit(1);
		if (p[0].revents) {
			virtio_kick_clear(g->interrupt);
			continue;
		}
		len = net_driver_send(g);
		if (len > longest[NET_DRIVER_SENDS])
			longest[NET_DRIVER_SENDS] = len;
	}
}

#endif
