/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Declares the instructions of each system call filter and the number of calls that it allows, as
 * the build makes them of seccomp/rules.c.
 */
#ifndef UMBRA_VMM_CONFINE_FILTER_H
#define UMBRA_VMM_CONFINE_FILTER_H

#include <linux/filter.h>

#define FILTER(name)                                     \
	extern const struct sock_filter filter_##name[]; \
	extern const unsigned short filter_##name##_len, filter_##name##_calls

FILTER(main);
FILTER(vcpu);
FILTER(block);
FILTER(queue);
FILTER(file);
FILTER(network);
FILTER(dialer);
FILTER(parser);
FILTER(reader);

#undef FILTER

#endif
