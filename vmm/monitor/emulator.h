/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Says what this emulator can do, in the words in which QEMU 7.2 is asked for it: libvirt asks
 * once for each binary (`vmm emulator-probe`), and again of each guest. The answers are constants,
 * and as few as libvirt 9.0 needs: what is not advertised, it does not ask for or pass, or it
 * refuses a domain that wants it. QEMU's version is that of the protocol; machines have names of
 * their own.
 *
 * A machine is known to libvirt by the begin of its name: "pc-i440fx-" has one flat bus, pci.0;
 * "pc-q35-" has pcie.0 and, below it, a bus behind each pcie-root-port.
 */
#ifndef UMBRA_VMM_MONITOR_EMULATOR_H
#define UMBRA_VMM_MONITOR_EMULATOR_H

struct control;

/* Adds the commands that need no guest. -ENOMEM. @c may be NULL, as for control_add(). */
int emulator_add_commands(struct control *c);

#endif
