// SPDX-License-Identifier: GPL-2.0-only
/* Gives up rights, one layer at a time. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/confine/confine_int.h"

#define LANDLOCK_VERSION 1U			 /* the flag that asks for it */
#define LANDLOCK_READ	 (1ULL << 2 | 1ULL << 3) /* READ_FILE, READ_DIR */

/* As <linux/landlock.h> of Linux 6.12 has it; Debian 12's is older. */
struct landlock_ruleset {
	u64 fs, net, scoped;
};

struct landlock_beneath {
	u64 allowed;
	s32 fd;
} __attribute__((packed));

void confine_namespaces(struct confine *c, int flags)
{
	static const struct {
		int flag;
		enum layer layer;
	} each[] = {
		{ CLONE_NEWPID, LAYER_PID },
		{ CLONE_NEWNS, LAYER_MOUNT },
		{ CLONE_NEWNET, LAYER_NET },
		{ CLONE_NEWIPC | CLONE_NEWUTS, LAYER_IPC },
	};
	bool all = !unshare(flags);

	/* One by one only where the host limits one of them. */
	for (size_t i = 0; i < ARRAY_SIZE(each); i++)
		if (flags & each[i].flag)
			c->why[each[i].layer] = all || !unshare(each[i].flag) ? 0 : errno;
}

void confine_empty_root(struct confine *c)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;
	/* A directory that is there: /dev/kvm was just opened. Only this process sees the mount. */
	const char *at = "/dev";

	if (c->why[LAYER_MOUNT])
		return;
	/* Later unmounts of the host must reach the copy, and ours not the host. */
	mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
	if (mount("umbra", at, "tmpfs", flags, "size=4k,nr_inodes=1,mode=0555") || chdir(at)) {
		c->why[LAYER_MOUNT] = errno;
		return;
	}
	/*
	 * The old root lands on top of the new one, and goes. Where the root cannot be pivoted (an
	 * initramfs), a change of root does as well for a process without capabilities.
	 */
	if (syscall(SYS_pivot_root, ".", "."))
		c->why[LAYER_MOUNT] = chroot(".") ? errno : 0;
	else if (umount2(".", MNT_DETACH))
		c->why[LAYER_MOUNT] = errno;
}

static void allow_beneath(int ruleset, const char *path)
{
	struct landlock_beneath b = { .allowed = LANDLOCK_READ };

	b.fd = open(path, O_PATH | O_CLOEXEC);
	if (b.fd < 0)
		return;
	if (syscall(SYS_landlock_add_rule, ruleset, 1, &b, 0) && errno == EINVAL) {
		b.allowed = 1ULL << 2; /* a file is no directory */
		syscall(SYS_landlock_add_rule, ruleset, 1, &b, 0);
	}
	close(b.fd);
}

void confine_landlock(struct confine *c, const char *const *paths)
{
	/*
	 * All rights of each ABI, from 1 on: links (2), truncation (3), connecting and binding TCP
	 * (4), ioctls of devices (5), abstract sockets and signals of others (6). With @paths, this
	 * is the network's process, which also connects: it may read files, and TCP stays allowed.
	 */
	static const u16 files[] = { 0x1fff, 0x3fff, 0x7fff, 0x7fff, 0xffff };
	struct landlock_ruleset r = { 0 };
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
	int fd = -1;

	if (abi > 0) {
		r.fs = files[abi < (long)ARRAY_SIZE(files) ? abi - 1 : (long)ARRAY_SIZE(files) - 1];
		r.net = abi >= 4 && !paths ? 3 : 0;
		r.scoped = abi >= 6 ? 3 : 0;
		/*
		 * Fields that an older kernel does not know are zero here, with which it accepts
		 * them.
		 */
		fd = (int)syscall(SYS_landlock_create_ruleset, &r, sizeof(r), 0);
	}
	if (fd < 0) {
		c->why[LAYER_LANDLOCK] = errno;
		return;
	}
	for (; paths && *paths; paths++)
		allow_beneath(fd, *paths);
	c->why[LAYER_LANDLOCK] = syscall(SYS_landlock_restrict_self, fd, 0) ? errno : 0;
	close(fd);
}

int confine_drop(struct confine *c)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	if (c->drop && (setgroups(0, NULL) || setresgid(c->gid, c->gid, c->gid) ||
			setresuid(c->uid, c->uid, c->uid)))
		return -errno;
	c->why[LAYER_USER] = 0;
	memset(sets, 0, sizeof(sets));
	sets[0].effective = sets[0].permitted = c->keep;
	c->why[LAYER_CAPS] = syscall(SYS_capset, &header, sets) ? errno : 0;
	return 0;
}
