// SPDX-License-Identifier: GPL-2.0-only
/* Boots a guest directly: opens its kernel, draws its place, and puts it there at each start. */
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
#include "vmm/boot/boot.h"
#include "vmm/boot/kernel_cache.h"
#include "vmm/boot/probe.h"
#include "vmm/boot/symbolize.h"
#include "vmm/machine/machine.h"
#include "vmm/machine/machine_int.h"
#include "vmm/session/sessions.h"
#include "vmm/spec/cmdline.h"

struct guest_boot {
	const struct guest_spec *spec;
	const struct note_sink *notes;
	struct machine *m;
	struct sessions *sessions; /* or NULL */
	struct kernel *kernel;	   /* NULL when the guest executes and nobody needs it */
	char *cmdline;
	u64 kaslr;
	struct boot_random random;
	int initrd; /* descriptor, or -1 */
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
 * Where the processor cannot virtualize, KVM is software, which may lack features that every kernel
 * needs: then the guest would hang or crash without a word. The probe's guests (0.8 s on such a
 * host) run in a process of their own, whose memory and machine go with it.
 */
static void warn_of_software_kvm(const struct guest_boot *b)
{
	struct probe_result r;
	char why[300] = "";
	int fds[2];
	ssize_t n;
	pid_t child;

	if (probe_hardware() || kernel_payload_opaque(b->kernel) || pipe2(fds, O_CLOEXEC))
		return;
	child = fork();
	if (!child) {
		alarm(5);
		if (!probe_kvm(&r, NULL))
			probe_reasons(&r, why, sizeof(why));
		_exit(file_write(fds[1], why, strlen(why)) ? 1 : 0);
	}
	close(fds[1]);
	do {
		n = read(fds[0], why, sizeof(why) - 1);
	} while (n < 0 && errno == EINTR);
	close(fds[0]);
	if (child > 0)
		waitpid(child, NULL, 0);
	if (n <= 0)
		return;
	why[n] = '\0';
	note_put(b->notes,
		 "this machine's KVM does not run stock kernels, see vmm doctor; the guest may "
		 "hang or crash: %s",
		 why);
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
	ret = spec->no_cache ? kernel_open(&b->kernel, spec->kernel, true, e)
			     : kernel_cache_open(&b->kernel, spec->kernel, e);
	if (!ret)
		ret = choose_kaslr(b, e);
	if (ret) {
		guest_boot_destroy(b);
		return ret;
	}
	if (!spec->kvm_known)
		warn_of_software_kvm(b);
	*out = b;
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

	/* In front: words behind " -- " are for the guest's init. */
	return asprintf(&line, "%s%s%s", nokaslr, console, append) < 0 ? NULL : line;
}

/* At each start: the machine's memory is clear. */
static int place_at_start(struct guest_boot *b, struct err *e)
{
	const char *initrd = b->spec->initrd;
	struct boot_plan p = {
		.kernel = b->kernel,
		.initrd = initrd,
		.kaslr = b->kaslr,
		.random = &b->random,
		.randomize = !b->spec->no_kaslr,
		.reserve_umbra = b->sessions,
	};
	void *prefix = NULL;

	if (b->sessions)
		sessions_initrd(b->sessions, &prefix, &p.prefix_len);
	p.initrd_prefix = prefix;
	if (initrd && b->initrd < 0)
		b->initrd = boot_open_initrd(initrd, e);
	if (initrd && b->initrd < 0)
		return b->initrd;
	p.initrd_fd = b->initrd;
	if (!b->cmdline)
		b->cmdline = guest_boot_cmdline(b->spec, b->sessions ? sessions_cmdline(b->sessions)
								     : b->spec->append);
	if (!b->cmdline)
		return err_set(e, -ENOMEM, "out of memory");
	p.cmdline = b->cmdline;
	return boot_load(b->m, &p, e);
}

int guest_boot_place(struct guest_boot *b, struct machine *m, struct sessions *s, struct err *e)
{
	b->m = m;
	b->sessions = s;
	return place_at_start(b, e);
}

struct kernel *guest_boot_kernel(const struct guest_boot *b)
{
	return b->kernel;
}

u64 guest_boot_kaslr(const struct guest_boot *b)
{
	return b->kaslr;
}

void guest_boot_trim(struct guest_boot *b)
{
	if (b->sessions) {
		kernel_trim(b->kernel); /* they need its symbols and types */
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
	free(b->cmdline);
	free(b);
}

/*
 * The kernel's file as it is now, by the descriptor of the first start: no path can be opened any
 * more.
 */
static int reset_boot(void *part, struct err *e)
{
	struct guest_boot *b = part;
	struct kernel *known = machine_kernel(b->m);
	const char *path;
	int fd = machine_kernel_file(b->m, &path), ret;

	symbolize_release_kernel(b->m);
	if (known != b->kernel)
		kernel_close(known);
	kernel_close(b->kernel);
	b->kernel = NULL;
	ret = fd < 0 ? err_set(e, -EBADF, "the kernel's file could not be kept open")
		     : kernel_open_fd(&b->kernel, fd, path, true, e);
	return ret ? ret : choose_kaslr(b, e);
}

static int start_boot(void *part, bool again, struct err *e)
{
	return again ? place_at_start(part, e) : 0;
}

/*
 * Its end is guest_boot_destroy(), which comes when no report needs the kernel's symbols any more.
 */
const struct lifecycle_ops guest_boot_part = {
	.name = "direct boot",
	.start = start_boot,
	.reset = reset_boot,
};
