/* SPDX-License-Identifier: GPL-2.0-only */
/* Takes a machine's vCPUs out of the guest for a while; machine.h's functions forward to it. */
#ifndef UMBRA_VMM_MACHINE_PAUSE_H
#define UMBRA_VMM_MACHINE_PAUSE_H

#include <stdbool.h>

struct loop;
struct pause;
struct vcpu;

typedef void pause_fn(void *arg);

/* @vcpus, of @n, is borrowed, and filled in before the first pause_begin(). -ENOMEM. */
int pause_create(struct pause **out, struct loop *l, struct vcpu *const *vcpus, unsigned n);
/* Before the loop is destroyed. NULL allowed. */
void pause_destroy(struct pause *p);

/* As machine_pause(), machine_resume(), machine_paused(). The main thread. */
int pause_begin(struct pause *p);
void pause_end(struct pause *p);
bool pause_complete(struct pause *p);
/*
 * @fn runs on the loop's thread when the last vCPU is out; one owner at a time; NULL gives it back.
 */
void pause_set_hook(struct pause *p, pause_fn *fn, void *arg);
/* A vCPU's thread: it is out of the guest because of the pause of that number. */
void pause_parked(struct pause *p, unsigned pause);

#endif
