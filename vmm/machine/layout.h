/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Defines the guest's platform in numbers: guest-physical memory, memory slots, interrupts, ports.
 *
 *	0x00000000 .. 0x0009fbff  RAM: boot parameters, boot page tables, later the AP trampoline
 *	0x000e0000 .. 0x000effff  ACPI tables (RAM, e820 type 3)
 *	0x000f0000 .. 0x000fffff  reserved; SMBIOS tables at its beginning; the reset stub at
 *				  0xffff0 is its last 16 bytes
 *	0x00100000 .. LOW_END     RAM, at most 3 GiB
 *	0xc0000000 .. 0xdfffffff  Umbra's own memory slots (e820: reserved, if there are sessions)
 *	0xe0000000 .. 0xe00fffff  PCI configuration space (ECAM of bus 0; e820: reserved); with root
 *				  ports that of buses 0 to 31, up to 0xe1ffffff
 *	0xe0100000 .. 0xfebfffff  PCI devices; with root ports from 0xe2000000 on
 *	0xfec00000, 0xfee00000    IO-APIC, local APIC (in KVM)
 *	0xfffbc000 .. 0xfffbffff  KVM's identity map page and TSS (Intel without unrestricted guest)
 *	0xfffc0000 .. 0xffffffff  a firmware's image (read-only), if one boots
 *	0x100000000 ..            the rest of the RAM
 */
#ifndef UMBRA_VMM_MACHINE_LAYOUT_H
#define UMBRA_VMM_MACHINE_LAYOUT_H

#define LAYOUT_ZERO_PAGE    0x7000ULL
#define LAYOUT_SETUP_DATA   0x8000ULL /* the seed, one page */
#define LAYOUT_PAGE_TABLES  0x9000ULL /* PML4, PDPT, four page directories: to 0xf000 */
#define LAYOUT_GDT	    0xf000ULL
#define LAYOUT_CMDLINE	    0x20000ULL
#define LAYOUT_CMDLINE_MAX  0x10000ULL
#define LAYOUT_LOW_RAM_END  0x9fc00ULL
#define LAYOUT_ACPI	    0xe0000ULL
#define LAYOUT_ACPI_SIZE    0x10000ULL
#define LAYOUT_BIOS	    0xf0000ULL
#define LAYOUT_SMBIOS	    0xf0000ULL
#define LAYOUT_SMBIOS_SIZE  0xf000ULL
#define LAYOUT_RESET_STUB   0xffff0ULL
#define LAYOUT_HIGH_RAM	    0x100000ULL /* where RAM goes on after the BIOS area */
#define LAYOUT_LOW_MEM_MAX  0xc0000000ULL
#define LAYOUT_UMBRA	    0xc0000000ULL
#define LAYOUT_UMBRA_END    0xe0000000ULL
#define LAYOUT_PCI	    0xe0000000ULL /* all that devices answer to */
#define LAYOUT_ECAM	    0xe0000000ULL /* at the bottom: SeaBIOS places devices from the top */
#define LAYOUT_PCI_END	    0xfec00000ULL
#define LAYOUT_IOAPIC	    0xfec00000ULL
#define LAYOUT_LAPIC	    0xfee00000ULL
#define LAYOUT_IDENTITY_MAP 0xfffbc000ULL /* KVM's default, since Linux 2.6.32 */
#define LAYOUT_TSS	    0xfffbd000ULL
#define LAYOUT_4G	    0x100000000ULL
#define LAYOUT_ROM_MAX	    0x40000ULL /* a firmware's image ends at 4 GiB, above the TSS */
#define LAYOUT_MEM_MIN	    (16ULL << 20)

/* Buses of the PCI host bridge: one, or with root ports as many; and where its devices begin. */
#define LAYOUT_PCI_BUSES	 32
#define LAYOUT_PCI_WINDOW(buses) (LAYOUT_ECAM + ((unsigned long long)(buses) << 20))

/* KVM memory slots: RAM first, Umbra's after it; no slot at 0x10000 (another address space). */
#define LAYOUT_SLOT_RAM	  0
#define LAYOUT_SLOT_UMBRA 16
#define LAYOUT_SLOT_END	  256

/* Interrupt lines: all edge-triggered. */
#define LAYOUT_GSI_COM1	 4
#define LAYOUT_GSI_RTC	 8 /* firmware guests */
#define LAYOUT_GSI_GED	 9
#define LAYOUT_GSI_UMBRA 10 /* the gate to the shim */
#define LAYOUT_GSI_SCI	 11 /* firmware guests; never raised */
#define LAYOUT_GSI_PINS	 24 /* IO-APIC pins; message-signalled vectors come after */

/* Ports. The power registers are what the FADT and the DSDT say. */
#define LAYOUT_PORT_NMI	      0x61 /* NMI status and control, on a PC */
#define LAYOUT_PORT_COM1      0x3f8
#define LAYOUT_PORT_PVPANIC   0x505
#define LAYOUT_PORT_SLEEP     0x600
#define LAYOUT_PORT_RESET     0x604
#define LAYOUT_PORT_GED	      0x610
#define LAYOUT_PORT_PM1	      0x620 /* firmware guests: 4 bytes of events, 2 of control */
#define LAYOUT_PORT_LOADER    0x51c /* firmware guests: our option ROM asks for the kernel */
#define LAYOUT_PORT_DOORBELL  0xe4  /* the shim to the gate */
#define LAYOUT_SLEEP_TYPE_OFF 5	    /* _S5 in the DSDT */

#define LAYOUT_MAX_CPUS 64

#endif
