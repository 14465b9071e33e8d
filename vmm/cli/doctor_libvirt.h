/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Says what a Debian host lacks for domains of libvirt whose emulator is umbra-qemu.
 *
 * What is asked for is what libvirt 9.0 of Debian 12 does by default: an emulator runs as the user
 * libvirt-qemu, which must be able to open /dev/kvm and to make a user namespace (--confine
 * managed); and where AppArmor is on, under a profile that permits QEMU's programs alone. The one
 * place that libvirt leaves for additions to it is local/abstractions/libvirt-qemu of
 * /etc/apparmor.d, a file of the administrator: a package must not write there. It brings a file
 * abstractions/umbra-qemu beside it (tools/umbra-qemu/apparmor, which tells why there is no rule
 * for namespaces), and this says which line includes it.
 */
#ifndef UMBRA_VMM_CLI_DOCTOR_LIBVIRT_H
#define UMBRA_VMM_CLI_DOCTOR_LIBVIRT_H

#include <jansson.h>

/*
 * Looks at the host whose root directory is @root ("" for this one). Returns an array of objects
 * { "what", "ok", "why", "do", "note" }, in the order in which they are to be mended; "why" and
 * "do" are there if it is not ok, "note" may be there if it is. NULL: no memory.
 */
json_t *doctor_libvirt(const char *root);

#endif
