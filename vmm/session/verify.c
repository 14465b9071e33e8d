// SPDX-License-Identifier: GPL-2.0-only
/* Decodes a loaded driver's text from guest memory, and classifies each direct branch in it. */
#include <capstone/capstone.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/link/patched_sites.h"
#include "vmm/machine/machine.h"
#include "vmm/session/guest_read.h"
#include "vmm/session/verify.h"

#define MODULES_MAX    4096
#define TEXT_MAX       (64u << 20)
#define SECTIONS_MAX   256
#define VIOLATIONS_MAX 100

struct section {
	char name[64];
	u64 addr;
};

/* A module as the guest's kernel has it. */
struct loaded {
	u64 base, size, text;
};

struct check {
	struct sessions *s;
	const struct driver *d;
	struct loaded mod;
	struct section sections[SECTIONS_MAX];
	size_t n_sections;
	struct module_site *sites;
	size_t n_sites;
	struct loaded *others; /* the session's other drivers */
	size_t n_others;
	u64 local, shadow, gate, session, patched, permitted, indirect, undecoded;
	json_t *violations;
};

static int member(struct sessions *s, const char *strct, const char *name, u32 *off, struct err *e)
{
	u32 size;
	int ret = kernel_member(s->k, strct, name, off, &size);

	return ret ? err_set(e, ret, "%s: no member %s in struct %s", kernel_path(s->k), name,
			     strct)
		   : 0;
}

static int read_u64(struct sessions *s, u64 va, u64 *out)
{
	return guest_read(s->m, va, out, sizeof(*out));
}

/* Walk the kernel's `modules` list to the struct module of @name. */
static int find_module(struct sessions *s, const char *name, u64 *module, struct err *e)
{
	u64 head = kernel_symbol(s->k, "modules"), at;
	u32 list = 0, name_off = 0;
	char buf[64];
	size_t n;
	int ret;

	ret = member(s, "module", "list", &list, e);
	if (!ret)
		ret = member(s, "module", "name", &name_off, e);
	if (ret)
		return ret;
	if (!head)
		return err_set(e, -ENOENT, "%s: no list of modules", kernel_path(s->k));
	head += s->kaslr;
	if (read_u64(s, head, &at))
		goto fault;
	for (n = 0; at != head && n < MODULES_MAX; n++) {
		if (guest_read(s->m, at - list + name_off, buf, sizeof(buf)))
			goto fault;
		buf[sizeof(buf) - 1] = 0;
		if (!strcmp(buf, name)) {
			*module = at - list;
			return 0;
		}
		if (read_u64(s, at, &at))
			goto fault;
	}
	return err_set(e, -ENOENT, "the guest's kernel has no module %s", name);
fault:
	return err_set(e, -EFAULT, "the guest's list of modules cannot be read");
}

static int read_layout(struct sessions *s, u64 module, struct loaded *out, struct err *e)
{
	u32 layout = 0, base = 0, size = 0, text = 0, v;
	int ret;

	ret = member(s, "module", "core_layout", &layout, e);
	if (!ret)
		ret = member(s, "module_layout", "base", &base, e);
	if (!ret)
		ret = member(s, "module_layout", "size", &size, e);
	if (!ret)
		ret = member(s, "module_layout", "text_size", &text, e);
	if (ret)
		return ret;
	if (read_u64(s, module + layout + base, &out->base) ||
	    guest_read(s->m, module + layout + size, &v, sizeof(v)))
		return err_set(e, -EFAULT, "struct module cannot be read");
	out->size = v;
	if (guest_read(s->m, module + layout + text, &v, sizeof(v)))
		return err_set(e, -EFAULT, "struct module cannot be read");
	out->text = v;
	if (out->text > out->size || out->text > TEXT_MAX)
		return err_set(e, -EINVAL, "struct module is not plausible");
	return 0;
}

/* Where the loader put each section: what /sys/module/NAME/sections shows. */
static int read_sections(struct check *c, u64 module, struct err *e)
{
	struct sessions *s = c->s;
	u32 attrs = 0, count_off = 0, array = 0, addr = 0, battr = 0, attr = 0, name = 0, step = 0,
	    count;
	u64 table, text;
	size_t i;
	int ret;

	ret = member(s, "module", "sect_attrs", &attrs, e);
	if (!ret)
		ret = member(s, "module_sect_attrs", "nsections", &count_off, e);
	if (!ret)
		ret = member(s, "module_sect_attrs", "attrs", &array, e);
	if (!ret)
		ret = member(s, "module_sect_attr", "address", &addr, e);
	if (!ret)
		ret = member(s, "module_sect_attr", "battr", &battr, e);
	if (!ret)
		ret = member(s, "bin_attribute", "attr", &attr, e);
	if (!ret)
		ret = member(s, "attribute", "name", &name, e);
	if (!ret)
		ret = kernel_struct_size(s->k, "module_sect_attr", &step);
	if (ret)
		return ret;
	if (read_u64(s, module + attrs, &table) ||
	    guest_read(s->m, table + count_off, &count, sizeof(count)) || count > SECTIONS_MAX)
		return err_set(e, -EFAULT, "the module's sections cannot be read");
	for (i = 0; i < count; i++) {
		u64 at = table + array + i * step;
		struct section *sec = &c->sections[c->n_sections];

		if (read_u64(s, at + addr, &sec->addr) ||
		    read_u64(s, at + battr + attr + name, &text) ||
		    guest_read_string(s->m, text, sec->name, sizeof(sec->name)))
			continue;
		c->n_sections++;
	}
	return 0;
}

/* Is @va a place in the driver's text that the kernel patches by itself? */
static bool patched_site(const struct check *c, u64 va)
{
	const struct section *best = NULL;
	size_t i;

	for (i = 0; i < c->n_sections; i++)
		if (c->sections[i].addr <= va && (!best || c->sections[i].addr > best->addr))
			best = &c->sections[i];
	return best && module_site_find(c->sites, c->n_sites, best->name, va - best->addr);
}

/* A branch into the session's range: to an entry of the shadow, or to a gate of this very driver? */
static bool own_entry(struct check *c, u64 target)
{
	const struct session *ss = c->d->session;
	u64 off = target - ss->va, page = off / 4096, gpa, left;

	/* The guest's page table must lead to the page that the VMM put there. */
	if (!ss->page_gpa[page] || guest_translate(c->s->m, target, &gpa, &left) ||
	    gpa != ss->page_gpa[page] + off % 4096)
		return false;
	if (page >= ss->text_pages) {
		if (page - ss->text_pages != c->d->own_page || off % UMBRA_GATE_ENTRY ||
		    off % 4096 / UMBRA_GATE_ENTRY >= c->d->n_gates)
			return false;
		c->gate++;
		return true;
	}
	c->shadow++;
	return true;
}

/* Where the session's other drivers lie, looked up once: the list is the guest's and may be long. */
static int find_others(struct check *c, struct err *e)
{
	const struct driver *o;
	size_t n = 0;

	for (o = c->d->session->drivers; o; o = o->next)
		n++;
	c->others = calloc(n + 1, sizeof(*c->others));
	if (!c->others)
		return err_set(e, -ENOMEM, "out of memory");
	for (o = c->d->session->drivers; o; o = o->next) {
		struct loaded *l = &c->others[c->n_others];
		u64 module = 0;

		if (o != c->d && o->state == DRIVER_LOADED &&
		    !find_module(c->s, o->guest_name, &module, NULL) &&
		    !read_layout(c->s, module, l, NULL))
			c->n_others++;
	}
	return 0;
}

static bool in_session_driver(const struct check *c, u64 target)
{
	size_t i;

	for (i = 0; i < c->n_others; i++)
		if (target - c->others[i].base < c->others[i].text)
			return true;
	return false;
}

/* The kernel's own patching leads to its own text; a driver's tables cannot excuse anything else. */
static bool in_kernel_text(const struct check *c, u64 target)
{
	u64 start, end;

	kernel_text(c->s->k, &start, &end);
	return target - c->s->kaslr - start < end - start;
}

static void violation(struct check *c, u64 at, u64 target)
{
	char from[32], to[32], symbol[160] = "";
	u64 off = 0;
	const char *name = kernel_symbolize(c->s->k, target - c->s->kaslr, &off);

	if (json_array_size(c->violations) >= VIOLATIONS_MAX)
		return;
	snprintf(from, sizeof(from), "+0x%" PRIx64, at - c->mod.base);
	snprintf(to, sizeof(to), "0x%" PRIx64, target);
	if (name)
		snprintf(symbol, sizeof(symbol), "%s+0x%" PRIx64, name, off);
	json_array_append_new(c->violations, json_pack("{s:s, s:s, s:s}", "at", from, "target", to,
						       "symbol", symbol));
}

static void branch(struct check *c, u64 at, u64 target)
{
	const struct session *ss = c->d->session;
	u64 off = 0, link = target - c->s->kaslr;
	const char *name;

	if (target - c->mod.base < c->mod.size) {
		c->local++;
		return;
	}
	if (target - ss->va < ((u64)ss->text_pages + GATE_PAGES) * 4096) {
		if (!own_entry(c, target))
			violation(c, at, target);
		return;
	}
	if (in_kernel_text(c, target) && patched_site(c, at)) {
		c->patched++;
		return;
	}
	if (in_session_driver(c, target)) {
		c->session++;
		return;
	}
	name = kernel_symbolize(c->s->k, link, &off);
	if (name && !off && policy_permitted(ss->policy, name))
		c->permitted++;
	else
		violation(c, at, target);
}

static int by_address(const void *a, const void *b)
{
	const struct section *x = a, *y = b;

	return (x->addr > y->addr) - (x->addr < y->addr);
}

/*
 * Linear decoding, section by section: the kernel's modules are built without jump tables, so text
 * holds nothing but instructions and padding, and each section begins with an instruction. What does
 * not decode is counted, never passed over in silence.
 */
static void decode_range(struct check *c, csh cs, cs_insn *in, const u8 *p, size_t left, u64 va)
{
	while (left) {
		if (!cs_disasm_iter(cs, &p, &left, &va, in)) {
			c->undecoded++;
			p++;
			va++;
			left--;
			continue;
		}
		if (!cs_insn_group(cs, in, CS_GRP_JUMP) && !cs_insn_group(cs, in, CS_GRP_CALL))
			continue;
		if (in->detail->x86.op_count == 1 && in->detail->x86.operands[0].type == X86_OP_IMM)
			branch(c, in->address, (u64)in->detail->x86.operands[0].imm);
		else
			c->indirect++;
	}
}

static int decode(struct check *c, struct err *e)
{
	const u64 base = c->mod.base, end = base + c->mod.text;
	cs_insn *in = NULL;
	u64 from = base;
	u8 *text;
	csh cs;
	size_t i;
	int ret = 0;

	text = malloc(c->mod.text + 1);
	if (!text || cs_open(CS_ARCH_X86, CS_MODE_64, &cs) != CS_ERR_OK) {
		free(text);
		return err_set(e, -ENOMEM, "out of memory while decoding %s", c->d->guest_name);
	}
	cs_option(cs, CS_OPT_DETAIL, CS_OPT_ON);
	in = cs_malloc(cs);
	ret = guest_read(c->s->m, base, text, c->mod.text);
	if (ret || !in) {
		ret = err_set(e, -EFAULT, "text of %s cannot be read", c->d->guest_name);
		goto out;
	}
	qsort(c->sections, c->n_sections, sizeof(*c->sections), by_address);
	for (i = 0; i <= c->n_sections; i++) {
		u64 to = i < c->n_sections ? c->sections[i].addr : end;
		size_t n;

		if (to <= from || to > end)
			continue;
		/* the loader's padding behind a section is zero, its own is int3 or nop */
		for (n = (size_t)(to - from); n && !text[from - base + n - 1]; n--)
			;
		decode_range(c, cs, in, text + (from - base), n, from);
		from = to;
	}
out:
	if (in)
		cs_free(in, 1);
	cs_close(&cs);
	free(text);
	return ret;
}

int verify_driver(struct sessions *s, const struct driver *d, json_t **report, struct err *e)
{
	struct check *c;
	char base[32];
	u64 module = 0;
	int ret;

	if (d->state != DRIVER_LOADED)
		return err_set(e, -ENOENT, "driver %s is not loaded yet", d->name);
	c = calloc(1, sizeof(*c));
	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	c->s = s;
	c->d = d;
	c->violations = json_array();
	ret = find_module(s, d->guest_name, &module, e);
	if (!ret)
		ret = read_layout(s, module, &c->mod, e);
	if (!ret)
		ret = read_sections(c, module, e);
	if (!ret && module_patched_sites(s->k, d->module, &c->sites, &c->n_sites))
		ret = err_set(e, -ENOMEM, "out of memory");
	if (!ret)
		ret = find_others(c, e);
	if (!ret)
		ret = decode(c, e);
	if (ret)
		goto out;
	snprintf(base, sizeof(base), "0x%" PRIx64, c->mod.base);
	*report = json_pack(
		"{s:s, s:s, s:s, s:s, s:I, s:{s:I, s:I, s:I, s:I, s:I, s:I, s:I}, s:O, s:I}",
		"session", d->session->name, "driver", d->name, "module", d->guest_name, "base",
		base, "text", (json_int_t)c->mod.text, "branches", "local", (json_int_t)c->local,
		"shadow", (json_int_t)c->shadow, "gate", (json_int_t)c->gate, "session",
		(json_int_t)c->session, "patched", (json_int_t)c->patched, "permitted",
		(json_int_t)c->permitted, "indirect", (json_int_t)c->indirect, "violations",
		c->violations, "undecoded", (json_int_t)c->undecoded);
	if (!*report)
		ret = err_set(e, -ENOMEM, "out of memory");
out:
	json_decref(c->violations);
	free(c->others);
	free(c->sites);
	free(c);
	return ret;
}
