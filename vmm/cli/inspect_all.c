// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plans and copies a whole directory of modules as one session that loads all of them: each driver
 * is planned with those that its "depends" names and copied, as for a guest. The addresses are
 * those of a guest that does not exist; they change nothing but the numbers in the copy.
 */
#include <errno.h>
#include <fts.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/json_text.h"
#include "base/plain_text.h"
#include "base/strmap.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/inspect.h"

#define FILES_MAX     65536
#define PROVIDERS_MAX 128
#define ENTRIES	      (LINK_MODULES_START + ((u64)4 << 20))

enum link_state {
	STATE_NEW,
	STATE_ACTIVE, /* being linked: a "depends" that leads back here is a circle */
	STATE_LINKED,
	STATE_REFUSED,
};

struct candidate {
	struct module *m;
	char *path;
	char key[64]; /* its name with '_' for '-', as "depends" may have either */
	char private[64];
	enum link_state state;
	char why[256];
};

struct all {
	const struct kernel *kernel;
	const struct link_rules *rules;
	struct candidate *list;
	size_t n, linked, branches;
	u64 bytes;
	struct strmap by_name;
	double read_ms, link_ms;
};

/* No entry is made, and any address within reach does. */
static u64 inspect_entry(void *arg, const struct import *im)
{
	(void)arg;
	(void)im;
	return ENTRIES;
}

static void make_key(const char *name, size_t len, char *key, size_t size)
{
	size_t i = 0;

	for (; i < len && i + 1 < size; i++)
		key[i] = (char)(name[i] == '-' ? '_' : name[i]);
	key[i] = '\0';
}

static int add_candidate(struct all *a, const char *path, size_t *room)
{
	struct err e = { "" };
	struct candidate *d;

	if (a->n == *room) {
		size_t n = *room ? *room * 2 : 1024;

		d = n <= FILES_MAX ? realloc(a->list, n * sizeof(*d)) : NULL;
		if (!d)
			return -ENOMEM;
		a->list = d;
		*room = n;
	}
	d = &a->list[a->n];
	memset(d, 0, sizeof(*d));
	d->path = strdup(path);
	if (!d->path)
		return -ENOMEM;
	a->n++;
	if (module_open(&d->m, path, &e)) {
		d->state = STATE_REFUSED;
		snprintf(d->why, sizeof(d->why), "%.255s", e.text);
		return 0;
	}
	make_key(module_name(d->m), strlen(module_name(d->m)), d->key, sizeof(d->key));
	snprintf(d->private, sizeof(d->private), "%.52s" INSPECT_SUFFIX, module_name(d->m));
	return 0;
}

/*
 * Returns true for the name of a driver's file, compressed or not, also in a format that is not
 * read here: such a driver is refused, not passed over.
 */
static bool is_driver_name(const char *name)
{
	static const char *const endings[] = { ".ko",	  ".ko.xz",  ".ko.zst", ".ko.gz",
					       ".ko.bz2", ".ko.lz4", ".ko.lzo", ".ko.lzma" };
	size_t len = strlen(name);

	for (size_t i = 0; i < ARRAY_SIZE(endings); i++) {
		size_t n = strlen(endings[i]);

		if (len > n && !strcmp(name + len - n, endings[i]))
			return true;
	}
	return false;
}

/* Returns true for a driver's file, or a link to one, as weak-updates and the like install them. */
static bool is_driver_file(const FTSENT *f, u64 *size)
{
	struct stat st;

	if (!is_driver_name(f->fts_name))
		return false;
	*size = 0;
	if (f->fts_info == FTS_F)
		*size = (u64)f->fts_statp->st_size;
	else if (f->fts_info == FTS_SL || f->fts_info == FTS_SLNONE)
		*size = !stat(f->fts_accpath, &st) && S_ISREG(st.st_mode) ? (u64)st.st_size : 0;
	else
		return f->fts_info == FTS_NS || f->fts_info == FTS_DEFAULT;
	return true;
}

static int by_path(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int read_candidates(struct all *a, const char *dir)
{
	char *const dirs[] = { (char *)(uintptr_t)dir, NULL };
	FTS *fts = fts_open(dirs, FTS_COMFOLLOW | FTS_PHYSICAL | FTS_NOCHDIR, by_path);
	size_t room = 0;
	FTSENT *f;
	u64 size;
	int ret = 0;

	if (!fts)
		return -errno;
	while (!ret && (f = fts_read(fts))) {
		if (f->fts_info == FTS_DNR || (f->fts_info == FTS_NS && f->fts_level == 0)) {
			ret = -f->fts_errno;
		} else if (is_driver_file(f, &size)) {
			ret = add_candidate(a, f->fts_path, &room);
			a->bytes += size;
		}
	}
	fts_close(fts);
	if (ret)
		return ret;
	ret = strmap_init(&a->by_name, a->n);
	for (size_t i = 0; !ret && i < a->n; i++)
		if (a->list[i].m)
			strmap_add(&a->by_name, a->list[i].key, (u32)i);
	return ret;
}

static void link_one(struct all *a, struct candidate *d, const struct link_provider *providers,
		     size_t n)
{
	const struct link_addresses addresses = {
		.modules = LINK_MODULES_START,
		.modules_end = LINK_MODULES_END,
		.entry = inspect_entry,
	};
	const struct link_session session = { providers, n, a->rules };
	const struct link_identity id = { d->private, INSPECT_SUFFIX };
	struct link_image copy = { NULL, 0 };
	const struct import *im;
	struct link_plan *p = NULL;
	struct err e = { "" };
	size_t n_imports;

	d->state = STATE_REFUSED;
	if (link_plan_create(&p, a->kernel, d->m, &session, &e) ||
	    link_emit(p, &addresses, &id, &copy, &e)) {
		snprintf(d->why, sizeof(d->why), "%.255s", e.text);
	} else {
		d->state = STATE_LINKED;
		a->linked++;
		im = link_plan_imports(p, &n_imports);
		for (size_t i = 0; i < n_imports; i++)
			if (im[i].target == TARGET_SHADOW)
				a->branches += im[i].branches;
	}
	free(copy.data);
	link_plan_free(p);
}

/*
 * Links the drivers of @d's "depends", then @d; the depth is bounded by the number of drivers in a
 * row.
 */
static void link_driver(struct all *a, struct candidate *d, unsigned depth)
{
	struct link_provider providers[PROVIDERS_MAX];
	const char *s;
	size_t n = 0;

	if (d->state != STATE_NEW || depth > 64)
		return;
	d->state = STATE_ACTIVE;
	for (s = module_depends(d->m); *s && n < PROVIDERS_MAX;) {
		size_t len = strcspn(s, ",");
		char key[64];
		u32 i;

		make_key(s, len, key, sizeof(key));
		if (strmap_find(&a->by_name, key, &i)) {
			link_driver(a, &a->list[i], depth + 1);
			providers[n++] = (struct link_provider){ a->list[i].m, a->list[i].private,
								 INSPECT_SUFFIX };
		}
		s += len + (s[len] == ',');
	}
	link_one(a, d, providers, n);
}

static int all_print_json(const struct all *a, const char *dir)
{
	json_t *root, *list = json_array();
	int ret = 0;

	for (size_t i = 0; i < a->n; i++) {
		const struct candidate *d = &a->list[i];

		if (d->state == STATE_LINKED)
			continue;
		json_array_append_new(
			list, json_pack("{s:o, s:o, s:o}", "module", json_any_text(d->key), "file",
					json_any_text(d->path), "reason", json_any_text(d->why)));
	}
	root = json_pack("{s:o, s:i, s:i, s:f, s:i, s:I, s:f, s:f, s:o}", "directory",
			 json_any_text(dir), "modules", (int)a->n, "links", (int)a->linked, "share",
			 a->n ? (double)a->linked / (double)a->n : 0.0, "branches",
			 (int)a->branches, "bytes", (json_int_t)a->bytes, "read_seconds",
			 a->read_ms / 1e3, "link_seconds", a->link_ms / 1e3, "refused", list);
	if (!root || json_dumpf(root, stdout, JSON_INDENT(1) | JSON_ENSURE_ASCII) ||
	    fputc('\n', stdout) == EOF)
		ret = -ENOMEM;
	json_decref(root);
	return ret;
}

/* Returns the percentage of modules that link, rounded down, so that 100.0 means all. */
static double percent_linked(const struct all *a)
{
	u64 permille = 1000 * (u64)a->linked / a->n;

	return (double)permille / 10.0;
}

static void all_print_text(const struct all *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->list[i].state != STATE_LINKED)
			plain_text_line(stdout, "refused: %s", a->list[i].why);
	printf("%zu of %zu modules link completely (%.1f %%); %zu branches go to the shadow\n",
	       a->linked, a->n, percent_linked(a), a->branches);
	printf("read %.1f MB in %.0f ms, linked in %.0f ms (%.2f ms each)\n",
	       (double)a->bytes / 1e6, a->read_ms, a->link_ms, a->link_ms / (double)a->n);
}

int inspect_all(const struct kernel *k, const char *dir, const struct link_rules *rules, bool json)
{
	struct all a = { .kernel = k, .rules = rules };
	struct err e = { "" };
	u64 start = now_ns();
	int ret;

	ret = read_candidates(&a, dir);
	a.read_ms = (double)(now_ns() - start) / 1e6;
	if (ret || !a.n) {
		if (ret == -ENOMEM)
			err_set(&e, ret, "%.400s: out of memory", dir);
		else if (ret)
			err_set(&e, ret, "%.400s: cannot open: %s", dir, strerror(-ret));
		else
			err_set(&e, -ENOENT,
				"%.400s: there is no driver (.ko, .ko.xz, .ko.zst, .ko.gz) in it",
				dir);
		ret = cli_mistake("inspect", &e);
		goto out;
	}
	start = now_ns();
	for (size_t i = 0; i < a.n; i++)
		link_driver(&a, &a.list[i], 0);
	a.link_ms = (double)(now_ns() - start) / 1e6;
	if (json)
		ret = all_print_json(&a, dir);
	else
		all_print_text(&a);
	if (cli_stdout_flush(ret, &e))
		ret = cli_mistake("inspect", &e);
	else
		ret = a.linked == a.n ? INSPECT_LINKS : INSPECT_REFUSED;
out:
	strmap_free(&a.by_name);
	for (size_t i = 0; i < a.n; i++) {
		module_close(a.list[i].m);
		free(a.list[i].path);
	}
	free(a.list);
	return ret;
}
