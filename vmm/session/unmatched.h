/* SPDX-License-Identifier: GPL-2.0-only */
/* Finds lines of a policy by which nothing will be seen. Private to vmm/session/. */
#ifndef UMBRA_VMM_SESSION_UNMATCHED_H
#define UMBRA_VMM_SESSION_UNMATCHED_H

#include "base/note.h"
#include "vmm/session/session.h"

/* Can calls be seen of an import of the session's drivers that is like @pattern? */
bool session_imports_like(const struct session *ss, const char *pattern);
/* Is a function that they hand out, and that can be watched, like @pattern? */
bool session_hands_out_like(const struct session *ss, const char *pattern);
/*
 * Notes each line of the policy's trace, witness and trace_inward that is like no function of the
 * session's drivers, if it has any: once for each policy in force.
 */
void session_note_unmatched(const struct note_sink *to, struct session *ss);
/* Does so of all sessions. */
void sessions_note_unmatched(struct sessions *s);

#endif
