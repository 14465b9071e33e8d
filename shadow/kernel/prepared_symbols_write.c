// SPDX-License-Identifier: GPL-2.0-only
/* Makes the symbols of a prepared kernel: the tables of kernel_load_symbols(), in order. */
#include <bpf/btf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/kernel/prepared_int.h"

#define SYMBOLS_MAX ((u64)512 << 20)

struct symbols_writer {
	const struct kernel *k;
	u8 *data;
	u64 len, room;
	int error; /* of the first failure */
};

static struct prepared_symbols *symbols_of(struct symbols_writer *w)
{
	return (struct prepared_symbols *)(void *)w->data;
}

/*
 * Appends a part of @n elements of @size bytes, from @from or zero. Returns where it is, until the
 * next call; NULL: no room.
 */
static void *part_add(struct symbols_writer *w, size_t part, const void *from, u64 n, size_t size)
{
	u64 at = ALIGN_UP(w->len, (u64)PREPARED_ALIGN), room;
	struct prepared_part *p;
	u8 *data;

	if (w->error || n > SYMBOLS_MAX / size || at + n * size > SYMBOLS_MAX) {
		w->error = w->error ? w->error : -EINVAL;
		return NULL;
	}
	if (at + n * size > w->room) {
		room = 2 * (at + n * size);
		data = realloc(w->data, room);
		if (!data) {
			w->error = -ENOMEM;
			return NULL;
		}
		memset(data + w->room, 0, room - w->room);
		w->data = data;
		w->room = room;
	}
	p = (struct prepared_part *)(void *)(w->data + part);
	*p = (struct prepared_part){ at, n };
	if (from && n)
		memcpy(w->data + at, from, n * size);
	w->len = at + n * size;
	return w->data + at;
}

#define PART(name) offsetof(struct prepared_symbols, name)

/* Adds the entries 0 to @n - 1 of @t that @is says yes to, by name. */
static void order_add(struct symbols_writer *w, size_t part, const struct name_table *t, u32 n,
		      bool (*is)(const struct kernel *k, u32 i))
{
	u32 *order = calloc((size_t)n + 1, sizeof(*order)), m = 0;

	if (!order) {
		w->error = w->error ? w->error : -ENOMEM;
		return;
	}
	for (u32 i = 0; i < n; i++)
		if (*t->name(t->of, i) && is(w->k, i))
			order[m++] = i;
	name_index_sort(order, m, t);
	part_add(w, part, order, m, sizeof(*order));
	free(order);
}

static bool is_symbol(const struct kernel *k, u32 i)
{
	(void)k;
	(void)i;
	return true;
}

static bool is_function(const struct kernel *k, u32 id)
{
	return btf_is_func(btf_type_at(&k->types.btf, id));
}

static bool is_struct(const struct kernel *k, u32 id)
{
	return btf_is_composite(btf_type_at(&k->types.btf, id));
}

static void add_kallsyms(struct symbols_writer *w)
{
	const struct kallsyms *s = &w->k->syms;
	const struct name_table t = kallsyms_table(s);

	part_add(w, PART(addrs), s->addrs, s->count, sizeof(*s->addrs));
	part_add(w, PART(names), s->names, s->count, sizeof(*s->names));
	part_add(w, PART(text), s->text, s->text_len, 1);
	order_add(w, PART(symbols_by_name), &t, (u32)s->count, is_symbol);
}

static void add_types(struct symbols_writer *w)
{
	const struct types *y = &w->k->types;
	const struct name_table t = types_table(y);

	part_add(w, PART(btf), w->k->sec.btf.data, w->k->sec.btf.size, 1);
	part_add(w, PART(types), y->btf.offsets, y->btf.count, sizeof(u32));
	order_add(w, PART(functions_by_name), &t, y->btf.count, is_function);
	order_add(w, PART(structs_by_name), &t, y->btf.count, is_struct);
}

/* Appends a name to the last part, of names; returns where it stands in it. */
static u32 name_put(char *names, u64 *at, const char *name)
{
	u64 was = *at, len = strlen(name) + 1;

	memcpy(names + was, name, len);
	*at += len;
	return (u32)was;
}

static void add_exports(struct symbols_writer *w)
{
	const struct exports *x = &w->k->exports;
	struct prepared_export *list = calloc(x->count + 1, sizeof(*list));
	u64 len = 1, at = 0;
	char *names;

	for (size_t i = 0; i < x->count; i++)
		len += strlen(x->list[i].name) + 1 +
		       (x->list[i].ns ? strlen(x->list[i].ns) + 1 : 0);
	names = part_add(w, PART(export_names), NULL, len, 1);
	if (!list || !names) {
		w->error = w->error ? w->error : -ENOMEM;
		free(list);
		return;
	}
	for (size_t i = 0; i < x->count; i++) {
		const struct kernel_export *e = &x->list[i];

		list[i] = (struct prepared_export){
			.addr = e->addr,
			.name = name_put(names, &at, e->name),
			.ns = e->ns ? name_put(names, &at, e->ns) : PREPARED_NO_NS,
			.crc = e->crc,
			.btf_id = e->btf_id,
			.class = (u8)e->class,
			.has_crc = e->has_crc,
			.gpl_only = e->gpl_only,
			.compiled = e->compiled,
		};
	}
	part_add(w, PART(exports), list, x->count, sizeof(*list));
	part_add(w, PART(exports_by_addr), x->by_addr, x->n_functions, sizeof(*x->by_addr));
	free(list);
}

int prepared_symbols_make(struct kernel *k, u8 **out, u64 *len)
{
	struct symbols_writer w = { .k = k, .room = sizeof(struct prepared_symbols) };
	int ret = kernel_load_symbols(k, NULL);

	if (ret)
		return ret;
	w.data = calloc(1, w.room);
	if (!w.data)
		return -ENOMEM;
	w.len = w.room;
	add_kallsyms(&w);
	add_types(&w);
	add_exports(&w);
	if (w.error) {
		free(w.data);
		return w.error;
	}
	symbols_of(&w)->text_start = k->text_start;
	symbols_of(&w)->text_end = k->text_end;
	symbols_of(&w)->percpu_size = k->sec.percpu.size;
	memcpy(symbols_of(&w)->vermagic, k->vermagic, sizeof(k->vermagic));
	*out = w.data;
	*len = w.len;
	return 0;
}
