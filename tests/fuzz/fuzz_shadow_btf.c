// SPDX-License-Identifier: GPL-2.0-only
/* Loads a BTF section of any content, and asks about every function, structure and type in it. */
#include <bpf/btf.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/kernel/kernel_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use_function(const struct kernel *k, const char *name)
{
	const struct kernel_callee f = kernel_callee(k, name);
	static const u64 args[KERNEL_CALL_ARGS] = { 0, 1, (u64)-1, 3, 1ULL << 63, 5, 6, 7 };
	const char *texts[KERNEL_CALL_ARGS] = { NULL, "t\n\"" }, *why;
	struct kernel_call call;
	unsigned count;
	bool variadic;
	char buf[300];

	kernel_prototype(k, name, buf, sizeof(buf));
	kernel_params(k, name, &count, &variadic);
	if (!kernel_call_shape(k, name, &call, &why) && call.args > KERNEL_CALL_ARGS)
		abort();
	kernel_call_text(k, &f, args, texts, buf, sizeof(buf));
	kernel_result_text(k, &f, (u64)-2, buf, sizeof(buf));
	kernel_call_failed(k, &f, (u64)-2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kernel k = { .source = -1 };
	const struct btf_types *b = &k.types.btf;
	/* behind a guard of ASan's, and aligned as a section is, or not */
	u8 *copy = malloc(size + 1);
	const struct section s = { .data = copy + (size & 1), .size = size };

	if (!copy)
		abort();
	memcpy(copy + (size & 1), data, size);
	if (types_load(&k.types, &s, "k", NULL)) {
		free(copy);
		return 0;
	}
	for (u32 id = 0; id < b->count; id++) {
		const struct btf_type *t = btf_type_at(b, id);
		const char *name = t ? btf_name(b, t->name_off) : NULL;
		u32 off, len;

		if (!t)
			abort(); /* the walk has seen it */
		btf_size(b, id);
		if (!name)
			continue;
		if (btf_is_func(t))
			use_function(&k, name);
		kernel_struct_size(&k, name, &len);
		kernel_member(&k, name, "m", &off, &len);
		for (u32 i = 0; btf_is_composite(t) && i < btf_vlen(t); i++) {
			const char *m = btf_name(b, btf_members(t)[i].name_off);

			if (m)
				kernel_member(&k, name, m, &off, &len);
		}
	}
	types_free(&k.types);
	free(copy);
	return 0;
}
