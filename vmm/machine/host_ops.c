// SPDX-License-Identifier: GPL-2.0-only
/*
 * Implements struct host_ops (devices/host.h) for a machine: each operation goes to the module that
 * does it.
 */
#include "vmm/machine/host_ops.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stddef.h>
#include <sys/ioctl.h>

#include "vmm/machine/io.h"
#include "vmm/machine/irq.h"
#include "vmm/machine/memory.h"
#include "vmm/machine/threads.h"

static struct machine_host *machine_host_of(struct host *h)
{
	return (struct machine_host *)(void *)((char *)h - offsetof(struct machine_host, host));
}

static void *host_ram(struct host *h, u64 gpa, u64 len)
{
	return memory_gpa(machine_host_of(h)->memory, gpa, len);
}

static bool host_ram_region(struct host *h, unsigned i, struct host_region *out)
{
	return memory_region(machine_host_of(h)->memory, i, out);
}

static int host_ram_discard(struct host *h, void *p, u64 len)
{
	return memory_discard(machine_host_of(h)->memory, p, len);
}

static void host_irq_line(struct host *h, u32 gsi, bool level)
{
	irqs_line(machine_host_of(h)->irqs, gsi, level);
}

static int host_msi_alloc(struct host *h)
{
	return irqs_msi_alloc(machine_host_of(h)->irqs);
}

static int host_msi_route(struct host *h, int vector, u64 addr, u32 data)
{
	return irqs_msi_route(machine_host_of(h)->irqs, vector, addr, data);
}

static void host_msi_send(struct host *h, int vector)
{
	irqs_msi_send(machine_host_of(h)->irqs, vector);
}

static void host_msi_free(struct host *h, int vector)
{
	irqs_msi_free(machine_host_of(h)->irqs, vector);
}

static int host_msi_bind(struct host *h, int vector, int fd)
{
	return irqs_msi_bind(machine_host_of(h)->irqs, vector, fd, true);
}

static void host_msi_unbind(struct host *h, int vector, int fd)
{
	irqs_msi_bind(machine_host_of(h)->irqs, vector, fd, false);
}

static int host_pio_add(struct host *h, u16 port, u16 len, host_io_fn *fn, void *arg)
{
	return io_pio_add_device(machine_host_of(h)->io, port, len, fn, arg);
}

static int host_mmio_map(struct host *h, u64 gpa, u64 len, host_io_fn *fn, void *arg)
{
	return io_mmio_map(machine_host_of(h)->io, gpa, len, fn, arg);
}

static void host_mmio_unmap(struct host *h, u64 gpa, u64 len)
{
	io_mmio_unmap(machine_host_of(h)->io, gpa, len);
}

static int ioeventfd_set(const struct machine_host *mh, u64 gpa, int fd, u32 flags)
{
	/* Length 0: a write of any width rings, as virtio allows and as is fastest on Intel. */
	struct kvm_ioeventfd d = { .addr = gpa, .len = 0, .fd = fd, .flags = flags };

	return ioctl(mh->vm, KVM_IOEVENTFD, &d) ? -errno : 0;
}

static int host_ioeventfd_add(struct host *h, u64 gpa, int fd)
{
	return ioeventfd_set(machine_host_of(h), gpa, fd, 0);
}

static void host_ioeventfd_del(struct host *h, u64 gpa, int fd)
{
	ioeventfd_set(machine_host_of(h), gpa, fd, KVM_IOEVENTFD_FLAG_DEASSIGN);
}

static void host_power(struct host *h, enum host_power what, const char *why)
{
	const struct machine_host *mh = machine_host_of(h);

	mh->power(mh->power_arg, what, why);
}

static int host_thread_start_op(struct host *h, struct host_thread *t)
{
	return threads_start(machine_host_of(h)->threads, t);
}

static void host_thread_stop_op(struct host *h, struct host_thread *t)
{
	threads_stop(machine_host_of(h)->threads, t);
}

const struct host_ops machine_host_ops = {
	.ram = host_ram,
	.ram_region = host_ram_region,
	.ram_discard = host_ram_discard,
	.irq_line = host_irq_line,
	.msi_alloc = host_msi_alloc,
	.msi_route = host_msi_route,
	.msi_send = host_msi_send,
	.msi_free = host_msi_free,
	.msi_bind = host_msi_bind,
	.msi_unbind = host_msi_unbind,
	.pio_add = host_pio_add,
	.mmio_map = host_mmio_map,
	.mmio_unmap = host_mmio_unmap,
	.ioeventfd_add = host_ioeventfd_add,
	.ioeventfd_del = host_ioeventfd_del,
	.power = host_power,
	.thread_start = host_thread_start_op,
	.thread_stop = host_thread_stop_op,
};
