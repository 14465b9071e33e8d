// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests what drivers rely on beyond one device and one access: two functions on one bus, registers
 * in every width, one vector for several queues, configuration that changes while it is read. The
 * list of all that is tests/unit/devices/virtio-contract.txt.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <linux/pci_regs.h>
#include <linux/virtio_config.h>
#include <linux/virtio_pci.h>
#include <pthread.h>

#include "devices/msix.h"
#include "devices/virtio_pci.h"
#include "tests/unit/devices/fake_host.h"

#define BAR_SIZE 0x8000U
#define DEVICE	 0x2000U
#define NOTIFY	 0x3000U
#define MSIX_TAB 0x4000U
#define MSIX_PBA 0x5000U
#define QUEUES	 3

struct function {
	struct virtio *v;
	struct virtio_pci *p;
	struct virtio_type type;
	u64 config; /* as two halves, which somebody may see differ */
	u64 bar;
	unsigned slot;
};

struct ctx {
	struct fake_host f;
	struct pci_bus *bus;
	struct function fn[2];
	bool stop;
	u64 updates; /* atomic; of the first function's configuration */
};

static int on_start(void *arg, u64 features)
{
	(void)arg;
	(void)features;
	return 0;
}

static void on_stop(void *arg)
{
	(void)arg;
}

static void on_config(void *arg, u32 offset, void *data, unsigned len, bool write)
{
	struct function *fn = arg;
	u64 word = __atomic_load_n(&fn->config, __ATOMIC_RELAXED);

	if (!write && offset + len <= 8)
		memcpy(data, (u8 *)&word + offset, len);
}

static int setup(void **state)
{
	struct ctx *t = fake_host_alloc(sizeof(*t));

	assert_non_null(t);
	assert_int_equal(pci_bus_create(&t->bus, &t->f.host, FAKE_WINDOW, FAKE_WIN_END), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct function *fn = &t->fn[i];

		fn->type = (struct virtio_type){
			.id = 2,
			.class = 0x010000,
			.queues = QUEUES,
			.queue_size = 64,
			.start = on_start,
			.stop = on_stop,
			.config = on_config,
		};
		fn->bar = FAKE_WINDOW + i * BAR_SIZE;
		assert_int_equal(virtio_create(&fn->v, &t->f.host, &fn->type, fn), 0);
		assert_int_equal(virtio_pci_create(&fn->p, &t->f.host, t->bus, fn->v), 0);
		fn->slot = virtio_pci_slot(fn->p);
	}
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *t = *state;

	for (unsigned i = 0; i < 2; i++)
		virtio_pci_destroy(t->fn[i].p);
	pci_bus_destroy(t->bus);
	free(t);
	return 0;
}

static u64 reg_read(struct ctx *t, unsigned fn, unsigned reg, unsigned len)
{
	return fake_read(&t->f, t->fn[fn].bar + reg, len);
}

static void reg_write(struct ctx *t, unsigned fn, unsigned reg, u64 value, unsigned len)
{
	fake_write(&t->f, t->fn[fn].bar + reg, value, len);
}

/* Brings the device up as far as DRIVER_OK, with all queues. */
static void bring_up(struct ctx *t, unsigned fn)
{
	reg_write(t, fn, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	reg_write(t, fn, VIRTIO_PCI_COMMON_GFSELECT, 1, 4);
	reg_write(t, fn, VIRTIO_PCI_COMMON_GF, 1, 4);
	reg_write(t, fn, VIRTIO_PCI_COMMON_STATUS, 0xb, 1);
	for (unsigned i = 0; i < QUEUES; i++) {
		reg_write(t, fn, VIRTIO_PCI_COMMON_Q_SELECT, i, 2);
		reg_write(t, fn, VIRTIO_PCI_COMMON_Q_DESCLO, 0x1000 * (3 * i + 1), 8);
		reg_write(t, fn, VIRTIO_PCI_COMMON_Q_AVAILLO, 0x1000 * (3 * i + 2), 8);
		reg_write(t, fn, VIRTIO_PCI_COMMON_Q_USEDLO, 0x1000 * (3 * i + 3), 8);
		reg_write(t, fn, VIRTIO_PCI_COMMON_Q_ENABLE, 1, 2);
	}
	reg_write(t, fn, VIRTIO_PCI_COMMON_STATUS, 0xf, 1);
	assert_int_equal(reg_read(t, fn, VIRTIO_PCI_COMMON_STATUS, 1), 0xf);
}

static void test_wide_registers(void **state)
{
	struct ctx *t = *state;
	static const unsigned regs[] = { VIRTIO_PCI_COMMON_Q_DESCLO, VIRTIO_PCI_COMMON_Q_AVAILLO,
					 VIRTIO_PCI_COMMON_Q_USEDLO };
	const u64 a = 0x1122334455667788, b = 0x99aabbccddeeff00;

	for (size_t i = 0; i < ARRAY_SIZE(regs); i++) {
		/* Whole, in halves upwards, in halves downwards. */
		reg_write(t, 0, regs[i], a, 8);
		assert_true(reg_read(t, 0, regs[i], 8) == a);
		reg_write(t, 0, regs[i], (u32)b, 4);
		assert_true(reg_read(t, 0, regs[i], 8) == ((a >> 32 << 32) | (u32)b));
		reg_write(t, 0, regs[i] + 4, b >> 32, 4);
		assert_true(reg_read(t, 0, regs[i], 8) == b);
		reg_write(t, 0, regs[i] + 4, a >> 32, 4);
		reg_write(t, 0, regs[i], (u32)a, 4);
		assert_true(reg_read(t, 0, regs[i], 8) == a);
		/* Parts of a register, and what lies across two: nothing. */
		reg_write(t, 0, regs[i], 0, 2);
		reg_write(t, 0, regs[i] + 1, 0, 1);
		reg_write(t, 0, regs[i] + 2, 0, 4);
		assert_true(reg_read(t, 0, regs[i], 8) == a);
		/* Reads of parts see parts. */
		for (unsigned len = 1; len <= 8; len *= 2)
			for (unsigned at = 0; at + len <= 8; at++)
				assert_true(
					reg_read(t, 0, regs[i] + at, len) ==
					(a >> 8 * at & (len < 8 ? (1ULL << 8 * len) - 1 : ~0ULL)));
	}
	/* Three fields that follow each other did not mix. */
	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		assert_true(reg_read(t, 0, regs[i], 8) == a);
}

static void test_bars_overlap(void **state)
{
	struct ctx *t = *state;

	reg_write(t, 0, VIRTIO_PCI_COMMON_STATUS, 1, 1);
	reg_write(t, 1, VIRTIO_PCI_COMMON_STATUS, 3, 1);
	/* The second one onto the first: it is not decoded, and the first one is. */
	fake_config_write(&t->f, t->fn[1].slot, PCI_BASE_ADDRESS_0, FAKE_WINDOW, 4);
	assert_int_equal(t->f.n_mmio, 1);
	assert_int_equal(reg_read(t, 0, VIRTIO_PCI_COMMON_STATUS, 1), 1);
	assert_int_equal(reg_read(t, 1, VIRTIO_PCI_COMMON_STATUS, 1), 0xff);
	/* As sizing a BAR does it, with the decoder on. */
	fake_config_write(&t->f, t->fn[1].slot, PCI_BASE_ADDRESS_0, 0xffffffff, 4);
	assert_int_equal(fake_config_read(&t->f, t->fn[1].slot, PCI_BASE_ADDRESS_0, 4),
			 ~(BAR_SIZE - 1));
	fake_config_write(&t->f, t->fn[1].slot, PCI_BASE_ADDRESS_0, (u32)t->fn[1].bar, 4);
	assert_int_equal(t->f.n_mmio, 2);
	assert_int_equal(reg_read(t, 1, VIRTIO_PCI_COMMON_STATUS, 1), 3);
	/* A BAR that is not there, and the upper bits of one that is. */
	fake_config_write(&t->f, t->fn[1].slot, PCI_BASE_ADDRESS_1, 0xffffffff, 4);
	assert_int_equal(fake_config_read(&t->f, t->fn[1].slot, PCI_BASE_ADDRESS_1, 4), 0);
	fake_config_write(&t->f, t->fn[1].slot, PCI_ROM_ADDRESS, 0xffffffff, 4);
	assert_int_equal(fake_config_read(&t->f, t->fn[1].slot, PCI_ROM_ADDRESS, 4), 0);
}

static void msix_on(struct ctx *t, unsigned fn)
{
	unsigned slot = t->fn[fn].slot, at = fake_config_read(&t->f, slot, PCI_CAPABILITY_LIST, 1);

	while (fake_config_read(&t->f, slot, at, 1) != PCI_CAP_ID_MSIX)
		at = fake_config_read(&t->f, slot, at + 1, 1);
	fake_config_write(&t->f, slot, at + 2, MSIX_CTRL_ENABLE, 2);
}

static void unmask_vector(struct ctx *t, unsigned fn, unsigned vector, u64 addr, u32 data)
{
	reg_write(t, fn, MSIX_TAB + 16 * vector, addr, 8);
	reg_write(t, fn, MSIX_TAB + 16 * vector + 8, data, 8);
}

static void use_one(struct ctx *t, unsigned fn, unsigned queue)
{
	virtqueue_push(virtio_queue(t->fn[fn].v, queue), 0, 0);
	virtio_queue_done(t->fn[fn].v, queue);
}

static void test_shared_vector(void **state)
{
	struct ctx *t = *state;

	bring_up(t, 0);
	msix_on(t, 0);
	for (unsigned i = 0; i < QUEUES; i++) {
		reg_write(t, 0, VIRTIO_PCI_COMMON_Q_SELECT, i, 2);
		reg_write(t, 0, VIRTIO_PCI_COMMON_Q_MSIX, i == 2 ? 3 : 1, 2);
	}
	reg_write(t, 0, VIRTIO_PCI_COMMON_MSIX, 1, 2);
	unmask_vector(t, 0, 1, 0xfee00000, 0x41);
	unmask_vector(t, 0, 3, 0x1fee00000, 0x43);
	use_one(t, 0, 0);
	use_one(t, 0, 1);
	virtio_config_changed(t->fn[0].v);
	assert_int_equal(t->f.sent[0], 3);
	assert_int_equal(t->f.msi_data[0], 0x41);
	use_one(t, 0, 2);
	assert_int_equal(t->f.sent[0], 3);
	assert_int_equal(t->f.sent[1], 1);
	/* All of the address, as the guest wrote it. */
	assert_true(t->f.msi_addr[1] == 0x1fee00000);
}

/* A vector that is masked while it is in use: one interrupt waits, and comes at the end. */
static void test_masked_while_live(void **state)
{
	struct ctx *t = *state;

	bring_up(t, 0);
	msix_on(t, 0);
	reg_write(t, 0, VIRTIO_PCI_COMMON_Q_SELECT, 0, 2);
	reg_write(t, 0, VIRTIO_PCI_COMMON_Q_MSIX, 2, 2);
	unmask_vector(t, 0, 2, 0xfee00000, 0x42);
	use_one(t, 0, 0);
	assert_int_equal(t->f.sent[0], 1);
	reg_write(t, 0, MSIX_TAB + 16 * 2 + 12, 1, 4);
	for (unsigned i = 0; i < 5; i++)
		use_one(t, 0, 0);
	assert_int_equal(t->f.sent[0], 1);
	assert_int_equal(reg_read(t, 0, MSIX_PBA, 8), 1 << 2);
	assert_int_equal(reg_read(t, 0, MSIX_PBA, 4), 1 << 2);
	assert_int_equal(reg_read(t, 0, MSIX_PBA + 8, 8), 0);
	reg_write(t, 0, MSIX_PBA, ~0ULL, 8); /* read-only */
	assert_int_equal(reg_read(t, 0, MSIX_PBA, 8), 1 << 2);
	/* Another message while it is masked: the new one is what comes. */
	reg_write(t, 0, MSIX_TAB + 16 * 2 + 8, 0x52, 4);
	reg_write(t, 0, MSIX_TAB + 16 * 2 + 12, 0, 4);
	assert_int_equal(t->f.sent[0], 2);
	assert_int_equal(t->f.msi_data[0], 0x52);
	assert_int_equal(reg_read(t, 0, MSIX_PBA, 8), 0);
	/* Low bits of an address are none; behind the last entry there is nothing. */
	reg_write(t, 0, MSIX_TAB, 0xfee00007, 4);
	assert_int_equal(reg_read(t, 0, MSIX_TAB, 4), 0xfee00004);
	reg_write(t, 0, MSIX_TAB + 16 * (QUEUES + 1), 0x1234, 4);
	assert_int_equal(reg_read(t, 0, MSIX_TAB + 16 * (QUEUES + 1), 4), 0);
	/* The other function has its own of all that. */
	assert_int_equal(reg_read(t, 1, MSIX_TAB + 16 * 2 + 12, 4), 1);
}

static bool flip_config(void *arg)
{
	struct ctx *t = arg;
	struct function *fn = &t->fn[0];

	__atomic_add_fetch(&t->updates, 1, __ATOMIC_SEQ_CST);
	__atomic_store_n(&fn->config, ~fn->config, __ATOMIC_SEQ_CST);
	return true;
}

static void *config_changer(void *arg)
{
	struct ctx *t = arg;

	while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED))
		virtio_config_update(t->fn[0].v, flip_config, t);
	return NULL;
}

/*
 * Two reads of four bytes between two of the generation: all old or all new, or try again (2.5.1).
 * The generation has eight bits, so 256 updates between its two reads look like none. That is the
 * specification's limit and not the device's fault: such a round, in which the reader was off its
 * CPU, does not count.
 */
static void test_config_is_read_whole(void **state)
{
	struct ctx *t = *state;
	unsigned whole = 0, again = 0;
	pthread_t thread;

	t->fn[0].config = 0xffffffff00000000; /* halves that always differ */
	assert_int_equal(pthread_create(&thread, NULL, config_changer, t), 0);
	while (whole < 20000 || (!again && whole < 2000000)) {
		u64 updates = __atomic_load_n(&t->updates, __ATOMIC_SEQ_CST);
		u64 before = reg_read(t, 0, VIRTIO_PCI_COMMON_CFGGENERATION, 1);
		u32 lo = (u32)reg_read(t, 0, DEVICE, 4), hi = (u32)reg_read(t, 0, DEVICE + 4, 4);

		if (reg_read(t, 0, VIRTIO_PCI_COMMON_CFGGENERATION, 1) != before) {
			again++;
			continue;
		}
		if (__atomic_load_n(&t->updates, __ATOMIC_SEQ_CST) - updates >= 256)
			continue;
		whole++;
		if (lo != ~hi)
			break;
	}
	__atomic_store_n(&t->stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	assert_true(whole >= 20000);
	assert_true(again);
}

/* Functions of one bus are not woken by each other's kicks. */
static void test_kicks_are_apart(void **state)
{
	struct ctx *t = *state;
	u64 n;

	bring_up(t, 0);
	bring_up(t, 1);
	reg_write(t, 1, NOTIFY + 4, 1, 2);
	assert_int_equal(read(virtio_kick(t->fn[0].v, 1), &n, 8), -1);
	assert_int_equal(read(virtio_kick(t->fn[1].v, 0), &n, 8), -1);
	assert_int_equal(read(virtio_kick(t->fn[1].v, 1), &n, 8), 8);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_wide_registers),	 TEST(test_bars_overlap),
		TEST(test_shared_vector),	 TEST(test_masked_while_live),
		TEST(test_config_is_read_whole), TEST(test_kicks_are_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
