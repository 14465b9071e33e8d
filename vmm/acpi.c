// SPDX-License-Identifier: GPL-2.0-only
/*
 * Written by hand from ACPI 6.4 rather than with a generator: it is 300 bytes, and every field that
 * is not zero is there because a kernel reads it.
 */
#include "vmm/acpi.h"

#include <errno.h>
#include <string.h>

#include "vmm/dsdt.h"
#include "vmm/layout.h"

#define HEADER_LEN 36
#define FADT_LEN   276
#define RSDP_LEN   36

#define FADT_SCI_INT	    46
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
#define FADT_HW_REDUCED (1U << 20)
#define BOOT_NO_VGA	(1U << 2)
/* Without it the kernel waits for a CMOS clock that is not there, seconds in a nested guest. */
#define BOOT_NO_CMOS_RTC (1U << 5)

#define MADT_LAPIC   0
#define MADT_IOAPIC  1
#define MADT_ENABLED 1

struct area {
	u8 *mem;
	size_t len, used;
	u64 gpa;
};

static void put16(u8 *p, u16 v)
{
	memcpy(p, &v, 2);
}

static void put32(u8 *p, u32 v)
{
	memcpy(p, &v, 4);
}

static void put64(u8 *p, u64 v)
{
	memcpy(p, &v, 8);
}

static u8 checksum(const u8 *p, size_t len)
{
	u8 sum = 0;

	while (len--)
		sum = (u8)(sum + *p++);
	return (u8)-sum;
}

/* Room for a table, zeroed, 16-byte aligned; NULL if there is none. */
static u8 *take(struct area *a, size_t len, u64 *gpa)
{
	size_t at = ALIGN_UP(a->used, (size_t)16);

	if (at > a->len || len > a->len - at)
		return NULL;
	a->used = at + len;
	*gpa = a->gpa + at;
	memset(a->mem + at, 0, len);
	return a->mem + at;
}

static void header(u8 *t, const char *signature, u32 len, u8 revision)
{
	memcpy(t, signature, 4);
	put32(t + 4, len);
	t[8] = revision;
	memcpy(t + 10, "UMBRA ", 6);
	memcpy(t + 16, "UMBRAVMM", 8);
	put32(t + 24, 1);
	memcpy(t + 28, "UMBR", 4);
	put32(t + 32, 1);
}

static void finish(u8 *t, u32 len)
{
	t[9] = checksum(t, len);
}

/* Generic address: an I/O port, accessed by bytes. */
static void port_register(u8 *p, u16 port)
{
	p[0] = 1;
	p[1] = 8;
	p[3] = 1;
	put64(p + 4, port);
}

static int write_dsdt(struct area *a, u64 *gpa)
{
	u8 *t = take(a, sizeof(dsdt_aml), gpa);

	if (!t)
		return -ENOSPC;
	memcpy(t, dsdt_aml, sizeof(dsdt_aml));
	return 0;
}

static int write_fadt(struct area *a, u64 dsdt, u64 *gpa)
{
	u8 *t = take(a, FADT_LEN, gpa);

	if (!t)
		return -ENOSPC;
	header(t, "FACP", FADT_LEN, 6);
	put16(t + FADT_SCI_INT, LAYOUT_GSI_GED);
	put16(t + FADT_IAPC_BOOT_ARCH, BOOT_NO_VGA | BOOT_NO_CMOS_RTC);
	put32(t + FADT_FLAGS, FADT_WBINVD | FADT_PWR_BUTTON | FADT_RESET_SUP | FADT_HW_REDUCED);
	port_register(t + FADT_RESET_REG, LAYOUT_PORT_RESET);
	t[FADT_RESET_VALUE] = 1;
	t[FADT_MINOR] = 3;
	put64(t + FADT_X_DSDT, dsdt);
	port_register(t + FADT_SLEEP_CONTROL, LAYOUT_PORT_SLEEP);
	port_register(t + FADT_SLEEP_STATUS, LAYOUT_PORT_SLEEP + 1);
	finish(t, FADT_LEN);
	return 0;
}

static int write_madt(struct area *a, unsigned cpus, u64 *gpa)
{
	u32 len = HEADER_LEN + 8 + 8 * cpus + 12;
	u8 *t = take(a, len, gpa);
	u8 *p;

	if (!t)
		return -ENOSPC;
	header(t, "APIC", len, 5);
	put32(t + HEADER_LEN, (u32)LAYOUT_LAPIC);
	/* Flags 0: no 8259, so the kernel leaves it alone. */
	p = t + HEADER_LEN + 8;
	for (unsigned i = 0; i < cpus; i++, p += 8) {
		p[0] = MADT_LAPIC;
		p[1] = 8;
		p[2] = p[3] = (u8)i;
		put32(p + 4, MADT_ENABLED);
	}
	p[0] = MADT_IOAPIC;
	p[1] = 12;
	put32(p + 4, (u32)LAYOUT_IOAPIC);
	finish(t, len);
	return 0;
}

int acpi_write(void *mem, size_t len, u64 gpa, unsigned cpus)
{
	struct area a = { mem, len, 0, gpa };
	u64 rsdp_gpa, xsdt_gpa, dsdt, fadt, madt;
	u8 *rsdp = take(&a, RSDP_LEN, &rsdp_gpa);
	u8 *xsdt = take(&a, HEADER_LEN + 16, &xsdt_gpa);
	int ret;

	if (!rsdp || !xsdt)
		return -ENOSPC;
	ret = write_dsdt(&a, &dsdt);
	if (!ret)
		ret = write_fadt(&a, dsdt, &fadt);
	if (!ret)
		ret = write_madt(&a, cpus, &madt);
	if (ret)
		return ret;
	header(xsdt, "XSDT", HEADER_LEN + 16, 1);
	put64(xsdt + HEADER_LEN, fadt);
	put64(xsdt + HEADER_LEN + 8, madt);
	finish(xsdt, HEADER_LEN + 16);

	memcpy(rsdp, "RSD PTR ", 8);
	memcpy(rsdp + 9, "UMBRA ", 6);
	rsdp[15] = 2;
	put32(rsdp + 20, RSDP_LEN);
	put64(rsdp + 24, xsdt_gpa);
	rsdp[8] = checksum(rsdp, 20);
	rsdp[32] = checksum(rsdp, RSDP_LEN);
	return 0;
}
