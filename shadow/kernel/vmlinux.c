// SPDX-License-Identifier: GPL-2.0-only
/* Reads the ELF file of a kernel: where its segments go in physical memory, and its sections. */
#include <ctype.h>
#include <errno.h>
#include <gelf.h>
#include <libelf.h>
#include <string.h>

#include "shadow/kernel/kernel_int.h"

#define PHDRS_MAX    64
#define SECTIONS_MAX 65536 /* a module or kernel has some dozens; -ffunction-sections thousands */

static Elf *open_elf(const struct kernel *k)
{
	if (elf_version(EV_CURRENT) == EV_NONE)
		return NULL;
	/* libelf asks for char * but, for a file in our own byte order, never writes. */
	return elf_memory((char *)(uintptr_t)k->image, k->image_len);
}

static int add_segment(struct kernel *k, const GElf_Phdr *p, struct err *e)
{
	if (p->p_offset > k->image_len || p->p_filesz > k->image_len - p->p_offset)
		return err_set(e, -EINVAL,
			       "%s: truncated (a segment ends behind the end of the file)",
			       k->path);
	if (p->p_filesz > p->p_memsz || p->p_memsz > KERNEL_IMAGE_SIZE || p->p_paddr > (u64)1 << 40)
		return err_set(e, -EINVAL, "%s: damaged (a segment of %#llx bytes at %#llx)",
			       k->path, (unsigned long long)p->p_memsz,
			       (unsigned long long)p->p_paddr);
	if (k->n_segments == KERNEL_SEGMENTS)
		return err_set(e, -EINVAL, "%s: not a kernel (more than %d segments)", k->path,
			       KERNEL_SEGMENTS);
	k->segments[k->n_segments++] = (struct segment){
		.offset = p->p_offset,
		.filesz = p->p_filesz,
		.paddr = p->p_paddr,
		.memsz = p->p_memsz,
	};
	return 0;
}

static int vmlinux_set_layout(struct kernel *k, u64 entry, u64 first_vaddr, struct err *e)
{
	struct kernel_layout *l = &k->layout;
	u64 end = 0;
	bool found = false;

	l->pref_phys = UINT64_MAX;
	for (unsigned i = 0; i < k->n_segments; i++) {
		const struct segment *s = &k->segments[i];

		if (s->paddr < l->pref_phys)
			l->pref_phys = s->paddr;
		if (s->paddr + s->memsz > end)
			end = s->paddr + s->memsz;
	}
	l->span = end - l->pref_phys;
	if (l->span > KERNEL_IMAGE_SIZE)
		return err_set(e, -EINVAL, "%s: not a kernel (its segments span %#llx bytes)",
			       k->path, (unsigned long long)l->span);
	if (!l->align)
		l->align = 0x200000;
	if (!l->init_size)
		l->init_size = ALIGN_UP(l->span, (u64)4096);
	l->link_text = first_vaddr;
	l->image_limit = KERNEL_IMAGE_SIZE;
	if (entry >= KERNEL_MAP)
		entry -= KERNEL_MAP;
	l->entry = entry;
	for (unsigned i = 0; i < k->n_segments; i++) {
		const struct segment *s = &k->segments[i];

		found |= entry >= s->paddr && entry - s->paddr < s->filesz;
	}
	if (!found)
		return err_set(e, -EINVAL, "%s: not a kernel (its entry %#llx is in no segment)",
			       k->path, (unsigned long long)entry);
	return 0;
}

/* Returns the first byte behind everything that the ELF headers describe. */
static u64 file_end(Elf *elf, const GElf_Ehdr *eh, size_t phnum)
{
	u64 end = eh->e_phoff + phnum * sizeof(Elf64_Phdr);
	Elf_Scn *scn = NULL;
	GElf_Shdr sh;
	GElf_Phdr ph;
	size_t i;

	for (i = 0; i < phnum; i++)
		if (gelf_getphdr(elf, (int)i, &ph) && ph.p_type == PT_LOAD &&
		    ph.p_offset + ph.p_filesz > end)
			end = ph.p_offset + ph.p_filesz;
	for (i = 0; i < SECTIONS_MAX && (scn = elf_nextscn(elf, scn)); i++)
		if (gelf_getshdr(scn, &sh) && sh.sh_type != SHT_NOBITS &&
		    sh.sh_offset + sh.sh_size > end)
			end = sh.sh_offset + sh.sh_size;
	if (eh->e_shoff && eh->e_shoff + (u64)eh->e_shnum * eh->e_shentsize > end)
		end = eh->e_shoff + (u64)eh->e_shnum * eh->e_shentsize;
	return end;
}

/* Reads the headers by gelf_*(), which copies them: a damaged file has them at odd addresses. */
int vmlinux_parse(struct kernel *k, size_t *end, struct err *e)
{
	u64 lowest = UINT64_MAX, first_vaddr = 0;
	Elf *elf = open_elf(k);
	GElf_Ehdr eh;
	GElf_Phdr ph;
	size_t n = 0, i;
	int ret = 0;

	if (!elf || !gelf_getehdr(elf, &eh) || elf_getphdrnum(elf, &n) < 0 || !n || n > PHDRS_MAX) {
		ret = err_set(e, -EINVAL, "%s: not a kernel, or truncated (no program headers)",
			      k->path);
		goto out;
	}
	for (i = 0; i < n && !ret; i++) {
		if (!gelf_getphdr(elf, (int)i, &ph)) {
			ret = err_set(e, -EINVAL, "%s: truncated (in the program headers)",
				      k->path);
			goto out;
		}
		if (ph.p_type != PT_LOAD || !ph.p_memsz)
			continue;
		ret = add_segment(k, &ph, e);
		if (ph.p_paddr < lowest) {
			lowest = ph.p_paddr;
			first_vaddr = ph.p_vaddr;
		}
	}
	if (ret)
		goto out;
	if (!k->n_segments) {
		ret = err_set(e, -EINVAL, "%s: not a kernel (no segments to load)", k->path);
		goto out;
	}
	ret = vmlinux_set_layout(k, eh.e_entry, first_vaddr, e);
	if (!ret)
		*end = file_end(elf, &eh, n);
out:
	if (elf)
		elf_end(elf);
	return ret;
}

static bool section_wanted(struct sections *s, const char *name, struct section **to)
{
	static const struct {
		const char *name;
		size_t offset;
	} names[] = {
		{ ".text", offsetof(struct sections, text) },
		{ ".rodata", offsetof(struct sections, rodata) },
		{ ".data..percpu", offsetof(struct sections, percpu) },
		{ "__ksymtab_strings", offsetof(struct sections, strings) },
		{ ".BTF", offsetof(struct sections, btf) },
		{ "__ksymtab", offsetof(struct sections, ksymtab[0]) },
		{ "__ksymtab_gpl", offsetof(struct sections, ksymtab[1]) },
		{ "__kcrctab", offsetof(struct sections, kcrctab[0]) },
		{ "__kcrctab_gpl", offsetof(struct sections, kcrctab[1]) },
	};

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		if (!strcmp(names[i].name, name)) {
			*to = (struct section *)((char *)s + names[i].offset);
			return true;
		}
	}
	return false;
}

int vmlinux_sections(const struct kernel *k, struct sections *s, struct err *e)
{
	Elf_Scn *scn = NULL;
	size_t strndx, i;
	Elf *elf = open_elf(k);
	int ret = 0;

	if (!elf || elf_getshdrstrndx(elf, &strndx) < 0) {
		ret = err_set(e, -ENOENT,
			      "%s: has no section headers, so its symbols cannot be found",
			      k->path);
		goto out;
	}
	for (i = 0; i < SECTIONS_MAX && (scn = elf_nextscn(elf, scn)); i++) {
		const char *name;
		struct section *to;
		GElf_Shdr sh;

		if (!gelf_getshdr(scn, &sh))
			continue;
		name = elf_strptr(elf, strndx, sh.sh_name);
		/* If two sections have one name, the first counts. */
		if (!name || !section_wanted(s, name, &to) || to->size)
			continue;
		to->addr = sh.sh_addr;
		to->size = sh.sh_size;
		if (sh.sh_type == SHT_NOBITS)
			continue;
		if (sh.sh_offset > k->image_len || sh.sh_size > k->image_len - sh.sh_offset) {
			ret = err_set(e, -EINVAL, "%s: truncated (section %s ends behind the file)",
				      k->path, name);
			goto out;
		}
		to->data = k->image + sh.sh_offset;
	}
out:
	if (elf)
		elf_end(elf);
	return ret;
}

void vmlinux_release(struct kernel *k)
{
	static const char banner[] = "Linux version ";
	const u8 *p = k->image, *end = k->image + k->image_len;

	while ((p = memmem(p, (size_t)(end - p), banner, sizeof(banner) - 1))) {
		size_t n = 0;

		p += sizeof(banner) - 1;
		while (n < (size_t)(end - p) && n + 1 < sizeof(k->release) && isgraph(p[n]))
			n++;
		/* The format string "Linux version %s" looks alike. */
		if (n && isdigit(p[0]) && n + 1 < sizeof(k->release)) {
			memcpy(k->release, p, n);
			k->release[n] = '\0';
			return;
		}
	}
}
