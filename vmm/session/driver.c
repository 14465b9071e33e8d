// SPDX-License-Identifier: GPL-2.0-only
/* Finds, names, checks and plans a session's drivers on the host. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name_chars.h"
#include "policy/catalog.h"
#include "vmm/session/driver.h"

const char *driver_state_name(enum driver_state st)
{
	switch (st) {
	case DRIVER_QUEUED:
		return "queued";
	case DRIVER_LOADING:
		return "loading";
	case DRIVER_UNLOADING:
		return "unloading";
	case DRIVER_CRASHED:
		return "crashed";
	case DRIVER_HIDDEN:
		return "hidden";
	case DRIVER_REMOVED:
		return "removed";
	case DRIVER_LOADED:
	default:
		return "loaded";
	}
}

/* Compares names of modules as the kernel does: '-' and '_' are one. */
static bool module_names_equal(const char *a, const char *b)
{
	for (; *a && *b; a++, b++)
		if (*a != *b && !(strchr("-_", *a) && strchr("-_", *b)))
			return false;
	return *a == *b;
}

int driver_find(struct sessions *s, const char *session, const char *name, struct driver **out,
		struct err *e)
{
	struct driver *found = NULL;
	struct session *ss;
	struct driver *d;

	for (ss = s->list; ss; ss = ss->next) {
		if (session && strcmp(ss->name, session) != 0)
			continue;
		for (d = ss->drivers; d; d = d->next) {
			if (!module_names_equal(d->name, name))
				continue;
			if (found)
				return err_set(e, -ENOTUNIQ,
					       "several sessions have a driver %s; say SESSION:%s",
					       name, name);
			found = d;
		}
	}
	if (!found)
		return err_set(e, -ENOENT,
			       "no driver %s%s%s; `vmm driver list` shows what there is", name,
			       session ? " in session " : "", session ? session : "");
	*out = found;
	return 0;
}

/*
 * Checks and copies the parameters, which reach the kernel as they are; a client may send anything.
 */
static int driver_keep_params(struct driver *d, const char *params, struct err *e)
{
	if (strchr(params, '\n'))
		return err_set(e, -EINVAL, "driver parameters are one line: %s", params);
	if (strlen(params) >= UMBRA_PARAMS_MAX)
		return err_set(e, -E2BIG, "driver parameters are longer than %d bytes",
			       UMBRA_PARAMS_MAX - 1);
	d->params = strdup(params);
	return d->params ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static bool rules_critical(void *arg, const char *symbol)
{
	return policy_critical(arg, symbol);
}

static bool rules_permitted(void *arg, const char *symbol)
{
	return policy_permitted(arg, symbol);
}

/* Returns true if calls of @im arrive at an entry that @d has for itself. */
static bool has_own_entry(const struct driver *d, const struct import *im)
{
	return im->target == TARGET_SHADOW && (im->critical || d->layout == LAYOUT_DENSE);
}

/* Checks that the kernel's function is the catalogue's, for one that is or becomes critical. */
int driver_check_critical(const struct kernel *k, const struct driver *d,
			  const struct catalog_fn *fn, struct err *e)
{
	struct err why;
	int ret = gate_fits(k, fn, &why);

	return ret ? err_set(e, ret,
			     "%s: imports %s(), which is critical and not as it should be: %s; to "
			     "have it linked to the kernel as it is, name it in critical.except of "
			     "the session",
			     d->path, fn->name, why.text)
		   : 0;
}

static void forget_entries(struct driver *d)
{
	free(d->entries);
	free(d->direct);
	free(d->inward);
	d->entries = d->direct = NULL;
	d->inward = NULL;
	d->n_entries = d->n_direct = d->n_inward = d->n_shadowed = 0;
}

/* Lists the functions of the kernel that it imports: with an entry of its own, and with none. */
static int collect_entries(const struct kernel *k, struct driver *d, struct err *e)
{
	const size_t max = d->layout == LAYOUT_SAME ? UMBRA_GATES_PER_PAGE : OWN_ENTRIES_MAX;
	const struct import *im;
	size_t n;
	int ret = 0;

	im = link_plan_imports(d->plan, &n);
	d->entries = calloc(n + 1, sizeof(*d->entries));
	d->direct = calloc(n + 1, sizeof(*d->direct));
	if (!d->entries || !d->direct)
		return err_set(e, -ENOMEM, "%s: out of memory", d->path);
	for (size_t i = 0; i < n && !ret; i++) {
		struct driver_entry de = { .symbol = im[i].symbol,
					   .fn = catalog_find(im[i].symbol),
					   .gate_fn = GATE_NO_FN,
					   .address_taken = im[i].address_taken };
		struct kernel_call call;
		const char *why;

		if ((im[i].kind != SYMBOL_FUNCTION && im[i].kind != SYMBOL_SPECIAL) ||
		    !im[i].export)
			continue;
		de.addr = im[i].export->addr;
		de.can_be_seen = im[i].kind == SYMBOL_FUNCTION &&
				 (de.fn || !kernel_call_shape(k, de.symbol, &call, &why));
		if (im[i].target == TARGET_KERNEL)
			d->direct[d->n_direct++] = de;
		d->n_shadowed += im[i].target == TARGET_SHADOW && !has_own_entry(d, &im[i]);
		if (!has_own_entry(d, &im[i]))
			continue;
		if (d->n_entries == max)
			return err_set(e, -E2BIG, "%s: imports more than %zu functions", d->path,
				       max);
		d->entries[d->n_entries++] = de;
		if (im[i].critical)
			ret = driver_check_critical(k, d, de.fn, e);
	}
	return ret;
}

/* Lists the functions of its own that have an inward entry. */
static int collect_inward(struct driver *d, struct err *e)
{
	const struct link_inward *in;
	size_t n;

	in = link_plan_inward(d->plan, &n);
	if (n > INWARD_MAX)
		return err_set(e, -E2BIG, "%s: hands out the addresses of more than %d functions",
			       d->path, INWARD_MAX);
	d->inward = calloc(n + 1, sizeof(*d->inward));
	if (!d->inward)
		return err_set(e, -ENOMEM, "%s: out of memory", d->path);
	for (size_t i = 0; i < n; i++)
		d->inward[i] = (struct inward_entry){ .symbol = in[i].name,
						      .index = in[i].symbol,
						      .exported = in[i].exported,
						      .is_exit = in[i].is_exit,
						      .result = in[i].result,
						      .args = in[i].args };
	d->n_inward = n;
	for (int why = 0; why < INWARD_LEFT_REASONS; why++)
		d->left[why] = link_plan_left(d->plan, why);
	return 0;
}

static void free_permits(struct driver *d)
{
	while (d->n_permits)
		free(d->permits[--d->n_permits]);
	free(d->permits);
	d->permits = NULL;
}

/* Lists the imports that a policy which takes this one's place must permit, too. */
static int collect_permits(struct driver *d, struct err *e)
{
	const struct import *im;
	size_t i, n;

	im = link_plan_imports(d->plan, &n);
	d->permits = calloc(n + 1, sizeof(*d->permits));
	for (i = 0; d->permits && i < n; i++) {
		if (!im[i].by_permission)
			continue;
		d->permits[d->n_permits] = strdup(im[i].symbol);
		if (!d->permits[d->n_permits])
			break;
		d->n_permits++;
	}
	return d->permits && i == n ? 0 : err_set(e, -ENOMEM, "%s: out of memory", d->path);
}

void driver_unplan(struct driver *d)
{
	link_plan_free(d->plan);
	d->plan = NULL;
}

int driver_plan(struct sessions *s, struct driver *d, bool expected, struct err *e)
{
	struct link_rules rules = { rules_critical, rules_permitted,
				    (void *)(uintptr_t)d->session->policy };
	struct link_provider *prov;
	const struct import *bad;
	struct driver *o;
	size_t n = 0;
	int ret;

	driver_unplan(d);
	forget_entries(d);
	d->layout = policy_layout(d->session->policy);
	free_permits(d);
	for (o = d->session->drivers; o && o != d; o = o->next)
		n++;
	prov = calloc(n + 1, sizeof(*prov));
	if (!prov)
		return err_set(e, -ENOMEM, "%s: out of memory", d->path);
	/* (D4); a plan with @expected is for a check only, and made anew before the load */
	for (n = 0, o = d->session->drivers; o && o != d; o = o->next)
		if (o->state == DRIVER_LOADED || expected)
			prov[n++] = (struct link_provider){ o->module, o->guest_name, o->suffix };
	ret = link_plan_create(&d->plan, s->k, d->module, &(struct link_session){ prov, n, &rules },
			       e);
	if (ret)
		goto out;
	bad = link_plan_refused(d->plan);
	if (bad) {
		ret = err_set(
			e, -ENOEXEC,
			"%s: import %s is refused in session %s: %s; see `vmm inspect`, or permit "
			"it in the policy",
			d->path, bad->symbol, d->session->name, bad->reason);
		driver_unplan(d);
		goto out;
	}
	ret = collect_entries(s->k, d, e);
	if (!ret)
		ret = collect_inward(d, e);
	if (!ret)
		ret = collect_permits(d, e);
out:
	free(prov);
	return ret;
}

int driver_note_functions(struct sessions *s, struct driver *d, struct err *e)
{
	struct module_function *list = NULL;
	struct gate_function *to = NULL;
	size_t n = 0, known = 0;
	int ret = module_functions(d->module, &list, &n);

	if (!ret && !(to = calloc(n + 1, sizeof(*to))))
		ret = -ENOMEM;
	for (size_t i = 0; i < n && !ret; i++) {
		struct gate_function *f = &to[known];

		f->name = list[i].name;
		f->value = list[i].value;
		known += module_text_section(d->module, list[i].section, &f->section,
					     &f->section_size);
	}
	if (!ret)
		ret = gate_caller_text(s->gate, d->caller, d->guest_name, to, known);
	free(to);
	free(list);
	return ret ? err_set(e, ret, "%s: out of memory", d->path) : 0;
}

int driver_note_exports(struct sessions *s, struct driver *d, struct err *e)
{
	size_t n = module_export_count(d->module);
	char(*real)[MODULE_NAME_LEN];
	struct gate_export *list;
	int ret = -ENOMEM;

	if (!n)
		return 0;
	list = calloc(n, sizeof(*list));
	real = calloc(n, sizeof(*real));
	if (list && real) {
		for (size_t i = 0; i < n; i++) {
			list[i].name = module_export_name(d->module, i);
			list[i].real = real[i];
			module_private_name(list[i].name, d->suffix, real[i]);
		}
		ret = gate_exports_add(s->gate, d->caller, list, n);
	}
	free(real);
	free(list);
	if (ret == -E2BIG)
		return err_set(e, ret, "%s: no room for its %zu exports", d->path, n);
	return ret ? err_set(e, ret, "%s: out of memory", d->path) : 0;
}

void driver_free(struct driver *d)
{
	placement_free(d->placement);
	driver_unplan(d);
	module_close(d->module);
	forget_entries(d);
	free(d->own.maps);
	free(d->own.hva);
	free_permits(d);
	free(d->name);
	free(d->path);
	free(d->params);
	free(d);
}

/* Gives @d its names; that in the guest is no other driver's (D1). */
static int name_driver(struct sessions *s, struct driver *d, const char *name, struct err *e)
{
	const struct session *ss;
	const struct driver *o;
	char *p;

	d->name = strdup(name ? name : module_name(d->module));
	if (!d->name)
		return err_set(e, -ENOMEM, "%s: out of memory", d->path);
	/* The length is checked below, of the whole name. */
	if (!name_chars_only(d->name, NAME_WORD, SIZE_MAX))
		return err_set(e, -EINVAL, "driver name \"%s\": want " NAME_WORD_TEXT, d->name);
	if ((size_t)snprintf(d->guest_name, sizeof(d->guest_name), "%s__%s", d->session->name,
			     d->name) >= sizeof(d->guest_name))
		return err_set(e, -ENAMETOOLONG,
			       "%s__%s: longer than the %d bytes of a module's name",
			       d->session->name, d->name, MODULE_NAME_LEN - 1);
	for (p = d->guest_name; *p; p++)
		if (*p == '-')
			*p = '_';
	snprintf(d->suffix, sizeof(d->suffix), ".u%u", ++s->last_suffix);
	for (ss = s->list; ss; ss = ss->next) {
		for (o = ss->drivers; o && strcmp(o->guest_name, d->guest_name) != 0; o = o->next)
			;
		if (o)
			return err_set(
				e, -EEXIST,
				"session %s has a driver %s already (module %s); give this one a "
				"name: %s/NAME:%s",
				ss->name, o->name, o->guest_name, d->session->name, d->path);
	}
	return 0;
}

static int driver_open(struct driver *d, const struct driver_request *r, struct err *e)
{
	if (r->data)
		return module_open_bytes(&d->module, r->path, r->data, r->len,
					 UMBRA_MAIL_PAYLOAD_MAX, e);
	if (r->fd < 0)
		return module_open(&d->module, r->path, e);
	return module_open_fd(&d->module, r->fd, r->path, UMBRA_MAIL_PAYLOAD_MAX, e);
}

int driver_add(struct sessions *s, const struct driver_request *r, struct driver **out,
	       struct err *e)
{
	struct session *ss;
	struct driver *d;
	int ret = session_get(s, r->session, &ss, e);

	if (ret)
		return ret;
	d = calloc(1, sizeof(*d));
	if (!d)
		return err_set(e, -ENOMEM, "%s: out of memory", r->path);
	d->session = ss;
	d->order = r->order;
	d->path = strdup(r->path);
	if (!d->path) {
		ret = err_set(e, -ENOMEM, "%s: out of memory", r->path);
		goto fail;
	}
	ret = driver_open(d, r, e);
	if (!ret)
		ret = name_driver(s, d, r->name, e);
	if (!ret && r->params)
		ret = driver_keep_params(d, r->params, e);
	if (!ret)
		ret = driver_plan(s, d, true, e);
	if (ret)
		goto fail;
	driver_unplan(d);
	*ss->tail = d;
	ss->tail = &d->next;
	*out = d;
	return 0;
fail:
	driver_free(d);
	return ret;
}

void driver_drop(struct driver *d)
{
	struct session *ss = d->session;
	struct driver **at;

	for (at = &ss->drivers; *at != d; at = &(*at)->next)
		;
	*at = d->next;
	if (ss->tail == &d->next)
		ss->tail = at;
	driver_free(d);
}
