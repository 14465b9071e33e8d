// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints prototypes as C, from BTF.
 *
 * libbpf's btf_dump can emit declarations, too, but of a copy of all types of its own, with state
 * that is not safe to share between threads; a prototype needs only this.
 *
 * C declarators read from the inside out. emit_declaration() therefore gets the text that is
 * already known around the name ("(* const fn)"), and adds the text of its type before and behind
 * it.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "shadow/kernel/kernel_int.h"

#define DEPTH_MAX  12
#define PARAMS_MAX 64
#define DECL_LEN   512

struct prototype_text {
	char *buf;
	size_t len, size;
};

static void text_put(struct prototype_text *t, const char *s)
{
	size_t n = strlen(s), room = t->size - t->len - 1;

	if (n > room)
		n = room;
	memcpy(t->buf + t->len, s, n);
	t->len += n;
	t->buf[t->len] = '\0';
}

static void emit_declaration(struct prototype_text *out, const struct btf_types *btf, u32 id,
			     const char *decl, int depth);

static const char *name_or_null(const struct btf_types *btf, u32 off)
{
	const char *s = btf_name(btf, off);

	return s && *s ? s : NULL;
}

/* Emits the parameters, "(struct file* f, ...)". */
static void emit_params(struct prototype_text *out, const struct btf_types *btf,
			const struct btf_type *proto, int depth)
{
	const struct btf_param *p = btf_params(proto);
	u32 n = btf_vlen(proto);

	text_put(out, "(");
	for (u32 i = 0; i < n && i < PARAMS_MAX; i++) {
		if (i)
			text_put(out, ", ");
		if (!p[i].type)
			text_put(out, "...");
		else
			emit_declaration(out, btf, p[i].type, name_or_null(btf, p[i].name_off),
					 depth + 1);
	}
	text_put(out, n ? ")" : "void)");
}

/* Emits a type with a name of its own, and @decl behind it. */
static void emit_named_type(struct prototype_text *out, const struct btf_types *btf,
			    const struct btf_type *t, const char *decl)
{
	const char *name = name_or_null(btf, t->name_off);

	if (btf_is_struct(t))
		text_put(out, "struct ");
	else if (btf_is_union(t))
		text_put(out, "union ");
	else if (btf_is_any_enum(t))
		text_put(out, "enum ");
	else if (btf_is_fwd(t))
		text_put(out, btf_kflag(t) ? "union " : "struct ");
	text_put(out, name ? name : "{...}");
	/* no blank between "char" and "*name": stars stick to the type */
	if (decl && *decl) {
		if (*decl != '*')
			text_put(out, " ");
		text_put(out, decl);
	}
}

static const char *qualifier_text(const struct btf_type *t)
{
	if (btf_is_const(t))
		return "const";
	if (btf_is_volatile(t))
		return "volatile";
	if (btf_is_restrict(t))
		return "restrict";
	return NULL;
}

static void emit_pointer(struct prototype_text *out, const struct btf_types *btf,
			 const struct btf_type *t, const char *decl, int depth)
{
	const struct btf_type *to = btf_type_at(btf, t->type);
	bool wrap = to && (btf_is_func_proto(to) || btf_is_array(to));
	char inner[DECL_LEN];
	const char *gap = "";

	/* "(*fn)" but "char* fn": a blank only where a name follows the star */
	if (decl && *decl && *decl != '*' && *decl != '[' && !wrap)
		gap = " ";
	if (snprintf(inner, sizeof(inner), "%s*%s%s%s", wrap ? "(" : "", gap, decl ? decl : "",
		     wrap ? ")" : "") >= (int)sizeof(inner)) {
		text_put(out, "...");
		return;
	}
	emit_declaration(out, btf, t->type, inner, depth + 1);
}

static void emit_array(struct prototype_text *out, const struct btf_types *btf,
		       const struct btf_type *t, const char *decl, int depth)
{
	char inner[DECL_LEN];

	if (snprintf(inner, sizeof(inner), "%s[%u]", decl ? decl : "", btf_array(t)->nelems) >=
	    (int)sizeof(inner)) {
		text_put(out, "...");
		return;
	}
	emit_declaration(out, btf, btf_array(t)->type, inner, depth + 1);
}

static void emit_declaration(struct prototype_text *out, const struct btf_types *btf, u32 id,
			     const char *decl, int depth)
{
	const struct btf_type *t = btf_type_at(btf, id);
	char inner[DECL_LEN];
	const char *q;

	if (!t || depth > DEPTH_MAX) {
		text_put(out, "...");
		return;
	}
	if (!id) {
		text_put(out, "void");
		if (decl && *decl) {
			if (*decl != '*')
				text_put(out, " ");
			text_put(out, decl);
		}
		return;
	}
	q = qualifier_text(t);
	if (q) {
		const struct btf_type *to = btf_type_at(btf, t->type);

		/* "const char", but "char* const p": behind the star if it qualifies the pointer */
		if (!to || !btf_is_ptr(to)) {
			text_put(out, q);
			text_put(out, " ");
			emit_declaration(out, btf, t->type, decl, depth + 1);
			return;
		}
		if (snprintf(inner, sizeof(inner), "%s%s%s", q, decl && *decl ? " " : "",
			     decl ? decl : "") >= (int)sizeof(inner))
			text_put(out, "...");
		else
			emit_declaration(out, btf, t->type, inner, depth + 1);
		return;
	}
	if (btf_is_ptr(t)) {
		emit_pointer(out, btf, t, decl, depth);
	} else if (btf_is_array(t)) {
		emit_array(out, btf, t, decl, depth);
	} else if (btf_is_func_proto(t)) {
		emit_declaration(out, btf, t->type, decl, depth + 1);
		emit_params(out, btf, t, depth);
	} else if (btf_is_type_tag(t)) {
		emit_declaration(out, btf, t->type, decl, depth + 1);
	} else {
		emit_named_type(out, btf, t, decl);
	}
}

int kernel_prototype(const struct kernel *k, const char *function, char *buf, size_t len)
{
	const struct btf_type *proto = types_prototype(&k->types, function);
	struct prototype_text out = { .buf = buf, .size = len };

	if (!proto || !len)
		return -ENOENT;
	buf[0] = '\0';
	emit_declaration(&out, &k->types.btf, proto->type, NULL, 0);
	text_put(&out, " ");
	emit_params(&out, &k->types.btf, proto, 0);
	return 0;
}

int kernel_params(const struct kernel *k, const char *function, unsigned *count, bool *variadic)
{
	const struct btf_type *proto = types_prototype(&k->types, function);
	u32 n;

	if (!proto)
		return -ENOENT;
	n = btf_vlen(proto);
	*variadic = n && !btf_params(proto)[n - 1].type;
	*count = *variadic ? n - 1 : n;
	return 0;
}
