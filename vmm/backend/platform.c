// SPDX-License-Identifier: GPL-2.0-only
/* Creates the devices of a guest on its bus, with their back ends, and resets and ends them. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "devices/pci.h"
#include "devices/power.h"
#include "devices/virtio_balloon.h"
#include "devices/virtio_pci.h"
#include "devices/virtio_rng.h"
#include "vmm/backend/platform_int.h"
#include "vmm/machine/layout.h"

int platform_create(struct platform **out, struct machine *m, const struct guest_spec *spec,
		    struct err *e)
{
	static const struct power_config power = {
		.sleep_port = LAYOUT_PORT_SLEEP,
		.reset_port = LAYOUT_PORT_RESET,
		.pvpanic_port = LAYOUT_PORT_PVPANIC,
		.ged_port = LAYOUT_PORT_GED,
		.ged_gsi = LAYOUT_GSI_GED,
		.sleep_type_off = LAYOUT_SLEEP_TYPE_OFF,
	};
	struct host *h = machine_host(m);
	struct platform *p = calloc(1, sizeof(*p));
	int ret;

	if (!p)
		return err_set(e, -ENOMEM, "out of memory");
	p->m = m;
	p->spec = spec;
	p->loop = machine_loop(m);
	p->notes = machine_notes(m);
	p->wait_hook = (struct wait_hook){ .fn = platform_note_held_disks, .arg = p };
	machine_add_wait_hook(m, &p->wait_hook);
	ret = power_create(&p->power, h, &power);
	if (!ret)
		ret = platform_add_buses(p, h);
	if (ret)
		err_set(e, ret, "cannot set up the platform: %s", strerror(-ret));
	for (size_t i = 0; i < spec->n_disks && !ret; i++)
		ret = spec->disks[i].vhost_user
			      ? platform_add_vhost_disk(p, h, &spec->disks[i], spec->cpus,
							spec->confine, e)
			      : platform_add_disk(p, h, &spec->disks[i], spec->cpus, e);
	for (size_t i = 0; i < spec->n_nets && !ret; i++)
		ret = platform_add_nic(p, h, spec, &spec->nets[i], e);
	if (!ret && !spec->no_rng)
		ret = platform_add_rng(p, h, &spec->rng, e);
	if (!ret && spec->balloon.on)
		ret = platform_add_balloon(p, h, spec, e);
	if (ret) {
		platform_destroy(p);
		return ret;
	}
	*out = p;
	return 0;
}

const struct note_sink *platform_notes(const struct platform *p)
{
	return p->notes;
}

void platform_set_hooks(struct platform *p, const struct platform_hooks *hooks)
{
	assert(!p->hooks.arg || !hooks);
	p->hooks = hooks ? *hooks : (struct platform_hooks){ .net = NULL };
}

void platform_power_button(struct platform *p)
{
	power_button(p->power);
}

/* Resets the devices by their bus, then the chip beside it: the order that lifecycle.h has. */
static int reset_platform(void *part, struct err *e)
{
	struct platform *p = part;

	(void)e;
	pci_bus_reset(p->bus);
	power_reset(p->power);
	platform_forget_held(p);
	return 0;
}

static int end_platform(void *part, struct err *e)
{
	(void)e;
	platform_destroy(part);
	return 0;
}

static int start_platform(void *part, bool again, struct err *e)
{
	return again ? 0 : platform_check_disks(part, e);
}

const struct lifecycle_ops platform_part = {
	.name = "platform",
	.start = start_platform,
	.reset = reset_platform,
	.end = end_platform,
};

void platform_destroy(struct platform *p)
{
	if (!p)
		return;
	machine_remove_wait_hook(p->m, &p->wait_hook);
	platform_destroy_disks(p);
	platform_destroy_nics(p);
	virtio_pci_destroy(p->rng_pci);
	virtio_rng_destroy(p->rng);
	virtio_pci_destroy(p->balloon_pci);
	virtio_balloon_destroy(p->balloon);
	/* The reset at its end may have changed the guest's size once more. */
	loop_call_cancel(p->loop, &p->balloon_changed);
	pci_bus_destroy(p->bus);
	power_destroy(p->power);
	free(p);
}
