// SPDX-License-Identifier: GPL-2.0-only
/* Builds the PCI function of a virtio device, and routes accesses to its BAR. */
#include "devices/virtio_pci.h"

#include <errno.h>
#include <linux/pci_regs.h>
#include <linux/virtio_pci.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"
#include "devices/msix.h"

#define VIRTIO_VENDOR	 0x1af4
#define VIRTIO_DEVICE_ID 0x1040

#define WINDOW	     0x1000U
#define AT_COMMON    0x0000U
#define AT_ISR	     0x1000U
#define AT_DEVICE    0x2000U
#define AT_NOTIFY    0x3000U
#define AT_TABLE     0x4000U
#define AT_PBA	     0x5000U
#define BAR_SIZE     0x8000U
#define NOTIFY_SHIFT 2 /* notify_off_multiplier 4 */

/* Body of a virtio capability, behind id and next (virtio 1.2, 4.1.4). */
struct cap_body {
	u8 cap_len, cfg_type, bar, id, padding[2];
	u32 offset, length;
	u32 extra; /* notify_off_multiplier, or the data window of PCI_CFG */
} __attribute__((packed));

struct virtio_pci {
	struct host *h;
	struct virtio *v;
	struct pci_dev *dev;
	struct msix *msix;
	unsigned cfg_cap, msix_cap; /* offsets of the capabilities */
	pthread_mutex_t lock;	    /* of the three below */
	u64 bar;		    /* address at which it is decoded, 0: nowhere */
	bool ioeventfd[VIRTIO_MAX_QUEUES];
	int kick[VIRTIO_MAX_QUEUES];
};

static u64 notify_address(const struct virtio_pci *p, unsigned queue)
{
	return p->bar + AT_NOTIFY + ((u64)queue << NOTIFY_SHIFT);
}

/*
 * Has KVM signal the kicks if it can; otherwise a notification is an exit. The caller holds the
 * lock.
 */
static void update_ioeventfds(struct virtio_pci *p, u64 bar)
{
	unsigned n = virtio_type(p->v)->queues;

	for (unsigned i = 0; i < n && bar != p->bar; i++) {
		if (!p->ioeventfd[i])
			continue;
		p->h->ops->ioeventfd_del(p->h, notify_address(p, i), p->kick[i]);
		p->ioeventfd[i] = false;
	}
	p->bar = bar;
	for (unsigned i = 0; i < n && bar; i++)
		if (!p->ioeventfd[i] && p->kick[i] >= 0)
			p->ioeventfd[i] =
				!p->h->ops->ioeventfd_add(p->h, notify_address(p, i), p->kick[i]);
}

static void virtio_pci_on_kick_ready(void *arg, unsigned index, int fd)
{
	struct virtio_pci *p = arg;

	/* Another processor may be moving the BAR. */
	pthread_mutex_lock(&p->lock);
	p->kick[index] = fd;
	update_ioeventfds(p, p->bar);
	pthread_mutex_unlock(&p->lock);
}

static void virtio_pci_on_interrupt(void *arg, u16 vector)
{
	struct virtio_pci *p = arg;

	msix_notify(p->msix, vector);
}

static void virtio_pci_on_call(void *arg, u16 vector, int fd)
{
	struct virtio_pci *p = arg;

	msix_attach(p->msix, vector, fd);
}

static void virtio_pci_bar_io(void *arg, unsigned bar, u64 offset, void *data, unsigned len,
			      bool write)
{
	struct virtio_pci *p = arg;
	u64 in = offset % WINDOW;
	u8 isr;

	(void)bar;
	/* No block is larger than a page, and no register lies across two. */
	if (in + len > WINDOW)
		return;
	switch (offset - in) {
	case AT_COMMON:
		virtio_common_io(p->v, in, data, len, write);
		break;
	case AT_ISR:
		if (write)
			break;
		memset(data, 0, len);
		if (in)
			break;
		isr = virtio_isr(p->v);
		memcpy(data, &isr, 1);
		break;
	case AT_DEVICE:
		virtio_config_io(p->v, in, data, len, write);
		break;
	case AT_NOTIFY:
		if (!write)
			memset(data, 0, len);
		else if (in % (1U << NOTIFY_SHIFT) == 0)
			virtio_notify(p->v, in >> NOTIFY_SHIFT);
		break;
	case AT_TABLE:
		msix_table_io(p->msix, in, data, len, write);
		break;
	case AT_PBA:
		msix_pba_io(p->msix, in, data, len, write);
		break;
	default:
		if (!write)
			memset(data, 0, len);
		break;
	}
}

static void virtio_pci_on_bar_moved(void *arg, unsigned bar, u64 gpa)
{
	struct virtio_pci *p = arg;

	(void)bar;
	pthread_mutex_lock(&p->lock);
	update_ioeventfds(p, gpa);
	pthread_mutex_unlock(&p->lock);
}

/* Accesses the BAR through its window (4.1.4.9): aligned, 1, 2 or 4 bytes, and inside of it. */
static void config_window_access(struct virtio_pci *p, bool write)
{
	u8 *body = pci_dev_config(p->dev) + p->cfg_cap + 2;
	struct cap_body c;

	memcpy(&c, body, sizeof(c));
	if (c.bar || (c.length != 1 && c.length != 2 && c.length != 4) || c.offset % c.length ||
	    c.offset >= BAR_SIZE || c.length > BAR_SIZE - c.offset) {
		if (!write)
			memset(body + offsetof(struct cap_body, extra), 0xff, 4);
		return;
	}
	virtio_pci_bar_io(p, 0, c.offset, &c.extra, c.length, write);
	if (!write)
		memcpy(body + offsetof(struct cap_body, extra), &c.extra, 4);
}

static bool touches_config_window(const struct virtio_pci *p, unsigned offset, unsigned len)
{
	unsigned at = p->cfg_cap + 2 + (unsigned)offsetof(struct cap_body, extra);

	return offset < at + 4 && at < offset + len;
}

static void virtio_pci_on_config_read(void *arg, unsigned offset, unsigned len)
{
	struct virtio_pci *p = arg;

	if (touches_config_window(p, offset, len))
		config_window_access(p, false);
}

static void virtio_pci_on_config_written(void *arg, unsigned offset, unsigned len)
{
	struct virtio_pci *p = arg;
	unsigned at = p->msix_cap + PCI_MSIX_FLAGS;

	if (touches_config_window(p, offset, len))
		config_window_access(p, true);
	if (offset < at + 2 && at < offset + len)
		msix_control(p->msix, load_u16(pci_dev_config(p->dev) + at));
}

static void virtio_pci_on_reset(void *arg)
{
	struct virtio_pci *p = arg;

	/* The device comes first: it may be raising interrupts. */
	virtio_reset(p->v);
	msix_reset(p->msix);
}

static const struct pci_ops pci_ops = {
	.bar = virtio_pci_bar_io,
	.bar_moved = virtio_pci_on_bar_moved,
	.config_written = virtio_pci_on_config_written,
	.config_read = virtio_pci_on_config_read,
	.reset = virtio_pci_on_reset,
};

static int add_virtio_cap(struct virtio_pci *p, u8 type, u32 offset, u32 length)
{
	bool window = type == VIRTIO_PCI_CAP_PCI_CFG;
	bool longer = window || type == VIRTIO_PCI_CAP_NOTIFY_CFG;
	unsigned len =
		(unsigned)(longer ? sizeof(struct cap_body) : offsetof(struct cap_body, extra));
	static const struct cap_body writable = {
		.bar = 0xff,
		.offset = UINT32_MAX,
		.length = UINT32_MAX,
		.extra = UINT32_MAX,
	};
	struct cap_body c = {
		.cap_len = (u8)(len + 2),
		.cfg_type = type,
		.offset = offset,
		.length = length,
		.extra = type == VIRTIO_PCI_CAP_NOTIFY_CFG ? 1U << NOTIFY_SHIFT : 0,
	};

	return pci_dev_add_capability(p->dev, PCI_CAP_ID_VNDR, &c, window ? &writable : NULL, len);
}

static int add_msix_cap(struct virtio_pci *p)
{
	struct {
		u16 control;
		u32 table, pba; /* low three bits: BAR 0 */
	} __attribute__((packed)) c = {
		.control = (u16)(msix_vectors(p->msix) - 1),
		.table = AT_TABLE,
		.pba = AT_PBA,
	}, writable = {
		.control = MSIX_CTRL_ENABLE | MSIX_CTRL_MASK,
	};

	return pci_dev_add_capability(p->dev, PCI_CAP_ID_MSIX, &c, &writable, sizeof(c));
}

static int add_capabilities(struct virtio_pci *p)
{
	unsigned queues = virtio_type(p->v)->queues;
	int ret;

	ret = add_virtio_cap(p, VIRTIO_PCI_CAP_COMMON_CFG, AT_COMMON,
			     sizeof(struct virtio_pci_common_cfg));
	if (ret >= 0)
		ret = add_virtio_cap(p, VIRTIO_PCI_CAP_NOTIFY_CFG, AT_NOTIFY,
				     queues << NOTIFY_SHIFT);
	if (ret >= 0)
		ret = add_virtio_cap(p, VIRTIO_PCI_CAP_ISR_CFG, AT_ISR, 1);
	if (ret >= 0)
		ret = add_virtio_cap(p, VIRTIO_PCI_CAP_DEVICE_CFG, AT_DEVICE, WINDOW);
	if (ret >= 0)
		ret = add_virtio_cap(p, VIRTIO_PCI_CAP_PCI_CFG, 0, 0);
	if (ret < 0)
		return ret;
	p->cfg_cap = (unsigned)ret;
	ret = add_msix_cap(p);
	if (ret < 0)
		return ret;
	p->msix_cap = (unsigned)ret;
	return 0;
}

int virtio_pci_create(struct virtio_pci **out, struct host *h, struct pci_bus *bus,
		      struct virtio *v)
{
	return virtio_pci_create_at(out, h, bus, PCI_SLOT_ANY, v);
}

int virtio_pci_create_at(struct virtio_pci **out, struct host *h, struct pci_bus *bus,
			 unsigned slot, struct virtio *v)
{
	const struct virtio_type *type = virtio_type(v);
	const struct pci_id id = {
		.vendor = VIRTIO_VENDOR,
		.device = (u16)(VIRTIO_DEVICE_ID + type->id),
		.subsystem_vendor = VIRTIO_VENDOR,
		.subsystem = (u16)(VIRTIO_DEVICE_ID + type->id),
		.class = type->class,
		.revision = 1,
	};
	struct virtio_pci *p = calloc(1, sizeof(*p));
	struct virtio_transport t = { virtio_pci_on_interrupt, virtio_pci_on_kick_ready,
				      virtio_pci_on_call, p };
	int ret;

	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	p->h = h;
	p->v = v;
	for (unsigned i = 0; i < VIRTIO_MAX_QUEUES; i++)
		p->kick[i] = -1;
	ret = msix_create(&p->msix, h, type->queues + 1);
	if (!ret)
		ret = pci_dev_create_at(&p->dev, bus, slot, &id, &pci_ops, p);
	if (!ret)
		ret = pci_dev_add_bar(p->dev, 0, BAR_SIZE);
	if (!ret)
		ret = add_capabilities(p);
	if (ret) {
		p->v = NULL;
		virtio_pci_destroy(p);
		return ret;
	}
	virtio_set_transport(v, &t);
	pci_dev_ready(p->dev);
	*out = p;
	return 0;
}

struct pci_place virtio_pci_place(const struct virtio_pci *p)
{
	return pci_dev_place(p->dev);
}

unsigned virtio_pci_slot(const struct virtio_pci *p)
{
	return pci_dev_slot(p->dev);
}

void virtio_pci_destroy(struct virtio_pci *p)
{
	if (!p)
		return;
	virtio_destroy(p->v);
	msix_destroy(p->msix);
	pthread_mutex_destroy(&p->lock);
	free(p);
}
