// SPDX-License-Identifier: GPL-2.0-only
/* Fills the info page: addresses of this kernel and descriptors of the catalogue's functions. */
#include <errno.h>
#include <string.h>

#include "guest-shim/gate_blob.h"
#include "vmm/gate/gate_int.h"
#include "vmm/machine/layout.h"

/*
 * The number of functions meets its limit here: a descriptor for each. A driver that imports more
 * than its page of entries has room for, with layout = "same", is refused.
 */
_Static_assert(CATALOG_MAX < UMBRA_FN_MAX, "a descriptor for each function");
_Static_assert(REQUEST_ARGS <= 6 + UMBRA_ARGS, "the shim passes so many arguments on");

_Static_assert(CATALOG_ORIGINS == UMBRA_PEEKS, "as many members");

/* The host's enums travel as they are. */
_Static_assert((int)NAME_NONE == UMBRA_FORM_NONE && (int)NAME_STRING == UMBRA_FORM_STRING &&
		       (int)NAME_FIELD_PTR == UMBRA_FORM_FIELD_PTR &&
		       (int)NAME_FIELD_ARRAY == UMBRA_FORM_FIELD_ARRAY &&
		       (int)NAME_FORMAT == UMBRA_FORM_FORMAT &&
		       (int)NAME_RESULT == UMBRA_FORM_RESULT,
	       "one set of forms");
_Static_assert((int)REFUSE_ERRNO == UMBRA_REFUSE_ERRNO &&
		       (int)REFUSE_ERR_PTR == UMBRA_REFUSE_ERR_PTR &&
		       (int)REFUSE_NULL == UMBRA_REFUSE_NULL &&
		       (int)REFUSE_NEVER == UMBRA_REFUSE_NEVER &&
		       (int)REFUSE_VOID == UMBRA_REFUSE_VOID &&
		       (int)REFUSE_CREDS == UMBRA_REFUSE_CREDS,
	       "one set of refusals");
_Static_assert((int)CARRY_OUT_PLAINLY == UMBRA_HOW_PLAINLY &&
		       (int)CARRY_OUT_OPEN == UMBRA_HOW_OPEN &&
		       (int)CARRY_OUT_LOOK_UP == UMBRA_HOW_LOOK_UP &&
		       (int)CARRY_OUT_READ_FILE == UMBRA_HOW_READ_FILE &&
		       (int)CARRY_OUT_LOOK_UP_BDEV == UMBRA_HOW_LOOK_UP_BDEV &&
		       (int)CARRY_OUT_OPEN_BDEV == UMBRA_HOW_OPEN_BDEV &&
		       (int)CARRY_OUT_RUN_PROGRAM == UMBRA_HOW_RUN_PROGRAM &&
		       (int)CARRY_OUT_SET_UP_PROGRAM == UMBRA_HOW_SET_UP_PROGRAM &&
		       (int)CARRY_OUT_UNUSE_MM == UMBRA_HOW_UNUSE_MM &&
		       (int)CARRY_OUT_INIT_DEVICE == UMBRA_HOW_INIT_DEVICE &&
		       (int)CARRY_OUT_INIT_KOBJECT == UMBRA_HOW_INIT_KOBJECT &&
		       (int)CARRY_OUT_GIVE_NAME == UMBRA_HOW_GIVE_NAME,
	       "one set of ways");

static const char *const sym_names[UMBRA_SYMS] = {
	[UMBRA_SYM_GET_VM_AREA] = "__get_vm_area_caller",
	[UMBRA_SYM_INIT_MM] = "init_mm",
	[UMBRA_SYM_FLUSH_TLB] = "flush_tlb_kernel_range",
	[UMBRA_SYM_STRNCPY] = "strncpy_from_kernel_nofault",
	[UMBRA_SYM_WRITE_NOFAULT] = "copy_to_kernel_nofault",
	[UMBRA_SYM_D_ABSOLUTE] = "d_absolute_path",
	[UMBRA_SYM_OPEN_FLAGS] = "build_open_flags",
	[UMBRA_SYM_OPEN_ROOT] = "do_file_open_root",
	[UMBRA_SYM_SET_FS_ROOT] = "set_fs_root",
	[UMBRA_SYM_SET_FS_PWD] = "set_fs_pwd",
	[UMBRA_SYM_FIND_VM_AREA] = "find_vm_area",
};

/* Returns the row whose structure an undoing function takes: the field to restore is the same. */
static const struct catalog_fn *row_with_field(const struct catalog_fn *fn)
{
	const struct catalog_fn *all;
	size_t i, n;

	if (fn->strct || !fn->undoes)
		return fn;
	all = catalog_all(&n);
	for (i = 0; i < n; i++)
		if (all[i].strct && all[i].undo && !strcmp(all[i].undo, fn->name))
			return &all[i];
	return fn;
}

/* Finds the members of structures that the row names. */
static int describe_members(const struct kernel *k, const struct catalog_fn *fn, struct umbra_fn *d,
			    struct err *e)
{
	const struct catalog_fn *field = row_with_field(fn);
	u32 size;
	int ret;

	if (field->strct) {
		ret = kernel_member(k, field->strct, field->member, &d->field_off, &d->field_size);
		if (ret)
			return err_set(e, ret, "there is no struct %s with a member %s",
				       field->strct, field->member);
	}
	for (size_t i = 0; i < CATALOG_ORIGINS && fn->origin[i]; i++) {
		ret = kernel_member(k, fn->strct, fn->origin[i], &d->peek_off[i], &size);
		if (ret)
			return err_set(e, ret, "there is no struct %s with a member %s", fn->strct,
				       fn->origin[i]);
	}
	return 0;
}

/*
 * Describes one function of the catalogue for this kernel: address, and offsets from its BTF.
 * -errno with the reason: the kernel has another function of that name.
 */
static int describe_fn(const struct kernel *k, const struct catalog_fn *fn, struct umbra_fn *d,
		       struct err *e)
{
	const struct kernel_export *ex = kernel_export(k, fn->name);
	unsigned count = 0;
	bool variadic = false;
	int ret;

	memset(d, 0, sizeof(*d));
	d->form = (u8)fn->form;
	d->name_arg = row_with_field(fn)->name_arg;
	d->strvec_arg = fn->strvec_arg;
	d->refusal = (u8)fn->refusal;
	d->how = (u8)fn->how;
	d->clears = fn->clears;
	d->wide = fn->wide;
	if (!ex)
		return 0;
	ret = kernel_params(k, fn->name, &count, &variadic);
	if (ret)
		return err_set(e, ret, "the kernel has no type information for it");
	if (count != fn->args)
		return err_set(e, -EINVAL, "it takes %u arguments in this kernel, %u were expected",
			       count, fn->args);
	if (variadic != (fn->form == NAME_FORMAT))
		return err_set(e, -EINVAL, "it takes %s arguments in this kernel",
			       variadic ? "more" : "no more");
	ret = describe_members(k, fn, d, e);
	if (ret)
		return ret;
	d->nargs = (u8)count;
	d->flags = (u16)((fn->has_strvec ? UMBRA_FN_HAS_STRVEC : 0) |
			 (variadic ? UMBRA_FN_VARIADIC : 0) |
			 (catalog_is_path(fn) ? UMBRA_FN_IS_PATH : 0));
	d->real = ex->addr;
	return 0;
}

int gate_fits(const struct kernel *k, const struct catalog_fn *fn, struct err *e)
{
	struct umbra_fn unused;

	return describe_fn(k, fn, &unused, e);
}

int gate_fill_info(struct gate *g, struct err *e)
{
	const char *release = kernel_release(g->k);
	const struct catalog_fn *all;
	size_t i, n;

	all = catalog_all(&n);
	if (!release || strlen(release) >= sizeof(g->info->release))
		return err_set(e, -EINVAL, "%s: no release string", kernel_path(g->k));
	g->info->magic = UMBRA_MAGIC;
	g->info->version = UMBRA_ABI_VERSION;
	g->info->n_fns = (u32)n;
	g->info->gsi = LAYOUT_GSI_UMBRA;
	g->info->doorbell = (u32)(umbra_gate_doorbell - umbra_gate_blob);
	memcpy(g->info->release, release, strlen(release));
	for (i = 0; i < UMBRA_SYMS; i++) {
		u64 addr = kernel_symbol(g->k, sym_names[i]);

		if (!addr)
			return err_set(
				e, -ENOENT,
				"%s: the kernel has no %s, which the shim needs; sessions do not "
				"work with it",
				kernel_path(g->k), sym_names[i]);
		g->info->syms[i] = addr + g->kaslr;
	}
	for (i = 0; i < n; i++) {
		struct umbra_fn *d = &g->info->fns[i];

		/* One that does not fit has no address: the shim refuses it. */
		if (!describe_fn(g->k, &all[i], d, NULL) && d->real)
			d->real += g->kaslr;
	}
	return 0;
}
