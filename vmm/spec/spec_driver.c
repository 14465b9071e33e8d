// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parses the text form of a driver that is to be loaded (--driver):
 * SESSION[/INSTANCE]:FILE.ko[,param=value]...
 *
 * Parameters end up as insmod would give them to the kernel, whose own parser takes quotes. Behind
 * a blank, as in "a:x.ko p=1 q=\"x y\"", they are taken word for word. Behind a comma they are a
 * list: a comma parts two of them if a name and a '=' follow it, so that an array keeps its own,
 * and never within quotes.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/name_chars.h"
#include "vmm/spec/spec_text.h"

/*
 * Returns true if parameters begin at @at: at a comma, or at the blank behind a driver file's
 * suffix.
 */
static bool driver_params_begin(const char *text, const char *at)
{
	static const char *const suffixes[] = { ".ko", ".ko.gz", ".ko.xz", ".ko.zst" };
	size_t before = (size_t)(at - text);

	for (size_t i = 0; i < ARRAY_SIZE(suffixes); i++) {
		size_t len = strlen(suffixes[i]);

		if (before > len && !memcmp(at - len, suffixes[i], len))
			return true;
	}
	return *at == ',';
}

/* Returns true if @s begins with NAME=. */
static bool begins_parameter(const char *s)
{
	size_t len = name_chars_len(s, NAME_FILE);

	return len && s[len] == '=';
}

/*
 * Turns the text behind FILE, which begins with a comma or a blank, into the parameters for the
 * kernel, in place. -EINVAL: a quote is not closed, or the text has more than one line.
 */
static int driver_params(char *s, const char *what, const char *text, struct err *e)
{
	bool list = *s == ',', quoted = false;

	for (char *p = s; *p; p++) {
		if (*p == '\n')
			return err_set(e, -EINVAL, "%s %s: parameters are one line", what, text);
		if (*p == '"')
			quoted = !quoted;
		else if (list && *p == ',' && !quoted && begins_parameter(p + 1))
			*p = ' ';
	}
	if (quoted)
		return err_set(e, -EINVAL, "%s %s: a quote in the parameters is not closed", what,
			       text);
	memmove(s, s + 1, strlen(s));
	return 0;
}

int spec_parse_driver(struct spec_driver *d, const char *what, const char *text, struct err *e)
{
	const char *colon = strchr(text, ':');
	const char *slash = colon ? memchr(text, '/', (size_t)(colon - text)) : NULL;
	const char *session_end = slash ? slash : colon;
	size_t len = colon ? spec_file_len(colon + 1, ", ", driver_params_begin) : 0;
	const char *rest = colon ? colon + 1 + len : NULL;

	memset(d, 0, sizeof(*d));
	if (!len || session_end == text || (slash && slash + 1 == colon))
		return err_set(e, -EINVAL,
			       "%s %s: want SESSION:FILE.ko[,param=value]..., or "
			       "SESSION/INSTANCE:FILE.ko to load one file twice",
			       what, text);
	d->session = strndup(text, (size_t)(session_end - text));
	d->instance = slash ? strndup(slash + 1, (size_t)(colon - slash - 1)) : NULL;
	d->path = strndup(colon + 1, len);
	d->params = *rest && rest[1] ? strdup(rest) : NULL;
	if (!d->session || !d->path || (slash && !d->instance) || (*rest && rest[1] && !d->params))
		return err_set(e, -ENOMEM, "out of memory");
	return d->params ? driver_params(d->params, what, text, e) : 0;
}

int spec_take_driver(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	struct spec_driver *d = &s->drivers[s->n_drivers];
	char *path;
	int ret;

	if (s->n_drivers == SPEC_MAX_DRIVERS)
		return err_set(e, -EINVAL, "--driver %s: at most %d drivers", text,
			       SPEC_MAX_DRIVERS);
	s->n_drivers++;
	ret = spec_parse_driver(d, "--driver", text, e);
	if (ret)
		return ret;
	path = spec_path_below(base, d->path);
	if (!path)
		return err_set(e, -ENOMEM, "out of memory");
	free(d->path);
	d->path = path;
	return 0;
}
