// SPDX-License-Identifier: GPL-2.0-only
/* Creates the network cards of a guest, and follows the processes that serve them. */
#include <string.h>

#include "devices/virtio_net.h"
#include "devices/virtio_pci.h"
#include "vmm/backend/dialer.h"
#include "vmm/backend/net.h"
#include "vmm/backend/platform_int.h"

static void nic_up(struct nic *n)
{
	n->helper.state.down = false;
	n->helper.state.restarts++;
	virtio_net_backend_back(n->net);
	note_put(n->helper.p->notes,
		 "--net %s: its process was started again; the guest's link is up", n->spec->text);
	kept_changed(&n->helper, true);
}

/*
 * Follows the keeper's news. When the process has ended the link goes down here, since the device
 * notices by itself only when it reads next.
 */
static void on_keeper(void *arg, u32 events)
{
	struct nic *n = arg;
	struct err why;

	(void)events;
	switch (net_news(n->helper.keeper, &n->backend, &why)) {
	case KEEPER_DOWN:
		virtio_net_backend_gone(n->net);
		kept_down(&n->helper, why.text);
		break;
	case KEEPER_UP:
		nic_up(n);
		break;
	case KEEPER_GONE:
		virtio_net_backend_gone(n->net);
		err_set(&why, 0,
			"--net %s: the process of this network has ended; the guest's link is down",
			n->spec->text);
		kept_gone(&n->helper, why.text);
		break;
	case KEEPER_NOTHING:
	default:
		break;
	}
}

int platform_add_nic(struct platform *p, struct host *h, const struct guest_spec *all,
		     const struct spec_net *spec, struct err *e)
{
	struct nic *n = &p->nics[p->n_nics];
	struct virtio *v = NULL;
	int keeper, ret = net_open(&n->backend, &keeper, spec, all->confine, all->user, e);

	if (ret)
		return ret;
	n->spec = spec;
	n->helper = (struct kept){
		.p = p, .keeper = keeper, .changed = &p->hooks.net, .i = p->n_nics++
	};
	ret = virtio_net_create(&n->net, &n->backend);
	if (!ret)
		ret = virtio_create(&v, h, virtio_net_type(n->net), n->net);
	if (!ret) {
		virtio_net_attach(n->net, v);
		ret = platform_plug(p, &spec->dev, v, &n->pci);
	}
	if (!ret && keeper >= 0)
		ret = kept_watch(&n->helper, on_keeper, n);
	return ret ? err_set(e, ret, "--net %s: cannot add the device: %s", spec->text,
			     strerror(-ret))
		   : 0;
}

void platform_net(const struct platform *p, size_t i, struct platform_helper *out)
{
	*out = i < p->n_nics ? p->nics[i].helper.state : (struct platform_helper){ .down = false };
}

void platform_destroy_nics(struct platform *p)
{
	for (size_t i = 0; i < p->n_nics; i++) {
		kept_unwatch(&p->nics[i].helper);
		virtio_pci_destroy(p->nics[i].pci);
		virtio_net_destroy(p->nics[i].net);
		net_close(&p->nics[i].backend, p->nics[i].helper.keeper);
	}
}
