// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the chips that only a firmware needs: fw_cfg, the CMOS clock, the 440FX's PAM registers,
 * the odd ports.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <endian.h>
#include <time.h>

#include "devices/cmos.h"
#include "devices/fw_cfg.h"
#include "devices/i440fx.h"
#include "devices/ports.h"
#include "tests/unit/devices/fake_host.h"

#define SELECTOR 0x510
#define DATA	 0x511
#define PM1	 0x620

struct ctx {
	struct fake_host f;
	u64 period;
	unsigned periods;
	char log[16];
	unsigned n_log;
};

static int setup(void **state)
{
	struct ctx *t = fake_host_alloc(sizeof(*t));

	assert_non_null(t);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* --- fw_cfg -------------------------------------------------------------------------------- */

static void read_item(struct ctx *t, u16 key, void *to, unsigned len)
{
	fake_out(&t->f, SELECTOR, key, 2);
	for (unsigned i = 0; i < len; i++)
		((u8 *)to)[i] = (u8)fake_in(&t->f, DATA, 1);
}

static void test_fw_cfg_items(void **state)
{
	struct ctx *t = *state;
	struct fw_cfg *c;
	u8 buf[8];

	assert_int_equal(fw_cfg_create(&c, &t->f.host), 0);
	read_item(t, 0, buf, 6);
	assert_memory_equal(buf, "QEMU\0\0", 6); /* zeroes behind the end */
	read_item(t, 1, buf, 4);
	assert_memory_equal(buf, "\1\0\0\0", 4); /* no DMA */
	assert_int_equal(fw_cfg_add_u16(c, FW_CFG_NB_CPUS, 0x102), 0);
	assert_int_equal(fw_cfg_add_u16(c, FW_CFG_NB_CPUS, 1), -EEXIST);
	read_item(t, FW_CFG_NB_CPUS, buf, 3);
	assert_memory_equal(buf, "\2\1\0", 3);
	/* Selecting starts anew; an unknown item is zeroes; data wider than a byte as well. */
	read_item(t, FW_CFG_NB_CPUS, buf, 1);
	assert_int_equal(buf[0], 2);
	read_item(t, 0x8000, buf, 4);
	assert_memory_equal(buf, "\0\0\0\0", 4);
	fake_out(&t->f, SELECTOR, 0, 2);
	assert_int_equal(fake_in(&t->f, DATA, 4), 0x554d4551);
	/* What is not a selection is nothing. */
	fake_out(&t->f, SELECTOR, FW_CFG_NB_CPUS, 1);
	fake_out(&t->f, DATA, 0x41, 1);
	fake_out(&t->f, SELECTOR, FW_CFG_NB_CPUS, 4);
	assert_int_equal(fake_in(&t->f, DATA, 1), 0);
	/* The interface's own. */
	assert_int_equal(fw_cfg_add(c, 0x19, "", 1), -EINVAL);
	assert_int_equal(fw_cfg_add(c, 0x20, "", 1), -EINVAL);
	assert_int_equal(fw_cfg_add(c, 0, "", 1), -EEXIST);
	fw_cfg_destroy(c);
}

static void test_fw_cfg_files(void **state)
{
	struct ctx *t = *state;
	char name[80] = { 0 }, data[8] = { 0 };
	u32 count = 0, size;
	u16 key;
	int ret, added = 0;
	struct fw_cfg *c;
	u8 dir[132], *all;

	assert_int_equal(fw_cfg_create(&c, &t->f.host), 0);
	read_item(t, 0x19, dir, 4);
	assert_memory_equal(dir, "\0\0\0\0", 4);
	assert_int_equal(fw_cfg_add_file(c, "etc/one", "1", 1), 0);
	assert_int_equal(fw_cfg_add_file(c, "etc/empty", NULL, 0), 0);
	assert_int_equal(fw_cfg_add_file(c, "etc/one", "2", 1), -EEXIST);
	assert_int_equal(fw_cfg_add_file(c, "", "2", 1), -EINVAL);
	memset(name, 'x', 56);
	assert_int_equal(fw_cfg_add_file(c, name, "2", 1), -EINVAL);
	read_item(t, 0x19, dir, sizeof(dir));
	memcpy(&count, dir, 4);
	assert_int_equal(be32toh(count), 2);
	memcpy(&size, dir + 4, 4);
	memcpy(&key, dir + 8, 2);
	assert_int_equal(be32toh(size), 1);
	assert_string_equal((char *)dir + 12, "etc/one");
	read_item(t, be16toh(key), data, 2);
	assert_memory_equal(data, "1\0", 2);
	assert_string_equal((char *)dir + 76, "etc/empty");
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof(name), "f%054d", i);
		ret = fw_cfg_add_file(c, name, data, sizeof(data));
		added += !ret;
		assert_true(!ret || ret == -ENOSPC);
	}
	assert_in_range(added, 10, 99);
	/* The directory has all that were taken, to the last one. */
	all = calloc(1, 4 + 64UL * (2 + (size_t)added));
	assert_non_null(all);
	read_item(t, 0x19, all, (unsigned)(4 + 64 * (2 + added)));
	memcpy(&count, all, 4);
	assert_int_equal(be32toh(count), 2 + added);
	snprintf(name, sizeof(name), "f%054d", added - 1);
	assert_string_equal((char *)all + 4 + 64 * (1 + added) + 8, name);
	free(all);
	fw_cfg_destroy(c);
}

/* --- CMOS ---------------------------------------------------------------------------------- */

static void on_periodic(void *arg, u64 ns)
{
	struct ctx *t = arg;

	t->period = ns;
	t->periods++;
}

static struct cmos *new_cmos(struct ctx *t, u64 low, u64 high, unsigned cpus)
{
	const struct cmos_config config = {
		.gsi = 8,
		.low = low,
		.high = high,
		.cpus = cpus,
		.periodic = on_periodic,
		.arg = t,
	};
	struct cmos *c = NULL;

	assert_int_equal(cmos_create(&c, &t->f.host, &config), 0);
	return c;
}

static u8 cmos_read(struct ctx *t, u8 reg)
{
	fake_out(&t->f, 0x70, reg, 1);
	return (u8)fake_in(&t->f, 0x71, 1);
}

static void cmos_write(struct ctx *t, u8 reg, u8 value)
{
	fake_out(&t->f, 0x70, reg, 1);
	fake_out(&t->f, 0x71, value, 1);
}

static int from_bcd(u8 v)
{
	assert_true((v & 15) < 10 && v >> 4 < 10);
	return (v >> 4) * 10 + (v & 15);
}

static time_t clock_time(struct ctx *t, bool binary)
{
	struct tm tm = { 0 };
	int v[8];
	static const u8 regs[] = { 0, 2, 4, 7, 8, 9, 0x32, 6 };

	for (size_t i = 0; i < ARRAY_SIZE(regs); i++)
		v[i] = binary ? cmos_read(t, regs[i]) : from_bcd(cmos_read(t, regs[i]));
	tm.tm_sec = v[0];
	tm.tm_min = v[1];
	tm.tm_hour = v[2];
	tm.tm_mday = v[3];
	tm.tm_mon = v[4] - 1;
	tm.tm_year = v[6] * 100 + v[5] - 1900;
	return timegm(&tm);
}

static void test_cmos_time(void **state)
{
	struct ctx *t = *state;
	struct cmos *c = new_cmos(t, 64 << 20, 0, 1);
	time_t before, seen, after;
	u8 hour;

	for (int binary = 0; binary < 2; binary++) {
		cmos_write(t, 0x0b, binary ? 0x06 : 0x02);
		/* Twice: the registers are read one by one. */
		do {
			before = time(NULL);
			seen = clock_time(t, binary);
			after = time(NULL);
		} while (before != after);
		assert_int_equal(seen, before);
	}
	cmos_write(t, 0x0b, 0x04); /* 12 hours */
	hour = cmos_read(t, 4);
	assert_in_range(hour & 0x7f, 1, 12);
	cmos_write(t, 0, 99); /* cannot be set */
	assert_in_range(cmos_read(t, 0), 0, 60);
	assert_false(cmos_read(t, 0x0a) & 0x80);
	assert_int_equal(cmos_read(t, 0x0d), 0x80);
	cmos_destroy(c);
}

static void test_cmos_memory(void **state)
{
	struct ctx *t = *state;
	struct cmos *c = new_cmos(t, 256ULL << 20, 1ULL << 30, 4);

	/* What a BIOS must not find as 0xff. */
	assert_int_equal(cmos_read(t, 0x0f), 0);
	assert_int_equal(cmos_read(t, 0x10), 0);
	assert_int_equal(cmos_read(t, 0x38), 0);
	assert_int_equal(cmos_read(t, 0x3d), 0);
	assert_int_equal(cmos_read(t, 0x5f), 3);
	assert_int_equal(cmos_read(t, 0x15) | cmos_read(t, 0x16) << 8, 640);
	assert_int_equal(cmos_read(t, 0x17) | cmos_read(t, 0x18) << 8, 65535);
	assert_int_equal(cmos_read(t, 0x34) | cmos_read(t, 0x35) << 8, 240 * 16);
	assert_int_equal(cmos_read(t, 0x5b) | cmos_read(t, 0x5c) << 8 | cmos_read(t, 0x5d) << 16,
			 1024 * 16);
	/* Plain memory keeps what is written; bit 7 of the index is the NMI mask. */
	cmos_write(t, 0x0f, 0x5a);
	assert_int_equal(cmos_read(t, 0x8f), 0x5a);
	cmos_write(t, 0x7f, 0xa5);
	assert_int_equal(cmos_read(t, 0x7f), 0xa5);
	cmos_destroy(c);
}

static void test_cmos_periodic(void **state)
{
	struct ctx *t = *state;
	struct cmos *c = new_cmos(t, 64 << 20, 0, 1);

	cmos_tick(c);
	assert_int_equal(t->f.edges, 0);
	cmos_write(t, 0x0b, 0x42);
	assert_int_equal(t->period, 976562); /* 1024 Hz */
	assert_int_equal(t->periods, 1);
	cmos_write(t, 0x0b, 0x42);
	assert_int_equal(t->periods, 1);
	/* One edge until register C was read, however many periods pass. */
	cmos_tick(c);
	cmos_tick(c);
	assert_int_equal(t->f.edges, 1);
	assert_true(t->f.line);
	assert_int_equal(cmos_read(t, 0x0c), 0xc0);
	assert_int_equal(cmos_read(t, 0x0c), 0);
	assert_false(t->f.line);
	cmos_tick(c);
	assert_int_equal(t->f.edges, 2);
	cmos_read(t, 0x0c);
	cmos_write(t, 0x0a, 0x20); /* no rate */
	assert_int_equal(t->period, 0);
	cmos_write(t, 0x0a, 0x21); /* the same as 8: 256 Hz */
	assert_int_equal(t->period, 3906250);
	cmos_write(t, 0x0a, 0x2f); /* 2 Hz */
	assert_int_equal(t->period, 500000000);
	cmos_write(t, 0x0a, 0x23); /* the fastest */
	assert_int_equal(t->period, 122070);
	cmos_write(t, 0x0b, 0x02);
	assert_int_equal(t->period, 0);
	cmos_tick(c); /* was under way */
	assert_int_equal(t->f.edges, 2);
	cmos_destroy(c);
}

/* --- 440FX --------------------------------------------------------------------------------- */

static void test_i440fx(void **state)
{
	struct ctx *t = *state;
	struct pci_bus *bus;

	assert_int_equal(i440fx_create(&bus, &t->f.host, FAKE_WINDOW, FAKE_WIN_END), 0);
	assert_int_equal(fake_config_read(&t->f, 0, 0, 4), 0x12378086);
	assert_int_equal(fake_config_read(&t->f, 0, 0x2c, 4), 0x11001af4);
	assert_int_equal(fake_config_read(&t->f, 0, 8, 4) >> 8, 0x060000);
	/* Two double words, as SeaBIOS writes them. */
	assert_int_equal(fake_config_read(&t->f, 0, 0x59, 1), 0);
	fake_config_write(&t->f, 0, 0x58, 0x33333000, 4);
	fake_config_write(&t->f, 0, 0x5c, 0x33333333, 4);
	assert_int_equal(fake_config_read(&t->f, 0, 0x58, 4), 0x33333000);
	assert_int_equal(fake_config_read(&t->f, 0, 0x5c, 4), 0x33333333);
	fake_config_write(&t->f, 0, 0x58, 0xffffffff, 4);
	assert_int_equal(fake_config_read(&t->f, 0, 0x58, 4), 0x33333000);
	fake_config_write(&t->f, 0, 0, 0xffffffff, 4);
	assert_int_equal(fake_config_read(&t->f, 0, 0, 4), 0x12378086);
	pci_bus_destroy(bus);
}

/* --- ports --------------------------------------------------------------------------------- */

static void on_log(void *arg, u8 byte)
{
	struct ctx *t = arg;

	if (t->n_log < sizeof(t->log))
		t->log[t->n_log++] = (char)byte;
}

static struct ports *new_ports(struct ctx *t, bool log)
{
	const struct ports_config c = {
		.pm1_port = PM1,
		.sleep_type_off = 5,
		.log = log ? on_log : NULL,
		.arg = t,
	};
	struct ports *p = NULL;

	assert_int_equal(ports_create(&p, &t->f.host, &c), 0);
	return p;
}

static void test_ports(void **state)
{
	struct ctx *t = *state;
	struct ports *p = new_ports(t, true);

	assert_int_equal(fake_in(&t->f, 0x92, 1), 2);
	fake_out(&t->f, 0x92, 0, 1);
	assert_int_equal(fake_in(&t->f, 0x92, 1), 0);
	fake_out(&t->f, 0x92, 0xfe, 1);
	assert_int_equal(fake_in(&t->f, 0x92, 1), 2);
	assert_int_equal(t->f.power_calls, 0);
	fake_out(&t->f, 0x92, 1, 1);
	assert_int_equal(t->f.power_calls, 1);
	assert_int_equal(t->f.power, HOST_RESET);
	assert_int_equal(fake_in(&t->f, 0x402, 1), 0xe9);
	fake_out(&t->f, 0x402, 'a', 1);
	fake_out(&t->f, 0x402, 'b', 1);
	assert_memory_equal(t->log, "ab", 2);
	ports_destroy(p);
}

static void test_no_log(void **state)
{
	struct ctx *t = *state;
	struct ports *p = new_ports(t, false);

	assert_int_equal(fake_in(&t->f, 0x402, 1), 0xff);
	ports_destroy(p);
}

static void test_pm1(void **state)
{
	struct ctx *t = *state;
	struct ports *p = new_ports(t, false);

	assert_int_equal(fake_in(&t->f, PM1, 4), 0);
	assert_int_equal(fake_in(&t->f, PM1 + 4, 2), 1); /* ACPI mode, always */
	fake_out(&t->f, PM1, 0xffffffff, 4);		 /* status and enable */
	assert_int_equal(fake_in(&t->f, PM1, 4), 0xffff0000);
	fake_out(&t->f, PM1 + 4, 0, 2);
	assert_int_equal(fake_in(&t->f, PM1 + 4, 2), 1);
	fake_out(&t->f, PM1 + 4, 1 << 10 | 0x2000, 2); /* S1: there is none */
	assert_int_equal(t->f.power_calls, 0);
	assert_int_equal(fake_in(&t->f, PM1 + 4, 2), 1 << 10 | 1);
	fake_out(&t->f, PM1 + 4, 5 << 10, 2);
	assert_int_equal(t->f.power_calls, 0);
	fake_out(&t->f, PM1 + 4, 5 << 10 | 0x2000, 2);
	assert_int_equal(t->f.power_calls, 1);
	assert_int_equal(t->f.power, HOST_POWEROFF);
	ports_destroy(p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_fw_cfg_items), T(test_fw_cfg_files),  T(test_cmos_time),
		T(test_cmos_memory),  T(test_cmos_periodic), T(test_i440fx),
		T(test_ports),	      T(test_no_log),	     T(test_pm1),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
