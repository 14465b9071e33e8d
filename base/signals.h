/* SPDX-License-Identifier: GPL-2.0-only */
/* Asks whether the process's starter had a signal ignored. */
#ifndef UMBRA_BASE_SIGNALS_H
#define UMBRA_BASE_SIGNALS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Returns true if @sig is ignored. A blocked signal is received nevertheless, by sigwaitinfo() or a
 * signalfd, and is to be dropped then: nohup and a shell's "&" mean it. To be called when a signal
 * has come, since most never do.
 */
static inline bool signal_is_ignored(int sig)
{
	struct sigaction now;

	return !sigaction(sig, NULL, &now) && now.sa_handler == SIG_IGN;
}

#endif
