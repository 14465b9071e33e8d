// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds types in a kernel's BTF: names of functions and structs to BTF ids, members to offsets.
 * Nothing in the format finds a name but a walk over all 130,000 types, so the two kinds of name
 * that are asked for have an index.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <string.h>

#include "shadow/kernel/kernel_int.h"

#define DEPTH_MAX   16 /* of anonymous members within members */
#define MEMBERS_MAX 65536

static bool is_aggregate(const struct btf_type *t)
{
	return btf_is_struct(t) || btf_is_union(t);
}

/* Returns the name of type @id, "" if it has none. */
static const char *type_name(const void *of, u32 id)
{
	const struct btf_types *b = of;
	const struct btf_type *t = btf_type_at(b, id);
	const char *name = t ? btf_name(b, t->name_off) : NULL;

	return name ? name : "";
}

struct name_table types_table(const struct types *t)
{
	return (struct name_table){ type_name, &t->btf };
}

/* Makes hash tables of the names. */
static int types_index(struct types *t)
{
	size_t n_functions = 0, n_structs = 0;
	int ret;

	for (u32 id = 1; id < t->btf.count; id++) {
		const struct btf_type *ty = btf_type_at(&t->btf, id);

		n_functions += btf_is_func(ty);
		n_structs += is_aggregate(ty);
	}
	ret = strmap_init(&t->functions.map, n_functions);
	if (!ret)
		ret = strmap_init(&t->structs.map, n_structs);
	for (u32 id = 1; id < t->btf.count && !ret; id++) {
		const struct btf_type *ty = btf_type_at(&t->btf, id);
		const char *name = type_name(&t->btf, id);

		if (*name && (btf_is_func(ty) || is_aggregate(ty)))
			strmap_add(btf_is_func(ty) ? &t->functions.map : &t->structs.map, name, id);
	}
	return ret;
}

int types_load(struct types *t, const struct section *btf, const char *path, struct err *e)
{
	int ret = btf_types_open(&t->btf, btf->data, btf->size, NULL, 0);

	if (!ret)
		ret = types_index(t);
	if (ret == -EINVAL)
		return err_set(e, ret, "%s: its BTF type information is damaged", path);
	return ret ? err_set(e, ret, "%s: out of memory", path) : 0;
}

void types_free(struct types *t)
{
	btf_types_close(&t->btf);
	name_index_free(&t->functions);
	name_index_free(&t->structs);
}

u32 types_function(const struct types *t, const char *name)
{
	const struct name_table table = types_table(t);
	u32 id;

	return name_index_find(&t->functions, &table, name, &id) ? id : 0;
}

const struct btf_type *types_prototype(const struct types *t, const char *function)
{
	u32 id = types_function(t, function);
	const struct btf_type *f = id ? btf_type_at(&t->btf, id) : NULL;

	f = f ? btf_type_at(&t->btf, f->type) : NULL;
	return f && btf_is_func_proto(f) ? f : NULL;
}

static const struct btf_type *find_struct(const struct types *t, const char *name)
{
	const struct name_table table = types_table(t);
	const struct btf_type *s;
	u32 id;

	if (!name_index_find(&t->structs, &table, name, &id))
		return NULL;
	s = btf_type_at(&t->btf, id);
	return s && is_aggregate(s) ? s : NULL;
}

/* Returns the aggregate that @id stands for, through typedefs and qualifiers, or NULL. */
static const struct btf_type *strip_to_aggregate(const struct btf_types *btf, u32 id)
{
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		const struct btf_type *t = btf_type_at(btf, id);

		if (!t || !(btf_is_mod(t) || btf_is_typedef(t)))
			return t;
		id = t->type;
	}
	return NULL;
}

struct member_search {
	const struct btf_types *btf;
	const char *name;
	u32 offset, size; /* of the member that was found, in bytes */
	u32 looked;	  /* at so many: members of members grow without an end */
	u32 type;
};

/* Finds s->name in @t, which begins at bit @base_bits; also in members without a name. */
static int find_member(struct member_search *s, const struct btf_type *t, u64 base_bits, int depth)
{
	const struct btf_member *m = btf_members(t);

	for (u32 i = 0; i < btf_vlen(t); i++, m++) {
		const char *mname = btf_name(s->btf, m->name_off);
		u64 bits = base_bits + btf_member_bit_offset(t, i);
		u32 width;
		s64 len;

		if (!mname || ++s->looked > MEMBERS_MAX)
			return -EINVAL;
		if (!*mname && depth < DEPTH_MAX) {
			const struct btf_type *in = strip_to_aggregate(s->btf, m->type);

			if (in && is_aggregate(in) && !find_member(s, in, bits, depth + 1))
				return 0;
			if (s->looked > MEMBERS_MAX)
				return -EINVAL;
			continue;
		}
		if (strcmp(mname, s->name) != 0)
			continue;
		len = btf_size(s->btf, m->type);
		/* a bit field of whole bytes is as good as a member */
		width = btf_member_bitfield_size(t, i);
		if (width)
			len = width / 8;
		if (width % 8 || bits % 8 || bits / 8 > UINT32_MAX || len < 0 || len > UINT32_MAX)
			return -EINVAL;
		s->type = m->type;
		s->offset = (u32)(bits / 8);
		s->size = (u32)len;
		return 0;
	}
	return -ENOENT;
}

int kernel_member(const struct kernel *k, const char *strct, const char *member, u32 *offset,
		  u32 *size)
{
	const struct btf_type *t = find_struct(&k->types, strct);
	struct member_search s = { .btf = &k->types.btf };
	char name[64];
	size_t len;

	/* name by name of a path */
	for (;; member += len + 1) {
		len = strcspn(member, ".");
		if (!t || !is_aggregate(t) || len >= sizeof(name))
			return -ENOENT;
		memcpy(name, member, len);
		name[len] = '\0';
		s.name = name;
		if (find_member(&s, t, 8 * (u64)s.offset, 0))
			return -ENOENT;
		if (!member[len])
			break;
		t = strip_to_aggregate(s.btf, s.type);
	}
	*offset = s.offset;
	*size = s.size;
	return 0;
}

int kernel_struct_size(const struct kernel *k, const char *strct, u32 *size)
{
	const struct btf_type *t = find_struct(&k->types, strct);

	if (!t)
		return -ENOENT;
	*size = t->size;
	return 0;
}
