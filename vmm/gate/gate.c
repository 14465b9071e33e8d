// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "guest-shim/gate_blob.h"
#include "vmm/gate/gate_int.h"
#include "vmm/machine/layout.h"
#include "vmm/machine/machine.h"

_Static_assert(UMBRA_GPA == LAYOUT_UMBRA && UMBRA_GPA_END == LAYOUT_UMBRA_END, "one layout");
_Static_assert(UMBRA_PORT == LAYOUT_PORT_DOORBELL, "one port");

#define PAGES (UMBRA_PAGES_SIZE / 4096)

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

static u8 refusal_code(enum refusal r)
{
	switch (r) {
	case REFUSE_ERR_PTR:
		return UMBRA_REFUSE_ERR_PTR;
	case REFUSE_NULL:
		return UMBRA_REFUSE_NULL;
	case REFUSE_NEVER:
		return UMBRA_REFUSE_NEVER;
	case REFUSE_ERRNO:
	default:
		return UMBRA_REFUSE_ERRNO;
	}
}

static u8 form_code(enum name_form f)
{
	switch (f) {
	case NAME_STRING:
		return UMBRA_FORM_STRING;
	case NAME_FIELD_PTR:
		return UMBRA_FORM_FIELD_PTR;
	case NAME_FIELD_ARRAY:
		return UMBRA_FORM_FIELD_ARRAY;
	case NAME_FORMAT:
		return UMBRA_FORM_FORMAT;
	case NAME_NONE:
	default:
		return UMBRA_FORM_NONE;
	}
}

/* The row whose structure an undoing function takes: the field to restore is the same. */
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

/* Describe one function of the catalog for this kernel: address, and offsets from its BTF. */
static int describe(struct gate *p, const struct catalog_fn *fn, struct umbra_fn *d, struct err *e)
{
	const struct kernel_export *ex = kernel_export(p->k, fn->name);
	const struct catalog_fn *field = row_with_field(fn);
	unsigned count = 0;
	bool variadic = false;
	int ret;

	memset(d, 0, sizeof(*d));
	d->form = form_code(fn->form);
	d->name_arg = field->name_arg;
	d->strvec_arg = fn->strvec_arg;
	d->refusal = refusal_code(fn->refusal);
	if (!ex)
		return 0;
	ret = kernel_params(p->k, fn->name, &count, &variadic);
	if (ret)
		return err_set(e, ret, "%s: no type information for %s()", kernel_path(p->k),
			       fn->name);
	if (count > 6 + UMBRA_ARGS)
		return err_set(e, -E2BIG, "%s: %s() takes %u arguments", kernel_path(p->k),
			       fn->name, count);
	if (field->strct) {
		ret = kernel_member(p->k, field->strct, field->member, &d->field_off,
				    &d->field_size);
		if (ret)
			return err_set(e, ret, "%s: no struct %s with a member %s",
				       kernel_path(p->k), field->strct, field->member);
	}
	d->nargs = (u8)count;
	d->flags = (u16)((fn->want_result ? UMBRA_FN_WANT_RESULT : 0) |
			 (fn->may_sleep ? UMBRA_FN_MAY_SLEEP : 0) |
			 (fn->opens_path ? UMBRA_FN_OPENS_PATH : 0) |
			 (variadic ? UMBRA_FN_VARIADIC : 0) |
			 (fn->space == SPACE_FILE || fn->space == SPACE_PROGRAM ? UMBRA_FN_IS_PATH
										: 0));
	d->real = ex->addr + p->kaslr;
	return 0;
}

static int fill_info(struct gate *p, struct err *e)
{
	const char *release = kernel_release(p->k);
	const struct catalog_fn *all;
	size_t i, n;
	int ret;

	all = catalog_all(&n);
	if (n > UMBRA_FN_MAX)
		return err_set(e, -E2BIG, "the catalog has %zu functions, the ABI takes %d", n,
			       UMBRA_FN_MAX);
	if (!release || strlen(release) >= sizeof(p->info->release))
		return err_set(e, -EINVAL, "%s: no release string", kernel_path(p->k));
	p->info->magic = UMBRA_MAGIC;
	p->info->version = UMBRA_ABI_VERSION;
	p->info->n_fns = (u32)n;
	p->info->gsi = LAYOUT_GSI_UMBRA;
	p->info->doorbell = (u32)(umbra_gate_out - umbra_gate_blob);
	memcpy(p->info->release, release, strlen(release));
	for (i = 0; i < UMBRA_SYMS; i++) {
		u64 addr = kernel_symbol(p->k, sym_names[i]);

		if (!addr)
			return err_set(
				e, -ENOENT,
				"%s: the kernel has no %s, which the shim needs; sessions do not "
				"work with it",
				kernel_path(p->k), sym_names[i]);
		p->info->syms[i] = addr + p->kaslr;
	}
	for (i = 0; i < n; i++) {
		ret = describe(p, &all[i], &p->info->fns[i], e);
		if (ret)
			return ret;
	}
	return 0;
}

static int add_slots(struct gate *p, struct err *e)
{
	const struct {
		u64 gpa;
		size_t len;
		bool writable;
		void **hva;
	} slots[] = {
		{ UMBRA_INFO_GPA, UMBRA_INFO_SIZE, false, (void **)&p->info },
		{ UMBRA_GATE_GPA, UMBRA_GATE_SIZE, false, (void **)&p->gate },
		{ UMBRA_FRAME_GPA, UMBRA_FRAMES_SIZE, true, (void **)&p->frames },
		{ UMBRA_ANSWER_GPA, UMBRA_FRAMES_SIZE, false, (void **)&p->answers },
		{ UMBRA_ARENA_GPA, UMBRA_ARENA_SIZE, false, (void **)&p->arena },
		{ UMBRA_MAILBOX_GPA, UMBRA_MAILBOX_SIZE, false, (void **)&p->mail },
		{ UMBRA_PAGES_GPA, UMBRA_PAGES_SIZE, false, (void **)&p->pages },
	};
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(slots); i++) {
		ret = machine_add_slot(p->m, slots[i].gpa, slots[i].len, slots[i].writable,
				       slots[i].hva, e);
		if (ret)
			return ret;
	}
	return 0;
}

/* Calls read it without end; who removes an instance must get its turn all the same. */
static void gate_lock_init(pthread_rwlock_t *lock)
{
	pthread_rwlockattr_t attr;

	pthread_rwlockattr_init(&attr);
	pthread_rwlockattr_setkind_np(&attr, PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
	pthread_rwlock_init(lock, &attr);
	pthread_rwlockattr_destroy(&attr);
}

int gate_create(struct gate **out, struct machine *m, struct kernel *k, u64 kaslr,
		struct record *rec, struct err *e)
{
	struct gate *p = calloc(1, sizeof(*p));
	int ret = -ENOMEM;

	if (!p)
		return err_set(e, -ENOMEM, "out of memory for the PVM");
	p->m = m;
	p->k = k;
	p->kaslr = kaslr;
	p->rec = rec;
	p->now = machine_time_ns;
	p->event = -1;
	p->slow_timer = -1;
	p->tail = &p->head;
	gate_lock_init(&p->instances_lock);
	pthread_mutex_init(&p->ledger_lock, NULL);
	pthread_mutex_init(&p->done_lock, NULL);
	p->page_used = calloc(PAGES, 1);
	if (!p->page_used) {
		err_set(e, ret, "out of memory for the PVM");
		goto fail;
	}
	ret = add_slots(p, e);
	if (ret)
		goto fail;
	ret = lent_names_create(&p->names, p->arena, UMBRA_ARENA_SIZE);
	if (ret) {
		err_set(e, ret, "out of memory for the PVM");
		goto fail;
	}
	memset(p->pages, 0xcc, 4096);
	p->page_used[0] = 1;
	p->page_hint = 1;
	ret = fill_info(p, e);
	if (ret)
		goto fail;
	p->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p->event < 0) {
		ret = err_set(e, -errno, "eventfd: %s", strerror(errno));
		goto fail;
	}
	ret = gate_doorbell_init(p, e);
	if (ret)
		goto fail;
	*out = p;
	return 0;
fail:
	gate_destroy(p);
	return ret;
}

void gate_destroy(struct gate *p)
{
	unsigned i;

	if (!p)
		return;
	if (p->slow_timer >= 0)
		loop_timer_del(p->loop, p->slow_timer);
	if (p->loop)
		loop_del(p->loop, p->event);
	if (p->event >= 0)
		close(p->event);
	for (i = 0; i < UMBRA_INSTANCES; i++)
		if (p->instances[i])
			gate_caller_remove(p, i);
	gate_command_free_all(p);
	lent_names_destroy(p->names);
	free(p->page_used);
	pthread_mutex_destroy(&p->done_lock);
	pthread_mutex_destroy(&p->ledger_lock);
	pthread_rwlock_destroy(&p->instances_lock);
	free(p);
}

int gate_start(struct gate *p, struct loop *l, gate_hello_fn *hello, void *arg)
{
	int ret;

	p->hello = hello;
	p->hello_arg = arg;
	ret = loop_add(l, p->event, EPOLLIN, gate_command_event, p);
	if (ret)
		return ret;
	p->loop = l;
	ret = loop_timer(l, 0, 0, gate_command_slow, p);
	p->slow_timer = ret;
	return ret < 0 ? ret : 0;
}

int gate_page_alloc(struct gate *p, u64 *gpa, u8 **hva)
{
	size_t n, i = p->page_hint;

	for (n = 0; n < PAGES; n++, i++) {
		if (i >= PAGES)
			i = 1;
		if (!p->page_used[i])
			break;
	}
	if (n == PAGES)
		return -ENOSPC;
	p->page_used[i] = 1;
	p->page_hint = i + 1;
	*gpa = UMBRA_PAGES_GPA + i * 4096;
	*hva = p->pages + i * 4096;
	memset(*hva, 0xcc, 4096);
	return 0;
}

void gate_page_free(struct gate *p, u64 gpa)
{
	size_t i = (gpa - UMBRA_PAGES_GPA) / 4096;

	if (i && i < PAGES) {
		p->page_used[i] = 0;
		memset(p->pages + i * 4096, 0xcc, 4096);
	}
}

int gate_caller_add(struct gate *p, const struct policy_session *s, const char *session,
		    const char *driver)
{
	struct instance *in = calloc(1, sizeof(*in));
	unsigned i;

	if (!in)
		return -ENOMEM;
	in->policy = s;
	in->session = strdup(session);
	in->driver = strdup(driver);
	if (!in->session || !in->driver)
		goto fail;
	pthread_rwlock_wrlock(&p->instances_lock);
	for (i = 1; i < UMBRA_INSTANCES && p->instances[i]; i++)
		;
	if (i < UMBRA_INSTANCES)
		p->instances[i] = in;
	pthread_rwlock_unlock(&p->instances_lock);
	if (i < UMBRA_INSTANCES)
		return (int)i;
fail:
	free(in->session);
	free(in->driver);
	free(in);
	return -ENOSPC;
}

void gate_caller_remove(struct gate *p, unsigned inst)
{
	struct instance *in;

	if (inst >= UMBRA_INSTANCES)
		return;
	pthread_rwlock_wrlock(&p->instances_lock);
	pthread_mutex_lock(&p->ledger_lock);
	gate_objects_drop(p, inst);
	in = p->instances[inst];
	p->instances[inst] = NULL;
	pthread_mutex_unlock(&p->ledger_lock);
	pthread_rwlock_unlock(&p->instances_lock);
	if (in) {
		free(in->session);
		free(in->driver);
		free(in);
	}
}

void gate_caller_set_policy(struct gate *p, unsigned inst, const struct policy_session *s)
{
	pthread_rwlock_wrlock(&p->instances_lock);
	if (inst < UMBRA_INSTANCES && p->instances[inst])
		p->instances[inst]->policy = s;
	pthread_rwlock_unlock(&p->instances_lock);
}

size_t gate_caller_objects(struct gate *p, unsigned inst)
{
	size_t n = 0;

	pthread_mutex_lock(&p->ledger_lock);
	if (inst < UMBRA_INSTANCES && p->instances[inst])
		n = p->instances[inst]->objects;
	pthread_mutex_unlock(&p->ledger_lock);
	return n;
}

u64 gate_caller_calls(struct gate *p, unsigned inst)
{
	u64 n = 0;

	pthread_rwlock_rdlock(&p->instances_lock);
	if (inst < UMBRA_INSTANCES && p->instances[inst])
		n = atomic_load(&p->instances[inst]->calls);
	pthread_rwlock_unlock(&p->instances_lock);
	return n;
}

int gate_entry(struct gate *p, u8 *entry, u64 va, unsigned inst, const struct catalog_fn *fn)
{
	u64 common = atomic_load(&p->gate_va) + (u64)(umbra_gate_common - umbra_gate_blob);
	u32 id = UMBRA_ID(inst, catalog_index(fn));
	s64 rel = (s64)(common - (va + 11));
	s32 rel32 = (s32)rel;

	if (!atomic_load(&p->gate_va) || rel != rel32)
		return -ERANGE;
	memset(entry, 0xcc, UMBRA_GATE_ENTRY);
	entry[0] = 0x41; /* mov $id, %r11d */
	entry[1] = 0xbb;
	memcpy(entry + 2, &id, 4);
	entry[6] = 0xe9; /* jmp umbra_gate_common */
	memcpy(entry + 7, &rel32, 4);
	return 0;
}

void gate_stats(struct gate *p, struct gate_stats *out)
{
	out->calls = atomic_load(&p->calls);
	out->results = atomic_load(&p->results);
	out->refused_doorbells = atomic_load(&p->refused);
	out->blocked_writes = atomic_load(&p->blocked);
	out->lost = atomic_load(&p->lost);
	out->nested = atomic_load(&p->nested);
	out->gate = atomic_load(&p->gate_va);
}
