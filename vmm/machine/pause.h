/* SPDX-License-Identifier: GPL-2.0-only */
/* Pausing a machine, inside of it; everybody else uses machine.h. */
#ifndef UMBRA_VMM_MACHINE_PAUSE_H
#define UMBRA_VMM_MACHINE_PAUSE_H

struct machine;
struct pause;

/* -ENOMEM. */
int pause_create(struct pause **out, struct machine *m);
/* Before the loop. NULL allowed. */
void pause_destroy(struct pause *p);

#endif
