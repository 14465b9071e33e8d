/* SPDX-License-Identifier: GPL-2.0-only */
/* Takes a machine's vCPUs out of the guest for a while; machine.h's functions forward to it. */
#ifndef UMBRA_VMM_MACHINE_PAUSE_H
#define UMBRA_VMM_MACHINE_PAUSE_H

#include <stdbool.h>

struct loop;
struct pause;
struct vcpu;

typedef void pause_fn(void *arg);

/*
 * Makes a pause. @vcpus, of @n, is borrowed, and filled in before the first pause_begin(). -ENOMEM.
 */
int pause_create(struct pause **out, struct loop *l, struct vcpu *const *vcpus, unsigned n);
/* Frees the pause, before the loop is destroyed. NULL allowed. */
void pause_destroy(struct pause *p);

/* These do what machine_pause(), machine_resume() and machine_paused() say. Main thread. */
int pause_begin(struct pause *p);
void pause_end(struct pause *p);
bool pause_complete(struct pause *p);
/* Is there a pause, or one under way? Any thread. */
bool pause_wanted(struct pause *p);
/*
 * Sets @fn, which runs on the loop's thread when the last vCPU is out; one owner at a time; NULL
 * gives it back.
 */
void pause_set_hook(struct pause *p, pause_fn *fn, void *arg);
/* Notes, on a vCPU's thread, that it is out of the guest because of pause number @pause. */
void pause_parked(struct pause *p, unsigned pause);

#endif
