// SPDX-License-Identifier: GPL-2.0-only
#include "vmm/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define KVM_DEVICE "/dev/kvm"

int kvm_open(struct err *e)
{
	int fd = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);
	int version, ret;

	if (fd < 0) {
		ret = -errno;
		if (ret == -ENOENT || ret == -ENODEV || ret == -ENXIO)
			return err_set(e, -ENODEV,
				       KVM_DEVICE
				       ": this machine offers no KVM (%s); load kvm-intel or "
				       "kvm-amd, enable virtualization in its firmware, or use "
				       "tools/lab",
				       strerror(-ret));
		if (ret == -EACCES || ret == -EPERM)
			return err_set(e, ret,
				       KVM_DEVICE
				       ": permission denied for user %u; add the user to the "
				       "group kvm (adduser USER kvm) and log in again",
				       (unsigned)geteuid());
		return err_set(e, ret, KVM_DEVICE ": cannot open: %s", strerror(-ret));
	}
	version = ioctl(fd, KVM_GET_API_VERSION, 0);
	if (version == KVM_API_VERSION)
		return fd;
	if (version < 0)
		ret = err_set(e, -ENODEV, KVM_DEVICE ": is not KVM (%s)", strerror(errno));
	else
		ret = err_set(e, -ENODEV, KVM_DEVICE ": speaks version %d of the API, not %d",
			      version, KVM_API_VERSION);
	close(fd);
	return ret;
}

int kvm_check(int kvm, struct err *e)
{
	static const struct {
		int cap;
		int bits; /* of the answer that must be set; 0: any answer but 0 */
		const char *name;
	} need[] = {
		{ KVM_CAP_IRQCHIP, 0, "an in-kernel interrupt controller (KVM_CAP_IRQCHIP)" },
		{ KVM_CAP_IRQFD, 0, "interrupts by eventfd (KVM_CAP_IRQFD)" },
		{ KVM_CAP_IOEVENTFD, 0, "doorbells by eventfd (KVM_CAP_IOEVENTFD)" },
		{ KVM_CAP_IRQ_ROUTING, 0, "interrupt routing (KVM_CAP_IRQ_ROUTING)" },
		{ KVM_CAP_READONLY_MEM, 0, "read-only memory slots (KVM_CAP_READONLY_MEM)" },
		{ KVM_CAP_IMMEDIATE_EXIT, 0, "immediate exit (KVM_CAP_IMMEDIATE_EXIT)" },
		{ KVM_CAP_SYNC_REGS, KVM_SYNC_X86_REGS,
		  "synchronized registers (KVM_CAP_SYNC_REGS)" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(need); i++) {
		int have = ioctl(kvm, KVM_CHECK_EXTENSION, need[i].cap);

		if (have <= 0 || (have & need[i].bits) != need[i].bits)
			return err_set(e, -EOPNOTSUPP,
				       KVM_DEVICE
				       ": this KVM has no %s; a Linux 4.17 or newer has it",
				       need[i].name);
	}
	return 0;
}

int kvm_run_size(int kvm)
{
	int size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (size < 0)
		return -errno;
	return (size_t)size < sizeof(struct kvm_run) ? -EINVAL : size;
}
