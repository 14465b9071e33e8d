// SPDX-License-Identifier: GPL-2.0-only
/* Checks whether a text is a name in a name space, and makes names from a template. */
#include <ctype.h>
#include <errno.h>
#include <string.h>

#include "policy/policy_int.h"

size_t name_space_max(enum name_space space)
{
	switch (space) {
	case SPACE_NET:
		return 15; /* IFNAMSIZ - 1 */
	case SPACE_MODULE:
	case SPACE_LINK:
		return 55;   /* MODULE_NAME_LEN - 1, as long as `ip link add type` can ask for */
	case SPACE_FIRMWARE: /* a PATH_MAX has the kernel's directories in front */
	case SPACE_MISC:
	case SPACE_PROC:
	case SPACE_SYSCTL:
	case SPACE_DEBUGFS:
	case SPACE_KOBJECT:
	case SPACE_CLASS:
	case SPACE_DEVICE:
	case SPACE_BUS:
	case SPACE_DRIVER:
	case SPACE_FILESYSTEM:
	case SPACE_CACHE:
		return 255; /* NAME_MAX: it becomes an entry of /sys, /dev or /proc */
	case SPACE_DISK:
		return 31; /* DISK_NAME_LEN - 1 */
	case SPACE_SCHED:
	case SPACE_CONGESTION:
	case SPACE_FAMILY:
	case SPACE_BLKDEV:
		return 15; /* IFNAMSIZ, TCP_CA_NAME_MAX, GENL_NAMSIZ, BLKDEV_MAJOR's name, - 1 */
	case SPACE_CHRDEV:
	case SPACE_NLS:
		return 63; /* the name of struct char_device_struct, - 1 */
	case SPACE_KEY:
	case SPACE_PROTOCOL:
		return 31; /* as long as add_key(2) can ask for; the name of struct proto, - 1 */
	case SPACE_NONE:
	case SPACE_FILE:
	case SPACE_THREAD: /* kept in full since 5.17; ps shows the first 15 bytes */
	case SPACE_PROGRAM:
	case SPACE_EXPORT:
	case SPACE_PATH:
	case SPACE_TEXT:
	case SPACES:
	default:
		return REQUEST_NAME_MAX - 1;
	}
}

/*
 * Checks @name as dev_valid_name() of the kernel does. A % stays: the kernel checks it and fills in
 * %d.
 */
static bool net_is_valid(const char *name)
{
	if (!*name || !strcmp(name, ".") || !strcmp(name, ".."))
		return false;
	for (; *name; name++) {
		if (*name == '/' || *name == ':' || isspace((unsigned char)*name))
			return false;
	}
	return true;
}

/*
 * Checks that no part of @name between @separators is empty or "..", which would leave the
 * directory that a template sets in front; nor ".", unless @dot.
 */
static bool parts_are_valid(const char *name, const char *separators, bool dot)
{
	for (;;) {
		size_t len = strcspn(name, separators);

		if (!len || (len == 1 && name[0] == '.' && !dot) ||
		    (len == 2 && name[0] == '.' && name[1] == '.'))
			return false;
		name += len;
		if (!*name++)
			return true;
	}
}

bool name_is_valid(enum name_space space, const char *name)
{
	switch (space) {
	case SPACE_NET:
		return net_is_valid(name);
	case SPACE_MISC: /* a slash is a directory below /dev; sysfs writes an exclamation mark */
	case SPACE_KOBJECT:
	case SPACE_CLASS:
	case SPACE_DEVICE:
	case SPACE_BUS:
	case SPACE_DRIVER:
	case SPACE_DISK:
	case SPACE_CACHE:
		return parts_are_valid(name, "/!", false);
	case SPACE_PROC:
	case SPACE_SYSCTL:
		return parts_are_valid(name, "/", false);
	case SPACE_DEBUGFS:
		return parts_are_valid(name, "/", false) && !strchr(name, '/');
	case SPACE_FIRMWARE: /* a file below the kernel's directories of firmware */
		return parts_are_valid(name, "/", true);
	case SPACE_NONE:
	case SPACE_FILE:
	case SPACE_LINK:
	case SPACE_THREAD:
	case SPACE_PROGRAM:
	case SPACE_EXPORT:
	case SPACE_MODULE:
	case SPACE_FILESYSTEM:
	case SPACE_SCHED:
	case SPACE_CONGESTION:
	case SPACE_FAMILY:
	case SPACE_CHRDEV:
	case SPACE_BLKDEV:
	case SPACE_NLS:
	case SPACE_KEY:
	case SPACE_PROTOCOL:
	case SPACE_PATH:
	case SPACE_TEXT:
	case SPACES:
	default:
		return true;
	}
}

/* Appends @text with each %i replaced by @driver; false: longer than @max. */
static bool append_filled(char *out, size_t *len, size_t max, const char *text, const char *driver)
{
	while (*text) {
		bool hole = text[0] == '%' && text[1] == 'i';
		const char *from = hole ? driver : text;
		size_t n = hole ? strlen(driver) : 1;

		if (n > max - *len)
			return false;
		memcpy(out + *len, from, n);
		*len += n;
		text += hole ? 2 : 1;
	}
	return true;
}

/* Returns how much of @name are directories that stay: a name of /proc is that of its last one. */
static size_t directories_of(enum name_space space, const char *name)
{
	const char *last = NULL;

	if (space == SPACE_PROC || space == SPACE_SYSCTL)
		last = strrchr(name, '/');
	return last ? (size_t)(last + 1 - name) : 0;
}

int name_format(const struct name_template *t, enum name_space space, const char *driver,
		const char *name, char *out)
{
	size_t name_len = strnlen(name, REQUEST_NAME_MAX), max = name_space_max(space), len;

	if (name_len > max)
		return -ENAMETOOLONG;
	if (!name_is_valid(space, name))
		return -EINVAL;
	len = directories_of(space, name);
	memcpy(out, name, len);
	name += len;
	name_len -= len;
	if (!append_filled(out, &len, max, t->before, driver) || name_len > max - len)
		return -ENAMETOOLONG;
	memcpy(out + len, name, name_len);
	len += name_len;
	if (!append_filled(out, &len, max, t->after, driver))
		return -ENAMETOOLONG;
	out[len] = '\0';
	return name_is_valid(space, out) ? 0 : -EINVAL;
}
