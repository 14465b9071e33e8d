// SPDX-License-Identifier: GPL-2.0-only
/*
 * Places a bzImage by the 16-bit boot protocol (Documentation/x86/boot.rst): boot sector and setup
 * at 0x10000, command line at 0x20000, the rest from 1 MiB on, the initrd high. The files are kept
 * in memory until the ROM asks, since the firmware uses guest memory before; then they are given
 * back.
 */
#include "vmm/boot/firmware_kernel.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "vmm/boot/checksum.h"
#include "vmm/boot/setup_header.h"
#include "vmm/machine/closer.h"
#include "vmm/machine/held_read.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine_boot.h"
#include "vmm/machine/memory.h"

#define SETUP_AT	0x10000ULL /* segment 0x1000 of firmware_rom.S */
#define SETUP_MAX	0x8000U
#define HEAP_END	0xe000U /* of the same segment; its stack ends here */
#define CMDLINE_AT	0x20000ULL
#define CMDLINE_OLD	255U
#define CMDLINE_ROOM	0x8000U
#define VERSION_CMDLINE 0x0202 /* versions of the protocol, by the fields that they brought */
#define VERSION_LIMIT	0x0203
#define VERSION_SIZE	0x0206
#define VERSION_INIT	0x020a
#define INITRD_MAX_OLD	0x37ffffffULL
#define PAGE		4096ULL
/* The firmware keeps memory for itself at the end of RAM: 256 KiB, and some for its disks. */
#define TOP_RESERVED 0x100000ULL
#define FILE_MAX     (1ULL << 30)
#define ROM_MAX	     512

extern const u8 firmware_rom[], firmware_rom_end[];

struct blob {
	const char *before; /* the path, in messages */
	char *path;	    /* for messages */
	int fd;		    /* stays open, for the next start */
	u8 *data;	    /* NULL: given back */
	u64 len;
};

struct firmware_kernel {
	struct machine *m;
	pthread_mutex_t lock; /* the files: a guest may ask twice */
	struct blob kernel, initrd;
	struct setup_header header; /* the kernel's, as it was checked */
	bool fetched;		    /* the files are in memory, unread by firmware_kernel_read() */
	char *cmdline;
	u64 initrd_at;
	size_t setup_len;
	u8 rom[ROM_MAX];
	u32 rom_len;
};

static int read_blob(struct blob *b, struct err *e)
{
	struct stat st;
	int ret;

	if (fstat(b->fd, &st) || !S_ISREG(st.st_mode) || st.st_size <= 0 ||
	    (u64)st.st_size > FILE_MAX)
		return err_set(e, -EINVAL, "%s%s: want a file of 1 byte to 1 GiB", b->before,
			       b->path);
	b->len = (u64)st.st_size;
	b->data = malloc(b->len);
	if (!b->data)
		return err_set(e, -ENOMEM, "%s%s: out of memory", b->before, b->path);
	ret = file_pread(b->fd, b->data, b->len, 0);
	if (ret)
		err_set(e, ret, "%s%s: cannot read: %s", b->before, b->path, strerror(-ret));
	return ret;
}

static int open_blob(struct blob *b, const char *before, const char *path, struct err *e)
{
	b->before = before;
	b->path = strdup(path);
	if (!b->path)
		return err_set(e, -ENOMEM, "out of memory");
	b->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (b->fd < 0)
		return err_set(e, -errno, "%s%s: cannot open: %s", before, path, strerror(errno));
	return 0;
}

static int check_kernel(struct firmware_kernel *k, struct err *e)
{
	const char *path = k->kernel.path, *cmdline = k->cmdline;
	const struct setup_header *h = &k->header;
	size_t max = CMDLINE_OLD;

	if (k->kernel.len < sizeof(struct boot_params))
		return err_set(e, -EINVAL, "%s: too short for a bzImage", path);
	memcpy(&k->header, k->kernel.data + SETUP_HEADER_AT, sizeof(k->header));
	if (h->boot_flag != SETUP_HEADER_BOOT_FLAG || h->header != SETUP_HEADER_MAGIC ||
	    h->version < VERSION_CMDLINE || !(h->loadflags & LOADED_HIGH))
		return err_set(e, -EINVAL,
			       "%s: not a bzImage, which is what a firmware guest starts", path);
	k->setup_len = setup_header_length(h);
	if (k->setup_len > SETUP_MAX || k->setup_len >= k->kernel.len)
		return err_set(e, -EINVAL, "%s: damaged: %zu bytes of setup", path, k->setup_len);
	if (h->version >= VERSION_SIZE)
		max = h->cmdline_size;
	if (max > CMDLINE_ROOM - 1)
		max = CMDLINE_ROOM - 1;
	if (strlen(cmdline) > max)
		return err_set(
			e, -E2BIG,
			"--append: the command line has %zu characters, this kernel takes %zu",
			strlen(cmdline), max);
	return 0;
}

/* Returns where the kernel's own memory ends, before which no initrd may lie. */
static u64 kernel_end(const struct firmware_kernel *k)
{
	const struct setup_header *h = &k->header;
	u64 end = LAYOUT_HIGH_RAM + (k->kernel.len - k->setup_len);

	if (h->version >= VERSION_INIT && h->pref_address >= LAYOUT_HIGH_RAM &&
	    h->pref_address < LAYOUT_LOW_MEM_MAX && h->pref_address + h->init_size > end)
		end = h->pref_address + h->init_size;
	return end;
}

static int check_room(struct firmware_kernel *k, struct err *e)
{
	const struct setup_header *h = &k->header;
	u64 limit = h->version >= VERSION_LIMIT ? h->initrd_addr_max : INITRD_MAX_OLD;
	u64 top = memory_low(machine_memory_map(k->m)) - TOP_RESERVED;
	u64 need = kernel_end(k) + k->initrd.len + 2 * PAGE;

	if (top > limit)
		top = limit + 1;
	if (need > top)
		return err_set(e, -ENOMEM,
			       "%" PRIu64
			       " MiB of guest memory are too little for this kernel with "
			       "its initrd: it needs %" PRIu64 " MiB; give --memory more",
			       machine_memory(k->m) >> 20, (u64)((need + TOP_RESERVED) >> 20) + 1);
	k->initrd_at = k->initrd.len ? (top - k->initrd.len) & ~(PAGE - 1) : 0;
	return 0;
}

static int check_files(struct firmware_kernel *k, struct err *e)
{
	int ret = check_kernel(k, e);

	return ret ? ret : check_room(k, e);
}

/* Copies the parts to where the ROM jumps; false: there is nothing to start. */
static bool firmware_kernel_place(struct firmware_kernel *k)
{
	u64 rest = k->kernel.len - k->setup_len;
	u8 *setup, *high, *cmdline, *initrd = NULL;
	struct setup_header *h;

	if (!k->kernel.data)
		return false;
	setup = machine_gpa(k->m, SETUP_AT, SETUP_MAX);
	cmdline = machine_gpa(k->m, CMDLINE_AT, CMDLINE_ROOM);
	high = machine_gpa(k->m, LAYOUT_HIGH_RAM, rest);
	if (k->initrd.len)
		initrd = machine_gpa(k->m, k->initrd_at, k->initrd.len);
	if (!setup || !cmdline || !high || (k->initrd.len && !initrd))
		return false;
	memcpy(setup, k->kernel.data, k->setup_len);
	h = (struct setup_header *)(void *)(setup + SETUP_HEADER_AT);
	h->type_of_loader = SETUP_HEADER_ANY_LOADER;
	h->loadflags |= CAN_USE_HEAP;
	h->heap_end_ptr = HEAP_END - 0x200;
	h->cmd_line_ptr = (u32)CMDLINE_AT;
	h->ramdisk_image = (u32)k->initrd_at;
	h->ramdisk_size = (u32)k->initrd.len;
	memcpy(high, k->kernel.data + k->setup_len, rest);
	memcpy(cmdline, k->cmdline, strlen(k->cmdline) + 1);
	if (initrd)
		memcpy(initrd, k->initrd.data, k->initrd.len);
	return true;
}

static void firmware_kernel_release(struct firmware_kernel *k)
{
	free(k->kernel.data);
	free(k->initrd.data);
	k->kernel.data = k->initrd.data = NULL;
}

static void loader_io(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct firmware_kernel *k = arg;

	(void)offset;
	(void)len;
	if (write)
		return;
	pthread_mutex_lock(&k->lock);
	*(u8 *)data = firmware_kernel_place(k);
	firmware_kernel_release(k);
	pthread_mutex_unlock(&k->lock);
}

static int make_rom(struct firmware_kernel *k)
{
	size_t len = (size_t)(firmware_rom_end - firmware_rom);

	if (len > sizeof(k->rom))
		return -ENOSPC;
	memcpy(k->rom, firmware_rom, len);
	k->rom[len - 1] = (u8)(k->rom[len - 1] + checksum8(k->rom, len));
	k->rom_len = (u32)len;
	return 0;
}

int firmware_kernel_create(struct firmware_kernel **out, struct machine *m, const char *kernel,
			   const char *initrd, const char *cmdline, struct err *e)
{
	struct firmware_kernel *k = calloc(1, sizeof(*k));
	struct host *h = machine_host(m);
	int ret;

	if (!k)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&k->lock, NULL);
	k->m = m;
	k->kernel.fd = k->initrd.fd = -1;
	k->cmdline = strdup(cmdline);
	if (!k->cmdline) {
		ret = err_set(e, -ENOMEM, "out of memory");
		goto fail;
	}
	/* The errors are worded as in a direct boot. */
	ret = open_blob(&k->kernel, "", kernel, e);
	if (!ret && initrd)
		ret = open_blob(&k->initrd, "--initrd ", initrd, e);
	if (ret)
		goto fail;
	ret = make_rom(k);
	if (!ret)
		ret = h->ops->pio_add(h, LAYOUT_PORT_LOADER, 1, loader_io, k);
	if (ret) {
		err_set(e, ret, "%s: cannot prepare its start: %s", kernel, strerror(-ret));
		goto fail;
	}
	*out = k;
	return 0;
fail:
	firmware_kernel_destroy(k);
	return ret;
}

/*
 * Reads the files as they are now: a kernel that was installed meanwhile is for the next start. @r:
 * who is told which file, or NULL.
 */
static int read_files(struct firmware_kernel *k, struct held_read *r, struct err *e)
{
	int ret;

	firmware_kernel_release(k);
	if (r)
		held_read_file(r, k->kernel.path);
	ret = read_blob(&k->kernel, e);
	if (ret || k->initrd.fd < 0)
		return ret;
	if (r)
		held_read_file(r, k->initrd.path);
	return read_blob(&k->initrd, e);
}

void firmware_kernel_fetch(struct firmware_kernel *k, struct held_read *r)
{
	k->fetched = !read_files(k, r, NULL);
}

int firmware_kernel_read(struct firmware_kernel *k, struct err *e)
{
	int ret = k->fetched ? 0 : read_files(k, NULL, e);

	k->fetched = false;
	if (ret || !k->kernel.data)
		return ret;
	return check_files(k, e);
}

static void blob_release_file(struct blob *b, struct closer *c)
{
	if (b->fd >= 0)
		closer_close(c, b->fd, b->path);
	b->fd = -1;
}

void firmware_kernel_release_files(struct firmware_kernel *k, struct closer *c)
{
	blob_release_file(&k->kernel, c);
	blob_release_file(&k->initrd, c);
}

static void close_blob(struct blob *b)
{
	if (b->fd >= 0)
		close(b->fd);
	free(b->path);
}

void firmware_kernel_destroy(struct firmware_kernel *k)
{
	if (!k)
		return;
	firmware_kernel_release(k);
	close_blob(&k->kernel);
	close_blob(&k->initrd);
	free(k->cmdline);
	pthread_mutex_destroy(&k->lock);
	free(k);
}

const void *firmware_kernel_rom(const struct firmware_kernel *k, u32 *len)
{
	*len = k->rom_len;
	return k->rom;
}
