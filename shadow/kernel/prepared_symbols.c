// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes a prepared kernel's symbols and types from its file, where they lie as they are used. The
 * file's checksum is compared once, and every number is bounded where it is used all the same.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "shadow/kernel/prepared_int.h"

/* Returns part @p of elements of @size bytes; NULL: not within the symbols. */
static void *part_at(const struct kernel *k, const struct prepared_part *p, size_t size)
{
	if (p->at % PREPARED_ALIGN || p->at > k->symbols_len || p->n > UINT32_MAX ||
	    p->n > (k->symbols_len - p->at) / size)
		return NULL;
	return (u8 *)k->symbols + p->at;
}

/* Returns a part of names, which ends in a NUL. */
static char *text_at(const struct kernel *k, const struct prepared_part *p)
{
	char *text = part_at(k, p, 1);

	return text && p->n && !text[p->n - 1] ? text : NULL;
}

static int take_kallsyms(struct kernel *k, const struct prepared_symbols *s)
{
	struct kallsyms *y = &k->syms;

	y->borrowed = true;
	y->addrs = part_at(k, &s->addrs, sizeof(*y->addrs));
	y->names = part_at(k, &s->names, sizeof(*y->names));
	y->text = text_at(k, &s->text);
	y->text_len = s->text.n;
	y->index.order = part_at(k, &s->symbols_by_name, sizeof(*y->index.order));
	y->index.n = (u32)s->symbols_by_name.n;
	if (!y->addrs || !y->names || !y->text || !y->index.order || s->names.n != s->addrs.n)
		return -EBADMSG;
	y->count = s->addrs.n;
	return 0;
}

static int take_types(struct kernel *k, const struct prepared_symbols *s)
{
	struct types *t = &k->types;
	const u32 *offsets = part_at(k, &s->types, sizeof(*offsets));
	const u8 *btf = part_at(k, &s->btf, 1);

	t->functions.order = part_at(k, &s->functions_by_name, sizeof(u32));
	t->functions.n = (u32)s->functions_by_name.n;
	t->structs.order = part_at(k, &s->structs_by_name, sizeof(u32));
	t->structs.n = (u32)s->structs_by_name.n;
	if (!offsets || !btf || !t->functions.order || !t->structs.order ||
	    btf_types_open(&t->btf, btf, s->btf.n, offsets, (u32)s->types.n))
		return -EBADMSG;
	return 0;
}

static int take_export(struct kernel_export *to, const struct prepared_export *from,
		       const char *names, u64 names_len)
{
	if (from->name >= names_len || (from->ns >= names_len && from->ns != PREPARED_NO_NS) ||
	    from->class > SYMBOL_PERCPU)
		return -EBADMSG;
	*to = (struct kernel_export){
		.name = names + from->name,
		.ns = from->ns == PREPARED_NO_NS ? NULL : names + from->ns,
		.addr = from->addr,
		.crc = from->crc,
		.btf_id = from->btf_id,
		.has_crc = from->has_crc & 1,
		.gpl_only = from->gpl_only & 1,
		.compiled = from->compiled & 1,
		.class = (enum symbol_class)from->class,
	};
	return 0;
}

/* Their pointers make a list of our own; it and its hash table are 1 MB. */
static int take_exports(struct kernel *k, const struct prepared_symbols *s)
{
	const struct prepared_export *from = part_at(k, &s->exports, sizeof(*from));
	const u32 *by_addr = part_at(k, &s->exports_by_addr, sizeof(*by_addr));
	const char *names = text_at(k, &s->export_names);
	struct exports *x = &k->exports;

	if (!from || !by_addr || !names)
		return -EBADMSG;
	x->list = calloc(s->exports.n + 1, sizeof(*x->list));
	x->by_addr = calloc(s->exports_by_addr.n + 1, sizeof(*x->by_addr));
	if (!x->list || !x->by_addr || strmap_init(&x->map, s->exports.n))
		return -ENOMEM;
	for (u32 i = 0; i < s->exports.n; i++)
		if (take_export(&x->list[i], &from[i], names, s->export_names.n) ||
		    !strmap_add(&x->map, x->list[i].name, i))
			return -EBADMSG;
	x->count = s->exports.n;
	for (u32 i = 0; i < s->exports_by_addr.n; i++) {
		if (by_addr[i] >= x->count || x->list[by_addr[i]].class != SYMBOL_FUNCTION)
			return -EBADMSG;
		x->by_addr[i] = by_addr[i];
	}
	x->n_functions = s->exports_by_addr.n;
	return 0;
}

static int take_symbols(struct kernel *k)
{
	const struct prepared_symbols *s = k->symbols;
	int ret;

	if (k->symbols_len < sizeof(*s) || !memchr(s->vermagic, 0, sizeof(s->vermagic)) ||
	    s->text_start != k->layout.link_text || s->text_end <= s->text_start ||
	    s->text_end - s->text_start > k->layout.span || s->percpu_size > k->layout.span)
		return -EBADMSG;
	ret = take_kallsyms(k, s);
	if (!ret)
		ret = take_types(k, s);
	if (!ret)
		ret = take_exports(k, s);
	k->text_start = s->text_start;
	k->text_end = s->text_end;
	k->sec.percpu.size = s->percpu_size;
	memcpy(k->vermagic, s->vermagic, sizeof(k->vermagic));
	return ret;
}

int prepared_symbols_load(struct kernel *k, struct err *e)
{
	const struct prepared *p = k->prepared;
	int ret = -EBADMSG;

	if (!p->h->symbols_len || p->fd < 0)
		return -ENOENT;
	k->symbols = mmap(NULL, p->h->symbols_len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, p->fd,
			  (off_t)p->h->symbols_at);
	if (k->symbols == MAP_FAILED) {
		k->symbols = NULL;
		return err_set(e, -ENOMEM, "%s: out of memory", k->path);
	}
	k->symbols_len = p->h->symbols_len;
	if (prepared_sum(k->symbols, k->symbols_len) == p->h->symbols_sum)
		ret = take_symbols(k);
	if (!ret)
		return 0;
	prepared_symbols_free(k);
	return ret == -EBADMSG ? prepared_damaged(k, "its symbols are damaged", e)
			       : err_set(e, ret, "%s: out of memory", k->path);
}

void prepared_symbols_free(struct kernel *k)
{
	exports_free(&k->exports);
	kallsyms_free(&k->syms);
	types_free(&k->types);
	if (k->symbols)
		munmap(k->symbols, k->symbols_len);
	k->symbols = NULL;
	k->symbols_len = 0;
}
