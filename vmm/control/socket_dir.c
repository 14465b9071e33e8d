// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds the directory of the control sockets: /run/umbra for root, one below $XDG_RUNTIME_DIR for
 * others. Without that variable, as after su, it is /run/user/UID if that is there, else
 * /tmp/umbra-UID, which another user could have prepared: it counts only if it is the user's alone.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "vmm/control/socket_dir.h"

bool control_name_ok(const char *name)
{
	return name_chars_only(name, NAME_FILE, CONTROL_NAME_MAX) && *name != '.';
}

static bool stat_is_own_dir(const struct stat *st, uid_t uid)
{
	return S_ISDIR(st->st_mode) && st->st_uid == uid && !(st->st_mode & 022);
}

static bool dir_is_own(const char *dir, uid_t uid)
{
	struct stat st;

	return !lstat(dir, &st) && stat_is_own_dir(&st, uid);
}

int control_dir(char **out, bool create, struct err *e)
{
	const char *runtime = getenv("XDG_RUNTIME_DIR");
	uid_t uid = (uid_t)getauxval(AT_EUID); /* no system call */
	char login[32];
	struct stat st;
	char *dir = NULL;
	int n, ret;

	snprintf(login, sizeof(login), "/run/user/%u", uid);
	if (uid && (!runtime || *runtime != '/') && dir_is_own(login, uid))
		runtime = login;
	if (uid && (!runtime || *runtime != '/'))
		n = asprintf(&dir, "/tmp/umbra-%u", uid);
	else
		n = asprintf(&dir, "%s/umbra", uid ? runtime : "/run");
	if (n < 0)
		return err_set(e, -ENOMEM, "out of memory");
	ret = lstat(dir, &st) ? -errno : 0;
	if (ret == -ENOENT && create) {
		ret = mkdir(dir, 0700) && errno != EEXIST ? -errno : 0;
		if (!ret)
			ret = lstat(dir, &st) ? -errno : 0;
	} else if (ret == -ENOENT) {
		*out = dir;
		return 0;
	}
	if (ret) {
		err_set(e, ret, "directory of the control sockets %s: %s", dir, strerror(-ret));
		free(dir);
		return ret;
	}
	/* A directory that another user can write could hold that user's sockets. */
	if (!stat_is_own_dir(&st, uid)) {
		err_set(e, -EPERM,
			"%s is not a directory of yours alone; remove it, or set XDG_RUNTIME_DIR to "
			"one that is",
			dir);
		free(dir);
		return -EPERM;
	}
	*out = dir;
	return 0;
}

int control_path(char **out, const char *name, bool create_dir, struct err *e)
{
	char *dir = NULL;
	int ret;

	if (!control_name_ok(name))
		return err_set(e, -EINVAL, "guest name \"%s\": " CONTROL_NAME_WANT, name,
			       CONTROL_NAME_MAX);
	ret = control_dir(&dir, create_dir, e);
	if (ret)
		return ret;
	ret = asprintf(out, "%s/%s.sock", dir, name) < 0 ? err_set(e, -ENOMEM, "out of memory") : 0;
	free(dir);
	return ret;
}
