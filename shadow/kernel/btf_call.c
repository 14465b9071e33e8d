// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says how a function takes its arguments, and writes a call of it with what BTF knows of them: the
 * names of parameters, the types of pointers, enumerators by name.
 */
#include <bpf/btf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shadow/kernel/flag_names.h"
#include "shadow/kernel/kernel_int.h"

#define MODS_MAX 32 /* typedefs and qualifiers on the way to a type */
#define REGISTER 8  /* bytes */

struct call_text {
	char *buf;
	size_t len, size; /* len < size */
	const char *release;
};

__attribute__((format(printf, 2, 3))) static void put(struct call_text *t, const char *fmt, ...)
{
	size_t room = t->size - t->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(t->buf + t->len, room, fmt, ap);
	va_end(ap);
	if (n > 0)
		t->len += (size_t)n < room ? (size_t)n : room - 1;
}

/* Returns the type behind typedefs and qualifiers; NULL: void, or damaged. */
static const struct btf_type *plain_type(const struct btf_types *btf, u32 id)
{
	for (int i = 0; id && i < MODS_MAX; i++) {
		const struct btf_type *t = btf_type_at(btf, id);

		if (!t || !(btf_is_mod(t) || btf_is_typedef(t) || btf_is_type_tag(t)))
			return t;
		id = t->type;
	}
	return NULL;
}

/* Returns the flags that a typedef on the way to the type stands for, or NULL. */
static const struct flag_set *flags_of(const struct btf_types *btf, u32 id, const char *release)
{
	const struct flag_set *flags = NULL;

	for (int i = 0; id && i < MODS_MAX && !flags; i++) {
		const struct btf_type *t = btf_type_at(btf, id);
		const char *s = t ? btf_name(btf, t->name_off) : NULL;

		if (!t || !(btf_is_mod(t) || btf_is_typedef(t)))
			break;
		if (btf_is_typedef(t) && s)
			flags = flags_of_type(s, release);
		id = t->type;
	}
	return flags;
}

/* Returns true for const char *, which the kernel uses for text and nearly nothing else. */
static bool is_text(const struct btf_types *btf, u32 id)
{
	const struct btf_type *t = plain_type(btf, id), *to;
	const char *name;

	if (!t || !btf_is_ptr(t))
		return false;
	to = btf_type_at(btf, t->type);
	if (!to || !btf_is_const(to))
		return false;
	to = plain_type(btf, t->type);
	name = to ? btf_name(btf, to->name_off) : NULL;
	return to && btf_is_int(to) && to->size == 1 && name && !strcmp(name, "char");
}

static bool is_composite(const struct btf_type *t)
{
	return t && btf_is_composite(t);
}

/* Returns true for what is passed in one register. A structure without members is in none. */
static bool is_in_register(const struct btf_type *t)
{
	if (!t)
		return false;
	return btf_is_ptr(t) || ((btf_is_int(t) || btf_is_any_enum(t) || btf_is_composite(t)) &&
				 t->size && t->size <= REGISTER);
}

/* Functions that do not return, which BTF does not tell (tools/objtool/check.c of the kernel). */
static const char *const noreturn[] = {
	"__module_put_and_kthread_exit",
	"kthread_complete_and_exit",
	"kthread_exit",
	"do_exit",
	"make_task_dead",
	"panic",
	"nmi_panic",
	"__stack_chk_fail",
	"__fortify_panic",
	"fortify_panic",
	"ex_handler_msr_mce",
	"snp_abort",
	"stop_this_cpu",
	"cpu_bringup_and_idle",
	"machine_real_restart",
	"rewind_stack_and_make_dead",
};

static bool does_not_return(const char *symbol)
{
	for (size_t i = 0; i < ARRAY_SIZE(noreturn); i++)
		if (!strcmp(noreturn[i], symbol))
			return true;
	return false;
}

/*
 * Returns true for a function that is, or may be, written in assembler. BTF has these, too, as
 * taking and returning nothing; in truth their arguments are in any register, and the inline
 * assembly that calls them counts on others being kept (__get_user_4, __sw_hweight64).
 */
static bool may_be_assembler(const struct kernel *k, const char *function,
			     const struct btf_type *proto)
{
	const struct kernel_export *ex = kernel_export(k, function);

	return !proto->type && !btf_vlen(proto) && !(ex && ex->compiled);
}

int kernel_call_shape(const struct kernel *k, const char *function, struct kernel_call *out,
		      const char **why)
{
	const struct btf_types *btf = &k->types.btf;
	const struct btf_type *proto = types_prototype(&k->types, function);
	const struct btf_param *p;

	memset(out, 0, sizeof(*out));
	*why = "the kernel's types have no prototype of it";
	if (!proto)
		return -ENOENT;
	*why = "it does not return";
	if (does_not_return(function))
		return -EOPNOTSUPP;
	*why = "it is in assembler";
	if (may_be_assembler(k, function, proto))
		return -EOPNOTSUPP;
	p = btf_params(proto);
	*why = "it takes more than 8 arguments";
	if (btf_vlen(proto) > KERNEL_CALL_ARGS)
		return -EOPNOTSUPP;
	for (u32 i = 0; i < btf_vlen(proto); i++) {
		*why = "it takes any number of arguments";
		if (!p[i].type)
			return -EOPNOTSUPP;
		*why = "it takes a structure by value";
		if (!is_in_register(plain_type(btf, p[i].type)))
			return -EOPNOTSUPP;
		if (is_text(btf, p[i].type))
			out->texts |= (u8)(1U << i);
	}
	*why = "it returns a structure";
	if (proto->type && !is_in_register(plain_type(btf, proto->type)))
		return -EOPNOTSUPP;
	out->args = (u8)btf_vlen(proto);
	out->is_void = !proto->type;
	*why = NULL;
	return 0;
}

static void put_quoted(struct call_text *t, const char *s)
{
	put(t, "\"");
	for (; *s; s++) {
		if (*s == '"' || *s == '\\')
			put(t, "\\%c", *s);
		else if (*s >= 0x20 && *s < 0x7f)
			put(t, "%c", *s);
		else
			put(t, "\\x%02x", (u8)*s);
	}
	put(t, "\"");
}

static void put_enum(struct call_text *t, const struct btf_types *btf, const struct btf_type *e,
		     u64 value)
{
	for (u16 i = 0; i < btf_vlen(e); i++) {
		s64 is = btf_is_enum(e) ? btf_enum(e)[i].val
					: (s64)btf_enum64_value(btf_enum64(e) + i);

		if (e->size <= 4 ? (u32)is == (u32)value : (u64)is == value) {
			put(t, "%s",
			    btf_name(btf, btf_is_enum(e) ? btf_enum(e)[i].name_off
							 : btf_enum64(e)[i].name_off));
			return;
		}
	}
	if (e->size > 4)
		put(t, "%" PRId64, (s64)value);
	else
		put(t, "%" PRId32, (s32)value);
}

static void put_flags(struct call_text *t, const struct flag_set *flags, u64 value)
{
	char text[512];

	flags_text(flags, value, text, sizeof(text));
	put(t, "%s", text);
}

static void put_int(struct call_text *t, const struct btf_types *btf, u32 id,
		    const struct btf_type *i, u64 value)
{
	const unsigned shift = i->size < 8 ? 64 - 8 * i->size : 0;
	const struct flag_set *flags = flags_of(btf, id, t->release);

	if (i->size < 8)
		value &= (1ULL << 8 * i->size) - 1;
	if (btf_int_encoding(i) & BTF_INT_BOOL)
		put(t, "%s", value & 1 ? "true" : "false");
	else if (flags)
		put_flags(t, flags, value);
	else if (btf_int_encoding(i) & BTF_INT_SIGNED)
		put(t, "%" PRId64, (s64)(value << shift) >> shift);
	else
		put(t, "%" PRIu64, value);
}

static void put_pointer(struct call_text *t, const struct btf_types *btf, const struct btf_type *p,
			u64 value)
{
	const struct btf_type *to = plain_type(btf, p->type);
	const char *name = to ? btf_name(btf, to->name_off) : NULL;

	if (!value)
		put(t, "NULL");
	else if (value >= (u64)-4095)
		put(t, "ERR_PTR(%" PRId64 ")", (s64)value);
	else if (is_composite(to) && name && *name)
		put(t, "(%s %s *)0x%" PRIx64, btf_is_union(to) ? "union" : "struct", name, value);
	else
		put(t, "0x%" PRIx64, value);
}

static void put_value(struct call_text *t, const struct btf_types *btf, u32 id, u64 value)
{
	const struct btf_type *ty = plain_type(btf, id);

	if (ty && btf_is_ptr(ty))
		put_pointer(t, btf, ty, value);
	else if (ty && btf_is_any_enum(ty))
		put_enum(t, btf, ty, value);
	else if (ty && btf_is_int(ty) && ty->size && ty->size <= REGISTER)
		put_int(t, btf, id, ty, value);
	else
		put(t, "0x%" PRIx64, value);
}

struct kernel_callee kernel_callee(const struct kernel *k, const char *name)
{
	return (struct kernel_callee){ name, types_prototype(&k->types, name) };
}

void kernel_call_text(const struct kernel *k, const struct kernel_callee *f, const u64 *args,
		      const char *const *texts, char *buf, size_t size)
{
	const struct btf_types *btf = &k->types.btf;
	struct call_text t = { .buf = buf, .size = size, .release = kernel_release(k) };
	const struct btf_param *p = f->type ? btf_params(f->type) : NULL;

	buf[0] = '\0';
	for (u32 i = 0; f->type && i < btf_vlen(f->type) && i < KERNEL_CALL_ARGS; i++) {
		const char *name = btf_name(btf, p[i].name_off);
		const struct flag_set *flags = flags_of_argument(f->name, i, t.release);

		put(&t, "%s%s%s", i ? ", " : "", name ? name : "", name && *name ? "=" : "");
		if (texts[i])
			put_quoted(&t, texts[i]);
		else if (flags)
			put_flags(&t, flags, (u32)args[i]);
		else
			put_value(&t, btf, p[i].type, args[i]);
	}
}

void kernel_result_text(const struct kernel *k, const struct kernel_callee *f, u64 value, char *buf,
			size_t size)
{
	struct call_text t = { .buf = buf, .size = size, .release = kernel_release(k) };

	buf[0] = '\0';
	if (f->type && f->type->type)
		put_value(&t, &k->types.btf, f->type->type, value);
}

bool kernel_call_failed(const struct kernel *k, const struct kernel_callee *f, u64 value)
{
	const struct btf_type *t =
		f->type && f->type->type ? plain_type(&k->types.btf, f->type->type) : NULL;

	if (t && btf_is_ptr(t))
		return value >= (u64)-4095;
	if (!t || !btf_is_int(t) || !(btf_int_encoding(t) & BTF_INT_SIGNED))
		return false;
	if (t->size == 4)
		return (u32)value >= (u32)-4095;
	return t->size == 8 && value >= (u64)-4095;
}

enum kernel_result kernel_result_of_type(const struct kernel *k, u32 type)
{
	const struct btf_type *t = type ? plain_type(&k->types.btf, type) : NULL;

	if (!type)
		return RESULT_VOID;
	if (!t)
		return RESULT_UNKNOWN;
	if (btf_is_ptr(t))
		return RESULT_POINTER;
	return btf_is_int(t) && t->size >= sizeof(int) && btf_int_encoding(t) == BTF_INT_SIGNED
		       ? RESULT_INT
		       : RESULT_OTHER;
}

enum kernel_result kernel_result_of_proto(const struct kernel *k, u32 proto)
{
	const struct btf_type *t = btf_type_at(&k->types.btf, proto);

	return t && btf_is_func_proto(t) ? kernel_result_of_type(k, t->type) : RESULT_UNKNOWN;
}

bool kernel_type_is_word(const struct kernel *k, u32 type)
{
	return is_in_register(plain_type(&k->types.btf, type));
}

u8 kernel_args_of_proto(const struct kernel *k, u32 proto)
{
	const struct btf_type *t = btf_type_at(&k->types.btf, proto);
	const struct btf_param *p = t ? btf_params(t) : NULL;

	if (!t || !btf_is_func_proto(t) || btf_vlen(t) >= KERNEL_ARGS_UNKNOWN)
		return KERNEL_ARGS_UNKNOWN;
	for (u32 i = 0; i < btf_vlen(t); i++)
		if (!p[i].type || !kernel_type_is_word(k, p[i].type))
			return KERNEL_ARGS_UNKNOWN;
	return (u8)btf_vlen(t);
}

void kernel_types_end(const struct kernel *k, u32 *types, u32 *names)
{
	*types = k->types.btf.count;
	*names = k->types.btf.strings_len;
}

const char *kernel_types_name(const struct kernel *k, u32 place)
{
	return btf_name(&k->types.btf, place);
}
