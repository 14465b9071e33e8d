// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests firmware guests on this /dev/kvm, with a firmware of a few instructions: the reset vector,
 * what is where in memory, fw_cfg by string instructions, the clock's interrupt by way of the PIC,
 * the timer's port, the kernel that our option ROM asks for. SeaBIOS itself is a case of the lab.
 */
#include <asm/bootparam.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/exit_code.h"
#include "vmm/boot/acpi.h"
#include "vmm/boot/firmware.h"
#include "vmm/machine/layout.h"
#include "vmm/cli/run_options.h"

#define MEMORY	   (16ULL << 20)
#define IMAGE_LEN  0x10000U
#define RESET_AT   0xfff0U
#define COUNT_AT   0x500U
#define PORT61_AT  0x510U
#define LOADED_AT  0x520U
#define FW_CFG_AT  0x600U
#define DONE_PORT  0xf4
#define KERNEL_LEN 6000U
#define SETUP_LEN  1024U

/* At F000:0000. */
__asm__(".pushsection .rodata\n.code16\nfw_code:\n"
	"xor %ax, %ax\n mov %ax, %ds\n mov %ax, %es\n mov %ax, %ss\n mov $0x7000, %sp\n cld\n"
	"movw $0, 0x500\n"
	/* a line of the log */
	"mov $0x402, %dx\n mov $'f', %al\n out %al, %dx\n mov $'w', %al\n out %al, %dx\n"
	"mov $10, %al\n out %al, %dx\n"
	"mov $0x510, %dx\n mov $0x19, %ax\n out %ax, %dx\n"
	"inc %dx\n mov $0x600, %di\n mov $512, %cx\n rep insb\n"
	"mov $0x51c, %dx\n in %dx, %al\n mov %al, 0x520\n in %dx, %al\n mov %al, 0x521\n"
	"in $0x61, %al\n mov %al, 0x510\n"
	/* the PICs, with only the cascade and line 8 open */
	"mov $0x11, %al\n out %al, $0x20\n out %al, $0xa0\n"
	"mov $0x08, %al\n out %al, $0x21\n mov $0x70, %al\n out %al, $0xa1\n"
	"mov $4, %al\n out %al, $0x21\n mov $2, %al\n out %al, $0xa1\n"
	"mov $1, %al\n out %al, $0x21\n out %al, $0xa1\n"
	"mov $0xfb, %al\n out %al, $0x21\n mov $0xfe, %al\n out %al, $0xa1\n"
	"movw $fw_handler - fw_code, 0x1c0\n movw $0xf000, 0x1c2\n"
	"mov $0x0b, %al\n out %al, $0x70\n mov $0x42, %al\n out %al, $0x71\n"
	"1: sti\n hlt\n cli\n cmpw $3, 0x500\n jb 1b\n"
	"mov $7, %al\n out %al, $0xf4\n 2: hlt\n jmp 2b\n"
	"fw_handler:\n push %ax\n incw 0x500\n"
	"mov $0x0c, %al\n out %al, $0x70\n in $0x71, %al\n"
	"mov $0x20, %al\n out %al, $0xa0\n out %al, $0x20\n pop %ax\n iret\n"
	"fw_code_end:\n.code64\n.popsection\n");
extern const u8 fw_code[], fw_code_end[];

static const u8 reset_vector[] = { 0xea, 0x00, 0x00, 0x00, 0xf0 }; /* ljmp $0xf000, $0 */

struct ctx {
	char image[64], kernel[64], initrd[64];
	struct machine *m;
	struct firmware *fw;
	u8 done;
	struct err e;
};

/* Creates and starts a firmware, as a guest's assembly and its first start do it. */
static int create_and_start(struct ctx *t, const struct firmware_config *c)
{
	int ret = firmware_create(&t->fw, t->m, c, &t->e);

	if (ret)
		return ret;
	ret = firmware_part.start(t->fw, false, &t->e);
	if (ret) {
		firmware_destroy(t->fw);
		t->fw = NULL;
	}
	return ret;
}

static void write_file(char *path, size_t room, const void *data, size_t len)
{
	const char *dir = getenv("TMPDIR");
	int fd;

	snprintf(path, room, "%s/umbra-fw.XXXXXX", dir && strlen(dir) < 40 ? dir : "/tmp");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

static int setup(void **state)
{
	struct machine_config mc = { .memory = MEMORY, .cpus = 1, .pc = true };
	static u8 image[IMAGE_LEN];
	struct ctx *t = calloc(1, sizeof(*t));

	assert_non_null(t);
	memset(image, 0xff, sizeof(image));
	memcpy(image, fw_code, (size_t)(fw_code_end - fw_code));
	memcpy(image + RESET_AT, reset_vector, sizeof(reset_vector));
	write_file(t->image, sizeof(t->image), image, sizeof(image));
	if (machine_create(&t->m, &mc, &t->e))
		fail_msg("%s", t->e.text);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	struct ctx *t = *state;

	firmware_destroy(t->fw);
	machine_destroy(t->m);
	unlink(t->image);
	if (*t->kernel)
		unlink(t->kernel);
	if (*t->initrd)
		unlink(t->initrd);
	free(t);
	return 0;
}

static void on_done(void *arg, u64 offset, void *data, unsigned len, bool write)
{
	struct ctx *t = arg;

	(void)offset;
	(void)len;
	if (!write)
		return;
	t->done = *(u8 *)data;
	machine_exit(t->m, EXIT_CODE_POWEROFF, NULL);
}

static void on_timeout(void *arg, u32 expiries)
{
	(void)expiries;
	machine_exit(arg, EXIT_CODE_ERROR, "timeout");
}

static void run_machine(struct ctx *t)
{
	struct host *h = machine_host(t->m);

	assert_int_equal(h->ops->pio_add(h, DONE_PORT, 1, on_done, t), 0);
	assert_true(loop_timer(machine_loop(t->m), 20000000000ULL, 0, on_timeout, t->m) >= 0);
	assert_int_equal(machine_run(t->m, &t->e), EXIT_CODE_POWEROFF);
	assert_int_equal(t->done, 7);
}

/* Returns the entry of fw_cfg's directory that the guest has read; NULL if there is none. */
static const u8 *file_entry(struct ctx *t, const char *name)
{
	const u8 *dir = machine_gpa(t->m, FW_CFG_AT, 512);

	for (unsigned i = 0; i < 7 && i < dir[3]; i++)
		if (!strcmp((const char *)dir + 4 + 64 * i + 8, name))
			return dir + 4 + 64 * i;
	return NULL;
}

static void test_start(void **state)
{
	struct ctx *t = *state;
	struct firmware_config c = { .image = t->image, .pci = { 1, { { .slot = 3 } }, 1 } };
	const u8 *e820;

	if (create_and_start(t, &c))
		fail_msg("%s", t->e.text);
	assert_memory_equal(machine_gpa(t->m, 0xffff0, 5), reset_vector, 5);
	run_machine(t);
	assert_true(*(u16 *)machine_gpa(t->m, COUNT_AT, 2) >= 3);
	assert_int_not_equal(*(u8 *)machine_gpa(t->m, PORT61_AT, 1), 0xff);
	assert_int_equal(*(u8 *)machine_gpa(t->m, LOADED_AT, 1), 0xff); /* no kernel */
	e820 = file_entry(t, "etc/e820");
	assert_non_null(e820);
	assert_int_equal(e820[3], 3 * 20);
	assert_non_null(file_entry(t, "etc/sercon-port"));
	assert_non_null(file_entry(t, "etc/table-loader"));
	assert_non_null(file_entry(t, "bootorder"));
	assert_null(file_entry(t, "genroms/kernel.rom"));
}

/* --- the log ------------------------------------------------------------------------------- */

/* Makes the name of a file that is not there yet. */
static void log_name(char *path, size_t room)
{
	write_file(path, room, "", 0);
	unlink(path);
}

static void test_log_is_appended_to(void **state)
{
	struct ctx *t = *state;
	struct firmware_config c = { .image = t->image };
	char path[64], text[40] = "";
	int fd;

	write_file(path, sizeof(path), "precious\n", 9);
	c.log = path;
	if (create_and_start(t, &c))
		fail_msg("%s", t->e.text);
	run_machine(t);
	/* A thread writes it, which the end waits for. */
	firmware_destroy(t->fw);
	t->fw = NULL;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(read(fd, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "precious\nfw\n");
	close(fd);
	unlink(path);
}

static void test_log_without_a_reader_is_refused(void **state)
{
	struct ctx *t = *state;
	struct firmware_config c = { .image = t->image };
	char path[64];

	log_name(path, sizeof(path));
	assert_int_equal(mkfifo(path, 0600), 0);
	c.log = path;
	alarm(10); /* the fault is to wait here */
	assert_int_equal(firmware_create(&t->fw, t->m, &c, &t->e), -ENXIO);
	alarm(0);
	assert_non_null(strstr(t->e.text, "a FIFO that nobody reads"));
	unlink(path);
}

/* A reader that stopped, with the FIFO full, holds up no vCPU. */
static void test_log_whose_reader_stopped(void **state)
{
	struct ctx *t = *state;
	struct firmware_config c = { .image = t->image };
	char path[64], full[4096] = "";
	int fd;

	log_name(path, sizeof(path));
	assert_int_equal(mkfifo(path, 0600), 0);
	fd = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	assert_true(fd >= 0);
	while (write(fd, full, sizeof(full)) > 0)
		;
	c.log = path;
	if (create_and_start(t, &c))
		fail_msg("%s", t->e.text);
	alarm(30); /* a vCPU that waits in write(2) does not end */
	run_machine(t);
	alarm(0);
	close(fd);
	unlink(path);
}

/* --- a kernel ------------------------------------------------------------------------------ */

static void make_kernel(struct ctx *t, u8 *file)
{
	struct setup_header h = {
		.setup_sects = 1,
		.boot_flag = 0xaa55,
		.header = 0x53726448,
		.version = 0x207,
		.loadflags = 1,
		.initrd_addr_max = 0x37ffffff,
		.cmdline_size = 40,
	};

	for (unsigned i = 0; i < KERNEL_LEN; i++)
		file[i] = (u8)(i * 7);
	memcpy(file + 0x1f1, &h, sizeof(h));
	write_file(t->kernel, sizeof(t->kernel), file, KERNEL_LEN);
	write_file(t->initrd, sizeof(t->initrd), "#!ipxe\n", 7);
}

static void test_kernel(void **state)
{
	struct ctx *t = *state;
	struct firmware_config c = { .image = t->image, .cmdline = "a b" };
	struct setup_header *h;
	u8 file[KERNEL_LEN];
	u8 *loaded;

	make_kernel(t, file);
	c.kernel = t->kernel;
	c.initrd = t->initrd;
	if (create_and_start(t, &c))
		fail_msg("%s", t->e.text);
	run_machine(t);
	assert_non_null(file_entry(t, "genroms/kernel.rom"));
	loaded = machine_gpa(t->m, LOADED_AT, 2);
	assert_int_equal(loaded[0], 1);
	assert_int_equal(loaded[1], 0); /* only once */
	assert_memory_equal(machine_gpa(t->m, 0x10000, 0x1f1), file, 0x1f1);
	assert_memory_equal(machine_gpa(t->m, LAYOUT_HIGH_RAM, KERNEL_LEN - SETUP_LEN),
			    file + SETUP_LEN, KERNEL_LEN - SETUP_LEN);
	h = machine_gpa(t->m, 0x10000 + 0x1f1, sizeof(*h));
	assert_string_equal(machine_gpa(t->m, h->cmd_line_ptr, 4), "a b");
	assert_int_equal(h->ramdisk_size, 7);
	assert_true(h->ramdisk_image >= LAYOUT_HIGH_RAM + KERNEL_LEN &&
		    h->ramdisk_image < MEMORY - (1 << 20));
	assert_memory_equal(machine_gpa(t->m, h->ramdisk_image, 7), "#!ipxe\n", 7);
	assert_true(h->loadflags & CAN_USE_HEAP);
	assert_true(h->type_of_loader);
}

static void expect_refused(struct ctx *t, const struct firmware_config *c, int ret,
			   const char *words)
{
	*t->e.text = '\0';
	assert_int_equal(create_and_start(t, c), ret);
	if (!strstr(t->e.text, words))
		fail_msg("\"%s\" does not say \"%s\"", t->e.text, words);
	assert_null(t->fw);
}

static void test_bad_image(void **state)
{
	struct ctx *t = *state;
	struct firmware_config c = { .image = "/nonexistent/bios" };

	expect_refused(t, &c, -ENOENT, "/nonexistent/bios");
	c.image = "/dev/null";
	expect_refused(t, &c, -EINVAL, "not a BIOS image");
	c.image = t->image;
	assert_int_equal(truncate(t->image, 0x10001), 0);
	expect_refused(t, &c, -EINVAL, "not a BIOS image");
	assert_int_equal(truncate(t->image, 0x41000), 0);
	expect_refused(t, &c, -EINVAL, "not a BIOS image");
}

/*
 * Checks a file of a kernel in which one thing is wrong; one for each machine, since the ROM's slot
 * stays.
 */
static void bad_kernel(struct ctx *t, size_t at, u8 value, size_t len, int ret, const char *words)
{
	struct machine_config mc = { .memory = MEMORY, .cpus = 1, .pc = true };
	struct firmware_config c = { .image = t->image, .cmdline = "" };
	u8 file[KERNEL_LEN];
	int fd;

	machine_destroy(t->m);
	t->m = NULL;
	assert_int_equal(machine_create(&t->m, &mc, &t->e), 0);
	if (!*t->kernel)
		make_kernel(t, file);
	fd = open(t->kernel, O_RDWR);
	assert_int_equal(pread(fd, file, sizeof(file), 0), sizeof(file));
	assert_int_equal(pwrite(fd, &value, 1, (off_t)at), 1);
	assert_int_equal(ftruncate(fd, (off_t)len), 0);
	c.kernel = t->kernel;
	expect_refused(t, &c, ret, words);
	assert_int_equal(pwrite(fd, file, sizeof(file), 0), sizeof(file));
	close(fd);
}

static void test_bad_kernel(void **state)
{
	struct ctx *t = *state;

	bad_kernel(t, 0, 0, 100, -EINVAL, "too short");
	bad_kernel(t, 0x1fe, 0, KERNEL_LEN, -EINVAL, "not a bzImage");
	bad_kernel(t, 0x202, 'x', KERNEL_LEN, -EINVAL, "not a bzImage");
	bad_kernel(t, 0x207, 1, KERNEL_LEN, -EINVAL, "not a bzImage"); /* version 1.7 */
	bad_kernel(t, 0x211, 0, KERNEL_LEN, -EINVAL, "not a bzImage"); /* a zImage */
	bad_kernel(t, 0x1f1, 200, KERNEL_LEN, -EINVAL, "damaged");
	bad_kernel(t, 0x1f1, 30, KERNEL_LEN, -EINVAL, "damaged");
}

/* --- tables -------------------------------------------------------------------------------- */

static u8 byte_sum(const u8 *p, u32 len)
{
	u8 s = 0;

	while (len--)
		s = (u8)(s + *p++);
	return s;
}

static u32 get32(const u8 *p)
{
	u32 v;

	memcpy(&v, p, 4);
	return v;
}

/* Does to the tables what a firmware does, at an address of its choice. */
static void test_acpi(void **state)
{
	const u64 base = 0xf5640;
	static u8 mem[8192];
	struct acpi_fixups f;
	const u8 *xsdt, *fadt, *madt, *mcfg;
	u64 v;

	(void)state;
	for (unsigned cpus = 1; cpus <= LAYOUT_MAX_CPUS; cpus++) {
		assert_int_equal(acpi_write_pc(mem, sizeof(mem), cpus, 1, &f), 0);
		assert_int_equal(f.n_pointers, 7);
		assert_int_equal(f.n_sums, 3);
		for (unsigned i = 0; i < f.n_pointers; i++) {
			assert_true(f.pointers[i].at + f.pointers[i].len <= f.used);
			v = 0;
			memcpy(&v, mem + f.pointers[i].at, f.pointers[i].len);
			assert_true(v && v < f.used);
			v += base;
			memcpy(mem + f.pointers[i].at, &v, f.pointers[i].len);
		}
		for (unsigned i = 0; i < f.n_sums; i++)
			mem[f.sums[i].at] = (u8)(mem[f.sums[i].at] -
						 byte_sum(mem + f.sums[i].start, f.sums[i].len));
		assert_int_equal(byte_sum(mem, 20), 0);
		assert_int_equal(byte_sum(mem, 36), 0);
		xsdt = mem + (get32(mem + 24) - base);
		assert_memory_equal(xsdt, "XSDT", 4);
		assert_int_equal(byte_sum(xsdt, get32(xsdt + 4)), 0);
		fadt = mem + (get32(xsdt + 36) - base);
		assert_memory_equal(fadt, "FACP", 4);
		assert_int_equal(byte_sum(fadt, 276), 0);
		assert_int_equal(get32(fadt + 112) & 1U << 20, 0); /* not hardware-reduced */
		assert_int_equal(get32(fadt + 36) % 64, base % 64);
		assert_memory_equal(mem + (get32(fadt + 36) - base), "FACS", 4);
		assert_memory_equal(mem + (get32(fadt + 40) - base), "DSDT", 4);
		madt = mem + (get32(xsdt + 44) - base);
		assert_memory_equal(madt, "APIC", 4);
		assert_int_equal(byte_sum(madt, get32(madt + 4)), 0);
		mcfg = mem + (get32(xsdt + 52) - base);
		assert_memory_equal(mcfg, "MCFG", 4);
		assert_int_equal(byte_sum(mcfg, get32(mcfg + 4)), 0);
	}
	for (size_t len = 0; len < 700; len++)
		assert_int_equal(acpi_write_pc(mem, len, 1, 1, &f), -ENOSPC);
}

/* --- options ------------------------------------------------------------------------------- */

static void expect_options(int ret, const char *words, const char *const *args)
{
	char arena[400], *argv[12] = { NULL };
	struct run_options o;
	struct err e = { "" };
	size_t used = 0;
	int argc = 0;

	for (; args[argc]; argc++) {
		size_t len = strlen(args[argc]) + 1;

		assert_true(len <= sizeof(arena) - used);
		argv[argc] = memcpy(arena + used, args[argc], len);
		used += len;
	}
	assert_int_equal(run_options_parse(&o, argc, argv, &e), ret);
	if (!strstr(e.text, words))
		fail_msg("\"%s\" does not say \"%s\"", e.text, words);
	run_options_free(&o);
}

#define OPTIONS(ret, words, ...)   \
	expect_options(ret, words, \
		       (const char *const[]){ "run", "--firmware", "seabios", __VA_ARGS__, NULL })

static void test_options(void **state)
{
	static const char direct[] = "isolation is for direct boot";

	(void)state;
	OPTIONS(0, "", "--disk", "d");
	OPTIONS(0, "", "--kernel", "k", "--initrd", "i", "--append", "x", "--firmware-log", "l");
	OPTIONS(-EINVAL, "needs something to boot", "--memory", "64M");
	OPTIONS(-EINVAL, direct, "--disk", "d", "--policy", "p");
	OPTIONS(-EINVAL, direct, "--kernel", "k", "--driver", "s:d.ko");
	OPTIONS(-EINVAL, direct, "--kernel", "k", "--record", "r");
	OPTIONS(-EINVAL, "--no-kaslr", "--kernel", "k", "--no-kaslr");
	OPTIONS(-EINVAL, "--initrd needs --kernel", "--disk", "d", "--initrd", "i");
	OPTIONS(-EINVAL, "--append needs --kernel", "--disk", "d", "--append", "a");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(test_start),
		T(test_log_is_appended_to),
		T(test_log_without_a_reader_is_refused),
		T(test_log_whose_reader_stopped),
		T(test_kernel),
		T(test_bad_image),
		T(test_bad_kernel),
		cmocka_unit_test(test_acpi),
		cmocka_unit_test(test_options),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
