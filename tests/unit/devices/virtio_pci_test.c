// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests virtio over PCI as a driver sees it: configuration space, BARs, capabilities, negotiation,
 * queue registers, MSI-X, resets. The device type only counts what happens to it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <linux/virtio_ring.h>

#include "devices/msix.h"
#include "devices/virtio_pci.h"
#include "tests/unit/devices/fake_host.h"

#define SLOT	 1
#define BAR	 FAKE_WINDOW
#define ISR	 (BAR + 0x1000)
#define DEVICE	 (BAR + 0x2000)
#define NOTIFY	 (BAR + 0x3000)
#define MSIX_TAB (BAR + 0x4000)
#define MSIX_PBA (BAR + 0x5000)
#define QUEUES	 2
#define OFFERED	 (1ULL << 5 | 1ULL << 40)

struct ctx {
	struct fake_host f;
	struct pci_bus *bus;
	struct virtio *v;
	struct virtio_pci *p;
	struct virtio_type type;
	int starts, stops, start_result;
	u64 features;
	u8 config[8];
};

static int on_start(void *arg, u64 features)
{
	struct ctx *t = arg;

	t->starts++;
	t->features = features;
	return t->start_result;
}

static void on_stop(void *arg)
{
	struct ctx *t = arg;

	t->stops++;
}

static void on_config(void *arg, u32 offset, void *data, unsigned len, bool write)
{
	struct ctx *t = arg;

	for (unsigned i = 0; i < len && offset + i < sizeof(t->config); i++) {
		if (write)
			t->config[offset + i] = ((u8 *)data)[i];
		else
			((u8 *)data)[i] = t->config[offset + i];
	}
}

static int setup(void **state)
{
	struct ctx *t = fake_host_alloc(sizeof(*t));

	assert_non_null(t);
	t->type = (struct virtio_type){
		.id = 2,
		.class = 0x010000,
		.features = OFFERED,
		.queues = QUEUES,
		.queue_size = 64,
		.start = on_start,
		.stop = on_stop,
		.config = on_config,
	};
	assert_int_equal(pci_bus_create(&t->bus, &t->f.host, FAKE_WINDOW, FAKE_WIN_END), 0);
	assert_int_equal(virtio_create(&t->v, &t->f.host, &t->type, t), 0);
	assert_int_equal(virtio_pci_create(&t->p, &t->f.host, t->bus, t->v), 0);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *t = *state;

	virtio_pci_destroy(t->p);
	pci_bus_destroy(t->bus);
	assert_int_equal(t->starts - (t->start_result ? t->starts : 0), t->stops);
	free(t);
	return 0;
}

static u32 reg_read(struct ctx *t, unsigned reg, unsigned len)
{
	return (u32)fake_read(&t->f, BAR + reg, len);
}

static void reg_write(struct ctx *t, unsigned reg, u64 value, unsigned len)
{
	fake_write(&t->f, BAR + reg, value, len);
}

static void set_features(struct ctx *t, u64 features)
{
	for (u32 i = 0; i < 2; i++) {
		reg_write(t, VIRTIO_PCI_COMMON_GFSELECT, i, 4);
		reg_write(t, VIRTIO_PCI_COMMON_GF, (u32)(features >> 32 * i), 4);
	}
}

static u8 read_status(struct ctx *t)
{
	return (u8)reg_read(t, VIRTIO_PCI_COMMON_STATUS, 1);
}

static void negotiate(struct ctx *t, u64 features)
{
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	set_features(t, features);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0xb, 1);
}

static void set_queue(struct ctx *t, u16 index, u64 desc)
{
	reg_write(t, VIRTIO_PCI_COMMON_Q_SELECT, index, 2);
	reg_write(t, VIRTIO_PCI_COMMON_Q_DESCLO, (u32)desc, 4);
	reg_write(t, VIRTIO_PCI_COMMON_Q_DESCHI, desc >> 32, 4);
	reg_write(t, VIRTIO_PCI_COMMON_Q_AVAILLO, 0x2000, 8);
	reg_write(t, VIRTIO_PCI_COMMON_Q_USEDLO, 0x3000, 8);
	reg_write(t, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
}

#define V1 (1ULL << VIRTIO_F_VERSION_1)

static void test_identity(void **state)
{
	struct ctx *t = *state;

	assert_int_equal(fake_config_read(&t->f, SLOT, 0, 4), 0x10421af4);
	assert_int_equal(fake_config_read(&t->f, SLOT, PCI_CLASS_REVISION, 4), 0x01000001);
	assert_int_equal(fake_config_read(&t->f, 0, PCI_CLASS_DEVICE, 2), 0x0600);
	assert_true(fake_config_read(&t->f, SLOT, PCI_STATUS, 2) & PCI_STATUS_CAP_LIST);
	/* Absent: another slot, another function, another bus, no enable bit. */
	assert_int_equal(fake_config_read(&t->f, 9, 0, 4), 0xffffffff);
	fake_out(&t->f, 0xcf8, 0x80000000U | SLOT << 11 | 1 << 8, 4);
	assert_int_equal(fake_in(&t->f, 0xcfc, 4), 0xffffffff);
	fake_out(&t->f, 0xcf8, 0x80010000U | SLOT << 11, 4);
	assert_int_equal(fake_in(&t->f, 0xcfc, 4), 0xffffffff);
	fake_out(&t->f, 0xcf8, SLOT << 11, 4);
	assert_int_equal(fake_in(&t->f, 0xcfc, 4), 0xffffffff);
	/* The address register reads back; bytes and words at the data port. */
	fake_out(&t->f, 0xcf8, 0x80000000U | SLOT << 11, 4);
	assert_int_equal(fake_in(&t->f, 0xcf8, 4), 0x80000000U | SLOT << 11);
	assert_int_equal(fake_in(&t->f, 0xcfe, 2), 0x1042);
	assert_int_equal(fake_in(&t->f, 0xcfd, 1), 0x1a);
	/* Across the end of the data port: nothing. */
	assert_int_equal(fake_in(&t->f, 0xcff, 4), 0xffffffff);
}

/*
 * The same space by memory: whole accesses within a function's 256 bytes, everything else is
 * absent.
 */
static void test_ecam(void **state)
{
	struct ctx *t = *state;
	u64 base = FAKE_ECAM + (SLOT << 15);

	assert_int_equal(pci_bus_map_ecam(t->bus, FAKE_ECAM, 1), 0);
	assert_int_equal(fake_read(&t->f, base, 4), 0x10421af4);
	assert_int_equal(fake_read(&t->f, base + 2, 2), 0x1042);
	assert_int_equal(fake_read(&t->f, base + 1, 1), 0x1a);
	assert_int_equal(fake_read(&t->f, base, 8), ~0ULL);
	assert_int_equal(fake_read(&t->f, base + 0xfe, 4), 0xffffffff);
	assert_int_equal(fake_read(&t->f, base + 0x100, 4), 0xffffffff);
	assert_int_equal(fake_read(&t->f, base + 0xffc, 4), 0xffffffff);
	assert_int_equal(fake_read(&t->f, base + (1 << 12), 4), 0xffffffff);	  /* a function */
	assert_int_equal(fake_read(&t->f, FAKE_ECAM + (9 << 15), 4), 0xffffffff); /* a slot */
	assert_int_equal(fake_read(&t->f, FAKE_ECAM + PCI_ECAM_SIZE - 4, 4), 0xffffffff);
	fake_write(&t->f, base + 0x100, 0, 4);
	/* A write moves the BAR, from inside an access to memory. */
	fake_write(&t->f, base + PCI_BASE_ADDRESS_0, FAKE_WINDOW + 0x20000, 4);
	assert_int_equal(fake_config_read(&t->f, SLOT, PCI_BASE_ADDRESS_0, 4),
			 FAKE_WINDOW + 0x20000);
	assert_int_equal(fake_read(&t->f, FAKE_WINDOW + 0x20000 + VIRTIO_PCI_COMMON_NUMQ, 2),
			 QUEUES);
}

static void test_capabilities(void **state)
{
	struct ctx *t = *state;
	unsigned at = fake_config_read(&t->f, SLOT, PCI_CAPABILITY_LIST, 1), seen = 0;

	for (unsigned steps = 0; at; steps++) {
		unsigned id = fake_config_read(&t->f, SLOT, at, 1);
		unsigned type = fake_config_read(&t->f, SLOT, at + 3, 1);

		assert_true(steps < 10);
		assert_int_equal(at % 4, 0);
		if (id == PCI_CAP_ID_MSIX) {
			assert_int_equal(fake_config_read(&t->f, SLOT, at + 2, 2), QUEUES);
			seen |= 1;
		} else {
			u32 offset = fake_config_read(&t->f, SLOT, at + 8, 4);
			u32 length = fake_config_read(&t->f, SLOT, at + 12, 4);

			assert_int_equal(id, PCI_CAP_ID_VNDR);
			assert_in_range(type, 1, 5);
			assert_int_equal(offset % 4, 0);
			assert_true(offset + length <= 0x8000);
			assert_int_equal(fake_config_read(&t->f, SLOT, at + 2, 1),
					 type == 2 || type == 5 ? 20 : 16);
			seen |= 1U << type;
		}
		at = fake_config_read(&t->f, SLOT, at + 1, 1);
	}
	assert_int_equal(seen, 0x3f);
}

static void test_bar(void **state)
{
	struct ctx *t = *state;

	assert_int_equal(t->f.n_mmio, 1);
	fake_config_write(&t->f, SLOT, PCI_BASE_ADDRESS_0, 0xffffffff, 4);
	assert_int_equal(fake_config_read(&t->f, SLOT, PCI_BASE_ADDRESS_0, 4), 0xffff8000);
	assert_int_equal(t->f.n_mmio, 0); /* outside the window: not decoded */
	fake_config_write(&t->f, SLOT, PCI_BASE_ADDRESS_0, 0x1000, 4); /* RAM */
	assert_int_equal(t->f.n_mmio, 0);
	fake_config_write(&t->f, SLOT, PCI_BASE_ADDRESS_0, FAKE_WINDOW + 0x10000, 4);
	assert_int_equal(t->f.n_mmio, 1);
	assert_int_equal(t->f.mmio[0].at, FAKE_WINDOW + 0x10000);
	fake_config_write(&t->f, SLOT, PCI_COMMAND, 0, 2);
	assert_int_equal(t->f.n_mmio, 0);
	fake_config_write(&t->f, SLOT, PCI_COMMAND, PCI_COMMAND_MEMORY, 2);
	assert_int_equal(t->f.n_mmio, 1);
	/* Read-only registers stay. */
	fake_config_write(&t->f, SLOT, 0, 0, 4);
	assert_int_equal(fake_config_read(&t->f, SLOT, 0, 4), 0x10421af4);
}

static void test_ioeventfds_follow(void **state)
{
	struct ctx *t = *state;

	negotiate(t, V1);
	set_queue(t, 0, 0x1000);
	assert_int_equal(t->f.ioeventfds, 1);
	assert_int_equal(t->f.ioeventfd_at, NOTIFY);
	fake_config_write(&t->f, SLOT, PCI_BASE_ADDRESS_0, FAKE_WINDOW + 0x10000, 4);
	assert_int_equal(t->f.ioeventfds, 1);
	assert_int_equal(t->f.ioeventfd_at, FAKE_WINDOW + 0x13000);
	fake_config_write(&t->f, SLOT, PCI_COMMAND, 0, 2);
	assert_int_equal(t->f.ioeventfds, 0);
}

static void test_features(void **state)
{
	struct ctx *t = *state;
	u64 offered;

	reg_write(t, VIRTIO_PCI_COMMON_DFSELECT, 0, 4);
	offered = reg_read(t, VIRTIO_PCI_COMMON_DF, 4);
	reg_write(t, VIRTIO_PCI_COMMON_DFSELECT, 1, 4);
	offered |= (u64)reg_read(t, VIRTIO_PCI_COMMON_DF, 4) << 32;
	assert_int_equal(offered, OFFERED | V1 | 1ULL << VIRTIO_RING_F_EVENT_IDX |
					  1ULL << VIRTIO_RING_F_INDIRECT_DESC);
	reg_write(t, VIRTIO_PCI_COMMON_DFSELECT, 2, 4);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_DF, 4), 0);
	/* Not offered, or without VERSION_1: FEATURES_OK does not stick, nor does DRIVER_OK. */
	negotiate(t, V1 | 1ULL << 7);
	assert_int_equal(read_status(t), 3);
	negotiate(t, OFFERED);
	assert_int_equal(read_status(t), 3);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
	assert_int_equal(read_status(t), 3);
	assert_int_equal(t->starts, 0);
	negotiate(t, V1);
	assert_int_equal(read_status(t), 0xb);
	/* Fixed now. */
	set_features(t, OFFERED | V1);
	reg_write(t, VIRTIO_PCI_COMMON_GFSELECT, 0, 4);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_GF, 4), 0);
	/* Bits cannot be taken back but by a reset. */
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	assert_int_equal(read_status(t), 0xb);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
	assert_int_equal(read_status(t), 0xf);
	assert_int_equal(t->starts, 1);
	assert_int_equal(t->features, V1);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	assert_int_equal(read_status(t), 0);
	assert_int_equal(t->stops, 1);
	/* NEEDS_RESET is not the driver's to set. */
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0x40, 1);
	assert_int_equal(read_status(t), 0);
}

static void test_start_fails(void **state)
{
	struct ctx *t = *state;

	t->start_result = -EIO;
	negotiate(t, V1);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
	assert_true(read_status(t) & VIRTIO_CONFIG_S_NEEDS_RESET);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	assert_int_equal(read_status(t), 0);
	assert_int_equal(t->stops, 0);
}

static void test_queue_registers(void **state)
{
	struct ctx *t = *state;
	static const u16 bad_sizes[] = { 0, 3, 128, 0xffff };

	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_NUMQ, 2), QUEUES);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_SIZE, 2), 64);
	for (size_t i = 0; i < ARRAY_SIZE(bad_sizes); i++) {
		reg_write(t, VIRTIO_PCI_COMMON_Q_SIZE, bad_sizes[i], 2);
		assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_SIZE, 2), 64);
	}
	reg_write(t, VIRTIO_PCI_COMMON_Q_SIZE, 16, 2);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_SIZE, 2), 16);
	/* A queue that does not exist: zeros, and writes go nowhere. */
	reg_write(t, VIRTIO_PCI_COMMON_Q_SELECT, QUEUES, 2);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_SIZE, 2), 0);
	reg_write(t, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	reg_write(t, VIRTIO_PCI_COMMON_Q_DESCLO, 0x1000, 4);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0);
	reg_write(t, VIRTIO_PCI_COMMON_Q_SELECT, 0xffff, 2);
	reg_write(t, VIRTIO_PCI_COMMON_Q_MSIX, 0, 2);
	/* Enabled: everything but the vector is fixed. */
	negotiate(t, V1);
	set_queue(t, 0, 0x1000);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	reg_write(t, VIRTIO_PCI_COMMON_Q_ENABLE, 0, 2);
	reg_write(t, VIRTIO_PCI_COMMON_Q_SIZE, 8, 2);
	reg_write(t, VIRTIO_PCI_COMMON_Q_DESCLO, 0x5000, 4);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 1);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_SIZE, 2), 16);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_DESCLO, 4), 0x1000);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_NOFF, 2), 0);
	assert_int_equal(read_status(t), 0xb);
}

static void test_bad_rings(void **state)
{
	struct ctx *t = *state;
	static const u64 bad[] = { 0x1008, FAKE_RAM, FAKE_RAM - 16, UINT64_MAX - 15, FAKE_WINDOW };

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		negotiate(t, V1);
		set_queue(t, 0, bad[i]);
		assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
		assert_true(read_status(t) & VIRTIO_CONFIG_S_NEEDS_RESET);
		reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
		assert_int_equal(t->starts, 0);
		reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	}
}

static void test_odd_accesses(void **state)
{
	struct ctx *t = *state;

	/* A write that is no register's width, or lies between two, changes nothing. */
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0x0101, 2);
	reg_write(t, VIRTIO_PCI_COMMON_Q_SIZE + 1, 0xff, 1);
	reg_write(t, VIRTIO_PCI_COMMON_MSIX, 0, 1);
	assert_int_equal(read_status(t), 0);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_MSIX, 2), 0xffff);
	/* Reads of any width see the same bytes. */
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_MSIX, 4), 0xffffU | QUEUES << 16);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_NUMQ + 1, 1), 0);
	/* Behind the last register, between the areas, across a border. */
	assert_int_equal(reg_read(t, 0x100, 4), 0);
	assert_int_equal(reg_read(t, 0x7000, 4), 0);
	assert_int_equal(reg_read(t, 0x0ffe, 4), 0xffffffff);
	reg_write(t, 0x0ffe, 0, 4);
	reg_write(t, 0x7ff8, 0, 8);
	for (unsigned reg = 0; reg < 0x8000; reg++) {
		for (unsigned len = 1; len <= 8; len *= 2)
			fake_read(&t->f, BAR + reg, len);
	}
}

static void test_notify(void **state)
{
	struct ctx *t = *state;
	u64 n;

	negotiate(t, V1);
	set_queue(t, 1, 0x1000);
	fake_write(&t->f, NOTIFY + 4, 1, 2); /* before DRIVER_OK */
	assert_int_equal(read(virtio_kick(t->v, 1), &n, 8), -1);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
	fake_write(&t->f, NOTIFY + 4, 1, 2);
	fake_write(&t->f, NOTIFY + 4, 0x00070001, 4);
	fake_write(&t->f, NOTIFY + 5, 0, 1);
	fake_write(&t->f, NOTIFY + 0, 0, 2); /* never enabled */
	fake_write(&t->f, NOTIFY + 8, 2, 2); /* does not exist */
	fake_write(&t->f, NOTIFY + 0xffc, 2, 2);
	assert_int_equal(read(virtio_kick(t->v, 1), &n, 8), 8);
	assert_int_equal(n, 2);
	/* Too late for another queue: the device works on those that it started with. */
	set_queue(t, 0, 0x1000);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_ENABLE, 2), 0);
	assert_int_equal(read_status(t), 0xf);
}

static unsigned msix_cap(struct ctx *t)
{
	unsigned at = fake_config_read(&t->f, SLOT, PCI_CAPABILITY_LIST, 1);

	while (fake_config_read(&t->f, SLOT, at, 1) != PCI_CAP_ID_MSIX)
		at = fake_config_read(&t->f, SLOT, at + 1, 1);
	return at;
}

/* The device has used a buffer and says so: without one there is nothing to say. */
static void use_one(struct ctx *t)
{
	virtqueue_push(virtio_queue(t->v, 0), 0, 0);
	virtio_queue_done(t->v, 0);
}

static void test_interrupts(void **state)
{
	struct ctx *t = *state;
	unsigned cap = msix_cap(t);

	negotiate(t, V1);
	set_queue(t, 0, 0x1000);
	reg_write(t, VIRTIO_PCI_COMMON_Q_MSIX, QUEUES + 1, 2);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_MSIX, 2), 0xffff);
	reg_write(t, VIRTIO_PCI_COMMON_Q_MSIX, 1, 2);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_Q_MSIX, 2), 1);
	reg_write(t, VIRTIO_PCI_COMMON_MSIX, 0, 2);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
	/* MSI-X off: only the ISR register, cleared by reading. */
	use_one(t);
	assert_int_equal(fake_read(&t->f, ISR, 1), 1);
	assert_int_equal(fake_read(&t->f, ISR, 1), 0);
	virtio_config_changed(t->v);
	assert_int_equal(fake_read(&t->f, ISR, 1), 2);
	assert_int_equal(t->f.n_vectors, 0);
	/* A reset clears it as well. */
	use_one(t);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	assert_int_equal(fake_read(&t->f, ISR, 1), 0);
	negotiate(t, V1);
	set_queue(t, 0, 0x1000);
	reg_write(t, VIRTIO_PCI_COMMON_Q_MSIX, 1, 2);
	reg_write(t, VIRTIO_PCI_COMMON_MSIX, 0, 2);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);

	fake_config_write(&t->f, SLOT, cap + 2, MSIX_CTRL_ENABLE, 2);
	fake_write(&t->f, MSIX_TAB + 16, 0xfee01004, 4);
	fake_write(&t->f, MSIX_TAB + 24, 0x4041, 4);
	use_one(t); /* masked: pending */
	assert_int_equal(fake_read(&t->f, MSIX_PBA, 8), 2);
	fake_write(&t->f, MSIX_TAB + 28, 0, 4);
	assert_int_equal(t->f.n_vectors, 1);
	assert_int_equal(t->f.sent[0], 1);
	assert_int_equal(t->f.msi_addr[0], 0xfee01004);
	assert_int_equal(t->f.msi_data[0], 0x4041);
	assert_int_equal(fake_read(&t->f, MSIX_PBA, 8), 0);
	/* Changed while live. */
	fake_write(&t->f, MSIX_TAB + 24, 0x4042, 4);
	use_one(t);
	assert_int_equal(t->f.sent[0], 2);
	assert_int_equal(t->f.msi_data[0], 0x4042);
	/* The mask of the function. */
	fake_config_write(&t->f, SLOT, cap + 2, MSIX_CTRL_ENABLE | MSIX_CTRL_MASK, 2);
	use_one(t);
	assert_int_equal(t->f.sent[0], 2);
	fake_config_write(&t->f, SLOT, cap + 2, MSIX_CTRL_ENABLE, 2);
	assert_int_equal(t->f.sent[0], 3);
	/* A vector that is no vector. */
	reg_write(t, VIRTIO_PCI_COMMON_Q_MSIX, 0xffff, 2);
	use_one(t);
	assert_int_equal(t->f.sent[0], 3);
	/* The table: reserved bits, the entries' end, odd widths. */
	fake_write(&t->f, MSIX_TAB + 28, 0xfffffffe, 4);
	assert_int_equal(fake_read(&t->f, MSIX_TAB + 28, 4), 0);
	assert_int_equal(fake_read(&t->f, MSIX_TAB + 16ULL * (QUEUES + 1), 4), 0);
	fake_write(&t->f, MSIX_TAB + 16, 0x1122334455667788, 8);
	assert_int_equal(fake_read(&t->f, MSIX_TAB + 16, 8), 0x1122334455667788);
	fake_write(&t->f, MSIX_TAB + 16, 0, 2);
	assert_int_equal(fake_read(&t->f, MSIX_TAB + 20, 4), 0x11223344);
}

static void test_needs_reset_interrupts(void **state)
{
	struct ctx *t = *state;
	u8 generation = (u8)reg_read(t, VIRTIO_PCI_COMMON_CFGGENERATION, 1);

	virtio_needs_reset(t->v);
	assert_int_equal(fake_read(&t->f, ISR, 1), 0); /* before DRIVER_OK: silently */
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	negotiate(t, V1);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
	virtio_needs_reset(t->v);
	virtio_needs_reset(t->v);
	assert_int_equal(read_status(t), 0x4f);
	assert_int_equal(fake_read(&t->f, ISR, 1), 2);
	assert_int_equal((u8)reg_read(t, VIRTIO_PCI_COMMON_CFGGENERATION, 1), (u8)(generation + 1));
}

static void test_config_window(void **state)
{
	struct ctx *t = *state;
	unsigned at = fake_config_read(&t->f, SLOT, PCI_CAPABILITY_LIST, 1);

	while (fake_config_read(&t->f, SLOT, at + 3, 1) != VIRTIO_PCI_CAP_PCI_CFG)
		at = fake_config_read(&t->f, SLOT, at + 1, 1);
	fake_config_write(&t->f, SLOT, at + 8, VIRTIO_PCI_COMMON_NUMQ, 4);
	fake_config_write(&t->f, SLOT, at + 12, 2, 4);
	assert_int_equal(fake_config_read(&t->f, SLOT, at + 16, 2), QUEUES);
	fake_config_write(&t->f, SLOT, at + 8, VIRTIO_PCI_COMMON_STATUS, 4);
	fake_config_write(&t->f, SLOT, at + 12, 1, 4);
	fake_config_write(&t->f, SLOT, at + 16, 3, 1);
	assert_int_equal(read_status(t), 3);
	/* Lengths, alignments, offsets and BARs that are none: all ones, and no effect. */
	fake_config_write(&t->f, SLOT, at + 12, 3, 4);
	assert_int_equal(fake_config_read(&t->f, SLOT, at + 16, 4), 0xffffffff);
	fake_config_write(&t->f, SLOT, at + 12, 4, 4);
	fake_config_write(&t->f, SLOT, at + 8, 0x7ffe, 4);
	assert_int_equal(fake_config_read(&t->f, SLOT, at + 16, 4), 0xffffffff);
	fake_config_write(&t->f, SLOT, at + 8, 0xfffffffc, 4);
	assert_int_equal(fake_config_read(&t->f, SLOT, at + 16, 4), 0xffffffff);
	fake_config_write(&t->f, SLOT, at + 8, 0, 4);
	fake_config_write(&t->f, SLOT, at + 4, 1, 1);
	assert_int_equal(fake_config_read(&t->f, SLOT, at + 16, 4), 0xffffffff);
}

static void test_reset_storm(void **state)
{
	struct ctx *t = *state;

	for (unsigned i = 0; i < 1000; i++) {
		negotiate(t, V1);
		set_queue(t, (u16)(i % QUEUES), 0x1000);
		reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
		reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
	}
	assert_int_equal(t->starts, 1000);
	assert_int_equal(t->stops, 1000);
	assert_int_equal(t->f.ioeventfds, QUEUES);
}

static void test_chip_set_reset(void **state)
{
	struct ctx *t = *state;

	fake_out(&t->f, 0xcf9, 2, 1);
	assert_int_equal(t->f.power_calls, 0);
	fake_out(&t->f, 0xcf9, 6, 1);
	assert_int_equal(t->f.power_calls, 1);
	assert_int_equal(t->f.power, HOST_RESET);
}

/* The bus is reset in the middle of all that a driver can have set up. */
static void test_bus_reset(void **state)
{
	struct ctx *t = *state;

	negotiate(t, V1);
	set_queue(t, 0, 0x1000);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
	fake_write(&t->f, MSIX_TAB, 0xfee00000, 4);
	fake_write(&t->f, MSIX_TAB + 12, 0, 4);
	fake_config_write(&t->f, SLOT, msix_cap(t) + PCI_MSIX_FLAGS, MSIX_CTRL_ENABLE, 2);
	fake_config_write(&t->f, SLOT, PCI_INTERRUPT_LINE, 7, 1);
	fake_config_write(&t->f, SLOT, PCI_BASE_ADDRESS_0, BAR + 0x10000, 4);
	assert_int_equal(t->starts, 1);
	pci_bus_reset(t->bus);
	assert_int_equal(t->stops, 1);
	assert_int_equal(fake_config_read(&t->f, SLOT, PCI_BASE_ADDRESS_0, 4), BAR);
	assert_int_equal(fake_config_read(&t->f, SLOT, PCI_COMMAND, 2), PCI_COMMAND_MEMORY);
	assert_int_equal(fake_config_read(&t->f, SLOT, PCI_INTERRUPT_LINE, 1), 0);
	assert_int_equal(fake_config_read(&t->f, SLOT, msix_cap(t) + PCI_MSIX_FLAGS, 2) &
				 MSIX_CTRL_ENABLE,
			 0);
	assert_int_equal(reg_read(t, VIRTIO_PCI_COMMON_STATUS, 1), 0);
	assert_int_equal(fake_read(&t->f, MSIX_TAB, 4), 0);
	assert_int_equal(fake_read(&t->f, MSIX_TAB + 12, 4), 1);
	/* And all of it works again. */
	negotiate(t, V1);
	set_queue(t, 0, 0x1000);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
	assert_int_equal(t->starts, 2);
	reg_write(t, VIRTIO_PCI_COMMON_STATUS, 0, 1);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_identity),
		TEST(test_ecam),
		TEST(test_capabilities),
		TEST(test_bar),
		TEST(test_ioeventfds_follow),
		TEST(test_features),
		TEST(test_start_fails),
		TEST(test_queue_registers),
		TEST(test_bad_rings),
		TEST(test_odd_accesses),
		TEST(test_notify),
		TEST(test_interrupts),
		TEST(test_needs_reset_interrupts),
		TEST(test_config_window),
		TEST(test_reset_storm),
		TEST(test_chip_set_reset),
		TEST(test_bus_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
