/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tells whether a loaded driver is still in the guest, and whether the guest's kernel knows of it.
 * Read from guest memory: a module can be taken away by rmmod in the guest, and one can take itself
 * out of the list of modules, with its code alive. Private to vmm/session/.
 */
#ifndef UMBRA_VMM_SESSION_PRESENCE_H
#define UMBRA_VMM_SESSION_PRESENCE_H

#include "vmm/session/driver.h"

/*
 * Remembers where a driver lies, right after its load. One that is in no list by then is HIDDEN,
 * and stays so: a module that has its name later is another one.
 */
void driver_remember_place(struct sessions *s, struct driver *d);
/*
 * Sets the state of a driver that is LOADED or HIDDEN to what it is now; others are left alone. So
 * REMOVED is for good, whatever lies at the driver's place later (a module's data, a BPF program).
 * A change is told by a note. If guest memory cannot be read, the state stays.
 */
void driver_look(struct sessions *s, struct driver *d);
void drivers_look(struct sessions *s);

#endif
