// SPDX-License-Identifier: GPL-2.0-only
/* Counts what is seen of a driver's imports, and names what is not by what it reaches. */
#include "policy/unseen.h"

#include <stdio.h>
#include <string.h>

const char *unseen_class_name(enum unseen_class c)
{
	static const char *const names[] = { [UNSEEN_FILES] = "files",
					     [UNSEEN_PROGRAMS] = "programs",
					     [UNSEEN_NETWORKS] = "networks",
					     [UNSEEN_DEVICES] = "other devices",
					     [UNSEEN_GUEST] = "the guest" };

	return names[c];
}

/* Returns what a function reaches that has no name: by its own, as the kernel's are chosen. */
static enum unseen_class class_by_name(const char *name)
{
	static const struct {
		const char *part;
		enum unseen_class class;
	} parts[] = {
		{ "sock", UNSEEN_NETWORKS },
		{ "kernel_bind", UNSEEN_NETWORKS },
		{ "kernel_listen", UNSEEN_NETWORKS },
		{ "kernel_connect", UNSEEN_NETWORKS },
		{ "netdev", UNSEEN_NETWORKS },
		{ "rtnl", UNSEEN_NETWORKS },
		{ "net_", UNSEEN_NETWORKS },
		{ "usermodehelper", UNSEEN_PROGRAMS },
		{ "misc_", UNSEEN_DEVICES },
		{ "chrdev", UNSEEN_DEVICES },
		{ "cdev_", UNSEEN_DEVICES },
		{ "tty_", UNSEEN_DEVICES },
		{ "sysfs_", UNSEEN_DEVICES },
		{ "device_", UNSEEN_DEVICES },
		{ "pci_", UNSEEN_DEVICES },
		{ "debugfs_", UNSEEN_GUEST },
		{ "sysctl", UNSEEN_GUEST },
		{ "filesystem", UNSEEN_GUEST },
		{ "filp_", UNSEEN_FILES },
		{ "kernel_read", UNSEEN_FILES },
		{ "kernel_write", UNSEEN_FILES },
		{ "vfs_", UNSEEN_FILES },
		{ "lookup_", UNSEEN_FILES },
		{ "mount", UNSEEN_FILES },
		{ "path", UNSEEN_FILES },
		{ "file", UNSEEN_FILES },
		{ "dentry", UNSEEN_FILES },
		{ "blkdev", UNSEEN_FILES },
		{ "notify_change", UNSEEN_FILES },
		{ "open_exec", UNSEEN_FILES },
		{ "simple_pin_fs", UNSEEN_FILES },
	};

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strstr(name, parts[i].part))
			return parts[i].class;
	return UNSEEN_GUEST;
}

static enum unseen_class class_of(const struct catalog_fn *fn)
{
	switch (fn->space) {
	case SPACE_FILE:
	case SPACE_FIRMWARE:
		return UNSEEN_FILES;
	case SPACE_PROGRAM:
	case SPACE_MODULE:
		return UNSEEN_PROGRAMS;
	case SPACE_NET:
	case SPACE_LINK:
	case SPACE_SCHED:
	case SPACE_CONGESTION:
	case SPACE_FAMILY:
	case SPACE_PROTOCOL:
		return UNSEEN_NETWORKS;
	case SPACE_MISC:
	case SPACE_DEVICE:
	case SPACE_DISK:
	case SPACE_CHRDEV:
	case SPACE_BLKDEV:
	case SPACE_CLASS:
	case SPACE_BUS:
	case SPACE_DRIVER:
		return UNSEEN_DEVICES;
	case SPACE_DEBUGFS:
	case SPACE_FILESYSTEM:
	case SPACE_PROC:
	case SPACE_SYSCTL:
		return UNSEEN_GUEST;
	default:
		return class_by_name(fn->name);
	}
}

void unseen_add(struct unseen *u, const struct catalog_fn *fn, bool seen)
{
	char *names;
	size_t len, room;

	u->imports++;
	u->seen += seen;
	if (seen || !fn)
		return;
	names = u->names[class_of(fn)];
	len = strlen(names);
	room = sizeof(u->names[0]) - len;
	/* Of more than there is room for, that there are more. */
	if (strlen(fn->name) + 8 < room)
		snprintf(names + len, room, "%s%s", len ? ", " : "", fn->name);
	else if (len < 4 || strcmp(names + len - 3, "...") != 0)
		snprintf(names + len, room, ", ...");
}

void unseen_text(const struct unseen *u, char buf[UNSEEN_TEXT])
{
	size_t len =
		(size_t)snprintf(buf, UNSEEN_TEXT, "%zu of %zu imports are seen under this policy",
				 u->seen, u->imports);
	const char *before = "; not seen: ";

	for (int i = 0; i < UNSEEN_CLASSES; i++) {
		if (!u->names[i][0])
			continue;
		len += (size_t)snprintf(buf + len, UNSEEN_TEXT - len, "%s%s (%s)", before,
					u->names[i], unseen_class_name((enum unseen_class)i));
		before = ", ";
	}
}
