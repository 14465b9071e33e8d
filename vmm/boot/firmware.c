// SPDX-License-Identifier: GPL-2.0-only
/* Creates the chips and the ROM of a guest that starts in a firmware. */
#include "vmm/boot/firmware.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "devices/cmos.h"
#include "devices/fw_cfg.h"
#include "devices/ports.h"
#include "vmm/boot/firmware_kernel.h"
#include "vmm/boot/firmware_tables.h"
#include "vmm/machine/closer.h"
#include "vmm/machine/file_writer.h"
#include "vmm/machine/held_read.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine_boot.h"
#include "vmm/machine/memory.h"

#define IMAGE_MIN 0x10000ULL	/* the F segment */
#define LOW_COPY  0x20000ULL	/* of the image's end, below 1 MiB */
#define LOG_MAX	  (16ULL << 20) /* bytes that one guest writes to its log; SeaBIOS: a few KiB */

struct firmware {
	struct machine *m;
	struct fw_cfg *cfg;
	struct cmos *cmos;
	struct ports *ports;
	struct firmware_kernel *kernel;
	struct held_read fetch;	      /* reads the kernel's files at a reset */
	int timer;		      /* of the CMOS clock; belongs to the event loop */
	int log;		      /* or -1, with the next: no log */
	struct file_writer *log_file; /* of a log that is a regular file, which has @log then */
	const char *log_path;
	bool log_held_noted; /* there was a note that the end waits for it */
	u64 logged, lost;    /* bytes: given to the log, and that it did not take */
	const char *image;   /* for messages */
	int image_fd;	     /* until it is read, then -1 */
	void *rom;
	u64 rom_len;
	const u8 *low_source; /* the end of the ROM, */
	u64 low_len;	      /* which is copied below 1 MiB */
	u8 line[256];
	size_t line_len;
};

/* Returns true if the log takes the line, which it does without waiting for its reader or disk. */
static bool log_take_line(const struct firmware *f)
{
	if (f->log_file)
		return file_writer_put(f->log_file, f->line, f->line_len, true) > 0;
	return f->log >= 0 && write(f->log, f->line, f->line_len) > 0;
}

static void flush_log(struct firmware *f)
{
	/* A line that the log does not take is lost, and the guest goes on. */
	if (f->line_len && f->logged < LOG_MAX && log_take_line(f))
		f->logged += f->line_len;
	else
		f->lost += f->line_len;
	f->line_len = 0;
}

static void on_log_byte(void *arg, u8 byte)
{
	struct firmware *f = arg;

	f->line[f->line_len++] = byte;
	if (byte == '\n' || f->line_len == sizeof(f->line))
		flush_log(f);
}

static void on_log_timer(void *arg, u32 expiries)
{
	struct firmware *f = arg;

	(void)expiries;
	cmos_tick(f->cmos);
}

static void set_periodic(void *arg, u64 ns)
{
	struct firmware *f = arg;

	loop_timer_set(machine_loop(f->m), f->timer, ns, ns);
}

static int place_low_copy(struct firmware *f, struct err *e)
{
	void *low = machine_gpa(f->m, LAYOUT_HIGH_RAM - f->low_len, f->low_len);

	if (!low)
		return err_set(e, -ENOMEM, "guest memory is too small for a firmware");
	memcpy(low, f->low_source, f->low_len);
	return 0;
}

static int open_image(struct firmware *f, struct err *e)
{
	bool debian = !strcmp(f->image, "seabios");
	const char *path = debian ? FIRMWARE_SEABIOS : f->image;
	struct stat st;

	f->image_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->image_fd < 0)
		return err_set(e, -errno, "--firmware %s%s%s: cannot open: %s%s", f->image,
			       debian ? ": " : "", debian ? path : "", strerror(errno),
			       debian ? "; install the package seabios" : "");
	if (fstat(f->image_fd, &st) || !S_ISREG(st.st_mode) || (u64)st.st_size < IMAGE_MIN ||
	    (u64)st.st_size > LAYOUT_ROM_MAX || st.st_size % 4096)
		return err_set(e, -EINVAL,
			       "--firmware %s: not a BIOS image: want a file of %llu to %llu KiB, "
			       "a multiple of 4 KiB",
			       f->image, IMAGE_MIN >> 10, LAYOUT_ROM_MAX >> 10);
	f->rom_len = (u64)st.st_size;
	f->low_len = f->rom_len < LOW_COPY ? f->rom_len : LOW_COPY;
	return memory_add_rom(machine_memory_map(f->m), f->rom_len, &f->rom, e);
}

static int read_image(struct firmware *f, struct err *e)
{
	int ret = file_pread(f->image_fd, f->rom, f->rom_len, 0);

	if (ret)
		return err_set(e, ret, "--firmware %s: cannot read: %s", f->image, strerror(-ret));
	f->low_source = (u8 *)f->rom + f->rom_len - f->low_len;
	close(f->image_fd);
	f->image_fd = -1;
	return 0;
}

/* Has a thread write the log, which is a regular file: its storage may not answer. */
static int create_log_file(struct firmware *f)
{
	const struct file_writer_config c = { .host = machine_host(f->m),
					      .fd = f->log,
					      .ours = true };

	return file_writer_create(&f->log_file, &c);
}

/*
 * Opens the log, whose content stays, as that of a console's file does. Without O_NONBLOCK a FIFO
 * that nobody reads would hold up the start, and one whose reader stops would hold up a vCPU.
 */
static int open_log(struct firmware *f, const char *path, struct err *e)
{
	struct stat st;

	if (!path)
		return 0;
	f->log_path = path;
	f->log =
		open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);
	if (f->log < 0)
		return err_set(e, -errno, "--firmware-log %s: cannot open: %s", path,
			       errno == ENXIO ? "a FIFO that nobody reads; start its reader first"
					      : strerror(errno));
	if (fstat(f->log, &st))
		return err_set(e, -errno, "--firmware-log %s: %s", path, strerror(errno));
	if (S_ISBLK(st.st_mode))
		return err_set(e, -EINVAL,
			       "--firmware-log %s: is a block device, whose data it would "
			       "overwrite; want a file",
			       path);
	if (S_ISREG(st.st_mode) && create_log_file(f))
		return err_set(e, -ENOMEM, "out of memory");
	return 0;
}

static int firmware_create_chips(struct firmware *f, const struct firmware_config *c)
{
	const struct memory *mem = machine_memory_map(f->m);
	struct host *h = machine_host(f->m);
	const struct cmos_config cmos = {
		.gsi = LAYOUT_GSI_RTC,
		.low = memory_low(mem),
		.high = memory_high(mem),
		.cpus = machine_cpus(f->m),
		.periodic = set_periodic,
		.arg = f,
	};
	const struct ports_config ports = {
		.pm1_port = LAYOUT_PORT_PM1,
		.sleep_type_off = LAYOUT_SLEEP_TYPE_OFF,
		.log = c->log ? on_log_byte : NULL,
		.arg = f,
	};
	const void *rom = NULL;
	u32 rom_len = 0;
	int ret;

	f->timer = loop_timer(machine_loop(f->m), 0, 0, on_log_timer, f);
	if (f->timer < 0)
		return f->timer;
	ret = cmos_create(&f->cmos, h, &cmos);
	if (!ret)
		ret = ports_create(&f->ports, h, &ports);
	if (!ret)
		ret = fw_cfg_create(&f->cfg, h);
	if (f->kernel)
		rom = firmware_kernel_rom(f->kernel, &rom_len);
	if (!ret)
		ret = firmware_tables(f->cfg, f->m, &c->pci, rom, rom_len);
	if (!ret && c->smbios)
		ret = firmware_add_smbios(f->cfg, c->smbios);
	return ret;
}

int firmware_create(struct firmware **out, struct machine *m, const struct firmware_config *c,
		    struct err *e)
{
	struct firmware *f = calloc(1, sizeof(*f));
	int ret;

	if (!f)
		return err_set(e, -ENOMEM, "out of memory");
	f->m = m;
	f->timer = f->log = f->image_fd = -1;
	f->image = c->image;
	ret = open_image(f, e);
	if (!ret && c->kernel)
		ret = firmware_kernel_create(&f->kernel, m, c->kernel, c->initrd, c->cmdline, e);
	if (!ret)
		ret = open_log(f, c->log, e);
	if (!ret) {
		ret = firmware_create_chips(f, c);
		if (ret)
			err_set(e, ret, "cannot set up the firmware's devices: %s", strerror(-ret));
	}
	if (ret) {
		firmware_destroy(f);
		return ret;
	}
	*out = f;
	return 0;
}

static int reset_firmware(void *part, struct err *e)
{
	struct firmware *f = part;

	flush_log(f);
	cmos_reset(f->cmos);
	ports_reset(f->ports);
	fw_cfg_reset(f->cfg);
	return f->kernel ? firmware_kernel_read(f->kernel, e) : 0;
}

/* Goes on with the end of the log's thread; notes, once, that the end waits for it. */
static bool log_is_busy(void *arg)
{
	struct firmware *f = arg;

	if (!file_writer_end(f->log_file, false))
		return false;
	machine_note_held(f->m, &f->log_held_noted, file_writer_held_ms(f->log_file),
			  "--firmware-log", f->log_path);
	return true;
}

/* On a thread. */
static void fetch_kernel(void *arg)
{
	struct firmware *f = arg;

	firmware_kernel_fetch(f->kernel, &f->fetch);
}

const struct held_read *firmware_kernel_reading(const struct firmware *f)
{
	return &f->fetch;
}

int firmware_await_kernel(struct firmware *f)
{
	f->fetch = (struct held_read){ .name = "boot", .run = fetch_kernel, .arg = f };
	/* Without memory for a thread the reset reads them. */
	if (f->kernel)
		held_read_start(&f->fetch, f->m);
	return held_read_await(&f->fetch, f->m);
}

void firmware_release_files(struct firmware *f, struct closer *c)
{
	if (f->image_fd >= 0)
		closer_close(c, f->image_fd, f->image);
	f->image_fd = -1;
	if (f->kernel)
		firmware_kernel_release_files(f->kernel, c);
}

void firmware_await_log(struct firmware *f)
{
	if (!f->log_file)
		return;
	flush_log(f);
	machine_wait(f->m, log_is_busy, f);
}

s64 firmware_log_held_ms(const struct firmware *f)
{
	return f->log_file ? file_writer_held_ms(f->log_file) : 0;
}

/* Waits for the log's storage, unless firmware_await_log() has. */
static void close_log(struct firmware *f)
{
	flush_log(f);
	if (f->log_file)
		file_writer_end(f->log_file, false);
	else if (f->log >= 0)
		close(f->log);
	f->lost += file_writer_destroy(f->log_file);
	if (f->lost && f->log >= 0)
		note_put(machine_notes(f->m),
			 "--firmware-log %s: %llu bytes of the firmware's messages are missing in "
			 "it",
			 f->log_path, (unsigned long long)f->lost);
}

void firmware_destroy(struct firmware *f)
{
	if (!f)
		return;
	if (f->timer >= 0)
		loop_timer_del(machine_loop(f->m), f->timer);
	close_log(f);
	if (f->image_fd >= 0)
		close(f->image_fd);
	fw_cfg_destroy(f->cfg);
	ports_destroy(f->ports);
	cmos_destroy(f->cmos);
	firmware_kernel_destroy(f->kernel);
	free(f);
}

static int start_firmware(void *part, bool again, struct err *e)
{
	struct firmware *f = part;
	int ret = again ? 0 : read_image(f, e);

	if (!ret && !again && f->kernel)
		ret = firmware_kernel_read(f->kernel, e);
	return ret ? ret : place_low_copy(f, e);
}

static int end_firmware(void *part, struct err *e)
{
	(void)e;
	firmware_destroy(part);
	return 0;
}

const struct lifecycle_ops firmware_part = {
	.name = "firmware",
	.start = start_firmware,
	.reset = reset_firmware,
	.end = end_firmware,
};
