// SPDX-License-Identifier: GPL-2.0-only
/* Creates the host bridge of a 440FX with its PAM registers. */
#include "devices/i440fx.h"

#define PAM	  0x59
#define PAM_LAST  0x5f
#define PAM_BITS  0x33 /* read and write enable of two segments */
#define PAM0_BITS 0x30 /* of the F segment; the lower half is reserved */

int i440fx_create(struct pci_bus **out, struct host *h, u64 window, u64 window_end)
{
	static const struct pci_id id = {
		.vendor = 0x8086,
		.device = 0x1237,
		.subsystem_vendor = 0x1af4,
		.subsystem = 0x1100,
		.class = 0x060000,
		.revision = 2,
	};
	struct pci_dev *bridge;
	int ret = pci_bus_create_with(out, h, &id, window, window_end);

	if (ret)
		return ret;
	bridge = pci_bus_bridge(*out);
	pci_dev_register(bridge, PAM, 0, PAM0_BITS);
	for (u8 reg = PAM + 1; reg <= PAM_LAST; reg++)
		pci_dev_register(bridge, reg, 0, PAM_BITS);
	return 0;
}
