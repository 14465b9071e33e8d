// SPDX-License-Identifier: GPL-2.0-only
/*
 * RAM is one private anonymous mapping, cut into a slot below the 32-bit hole and one above 4 GiB,
 * so that everything the host may touch lies between two addresses. Transparent huge pages are
 * asked for: a guest's second-level page walks cost more than the memory that they may waste.
 */
#include "vmm/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/kvm.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "vmm/layout.h"

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
	u8 *ram;
	u64 low, high;
	pthread_mutex_t lock; /* slots */
	struct slot slots[MAX_SLOTS];
};

static int set_slot(const struct memory *mem, u32 id, u32 flags, u64 gpa, u64 len, const void *hva)
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

/* Aligned to a huge page, so that the guest's 2 MiB pages can be the host's. */
static void *map_ram(u64 len)
{
	u8 *p = mmap(NULL, len + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		     -1, 0);
	u8 *ram;

	if (p == MAP_FAILED)
		return NULL;
	ram = (u8 *)ALIGN_UP((uintptr_t)p, HUGE_PAGE);
	if (ram > p)
		munmap(p, (size_t)(ram - p));
	if (p + HUGE_PAGE > ram)
		munmap(ram + len, (size_t)(p + HUGE_PAGE - ram));
	if (mprotect(ram, len, PROT_READ | PROT_WRITE)) {
		munmap(ram, len);
		return NULL;
	}
	madvise(ram, len, MADV_HUGEPAGE);
	madvise(ram, len, MADV_DONTDUMP);
	return ram;
}

int memory_create(struct memory **out, int vm, u64 ram, struct err *e)
{
	struct memory *mem = calloc(1, sizeof(*mem));
	int ret;

	if (!mem)
		return err_set(e, -ENOMEM, "out of memory");
	pthread_mutex_init(&mem->lock, NULL);
	mem->vm = vm;
	mem->low = ram < LAYOUT_LOW_MEM_MAX ? ram : LAYOUT_LOW_MEM_MAX;
	mem->high = ram - mem->low;
	mem->ram = map_ram(ram);
	if (!mem->ram) {
		ret = err_set(e, -errno,
			      "cannot reserve %" PRIu64
			      " MiB for the guest: %s; give --memory less",
			      ram >> 20, strerror(errno));
		goto fail;
	}
	ret = set_slot(mem, LAYOUT_SLOT_RAM, 0, 0, mem->low, mem->ram);
	if (!ret && mem->high)
		ret = set_slot(mem, LAYOUT_SLOT_RAM + 1, 0, LAYOUT_4G, mem->high,
			       mem->ram + mem->low);
	if (ret) {
		err_set(e, ret, "KVM refuses %" PRIu64 " MiB of guest memory: %s", ram >> 20,
			strerror(-ret));
		goto fail;
	}
	*out = mem;
	return 0;
fail:
	memory_destroy(mem);
	return ret;
}

void memory_destroy(struct memory *mem)
{
	if (!mem)
		return;
	for (size_t i = 0; i < MAX_SLOTS; i++)
		if (mem->slots[i].len)
			munmap(mem->slots[i].hva, mem->slots[i].len);
	if (mem->ram)
		munmap(mem->ram, mem->low + mem->high);
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

u64 memory_low(const struct memory *mem)
{
	return mem->low;
}

u64 memory_high(const struct memory *mem)
{
	return mem->high;
}

static bool overlaps(const struct slot *s, u64 gpa, u64 len)
{
	return s->len && gpa < s->gpa + s->len && s->gpa < gpa + len;
}

static int add_slot(struct memory *mem, u64 gpa, size_t len, bool guest_writable, void **hva,
		    struct err *e)
{
	struct slot *s = NULL;
	void *p;
	int ret;

	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return err_set(e, -errno, "no memory for a slot of %zu bytes", len);
	madvise(p, len, MADV_DONTDUMP);

	pthread_mutex_lock(&mem->lock);
	ret = 0;
	for (size_t i = 0; i < MAX_SLOTS; i++) {
		if (!s && !mem->slots[i].len)
			s = &mem->slots[i];
		if (overlaps(&mem->slots[i], gpa, len))
			ret = -EEXIST;
	}
	if (!ret && !s)
		ret = -ENOSPC;
	if (!ret)
		ret = set_slot(mem, (u32)(LAYOUT_SLOT_UMBRA + (s - mem->slots)),
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
	return add_slot(mem, gpa, len, guest_writable, hva, e);
}

int memory_add_rom(struct memory *mem, size_t len, void **hva, struct err *e)
{
	if (!len || len % PAGE || len > LAYOUT_ROM_MAX)
		return err_set(e, -EINVAL, "a ROM of %zu bytes does not fit", len);
	return add_slot(mem, LAYOUT_4G - len, len, false, hva, e);
}

int memory_remove_slot(struct memory *mem, u64 gpa)
{
	int ret = -ENOENT;

	pthread_mutex_lock(&mem->lock);
	for (u32 i = 0; i < MAX_SLOTS; i++) {
		struct slot *s = &mem->slots[i];

		if (!s->len || s->gpa != gpa)
			continue;
		ret = set_slot(mem, LAYOUT_SLOT_UMBRA + i, 0, gpa, 0, s->hva);
		if (!ret) {
			munmap(s->hva, s->len);
			s->len = 0;
		}
		break;
	}
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
		hit = mem->slots[i].readonly && overlaps(&mem->slots[i], gpa, len);
	pthread_mutex_unlock(&mem->lock);
	return hit;
}
