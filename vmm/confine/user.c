// SPDX-License-Identifier: GPL-2.0-only
/* Finds the user and group that a confined process becomes. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "vmm/confine/confine_int.h"

#define PASSWD_MAX 65536

/*
 * Returns the first 64 KiB of /etc/passwd, where the users of the system are, with a NUL; or NULL.
 */
static char *read_passwd(void)
{
	int fd = open("/etc/passwd", O_RDONLY | O_CLOEXEC);
	char *text = fd < 0 ? NULL : malloc(PASSWD_MAX);
	ssize_t n = text ? read(fd, text, PASSWD_MAX - 1) : -1;

	if (fd >= 0)
		close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	return text;
}

/*
 * Parses an id, "123"; *end is behind it. False: no number that an id can have (-1 is "no change").
 */
static bool parse_id(const char *s, unsigned *out, const char **end)
{
	unsigned long v;
	char *after;

	if (*s < '0' || *s > '9')
		return false;
	errno = 0;
	v = strtoul(s, &after, 10);
	if (errno || v >= UINT32_MAX)
		return false;
	*out = (unsigned)v;
	*end = after;
	return true;
}

/* Finds @name in lines of the form NAME:password:UID:GID:... */
static bool passwd_look_up(const char *passwd, const char *name, unsigned *uid, unsigned *gid)
{
	size_t len = strlen(name);

	for (const char *line = passwd; line && *line; line = strchr(line, '\n')) {
		const char *at;

		line += *line == '\n';
		if (strncmp(line, name, len) != 0 || line[len] != ':')
			continue;
		at = line + len + 1;
		at += strcspn(at, ":\n");
		if (*at == ':' && parse_id(at + 1, uid, &at) && *at == ':' &&
		    parse_id(at + 1, gid, &at) && *at == ':')
			return true;
	}
	return false;
}

static bool parse_numbers(const char *user, unsigned *uid, unsigned *gid)
{
	const char *end;

	if (!parse_id(user, uid, &end))
		return false;
	*gid = *uid;
	return !*end || (*end == ':' && parse_id(end + 1, gid, &end) && !*end);
}

int confine_find_user(struct confine *c, const char *user, struct err *e)
{
	unsigned uid = 0, gid = 0;
	bool found = user && parse_numbers(user, &uid, &gid);
	char *passwd = found ? NULL : read_passwd();

	if (passwd && user)
		found = passwd_look_up(passwd, user, &uid, &gid);
	else if (passwd)
		found = passwd_look_up(passwd, "umbra", &uid, &gid) ||
			passwd_look_up(passwd, "nobody", &uid, &gid);
	free(passwd);
	if (!found && user)
		return err_set(
			e, -ENOENT,
			"--user %s: there is no such user in /etc/passwd; name one of it, or "
			"give UID or UID:GID",
			user);
	if (!found)
		uid = gid = 65534; /* the overflow id, as the kernel has it */
	c->drop = true;
	c->uid = uid;
	c->gid = gid;
	return 0;
}
