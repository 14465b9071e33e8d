// SPDX-License-Identifier: GPL-2.0-only
/*
 * Finds types in a kernel's BTF: names of functions and structs to BTF ids, members to offsets.
 * libbpf reads the format; it finds a name only by walking all 130,000 types, so the two kinds of
 * name that are asked for get a table here.
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "shadow/kernel/kernel_int.h"

#define DEPTH_MAX   16 /* of anonymous members within members */
#define MEMBERS_MAX 65536

static int libbpf_print_nothing(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	(void)level;
	(void)fmt;
	(void)ap;
	return 0;
}

static bool is_aggregate(const struct btf_type *t)
{
	return btf_is_struct(t) || btf_is_union(t);
}

int types_load(struct types *t, const struct section *btf, const char *path, struct err *e)
{
	size_t n_functions = 0, n_structs = 0;
	u32 n;
	int ret;

	/* libbpf's own messages about a damaged section would go to the user's terminal. */
	libbpf_set_print(libbpf_print_nothing);
	if (btf->size > UINT32_MAX)
		return err_set(e, -EINVAL, "%s: its BTF type information is damaged", path);
	t->btf = btf__new(btf->data, (u32)btf->size);
	if (!t->btf)
		return err_set(e, errno == ENOMEM ? -ENOMEM : -EINVAL,
			       "%s: its BTF type information is damaged", path);
	n = btf__type_cnt(t->btf);
	for (u32 id = 1; id < n; id++) {
		const struct btf_type *ty = btf__type_by_id(t->btf, id);

		n_functions += btf_is_func(ty);
		n_structs += is_aggregate(ty);
	}
	ret = strmap_init(&t->functions, n_functions);
	if (!ret)
		ret = strmap_init(&t->structs, n_structs);
	if (ret)
		return err_set(e, ret, "%s: out of memory", path);
	for (u32 id = 1; id < n; id++) {
		const struct btf_type *ty = btf__type_by_id(t->btf, id);
		const char *name;

		if (!btf_is_func(ty) && !is_aggregate(ty))
			continue;
		name = btf__name_by_offset(t->btf, ty->name_off);
		if (name && *name)
			strmap_add(btf_is_func(ty) ? &t->functions : &t->structs, name, id);
	}
	return 0;
}

void types_free(struct types *t)
{
	btf__free(t->btf);
	strmap_free(&t->functions);
	strmap_free(&t->structs);
	memset(t, 0, sizeof(*t));
}

u32 types_function(const struct types *t, const char *name)
{
	u32 id;

	return strmap_find(&t->functions, name, &id) ? id : 0;
}

const struct btf_type *types_prototype(const struct types *t, const char *function)
{
	u32 id = types_function(t, function);
	const struct btf_type *f = id ? btf__type_by_id(t->btf, id) : NULL;

	f = f ? btf__type_by_id(t->btf, f->type) : NULL;
	return f && btf_is_func_proto(f) ? f : NULL;
}

static const struct btf_type *find_struct(const struct types *t, const char *name)
{
	u32 id;

	return strmap_find(&t->structs, name, &id) ? btf__type_by_id(t->btf, id) : NULL;
}

/* Returns the aggregate that @id stands for, through typedefs and qualifiers, or NULL. */
static const struct btf_type *strip_to_aggregate(const struct btf *btf, u32 id)
{
	for (int depth = 0; depth < DEPTH_MAX; depth++) {
		const struct btf_type *t = btf__type_by_id(btf, id);

		if (!t || !(btf_is_mod(t) || btf_is_typedef(t)))
			return t;
		id = t->type;
	}
	return NULL;
}

struct member_search {
	const struct btf *btf;
	const char *name;
	u32 offset, size; /* of the member that was found, in bytes */
	u32 type;
};

/* Finds s->name in @t, which begins at bit @base_bits; also in members without a name. */
static int find_member(struct member_search *s, const struct btf_type *t, u64 base_bits, int depth)
{
	const struct btf_member *m = btf_members(t);

	for (u32 i = 0; i < btf_vlen(t); i++, m++) {
		const char *mname = btf__name_by_offset(s->btf, m->name_off);
		u64 bits = base_bits + btf_member_bit_offset(t, i);
		u32 width;
		s64 len;

		if (!mname)
			return -EINVAL;
		if (!*mname && depth < DEPTH_MAX) {
			const struct btf_type *in = strip_to_aggregate(s->btf, m->type);

			if (in && is_aggregate(in) && !find_member(s, in, bits, depth + 1))
				return 0;
			continue;
		}
		if (strcmp(mname, s->name) != 0)
			continue;
		len = btf__resolve_size(s->btf, m->type);
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
	struct member_search s = { .btf = k->types.btf };
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
