// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gives a driver's copy an identity of its own, so that N copies of it can be loaded side by side.
 *
 * Renamed are the module, the strings of its export table, and its imports from drivers of its
 * session, in the symbol table and in __versions. Symbols that it defines keep their names: the
 * loader never looks at those, and readers of a trace or a crash want to find the names of the
 * source. String tables that grow move to the end of the file; nothing else moves.
 *
 * The kernel looks an export up by bisection, so the table must stay sorted by name after the
 * renaming: entries, their CRCs and the relocations that fill them in are put in the new order.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fnv.h"
#include "base/little_endian.h"
#include "shadow/link/plan_int.h"

void module_private_name(const char *name, const char *suffix, char out[MODULE_NAME_LEN])
{
	size_t n = strlen(name), s = strlen(suffix);

	if (n + s < MODULE_NAME_LEN) {
		memcpy(out, name, n);
		memcpy(out + n, suffix, s + 1);
		return;
	}
	snprintf(out, MODULE_NAME_LEN, "%.*s_%016llx%.*s",
		 MODULE_NAME_LEN - 1 - 17 - PRIVATE_SUFFIX_MAX, name,
		 (unsigned long long)fnv_string(FNV_START, name), PRIVATE_SUFFIX_MAX, suffix);
}

static Elf64_Shdr read_header(const struct copy *c, u32 i)
{
	Elf64_Ehdr eh;
	Elf64_Shdr sh;

	memcpy(&eh, c->data, sizeof(eh));
	memcpy(&sh, c->data + eh.e_shoff + i * sizeof(sh), sizeof(sh));
	return sh;
}

static void write_header(struct copy *c, u32 i, const Elf64_Shdr *sh)
{
	Elf64_Ehdr eh;

	memcpy(&eh, c->data, sizeof(eh));
	memcpy(c->data + eh.e_shoff + i * sizeof(*sh), sh, sizeof(*sh));
}

/* Puts section @i, with room for @extra more bytes behind it, at the end of the file. */
static int move_section(struct copy *c, u32 i, u64 extra)
{
	Elf64_Shdr sh = read_header(c, i);
	u64 at = ALIGN_UP((u64)c->len, (u64)8), size = sh.sh_size + extra;
	u8 *data;

	if (size > UINT32_MAX)
		return -EFBIG;
	data = realloc(c->data, at + size);
	if (!data)
		return -ENOMEM;
	c->data = data;
	memset(data + c->len, 0, at - c->len);
	memcpy(data + at, data + sh.sh_offset, sh.sh_size);
	memset(data + at + sh.sh_size, 0, extra);
	c->len = at + size;
	sh.sh_offset = at;
	sh.sh_size = size;
	write_header(c, i, &sh);
	return 0;
}

static void rename_module(struct copy *c, const struct module *m, u32 name_off, const char *name)
{
	char *field = (char *)c->data + m->sections[m->idx.this_module].h.sh_offset + name_off;
	const Elf64_Shdr *info = &m->sections[m->idx.modinfo].h;

	memset(field, 0, MODULE_NAME_LEN);
	memcpy(field, name, strlen(name));
	/* The loader takes the name of its messages and of module_blacklist= from here; without the
	 * tag it falls back to the field above. The new name need not fit the old one's place. */
	for (u64 at = 0; m->idx.modinfo && at < info->sh_size;) {
		char *p = (char *)c->data + info->sh_offset + at;

		at += strlen(p) + 1;
		if (!strncmp(p, "name=", 5))
			*p = 'N';
	}
}

/* Renames the entries of __versions, which the kernel finds by the name of the import. */
static int rename_versions(struct copy *c, const struct module *m,
			   const struct link_rename *renames, size_t n)
{
	const Elf64_Shdr *h = &m->sections[m->idx.versions].h;
	struct strmap map;
	int ret = strmap_init(&map, n);

	for (size_t i = 0; !ret && i < n; i++) {
		Elf64_Sym sym;

		module_symbol(m, renames[i].symbol, &sym);
		strmap_add(&map, module_symbol_name(m, &sym), (u32)i);
	}
	for (u64 at = 0; !ret && m->idx.versions && at < h->sh_size; at += VERSION_SIZE) {
		char *name = (char *)c->data + h->sh_offset + at + 8;
		u32 i;

		if (strnlen(name, MODULE_NAME_LEN) < MODULE_NAME_LEN &&
		    strmap_find(&map, name, &i)) {
			memset(name, 0, MODULE_NAME_LEN);
			memcpy(name, renames[i].name, strlen(renames[i].name));
		}
	}
	strmap_free(&map);
	return ret;
}

static int rename_imports(struct copy *c, const struct module *m, const struct link_rename *renames,
			  size_t n)
{
	u64 symtab = m->sections[m->idx.symtab].h.sh_offset;
	u64 at = m->sections[m->idx.strtab].h.sh_size, extra = 0, base;
	int ret;

	for (size_t i = 0; i < n; i++)
		extra += strlen(renames[i].name) + 1;
	ret = move_section(c, m->idx.strtab, extra);
	if (ret)
		return ret;
	base = read_header(c, m->idx.strtab).sh_offset;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(renames[i].name) + 1;

		memcpy(c->data + base + at, renames[i].name, len);
		store_u32(c->data + symtab + (u64)renames[i].symbol * sizeof(Elf64_Sym) +
				  offsetof(Elf64_Sym, st_name),
			  (u32)at);
		at += len;
	}
	return rename_versions(c, m, renames, n);
}

/* An export with its new name. */
struct renamed {
	const struct module_export *ex;
	char name[MODULE_NAME_LEN];
};

static int renamed_by_name(const void *pa, const void *pb)
{
	const struct renamed *a = pa, *b = pb;

	if (a->ex->table != b->ex->table)
		return a->ex->table < b->ex->table ? -1 : 1;
	return strcmp(a->name, b->name);
}

/* Moves the @n entries of table @t: the one at i goes to order[i]. */
static void reorder_exports(struct copy *c, const struct module *m, unsigned t, const u32 *order,
			    u32 n)
{
	const struct module_section *rela = &m->sections[m->idx.ksymtab_rela[t]];
	const Elf64_Shdr *tab = &m->sections[m->idx.ksymtab[t]].h;
	const Elf64_Shdr *crc = m->idx.kcrctab[t] ? &m->sections[m->idx.kcrctab[t]].h : NULL;

	for (u64 i = 0; i < module_rela_count(rela); i++) {
		Elf64_Rela r;

		module_rela(m, rela, i, &r);
		store_u64(c->data + rela->h.sh_offset + i * sizeof(r) +
				  offsetof(Elf64_Rela, r_offset),
			  (u64)order[r.r_offset / KSYM_ENTRY] * KSYM_ENTRY +
				  r.r_offset % KSYM_ENTRY);
	}
	for (u32 i = 0; i < n; i++) {
		memcpy(c->data + tab->sh_offset + (u64)order[i] * KSYM_ENTRY,
		       m->data + tab->sh_offset + (u64)i * KSYM_ENTRY, KSYM_ENTRY);
		if (crc && crc->sh_size)
			memcpy(c->data + crc->sh_offset + (u64)order[i] * 4,
			       m->data + crc->sh_offset + (u64)i * 4, 4);
	}
}

/* Writes the new names behind the old ones and lets the name relocations point at them. */
static int write_export_names(struct copy *c, const struct module *m, const struct renamed *list)
{
	u64 at = m->sections[m->idx.strings].h.sh_size, extra = 0, base;
	int ret;

	for (size_t i = 0; i < m->n_exports; i++)
		extra += strlen(list[i].name) + 1;
	ret = move_section(c, m->idx.strings, extra);
	if (ret)
		return ret;
	base = read_header(c, m->idx.strings).sh_offset;
	for (size_t i = 0; i < m->n_exports; i++) {
		const struct module_export *ex = list[i].ex;
		u8 *addend = c->data + ex->name_rela + offsetof(Elf64_Rela, r_addend);
		size_t len = strlen(list[i].name) + 1;

		memcpy(c->data + base + at, list[i].name, len);
		store_u64(addend, load_u64(addend) + at - ex->name_at);
		at += len;
	}
	return 0;
}

static int rename_exports(struct copy *c, const struct module *m, const char *suffix)
{
	struct renamed *list = calloc(m->n_exports, sizeof(*list));
	u32 *order = calloc(m->n_exports, sizeof(*order)); /* of one table at a time */
	size_t first = 0;
	int ret = list && order ? 0 : -ENOMEM;

	for (size_t i = 0; !ret && i < m->n_exports; i++) {
		list[i].ex = &m->exports[i];
		module_private_name(m->exports[i].name, suffix, list[i].name);
	}
	if (!ret)
		ret = write_export_names(c, m, list);
	if (!ret)
		qsort(list, m->n_exports, sizeof(*list), renamed_by_name);
	for (unsigned t = 0; !ret && t < 2; t++) {
		u32 n = 0;

		while (first + n < m->n_exports && list[first + n].ex->table == t) {
			order[list[first + n].ex->entry] = n;
			n++;
		}
		if (n)
			reorder_exports(c, m, t, order, n);
		first += n;
	}
	free(list);
	free(order);
	return ret;
}

int privatize(struct copy *c, const struct link_plan *p, const struct link_identity *id,
	      struct err *e)
{
	const struct module *m = p->module;
	int ret = 0;

	rename_module(c, m, p->name_off, id->name);
	if (p->n_renames)
		ret = rename_imports(c, m, p->renames, p->n_renames);
	if (!ret && m->n_exports && *id->suffix)
		ret = rename_exports(c, m, id->suffix);
	if (ret == -EFBIG)
		return err_set(e, ret, "%s: its string tables are too large", m->label);
	if (ret)
		return err_set(e, ret, "%s: out of memory", m->label);
	return 0;
}
