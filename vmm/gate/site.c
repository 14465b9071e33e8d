// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says for the record from where in a driver a call came: by the address that it returns to, where
 * the guest's loader has put the driver's sections, and the driver's own symbols. The address, and
 * so the text, is the guest's word: nothing is decided by it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/gate/gate_int.h"

#define LOOKS_MAX \
	8 /* for a driver's sections; its first call is in its init, when they are there */

/* A section with text. */
struct text_section {
	char *name;
	u64 size, at; /* at: in the guest; 0: not known */
	u32 first, n; /* of its functions */
};

struct own_function {
	u64 value;
	const char *name;
};

struct caller_text {
	pthread_mutex_t lock;
	unsigned looks; /* for the sections; LOOKS_MAX: they are known, or will not be */
	char *module;
	struct text_section *sections;
	size_t n_sections;
	struct own_function *functions; /* of all sections, of each in order */
	char *names;
};

void gate_text_free(struct caller_text *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_sections; i++)
		free(t->sections[i].name);
	free(t->sections);
	free(t->functions);
	free(t->names);
	free(t->module);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* Copies the functions, with their names behind each other. */
static int text_add_functions(struct caller_text *t, const struct gate_function *list, size_t n)
{
	size_t bytes = 1;
	char *at;

	for (size_t i = 0; i < n; i++)
		bytes += strlen(list[i].name) + 1;
	t->functions = calloc(n + 1, sizeof(*t->functions));
	t->names = at = malloc(bytes);
	if (!t->functions || !at)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		const size_t len = strlen(list[i].name) + 1;

		t->functions[i] = (struct own_function){ list[i].value, at };
		memcpy(at, list[i].name, len);
		at += len;
	}
	return 0;
}

static int text_add_sections(struct caller_text *t, const struct gate_function *list, size_t n)
{
	t->sections = calloc(n + 1, sizeof(*t->sections));
	if (!t->sections)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++) {
		struct text_section *s = &t->sections[t->n_sections];

		if (i && !strcmp(list[i].section, list[i - 1].section)) {
			s[-1].n++;
			continue;
		}
		*s = (struct text_section){ .name = strdup(list[i].section),
					    .size = list[i].section_size,
					    .first = (u32)i,
					    .n = 1 };
		if (!s->name)
			return -ENOMEM;
		t->n_sections++;
	}
	return 0;
}

int gate_caller_text(struct gate *g, unsigned caller, const char *module,
		     const struct gate_function *list, size_t n)
{
	struct caller_text *t = calloc(1, sizeof(*t));
	struct gate_caller *c;
	int ret;

	if (!t)
		return -ENOMEM;
	pthread_mutex_init(&t->lock, NULL);
	t->module = strdup(module);
	ret = t->module ? text_add_functions(t, list, n) : -ENOMEM;
	if (!ret)
		ret = text_add_sections(t, list, n);
	if (!ret) {
		pthread_rwlock_wrlock(&g->callers_lock);
		c = gate_caller_of(g, UMBRA_ID(caller, 0));
		if (c && !c->text) {
			c->text = t;
			t = NULL;
		}
		pthread_rwlock_unlock(&g->callers_lock);
	}
	gate_text_free(t);
	return ret;
}

void gate_set_sections_hook(struct gate *g, gate_sections_fn *fn, void *arg)
{
	g->sections = fn;
	g->sections_arg = arg;
}

/* Keeps what has a place: a driver's file may have tens of thousands, each call looks at all. */
static void text_forget_unknown(struct caller_text *t)
{
	size_t kept = 0;

	for (size_t i = 0; i < t->n_sections; i++) {
		if (t->sections[i].at)
			t->sections[kept++] = t->sections[i];
		else
			free(t->sections[i].name);
	}
	t->n_sections = kept;
}

/* Looks where the guest has put the sections; the lock is held. */
static void text_look(struct gate *g, struct caller_text *t)
{
	struct gate_section found[GATE_SECTIONS_MAX];
	size_t n;

	t->looks++;
	n = g->sections ? g->sections(g->sections_arg, t->module, found) : 0;
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < t->n_sections; k++)
			if (!t->sections[k].at && !strcmp(found[i].name, t->sections[k].name)) {
				t->sections[k].at = found[i].addr;
				break;
			}
	if (n)
		t->looks = LOOKS_MAX;
	if (t->looks == LOOKS_MAX)
		text_forget_unknown(t);
}

/* Writes where @va is, if it is in the section. */
static bool section_site(const struct caller_text *t, const struct text_section *s, u64 va,
			 char *buf, size_t size)
{
	const struct own_function *f = &t->functions[s->first];
	u32 low = 0, high = s->n;

	/* Behind a call that does not return, the next function may begin. */
	if (!s->at || va - 1 - s->at >= s->size)
		return false;
	while (high - low > 1) {
		const u32 middle = low + (high - low) / 2;

		if (f[middle].value <= va - 1 - s->at)
			low = middle;
		else
			high = middle;
	}
	if (f[low].value > va - 1 - s->at)
		snprintf(buf, size, "%s+0x%" PRIx64, s->name, va - s->at);
	else
		snprintf(buf, size, "%s+0x%" PRIx64, f[low].name, va - s->at - f[low].value);
	return true;
}

const char *gate_site_text(struct gate *g, struct gate_caller *c, u64 va, bool look, char *buf,
			   size_t size)
{
	struct caller_text *t = c->text;
	bool found = false;

	if (!t || !va)
		return NULL;
	pthread_mutex_lock(&t->lock);
	if (look && t->looks < LOOKS_MAX)
		text_look(g, t);
	for (size_t i = 0; i < t->n_sections && !found; i++)
		found = section_site(t, &t->sections[i], va, buf, size);
	if (!found && t->looks < LOOKS_MAX)
		snprintf(buf, size, "0x%" PRIx64, va);
	else if (!found)
		snprintf(buf, size, "tail call");
	pthread_mutex_unlock(&t->lock);
	return buf;
}
