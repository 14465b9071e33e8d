// SPDX-License-Identifier: GPL-2.0-only
/*
 * Writes the private copy of a driver. Everything is computed from the parsed original and written
 * into the copy, never the other way round, so that no edit can influence a later one.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"
#include "base/name_chars.h"
#include "shadow/kernel/kernel.h"
#include "shadow/link/plan_int.h"

static int check_args(const struct link_plan *p, const struct link_addresses *a,
		      const struct link_identity *id, struct err *e)
{
	const struct import *refused = link_plan_refused(p);

	if (refused)
		return err_set(e, -EPERM, "%s: %s cannot be linked: %s", p->module->label,
			       refused->symbol, refused->reason);
	if (!name_chars_only(id->name, NAME_FILE, PRIVATE_NAME_MAX))
		return err_set(e, -EINVAL,
			       "%s: \"%.64s\" cannot be its name in the guest; want up to "
			       "%d " NAME_FILE_TEXT,
			       p->module->label, id->name, PRIVATE_NAME_MAX);
	if (*id->suffix && !name_chars_only(id->suffix, NAME_FILE, PRIVATE_SUFFIX_MAX))
		return err_set(e, -EINVAL,
			       "%s: \"%.64s\" cannot be appended to its exports; want up to "
			       "%d " NAME_FILE_TEXT,
			       p->module->label, id->suffix, PRIVATE_SUFFIX_MAX);
	if (a->modules >= a->modules_end || a->kaslr % 4096)
		return err_set(e, -EINVAL, "%s: the guest's addresses are not known",
			       p->module->label);
	return 0;
}

/*
 * Returns true if a branch from anywhere in the module range reaches @target. The loader computes
 * target - 4 - place and cuts it to 32 bits without a check.
 */
static bool in_reach(u64 target, const struct link_addresses *a)
{
	s64 low = (s64)(target - 4 - a->modules), high = (s64)(target - 4 - a->modules_end);

	return low >= INT32_MIN && low <= INT32_MAX && high >= INT32_MIN && high <= INT32_MAX;
}

static int import_target_address(const struct link_plan *p, const struct link_addresses *a,
				 const struct import *im, u64 *target, struct err *e)
{
	*target = a->entry(a->arg, im);
	if (!*target)
		return err_set(e, -ENOENT, "%s: there is no entry for %s", p->module->label,
			       im->symbol);
	if (!in_reach(*target, a))
		return err_set(
			e, -ERANGE,
			"%s: the entry for %s at %#llx is more than 2 GiB from the guest's module range",
			p->module->label, im->symbol, (unsigned long long)*target);
	return 0;
}

static int redirect_branches(u8 *data, const struct link_plan *p, const struct link_addresses *a,
			     struct err *e)
{
	u64 *targets = calloc(p->n_imports + 1, sizeof(*targets));
	int ret = 0;

	if (!targets)
		return err_set(e, -ENOMEM, "%s: out of memory", p->module->label);
	for (size_t i = 0; !ret && i < p->n_imports; i++)
		if (p->imports[i].target == TARGET_SHADOW)
			ret = import_target_address(p, a, &p->imports[i], &targets[i], e);
	for (size_t i = 0; !ret && i < p->n_sites; i++) {
		const struct branch_site *s = &p->sites[i];
		u64 real = p->imports[s->import].export->addr + a->kaslr;

		store_u64(data + s->rela_at + offsetof(Elf64_Rela, r_addend),
			  targets[s->import] - real - 4);
	}
	free(targets);
	return ret;
}

/* Returns the entry that the reference goes to; 0: the address stays what it is. */
static u64 address_target(const struct link_plan *p, const struct link_addresses *a,
			  const struct address_site *s)
{
	if (s->peer)
		return a->peer ? a->peer(a->arg, &p->imports[s->target]) : 0;
	return a->inward ? a->inward(a->arg, s->target) : 0;
}

/*
 * Gives references by address the address of an entry: by symbol 0, which module_parse() has seen
 * to be empty, and for which the loader takes its value in the file.
 */
static int redirect_addresses(u8 *data, const struct link_plan *p, const struct link_addresses *a,
			      struct err *e)
{
	for (size_t i = 0; i < p->n_addresses; i++) {
		const struct address_site *s = &p->addresses[i];
		u8 *rela = data + s->rela_at;
		u64 to = address_target(p, a, s), info;

		if (!to)
			continue;
		/* as R_X86_64_32S has it, which the loader checks */
		if ((s64)to != (s32)to)
			return err_set(e, -ERANGE,
				       "%s: the inward entry at %#llx is out of module space",
				       p->module->label, (unsigned long long)to);
		info = load_u64(rela + offsetof(Elf64_Rela, r_info));
		store_u64(rela + offsetof(Elf64_Rela, r_info),
			  ELF64_R_INFO((u64)STN_UNDEF, ELF64_R_TYPE(info)));
		store_u64(rela + offsetof(Elf64_Rela, r_addend), to);
	}
	return 0;
}

int link_emit(const struct link_plan *p, const struct link_addresses *a,
	      const struct link_identity *id, struct link_image *out, struct err *e)
{
	const struct module *m = p->module;
	struct copy c = { .len = m->len };
	int ret;

	ret = check_args(p, a, id, e);
	if (ret)
		return ret;
	c.data = malloc(m->len);
	if (!c.data)
		return err_set(e, -ENOMEM, "%s: out of memory", m->label);
	memcpy(c.data, m->data, m->len);
	ret = redirect_branches(c.data, p, a, e);
	if (!ret)
		ret = redirect_addresses(c.data, p, a, e);
	if (!ret)
		ret = privatize(&c, p, id, e);
	if (ret) {
		free(c.data);
		return ret;
	}
	out->data = c.data;
	out->len = c.len;
	return 0;
}
