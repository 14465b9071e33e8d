// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plays a driver that does anything: port and memory accesses of every width to PCI, a virtio-blk
 * disk, a root port and the virtio-rng behind it, and a serial port, and writes to guest memory
 * between them. The disk is a file in memory. Afterwards a reset must bring back what there was.
 */
#include <linux/virtio_pci.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "devices/pci.h"
#include "devices/pci_port.h"
#include "devices/power.h"
#include "devices/serial.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_pci.h"
#include "devices/virtio_rng.h"
#include "tests/unit/devices/fake_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define DISK_BYTES  65536
#define WINDOW_END  0xe0300000ULL
#define ECAM	    WINDOW_END
#define BUSES	    4
#define PORT_WINDOW (FAKE_WINDOW + PCI_PORT_WINDOW) /* behind the disk's BAR */

struct fuzz_step {
	u8 what, width;
	u16 at;
	u32 value;
};

static void on_output(void *arg, u8 byte)
{
	(void)arg;
	(void)byte;
}

static void on_room(void *arg)
{
	(void)arg;
}

static int disk_fd(void)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, DISK_BYTES))
		abort();
	return fd;
}

static void step_carry_out(struct fake_host *f, struct serial *s, const struct fuzz_step *x)
{
	static const u16 ports[] = { 0xcf8, 0xcfc, 0x3f8, 0x600, 0x604, 0x505, 0x610, 0x64 };
	unsigned len = 1U << (x->width & 3), port_len = len > 4 ? 4 : len;
	u16 port = (u16)(ports[x->at & 7] + (x->at >> 3 & 7));
	u64 ecam = ECAM + (x->what >> 4 & 3) * PCI_ECAM_SIZE + x->at;
	u64 bar = (x->width & 0x80 ? PORT_WINDOW : FAKE_WINDOW) + (x->at & 0x7fff);

	switch (x->what & 7) {
	case 0:
		fake_out(f, port, x->value, port_len);
		break;
	case 1:
		fake_in(f, port, port_len);
		break;
	case 2:
		if (x->what & 8)
			fake_write(f, ecam, x->value, len);
		else
			fake_config_write(f, 1, x->at & 0xff, x->value, port_len);
		break;
	case 3:
		if (x->what & 8)
			fake_read(f, ecam, len);
		else
			fake_config_read(f, x->value & 1, x->at & 0xff, port_len);
		break;
	case 4:
		fake_write(f, bar, (u64)x->value * (x->what >> 3 | 1), len);
		break;
	case 5:
		fake_read(f, bar, len);
		break;
	case 6: /* the rings that the seeds set up, and their surroundings */
		memcpy(f->ram + 0x1000 + (x->at & 0x3fff), &x->value, 4);
		break;
	default:
		serial_input(s, (const u8 *)&x->value, 4);
		break;
	}
}

/* Takes a correct driver's shortest way to a running disk, so that inputs start deep. */
static void bring_up(struct fake_host *f)
{
	static const struct {
		u16 at;
		u16 width;
		u32 value;
	} w[] = {
		{ 20, 1, 0 },  { 20, 1, 3 },	  { 8, 4, 0 },	     { 12, 4, 0x30000204 },
		{ 8, 4, 1 },   { 12, 4, 1 },	  { 20, 1, 0xb },    { 22, 2, 0 },
		{ 24, 2, 16 }, { 32, 4, 0x1000 }, { 40, 4, 0x2000 }, { 48, 4, 0x3000 },
		{ 28, 2, 1 },  { 20, 1, 0xf },
	};

	for (size_t i = 0; i < ARRAY_SIZE(w); i++)
		fake_write(f, FAKE_WINDOW + w[i].at, w[i].value, w[i].width);
}

/* Adds a root port, function 1 of the disk's slot, with a device behind it. */
static struct virtio_pci *add_behind_port(struct fake_host *f, struct pci_bus *bus,
					  struct virtio_rng *rng)
{
	const struct pci_port_config c = { .slot = 1, .function = 1, .number = 16, .chassis = 1 };
	struct pci_bus *behind;
	struct virtio_pci *p;
	struct virtio *v;

	if (pci_port_create(&behind, bus, &c) ||
	    virtio_create(&v, &f->host, virtio_rng_type(), rng))
		abort();
	virtio_rng_attach(rng, v);
	if (virtio_pci_create(&p, &f->host, behind, v))
		abort();
	return p;
}

/* Resets the bus, which brings both devices back to where they were. */
static void check_reset(struct fake_host *f, struct pci_bus *bus)
{
	pci_bus_reset(bus);
	if (fake_read(f, FAKE_WINDOW + VIRTIO_PCI_COMMON_NUMQ, 2) != 2 ||
	    fake_read(f, PORT_WINDOW + VIRTIO_PCI_COMMON_NUMQ, 2) != 1 ||
	    fake_read(f, ECAM + PCI_ECAM_SIZE, 4) != 0x10441af4)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_host f;
	static const struct power_config pc = { 0x600, 0x604, 0x505, 0x610, 9, 5 };
	const struct serial_config sc = {
		.port = 0x3f8,
		.gsi = 4,
		.output = on_output,
		.room = on_room,
	};
	struct power *power;
	struct serial *serial;
	struct pci_bus *bus;
	struct virtio_blk *blk;
	struct virtio *v;
	struct virtio_pci *p, *behind;
	struct virtio_rng *rng;
	char path[32];
	const struct virtio_blk_params params = { .path = path, .id = "fuzz", .queues = 2 };
	int fd = disk_fd();
	struct fuzz_step s;

	fake_host_init(&f);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (power_create(&power, &f.host, &pc) || serial_create(&serial, &f.host, &sc) ||
	    pci_bus_create(&bus, &f.host, FAKE_WINDOW, WINDOW_END) ||
	    pci_bus_map_ecam(bus, ECAM, BUSES) || virtio_rng_create(&rng) ||
	    virtio_blk_create(&blk, &params, NULL) ||
	    virtio_create(&v, &f.host, virtio_blk_type(blk), blk))
		abort();
	virtio_blk_attach(blk, v);
	if (virtio_pci_create(&p, &f.host, bus, v))
		abort();
	behind = add_behind_port(&f, bus, rng);
	if (size && data[0] & 1)
		bring_up(&f);
	for (; size >= sizeof(s); data += sizeof(s), size -= sizeof(s)) {
		memcpy(&s, data, sizeof(s));
		step_carry_out(&f, serial, &s);
	}
	check_reset(&f, bus);
	virtio_pci_destroy(behind);
	virtio_rng_destroy(rng);
	virtio_pci_destroy(p);
	virtio_blk_destroy(blk);
	pci_bus_destroy(bus);
	serial_destroy(serial);
	power_destroy(power);
	close(fd);
	return 0;
}
