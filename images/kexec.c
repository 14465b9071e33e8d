// SPDX-License-Identifier: GPL-2.0-only
/*
 * kexec KERNEL INITRD CMDLINE: starts another kernel in place of this one, now, by the kernel's own
 * loader (kexec_file_load). Nothing is shut down before. Built static, for guests without
 * libraries.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	int kernel, initrd;

	if (argc != 4) {
		fprintf(stderr, "usage: kexec KERNEL INITRD CMDLINE\n");
		return 2;
	}
	kernel = open(argv[1], O_RDONLY);
	initrd = open(argv[2], O_RDONLY);
	if (kernel < 0 || initrd < 0 ||
	    syscall(SYS_kexec_file_load, kernel, initrd, strlen(argv[3]) + 1, argv[3], 0UL)) {
		fprintf(stderr, "kexec: cannot load %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	reboot(0x45584543); /* LINUX_REBOOT_CMD_KEXEC */
	fprintf(stderr, "kexec: %s\n", strerror(errno));
	return 1;
}
