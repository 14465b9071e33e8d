// SPDX-License-Identifier: GPL-2.0-only
/* Follows the processes that serve a device and that a keeper starts again. */
#include <sys/epoll.h>

#include "vmm/backend/platform_int.h"

void kept_changed(const struct kept *k, bool up)
{
	if (*k->changed)
		(*k->changed)(k->p->hooks.arg, k->i, up);
}

/* Notes that the process has ended. */
void kept_down(struct kept *k, const char *line)
{
	bool was_down = k->state.down;

	note_put(k->p->notes, "%s", line);
	k->state.down = true;
	if (!was_down)
		kept_changed(k, false);
}

void kept_unwatch(struct kept *k)
{
	if (k->watched)
		loop_del(k->p->loop, k->keeper);
	k->watched = false;
}

/* Notes that the keeper has ended, too. */
void kept_gone(struct kept *k, const char *line)
{
	kept_unwatch(k);
	k->state.gone = true;
	kept_down(k, line);
}

/* Watches the keeper of a process that is set up; @fn(@arg) reads its news. -errno. */
int kept_watch(struct kept *k, loop_fn *fn, void *arg)
{
	int ret = loop_add(k->p->loop, k->keeper, EPOLLIN, fn, arg);

	k->watched = !ret;
	return ret;
}
