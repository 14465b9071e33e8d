/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Puts the user's terminal into raw mode and back. However the process ends, short of SIGKILL, the
 * terminal is as it was: at exit(3), and in the handlers of the signals of a crash.
 *
 * The saved settings are the one piece of global state of the program: a signal handler can reach
 * nothing else.
 */
#ifndef UMBRA_BASE_TERMINAL_H
#define UMBRA_BASE_TERMINAL_H

#include <signal.h>

#include "base/types.h"

/*
 * Notes the settings of @fd, and whether this process is in its foreground. A process calls this
 * before it makes another in a process namespace of its own, in which the foreground cannot be told
 * any more.
 */
void terminal_look(int fd);
/*
 * Prepares raw mode of @fd: notes its settings and arranges that they are restored at the end.
 * -ENOTTY: no terminal; -EBUSY: this process is in the background.
 */
int terminal_prepare(int fd);
/* Returns true after terminal_prepare(): the terminal is or will be raw. */
bool terminal_is_prepared(void);
/*
 * Sets raw mode for @fd, which is prepared if it was not. @own: the terminal opened once more for
 * reading, with O_NONBLOCK, which stays open until terminal_restore(). By it a process in the
 * background, with SIGTTIN blocked, leaves the terminal as it is: -EBUSY; in the foreground the
 * same call sets raw mode, again if another process has changed it. -1: there is none; then any
 * process that reads while there is no key gets 0, also one that takes that for the end. Errors of
 * terminal_prepare().
 */
int terminal_raw(int fd, int own);
/*
 * Adds to @set the signals of job control that a process with a raw terminal blocks. In the
 * background one that reads from its terminal, or changes it, is sent SIGTTIN or SIGTTOU until it
 * stops, which the init of a process namespace never does; with both blocked, reading is an error
 * and changing is allowed. SIGCONT still continues a process; blocked, it is kept for a signalfd.
 */
void terminal_add_job_signals(sigset_t *set);
/* Returns true while the terminal is raw: a line has to end with "\r\n". Any thread. */
bool terminal_is_raw(void);
/*
 * Restores the settings, if terminal_raw() changed them, and no other process group has the
 * terminal. Async-signal-safe.
 */
void terminal_restore(void);
/*
 * Restores the settings that terminal_look() noted, for a parent whose child may have been killed
 * in raw mode, unless another process group has the terminal by now.
 */
void terminal_reset(void);

#endif
