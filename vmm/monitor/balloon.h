/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Gives the properties guest-stats and guest-stats-polling-interval that QEMU 7.2 has of a
 * virtio-balloon device (docs/virtio-balloon-stats.txt there), for whoever answers qom-get and
 * qom-set. balloon.c has the commands and the event, too: balloon {value}, query-balloon,
 * BALLOON_CHANGE, and umbra-memory {refresh} for `vmm memory`.
 *
 * Private to the room. Main thread.
 *
 * A value that the guest does not tell is -1, where QEMU writes 2^64 - 1: jansson's numbers are
 * signed. libvirt reads both as the same number.
 */
#ifndef UMBRA_VMM_MONITOR_BALLOON_H
#define UMBRA_VMM_MONITOR_BALLOON_H

#include <jansson.h>

#include "base/err.h"
#include "base/types.h"

struct balloon_state;
struct monitor;

/* Reads the balloon's state; false: the guest has none. */
bool balloon_look(const struct monitor *mon, struct balloon_state *s);
/* Has the guest a balloon? Else it has no such device, and these properties neither. */
bool balloon_present(const struct monitor *mon);
/*
 * Returns the property guest-stats as a new reference: {stats: {stat-...: N, ...}, last-update: N},
 * the latter in seconds since 1970, 0: never. NULL: no balloon, or no memory.
 */
json_t *balloon_guest_stats(const struct monitor *mon);
/* Returns the property guest-stats-polling-interval, in seconds; 0: no statistics are asked for. */
json_t *balloon_polling_interval(const struct monitor *mon);
/* Sets it. -EINVAL, and a line in QEMU's words: @value is no such number. */
int balloon_set_polling_interval(struct monitor *mon, const json_t *value, struct err *e);

#endif
