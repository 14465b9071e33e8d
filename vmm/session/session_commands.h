/* SPDX-License-Identifier: GPL-2.0-only */
/* Declares the commands about sessions that the control socket offers. Private to vmm/session/. */
#ifndef UMBRA_VMM_SESSION_SESSION_COMMANDS_H
#define UMBRA_VMM_SESSION_SESSION_COMMANDS_H

struct control;
struct sessions;

/* Adds the commands. @c NULL: there is no control socket, and this does nothing. -ENOMEM. */
int sessions_control_add(struct sessions *s, struct control *c);

#endif
