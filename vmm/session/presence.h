/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Tells whether a loaded driver is still in the guest, and whether the guest's kernel knows of it.
 * Read from guest memory: a module can be taken away by rmmod in the guest, and one can take itself
 * out of the list of modules, with its code alive. Private to vmm/session/.
 */
#ifndef UMBRA_VMM_SESSION_PRESENCE_H
#define UMBRA_VMM_SESSION_PRESENCE_H

#include "vmm/session/driver.h"

/* Remembers where a driver lies, right after its load. One that is in no list by then is HIDDEN. */
void driver_remember_place(struct sessions *s, struct driver *d);
/*
 * Sets the state of a driver that is LOADED, HIDDEN or REMOVED to what it is now; others are left
 * alone. A change is told by a note. If guest memory cannot be read, the state stays.
 */
void driver_look(struct sessions *s, struct driver *d);
void drivers_look(struct sessions *s);

#endif
