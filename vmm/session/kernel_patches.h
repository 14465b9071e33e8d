/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Recognizes branches that the guest's kernel itself writes into a driver's text, and tells them
 * apart from the driver's own by where they lead. Everything here is the kernel's state: its
 * exports and their class, its table of paravirtual operations, its static calls, its trampolines
 * for tracing, its probes. The tables in a driver's file, which name places that the kernel
 * patches, are not believed, nor needed.
 */
#ifndef UMBRA_VMM_SESSION_KERNEL_PATCHES_H
#define UMBRA_VMM_SESSION_KERNEL_PATCHES_H

#include "base/err.h"
#include "vmm/session/guest_module.h"

struct kernel_patches;
struct policy_session;

/* Reads what the kernel patches, for one check of @m. -ENOMEM. */
int kernel_patches_read(struct sessions *s, const struct guest_module *m,
			struct kernel_patches **out, struct err *e);
void kernel_patches_free(struct kernel_patches *p);

/*
 * Tells whether a branch, of the driver's text or patched in by the kernel, may lead to @target, an
 * export of the kernel's image. USE_PERMITTED: @ps permits it by name. USE_SPECIAL: text that
 * the shadow has no entry for (thunks and helpers written in assembler), and that is not critical.
 */
enum export_use { USE_NONE, USE_PERMITTED, USE_SPECIAL };
enum export_use kernel_patches_export(const struct kernel_patches *p,
				      const struct policy_session *ps, u64 target);

/*
 * Returns true if the kernel leads a branch at @at of the module to @target: a return or indirect
 * branch thunk, a paravirtual operation, a static call of its own, a trampoline of the function
 * tracer.
 */
bool kernel_patches_lead(const struct kernel_patches *p, u64 at, u64 target);

/*
 * Puts the bytes back that probes stand on. @text is a copy of @m's. Returns how many were there.
 */
size_t kernel_patches_undo_probes(const struct kernel_patches *p, const struct guest_module *m,
				  u8 *text);

#endif
