// SPDX-License-Identifier: GPL-2.0-only
#include "vmm/spec/spec_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/machine/layout.h"

#define MAX_MEMORY (1ULL << 40)
#define HUGE_2M	   (2ULL << 20)
#define HUGE_1G	   (1ULL << 30)

static int take_word(struct guest_spec *o, const char *s, const char *word, struct err *e)
{
	static const char *const known[] = { "shared", "hugepages", NULL };
	static const char huge[] = "hugepages=";
	const char *near;

	if (!strcmp(word, "shared")) {
		o->memory_shared = true;
		return 0;
	}
	if (!strcmp(word, "hugepages")) {
		o->huge_page = HUGE_2M;
		return 0;
	}
	if (!strncmp(word, huge, sizeof(huge) - 1)) {
		if (parse_size(word + sizeof(huge) - 1, &o->huge_page) ||
		    (o->huge_page != HUGE_2M && o->huge_page != HUGE_1G))
			return err_set(e, -EINVAL, "--memory %s: huge pages have 2M or 1G", s);
		return 0;
	}
	near = suggest(word, known);
	return err_set(e, -EINVAL, "--memory %s: unknown option \"%s\"; %s%s%s", s, word,
		       near ? "did you mean \"" : "want SIZE[,shared][,hugepages[=2M|1G]]",
		       near ? near : "", near ? "\"?" : "");
}

int parse_memory(struct guest_spec *o, const char *s, struct err *e)
{
	const char *next = s;
	size_t len;
	char word[32];
	int ret;

	o->memory_shared = false;
	o->huge_page = 0;
	for (bool size = true; next; size = false) {
		len = strcspn(next, ",");
		snprintf(word, sizeof(word), "%.*s", (int)len, next);
		if (size && parse_size(word, &o->memory))
			return err_set(e, -EINVAL, "--memory %s: want a size such as 256M or 2G",
				       s);
		ret = size ? 0 : take_word(o, s, word, e);
		if (ret)
			return ret;
		next = next[len] ? next + len + 1 : NULL;
	}
	if (o->memory < LAYOUT_MEM_MIN || o->memory > MAX_MEMORY)
		return err_set(e, -EINVAL, "--memory %s: want %llu MiB to %llu GiB", s,
			       LAYOUT_MEM_MIN >> 20, MAX_MEMORY >> 30);
	if (o->huge_page && o->memory % o->huge_page)
		return err_set(e, -EINVAL,
			       "--memory %s: not a whole number of huge pages of %llu MiB", s,
			       (unsigned long long)o->huge_page >> 20);
	o->memory = ALIGN_UP(o->memory, 4096ULL);
	return 0;
}
