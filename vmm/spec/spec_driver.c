// SPDX-License-Identifier: GPL-2.0-only
/* SESSION[/INSTANCE]:FILE.ko[,param=value]...: the text form of a driver that is to be loaded. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/spec/spec_text.h"

int spec_parse_driver(struct spec_driver *d, const char *what, const char *text, struct err *e)
{
	const char *colon = strchr(text, ':');
	const char *slash = colon ? memchr(text, '/', (size_t)(colon - text)) : NULL;
	const char *session_end = slash ? slash : colon;
	const char *path, *comma;

	memset(d, 0, sizeof(*d));
	if (!colon || session_end == text || (slash && slash + 1 == colon) || !colon[1] ||
	    colon[1] == ',')
		return err_set(e, -EINVAL,
			       "%s %s: want SESSION:FILE.ko[,param=value]..., or "
			       "SESSION/INSTANCE:FILE.ko to load one file twice",
			       what, text);
	path = colon + 1;
	comma = strchr(path, ',');
	d->session = strndup(text, (size_t)(session_end - text));
	d->instance = slash ? strndup(slash + 1, (size_t)(colon - slash - 1)) : NULL;
	d->path = comma ? strndup(path, (size_t)(comma - path)) : strdup(path);
	d->params = comma && comma[1] ? strdup(comma + 1) : NULL;
	if (!d->session || !d->path || (slash && !d->instance) || (comma && comma[1] && !d->params))
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

void spec_driver_free(struct spec_driver *d)
{
	free(d->session);
	free(d->instance);
	free(d->path);
	free(d->params);
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
