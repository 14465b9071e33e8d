/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The session layer as `vmm run` sees it. Order of calls: prepare, initrd, cmdline, (kernel placed
 * and vCPUs ready), start, (guest runs), finish. sessions_finish() follows every successful
 * prepare, also when something between them failed.
 */
#ifndef UMBRA_VMM_SESSION_SESSIONS_H
#define UMBRA_VMM_SESSION_SESSIONS_H

#include "base/err.h"
#include "base/types.h"

struct control;
struct kernel;
struct loop;
struct machine;
struct guest_spec;
struct sessions;

/*
 * Only called if guest_spec_has_sessions(). @k is relocatable or at its link-time address; @kaslr is
 * the shift that it will get.
 */
int sessions_prepare(struct sessions **out, struct machine *m, const struct guest_spec *o,
		     struct kernel *k, u64 kaslr, struct err *e);
/* An archive to put before the user's initrd, page-aligned in guest RAM; owned by @s. */
int sessions_initrd(struct sessions *s, void **prefix, size_t *len);
/* The kernel's command line in place of o->append. Owned by @s. */
const char *sessions_cmdline(const struct sessions *s);
/* Just before the vCPUs start. @c gets the commands about sessions; NULL: there is no socket. */
int sessions_start(struct sessions *s, struct loop *l, struct control *c, struct err *e);
/*
 * After a guest that ended well: did it come so far that all drivers of the command line were
 * loaded? -errno and a line if not.
 */
int sessions_complete(const struct sessions *s, struct err *e);
/* After the vCPUs have ended, before the control socket is closed; frees @s (NULL allowed). -errno: something could not be kept. */
int sessions_finish(struct sessions *s, struct err *e);

#endif
