// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the kernel's own symbol table (scripts/kallsyms.c) out of an image that has no ELF symbols.
 *
 * Nothing says where its parts lie, and their order has changed (6.4 moved the addresses behind the
 * names; the 3-byte seqs_of_names table came in 6.2 and to 6.1 by backport). So they are found by
 * their content, and each step proves itself:
 *  - the token table holds the ten digits as ten tokens in a row, and the token index behind it
 *    gives the offset of every one of the 256 tokens;
 *  - the number of symbols is the word from which the list of names, walked that many times, ends
 *    exactly at a marker table that gives the offset of every 256th name;
 *  - the addresses are right if _text and _etext come out as such.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"
#include "shadow/kernel/kernel_int.h"

#define TOKENS	    256
#define NAME_MAX_K  512			/* KSYM_NAME_LEN */
#define TEXT_MAX    ((size_t)256 << 20) /* all names; a large kernel has 5 MB */
#define TOKEN_TRIES 64
#define SYMS_MIN    16
#define SYMS_MAX    (1u << 22)

struct tables {
	const u8 *start, *end; /* .rodata */
	const u8 *tokens;
	const u8 *token_index;
	const u8 *token_end; /* behind token_index */
	const u8 *names;
	const u8 *num; /* where the number of symbols stands */
	u32 n;
};

static const u8 *align_ptr(const struct tables *t, const u8 *p, size_t a)
{
	return t->start + ALIGN_UP((size_t)(p - t->start), a);
}

static u16 token_offset(const struct tables *t, unsigned i)
{
	return load_u16(t->token_index + 2 * (size_t)i);
}

/* Returns true if a token table whose '0' is at @zero, and an index behind it, stand here. */
static bool check_tokens(struct tables *t, const u8 *zero)
{
	const u8 *p = zero;
	unsigned i;

	for (i = '0'; i < TOKENS; i++) {
		const u8 *nul = p < t->end ? memchr(p, 0, (size_t)(t->end - p)) : NULL;

		if (!nul || nul - p > NAME_MAX_K)
			return false;
		p = nul + 1;
	}
	/* The alignment of the index depends on the version: 8, later 2 or 4. */
	for (size_t a = 2; a <= 8; a *= 2) {
		t->token_index = align_ptr(t, p, a);
		if ((size_t)(t->end - t->token_index) < 2 * TOKENS || t->token_index > t->end)
			return false;
		if (token_offset(t, '0') > zero - t->start)
			continue;
		t->tokens = zero - token_offset(t, '0');
		for (i = 0; i + 1 < TOKENS; i++) {
			const u8 *s = t->tokens + token_offset(t, i);
			const u8 *nul = s < p ? memchr(s, 0, (size_t)(p - s)) : NULL;

			if (!nul || nul + 1 != t->tokens + token_offset(t, i + 1))
				break;
		}
		if (i + 1 == TOKENS && !token_offset(t, 0)) {
			t->token_end = t->token_index + 2 * TOKENS;
			return true;
		}
	}
	return false;
}

static bool find_tokens(struct tables *t)
{
	static const char digits[] = "0\0"
				     "1\0"
				     "2\0"
				     "3\0"
				     "4\0"
				     "5\0"
				     "6\0"
				     "7\0"
				     "8\0"
				     "9";
	const u8 *p = t->start;

	for (unsigned tries = 0; tries < TOKEN_TRIES; tries++) {
		p = memmem(p, (size_t)(t->end - p), digits, sizeof(digits));
		if (!p)
			return false;
		if (check_tokens(t, p))
			return true;
		p++;
	}
	return false;
}

/*
 * Returns the number of tokens of the compressed name at *p, before @end, and moves *p to the
 * first; 0 if bad.
 */
static size_t name_len(const u8 **p, const u8 *end)
{
	size_t len = *(*p)++;

	if (len & 0x80) {
		if (*p >= end)
			return 0;
		len = (len & 0x7f) | (size_t) * (*p)++ << 7;
	}
	return len <= NAME_MAX_K && len <= (size_t)(end - *p) ? len : 0;
}

/* Walks the names; notes the offset of each 256th. Returns their end, NULL if they are no names. */
static const u8 *walk_names(const u8 *names, const u8 *end, u32 n, u32 *markers)
{
	const u8 *p = names;

	for (u32 i = 0; i < n; i++) {
		size_t len;

		if (p >= end)
			return NULL;
		if (!(i & 0xff))
			markers[i >> 8] = (u32)(p - names);
		len = name_len(&p, end);
		if (!len)
			return NULL;
		p += len;
	}
	return p;
}

static bool check_names(struct tables *t, const u8 *names, u32 n, u32 *markers)
{
	size_t n_markers = (n + 255) >> 8;
	const u8 *p = walk_names(names, t->tokens, n, markers);

	for (size_t a = 4; p && a <= 8; a *= 2) {
		const u8 *m = align_ptr(t, p, a);
		size_t i = 0;

		if (m > t->tokens || (size_t)(t->tokens - m) / 4 < n_markers)
			return false;
		while (i < n_markers && load_u32(m + 4 * i) == markers[i])
			i++;
		if (i == n_markers)
			return true;
	}
	return false;
}

/* Finds the names, which lie before the token table, by looking backwards for their number. */
static int find_names(struct tables *t)
{
	size_t room = (size_t)(t->tokens - t->start);
	size_t at = room & ~(size_t)3;
	u32 *markers = NULL;
	u32 most = room / 2 > SYMS_MAX ? SYMS_MAX : (u32)(room / 2);
	/* Each wrong number that passes the cheap test costs a walk; a few hundred pass it. */
	u64 budget = (u64)64 << 20;
	int ret = -ENOENT;

	markers = calloc((most >> 8) + 1, sizeof(*markers));
	if (!markers)
		return -ENOMEM;
	while (at >= 4 && ret) {
		size_t left;
		u32 n;

		at -= 4;
		left = room - at;
		n = load_u32(t->start + at);
		if (n < SYMS_MIN || n > most || n > left / 2 || n < left / NAME_MAX_K)
			continue;
		for (size_t a = 4; a <= 8; a *= 2) {
			const u8 *names = align_ptr(t, t->start + at + 4, a);

			if (names >= t->tokens || n > budget)
				continue;
			budget -= n;
			if (!check_names(t, names, n, markers))
				continue;
			t->num = t->start + at;
			t->names = names;
			t->n = n;
			ret = 0;
			break;
		}
	}
	free(markers);
	return ret;
}

static size_t expanded_len(const struct tables *t, u32 *token_len)
{
	const u8 *p = t->names;
	size_t total = 0;

	for (unsigned i = 0; i < TOKENS; i++)
		token_len[i] = (u32)strlen((const char *)t->tokens + token_offset(t, i));
	for (u32 i = 0; i < t->n; i++) {
		size_t len = name_len(&p, t->tokens);

		while (len--)
			total += token_len[*p++];
		total++;
	}
	return total;
}

/* Expands all names; the first character is the symbol's type and is dropped. */
static int expand_names(struct kallsyms *s, const struct tables *t)
{
	u32 token_len[TOKENS];
	size_t size = expanded_len(t, token_len);
	const u8 *p = t->names;
	char *to;

	if (size > TEXT_MAX)
		return -ENOMEM;
	s->text = malloc(size);
	s->names = calloc(t->n, sizeof(*s->names));
	if (!s->text || !s->names)
		return -ENOMEM;
	to = s->text;
	for (u32 i = 0; i < t->n; i++) {
		size_t len = name_len(&p, t->tokens);
		char *name = to;

		for (; len; len--, p++) {
			memcpy(to, t->tokens + token_offset(t, *p), token_len[*p]);
			to += token_len[*p];
		}
		*to++ = '\0';
		s->names[i] = (u32)(name - s->text) + !!name[0];
	}
	s->text_len = size;
	s->count = t->n;
	return 0;
}

static const char *symbol_name(const void *of, u32 i)
{
	const struct kallsyms *s = of;

	/* The text ends in a NUL; what a damaged file says may lie beyond it. */
	return i < s->count && s->names[i] < s->text_len ? s->text + s->names[i] : "";
}

struct name_table kallsyms_table(const struct kallsyms *s)
{
	return (struct name_table){ symbol_name, s };
}

static int index_names(struct kallsyms *s)
{
	int ret = strmap_init(&s->index.map, s->count);

	/* Several static symbols may have one name; the one at the lowest address counts. */
	for (u32 i = 0; !ret && i < s->count; i++)
		strmap_add(&s->index.map, symbol_name(s, i), i);
	return ret;
}

static u64 symbol_find(const struct kallsyms *s, const char *name)
{
	const struct name_table table = kallsyms_table(s);
	u32 i;

	return name_index_find(&s->index, &table, name, &i) && i < s->count ? s->addrs[i] : 0;
}

static bool kallsyms_try_addresses(struct kallsyms *s, const struct tables *t, const u8 *offsets,
				   const u8 *base_at, u64 text, bool percpu)
{
	u64 base, etext;

	if (offsets < t->start || offsets > t->end || (size_t)(t->end - offsets) / 4 < t->n ||
	    base_at < t->start || base_at > t->end || t->end - base_at < 8)
		return false;
	base = load_u64(base_at);
	for (u32 i = 0; i < t->n; i++) {
		u32 off = load_u32(offsets + 4 * (size_t)i);

		/* CONFIG_KALLSYMS_ABSOLUTE_PERCPU: absolute if not negative, else from the base */
		if (percpu)
			s->addrs[i] = (s32)off >= 0 ? off : base - 1 - (u64)(s64)(s32)off;
		else
			s->addrs[i] = base + off;
	}
	etext = symbol_find(s, "_etext");
	return symbol_find(s, "_text") == text && etext > text && etext - text < KERNEL_IMAGE_SIZE;
}

static bool find_addresses(struct kallsyms *s, const struct tables *t, u64 text)
{
	size_t n4 = (size_t)t->n * 4;

	for (size_t a = 4; a <= 8; a *= 2) {
		/*
		 * to 6.3: offsets, base, number, names, ...; then: ..., token index, offsets, base
		 */
		size_t before = 8 + ALIGN_UP(n4, a);
		const u8 *after = align_ptr(t, t->token_end, a);
		const u8 *after_base = after + n4 < t->end ? align_ptr(t, after + n4, a) : t->end;

		for (int percpu = 1; percpu >= 0; percpu--) {
			if ((size_t)(t->num - t->start) >= before &&
			    kallsyms_try_addresses(s, t, t->num - before, t->num - 8, text, percpu))
				return true;
			if (kallsyms_try_addresses(s, t, after, after_base, text, percpu))
				return true;
		}
	}
	return false;
}

int kallsyms_load(struct kallsyms *s, const struct section *rodata, u64 text, const char *path,
		  struct err *e)
{
	struct tables t = { .start = rodata->data, .end = rodata->data + rodata->size };
	int ret;

	ret = find_tokens(&t) ? find_names(&t) : -ENOENT;
	if (ret == -ENOENT)
		return err_set(
			e, -ENOENT,
			"%s: its symbol table (kallsyms) was not found; CONFIG_KALLSYMS=y is needed",
			path);
	if (ret)
		return err_set(e, ret, "%s: out of memory", path);
	s->addrs = calloc(t.n, sizeof(*s->addrs));
	ret = s->addrs ? expand_names(s, &t) : -ENOMEM;
	if (!ret)
		ret = index_names(s);
	if (!ret && !find_addresses(s, &t, text))
		ret = -EINVAL;
	if (ret)
		kallsyms_free(s);
	if (ret == -EINVAL)
		return err_set(e, ret,
			       "%s: its symbol table (kallsyms) is in a form that is not known",
			       path);
	return ret ? err_set(e, ret, "%s: out of memory", path) : 0;
}

void kallsyms_free(struct kallsyms *s)
{
	if (!s->borrowed) {
		free(s->addrs);
		free(s->names);
		free(s->text);
	}
	name_index_free(&s->index);
	memset(s, 0, sizeof(*s));
}

u64 kernel_symbol(const struct kernel *k, const char *name)
{
	return symbol_find(&k->syms, name);
}

const char *kernel_symbolize(const struct kernel *k, u64 addr, u64 *offset)
{
	const struct kallsyms *s = &k->syms;
	u64 end = symbol_find(s, "_end");
	size_t lo = 0, hi = s->count;

	if (addr < k->layout.link_text || !end || addr >= end)
		return NULL;
	/* first symbol above @addr; the table is ascending, percpu offsets are below everything */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->addrs[mid] <= addr)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (!lo || s->addrs[lo - 1] < k->layout.link_text)
		return NULL;
	lo--;
	/* of several names for one address the first, as the kernel's own %ps prints it */
	while (lo && s->addrs[lo - 1] == s->addrs[lo])
		lo--;
	if (offset)
		*offset = addr - s->addrs[lo];
	return symbol_name(s, (u32)lo);
}
