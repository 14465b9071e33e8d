// SPDX-License-Identifier: GPL-2.0-only
/* Gives up rights, one layer at a time. */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "vmm/confine/confine_int.h"

/*
 * Where a new root is mounted: a directory that is there, for /dev/kvm was just opened. Only this
 * process sees the mount.
 */
#define ROOT_AT "/dev"

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

	/* If the host refuses one of them, all are refused: then they are tried one by one. */
	for (size_t i = 0; i < ARRAY_SIZE(each); i++)
		if (flags & each[i].flag)
			c->why[each[i].layer] = all || !unshare(each[i].flag) ? 0 : errno;
}

/*
 * Enters the mount at the working directory as the root, and leaves the old one, which lands on top
 * of it and goes. Where the root cannot be pivoted (an initramfs), a change of root does as well
 * for a process without capabilities. 0 or errno.
 */
static int root_enter(void)
{
	if (syscall(SYS_pivot_root, ".", "."))
		return chroot(".") ? errno : 0;
	return umount2(".", MNT_DETACH) ? errno : 0;
}

void confine_empty_root(struct confine *c)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RDONLY;

	if (c->why[LAYER_MOUNT])
		return;
	/*
	 * Later unmounts of the host must reach the copy of the mounts, and unmounts in the copy
	 * not the host.
	 */
	mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
	if (mount("umbra", ROOT_AT, "tmpfs", flags, "size=4k,nr_inodes=1,mode=0555") ||
	    chdir(ROOT_AT))
		c->why[LAYER_MOUNT] = errno;
	else
		c->why[LAYER_MOUNT] = root_enter();
}

int confine_freeze_mounts(void)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			    MOUNT_ATTR_NOEXEC,
		.propagation = MS_SLAVE,
	};

	return mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &attr, sizeof(attr)) ? errno : 0;
}

/*
 * Makes the resolv.conf of the root to be, which is the working directory. The descriptor for
 * writing belongs to another mount of the same tmpfs, for this one becomes read-only. 0 or errno.
 */
static int root_add_resolv(int *resolv)
{
	int ret = 0, twin;

	if (mkdir("etc", 0755))
		return errno;
	twin = open_tree(AT_FDCWD, ".", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (twin < 0)
		return errno;
	*resolv = openat(twin, "etc/resolv.conf", O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (*resolv < 0)
		ret = errno;
	close(twin);
	return ret;
}

/*
 * Attaches the mount @tree at @dir, a real path, of the root to be, which is the working directory.
 * 0 or errno.
 */
static int root_attach(int tree, const char *dir)
{
	char path[PATH_MAX];
	size_t len = strlen(dir);

	if (*dir != '/' || len >= sizeof(path))
		return EINVAL;
	memcpy(path, dir, len + 1);
	for (char *at = path + 1, *slash; at; at = slash ? slash + 1 : NULL) {
		slash = strchr(at, '/');
		if (slash)
			*slash = '\0';
		if (mkdir(path + 1, 0755) && errno != EEXIST)
			return errno;
		if (slash)
			*slash = '/';
	}
	return move_mount(tree, "", AT_FDCWD, path + 1, MOVE_MOUNT_F_EMPTY_PATH) ? errno : 0;
}

/*
 * Builds the helper's root and enters it. 0 or errno; until the old root is left, an error leaves
 * all visible that was.
 */
static int network_root(const char *dir, int *resolv)
{
	const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
	int tree = -1, ret = 0;

	mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL);
	/* The tree is opened first, for it may lie below what is mounted next. */
	if (dir) {
		tree = open_tree(AT_FDCWD, dir, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
		if (tree < 0)
			return errno;
	}
	umask(022);
	if (mount("umbra", ROOT_AT, "tmpfs", flags, "size=64k,mode=0755") || chdir(ROOT_AT))
		ret = errno;
	if (!ret)
		ret = root_add_resolv(resolv);
	if (!ret && dir)
		ret = root_attach(tree, dir);
	if (tree >= 0)
		close(tree);
	return ret ? ret : root_enter();
}

void confine_network_root(struct confine *c, const char *dir, int *resolv)
{
	int frozen;

	*resolv = -1;
	if (c->why[LAYER_MOUNT])
		return;
	/* All of the file system stays visible if @dir is "/". */
	if (!dir || strcmp(dir, "/") != 0)
		c->why[LAYER_MOUNT] = network_root(dir, resolv);
	/* The visible mounts become read-only, even if the old root stays. */
	frozen = confine_freeze_mounts();
	if (c->why[LAYER_MOUNT] && *resolv >= 0) {
		close(*resolv);
		*resolv = -1;
	}
	if (!c->why[LAYER_MOUNT])
		c->why[LAYER_MOUNT] = frozen;
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
