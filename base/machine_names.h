/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Names the machines among which libvirt chooses, in one place for who advertises them
 * (vmm/monitor/emulator.c) and who understands them (tools/umbra-qemu/translate_machine.c): a
 * machine that only one of them knew would be chosen and then refused.
 */
#ifndef UMBRA_BASE_MACHINE_NAMES_H
#define UMBRA_BASE_MACHINE_NAMES_H

enum machine_name_index {
	MACHINE_NAME_PC, /* the default */
	MACHINE_NAME_Q35,
	MACHINE_NAMES,
};

struct machine_name {
	const char *name, *alias;
};

extern const struct machine_name machine_names[MACHINE_NAMES];

#endif
