// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes the ACPI tables, by hand from ACPI 6.4 rather than with a generator: they are 300 bytes,
 * and every field that is not zero is there because a kernel reads it.
 */
#include "vmm/boot/acpi.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/little_endian.h"
#include "vmm/boot/checksum.h"
#include "vmm/boot/dsdt.h"
#include "vmm/machine/layout.h"

#define HEADER_LEN 36
#define FADT_LEN   276
#define RSDP_LEN   36
#define FACS_LEN   64
#define XSDT_LEN   (HEADER_LEN + 3 * 8)
#define MCFG_LEN   (HEADER_LEN + 8 + 16)

#define FADT_FACS	    36
#define FADT_DSDT	    40
#define FADT_SCI_INT	    46
#define FADT_PM1_EVENT	    56
#define FADT_PM1_CONTROL    64
#define FADT_PM1_EVENT_LEN  88
#define FADT_PM1_CTRL_LEN   89
#define FADT_C2_LATENCY	    96
#define FADT_C3_LATENCY	    98
#define FADT_IAPC_BOOT_ARCH 109
#define FADT_FLAGS	    112
#define FADT_RESET_REG	    116
#define FADT_RESET_VALUE    128
#define FADT_MINOR	    131
#define FADT_X_DSDT	    140
#define FADT_SLEEP_CONTROL  244
#define FADT_SLEEP_STATUS   256

#define FADT_WBINVD	(1U << 0)
#define FADT_PWR_BUTTON (1U << 4) /* a control-method button, not a fixed one */
#define FADT_RESET_SUP	(1U << 10)
#define FADT_SLP_BUTTON (1U << 5) /* as the power button: there is no fixed one */
#define FADT_HW_REDUCED (1U << 20)
#define BOOT_LEGACY	(1U << 0) /* devices on the ISA bus that the DSDT need not list */
#define NO_C_STATE	0xfff
#define BOOT_NO_VGA	(1U << 2)
/*
 * Without this flag the kernel waits for a CMOS clock that is not there, seconds in a nested guest.
 */
#define BOOT_NO_CMOS_RTC (1U << 5)

#define MADT_LAPIC    0
#define MADT_IOAPIC   1
#define MADT_OVERRIDE 2
#define MADT_ENABLED  1
#define MADT_PCAT     1 /* there is an 8259 */
#define TIMER_PIN     2

struct area {
	u8 *mem;
	size_t len, used;
	u64 gpa;
	bool pc;
	unsigned pci_buses;
	struct acpi_fixups *fix; /* or NULL */
};

/* Returns room for a table, zeroed, 16-byte aligned; NULL if there is none. */
static u8 *area_take(struct area *a, size_t len, u64 *gpa)
{
	size_t at = ALIGN_UP(a->used, (size_t)16);

	if (at > a->len || len > a->len - at)
		return NULL;
	a->used = at + len;
	*gpa = a->gpa + at;
	memset(a->mem + at, 0, len);
	return a->mem + at;
}

static void table_header(u8 *t, const char *signature, u32 len, u8 revision)
{
	memcpy(t, signature, 4);
	store_u32(t + 4, len);
	t[8] = revision;
	memcpy(t + 10, "UMBRA ", 6);
	memcpy(t + 16, "UMBRAVMM", 8);
	store_u32(t + 24, 1);
	memcpy(t + 28, "UMBR", 4);
	store_u32(t + 32, 1);
}

static void table_finish(u8 *t, u32 len)
{
	t[9] = checksum8(t, len);
}

/* Writes a generic address: an I/O port, accessed by bytes. */
static void port_register(u8 *p, u16 port)
{
	p[0] = 1;
	p[1] = 8;
	p[3] = 1;
	store_u64(p + 4, port);
}

static void note_pointer(struct area *a, const u8 *p, u8 len)
{
	struct acpi_fixups *f = a->fix;

	if (!f || f->n_pointers == ARRAY_SIZE(f->pointers))
		return;
	f->pointers[f->n_pointers].at = (u32)(p - a->mem);
	f->pointers[f->n_pointers++].len = len;
}

static void note_sum(struct area *a, const u8 *t, u32 at, u32 len)
{
	struct acpi_fixups *f = a->fix;

	if (!f || f->n_sums == ARRAY_SIZE(f->sums))
		return;
	f->sums[f->n_sums].at = (u32)(t - a->mem) + at;
	f->sums[f->n_sums].start = (u32)(t - a->mem);
	f->sums[f->n_sums++].len = len;
}

static void put_pointer(struct area *a, u8 *p, u64 gpa, u8 len)
{
	memcpy(p, &gpa, len);
	note_pointer(a, p, len);
}

static int write_facs(struct area *a, u64 *gpa)
{
	u8 *t;

	a->used = ALIGN_UP(a->used, (size_t)FACS_LEN);
	t = area_take(a, FACS_LEN, gpa);
	if (!t)
		return -ENOSPC;
	memcpy(t, "FACS", 4);
	store_u32(t + 4, FACS_LEN);
	t[32] = 2; /* version */
	return 0;
}

/* Returns where the descriptor of a resource that begins with these bytes has its numbers. */
static u8 *dsdt_resource(u8 *t, const u8 *begin, size_t len)
{
	u8 *p = memmem(t, sizeof(dsdt_aml), begin, len);

	assert(p);
	return p + len;
}

/*
 * Changes the resources of PCI from those of one bus, which the DSDT has, to those of more. The
 * descriptors (ACPI 6.4, 6.4.3) are begin, granularity, minimum, maximum, translation, length.
 */
static void dsdt_add_buses(u8 *t, unsigned buses)
{
	static const u8 bus_numbers[] = { 0x88, 0x0d, 0x00, 0x02, 0x0c, 0x00 };
	static const u8 memory[] = { 0x87, 0x17, 0x00, 0x00, 0x0c, 0x01 };
	static const u8 ecam[] = { 0x86, 0x09, 0x00, 0x01, 0x00, 0x00, 0x00, LAYOUT_ECAM >> 24 };
	u64 window = LAYOUT_PCI_WINDOW(buses);
	u8 *p = dsdt_resource(t, bus_numbers, sizeof(bus_numbers));

	store_u16(p + 4, (u16)(buses - 1));
	store_u16(p + 8, (u16)buses);
	p = dsdt_resource(t, memory, sizeof(memory));
	store_u32(p + 4, (u32)window);
	store_u32(p + 16, (u32)(LAYOUT_PCI_END - window));
	store_u32(dsdt_resource(t, ecam, sizeof(ecam)), buses << 20);
	t[9] = 0;
	table_finish(t, sizeof(dsdt_aml));
}

static int write_dsdt(struct area *a, u64 *gpa)
{
	u8 *t = area_take(a, sizeof(dsdt_aml), gpa);

	if (!t)
		return -ENOSPC;
	memcpy(t, dsdt_aml, sizeof(dsdt_aml));
	if (a->pci_buses > 1)
		dsdt_add_buses(t, a->pci_buses);
	return 0;
}

/* Fills in what a PC's FADT has. SMI_CMD stays 0: ACPI mode is always on. */
static void fadt_pc(struct area *a, u8 *t, u64 dsdt, u64 facs)
{
	put_pointer(a, t + FADT_FACS, facs, 4);
	put_pointer(a, t + FADT_DSDT, dsdt, 4);
	store_u16(t + FADT_SCI_INT, LAYOUT_GSI_SCI);
	store_u32(t + FADT_PM1_EVENT, LAYOUT_PORT_PM1);
	store_u32(t + FADT_PM1_CONTROL, LAYOUT_PORT_PM1 + 4);
	t[FADT_PM1_EVENT_LEN] = 4;
	t[FADT_PM1_CTRL_LEN] = 2;
	store_u16(t + FADT_C2_LATENCY, NO_C_STATE);
	store_u16(t + FADT_C3_LATENCY, NO_C_STATE);
	store_u16(t + FADT_IAPC_BOOT_ARCH, BOOT_LEGACY | BOOT_NO_VGA | BOOT_NO_CMOS_RTC);
	store_u32(t + FADT_FLAGS, FADT_WBINVD | FADT_PWR_BUTTON | FADT_SLP_BUTTON | FADT_RESET_SUP);
}

static int write_fadt(struct area *a, u64 dsdt, u64 facs, u64 *gpa)
{
	u8 *t = area_take(a, FADT_LEN, gpa);

	if (!t)
		return -ENOSPC;
	table_header(t, "FACP", FADT_LEN, 6);
	if (a->pc) {
		fadt_pc(a, t, dsdt, facs);
	} else {
		store_u16(t + FADT_SCI_INT, LAYOUT_GSI_GED);
		store_u16(t + FADT_IAPC_BOOT_ARCH, BOOT_NO_VGA | BOOT_NO_CMOS_RTC);
		store_u32(t + FADT_FLAGS,
			  FADT_WBINVD | FADT_PWR_BUTTON | FADT_RESET_SUP | FADT_HW_REDUCED);
	}
	port_register(t + FADT_RESET_REG, LAYOUT_PORT_RESET);
	t[FADT_RESET_VALUE] = 1;
	t[FADT_MINOR] = 3;
	put_pointer(a, t + FADT_X_DSDT, dsdt, 8);
	port_register(t + FADT_SLEEP_CONTROL, LAYOUT_PORT_SLEEP);
	port_register(t + FADT_SLEEP_STATUS, LAYOUT_PORT_SLEEP + 1);
	table_finish(t, FADT_LEN);
	note_sum(a, t, 9, FADT_LEN);
	return 0;
}

static int write_madt(struct area *a, unsigned cpus, u64 *gpa)
{
	u32 len = HEADER_LEN + 8 + 8 * cpus + 12 + (a->pc ? 10 : 0);
	u8 *t = area_take(a, len, gpa);
	u8 *p;

	if (!t)
		return -ENOSPC;
	table_header(t, "APIC", len, 5);
	store_u32(t + HEADER_LEN, (u32)LAYOUT_LAPIC);
	/* Flags 0 is: no 8259, so the kernel leaves it alone. */
	if (a->pc)
		store_u32(t + HEADER_LEN + 4, MADT_PCAT);
	p = t + HEADER_LEN + 8;
	for (unsigned i = 0; i < cpus; i++, p += 8) {
		p[0] = MADT_LAPIC;
		p[1] = 8;
		p[2] = p[3] = (u8)i;
		store_u32(p + 4, MADT_ENABLED);
	}
	p[0] = MADT_IOAPIC;
	p[1] = 12;
	store_u32(p + 4, (u32)LAYOUT_IOAPIC);
	if (a->pc) { /* the timer's line 0 */
		p += 12;
		p[0] = MADT_OVERRIDE;
		p[1] = 10;
		store_u32(p + 4, TIMER_PIN);
	}
	table_finish(t, len);
	return 0;
}

/* Writes the MCFG of the PCI Firmware Specification 3.2, 4.1.2: segment 0, from bus 0 on. */
static int write_mcfg(struct area *a, u64 *gpa)
{
	u8 *t = area_take(a, MCFG_LEN, gpa);

	if (!t)
		return -ENOSPC;
	table_header(t, "MCFG", MCFG_LEN, 1);
	store_u64(t + HEADER_LEN + 8, LAYOUT_ECAM);
	t[HEADER_LEN + 8 + 11] = (u8)(a->pci_buses - 1); /* the last one */
	table_finish(t, MCFG_LEN);
	return 0;
}

static int acpi_write_tables(struct area *a, unsigned cpus)
{
	u64 rsdp_gpa, xsdt_gpa, dsdt, fadt, madt, mcfg, facs = 0;
	u8 *rsdp = area_take(a, RSDP_LEN, &rsdp_gpa);
	u8 *xsdt = area_take(a, XSDT_LEN, &xsdt_gpa);
	int ret;

	if (!rsdp || !xsdt)
		return -ENOSPC;
	ret = a->pc ? write_facs(a, &facs) : 0;
	if (!ret)
		ret = write_dsdt(a, &dsdt);
	if (!ret)
		ret = write_fadt(a, dsdt, facs, &fadt);
	if (!ret)
		ret = write_madt(a, cpus, &madt);
	if (!ret)
		ret = write_mcfg(a, &mcfg);
	if (ret)
		return ret;
	table_header(xsdt, "XSDT", XSDT_LEN, 1);
	put_pointer(a, xsdt + HEADER_LEN, fadt, 8);
	put_pointer(a, xsdt + HEADER_LEN + 8, madt, 8);
	put_pointer(a, xsdt + HEADER_LEN + 16, mcfg, 8);
	table_finish(xsdt, XSDT_LEN);
	note_sum(a, xsdt, 9, XSDT_LEN);

	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "UMBRA ", 6);
	rsdp[15] = 2;
	store_u32(rsdp + 20, RSDP_LEN);
	put_pointer(a, rsdp + 24, xsdt_gpa, 8);
	rsdp[8] = checksum8(rsdp, 20);
	rsdp[32] = checksum8(rsdp, RSDP_LEN);
	note_sum(a, rsdp, 32, RSDP_LEN);
	return 0;
}

int acpi_write(void *mem, size_t len, u64 gpa, unsigned cpus, unsigned pci_buses)
{
	struct area a = { .mem = mem, .len = len, .gpa = gpa, .pci_buses = pci_buses };

	return acpi_write_tables(&a, cpus);
}

int acpi_write_pc(void *mem, size_t len, unsigned cpus, unsigned pci_buses, struct acpi_fixups *fix)
{
	struct area a = { .mem = mem, .len = len, .pc = true, .pci_buses = pci_buses, .fix = fix };
	int ret;

	memset(fix, 0, sizeof(*fix));
	ret = acpi_write_tables(&a, cpus);
	fix->used = (u32)a.used;
	return ret;
}
