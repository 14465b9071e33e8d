/* SPDX-License-Identifier: GPL-2.0-only */
/* Puts another policy in force in a guest that runs. Private to vmm/session/. */
#ifndef UMBRA_VMM_SESSION_POLICY_RELOAD_H
#define UMBRA_VMM_SESSION_POLICY_RELOAD_H

#include "base/suggest.h"
#include "vmm/session/session.h"

/*
 * Puts the policy of which @text has @len bytes in force for the next call of every driver; @path
 * is for messages. -ENOENT: it lacks a session that has drivers. -EBUSY: a function would become
 * critical that loaded drivers call directly.
 */
int policy_reload(struct sessions *s, const char *path, const void *text, size_t len,
		  struct err *e);
/*
 * Notes each function that the policy is to have seen and that this kernel does not have, and the
 * sessions in which the layout lets none be seen.
 */
void policy_note_traces(const struct sessions *s);
/*
 * Writes to @buf, which it returns, which of the kernel's exports is nearest to a @name that is
 * none: suggest_hint(). It looks at all of them, so it is for a name that was not found.
 */
const char *policy_trace_hint(const struct kernel *k, const char *name, char buf[SUGGEST_HINT]);

#endif
