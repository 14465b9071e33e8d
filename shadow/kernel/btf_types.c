// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a BTF section where it lies: the type of an id, a name, a size.
 *
 * libbpf's btf__new() does so in a copy of its own, 5.4 MiB of private memory for Debian's kernel
 * in each VMM with sessions, for ever; here all of them share the pages of one prepared file. What
 * is needed of the format is this file (Documentation/bpf/btf.rst of the kernel); the structures
 * and the little that asks about one type come from libbpf's header. The section is hostile: each
 * type is checked, as it is handed out, to lie in the section with all its members.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/kernel/kernel_int.h"

#define CHAIN_MAX 32 /* typedefs, qualifiers and dimensions on the way to a size */
#define TYPES_MAX (1u << 24)

/* Returns the bytes of @t with its members; 0: of a kind that is not known. */
static u64 type_len(const struct btf_type *t)
{
	const u64 n = btf_vlen(t);

	switch (btf_kind(t)) {
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case BTF_KIND_TYPE_TAG:
		return sizeof(*t);
	case BTF_KIND_INT:
		return sizeof(*t) + sizeof(u32);
	case BTF_KIND_ARRAY:
		return sizeof(*t) + sizeof(struct btf_array);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return sizeof(*t) + n * sizeof(struct btf_member);
	case BTF_KIND_ENUM:
		return sizeof(*t) + n * sizeof(struct btf_enum);
	case BTF_KIND_ENUM64:
		return sizeof(*t) + n * sizeof(struct btf_enum64);
	case BTF_KIND_FUNC_PROTO:
		return sizeof(*t) + n * sizeof(struct btf_param);
	case BTF_KIND_VAR:
		return sizeof(*t) + sizeof(struct btf_var);
	case BTF_KIND_DATASEC:
		return sizeof(*t) + n * sizeof(struct btf_var_secinfo);
	case BTF_KIND_DECL_TAG:
		return sizeof(*t) + sizeof(struct btf_decl_tag);
	default:
		return 0;
	}
}

/* Returns the type at @off, or NULL: not all of one is there. */
static const struct btf_type *type_at_offset(const struct btf_types *b, u32 off)
{
	const struct btf_type *t;
	u64 len;

	if (off % sizeof(u32) || off > b->types_len || b->types_len - off < sizeof(*t))
		return NULL;
	t = (const struct btf_type *)(const void *)(b->types + off);
	len = type_len(t);
	return len && len <= b->types_len - off ? t : NULL;
}

const struct btf_type *btf_type_at(const struct btf_types *b, u32 id)
{
	static const struct btf_type nothing = { .info = BTF_KIND_UNKN };

	if (!id)
		return &nothing;
	return id < b->count ? type_at_offset(b, b->offsets[id]) : NULL;
}

const char *btf_name(const struct btf_types *b, u32 off)
{
	return off < b->strings_len ? b->strings + off : NULL;
}

s64 btf_size(const struct btf_types *b, u32 id)
{
	u64 times = 1, size;

	for (int i = 0; i < CHAIN_MAX; i++) {
		const struct btf_type *t = btf_type_at(b, id);

		if (!t)
			return -EINVAL;
		switch (btf_kind(t)) {
		case BTF_KIND_INT:
		case BTF_KIND_STRUCT:
		case BTF_KIND_UNION:
		case BTF_KIND_ENUM:
		case BTF_KIND_ENUM64:
		case BTF_KIND_FLOAT:
		case BTF_KIND_DATASEC:
			size = t->size;
			break;
		case BTF_KIND_PTR:
			size = sizeof(u64);
			break;
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_RESTRICT:
		case BTF_KIND_TYPE_TAG:
		case BTF_KIND_DECL_TAG:
		case BTF_KIND_VAR:
			id = t->type;
			continue;
		case BTF_KIND_ARRAY:
			if (__builtin_mul_overflow(times, btf_array(t)->nelems, &times))
				return -E2BIG;
			id = btf_array(t)->type;
			continue;
		default:
			return -EINVAL;
		}
		if (__builtin_mul_overflow(times, size, &size) || size > INT64_MAX)
			return -E2BIG;
		return (s64)size;
	}
	return -EINVAL;
}

/* Finds types and strings in the section. -EINVAL: damaged. */
static int find_parts(struct btf_types *b, const u8 *data, u64 len)
{
	const struct btf_header *h = (const struct btf_header *)(const void *)data;
	u64 room;

	if (len < sizeof(*h) || len > UINT32_MAX || h->magic != BTF_MAGIC ||
	    h->version != BTF_VERSION || h->hdr_len < sizeof(*h) || h->hdr_len > len)
		return -EINVAL;
	room = len - h->hdr_len;
	if (h->hdr_len % sizeof(u32) || h->type_off % sizeof(u32) || h->type_off > room ||
	    h->type_len > room - h->type_off || h->str_off > room ||
	    h->str_len > room - h->str_off || !h->str_len)
		return -EINVAL;
	b->types = data + h->hdr_len + h->type_off;
	b->types_len = h->type_len;
	b->strings = (const char *)data + h->hdr_len + h->str_off;
	b->strings_len = h->str_len;
	return b->strings[0] || b->strings[h->str_len - 1] ? -EINVAL : 0;
}

/* Makes the table of where each type lies, with a walk over all. */
static int find_offsets(struct btf_types *b)
{
	const struct btf_type *t;
	u32 off, n = 1;

	for (off = 0; off < b->types_len && (t = type_at_offset(b, off)) && n < TYPES_MAX; n++)
		off += (u32)type_len(t);
	if (off != b->types_len)
		return -EINVAL;
	b->own_offsets = calloc(n, sizeof(u32));
	if (!b->own_offsets)
		return -ENOMEM;
	b->count = n;
	for (off = 0, n = 1; n < b->count; n++) {
		b->own_offsets[n] = off;
		off += (u32)type_len(type_at_offset(b, off));
	}
	b->offsets = b->own_offsets;
	return 0;
}

int btf_types_open(struct btf_types *b, const u8 *data, u64 len, const u32 *offsets, u32 count)
{
	int ret;

	memset(b, 0, sizeof(*b));
	if ((uintptr_t)data % sizeof(u32) && len <= UINT32_MAX) {
		b->own_data = malloc(len);
		if (!b->own_data)
			return -ENOMEM;
		data = memcpy(b->own_data, data, len);
	}
	ret = find_parts(b, data, len);
	if (!ret && offsets) {
		b->offsets = offsets;
		b->count = count;
	} else if (!ret) {
		ret = find_offsets(b);
	}
	if (ret)
		btf_types_close(b);
	return ret;
}

void btf_types_close(struct btf_types *b)
{
	free(b->own_data);
	free(b->own_offsets);
	memset(b, 0, sizeof(*b));
}
