// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plans where each import of a driver goes.
 *
 * Session first: a driver of the session that exports a name is meant to be found before the
 * kernel, and its exports have private names, so that nothing else can be meant. A critical
 * function keeps its gate even where the policy permits it: the permission is then for references
 * that take its address, which no gate can see.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"
#include "shadow/kernel/kernel.h"
#include "shadow/link/patch_tables.h"
#include "shadow/link/plan_int.h"

struct resolver {
	struct link_plan *plan;
	const struct link_session *session;
	struct err *e;
};

static bool symbol_is_critical(const struct resolver *v, const char *symbol)
{
	return v->session->rules && v->session->rules->critical &&
	       v->session->rules->critical(v->session->rules->arg, symbol);
}

static bool symbol_is_permitted(const struct resolver *v, const char *symbol)
{
	return v->session->rules && v->session->rules->permitted &&
	       v->session->rules->permitted(v->session->rules->arg, symbol);
}

static size_t reason_append(struct import *im, size_t at, const char *text, size_t max)
{
	size_t room = sizeof(im->reason) - 1 - at, len = strnlen(text, max < room ? max : room);

	memcpy(im->reason + at, text, len);
	im->reason[at + len] = '\0';
	return at + len;
}

static void import_decide(struct import *im, enum import_target target, const char *reason)
{
	im->target = target;
	reason_append(im, 0, reason, SIZE_MAX);
}

/* Does import_decide() with @name in the reason, of which at most 60 bytes are shown. */
static void import_decide_for(struct import *im, enum import_target target, const char *before,
			      const char *name, const char *after)
{
	size_t at = reason_append(im, 0, before, SIZE_MAX);

	im->target = target;
	at = reason_append(im, at, name, 60);
	reason_append(im, at, after, SIZE_MAX);
}

/*
 * Returns the name of a critical function at the same address, or NULL: under a second name its
 * calls would go around its gate.
 */
static const char *critical_alias(const struct resolver *v, const struct kernel_export *ex)
{
	const struct kernel *k = v->plan->kernel;
	const struct kernel_export *other;

	for (size_t i = kernel_function_from(k, ex->addr);
	     (other = kernel_function(k, i)) && other->addr == ex->addr; i++)
		if (other != ex && symbol_is_critical(v, other->name))
			return other->name;
	return NULL;
}

static void resolve_function(const struct resolver *v, struct import *im)
{
	const char *alias;

	if (im->critical) {
		import_decide(im, TARGET_SHADOW, "critical: goes to the host PVM");
		return;
	}
	if (symbol_is_permitted(v, im->symbol)) {
		im->by_permission = true;
		import_decide(im, TARGET_KERNEL, "the policy permits the kernel's own");
		return;
	}
	alias = critical_alias(v, im->export);
	if (alias)
		import_decide_for(im, TARGET_REFUSED, "another name of ", alias,
				  ", which is critical");
	else
		import_decide(im, TARGET_SHADOW, "not critical: jumps on to the kernel");
}

static void resolve_kernel(const struct resolver *v, struct import *im)
{
	im->kind = im->export->class;
	im->critical = symbol_is_critical(v, im->symbol);
	if (im->kind == SYMBOL_FUNCTION) {
		resolve_function(v, im);
		return;
	}
	if (im->critical && !symbol_is_permitted(v, im->symbol)) {
		import_decide(im, TARGET_REFUSED, "critical, but it cannot be redirected");
		return;
	}
	im->by_permission = im->critical;
	switch (im->kind) {
	case SYMBOL_DATA:
		import_decide(im, TARGET_KERNEL, "data");
		break;
	case SYMBOL_PERCPU:
		import_decide(im, TARGET_KERNEL, "per-CPU data");
		break;
	default:
		import_decide(im, TARGET_KERNEL,
			      "patched or compared by the kernel, must keep its address");
		break;
	}
}

static int resolve_session(const struct resolver *v, struct import *im, u32 symbol,
			   const struct link_provider *pr, size_t export)
{
	struct link_plan *p = v->plan;
	struct link_rename *rn = &p->renames[p->n_renames];
	char *copy = p->provider_names + p->n_renames * MODULE_NAME_LEN;

	if (!pr->suffix || strlen(pr->suffix) > PRIVATE_SUFFIX_MAX || !pr->name ||
	    strlen(pr->name) > PRIVATE_NAME_MAX)
		return err_set(v->e, -EINVAL, "%s: the private name of the driver %s is too long",
			       p->module->label, module_name(pr->module));
	memcpy(copy, pr->name, strlen(pr->name) + 1);
	im->provider = copy;
	im->kind = pr->module->exports[export].class;
	import_decide_for(im, TARGET_SESSION, "exported by ", copy, " of the same session");
	rn->symbol = symbol;
	module_private_name(im->symbol, pr->suffix, rn->name);
	p->n_renames++;
	return 0;
}

/*
 * Decides about a symbol that neither the session nor the kernel's image has; another module of the
 * guest might. A name with a dot is none of C: it could be that of another session's export.
 */
static void resolve_absent(const struct resolver *v, struct import *im, u32 symbol, bool weak)
{
	struct link_plan *p = v->plan;

	im->kind = SYMBOL_SPECIAL;
	if (!strcmp(im->symbol, "_GLOBAL_OFFSET_TABLE_")) {
		/* ignore_undef_symbol() of kernel/module: some assemblers leave it behind. */
		import_decide(im, TARGET_KERNEL, "the kernel's loader ignores it: stays 0");
	} else if (!strchr(im->symbol, '.') && symbol_is_permitted(v, im->symbol)) {
		im->by_permission = true;
		import_decide(im, TARGET_KERNEL, "the policy permits a module of the real kernel");
	} else if (weak) {
		/*
		 * The import gets a name that no module exports, so it stays 0 whatever the guest
		 * has loaded.
		 */
		p->renames[p->n_renames].symbol = symbol;
		module_private_name(im->symbol, ".absent", p->renames[p->n_renames].name);
		p->n_renames++;
		import_decide(im, TARGET_KERNEL, "weak, and nobody provides it: stays 0");
	} else if (*module_depends(p->module)) {
		import_decide_for(im, TARGET_REFUSED,
				  "neither the session nor the kernel has it; load first: ",
				  module_depends(p->module), "");
	} else {
		import_decide(im, TARGET_REFUSED,
			      "nothing in the session or the kernel provides it");
	}
}

static int resolve_import(const struct resolver *v, struct import *im, u32 symbol, bool weak)
{
	for (size_t i = v->session->n_providers; i-- > 0;) {
		size_t x;

		if (module_find_export(v->session->providers[i].module, im->symbol, &x))
			return resolve_session(v, im, symbol, &v->session->providers[i], x);
	}
	im->export = kernel_export(v->plan->kernel, im->symbol);
	if (im->export)
		resolve_kernel(v, im);
	else
		resolve_absent(v, im, symbol, weak);
	return 0;
}

static bool is_import(const struct module *m, u32 i, Elf64_Sym *sym)
{
	/* Nine of ten symbols are no imports, so the section is looked at first. */
	if (module_symbol_section(m, i) != SHN_UNDEF)
		return false;
	module_symbol(m, i, sym);
	return sym->st_name && *module_symbol_name(m, sym);
}

static int resolve_all(struct resolver *v)
{
	struct link_plan *p = v->plan;
	const struct module *m = p->module;
	Elf64_Sym sym;
	size_t n = 0;
	int ret = 0;

	for (u32 i = 1; i < m->n_symbols; i++)
		n += is_import(m, i, &sym);
	/*
	 * malloc(), since zeroing would take longer than resolving: each entry is written before it
	 * is read.
	 */
	p->imports = malloc((n + 1) * sizeof(*p->imports));
	p->import_of = malloc(m->n_symbols * sizeof(*p->import_of) + 1);
	p->renames = malloc((n + 1) * sizeof(*p->renames));
	p->provider_names = malloc(v->session->n_providers ? (n + 1) * MODULE_NAME_LEN : 1);
	if (!p->imports || !p->import_of || !p->renames || !p->provider_names)
		return err_set(v->e, -ENOMEM, "%s: out of memory", m->label);
	for (u32 i = 0; i < m->n_symbols; i++)
		p->import_of[i] = NO_IMPORT;
	for (u32 i = 1; !ret && i < m->n_symbols; i++) {
		struct import *im = &p->imports[p->n_imports];

		if (!is_import(m, i, &sym))
			continue;
		memset(im, 0, offsetof(struct import, reason));
		im->reason[0] = '\0';
		im->symbol = module_symbol_name(m, &sym);
		p->import_of[i] = (u32)p->n_imports++;
		ret = resolve_import(v, im, i, ELF64_ST_BIND(sym.st_info) == STB_WEAK);
	}
	return ret;
}

/* Decides again, now that it is counted how the import is referred to. */
static void settle_import(const struct resolver *v, struct import *im)
{
	/* only a branch to it tells that an absent symbol is a function */
	if (!im->export && !im->provider && im->branches)
		im->kind = SYMBOL_FUNCTION;
	if (im->target != TARGET_SHADOW || im->kind != SYMBOL_FUNCTION)
		return;
	if (im->critical && im->address_taken)
		im->by_permission = symbol_is_permitted(v, im->symbol);
	if (im->critical && im->address_taken && !im->by_permission)
		import_decide(im, TARGET_REFUSED,
			      "critical, and its address is taken, which no gate can see");
	else if (!im->branches && im->address_taken)
		import_decide(im, TARGET_KERNEL,
			      "only its address is taken, which the kernel may compare");
	else if (!im->branches)
		import_decide(im, TARGET_KERNEL, "not referred to");
	else if (im->address_taken)
		import_decide_for(im, TARGET_SHADOW, "",
				  im->critical ? "critical: goes to the host PVM" : "not critical",
				  "; where its address is taken, the kernel's own");
}

/* Drops the sites of imports that are not redirected. */
static void keep_shadow_sites(struct link_plan *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_sites; i++)
		if (p->imports[p->sites[i].import].target == TARGET_SHADOW)
			p->sites[n++] = p->sites[i];
	p->n_sites = n;
}

/*
 * Compares the vermagic as the kernel's same_magic() does: with modversions the release does not
 * count.
 */
static int check_vermagic(const struct link_plan *p, struct err *e)
{
	const char *ours = module_vermagic(p->module), *theirs = kernel_vermagic(p->kernel);
	const char *a = ours, *b = theirs;

	if (!ours || !theirs)
		return 0;
	if (p->module->idx.versions) {
		a += strcspn(a, " ");
		b += strcspn(b, " ");
	}
	if (!strcmp(a, b))
		return 0;
	return err_set(e, -EINVAL,
		       "%s: built for another kernel (vermagic \"%.100s\"; %s has \"%.100s\")",
		       p->module->label, ours, kernel_path(p->kernel), theirs);
}

static int check_layout(struct link_plan *p, struct err *e)
{
	const struct module *m = p->module;
	const Elf64_Shdr *h = &m->sections[m->idx.this_module].h;
	u32 size, len;

	if (kernel_struct_size(p->kernel, "module", &size) ||
	    kernel_member(p->kernel, "module", "name", &p->name_off, &len) ||
	    len != MODULE_NAME_LEN)
		return err_set(e, -EINVAL, "%s: its struct module is not known",
			       kernel_path(p->kernel));
	if (h->sh_size != size || p->name_off > size - MODULE_NAME_LEN)
		return err_set(
			e, -EINVAL,
			"%s: built for another kernel (its struct module has %llu bytes, that of %s %u)",
			m->label, (unsigned long long)h->sh_size, kernel_path(p->kernel), size);
	if (strncmp((const char *)m->data + h->sh_offset + p->name_off, m->name, MODULE_NAME_LEN) !=
	    0)
		return err_set(e, -EINVAL, "%s: built for another kernel (another struct module)",
			       m->label);
	return 0;
}

static bool in_session(const struct resolver *v, const char *symbol)
{
	size_t x;

	for (size_t i = 0; i < v->session->n_providers; i++)
		if (module_find_export(v->session->providers[i].module, symbol, &x))
			return true;
	return false;
}

/* Checks the CRC of every prototype that the driver was built with (CONFIG_MODVERSIONS). */
static int check_versions(const struct resolver *v)
{
	const struct link_plan *p = v->plan;
	const struct module *m = p->module;
	const Elf64_Shdr *h = &m->sections[m->idx.versions].h;

	for (u64 at = 0; m->idx.versions && at < h->sh_size; at += VERSION_SIZE) {
		const u8 *entry = m->data + h->sh_offset + at;
		const char *name = (const char *)entry + 8;
		const struct kernel_export *ex;

		if (strnlen(name, MODULE_NAME_LEN) == MODULE_NAME_LEN)
			return err_set(v->e, -EINVAL,
				       "%s: damaged driver file: a name in __versions does not end",
				       m->label);
		ex = kernel_export(p->kernel, name);
		if (ex && ex->has_crc && load_u64(entry) != ex->crc && !in_session(v, name))
			return err_set(
				v->e, -EINVAL,
				"%s: built for another kernel, %.*s (%s has CRC %#llx there, %#x in %s)",
				m->label, m->vermagic ? (int)strcspn(m->vermagic, " ") : 1,
				m->vermagic ? m->vermagic : "?", name,
				(unsigned long long)load_u64(entry), ex->crc,
				kernel_path(p->kernel));
	}
	return 0;
}

int link_plan_create(struct link_plan **out, const struct kernel *k, const struct module *m,
		     const struct link_session *s, struct err *e)
{
	struct link_plan *p = calloc(1, sizeof(*p));
	struct resolver v = { p, s, e };
	int ret;

	if (!p)
		return err_set(e, -ENOMEM, "%s: out of memory", m->label);
	p->kernel = k;
	p->module = m;
	if (!kernel_symbols_loaded(k))
		ret = err_set(e, -EINVAL, "%s: its symbols are not loaded", kernel_path(k));
	else if (m->livepatch)
		ret = err_set(
			e, -EINVAL,
			"%s: a live patch; it changes the kernel itself and cannot be isolated",
			m->label);
	else
		ret = check_vermagic(p, e);
	if (!ret)
		ret = check_layout(p, e);
	if (!ret)
		ret = check_versions(&v);
	if (!ret)
		ret = resolve_all(&v);
	if (!ret)
		ret = plan_references(p, e);
	if (!ret)
		ret = plan_inward(p, e);
	if (!ret)
		ret = patch_tables_walk(k, m, NULL, NULL, e);
	if (ret) {
		link_plan_free(p);
		return ret;
	}
	for (size_t i = 0; i < p->n_imports; i++)
		settle_import(&v, &p->imports[i]);
	keep_shadow_sites(p);
	*out = p;
	return 0;
}

void link_plan_free(struct link_plan *p)
{
	if (!p)
		return;
	free(p->imports);
	free(p->import_of);
	free(p->sites);
	free(p->inward);
	free(p->addresses);
	free(p->renames);
	free(p->provider_names);
	free(p);
}

const struct import *link_plan_imports(const struct link_plan *p, size_t *count)
{
	*count = p->n_imports;
	return p->imports;
}

const struct import *link_plan_refused(const struct link_plan *p)
{
	for (size_t i = 0; i < p->n_imports; i++)
		if (p->imports[i].target == TARGET_REFUSED)
			return &p->imports[i];
	return NULL;
}
