// SPDX-License-Identifier: GPL-2.0-only
/* Puts symbols of the placed kernel behind the addresses in a report. */
#include "vmm/boot/symbolize.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "shadow/kernel/kernel.h"
#include "vmm/machine/machine_boot.h"

#define MARK		"RIP 0x"
#define KERNEL_FILE_MAX ((size_t)2 << 30)

/*
 * Returns the placed kernel with its symbols; NULL if boot.c has kept no file of it: its addresses
 * are unknown then. The caller holds the kernel's lock.
 */
static struct kernel *kernel_with_symbols(struct machine *m)
{
	const char *path;
	struct kernel *k = machine_kernel(m);
	int fd = machine_kernel_file(m, &path);

	if (!k && fd >= 0 && !kernel_open_fd(&k, fd, path, false, NULL))
		machine_set_kernel(m, k, machine_kernel_phys(m), machine_kaslr(m));
	return k && !kernel_load_symbols(k, NULL) ? k : NULL;
}

/* --- the file ------------------------------------------------------------------------------ */

/* On the job's thread. Without the file there are no symbols, as ever. */
static void read_kernel_file(void *arg)
{
	struct symbol_file *f = arg;
	const char *path;
	int fd = machine_kernel_file(f->m, &path);

	held_read_file(&f->read, path);
	if (file_read_fd(fd, path, KERNEL_FILE_MAX, &f->data, &f->len, NULL))
		f->data = NULL;
}

static void keep_kernel(void *arg)
{
	struct symbol_file *f = arg;
	struct machine *m = f->m;
	const char *path;
	struct kernel *k;

	machine_kernel_file(m, &path);
	machine_lock_kernel(m);
	if (f->data && !machine_kernel(m) && !kernel_parse(&k, path, f->data, f->len, false, NULL))
		machine_set_kernel(m, k, machine_kernel_phys(m), machine_kaslr(m));
	machine_unlock_kernel(m);
	free(f->data);
	f->data = NULL;
	if (f->done)
		f->done(f->arg);
}

bool symbol_file_read(struct symbol_file *f)
{
	const char *path;

	if (held_read_runs(&f->read))
		return true;
	if (machine_kernel(f->m) || machine_kernel_file(f->m, &path) < 0)
		return false;
	f->read = (struct held_read){
		.name = "symbols", .run = read_kernel_file, .done = keep_kernel, .arg = f
	};
	/* Without memory for a thread the look-up reads it. */
	return !held_read_start(&f->read, f->m);
}

int symbol_file_await(struct symbol_file *f)
{
	return held_read_await(&f->read, f->m);
}

/* --- symbols ------------------------------------------------------------------------------- */

bool symbolize_needs_kernel(const char *line)
{
	return strstr(line, MARK);
}

void symbolize_line(struct machine *m, const char *line, char *buf, size_t len)
{
	const char *mark = strstr(line, MARK), *name = NULL;
	u64 rip, start, end, offset = 0;
	struct kernel *k;
	char *after;

	snprintf(buf, len, "%s", line);
	if (!mark)
		return;
	rip = strtoull(mark + strlen(MARK), &after, 16);
	rip -= machine_kaslr(m);
	machine_lock_kernel(m);
	k = kernel_with_symbols(m);
	if (k) {
		kernel_text(k, &start, &end);
		if (rip >= start && rip < end)
			name = kernel_symbolize(k, rip, &offset);
	}
	if (name)
		snprintf(buf, len, "%.*s (%s+0x%" PRIx64 ")%s", (int)(after - line), line, name,
			 offset, after);
	machine_unlock_kernel(m);
}

void symbolize_release_kernel(struct machine *m)
{
	machine_lock_kernel(m);
	machine_set_kernel(m, NULL, machine_kernel_phys(m), machine_kaslr(m));
	machine_unlock_kernel(m);
}

u64 symbolize_phys(struct machine *m, const char *name)
{
	struct kernel *k;
	u64 addr, phys = 0;

	machine_lock_kernel(m);
	k = kernel_with_symbols(m);
	if (k) {
		addr = kernel_symbol(k, name);
		if (addr >= kernel_layout(k)->link_text)
			phys = machine_kernel_phys(m) + (addr - kernel_layout(k)->link_text);
	}
	machine_unlock_kernel(m);
	return phys;
}
