// SPDX-License-Identifier: GPL-2.0-only
/* Makes the buses of a guest, and puts devices on them. */
#include "devices/i440fx.h"
#include "devices/pci.h"
#include "devices/pci_port.h"
#include "devices/virtio_pci.h"
#include "vmm/backend/platform_int.h"
#include "vmm/machine/layout.h"

unsigned platform_pci_buses(const struct guest_spec *spec)
{
	return spec->n_root_ports ? LAYOUT_PCI_BUSES : 1;
}

struct pci_bus *platform_bus(const struct platform *p, const struct spec_device *dev)
{
	int port = guest_spec_root_port(p->spec, dev);

	return port < 0 ? p->bus : p->behind[port];
}

/* Adds the bus behind the root port, which is number @i. */
static int add_root_port(struct platform *p, size_t i)
{
	const struct spec_root_port *spec = &p->spec->root_ports[i];
	unsigned number = 8 * spec->dev.slot + spec->function;
	const struct pci_port_config c = {
		.slot = spec->dev.slot,
		.function = spec->function,
		.number = (u8)(spec->number < 0 ? number : (unsigned)spec->number),
		.chassis = (u16)(spec->chassis ? spec->chassis : i + 1),
	};

	return pci_port_create(&p->behind[i], p->bus, &c);
}

int platform_add_buses(struct platform *p, struct host *h)
{
	unsigned buses = platform_pci_buses(p->spec);
	u64 window = LAYOUT_PCI_WINDOW(buses);
	int ret = p->spec->firmware ? i440fx_create(&p->bus, h, window, LAYOUT_PCI_END)
				    : pci_bus_create(&p->bus, h, window, LAYOUT_PCI_END);

	if (!ret)
		ret = pci_bus_map_ecam(p->bus, LAYOUT_ECAM, buses);
	for (size_t i = 0; i < p->spec->n_root_ports && !ret; i++)
		ret = add_root_port(p, i);
	if (!ret)
		pci_bus_keep_slots(p->bus, guest_spec_slots(p->spec));
	return ret;
}

/* Puts a device on the bus, where @dev says. @v is taken over, also on failure. */
int platform_plug(struct platform *p, const struct spec_device *dev, struct virtio *v,
		  struct virtio_pci **pci)
{
	int ret = virtio_pci_create_at(pci, machine_host(p->m), platform_bus(p, dev), dev->slot, v);

	if (ret)
		virtio_destroy(v);
	return ret;
}
