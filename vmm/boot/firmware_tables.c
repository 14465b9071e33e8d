// SPDX-License-Identifier: GPL-2.0-only
/* Writes the files of fw_cfg that tell a firmware about its machine. */
#include "vmm/boot/firmware_tables.h"

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/boot/acpi.h"
#include "vmm/boot/smbios.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine_boot.h"
#include "vmm/machine/memory.h"

#define TABLES_FILE "etc/acpi/tables"
#define ROM_FILE    "genroms/kernel.rom"
#define TABLES_MAX  8192
/*
 * The time after "No bootable device" until SeaBIOS resets, which ends the machine with an exit
 * code of its own.
 */
#define BOOT_FAIL_WAIT_MS 1000

enum { E820_RAM = 1, E820_RESERVED = 2 };
enum { LOADER_ALLOCATE = 1, LOADER_ADD_POINTER = 2, LOADER_ADD_CHECKSUM = 3 };
enum { ZONE_FSEG = 2 };

struct e820 {
	u64 addr, len;
	u32 type;
} __attribute__((packed));

/* A command of etc/table-loader: 128 bytes, little-endian. */
struct loader_entry {
	u32 command;
	union {
		struct {
			char file[FW_CFG_FILE_NAME];
			u32 align;
			u8 zone;
		} __attribute__((packed)) alloc;
		struct {
			char dest[FW_CFG_FILE_NAME], source[FW_CFG_FILE_NAME];
			u32 offset;
			u8 len;
		} __attribute__((packed)) pointer;
		struct {
			char file[FW_CFG_FILE_NAME];
			u32 offset, start, len;
		} __attribute__((packed)) sum;
		u8 room[124];
	};
} __attribute__((packed));

static int firmware_add_e820(struct fw_cfg *cfg, const struct machine *m, unsigned buses)
{
	const struct memory *mem = machine_memory_map(m);
	struct e820 map[4];
	unsigned n = 0;

	/* All RAM as it is: the firmware itself takes out the ranges that are no RAM on a PC. */
	map[n++] = (struct e820){ 0, memory_low(mem), E820_RAM };
	map[n++] =
		(struct e820){ LAYOUT_ECAM, LAYOUT_PCI_WINDOW(buses) - LAYOUT_ECAM, E820_RESERVED };
	map[n++] = (struct e820){ LAYOUT_IDENTITY_MAP, 0x4000, E820_RESERVED };
	if (memory_high(mem))
		map[n++] = (struct e820){ LAYOUT_4G, memory_high(mem), E820_RAM };
	return fw_cfg_add_file(cfg, "etc/e820", map, (u32)(n * sizeof(map[0])));
}

/* Adds all ACPI tables in one file, small enough for the F segment, where an RSDP is looked for. */
static int firmware_add_acpi(struct fw_cfg *cfg, unsigned cpus, unsigned buses)
{
	struct loader_entry loader[1 + 8 + 4] = { 0 };
	u8 tables[TABLES_MAX];
	struct acpi_fixups fix;
	unsigned n = 0;
	int ret = acpi_write_pc(tables, sizeof(tables), cpus, buses, &fix);

	if (ret)
		return ret;
	loader[n].command = htole32(LOADER_ALLOCATE);
	strcpy(loader[n].alloc.file, TABLES_FILE);
	loader[n].alloc.align = htole32(ACPI_PC_ALIGN);
	loader[n++].alloc.zone = ZONE_FSEG;
	for (unsigned i = 0; i < fix.n_pointers; i++, n++) {
		loader[n].command = htole32(LOADER_ADD_POINTER);
		strcpy(loader[n].pointer.dest, TABLES_FILE);
		strcpy(loader[n].pointer.source, TABLES_FILE);
		loader[n].pointer.offset = htole32(fix.pointers[i].at);
		loader[n].pointer.len = fix.pointers[i].len;
	}
	for (unsigned i = 0; i < fix.n_sums; i++, n++) {
		loader[n].command = htole32(LOADER_ADD_CHECKSUM);
		strcpy(loader[n].sum.file, TABLES_FILE);
		loader[n].sum.offset = htole32(fix.sums[i].at);
		loader[n].sum.start = htole32(fix.sums[i].start);
		loader[n].sum.len = htole32(fix.sums[i].len);
	}
	ret = fw_cfg_add_file(cfg, TABLES_FILE, tables, fix.used);
	if (ret)
		return ret;
	return fw_cfg_add_file(cfg, "etc/table-loader", loader, (u32)(n * sizeof(loader[0])));
}

/* Writes the line of one disk, as Open Firmware names it; returns its length. */
static size_t boot_order_disk(char *text, size_t room, const struct pci_place *p)
{
	char port[16], function[4] = "";

	if (p->function)
		snprintf(function, sizeof(function), ",%x", p->function);
	snprintf(port, sizeof(port), "@%x%s", p->slot, function);
	if (p->behind)
		return (size_t)snprintf(text, room, "/pci@i0cf8/pci-bridge%s/scsi@0/disk@0,0\n",
					port);
	return (size_t)snprintf(text, room, "/pci@i0cf8/scsi%s/disk@0,0\n", port);
}

/* Adds the order of booting: one device per line; HALT: nothing else is tried. */
static int add_boot_order(struct fw_cfg *cfg, const struct firmware_pci *pci, bool rom)
{
	char text[64 * (FIRMWARE_MAX_DISKS + 2)];
	size_t at = 0;

	if (rom)
		at += (size_t)snprintf(text, sizeof(text), "/rom@%s\n", ROM_FILE);
	for (size_t i = 0; i < pci->n_disks; i++)
		at += boot_order_disk(text + at, sizeof(text) - at, &pci->disks[i]);
	at += (size_t)snprintf(text + at, sizeof(text) - at, "HALT");
	return fw_cfg_add_file(cfg, "bootorder", text, (u32)at + 1);
}

static int firmware_add_numbers(struct fw_cfg *cfg, unsigned cpus)
{
	const u16 serial = htole16(LAYOUT_PORT_COM1);
	const u32 wait = htole32(BOOT_FAIL_WAIT_MS);
	int ret = fw_cfg_add_u16(cfg, FW_CFG_NB_CPUS, (u16)cpus);

	if (!ret)
		ret = fw_cfg_add_u16(cfg, FW_CFG_MAX_CPUS, (u16)cpus);
	if (!ret)
		ret = fw_cfg_add_u16(cfg, FW_CFG_NOGRAPHIC, 1);
	if (!ret)
		ret = fw_cfg_add_u16(cfg, FW_CFG_BOOT_MENU, 0);
	if (!ret)
		ret = fw_cfg_add_file(cfg, "etc/sercon-port", &serial, sizeof(serial));
	if (!ret)
		ret = fw_cfg_add_file(cfg, "etc/boot-fail-wait", &wait, sizeof(wait));
	return ret;
}

int firmware_add_smbios(struct fw_cfg *cfg, const struct spec_smbios *s)
{
	u8 table[SMBIOS_TABLE_MAX], anchor[SMBIOS_ANCHOR];
	size_t len = smbios_write_apart(table, anchor, s);
	int ret = fw_cfg_add_file(cfg, "etc/smbios/smbios-tables", table, (u32)len);

	if (ret)
		return ret;
	return fw_cfg_add_file(cfg, "etc/smbios/smbios-anchor", anchor, sizeof(anchor));
}

int firmware_tables(struct fw_cfg *cfg, const struct machine *m, const struct firmware_pci *pci,
		    const void *rom, u32 rom_len)
{
	int ret = firmware_add_numbers(cfg, machine_cpus(m));

	if (!ret)
		ret = firmware_add_e820(cfg, m, pci->buses);
	if (!ret)
		ret = firmware_add_acpi(cfg, machine_cpus(m), pci->buses);
	if (!ret)
		ret = add_boot_order(cfg, pci, rom);
	if (!ret && rom)
		ret = fw_cfg_add_file(cfg, ROM_FILE, rom, rom_len);
	return ret;
}
