// SPDX-License-Identifier: GPL-2.0-only
/* Initializes and frees a guest's description, and keeps the strings that it owns. */
#include "vmm/spec/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/spec/spec_text.h"

#define DEFAULT_MEMORY (256ULL << 20)

void guest_spec_init(struct guest_spec *s)
{
	memset(s, 0, sizeof(*s));
	s->append = "";
	s->memory = DEFAULT_MEMORY;
	s->cpus = 1;
}

void spec_driver_free(struct spec_driver *d)
{
	free(d->session);
	free(d->instance);
	free(d->path);
	free(d->params);
}

void guest_spec_free(struct guest_spec *s)
{
	for (size_t i = 0; i < s->n_disks; i++) {
		free(s->disks[i].path);
		free(s->disks[i].serial);
	}
	for (size_t i = 0; i < s->n_nets; i++)
		free(s->nets[i].buf);
	for (size_t i = 0; i < s->n_ports; i++)
		free(s->ports[i].name);
	for (size_t i = 0; i < s->n_drivers; i++)
		spec_driver_free(&s->drivers[i]);
	for (size_t i = 0; i < s->n_kept; i++)
		free(s->kept[i]);
	free(s->kept);
}

bool guest_spec_has_sessions(const struct guest_spec *s)
{
	return s->policy || s->n_drivers || s->record;
}

bool guest_spec_shares_memory(const struct guest_spec *s)
{
	bool vhost_user = false;

	for (size_t i = 0; i < s->n_disks; i++)
		vhost_user |= s->disks[i].vhost_user;
	return vhost_user || s->memory_shared;
}

char *guest_spec_keep(struct guest_spec *s, char *text)
{
	char **more = text ? realloc(s->kept, (s->n_kept + 1) * sizeof(*more)) : NULL;

	if (!more) {
		free(text);
		return NULL;
	}
	s->kept = more;
	s->kept[s->n_kept++] = text;
	return text;
}

char *spec_path_below(const char *base, const char *path)
{
	char *joined;

	if (!base || *path == '/')
		return strdup(path);
	return asprintf(&joined, "%s%s", base, path) < 0 ? NULL : joined;
}

const char *guest_spec_path(struct guest_spec *s, const char *base, const char *path)
{
	if (!base || *path == '/')
		return path;
	return guest_spec_keep(s, spec_path_below(base, path));
}
