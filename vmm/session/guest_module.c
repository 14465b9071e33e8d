// SPDX-License-Identifier: GPL-2.0-only
/* Walks the guest kernel's list of modules and the tables that hang on one. */
#include "vmm/session/guest_module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/kernel/kernel.h"
#include "vmm/machine/guest_read.h"
#include "vmm/session/session.h"

#define TEXT_MAX  (64u << 20)
#define TABLE_MAX 65536 /* entries of a module's table */

int guest_member(struct sessions *s, const char *strct, const char *name, u32 *off, struct err *e)
{
	u32 size;
	int ret = kernel_member(s->k, strct, name, off, &size);

	return ret ? err_set(e, ret, "%s: no member %s in struct %s", kernel_path(s->k), name,
			     strct)
		   : 0;
}

int guest_read_u64(struct sessions *s, u64 va, u64 *out)
{
	return guest_read(s->m, va, out, sizeof(*out));
}

static int guest_read_u32(struct sessions *s, u64 va, u32 *out)
{
	return guest_read(s->m, va, out, sizeof(*out));
}

/* Reads where a part of the module lies, by the member of struct module that says so. */
static int read_part(struct sessions *s, const char *part, struct guest_module *m, struct err *e)
{
	u32 layout = 0, base = 0, size = 0, text = 0, bytes, text_bytes;
	int ret = guest_member(s, "module", part, &layout, e);

	if (!ret)
		ret = guest_member(s, "module_layout", "base", &base, e);
	if (!ret)
		ret = guest_member(s, "module_layout", "size", &size, e);
	if (!ret)
		ret = guest_member(s, "module_layout", "text_size", &text, e);
	if (ret)
		return ret;
	if (guest_read_u64(s, m->at + layout + base, &m->base) ||
	    guest_read_u32(s, m->at + layout + size, &bytes) ||
	    guest_read_u32(s, m->at + layout + text, &text_bytes))
		return err_set(e, -EFAULT, "cannot read struct module");
	m->size = bytes;
	m->text = text_bytes;
	if (m->text > m->size || m->text > TEXT_MAX)
		return err_set(e, -EINVAL, "struct module is not plausible");
	return 0;
}

static int read_layout(struct sessions *s, struct guest_module *m, struct err *e)
{
	return read_part(s, "core_layout", m, e);
}

int guest_module_init_part(struct sessions *s, const struct guest_module *m,
			   struct guest_module *init, struct err *e)
{
	*init = (struct guest_module){ .at = m->at };
	return read_part(s, "init_layout", init, e);
}

int guest_module_symbols(struct sessions *s, const struct guest_module *m, u64 *table, u32 *n,
			 struct err *e)
{
	u32 kallsyms = 0, symtab = 0, count = 0;
	u64 at;
	int ret = guest_member(s, "module", "kallsyms", &kallsyms, e);

	if (!ret)
		ret = guest_member(s, "mod_kallsyms", "symtab", &symtab, e);
	if (!ret)
		ret = guest_member(s, "mod_kallsyms", "num_symtab", &count, e);
	if (ret)
		return ret;
	if (guest_read_u64(s, m->at + kallsyms, &at) || guest_read_u64(s, at + symtab, table) ||
	    guest_read_u32(s, at + count, n))
		return err_set(e, -EFAULT, "cannot read the module's table of symbols");
	return 0;
}

/* Called for each module of the list; returns 1 to end the walk at @m, 0 to go on, or -errno. */
typedef int module_match(struct sessions *s, struct guest_module *m, const void *arg);

static int walk_modules(struct sessions *s, module_match *match, const void *arg,
			struct guest_module *out, struct err *e)
{
	u64 head = kernel_symbol(s->k, "modules"), at;
	u32 list = 0;
	size_t n;
	int ret = guest_member(s, "module", "list", &list, e);

	if (ret)
		return ret;
	if (!head)
		return err_set(e, -ENOENT, "%s: no list of modules", kernel_path(s->k));
	head += s->kaslr;
	ret = guest_read_u64(s, head, &at);
	for (n = 0; !ret && at != head && n < GUEST_MODULES_MAX; n++) {
		*out = (struct guest_module){ .at = at - list };
		ret = match(s, out, arg);
		if (ret > 0)
			return 0;
		if (!ret)
			ret = guest_read_u64(s, at, &at);
	}
	return ret ? err_set(e, -EFAULT, "cannot read the guest's list of modules") : -ENOENT;
}

static int guest_module_has_name(struct sessions *s, struct guest_module *m, const void *arg)
{
	u32 off = 0;
	char buf[64];

	if (guest_member(s, "module", "name", &off, NULL) ||
	    guest_read(s->m, m->at + off, buf, sizeof(buf)))
		return -EFAULT;
	buf[sizeof(buf) - 1] = 0;
	return !strcmp(buf, arg);
}

static int guest_module_has_address(struct sessions *s, struct guest_module *m, const void *arg)
{
	const u64 *va = arg;

	return !read_layout(s, m, NULL) && *va - m->base < m->size;
}

int guest_module_find(struct sessions *s, const char *name, struct guest_module *out, struct err *e)
{
	int ret = walk_modules(s, guest_module_has_name, name, out, e);

	if (ret == -ENOENT)
		return err_set(e, -ENOENT, "the guest's kernel has no module %s", name);
	return ret ? ret : read_layout(s, out, e);
}

int guest_module_by_address(struct sessions *s, u64 va, struct guest_module *out)
{
	return walk_modules(s, guest_module_has_address, &va, out, NULL);
}

struct module_list {
	struct guest_module *out;
	size_t n, max;
};

/* Adds @m to the list, unless its layout is not plausible; 1: the list is full. */
static int guest_modules_add(struct sessions *s, struct guest_module *m, const void *arg)
{
	struct module_list *const *l = arg;

	if (!read_layout(s, m, NULL))
		(*l)->out[(*l)->n++] = *m;
	return (*l)->n == (*l)->max;
}

size_t guest_module_list(struct sessions *s, struct guest_module *out, size_t max)
{
	struct module_list l = { out, 0, max }, *arg = &l;
	struct guest_module m;

	walk_modules(s, guest_modules_add, &arg, &m, NULL);
	return l.n;
}

/* A table of a module: members of struct module that have its address and its length. */
struct table_members {
	const char *address, *count;
};

/*
 * Returns a copy of the table at *at: *n entries of @size bytes, at most TABLE_MAX; NULL: there is
 * none.
 */
static void *copy_table(struct sessions *s, const struct guest_module *m,
			const struct table_members *t, size_t size, u64 *at, u32 *n)
{
	u32 address = 0, count = 0;
	void *copy;

	if (guest_member(s, "module", t->address, &address, NULL) ||
	    guest_member(s, "module", t->count, &count, NULL) ||
	    guest_read_u64(s, m->at + address, at) || guest_read_u32(s, m->at + count, n) || !*n)
		return NULL;
	if (*n > TABLE_MAX)
		*n = TABLE_MAX;
	copy = malloc(*n * size);
	if (copy && guest_read(s->m, *at, copy, *n * size)) {
		free(copy);
		copy = NULL;
	}
	return copy;
}

/*
 * Stores the exports of one table in @out and returns their number. An entry (struct kernel_symbol)
 * has two offsets, each from its own address, and a third for the namespace.
 */
static size_t exports_of_table(struct sessions *s, const struct guest_module *m,
			       const struct table_members *t, struct guest_export *out)
{
	u32 step = 0, n = 0;
	u64 table = 0;
	u8 *copy;

	if (kernel_struct_size(s->k, "kernel_symbol", &step) || step < 2 * sizeof(s32))
		return 0;
	copy = copy_table(s, m, t, step, &table, &n);
	for (u32 i = 0; copy && i < n; i++) {
		u64 entry = table + (u64)i * step;
		s32 off[2];

		memcpy(off, copy + (size_t)i * step, sizeof(off));
		out[i] = (struct guest_export){ entry + (u64)off[0], entry + 4 + (u64)off[1] };
	}
	n = copy ? n : 0;
	free(copy);
	return n;
}

size_t guest_module_exports(struct sessions *s, const struct guest_module *m,
			    struct guest_export **out)
{
	static const struct table_members tables[] = { { "syms", "num_syms" },
						       { "gpl_syms", "num_gpl_syms" } };
	struct guest_export *shrunk;
	size_t n = 0;

	*out = malloc(ARRAY_SIZE(tables) * TABLE_MAX * sizeof(**out));
	for (size_t i = 0; *out && i < ARRAY_SIZE(tables); i++)
		n += exports_of_table(s, m, &tables[i], *out + n);
	shrunk = *out ? realloc(*out, (n + 1) * sizeof(**out)) : NULL;
	if (shrunk)
		*out = shrunk;
	return n;
}

struct section_offsets {
	u32 table, count, first, step, addr, name;
};

static int section_offsets(struct sessions *s, struct section_offsets *o, struct err *e)
{
	u32 battr = 0, attr = 0, name = 0;
	int ret = guest_member(s, "module", "sect_attrs", &o->table, e);

	if (!ret)
		ret = guest_member(s, "module_sect_attrs", "nsections", &o->count, e);
	if (!ret)
		ret = guest_member(s, "module_sect_attrs", "attrs", &o->first, e);
	if (!ret)
		ret = guest_member(s, "module_sect_attr", "address", &o->addr, e);
	if (!ret)
		ret = guest_member(s, "module_sect_attr", "battr", &battr, e);
	if (!ret)
		ret = guest_member(s, "bin_attribute", "attr", &attr, e);
	if (!ret)
		ret = guest_member(s, "attribute", "name", &name, e);
	if (!ret && kernel_struct_size(s->k, "module_sect_attr", &o->step))
		ret = err_set(e, -ENOENT, "%s: no struct module_sect_attr", kernel_path(s->k));
	o->name = battr + attr + name;
	return ret;
}

int guest_module_sections(struct sessions *s, const struct guest_module *m,
			  struct guest_section *out, size_t max, size_t *n, struct err *e)
{
	struct section_offsets o = { 0 };
	u64 table, text;
	u32 count, i;
	int ret = section_offsets(s, &o, e);

	*n = 0;
	if (ret)
		return ret;
	if (guest_read_u64(s, m->at + o.table, &table) ||
	    guest_read_u32(s, table + o.count, &count) || count > max)
		return err_set(e, -EFAULT, "cannot read the module's sections");
	for (i = 0; i < count; i++) {
		u64 at = table + o.first + (u64)i * o.step;

		if (!guest_read_u64(s, at + o.addr, &out[*n].addr) &&
		    !guest_read_u64(s, at + o.name, &text) &&
		    !guest_read_string(s->m, text, out[*n].name, sizeof(out[*n].name)))
			++*n;
	}
	return 0;
}

/*
 * Reads a static call; false: its key is not one of the kernel image's, or cannot be read. An entry
 * (struct static_call_site) has two offsets, each from its own address; the low bits of the key are
 * flags.
 */
static bool call_of_site(struct sessions *s, u64 entry, const s32 off[2], u32 func_at,
			 struct guest_call *out)
{
	u64 key = (entry + 4 + (u64)off[1]) & ~3ULL, off_in = 1;
	const char *name = kernel_symbolize(s->k, key - s->kaslr, &off_in);

	out->site = entry + (u64)off[0];
	return name && !off_in && !strncmp(name, "__SCK__", 7) &&
	       !guest_read_u64(s, key + func_at, &out->func);
}

size_t guest_module_static_calls(struct sessions *s, const struct guest_module *m,
				 struct guest_call **out)
{
	static const struct table_members sites = { "static_call_sites", "num_static_call_sites" };
	u32 func_at = 0, n = 0;
	size_t found = 0;
	u64 table = 0;
	s32 *copy;

	*out = NULL;
	if (guest_member(s, "static_call_key", "func", &func_at, NULL))
		return 0;
	copy = copy_table(s, m, &sites, 2 * sizeof(*copy), &table, &n);
	*out = copy ? calloc(n, sizeof(**out)) : NULL;
	for (u32 i = 0; *out && i < n; i++)
		found += call_of_site(s, table + i * 8ULL, copy + 2 * (size_t)i, func_at,
				      *out + found);
	free(copy);
	return found;
}

size_t guest_module_places(void *arg, const char *module,
			   struct gate_section out[GATE_SECTIONS_MAX])
{
	struct guest_section found[GATE_SECTIONS_MAX];
	struct guest_module m = { .at = 0 };
	size_t n = 0;

	if (guest_module_find(arg, module, &m, NULL) ||
	    guest_module_sections(arg, &m, found, GATE_SECTIONS_MAX, &n, NULL))
		return 0;
	for (size_t i = 0; i < n; i++) {
		out[i].addr = found[i].addr;
		memcpy(out[i].name, found[i].name, sizeof(out[i].name));
	}
	return n;
}
