// SPDX-License-Identifier: GPL-2.0-only
/* Loads the tables that sessions and inspection need: kallsyms, BTF, exports, vermagic. */
#include <errno.h>
#include <string.h>

#include "shadow/kernel/kernel_int.h"

/* Makes sure that the bytes of the image are there, which a prepared kernel has not read yet. */
static int image_get(struct kernel *k, struct err *e)
{
	int ret = 0;

	if (k->prepared && !k->image && prepared_unpack(k, e))
		ret = kernel_reread(k, e);
	if (ret)
		return ret;
	if (k->opaque || !k->image)
		return err_set(e, -ENOENT, "%s: cannot read its symbols: %s", k->path,
			       k->opaque ? k->layout.no_reloc_reason : "its image was given back");
	return 0;
}

static int sections_find(struct kernel *k, struct err *e)
{
	int ret = 0;

	if (k->prepared)
		prepared_sections(k, &k->sec);
	else
		ret = vmlinux_sections(k, &k->sec, e);
	if (ret)
		return ret;
	if (!k->sec.text.data || !k->sec.rodata.data)
		return err_set(e, -ENOENT,
			       "%s: has no section headers, so its symbols cannot be found",
			       k->path);
	return 0;
}

/* Loads kallsyms, and with it where .text begins and ends. */
static int names_load(struct kernel *k, struct err *e)
{
	u64 text = k->layout.link_text;
	int ret = kallsyms_load(&k->syms, &k->sec.rodata, text, k->path, e);

	if (ret)
		return ret;
	k->text_start = text;
	k->text_end = kernel_symbol(k, "_etext");
	if (k->sec.text.addr != text || k->text_end <= text ||
	    k->text_end - text > k->sec.text.size)
		return err_set(e, -EINVAL, "%s: .text and the symbols _text and _etext disagree",
			       k->path);
	return 0;
}

static int exports_and_types_load(struct kernel *k, struct err *e)
{
	int ret;

	if (!k->sec.strings.data || !(k->sec.ksymtab[0].data || k->sec.ksymtab[1].data))
		return err_set(e, -ENOENT,
			       "%s: has no table of exported symbols (CONFIG_MODULES is off?)",
			       k->path);
	if (!k->sec.btf.data)
		return err_set(
			e, -ENOENT,
			"%s: has no BTF type information; sessions need a kernel with CONFIG_DEBUG_INFO_BTF=y",
			k->path);
	ret = types_load(&k->types, &k->sec.btf, k->path, e);
	return ret ? ret : exports_load(k, e);
}

/*
 * Copies static const char vermagic[] of kernel/module; it is absent without CONFIG_KALLSYMS_ALL.
 */
static void vermagic_copy(struct kernel *k)
{
	const struct section *s = &k->sec.rodata;
	u64 addr = kernel_symbol(k, "vermagic"), left;
	const char *text;
	size_t n;

	if (addr < s->addr || addr - s->addr >= s->size)
		return;
	left = s->size - (addr - s->addr);
	text = (const char *)s->data + (addr - s->addr);
	n = strnlen(text, left);
	if (n < left && n < sizeof(k->vermagic))
		memcpy(k->vermagic, text, n);
}

int kernel_load_symbols(struct kernel *k, struct err *e)
{
	int ret;

	if (k->loaded)
		return 0;
	kernel_forget_symbols(k); /* the tables of an attempt that failed */
	ret = k->prepared ? prepared_symbols_load(k, NULL) : -ENOENT;
	if (!ret) {
		k->loaded = true;
		return 0;
	}
	k->symbols_damaged = ret == -EBADMSG;
	ret = image_get(k, e);
	if (!ret)
		ret = sections_find(k, e);
	if (!ret)
		ret = names_load(k, e);
	if (!ret)
		ret = exports_and_types_load(k, e);
	if (ret)
		return ret;
	vermagic_copy(k);
	k->loaded = true;
	return 0;
}

bool kernel_symbols_damaged(const struct kernel *k)
{
	return k->symbols_damaged;
}

bool kernel_symbols_loaded(const struct kernel *k)
{
	return k->loaded;
}
