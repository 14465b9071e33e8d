// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has three vCPUs do anything to a bus with a disk of two queues, a network card, a console and an
 * entropy device, a serial port and a clock, all at once and at random, while another thread
 * resizes the disk, feeds the console and resets the bus. What is asserted is what the sanitizers
 * see, that no device uses what it has given back, and that requests were served in between.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/pci_regs.h>
#include <errno.h>
#include <linux/virtio_console.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "devices/cmos.h"
#include "devices/net_backend.h"
#include "devices/pci.h"
#include "devices/pci_port.h"
#include "devices/serial.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_console.h"
#include "devices/virtio_net.h"
#include "devices/virtio_pci.h"
#include "devices/virtio_rng.h"
#include "tests/unit/devices/shared_host.h"

#define VCPUS	  3
#define DEVICES	  4
#define LIFE_MS	  4000
#define RING	  16U
#define BAR_SIZE  0x8000U
#define AT_NOTIFY 0x3000U
#define AT_TABLE  0x4000U
#define SERIAL	  0x3f8
#define CMOS	  0x70

enum device { DISK, NET, CONSOLE, RNG };

struct hammer {
	struct shared_host sh;
	struct pci_bus *bus;
	struct virtio *v[DEVICES];
	struct virtio_pci *pci[DEVICES];
	struct virtio_blk *blk;
	struct virtio_net *net;
	struct virtio_console *console;
	struct virtio_rng *rng;
	struct serial *serial;
	struct cmos *cmos;
	int peer;

	pthread_rwlock_t running; /* for reading: a vCPU that is not paused */
	bool pausing, ending;	  /* atomic */
	unsigned long started,
		kicked;	  /* atomic: devices brought up, chains for devices that were */
	unsigned outputs; /* atomic */
};

struct hammer_vcpu {
	struct hammer *h;
	pthread_t thread;
	u64 seed;
};

/* --- what a vCPU can do -------------------------------------------------------------------- */

static u64 random_of(u64 *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void mmio_write(struct hammer *m, u64 at, u64 value, unsigned len)
{
	access_region(&m->sh, &m->sh.mmio, at, &value, len, true);
}

static u64 mmio_read(struct hammer *m, u64 at, unsigned len)
{
	u64 value = 0;

	access_region(&m->sh, &m->sh.mmio, at, &value, len, false);
	return value;
}

/* All are in slots of bus 0, but the network is behind a root port in the slot of its number. */
#define PORT_CONFIG (ECAM + ((NET + 1ULL) << 15))

static u64 config_at(unsigned d)
{
	if (d == NET)
		return ECAM + PCI_ECAM_SIZE;
	return ECAM + ((u64)(d + 1) << 15);
}

static u64 bar_of(struct hammer *m, unsigned d)
{
	return mmio_read(m, config_at(d) + 0x10, 4) & ~15ULL;
}

/*
 * Writes guest memory without any order, as a hostile guest does: that is no data race of the
 * device's.
 */
__attribute__((no_sanitize("thread"))) static void ram_write(struct hammer *m, u64 at,
							     const void *data, size_t len)
{
	volatile u8 *to = m->sh.ram + at;

	for (size_t i = 0; i < len; i++)
		to[i] = ((const u8 *)data)[i];
}

__attribute__((no_sanitize("thread"))) static u16 ram_read16(struct hammer *m, u64 at)
{
	return *(volatile u16 *)(void *)(m->sh.ram + at);
}

/* Descriptors at 0, the available ring at 0x1000, the used ring at 0x1400. */
static u64 ring_page(unsigned d, unsigned q)
{
	return 0x1000 + (d * 8ULL + q) * 0x2000;
}

static void enable_queue(struct hammer *m, u64 bar, unsigned d, unsigned q, u64 *seed)
{
	static const u8 zeroes[0x2000];
	u64 page = ring_page(d, q);

	ram_write(m, page, zeroes, sizeof(zeroes));
	mmio_write(m, bar + VIRTIO_PCI_COMMON_Q_SELECT, q, 2);
	mmio_write(m, bar + VIRTIO_PCI_COMMON_Q_SIZE, RING << random_of(seed) % 3, 2);
	mmio_write(m, bar + VIRTIO_PCI_COMMON_Q_MSIX, random_of(seed) % 8, 2);
	mmio_write(m, bar + VIRTIO_PCI_COMMON_Q_DESCLO, page, 8);
	mmio_write(m, bar + VIRTIO_PCI_COMMON_Q_AVAILLO, page + 0x1000, 8);
	mmio_write(m, bar + VIRTIO_PCI_COMMON_Q_USEDLO, page + 0x1400, 8);
	mmio_write(m, bar + VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
}

/* Does what a driver's probe does, with random ring features. */
static void bring_up(struct hammer *m, unsigned d, u64 *seed)
{
	const struct virtio_type *type = virtio_type(m->v[d]);
	u64 features = type->features | 1ULL << 32 | (random_of(seed) & 3) << 28;
	u64 bar;

	mmio_write(m, config_at(d) + 4, 6, 2);
	if (!bar_of(m, d))
		mmio_write(m, config_at(d) + 0x10, WINDOW + (d + 1) * BAR_SIZE, 4);
	bar = bar_of(m, d);
	mmio_write(m, bar + VIRTIO_PCI_COMMON_STATUS, 0, 1);
	mmio_write(m, bar + VIRTIO_PCI_COMMON_STATUS, 3, 1);
	for (u32 i = 0; i < 2; i++) {
		mmio_write(m, bar + VIRTIO_PCI_COMMON_GFSELECT, i, 4);
		mmio_write(m, bar + VIRTIO_PCI_COMMON_GF, (u32)(features >> 32 * i), 4);
	}
	mmio_write(m, bar + VIRTIO_PCI_COMMON_STATUS, 0xb, 1);
	for (unsigned q = 0; q < type->queues && q < 8; q++)
		enable_queue(m, bar, d, q, seed);
	mmio_write(m, bar + VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
	__atomic_fetch_add(&m->started, 1, __ATOMIC_RELAXED);
}

static unsigned disk_chain(struct hammer *m, struct vring_desc *d, u64 buf, u16 head, u64 *seed)
{
	static const u32 types[] = { 0, 1, 4, 8, 11, 13, 0, 1 };
	struct {
		u32 type, priority;
		u64 sector;
	} header = { types[random_of(seed) & 7], 0, random_of(seed) % 140 };
	u32 len = header.type > 8 ? 16 : 512U << (random_of(seed) & 3);
	bool to_device = header.type == 1 || header.type > 8;

	ram_write(m, buf, &header, sizeof(header));
	d[0] = (struct vring_desc){ buf, 16, VRING_DESC_F_NEXT, (u16)(head + 1) };
	d[1] = (struct vring_desc){ buf + 64, len,
				    (u16)(VRING_DESC_F_NEXT | (to_device ? 0 : VRING_DESC_F_WRITE)),
				    (u16)(head + 2) };
	d[2] = (struct vring_desc){ buf + 0x4000, 1, VRING_DESC_F_WRITE, 0 };
	return 3;
}

static unsigned console_chain(struct hammer *m, struct vring_desc *d, unsigned q, u64 buf,
			      u64 *seed)
{
	struct virtio_console_control c = { (u32)(random_of(seed) % 3), (u16)(random_of(seed) & 7),
					    (u16)(random_of(seed) & 1) };

	ram_write(m, buf, &c, sizeof(c));
	d[0] = (struct vring_desc){ buf, q == 3 ? 8 : (u32)(random_of(seed) % 9000),
				    q & 1 ? 0 : VRING_DESC_F_WRITE, 0 };
	return 1;
}

static void add_chain(struct hammer *m, unsigned d, unsigned q, u64 *seed)
{
	u64 page = ring_page(d, q), buf = 0x80000 + random_of(seed) % 0x60000;
	u16 index = ram_read16(m, page + 0x1002), head = (u16)(random_of(seed) % 12);
	struct vring_desc desc[3] = { { buf, (u32)(random_of(seed) % 5000), VRING_DESC_F_WRITE,
					0 } };
	unsigned n = 1;

	if (mmio_read(m, bar_of(m, d) + VIRTIO_PCI_COMMON_STATUS, 1) == 0xf)
		__atomic_fetch_add(&m->kicked, 1, __ATOMIC_RELAXED);
	if (d == DISK)
		n = disk_chain(m, desc, buf, head, seed);
	else if (d == CONSOLE)
		n = console_chain(m, desc, q, buf, seed);
	else if (d == NET && q)
		desc[0].flags = 0;
	ram_write(m, page + 16ULL * head, desc, n * sizeof(desc[0]));
	ram_write(m, page + 0x1004 + 2ULL * (index % RING), &head, 2);
	index++;
	ram_write(m, page + 0x1002, &index, 2);
	mmio_write(m, bar_of(m, d) + AT_NOTIFY + 4ULL * q, q, 2);
}

/* Enables, disables or masks MSI-X as a whole. */
static void switch_msix(struct hammer *m, unsigned d, u64 *seed)
{
	u64 at = 0x34;

	for (unsigned i = 0; i < 8; i++) {
		at = mmio_read(m, config_at(d) + at + (i ? 1 : 0), 1);
		if (!at || mmio_read(m, config_at(d) + at, 1) == 0x11)
			break;
	}
	if (at)
		mmio_write(m, config_at(d) + at + 2, random_of(seed) & 0xc000, 2);
}

static void scribble_over_ram(struct hammer *m, u64 *seed)
{
	for (unsigned i = 0; i < 20; i++) {
		u64 value = random_of(seed);

		ram_write(m, random_of(seed) % (RAM / 4) * 4, &value, 4);
	}
}

static void access_ports(struct hammer *m, u64 *seed)
{
	u16 port = (u16)((random_of(seed) & 1 ? SERIAL : CMOS) + (random_of(seed) & 7));
	u64 value = random_of(seed), address = 0x80000000U | (random_of(seed) & 0x3ffc);

	access_region(&m->sh, &m->sh.ports, port, &value, 1U << random_of(seed) % 3,
		      random_of(seed) & 1);
	access_region(&m->sh, &m->sh.ports, 0xcf8, &address, 4, true);
	access_region(&m->sh, &m->sh.ports, 0xcfc + (random_of(seed) & 3), &value,
		      1U << random_of(seed) % 3, random_of(seed) & 1);
}

/* Resets what is behind the root port, or changes where that leads; or repairs both. */
static void use_port(struct hammer *m, u64 *seed)
{
	switch (random_of(seed) % 16) {
	case 0:
		mmio_write(m, PORT_CONFIG + PCI_BRIDGE_CONTROL, PCI_BRIDGE_CTL_BUS_RESET, 2);
		break;
	case 1:
		mmio_write(m, PORT_CONFIG + PCI_PRIMARY_BUS, random_of(seed) & 0x030303, 4);
		break;
	case 2:
		mmio_write(m, PORT_CONFIG + PCI_MEMORY_BASE, random_of(seed), 4);
		break;
	case 3:
		mmio_write(m, PORT_CONFIG + PCI_COMMAND, random_of(seed) & 7, 2);
		break;
	default:
		mmio_write(m, PORT_CONFIG + PCI_PRIMARY_BUS, 0x010100, 4);
		mmio_write(m, PORT_CONFIG + PCI_MEMORY_BASE, 0xfff00000, 4);
		mmio_write(m, PORT_CONFIG + PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
		mmio_write(m, config_at(NET) + PCI_BASE_ADDRESS_0, WINDOW + 40 * BAR_SIZE, 4);
		mmio_write(m, config_at(NET) + PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	}
}

static void do_anything(struct hammer *m, u64 *seed)
{
	unsigned d = random_of(seed) % DEVICES, len = 1U << random_of(seed) % 4;
	unsigned queues = virtio_type(m->v[d])->queues < 8 ? virtio_type(m->v[d])->queues : 8;
	u64 bar = bar_of(m, d), value = random_of(seed);

	switch (random_of(seed) % 23) {
	default: /* ten of them */
		for (unsigned i = random_of(seed) % 4 ? 1 : 30; i; i--)
			add_chain(m, d, (unsigned)(random_of(seed) % queues), seed);
		break;
	case 10:
		bring_up(m, d, seed);
		break;
	case 11:
		access_region(&m->sh, &m->sh.mmio, bar + AT_TABLE + random_of(seed) % 160, &value,
			      len, random_of(seed) & 1);
		break;
	case 12:
		switch_msix(m, d, seed);
		break;
	case 13:
		mmio_write(m, bar + random_of(seed) % BAR_SIZE, value, len);
		break;
	case 14:
		mmio_read(m, bar + random_of(seed) % BAR_SIZE, len);
		break;
	case 15:
		if (random_of(seed) % 8 == 0)
			mmio_write(m, config_at(d) + (random_of(seed) & 0xff), value, len & 7);
		break;
	case 16:
		if (random_of(seed) % 8 == 0)
			mmio_write(m, config_at(d) + 0x10, WINDOW + random_of(seed) % 32 * BAR_SIZE,
				   4);
		break;
	case 17:
		if (random_of(seed) % 8 == 0)
			mmio_write(m, config_at(d) + 4, random_of(seed) & 7, 2);
		break;
	case 18:
		if (random_of(seed) % 4 == 0)
			scribble_over_ram(m, seed);
		break;
	case 19:
		if (random_of(seed) % 4 == 0)
			mmio_write(m, bar + VIRTIO_PCI_COMMON_STATUS, 0, 1);
		break;
	case 20:
		access_ports(m, seed);
		break;
	case 21:
		mmio_read(m, ECAM + random_of(seed) % (BUSES * PCI_ECAM_SIZE), len);
		break;
	case 22:
		use_port(m, seed);
		break;
	}
}

static void *vcpu_main(void *arg)
{
	struct hammer_vcpu *c = arg;
	struct hammer *m = c->h;

	while (!__atomic_load_n(&m->ending, __ATOMIC_RELAXED)) {
		while (__atomic_load_n(&m->pausing, __ATOMIC_RELAXED))
			usleep(100);
		pthread_rwlock_rdlock(&m->running);
		do_anything(m, &c->seed);
		pthread_rwlock_unlock(&m->running);
	}
	return NULL;
}

/* Acts as the other end of the network. */
static void *peer_main(void *arg)
{
	struct hammer *m = arg;
	u8 frame[3000] = { 0 };
	u64 seed = 12345;

	while (!__atomic_load_n(&m->ending, __ATOMIC_RELAXED)) {
		if (send(m->peer, frame, 14 + random_of(&seed) % 2900, MSG_DONTWAIT) < 0)
			usleep(200);
		while (recv(m->peer, frame, sizeof(frame), MSG_DONTWAIT) > 0)
			;
	}
	return NULL;
}

/* --- what the main thread does ------------------------------------------------------------- */

static size_t on_output(void *arg, unsigned port, const u8 *buf, size_t len)
{
	struct hammer *m = arg;

	(void)port;
	(void)buf;
	return __atomic_add_fetch(&m->outputs, 1, __ATOMIC_RELAXED) % 5 ? len : len / 2;
}

static void on_room(void *arg, unsigned port)
{
	(void)arg;
	(void)port;
}

static void on_serial_output(void *arg, u8 byte)
{
	(void)arg;
	(void)byte;
}

static void on_serial_room(void *arg)
{
	(void)arg;
}

static void on_periodic(void *arg, u64 ns)
{
	(void)arg;
	(void)ns;
}

static void reset_bus(struct hammer *m)
{
	__atomic_store_n(&m->pausing, true, __ATOMIC_RELAXED);
	pthread_rwlock_wrlock(&m->running);
	serial_reset(m->serial);
	cmos_reset(m->cmos);
	pci_bus_reset(m->bus);
	pthread_rwlock_unlock(&m->running);
	__atomic_store_n(&m->pausing, false, __ATOMIC_RELAXED);
}

static void host_works(struct hammer *m, u64 *seed)
{
	const u8 text[20] = "hello world hello";
	struct blk_stats stats;

	virtio_blk_resize(m->blk, 512 * (64 + random_of(seed) % 128));
	virtio_blk_stats(m->blk, &stats);
	virtio_blk_size(m->blk);
	virtio_console_input(m->console, random_of(seed) & 1, text, sizeof(text));
	virtio_console_room(m->console, random_of(seed) & 1);
	virtio_console_is_open(m->console, 0);
	serial_input(m->serial, (const u8 *)"x", 1);
	cmos_tick(m->cmos);
	if (random_of(seed) % 50 == 0)
		reset_bus(m);
	usleep(500);
}

static void make_disk(struct hammer *m, bool aio_threads)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);
	char path[40];
	struct virtio_blk_params p = {
		.path = path,
		.id = "x",
		.queues = 2,
		.aio = aio_threads ? BLK_AIO_THREADS : BLK_AIO_URING,
	};
	struct err e;

	assert_int_equal(ftruncate(fd, 65536), 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	assert_int_equal(virtio_blk_create(&m->blk, &p, &e), 0);
	assert_int_equal(virtio_create(&m->v[DISK], &m->sh.host, virtio_blk_type(m->blk), m->blk),
			 0);
	virtio_blk_attach(m->blk, m->v[DISK]);
	close(fd);
}

static void make_others(struct hammer *m)
{
	struct virtio_console_params console = {
		.ports = 2,
		.names = { NULL, "p" },
		.output = on_output,
		.room = on_room,
		.arg = m,
	};
	struct net_backend net = { .fd = -1 };
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, pair), 0);
	net.fd = pair[0];
	m->peer = pair[1];
	assert_int_equal(virtio_net_create(&m->net, &net), 0);
	assert_int_equal(virtio_create(&m->v[NET], &m->sh.host, virtio_net_type(m->net), m->net),
			 0);
	virtio_net_attach(m->net, m->v[NET]);
	assert_int_equal(virtio_console_create(&m->console, &console), 0);
	assert_int_equal(virtio_create(&m->v[CONSOLE], &m->sh.host, virtio_console_type(m->console),
				       m->console),
			 0);
	virtio_console_attach(m->console, m->v[CONSOLE]);
	assert_int_equal(virtio_rng_create(&m->rng), 0);
	assert_int_equal(virtio_create(&m->v[RNG], &m->sh.host, virtio_rng_type(), m->rng), 0);
	virtio_rng_attach(m->rng, m->v[RNG]);
}

static void make_machine(struct hammer *m, bool aio_threads)
{
	const struct serial_config serial = {
		.port = SERIAL,
		.gsi = 4,
		.output = on_serial_output,
		.room = on_serial_room,
	};
	const struct cmos_config cmos = {
		.gsi = 8,
		.cpus = 1,
		.low = 1U << 28,
		.periodic = on_periodic,
	};
	const struct pci_port_config port = { .slot = NET + 1 };
	struct pci_bus *behind;

	memset(m, 0, sizeof(*m));
	shared_host_init(&m->sh);
	pthread_rwlock_init(&m->running, NULL);
	assert_int_equal(pci_bus_create(&m->bus, &m->sh.host, WINDOW, WINDOW_END), 0);
	assert_int_equal(pci_bus_map_ecam(m->bus, ECAM, BUSES), 0);
	assert_int_equal(pci_port_create(&behind, m->bus, &port), 0);
	make_disk(m, aio_threads);
	make_others(m);
	for (unsigned d = 0; d < DEVICES; d++)
		assert_int_equal(virtio_pci_create(&m->pci[d], &m->sh.host,
						   d == NET ? behind : m->bus, m->v[d]),
				 0);
	assert_int_equal(serial_create(&m->serial, &m->sh.host, &serial), 0);
	assert_int_equal(cmos_create(&m->cmos, &m->sh.host, &cmos), 0);
}

static void end_machine(struct hammer *m)
{
	for (unsigned d = 0; d < DEVICES; d++)
		virtio_pci_destroy(m->pci[d]);
	virtio_blk_destroy(m->blk);
	virtio_net_destroy(m->net);
	virtio_console_destroy(m->console);
	virtio_rng_destroy(m->rng);
	serial_destroy(m->serial);
	cmos_destroy(m->cmos);
	pci_bus_destroy(m->bus);
	close(m->peer);
	shared_host_fini(&m->sh);
}

static void hammer_bus(bool aio_threads)
{
	static struct hammer m;
	struct hammer_vcpu cpus[VCPUS];
	struct blk_stats stats;
	pthread_t peer;
	u64 seed = (u64)now_ns() | 1;
	s64 end;

	make_machine(&m, aio_threads);
	print_message("# seed %llu\n", (unsigned long long)seed);
	assert_int_equal(pthread_create(&peer, NULL, peer_main, &m), 0);
	for (unsigned i = 0; i < VCPUS; i++) {
		cpus[i] = (struct hammer_vcpu){ .h = &m, .seed = seed * (2 * i + 3) };
		assert_int_equal(pthread_create(&cpus[i].thread, NULL, vcpu_main, &cpus[i]), 0);
	}
	for (end = now_ms() + LIFE_MS; now_ms() < end;)
		host_works(&m, &seed);
	__atomic_store_n(&m.ending, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < VCPUS; i++)
		pthread_join(cpus[i].thread, NULL);
	pthread_join(peer, NULL);
	virtio_blk_stats(m.blk, &stats);
	print_message("# starts %lu, chains for a running device %lu, reads %llu, writes %llu\n",
		      m.started, m.kicked, (unsigned long long)stats.of[BLK_KIND_READ].done,
		      (unsigned long long)stats.of[BLK_KIND_WRITE].done);
	/* Otherwise nothing was tried. */
	assert_true(m.started > 10 && m.kicked > 100);
	assert_true(stats.of[BLK_KIND_READ].done && stats.of[BLK_KIND_WRITE].done);
	end_machine(&m);
}

static void test_anything_at_once_with_io_uring(void **state)
{
	(void)state;
	hammer_bus(false);
}

static void test_anything_at_once_with_threads(void **state)
{
	(void)state;
	hammer_bus(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_anything_at_once_with_io_uring),
		cmocka_unit_test(test_anything_at_once_with_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
