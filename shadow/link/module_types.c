// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads from a driver's own BTF how its functions are called and what they return.
 *
 * A module's BTF goes on where its kernel's ends: numbers of types and places of names count from
 * there. It is the driver's file that says all of it, so nothing is followed without a bound; and
 * it only decides how a closed entry refuses a call and which can be watched, so a lie harms the
 * driver that tells it.
 * libbpf is not given it, as it trusts what it reads further than that.
 */
#include <errno.h>
#include <linux/btf.h>
#include <stdlib.h>
#include <string.h>

#include "base/strmap.h"
#include "shadow/kernel/kernel.h"
#include "shadow/link/plan_int.h"

#define DEPTH_MAX 16
#define TYPES_MAX (1U << 20)

struct driver_types {
	const struct kernel *k;
	const u8 *data; /* of the types */
	u32 len;
	const char *names;
	u32 names_len;
	u32 first, first_name; /* what the kernel's have before */
	u32 *at;	       /* of type first + i */
	u32 n;
};

/* Returns how many bytes follow a type's first 12; UINT32_MAX: it is not known. */
static u32 more_of_type(u32 info)
{
	const u32 n = BTF_INFO_VLEN(info);

	switch (BTF_INFO_KIND(info)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case BTF_KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_DATASEC:
	case BTF_KIND_ENUM64:
		return n * 12;
	case BTF_KIND_ENUM:
	case BTF_KIND_FUNC_PROTO:
		return n * 8;
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return 0;
	default:
		return UINT32_MAX;
	}
}

static struct btf_type type_at(const struct driver_types *t, u32 at)
{
	struct btf_type ty;

	memcpy(&ty, t->data + at, sizeof(ty));
	return ty;
}

/* Finds where each type begins. False: it is damaged, or there is no memory. */
static bool list_types(struct driver_types *t)
{
	u32 at = 0;

	t->at = calloc(t->len / sizeof(struct btf_type) + 1, sizeof(*t->at));
	while (t->at && t->len - at >= sizeof(struct btf_type) && t->n < TYPES_MAX) {
		const u32 more = more_of_type(type_at(t, at).info);

		if (more > t->len - at - sizeof(struct btf_type))
			return false;
		t->at[t->n++] = at;
		at += (u32)sizeof(struct btf_type) + more;
	}
	return t->at && at == t->len;
}

/* Opens the section; false: there is none that can be read. */
static bool open_types(struct driver_types *t, const struct kernel *k, const struct module *m)
{
	const Elf64_Shdr *s = NULL;
	struct btf_header h;
	const u8 *base;

	for (u32 i = 1; i < m->n_sections && !s; i++)
		if (!strcmp(m->sections[i].name, ".BTF") && m->sections[i].h.sh_offset)
			s = &m->sections[i].h;
	if (!s || s->sh_size < sizeof(h))
		return false;
	base = m->data + s->sh_offset;
	memcpy(&h, base, sizeof(h));
	if (h.magic != BTF_MAGIC || h.hdr_len < sizeof(h) || h.hdr_len > s->sh_size ||
	    (u64)h.type_off + h.type_len > s->sh_size - h.hdr_len ||
	    (u64)h.str_off + h.str_len > s->sh_size - h.hdr_len || !h.str_len)
		return false;
	*t = (struct driver_types){ .k = k,
				    .data = base + h.hdr_len + h.type_off,
				    .len = h.type_len,
				    .names = (const char *)base + h.hdr_len + h.str_off,
				    .names_len = h.str_len };
	if (t->names[t->names_len - 1])
		return false;
	kernel_types_end(k, &t->first, &t->first_name);
	return list_types(t);
}

static const char *type_name(const struct driver_types *t, u32 place)
{
	if (place < t->first_name)
		return kernel_types_name(t->k, place);
	return place - t->first_name < t->names_len ? t->names + (place - t->first_name) : NULL;
}

/*
 * Finds the type that @id stands for, through typedefs and the like: one of the driver's own, in
 * *out with its place in *at, or one of the kernel's, whose number is in *id then. False: neither.
 */
static bool plain_type(const struct driver_types *t, u32 *id, struct btf_type *out, u32 *at)
{
	for (int i = 0; i < DEPTH_MAX && *id >= t->first; i++) {
		if (*id - t->first >= t->n)
			return false;
		*at = t->at[*id - t->first];
		*out = type_at(t, *at);
		switch (BTF_INFO_KIND(out->info)) {
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_RESTRICT:
		case BTF_KIND_TYPE_TAG:
			*id = out->type;
			break;
		default:
			return true;
		}
	}
	return *id < t->first;
}

static enum kernel_result result_of(const struct driver_types *t, u32 id)
{
	struct btf_type ty;
	u32 encoding, at;

	if (!plain_type(t, &id, &ty, &at))
		return RESULT_UNKNOWN;
	if (id < t->first)
		return kernel_result_of_type(t->k, id);
	if (BTF_INFO_KIND(ty.info) == BTF_KIND_PTR)
		return RESULT_POINTER;
	if (BTF_INFO_KIND(ty.info) != BTF_KIND_INT)
		return RESULT_OTHER;
	memcpy(&encoding, t->data + at + sizeof(ty), sizeof(encoding));
	return ty.size >= sizeof(int) && BTF_INT_ENCODING(encoding) == BTF_INT_SIGNED
		       ? RESULT_INT
		       : RESULT_OTHER;
}

static bool is_word(const struct driver_types *t, u32 id)
{
	struct btf_type ty;
	u32 at;

	if (!id || !plain_type(t, &id, &ty, &at))
		return false;
	if (id < t->first)
		return kernel_type_is_word(t->k, id);
	switch (BTF_INFO_KIND(ty.info)) {
	case BTF_KIND_INT:
	case BTF_KIND_ENUM:
		return ty.size <= 8;
	case BTF_KIND_PTR:
		return true;
	default:
		return false;
	}
}

/* Sets what is known of a function by its prototype. */
static void read_proto(const struct driver_types *t, u32 proto, struct link_inward *in)
{
	struct btf_type ty;
	u32 at, n;

	in->result = RESULT_UNKNOWN;
	in->args = KERNEL_ARGS_UNKNOWN;
	if (proto < t->first) {
		in->result = kernel_result_of_proto(t->k, proto);
		in->args = kernel_args_of_proto(t->k, proto);
		return;
	}
	if (proto - t->first >= t->n)
		return;
	at = t->at[proto - t->first];
	ty = type_at(t, at);
	n = BTF_INFO_VLEN(ty.info);
	if (BTF_INFO_KIND(ty.info) != BTF_KIND_FUNC_PROTO)
		return;
	in->result = result_of(t, ty.type);
	if (n >= KERNEL_ARGS_UNKNOWN)
		return;
	for (u32 i = 0; i < n; i++) {
		struct btf_param p;

		memcpy(&p, t->data + at + sizeof(ty) + i * sizeof(p), sizeof(p));
		if (!is_word(t, p.type))
			return;
	}
	in->args = (u8)n;
}

/* Two functions of one name, and different types, are not known. */
static void note_function(const struct driver_types *t, u32 proto, struct link_inward *in,
			  bool *seen)
{
	const struct link_inward before = *in;

	read_proto(t, proto, in);
	if (*seen && (in->result != before.result || in->args != before.args)) {
		in->result = RESULT_UNKNOWN;
		in->args = KERNEL_ARGS_UNKNOWN;
	}
	*seen = true;
}

int module_read_results(const struct kernel *k, const struct module *m, struct link_inward *in,
			size_t n)
{
	struct driver_types t = { .at = NULL };
	struct strmap map = { 0 };
	bool *seen = calloc(n + 1, sizeof(*seen));
	int ret = seen ? strmap_init(&map, n) : -ENOMEM;

	for (size_t i = 0; !ret && i < n; i++)
		strmap_add(&map, in[i].name, (u32)i);
	if (!ret && n && open_types(&t, k, m)) {
		for (u32 i = 0; i < t.n; i++) {
			const struct btf_type ty = type_at(&t, t.at[i]);
			const char *name;
			u32 x;

			if (BTF_INFO_KIND(ty.info) != BTF_KIND_FUNC)
				continue;
			name = type_name(&t, ty.name_off);
			if (name && strmap_find(&map, name, &x))
				note_function(&t, ty.type, &in[x], &seen[x]);
		}
	}
	free(t.at);
	free(seen);
	strmap_free(&map);
	return ret;
}
