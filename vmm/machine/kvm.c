// SPDX-License-Identifier: GPL-2.0-only
/* Opens /dev/kvm and asks it for the capability that a machine needs. */
#include "vmm/machine/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/install_path.h"

#define KVM_DEVICE   "/dev/kvm"
#define KVM_SYNC_X86 (KVM_SYNC_X86_REGS | KVM_SYNC_X86_SREGS)

int kvm_open(struct err *e)
{
	int fd = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);
	int ret;

	if (fd < 0) {
		ret = -errno;
		if (ret == -ENOENT || ret == -ENODEV || ret == -ENXIO)
			return err_set(e, -ENODEV,
				       KVM_DEVICE
				       ": this machine offers no KVM (%s); load kvm-intel or "
				       "kvm-amd, enable virtualization in its firmware, or use "
				       "%s",
				       strerror(-ret),
				       install_is_source_tree() ? "tools/lab"
								: "the lab of Umbra's source tree");
		if (ret == -EACCES || ret == -EPERM)
			return err_set(e, ret,
				       KVM_DEVICE
				       ": permission denied for user %u; add the user to the "
				       "group kvm (adduser USER kvm) and log in again",
				       (unsigned)geteuid());
		return err_set(e, ret, KVM_DEVICE ": cannot open: %s", strerror(-ret));
	}
	return fd;
}

int kvm_check(int kvm, struct err *e)
{
	int have = ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_SYNC_REGS), version;

	if (have > 0 && (have & KVM_SYNC_X86) == KVM_SYNC_X86)
		return 0;
	version = ioctl(kvm, KVM_GET_API_VERSION, 0);
	if (version < 0)
		return err_set(e, -ENODEV, KVM_DEVICE ": is not KVM (%s)", strerror(errno));
	if (version != KVM_API_VERSION)
		return err_set(e, -ENODEV, KVM_DEVICE ": speaks version %d of the API, not %d",
			       version, KVM_API_VERSION);
	return err_set(e, -EOPNOTSUPP,
		       KVM_DEVICE ": this KVM has no synchronized registers (KVM_CAP_SYNC_REGS); "
				  "a Linux 4.17 or newer has them");
}
