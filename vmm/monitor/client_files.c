// SPDX-License-Identifier: GPL-2.0-only
/* Closes files that clients have passed, and those of the guest at its end, without waiting. */
#include "vmm/machine/closer.h"
#include "vmm/monitor/monitor_int.h"

/* How many descriptors of clients an end still closes that come while it waits. */
#define LATE_MAX 64

void monitor_close_file(struct monitor *mon, int fd, const char *file)
{
	closer_close(mon->closer, fd, file);
}

struct closer *monitor_closer(const struct monitor *mon)
{
	return mon->closer;
}

void monitor_begin_end(struct monitor *mon)
{
	if (mon->control)
		control_drop_fds(mon->control);
	closer_limit(mon->closer, LATE_MAX);
}

bool monitor_is_closing(struct monitor *mon)
{
	return closer_is_busy(mon->closer);
}

void monitor_leave_files(struct monitor *mon)
{
	closer_limit(mon->closer, 0);
}
