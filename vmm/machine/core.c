// SPDX-License-Identifier: GPL-2.0-only
/* Gathers what a core has to say about the guest, and writes it page by page. */
#include "vmm/machine/core.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "vmm/machine/core_int.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine_boot.h"
#include "vmm/machine/memory.h"
#include "vmm/machine/vcpu.h"

#define PAGE	  4096ULL
#define PIECE	  (64 * PAGE)	/* what is written to a file at once */
#define POLL_MS	  200		/* after which core_cancel() is seen, where nothing is taken */
#define IMAGE_MAX (64ULL << 20) /* of a kernel in its own mapping: text, data and bss */
#define SLOTS_MAX (LAYOUT_SLOT_END - LAYOUT_SLOT_UMBRA)
#define LOADS_MAX (2 + SLOTS_MAX)

struct core_load {
	u64 gpa, len;
	const u8 *hva; /* NULL: a slot, which may go meanwhile */
	int fd;	       /* of RAM that other processes can map, or -1 */
	u64 offset;    /* in @fd */
};

struct core {
	struct machine *m;
	struct core_cpu cpus[LAYOUT_MAX_CPUS];
	unsigned n_cpus;
	struct core_load loads[LOADS_MAX];
	size_t n_loads;
	char vmcoreinfo[CORE_NOTE_MAX];
	size_t vmcoreinfo_len;		   /* 0: there is none */
	u64 image_va, image_pa, image_len; /* the kernel's image in RAM; length 0: not known */
	int fd;
	bool regular; /* @fd is a regular file or a block device: no signal interrupts write(2) */
	bool sparse;
	u64 hole;	 /* bytes that were left out at the end */
	bool cancel;	 /* atomic */
	u64 done, total; /* atomic, but for core_create() */
	s64 since;	 /* atomic: a write to a regular file began; 0: none is under way */
};

/* --- what there is --------------------------------------------------------------------------- */

static void add_ram(struct core *c)
{
	const struct memory *mem = machine_memory_map(c->m);
	struct host_region r;

	for (unsigned i = 0; memory_region(mem, i, &r); i++)
		c->loads[c->n_loads++] = (struct core_load){
			.gpa = r.gpa,
			.len = r.len,
			.hva = memory_gpa(mem, r.gpa, r.len),
			.fd = r.fd,
			.offset = r.offset,
		};
}

static void add_slots(struct core *c)
{
	struct memory *mem = machine_memory_map(c->m);
	u64 gpa, len;

	for (unsigned i = 0; i < SLOTS_MAX; i++)
		if (memory_slot(mem, i, &gpa, &len))
			c->loads[c->n_loads++] = (struct core_load){ gpa, len, NULL, -1, 0 };
}

int core_create(struct core **out, struct machine *m, struct err *e)
{
	struct core *c = calloc(1, sizeof(*c));
	int ret = 0;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->m = m;
	c->n_cpus = machine_cpus(m);
	for (unsigned i = 0; i < c->n_cpus && !ret; i++)
		ret = core_read_cpu(&c->cpus[i], machine_vcpu(m, i));
	if (ret) {
		free(c);
		return err_set(e, ret, "KVM does not give the registers: %s", strerror(-ret));
	}
	add_ram(c);
	add_slots(c);
	for (size_t i = 0; i < c->n_loads; i++)
		c->total += c->loads[i].len;
	*out = c;
	return 0;
}

void core_destroy(struct core *c)
{
	free(c);
}

void core_cancel(struct core *c)
{
	__atomic_store_n(&c->cancel, true, __ATOMIC_RELEASE);
}

static bool is_cancelled(const struct core *c)
{
	return __atomic_load_n(&c->cancel, __ATOMIC_ACQUIRE);
}

void core_progress(const struct core *c, u64 *done, u64 *total)
{
	*done = __atomic_load_n(&c->done, __ATOMIC_RELAXED);
	*total = __atomic_load_n(&c->total, __ATOMIC_RELAXED);
}

s64 core_held_ms(const struct core *c)
{
	s64 since = __atomic_load_n(&c->since, __ATOMIC_ACQUIRE);

	return since ? now_ms() - since + 1 : 0;
}

bool core_has_vmcoreinfo(const struct core *c)
{
	return c->vmcoreinfo_len;
}

/* --- VMCOREINFO ------------------------------------------------------------------------------ */

/*
 * Returns the offset of the first byte from @at on that is not in a hole of the memory's file: to
 * read a hole would give it pages.
 */
static u64 skip_hole(const struct core_load *l, u64 at)
{
	off_t data;

	if (l->fd < 0)
		return at;
	data = lseek(l->fd, (off_t)(l->offset + at), SEEK_DATA);
	if (data < 0)
		return errno == ENXIO ? l->len : at;
	return (u64)data - l->offset < l->len ? (u64)data - l->offset : l->len;
}

/* Looks at all pages of the RAM. */
static void find_vmcoreinfo(struct core *c)
{
	char want[40] = "", text[CORE_NOTE_MAX];
	size_t len;

	if (machine_kernel_phys(c->m))
		snprintf(want, sizeof(want), "\nKERNELOFFSET=%" PRIx64 "\n", machine_kaslr(c->m));
	for (size_t i = 0; i < c->n_loads; i++) {
		const struct core_load *l = &c->loads[i];

		for (u64 at = 0; l->hva && at < l->len && !is_cancelled(c); at += PAGE) {
			if (at % PIECE == 0)
				at = skip_hole(l, at) & ~(PAGE - 1);
			if (at >= l->len)
				break;
			len = core_take_vmcoreinfo(l->hva + at, l->len - at, text);
			if (!len || (c->vmcoreinfo_len && !core_text_has(text, len, want)))
				continue;
			memcpy(c->vmcoreinfo, text, len);
			c->vmcoreinfo_len = len;
			if (core_text_has(text, len, want))
				return;
		}
	}
}

/* Finds the kernel's image in the RAM, by what the guest says of it. */
static void find_image(struct core *c)
{
	u64 pa;

	if (!core_kernel_place(c->vmcoreinfo, c->vmcoreinfo_len, &c->image_va, &pa))
		return;
	for (size_t i = 0; i < c->n_loads; i++) {
		const struct core_load *l = &c->loads[i];
		u64 left;

		if (!l->hva || pa < l->gpa || pa - l->gpa >= l->len)
			continue;
		left = l->len - (pa - l->gpa);
		c->image_pa = pa;
		c->image_len = left < IMAGE_MAX ? left : IMAGE_MAX;
	}
}

/* --- writing --------------------------------------------------------------------------------- */

/* Waits until a descriptor with O_NONBLOCK has room, or nobody at its other end. */
static int wait_for_room(const struct core *c)
{
	struct pollfd p = { .fd = c->fd, .events = POLLOUT };

	while (!is_cancelled(c)) {
		int ret = poll(&p, 1, POLL_MS);

		if (ret > 0)
			return 0;
		if (ret < 0 && errno != EINTR)
			return -errno;
	}
	return -ECANCELED;
}

static int put(struct core *c, const void *buf, size_t len)
{
	const u8 *p = buf;
	int ret;

	while (len) {
		ssize_t took;

		if (is_cancelled(c))
			return -ECANCELED;
		if (c->regular)
			__atomic_store_n(&c->since, now_ms(), __ATOMIC_RELEASE);
		took = write(c->fd, p, len);
		ret = took < 0 ? -errno : 0;
		__atomic_store_n(&c->since, 0, __ATOMIC_RELEASE);
		if (ret == -EAGAIN)
			ret = wait_for_room(c);
		if (ret && ret != -EINTR)
			return ret;
		if (took > 0) {
			p += took;
			len -= (size_t)took;
		}
	}
	return 0;
}

/*
 * Has a signal interrupt the calling thread now and then, so that it is not long in write(2) once
 * the core is cancelled. A single signal, sent by whoever cancels, could come just before the call.
 */
static int interrupts_begin(timer_t *timer)
{
	const struct timespec period = { .tv_nsec = POLL_MS * (long)NS_PER_MS };
	const struct itimerspec often = { period, period };
	struct sigevent by = { .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = VCPU_SIGNAL };

	by._sigev_un._tid = gettid();
	if (timer_create(CLOCK_MONOTONIC, &by, timer))
		return -errno;
	timer_settime(*timer, 0, &often, NULL);
	return 0;
}

/* Makes what was left out a hole, in front of the bytes that follow. */
static int put_hole(struct core *c)
{
	if (c->hole && lseek(c->fd, (off_t)c->hole, SEEK_CUR) < 0)
		return -errno;
	c->hole = 0;
	return 0;
}

static bool page_is_zero(const u8 *page)
{
	const u64 *p = (const void *)page;

	for (size_t i = 0; i < PAGE / sizeof(*p); i += 4)
		if (p[i] | p[i + 1] | p[i + 2] | p[i + 3])
			return false;
	return true;
}

/* Writes whole pages; those that are zero are left out of a sparse file. */
static int put_pages(struct core *c, const u8 *p, u64 len)
{
	u64 n, at;
	int ret = 0;

	for (at = 0; at < len && !ret; at += n) {
		n = PAGE;
		if (c->sparse && page_is_zero(p + at)) {
			c->hole += PAGE;
			continue;
		}
		while (at + n < len && n < PIECE && !(c->sparse && page_is_zero(p + at + n)))
			n += PAGE;
		ret = put_hole(c);
		if (!ret)
			ret = put(c, p + at, n);
	}
	return ret;
}

static void count(struct core *c, u64 n)
{
	__atomic_store_n(&c->done, c->done + n, __ATOMIC_RELAXED);
}

static int put_load(struct core *c, const struct core_load *l)
{
	static const u8 zero[PIECE];
	u8 page[PAGE] __attribute__((aligned(8)));
	u64 n, hole, at;
	int ret = 0;

	for (at = 0; at < l->len && !ret; at += n) {
		if (is_cancelled(c))
			return -ECANCELED;
		n = l->len - at < PIECE ? l->len - at : PIECE;
		hole = (skip_hole(l, at) & ~(PAGE - 1)) - at;
		if (!l->hva) {
			n = PAGE;
			memory_slot_page(machine_memory_map(c->m), l->gpa + at, page);
			ret = put_pages(c, page, n);
		} else if (hole) {
			n = hole < n ? hole : n;
			ret = put_pages(c, zero, n);
		} else {
			ret = put_pages(c, l->hva + at, n);
		}
		count(c, n);
	}
	return ret;
}

/* Makes the program headers of the memory, which begins at @at of the file. */
static void make_loads(const struct core *c, Elf64_Phdr *p, u64 at)
{
	Elf64_Phdr *image = c->image_len ? p++ : NULL;

	for (size_t i = 0; i < c->n_loads; i++) {
		const struct core_load *l = &c->loads[i];

		*p++ = (Elf64_Phdr){ .p_type = PT_LOAD,
				     .p_offset = at,
				     .p_paddr = l->gpa,
				     .p_filesz = l->len,
				     .p_memsz = l->len };
		if (image && c->image_pa >= l->gpa && c->image_pa - l->gpa < l->len)
			*image = (Elf64_Phdr){ .p_type = PT_LOAD,
					       .p_offset = at + (c->image_pa - l->gpa),
					       .p_vaddr = c->image_va,
					       .p_paddr = c->image_pa,
					       .p_filesz = c->image_len,
					       .p_memsz = c->image_len };
		at += l->len;
	}
}

/* Returns headers and notes, up to the page where the memory begins; NULL: out of memory. */
static u8 *make_head(const struct core *c, size_t *len)
{
	size_t n = 1 + (c->image_len != 0) + c->n_loads;
	size_t notes_at = sizeof(Elf64_Ehdr) + n * sizeof(Elf64_Phdr);
	size_t notes = core_notes_size(c->n_cpus, c->vmcoreinfo_len);
	u8 *head = calloc(1, ALIGN_UP(notes_at + notes, PAGE));
	Elf64_Ehdr *h = (void *)head;
	Elf64_Phdr *p = (void *)(head + sizeof(*h));

	if (!head)
		return NULL;
	memcpy(h->e_ident, ELFMAG, SELFMAG);
	h->e_ident[EI_CLASS] = ELFCLASS64;
	h->e_ident[EI_DATA] = ELFDATA2LSB;
	h->e_ident[EI_VERSION] = EV_CURRENT;
	h->e_type = ET_CORE;
	h->e_machine = EM_X86_64;
	h->e_version = EV_CURRENT;
	h->e_phoff = h->e_ehsize = sizeof(*h);
	h->e_phentsize = sizeof(*p);
	h->e_phnum = (Elf64_Half)n;
	*p++ = (Elf64_Phdr){
		.p_type = PT_NOTE, .p_offset = notes_at, .p_filesz = notes, .p_memsz = notes
	};
	*len = ALIGN_UP(notes_at + notes, PAGE);
	make_loads(c, p, *len);
	core_put_notes(head + notes_at, c->cpus, c->n_cpus, c->vmcoreinfo, c->vmcoreinfo_len);
	return head;
}

/* Ends a sparse file where the core ends. */
static int put_end(struct core *c)
{
	off_t at;

	if (!c->hole)
		return 0;
	at = lseek(c->fd, (off_t)c->hole, SEEK_CUR);
	return at < 0 || ftruncate(c->fd, at) ? -errno : 0;
}

/* Writes headers, notes and memory. */
static int put_all(struct core *c)
{
	size_t len;
	u8 *head;
	int ret;

	find_vmcoreinfo(c);
	find_image(c);
	head = make_head(c, &len);
	if (!head)
		return -ENOMEM;
	__atomic_store_n(&c->total, c->total + len, __ATOMIC_RELAXED);
	ret = put(c, head, len);
	free(head);
	if (!ret)
		count(c, len);
	for (size_t i = 0; i < c->n_loads && !ret; i++)
		ret = put_load(c, &c->loads[i]);
	return ret ? ret : put_end(c);
}

int core_write(struct core *c, int fd, bool append)
{
	struct stat st;
	timer_t timer;
	int ret;

	c->fd = fd;
	if (fstat(fd, &st))
		return -errno;
	c->regular = S_ISREG(st.st_mode) || S_ISBLK(st.st_mode);
	c->sparse = S_ISREG(st.st_mode) && !st.st_size && !append;
	if (c->regular)
		return put_all(c);
	ret = interrupts_begin(&timer);
	if (ret)
		return ret;
	ret = put_all(c);
	timer_delete(timer);
	return ret;
}
