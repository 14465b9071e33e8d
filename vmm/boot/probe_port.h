/* SPDX-License-Identifier: GPL-2.0-only */
/* Defines the port and the bytes by which a probe guest (assembly) reports to its host. */
#ifndef UMBRA_VMM_BOOT_PROBE_PORT_H
#define UMBRA_VMM_BOOT_PROBE_PORT_H

#define PROBE_PORT  0xf4
#define PROBE_GOOD  0x11
#define PROBE_WRONG 0x22
#define PROBE_START 0x33
#define PROBE_TURNS 200000

#endif
