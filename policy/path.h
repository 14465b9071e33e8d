/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Brings paths, as drivers ask for them, into one form: absolute, without //, . and .., as seen
 * from the guest's root.
 *
 * This is done by the text alone, since the guest's files can change between a look and the use.
 * It differs from the kernel's own walk where a .. follows a symbolic link or something that is no
 * directory: here "x/.." is always nothing. The path that results is the one that is used, so the
 * difference opens no gap between check and use.
 */
#ifndef UMBRA_POLICY_PATH_H
#define UMBRA_POLICY_PATH_H

#include "policy/policy.h"

struct path {
	char text[REQUEST_NAME_MAX]; /* "/" or "/a/b", no slash at the end */
	size_t len;
	size_t floor; /* bytes of @text that are the calling task's root; 0: it is the guest's */
	bool dir;     /* asked for with a slash (or . or ..) at the end: must be a directory */
};

/*
 * Resolves @name. @root: the calling task's root (NULL: the guest's); .. does not lead out of it.
 * @cwd: the task's directory as it sees it itself, within @root; used if @name is relative.
 * -ENOENT: empty name; -ENAMETOOLONG: no NUL within REQUEST_NAME_MAX or the result has no room;
 * -EINVAL: relative and @cwd is missing or itself not absolute.
 */
int path_resolve(struct path *p, const char *root, const char *cwd, const char *name);

/* Returns true if @text is an absolute path that path_resolve() would not change. */
bool path_is_plain(const char *text);

#endif
