// SPDX-License-Identifier: GPL-2.0-only
/* Closes files that clients have passed, or that nothing was written to, without waiting. */
#include <unistd.h>

#include "vmm/machine/closer.h"
#include "vmm/monitor/monitor_int.h"

void monitor_close_file(struct monitor *mon, int fd, const char *file)
{
	if (mon->closer)
		closer_close(mon->closer, fd, file);
	else
		close(fd);
}

void monitor_await_clients(struct monitor *mon)
{
	if (!mon->control)
		return;
	control_drop_fds(mon->control);
	closer_await(mon->closer);
}
