// SPDX-License-Identifier: GPL-2.0-only
/* Boots a guest directly: opens its files, and reads and places them at each start. */
#include "vmm/guest/guest_boot.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "shadow/kernel/kernel.h"
#include "shadow/kernel/prepared.h"
#include "vmm/backend/platform.h"
#include "vmm/boot/boot.h"
#include "vmm/boot/kernel_cache.h"
#include "vmm/boot/probe.h"
#include "vmm/boot/symbolize.h"
#include "vmm/machine/closer.h"
#include "vmm/machine/held_read.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/machine_boot.h"
#include "vmm/session/sessions.h"
#include "vmm/spec/cmdline.h"

#define COPY_MAX ((size_t)2 << 30) /* of a file; a larger one is read by the start itself */

/* A whole file in memory; NULL: it is not. */
struct boot_copy {
	u8 *data;
	size_t len;
};

struct guest_boot {
	const struct guest_spec *spec;
	const struct note_sink *notes;
	struct machine *m;
	struct sessions *sessions; /* or NULL */
	struct closer *closer;
	/* NULL before the kernel is read, and once the guest executes if no session needs it. */
	struct kernel *kernel;
	bool drawn;    /* the kernel's place */
	bool prepared; /* there was a prepared kernel */
	bool damaged;  /* and it was */
	char *cmdline;
	u64 kaslr;
	struct boot_random random;
	int file;   /* the kernel's descriptor until the machine has it, then -1 */
	int initrd; /* descriptor, or -1 */
	struct {
		struct held_read read;
		struct boot_copy kernel, initrd; /* until they are placed */
	} again;	   /* what guest_boot_await_files() has read for a start after a reset */
	char kvm_why[300]; /* "" or why this KVM does not run stock kernels */
};

/* Draws a place, at the first start and at each reset. */
static int choose_kaslr(struct guest_boot *b, struct err *e)
{
	const struct kernel_layout *l = kernel_layout(b->kernel);
	const char *file = b->spec->kernel;
	int ret = boot_draw(&b->random, e);

	if (ret)
		return ret;
	if (kernel_payload_opaque(b->kernel)) {
		if (guest_spec_has_sessions(b->spec))
			return err_set(
				e, -EOPNOTSUPP,
				"%s: cannot be decompressed here, so its addresses are unknown; "
				"sessions need them",
				file);
		note_put(b->notes,
			 "%s: the payload's format is not known here; the kernel decompresses "
			 "itself",
			 file);
		return 0;
	}
	b->kaslr = 0;
	if (b->spec->no_kaslr)
		return 0;
	if (!l->relocatable) {
		note_put(b->notes, "%s: runs without KASLR: %s", file,
			 l->no_reloc_reason ? l->no_reloc_reason : "it has no relocations");
		return 0;
	}
	b->kaslr = boot_choose_kaslr(b->kernel, &b->random);
	return 0;
}

/*
 * Sets b->kvm_why if KVM is software (the processor cannot virtualize) and lacks features that
 * every kernel needs: then the guest would hang or crash without a word. The probe's guests, which
 * take 0.8 s on such a host, run in a child process, whose end frees their memory and machine.
 */
static void probe_software_kvm(struct guest_boot *b)
{
	char *why = b->kvm_why;
	struct probe_result r;
	int fds[2];
	ssize_t n;
	pid_t child;

	if (probe_hardware() || pipe2(fds, O_CLOEXEC))
		return;
	child = fork();
	if (!child) {
		alarm(5);
		if (!probe_kvm(&r, NULL))
			probe_reasons(&r, why, sizeof(b->kvm_why));
		_exit(file_write(fds[1], why, strlen(why)) ? 1 : 0);
	}
	close(fds[1]);
	do {
		n = read(fds[0], why, sizeof(b->kvm_why) - 1);
	} while (n < 0 && errno == EINTR);
	close(fds[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	why[n > 0 ? n : 0] = '\0';
}

int guest_boot_create(struct guest_boot **out, const struct guest_spec *spec,
		      const struct note_sink *notes, struct err *e)
{
	struct guest_boot *b = calloc(1, sizeof(*b));
	int ret;

	if (!b)
		return err_set(e, -ENOMEM, "out of memory");
	b->spec = spec;
	b->notes = notes;
	b->initrd = -1;
	b->file = ret = file_open(spec->kernel, e);
	if (b->file >= 0 && spec->initrd)
		b->initrd = ret = boot_open_initrd(spec->initrd, e);
	if (ret < 0) {
		guest_boot_destroy(b);
		return ret;
	}
	/*
	 * If the cache has no prepared kernel, guest_boot_read() reads the bzImage, after
	 * confinement.
	 */
	if (!spec->no_cache && kernel_cache_find(&b->kernel, b->file, spec->kernel))
		b->kernel = NULL;
	b->prepared = b->kernel;
	if (!spec->kvm_known)
		probe_software_kvm(b);
	*out = b;
	return 0;
}

void guest_boot_attach(struct guest_boot *b, struct machine *m, struct sessions *s,
		       struct closer *c)
{
	b->m = m;
	b->sessions = s;
	b->closer = c;
	machine_keep_kernel_file(m, b->spec->kernel, b->file);
	b->file = -1;
}

static void copy_drop(struct boot_copy *copy)
{
	free(copy->data);
	*copy = (struct boot_copy){ .data = NULL };
}

/*
 * Opens the kernel by the descriptor of guest_boot_create(), since a confined VMM can open no path;
 * or what was read of it for this start.
 */
static int open_kernel(struct guest_boot *b, struct err *e)
{
	struct boot_copy *copy = &b->again.kernel;
	const char *path;
	int fd = machine_kernel_file(b->m, &path), ret;

	if (copy->data) {
		ret = kernel_parse(&b->kernel, path, copy->data, copy->len, true, e);
		copy_drop(copy);
		return ret;
	}
	return fd < 0 ? err_set(e, -ENOMEM, "out of memory")
		      : kernel_open_fd(&b->kernel, fd, path, true, e);
}

int guest_boot_read(struct guest_boot *b, struct err *e)
{
	int ret = b->kernel ? 0 : open_kernel(b, e);

	if (!ret && !b->drawn)
		ret = choose_kaslr(b, e);
	if (ret || b->drawn)
		return ret;
	b->drawn = true;
	if (*b->kvm_why && !kernel_payload_opaque(b->kernel))
		note_put(b->notes,
			 "this machine's KVM does not run stock kernels, see vmm doctor; the guest "
			 "may hang or crash: %s",
			 b->kvm_why);
	b->kvm_why[0] = '\0';
	return 0;
}

char *guest_boot_cmdline(const struct guest_spec *spec, const char *append)
{
	struct cmdline_word w;
	const char *console =
		cmdline_find_value(spec->append, "console", &w) ? "" : "console=ttyS0 ";
	const char *nokaslr =
		spec->no_kaslr && !cmdline_find(spec->append, "nokaslr", &w) ? "nokaslr " : "";
	char *line;

	/* Both words go in front: those behind " -- " are for the guest's init. */
	return asprintf(&line, "%s%s%s", nokaslr, console, append) < 0 ? NULL : line;
}

/*
 * Places kernel, initramfs and command line in the machine's memory, which is clear at each start.
 */
static int start_boot(void *part, bool again, struct err *e)
{
	struct guest_boot *b = part;
	struct boot_plan p = {
		.initrd = b->spec->initrd,
		.initrd_fd = b->initrd,
		.random = &b->random,
		.smbios = &b->spec->smbios,
		.randomize = !b->spec->no_kaslr,
		.reserve_umbra = b->sessions,
		.pci_buses = platform_pci_buses(b->spec),
		.damaged = &b->damaged,
	};
	void *prefix = NULL;
	int ret = guest_boot_read(b, e);

	(void)again;
	if (ret)
		return ret;
	p.kernel = b->kernel;
	p.kaslr = b->kaslr;
	if (b->sessions)
		sessions_initrd(b->sessions, &prefix, &p.prefix_len);
	p.initrd_prefix = prefix;
	if (!b->cmdline)
		b->cmdline = guest_boot_cmdline(b->spec, b->sessions ? sessions_cmdline(b->sessions)
								     : b->spec->append);
	if (!b->cmdline)
		return err_set(e, -ENOMEM, "out of memory");
	p.cmdline = b->cmdline;
	p.initrd_data = b->again.initrd.data;
	p.initrd_len = b->again.initrd.len;
	ret = boot_load(b->m, &p, e);
	copy_drop(&b->again.initrd);
	return ret;
}

/* --- the files at a reset ------------------------------------------------------------------ */

/* Reads @fd, the file @path; what fails here is read by the start anew, which has the error. */
static void copy_read(struct guest_boot *b, struct boot_copy *copy, int fd, const char *path)
{
	copy_drop(copy);
	if (fd < 0)
		return;
	held_read_file(&b->again.read, path);
	if (file_read_fd(fd, path, COPY_MAX, &copy->data, &copy->len, NULL))
		copy->data = NULL;
}

/* On a thread. */
static void read_files_again(void *arg)
{
	struct guest_boot *b = arg;
	const char *path;
	int fd = machine_kernel_file(b->m, &path);

	copy_read(b, &b->again.kernel, fd, b->spec->kernel);
	copy_read(b, &b->again.initrd, b->initrd, b->spec->initrd);
}

const struct held_read *guest_boot_reading(const struct guest_boot *b)
{
	return &b->again.read;
}

int guest_boot_await_files(struct guest_boot *b)
{
	b->again.read = (struct held_read){ .name = "boot", .run = read_files_again, .arg = b };
	/* Without memory for a thread the start reads them. */
	held_read_start(&b->again.read, b->m);
	return held_read_await(&b->again.read, b->m);
}

bool guest_boot_prepared(const struct guest_boot *b)
{
	return b->prepared && !b->damaged;
}

bool guest_boot_damaged(const struct guest_boot *b)
{
	return b->damaged || (b->kernel && kernel_symbols_damaged(b->kernel));
}

struct kernel *guest_boot_kernel(const struct guest_boot *b)
{
	return b->kernel;
}

u64 guest_boot_kaslr(const struct guest_boot *b)
{
	return b->kaslr;
}

/* Has the prepared kernel's file closed, which may lie on any storage, a user's own for one. */
static void release_prepared(struct guest_boot *b)
{
	int fd = b->kernel ? prepared_take_file(b->kernel) : -1;

	if (fd >= 0)
		closer_close(b->closer, fd, "the prepared kernel");
}

void guest_boot_release_files(struct guest_boot *b)
{
	int fd;

	if (!b->m)
		return;
	fd = machine_take_kernel_file(b->m);
	if (fd >= 0)
		closer_close(b->closer, fd, b->spec->kernel);
	if (b->initrd >= 0)
		closer_close(b->closer, b->initrd, b->spec->initrd);
	b->initrd = -1;
	release_prepared(b);
}

void guest_boot_trim(struct guest_boot *b)
{
	release_prepared(b);
	if (b->sessions) {
		kernel_trim(b->kernel); /* sessions need its symbols and types */
		return;
	}
	symbolize_release_kernel(b->m);
	kernel_close(b->kernel);
	b->kernel = NULL;
}

void guest_boot_destroy(struct guest_boot *b)
{
	struct kernel *reopened;

	if (!b)
		return;
	/* A report may have opened the kernel again. */
	reopened = b->m ? machine_kernel(b->m) : NULL;
	if (reopened != b->kernel)
		kernel_close(reopened);
	kernel_close(b->kernel);
	if (b->initrd >= 0)
		close(b->initrd);
	if (b->file >= 0)
		close(b->file);
	copy_drop(&b->again.kernel);
	copy_drop(&b->again.initrd);
	free(b->cmdline);
	free(b);
}

/* Forgets the kernel, so that the next start reads its file as it is then. */
static int reset_boot(void *part, struct err *e)
{
	struct guest_boot *b = part;
	struct kernel *known = machine_kernel(b->m);

	(void)e;
	release_prepared(b);
	symbolize_release_kernel(b->m);
	if (known != b->kernel)
		kernel_close(known);
	kernel_close(b->kernel);
	b->kernel = NULL;
	b->drawn = false;
	return 0;
}

/*
 * This part has no end(): guest_boot_destroy() comes later, when no report needs the kernel's
 * symbols any more.
 */
const struct lifecycle_ops guest_boot_part = {
	.name = "direct boot",
	.start = start_boot,
	.reset = reset_boot,
};
