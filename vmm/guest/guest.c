// SPDX-License-Identifier: GPL-2.0-only
/* Assembles a guest from its spec, and frees it. */
#include "vmm/guest/guest.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/socket_file.h"
#include "vmm/control/control.h"
#include "vmm/guest/guest_boot.h"
#include "vmm/guest/guest_dump.h"
#include "vmm/guest/guest_int.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine.h"
#include "vmm/monitor/monitor.h"

_Static_assert(SPEC_MAX_CPUS == LAYOUT_MAX_CPUS, "a spec may ask for what a machine has");
/* NOLINTNEXTLINE(misc-redundant-expression): two names of one number, today */
_Static_assert(SPEC_MIN_MEMORY == LAYOUT_MEM_MIN, "a spec may ask for what a machine has");

static int keep_descriptor(void *arg, int fd, const char *what, struct err *e)
{
	if (!descriptors_keep(arg, fd))
		return 0;
	return err_set(e, -EBADF,
		       "%s: descriptor %d is not open; the process that starts vmm passes it", what,
		       fd);
}

/* Opens everything that the spec names, and parses nothing. */
static int guest_open(struct guest *g, struct err *e)
{
	const struct guest_spec *s = g->spec;
	int ret = guest_block_signals(g, e);

	if (!ret && g->c.inherited)
		ret = guest_spec_descriptors(s, keep_descriptor, g->c.inherited, e);

	if (!ret && !s->firmware)
		ret = guest_boot_create(&g->boot, s, &g->c.front.notes, e);
	if (!ret)
		ret = guest_create_parts(g, e);
	if (ret)
		return ret;
	if (s->paused && machine_pause(g->m))
		return err_set(e, -EMFILE, "cannot hold the guest back (--paused)");
	return 0;
}

static int guest_assemble(struct guest *g, struct err *e)
{
	int ret = guest_open(g, e);

	if (!ret)
		ret = guest_confine(g, e);
	if (!ret)
		ret = guest_start_parts(g, e);
	if (!ret)
		ret = guest_watch_signals(g, e);
	return ret ? ret : guest_ready(g, e);
}

/* Takes back what a start that failed has made, where no supervisor does. */
static void guest_discard(struct guest *g)
{
	const char *record = !g->confined && g->record ? g->spec->record : NULL;
	struct socket_id id;
	bool made = record && !unused_file_id(record, &id);

	guest_destroy(g);
	if (made)
		unused_file_remove(record, &id);
}

int guest_create(struct guest **out, const struct guest_config *c, struct err *e)
{
	struct guest *g = calloc(1, sizeof(*g));
	int ret;

	if (!g) {
		if (c->front.start_failed)
			c->front.start_failed(c->front.arg, "out of memory");
		return err_set(e, -ENOMEM, "out of memory");
	}
	g->c = *c;
	g->spec = c->spec;
	g->signals = g->started_timer = -1;
	ret = guest_assemble(g, e);
	if (ret) {
		if (c->front.start_failed)
			c->front.start_failed(c->front.arg, e->text);
		if (g->monitor)
			control_refuse(monitor_control(g->monitor), e);
		guest_discard(g);
		return ret;
	}
	*out = g;
	return 0;
}

struct machine *guest_machine(const struct guest *g)
{
	return g->m;
}

void guest_destroy(struct guest *g)
{
	if (!g)
		return;
	if (g->m && !g->ended)
		guest_end(g, NULL);
	guest_dump_destroy(g->dump, g->confined);
	guest_boot_destroy(g->boot);
	machine_destroy(g->m);
	if (g->signals >= 0)
		close(g->signals);
	free(g);
}
