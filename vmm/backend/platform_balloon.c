// SPDX-License-Identifier: GPL-2.0-only
/* Creates the balloon of a guest and its source of entropy, and asks the balloon. */
#include <string.h>

#include "devices/virtio_balloon.h"
#include "devices/virtio_rng.h"
#include "vmm/backend/platform_int.h"

int platform_add_rng(struct platform *p, struct host *h, const struct spec_device *dev,
		     struct err *e)
{
	struct virtio *v = NULL;
	int ret = virtio_rng_create(&p->rng);

	if (!ret)
		ret = virtio_create(&v, h, virtio_rng_type(), p->rng);
	if (!ret) {
		virtio_rng_attach(p->rng, v);
		ret = platform_plug(p, dev, v, &p->rng_pci);
	}
	return ret ? err_set(e, ret, "cannot add the entropy device: %s", strerror(-ret)) : 0;
}

static void on_balloon(void *arg)
{
	const struct platform *p = arg;

	if (p->hooks.balloon)
		p->hooks.balloon(p->hooks.arg);
}

/* Leaves it to the main thread to tell that the guest has another size. Any thread. */
static void balloon_changed(void *arg)
{
	struct platform *p = arg;

	loop_call(p->loop, &p->balloon_changed);
}

int platform_add_balloon(struct platform *p, struct host *h, const struct guest_spec *spec,
			 struct err *e)
{
	const struct virtio_balloon_params params = {
		.reporting = !spec->balloon.no_reporting && !spec->huge_page,
		.deflate_on_oom = !spec->balloon.no_deflate_on_oom,
		.changed = balloon_changed,
		.arg = p,
	};
	struct virtio *v = NULL;
	int ret;

	p->balloon_changed = (struct loop_call){ .fn = on_balloon, .arg = p };
	ret = virtio_balloon_create(&p->balloon, &params);
	if (!ret)
		ret = virtio_create(&v, h, virtio_balloon_type(p->balloon), p->balloon);
	if (!ret) {
		virtio_balloon_attach(p->balloon, v);
		ret = platform_plug(p, &spec->balloon.dev, v, &p->balloon_pci);
	}
	if (ret)
		return err_set(e, ret, "--balloon: cannot add the device: %s", strerror(-ret));
	if (spec->huge_page)
		note_put(p->notes, "--balloon: huge pages are not given back in parts; what the "
				   "guest gives up stays memory of this process");
	return 0;
}

bool platform_balloon(const struct platform *p, struct balloon_state *out)
{
	if (p->balloon)
		virtio_balloon_look(p->balloon, out);
	return p->balloon;
}

void platform_balloon_set_target(struct platform *p, u64 bytes)
{
	virtio_balloon_set_target(p->balloon, bytes);
}

void platform_balloon_set_interval(struct platform *p, unsigned seconds)
{
	virtio_balloon_set_interval(p->balloon, seconds);
}

void platform_balloon_refresh(struct platform *p)
{
	virtio_balloon_refresh(p->balloon);
}
