/* SPDX-License-Identifier: GPL-2.0-only */
/* Keeps a thread of a test on one CPU. */
#ifndef UMBRA_TESTS_UNIT_DEVICES_PIN_CPU_H
#define UMBRA_TESTS_UNIT_DEVICES_PIN_CPU_H

#include <sched.h>

/* Keeps the calling thread on the @nth CPU, from 0 on, of those in @allowed. */
static inline void pin_to_cpu(const cpu_set_t *allowed, unsigned nth)
{
	unsigned cpu = 0;
	cpu_set_t one;

	for (; cpu < CPU_SETSIZE - 1; cpu++)
		if (CPU_ISSET(cpu, allowed) && !nth--)
			break;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
}

#endif
