/* SPDX-License-Identifier: GPL-2.0-only */
/* Names what a supervisor listens to beside its VMM, for those who start it and for itself. */
#ifndef UMBRA_VMM_CONFINE_CONFINE_NEWS_H
#define UMBRA_VMM_CONFINE_CONFINE_NEWS_H

/*
 * A pipe, not blocking, over which the VMM tells its caller's other half in the supervisor
 * something, and what the supervisor calls then, to read it: after a write, and at the VMM's end.
 * What comes is not to be believed: a guest may have taken over the VMM. fn == NULL: none.
 */
struct confine_news {
	int fd;
	void (*fn)(void *arg);
	void *arg;
};

#endif
