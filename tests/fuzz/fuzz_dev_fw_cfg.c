// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plays a firmware that does anything: port accesses of every width to fw_cfg, the CMOS clock, the
 * 440FX and the odd ports, and ticks of the clock between them. What fw_cfg gives is what was put
 * in.
 */
#include <stdlib.h>
#include <string.h>

#include "devices/cmos.h"
#include "devices/fw_cfg.h"
#include "devices/i440fx.h"
#include "devices/ports.h"
#include "tests/unit/devices/fake_host.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct fuzz_step {
	u8 what, width;
	u16 at;
	u32 value;
};

static void on_periodic(void *arg, u64 ns)
{
	*(u64 *)arg = ns;
}

static void on_log(void *arg, u8 byte)
{
	*(u64 *)arg ^= byte;
}

static void step_carry_out(struct fake_host *f, struct cmos *c, const struct fuzz_step *x)
{
	static const u16 ports[] = { 0x510, 0x511, 0x70, 0x71, 0x92, 0x402, 0x620, 0xcf8 };
	unsigned len = 1U << (x->width % 3);
	u16 port = (u16)(ports[x->at & 7] + (x->at >> 3 & 7));

	switch (x->what & 7) {
	case 0:
		fake_out(f, port, x->value, len);
		break;
	case 1:
		fake_in(f, port, len);
		break;
	case 2:
		fake_out(f, 0x510, x->at, 2);
		for (u32 i = 0; i < (x->value & 0x1ff); i++)
			fake_in(f, 0x511, len);
		break;
	case 3:
		fake_out(f, 0x70, x->at & 0xff, 1);
		fake_out(f, 0x71, x->value, 1);
		break;
	case 4:
		fake_out(f, 0x70, x->at & 0xff, 1);
		fake_in(f, 0x71, len);
		break;
	case 5:
		fake_config_write(f, 0, x->at & 0xff, x->value, len);
		break;
	case 6:
		fake_config_read(f, 0, x->at & 0xff, len);
		break;
	default:
		cmos_tick(c);
		break;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fake_host f;
	u64 sink = 0, period = 0;
	const struct cmos_config cc = { 8, 1 << 20, 0, 1, on_periodic, &period };
	const struct ports_config pc = { 0x620, 5, on_log, &sink };
	struct fw_cfg *cfg;
	struct cmos *cmos;
	struct ports *ports;
	struct pci_bus *bus;
	struct fuzz_step s;

	fake_host_init(&f);
	if (fw_cfg_create(&cfg, &f.host) || cmos_create(&cmos, &f.host, &cc) ||
	    ports_create(&ports, &f.host, &pc) ||
	    i440fx_create(&bus, &f.host, FAKE_WINDOW, FAKE_WIN_END))
		abort();
	if (fw_cfg_add_u16(cfg, FW_CFG_NB_CPUS, 2) ||
	    fw_cfg_add_file(cfg, "etc/file", data, size > 300 ? 300 : (u32)size) ||
	    fw_cfg_add_file(cfg, "etc/empty", NULL, 0))
		abort();
	for (; size >= sizeof(s); data += sizeof(s), size -= sizeof(s)) {
		memcpy(&s, data, sizeof(s));
		step_carry_out(&f, cmos, &s);
		/* A guest must not make the host's timer run wild. */
		if (period && period < 100000)
			abort();
	}
	pci_bus_destroy(bus);
	ports_destroy(ports);
	cmos_destroy(cmos);
	fw_cfg_destroy(cfg);
	return 0;
}
