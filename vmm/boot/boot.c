// SPDX-License-Identifier: GPL-2.0-only
/* Places kernel, initramfs, command line, boot parameters and ACPI tables into guest RAM. */
#include "vmm/boot/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "shadow/kernel/kernel.h"
#include "vmm/boot/acpi.h"
#include "vmm/boot/boot_cpu.h"
#include "vmm/boot/smbios.h"
#include "vmm/boot/setup_header.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine_boot.h"
#include "vmm/machine/memory.h"

#define PAGE		4096ULL
#define SETUP_RNG_SEED	9 /* since v6.0; older kernels skip it */
#define INITRD_MAX_OLD	0x7fffffffULL
#define ENTRY_64	0x200 /* of the protected-mode part (boot.rst) */
#define DEFAULT_CMDLINE 2047

/*
 * For a reboot by the BIOS' vector: mov al, 1; mov dx, LAYOUT_PORT_RESET; out dx, al; hlt; jmp $-1
 */
static const u8 reset_stub[] = { 0xb0, 0x01, 0xba, 0x04, 0x06, 0xee, 0xf4, 0xeb, 0xfd };

struct loaded {
	u64 phys, end; /* image and the room that it needs */
	u64 entry;
	u64 initrd, initrd_len;
};

int boot_draw(struct boot_random *r, struct err *e)
{
	return getrandom(r, sizeof(*r), 0) == sizeof(*r)
		       ? 0
		       : err_set(e, -errno, "no random numbers for the guest: %s", strerror(errno));
}

u64 boot_choose_kaslr(const struct kernel *k, const struct boot_random *r)
{
	const struct kernel_layout *l = kernel_layout(k);
	u64 need = l->pref_phys + (l->init_size > l->span ? l->init_size : l->span);

	if (!l->relocatable || !l->align || need >= l->image_limit)
		return 0;
	/* The bias of the remainder is 2^-55. */
	return r->shift % ((l->image_limit - need) / l->align + 1) * l->align;
}

static int memory_too_small(struct machine *m, u64 need, const char *what, struct err *e)
{
	return err_set(e, -ENOMEM,
		       "%" PRIu64 " MiB of guest memory are too little for %s: it needs %" PRIu64
		       " MiB; give --memory more",
		       machine_memory(m) >> 20, what, (need + (1 << 20) - 1) >> 20);
}

static const struct setup_header *setup_header(const struct kernel *k)
{
	size_t len;
	const u8 *file = kernel_file(k, &len);

	if (!kernel_is_bzimage(k) || len < sizeof(struct boot_params))
		return NULL;
	return (const struct setup_header *)(const void *)(file + SETUP_HEADER_AT);
}

/* Places the compressed kernel as it is in the file; it decompresses and randomizes itself. */
static int place_opaque(struct machine *m, const struct boot_plan *p, struct loaded *l,
			struct err *e)
{
	const struct setup_header *h = setup_header(p->kernel);
	size_t len, skip;
	const u8 *file = kernel_file(p->kernel, &len);
	u64 room;
	void *dst;

	if (!h)
		return err_set(e, -EINVAL, "%s: no way to boot it: not a bzImage",
			       kernel_path(p->kernel));
	skip = setup_header_length(h);
	if (skip >= len || len - skip <= ENTRY_64 || !(h->xloadflags & XLF_KERNEL_64))
		return err_set(e, -EINVAL, "%s: has no 64-bit entry", kernel_path(p->kernel));
	l->phys = h->pref_address;
	room = h->init_size > len - skip ? h->init_size : len - skip;
	l->end = l->phys + room;
	l->entry = l->phys + ENTRY_64;
	dst = l->phys >= LAYOUT_HIGH_RAM ? machine_gpa(m, l->phys, room) : NULL;
	if (!dst)
		return memory_too_small(m, l->end, "this kernel", e);
	memcpy(dst, file + skip, len - skip);
	return 0;
}

static int boot_place_kernel(struct machine *m, const struct boot_plan *p, struct loaded *l,
			     struct err *e)
{
	const struct kernel_layout *layout = kernel_layout(p->kernel);
	u64 room = layout->init_size > layout->span ? layout->init_size : layout->span;
	void *dst;
	int ret;

	if (kernel_payload_opaque(p->kernel))
		return place_opaque(m, p, l, e);
	l->phys = layout->pref_phys;
	l->end = l->phys + room;
	l->entry = layout->entry;
	dst = l->phys >= LAYOUT_HIGH_RAM && l->end > l->phys ? machine_gpa(m, l->phys, room) : NULL;
	if (!dst)
		return memory_too_small(m, l->end, "this kernel", e);
	ret = kernel_place(p->kernel, dst, room, p->kaslr, e);
	if (ret != -EBADMSG)
		return ret;
	*p->damaged = true;
	ret = kernel_reread(p->kernel, e);
	return ret ? ret : kernel_place(p->kernel, dst, room, p->kaslr, e);
}

int boot_open_initrd(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 ? err_set(e, -errno, "--initrd %s: cannot open: %s", path, strerror(errno))
		      : fd;
}

static int initrd_size(const struct boot_plan *p, u64 *len, struct err *e)
{
	struct stat st = { 0 };

	if (p->initrd_data) {
		*len = p->initrd_len;
		return 0;
	}
	if (fstat(p->initrd_fd, &st) || !S_ISREG(st.st_mode) || !st.st_size)
		return err_set(e, -EINVAL, "--initrd %s: %s", p->initrd,
			       S_ISREG(st.st_mode) ? "the file is empty" : "not a regular file");
	*len = (u64)st.st_size;
	return 0;
}

/*
 * Places the initramfs as high as the kernel allows: it is freed early, and DMA may need low
 * memory.
 */
static int place_initrd(struct machine *m, const struct boot_plan *p, struct loaded *l,
			struct err *e)
{
	const struct setup_header *h = setup_header(p->kernel);
	u64 limit = h && h->initrd_addr_max ? h->initrd_addr_max : INITRD_MAX_OLD;
	u64 top = memory_low(machine_memory_map(m));
	u64 prefix = ALIGN_UP((u64)p->prefix_len, PAGE), len = 0;
	int ret = p->initrd ? initrd_size(p, &len, e) : 0;
	u8 *dst;

	if (ret || (!prefix && !len))
		return ret;
	if (top > limit + 1)
		top = limit + 1;
	top &= ~(PAGE - 1);
	if (len > top || prefix > top - len || top - len - prefix < l->end + PAGE)
		return memory_too_small(m, l->end + prefix + len + PAGE,
					"this kernel with its initrd", e);
	l->initrd = (top - prefix - len) & ~(PAGE - 1);
	l->initrd_len = prefix + len;
	dst = machine_gpa(m, l->initrd, l->initrd_len);
	if (!dst)
		return memory_too_small(m, l->end + prefix + len + PAGE,
					"this kernel with its initrd", e);
	if (p->prefix_len)
		memcpy(dst, p->initrd_prefix, p->prefix_len);
	if (len && p->initrd_data) {
		memcpy(dst + prefix, p->initrd_data, len);
	} else if (len) {
		ret = file_pread(p->initrd_fd, dst + prefix, len, 0);
		if (ret)
			err_set(e, ret, "--initrd %s: cannot read: %s", p->initrd, strerror(-ret));
	}
	return ret;
}

static void boot_add_e820(struct boot_params *bp, u64 addr, u64 end, u32 type)
{
	struct boot_e820_entry *x = &bp->e820_table[bp->e820_entries];

	if (addr >= end)
		return;
	x->addr = addr;
	x->size = end - addr;
	x->type = type;
	bp->e820_entries++;
}

static void boot_fill_e820(struct boot_params *bp, const struct machine *m,
			   const struct boot_plan *p)
{
	enum { RAM = 1, RESERVED = 2, ACPI = 3 };
	const struct memory *mem = machine_memory_map(m);

	boot_add_e820(bp, 0, LAYOUT_LOW_RAM_END, RAM);
	boot_add_e820(bp, LAYOUT_ACPI, LAYOUT_ACPI + LAYOUT_ACPI_SIZE, ACPI);
	boot_add_e820(bp, LAYOUT_BIOS, LAYOUT_HIGH_RAM, RESERVED);
	boot_add_e820(bp, LAYOUT_HIGH_RAM, memory_low(mem), RAM);
	if (p->reserve_umbra)
		boot_add_e820(bp, LAYOUT_UMBRA, LAYOUT_UMBRA_END, RESERVED);
	/* Linux uses an MCFG only if its range is reserved. */
	boot_add_e820(bp, LAYOUT_ECAM, LAYOUT_PCI_WINDOW(p->pci_buses), RESERVED);
	boot_add_e820(bp, LAYOUT_4G, LAYOUT_4G + memory_high(mem), RAM);
}

static int boot_fill_seed(struct machine *m, const struct boot_random *r, struct boot_params *bp,
			  struct err *e)
{
	struct setup_data *d = machine_gpa(m, LAYOUT_SETUP_DATA, sizeof(*d) + sizeof(r->seed));

	if (!d)
		return memory_too_small(m, LAYOUT_MEM_MIN, "its boot data", e);
	d->next = 0;
	d->type = SETUP_RNG_SEED;
	d->len = sizeof(r->seed);
	memcpy(d->data, r->seed, sizeof(r->seed));
	bp->hdr.setup_data = LAYOUT_SETUP_DATA;
	return 0;
}

static int fill_cmdline(struct machine *m, const struct boot_plan *p, struct boot_params *bp,
			struct err *e)
{
	const struct setup_header *h = setup_header(p->kernel);
	size_t len = strlen(p->cmdline), max = h ? h->cmdline_size : DEFAULT_CMDLINE;
	char *dst = machine_gpa(m, LAYOUT_CMDLINE, LAYOUT_CMDLINE_MAX);

	if (!dst)
		return memory_too_small(m, LAYOUT_MEM_MIN, "its boot data", e);
	if (max > LAYOUT_CMDLINE_MAX - 1)
		max = LAYOUT_CMDLINE_MAX - 1;
	if (len > max)
		return err_set(
			e, -E2BIG,
			"--append: the command line has %zu characters, this kernel takes %zu", len,
			max);
	memcpy(dst, p->cmdline, len + 1);
	bp->hdr.cmd_line_ptr = (u32)LAYOUT_CMDLINE;
	return 0;
}

static int fill_params(struct machine *m, const struct boot_plan *p, const struct loaded *l,
		       struct err *e)
{
	struct boot_params *bp = machine_gpa(m, LAYOUT_ZERO_PAGE, sizeof(*bp));
	const struct setup_header *h = setup_header(p->kernel);
	size_t len;
	const u8 *file = kernel_file(p->kernel, &len);
	int ret;

	if (!bp)
		return memory_too_small(m, LAYOUT_MEM_MIN, "its boot data", e);
	memset(bp, 0, sizeof(*bp));
	if (h) {
		/* The header's length is in the jump that skips it (boot.rst, "64-bit boot"). */
		size_t end = 0x202 + (size_t)file[0x201];

		if (end > SETUP_HEADER_AT + sizeof(bp->hdr))
			end = SETUP_HEADER_AT + sizeof(bp->hdr);
		memcpy(&bp->hdr, file + SETUP_HEADER_AT, end - SETUP_HEADER_AT);
	} else {
		bp->hdr.boot_flag = SETUP_HEADER_BOOT_FLAG;
		bp->hdr.header = SETUP_HEADER_MAGIC;
		bp->hdr.version = 0x20f;
		bp->hdr.kernel_alignment = (u32)kernel_layout(p->kernel)->align;
	}
	bp->hdr.type_of_loader = SETUP_HEADER_ANY_LOADER;
	bp->hdr.loadflags |= LOADED_HIGH;
	if (p->randomize)
		bp->hdr.loadflags |= KASLR_FLAG;
	bp->hdr.ramdisk_image = (u32)l->initrd;
	bp->hdr.ramdisk_size = (u32)l->initrd_len;
	bp->acpi_rsdp_addr = LAYOUT_ACPI;
	boot_fill_e820(bp, m, p);
	ret = boot_fill_seed(m, p->random, bp, e);
	if (!ret)
		ret = fill_cmdline(m, p, bp, e);
	return ret;
}

int boot_load(struct machine *m, const struct boot_plan *p, struct err *e)
{
	struct loaded l = { 0 };
	void *acpi, *smbios, *stub;
	int ret = boot_place_kernel(m, p, &l, e);

	if (!ret)
		ret = place_initrd(m, p, &l, e);
	if (!ret)
		ret = fill_params(m, p, &l, e);
	if (ret)
		return ret;
	acpi = machine_gpa(m, LAYOUT_ACPI, LAYOUT_ACPI_SIZE);
	smbios = machine_gpa(m, LAYOUT_SMBIOS, LAYOUT_SMBIOS_SIZE);
	stub = machine_gpa(m, LAYOUT_RESET_STUB, sizeof(reset_stub));
	if (!acpi || !smbios || !stub ||
	    acpi_write(acpi, LAYOUT_ACPI_SIZE, LAYOUT_ACPI, machine_cpus(m), p->pci_buses) ||
	    smbios_write(smbios, LAYOUT_SMBIOS_SIZE, LAYOUT_SMBIOS, p->smbios))
		return memory_too_small(m, LAYOUT_MEM_MIN, "its tables", e);
	memcpy(stub, reset_stub, sizeof(reset_stub));
	if (!kernel_payload_opaque(p->kernel))
		machine_set_kernel(m, p->kernel, l.phys, p->kaslr);
	return boot_cpu_enter(m, l.entry, LAYOUT_ZERO_PAGE, e);
}
