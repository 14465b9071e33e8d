// SPDX-License-Identifier: GPL-2.0-only
/* Brings paths into one form by their text alone. */
#include <errno.h>
#include <string.h>

#include "policy/path.h"

/* Root, directory and name are joined before anything is taken away: each has its full length. */
struct joined {
	char text[3 * REQUEST_NAME_MAX + 3];
	size_t len;
	size_t floor; /* .. stops here: length of the calling task's root */
};

static bool is_dots(const char *c, size_t len)
{
	return (len == 1 && c[0] == '.') || (len == 2 && c[0] == '.' && c[1] == '.');
}

static void joined_drop_last(struct joined *j)
{
	while (j->len > j->floor && j->text[--j->len] != '/')
		;
}

/* Appends the components of @s, of at most REQUEST_NAME_MAX - 1 bytes; true: ends as a directory */
static bool append_components(struct joined *j, const char *s)
{
	bool dir = false;

	while (*s) {
		size_t len = (size_t)(strchrnul(s, '/') - s);

		if (!len) {
			dir = true;
			s++;
			continue;
		}
		dir = is_dots(s, len);
		if (dir && len == 2) {
			joined_drop_last(j);
		} else if (!dir) {
			j->text[j->len++] = '/';
			memcpy(j->text + j->len, s, len);
			j->len += len;
		}
		s += len;
	}
	return dir;
}

static bool path_fits(const char *s)
{
	return strnlen(s, REQUEST_NAME_MAX) < REQUEST_NAME_MAX;
}

int path_resolve(struct path *p, const char *root, const char *cwd, const char *name)
{
	struct joined j;

	if (!path_fits(name) || (root && !path_fits(root)))
		return -ENAMETOOLONG;
	if (!*name)
		return -ENOENT;
	j.len = j.floor = 0;
	if (root) {
		append_components(&j, root);
		j.floor = j.len;
	}
	if (*name != '/') {
		if (!cwd || *cwd != '/')
			return -EINVAL;
		if (!path_fits(cwd))
			return -ENAMETOOLONG;
		append_components(&j, cwd);
	}
	p->dir = append_components(&j, name);
	p->floor = j.floor;
	if (!j.len)
		j.text[j.len++] = '/';
	if (j.len >= REQUEST_NAME_MAX)
		return -ENAMETOOLONG;
	memcpy(p->text, j.text, j.len);
	p->text[j.len] = '\0';
	p->len = j.len;
	return 0;
}

bool path_is_plain(const char *text)
{
	const char *s = text;

	if (*s != '/' || !path_fits(text))
		return false;
	if (!s[1])
		return true;
	while (*s == '/') {
		size_t len = strcspn(++s, "/");

		if (!len || is_dots(s, len))
			return false;
		s += len;
	}
	return true;
}
