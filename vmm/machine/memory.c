// SPDX-License-Identifier: GPL-2.0-only
/*
 * Maps guest RAM and Umbra's slots, and makes them known to KVM.
 *
 * RAM is one mapping, cut into a slot below the 32-bit hole and one above 4 GiB, so that everything
 * the host may touch lies between two addresses. It is private and anonymous unless another process
 * is to map it too: a memfd's pages are the kernel's shmem, whose transparent huge pages are off on
 * most systems. Transparent huge pages are asked for: a guest's second-level page walks cost more
 * than the memory that they may waste.
 *
 * A memfd that is given away is sealed against another size: a process that has it could otherwise
 * truncate it, and the next access of this process would raise SIGBUS.
 */
#include "vmm/machine/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <linux/memfd.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/machine/layout.h"

#define MAX_SLOTS (LAYOUT_SLOT_END - LAYOUT_SLOT_UMBRA)
#define PAGE	  4096ULL
#define HUGE_PAGE (2ULL << 20)

struct slot {
	u64 gpa;
	u64 len; /* 0: free */
	void *hva;
	bool readonly;
};

struct memory {
	int vm;
	int fd; /* of the RAM, or -1 */
	bool huge;
	u8 *ram;
	u64 low, high;
	u8 *range; /* of addresses, with the RAM somewhere in it */
	u64 range_len;
	pthread_mutex_t lock; /* slots */
	struct slot slots[MAX_SLOTS];
};

static int memory_set_slot(const struct memory *mem, u32 id, u32 flags, u64 gpa, u64 len,
			   const void *hva)
{
	struct kvm_userspace_memory_region r = {
		.slot = id,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = len,
		.userspace_addr = (uintptr_t)hva,
	};

	return ioctl(mem->vm, KVM_SET_USER_MEMORY_REGION, &r) ? -errno : 0;
}

static int create_memfd(const struct memory_config *c)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd, ret;

	if (c->huge_page)
		flags |= MFD_HUGETLB | (unsigned)__builtin_ctzll(c->huge_page) << MFD_HUGE_SHIFT;
	fd = memfd_create("umbra-ram", flags);
	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)c->ram) ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)) {
		ret = -errno;
		close(fd);
		return ret;
	}
	return fd;
}

/* Maps the RAM, aligned to a huge page, so that the guest's 2 MiB pages can be the host's. */
static int map_ram(struct memory *mem, const struct memory_config *c)
{
	u64 align = c->huge_page ? c->huge_page : HUGE_PAGE;
	u8 *p, *ram;

	if (c->shared || c->huge_page) {
		mem->fd = create_memfd(c);
		if (mem->fd < 0)
			return mem->fd;
	}
	p = mmap(NULL, c->ram + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		 0);
	if (p == MAP_FAILED)
		return -errno;
	/* Alignment leaves addresses over before and behind RAM; they stay reserved, PROT_NONE. */
	mem->range = p;
	mem->range_len = c->ram + align;
	ram = (u8 *)ALIGN_UP((uintptr_t)p, align);
	mem->ram = ram;
	if (mem->fd >= 0 && mmap(ram, c->ram, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
				 mem->fd, 0) == MAP_FAILED)
		return -errno;
	if (mem->fd < 0 && mprotect(ram, c->ram, PROT_READ | PROT_WRITE))
		return -errno;
	if (!c->huge_page)
		madvise(ram, c->ram, MADV_HUGEPAGE);
	madvise(ram, c->ram, MADV_DONTDUMP);
	return 0;
}

static int memory_refuse_ram(const struct memory_config *c, int ret, struct err *e)
{
	u64 huge_kib = c->huge_page >> 10;

	if (c->huge_page && ret == -ENOENT)
		return err_set(e, ret,
			       "--memory: this system has no huge pages of %" PRIu64
			       " MiB; leave out hugepages or take another size",
			       huge_kib >> 10);
	if (c->huge_page)
		return err_set(e, ret,
			       "--memory: %" PRIu64 " huge pages of %" PRIu64
			       " MiB are not free (%s); as root: echo N > "
			       "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/nr_hugepages",
			       c->ram / c->huge_page, huge_kib >> 10, strerror(-ret), huge_kib);
	return err_set(e, ret,
		       "cannot reserve %" PRIu64 " MiB for the guest: %s; give --memory less",
		       c->ram >> 20, strerror(-ret));
}

int memory_create(struct memory **out, int vm, const struct memory_config *c, struct err *e)
{
	struct memory *mem = calloc(1, sizeof(*mem));
	int ret;

	if (!mem)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&mem->lock, NULL);
	mem->vm = vm;
	mem->fd = -1;
	mem->huge = c->huge_page;
	mem->low = c->ram < LAYOUT_LOW_MEM_MAX ? c->ram : LAYOUT_LOW_MEM_MAX;
	mem->high = c->ram - mem->low;
	ret = map_ram(mem, c);
	if (ret) {
		memory_refuse_ram(c, ret, e);
		goto fail;
	}
	ret = memory_set_slot(mem, LAYOUT_SLOT_RAM, 0, 0, mem->low, mem->ram);
	if (!ret && mem->high)
		ret = memory_set_slot(mem, LAYOUT_SLOT_RAM + 1, 0, LAYOUT_4G, mem->high,
				      mem->ram + mem->low);
	if (ret) {
		err_set(e, ret, "KVM refuses %" PRIu64 " MiB of guest memory: %s", c->ram >> 20,
			strerror(-ret));
		goto fail;
	}
	*out = mem;
	return 0;
fail:
	memory_destroy(mem);
	return ret;
}

/* Gives pages back, a file's by making a hole; from then on they read as zero. */
static int give_back(const struct memory *mem, void *p, u64 len)
{
	return madvise(p, len, mem->fd < 0 ? MADV_DONTNEED : MADV_REMOVE) ? -errno : 0;
}

int memory_clear(struct memory *mem)
{
	return give_back(mem, mem->ram, mem->low + mem->high);
}

int memory_discard(const struct memory *mem, void *p, u64 len)
{
	u64 at = (u64)((u8 *)p - mem->ram), size = mem->low + mem->high;

	if (!len || at % PAGE || len % PAGE || at > size || len > size - at)
		return -EINVAL;
	return mem->huge ? -EOPNOTSUPP : give_back(mem, p, len);
}

void memory_destroy(struct memory *mem)
{
	if (!mem)
		return;
	for (size_t i = 0; i < MAX_SLOTS; i++)
		if (mem->slots[i].len)
			munmap(mem->slots[i].hva, mem->slots[i].len);
	if (mem->range)
		munmap(mem->range, mem->range_len);
	if (mem->fd >= 0)
		close(mem->fd);
	pthread_mutex_destroy(&mem->lock);
	free(mem);
}

void *memory_gpa(const struct memory *mem, u64 gpa, u64 len)
{
	if (!len)
		return NULL;
	if (gpa < mem->low && len <= mem->low - gpa)
		return mem->ram + gpa;
	if (gpa >= LAYOUT_4G && gpa - LAYOUT_4G < mem->high && len <= mem->high - (gpa - LAYOUT_4G))
		return mem->ram + mem->low + (gpa - LAYOUT_4G);
	return NULL;
}

bool memory_region(const struct memory *mem, unsigned i, struct host_region *out)
{
	if (!i)
		*out = (struct host_region){ .len = mem->low, .fd = mem->fd };
	else
		*out = (struct host_region){ LAYOUT_4G, mem->high, mem->fd, mem->low };
	return i < 2 && out->len;
}

u64 memory_low(const struct memory *mem)
{
	return mem->low;
}

u64 memory_high(const struct memory *mem)
{
	return mem->high;
}

static bool slot_overlaps(const struct slot *s, u64 gpa, u64 len)
{
	return s->len && gpa < s->gpa + s->len && s->gpa < gpa + len;
}

static int memory_map_slot(struct memory *mem, u64 gpa, size_t len, bool guest_writable, void **hva,
			   struct err *e)
{
	struct slot *s = NULL;
	void *p;
	int ret;

	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return err_set(e, -errno, "out of memory");
	madvise(p, len, MADV_DONTDUMP);

	pthread_mutex_lock(&mem->lock);
	ret = 0;
	for (size_t i = 0; i < MAX_SLOTS; i++) {
		if (!s && !mem->slots[i].len)
			s = &mem->slots[i];
		if (slot_overlaps(&mem->slots[i], gpa, len))
			ret = -EEXIST;
	}
	if (!ret && !s)
		ret = -ENOSPC;
	if (!ret)
		ret = memory_set_slot(mem, (u32)(LAYOUT_SLOT_UMBRA + (s - mem->slots)),
				      guest_writable ? 0 : KVM_MEM_READONLY, gpa, len, p);
	if (!ret)
		*s = (struct slot){ gpa, len, p, !guest_writable };
	pthread_mutex_unlock(&mem->lock);
	if (ret) {
		munmap(p, len);
		return err_set(e, ret, "memory slot at 0x%" PRIx64 ", %zu bytes: %s", gpa, len,
			       strerror(-ret));
	}
	*hva = p;
	return 0;
}

int memory_add_slot(struct memory *mem, u64 gpa, size_t len, bool guest_writable, void **hva,
		    struct err *e)
{
	if (!len || gpa % PAGE || len % PAGE || gpa < LAYOUT_UMBRA || gpa >= LAYOUT_UMBRA_END ||
	    len > LAYOUT_UMBRA_END - gpa)
		return err_set(e, -EINVAL,
			       "memory slot at 0x%" PRIx64 ", %zu bytes: outside Umbra's range",
			       gpa, len);
	return memory_map_slot(mem, gpa, len, guest_writable, hva, e);
}

int memory_add_rom(struct memory *mem, size_t len, void **hva, struct err *e)
{
	if (!len || len % PAGE || len > LAYOUT_ROM_MAX)
		return err_set(e, -EINVAL, "a ROM of %zu bytes does not fit", len);
	return memory_map_slot(mem, LAYOUT_4G - len, len, false, hva, e);
}

/* Returns the slot that begins at @gpa, or NULL. With the lock. */
static struct slot *slot_at(struct memory *mem, u64 gpa)
{
	for (size_t i = 0; i < MAX_SLOTS; i++)
		if (mem->slots[i].len && mem->slots[i].gpa == gpa)
			return &mem->slots[i];
	return NULL;
}

int memory_remove_slot(struct memory *mem, u64 gpa)
{
	int ret = -ENOENT;
	struct slot *s;

	pthread_mutex_lock(&mem->lock);
	s = slot_at(mem, gpa);
	if (s)
		ret = memory_set_slot(mem, LAYOUT_SLOT_UMBRA + (u32)(s - mem->slots), 0, gpa, 0,
				      s->hva);
	if (!ret) {
		munmap(s->hva, s->len);
		s->len = 0;
	}
	pthread_mutex_unlock(&mem->lock);
	return ret;
}

bool memory_slot(struct memory *mem, unsigned i, u64 *gpa, u64 *len)
{
	bool there;

	if (i >= MAX_SLOTS)
		return false;
	pthread_mutex_lock(&mem->lock);
	*gpa = mem->slots[i].gpa;
	*len = mem->slots[i].len;
	there = *len;
	pthread_mutex_unlock(&mem->lock);
	return there;
}

void memory_slot_page(struct memory *mem, u64 gpa, void *page)
{
	memset(page, 0, PAGE);
	pthread_mutex_lock(&mem->lock);
	for (size_t i = 0; i < MAX_SLOTS; i++) {
		const struct slot *s = &mem->slots[i];

		if (s->len && gpa >= s->gpa && gpa - s->gpa < s->len)
			memcpy(page, (u8 *)s->hva + (gpa - s->gpa), PAGE);
	}
	pthread_mutex_unlock(&mem->lock);
}

int memory_clear_slot(struct memory *mem, u64 gpa)
{
	int ret = -ENOENT;
	const struct slot *s;

	pthread_mutex_lock(&mem->lock);
	s = slot_at(mem, gpa);
	if (s)
		ret = madvise(s->hva, s->len, MADV_DONTNEED) ? -errno : 0;
	pthread_mutex_unlock(&mem->lock);
	return ret;
}

bool memory_is_readonly(struct memory *mem, u64 gpa, u64 len)
{
	bool hit = false;

	if (gpa + len < gpa)
		return false;
	pthread_mutex_lock(&mem->lock);
	for (size_t i = 0; i < MAX_SLOTS && !hit; i++)
		hit = mem->slots[i].readonly && slot_overlaps(&mem->slots[i], gpa, len);
	pthread_mutex_unlock(&mem->lock);
	return hit;
}
