// SPDX-License-Identifier: GPL-2.0-only
/* Parses the text form of the guest's RAM (--memory). */
#include "vmm/spec/spec_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/spec/size.h"

#define HUGE_2M (2ULL << 20)
#define HUGE_1G (1ULL << 30)

static int memory_word(struct guest_spec *spec, const char *s, const char *word, struct err *e)
{
	static const char *const known[] = { "shared", "hugepages", NULL };
	static const char huge[] = "hugepages=";

	if (!strcmp(word, "shared")) {
		spec->memory_shared = true;
		return 0;
	}
	if (!strcmp(word, "hugepages")) {
		spec->huge_page = HUGE_2M;
		return 0;
	}
	if (!strncmp(word, huge, sizeof(huge) - 1)) {
		if (size_parse(word + sizeof(huge) - 1, &spec->huge_page) ||
		    (spec->huge_page != HUGE_2M && spec->huge_page != HUGE_1G))
			return err_set(e, -EINVAL, "--memory %s: huge pages have 2M or 1G", s);
		return 0;
	}
	return spec_unknown_word("--memory", s, word, known, "SIZE[,shared][,hugepages[=2M|1G]]",
				 e);
}

static bool has_no_unit(const char *s)
{
	while (*s >= '0' && *s <= '9')
		s++;
	return !*s || *s == ',';
}

int spec_take_memory(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	const char *next = text;
	bool size = true;
	size_t len;
	char word[32];
	int ret;

	(void)base;
	s->memory_shared = false;
	s->huge_page = 0;
	do {
		len = strcspn(next, ",");
		/* What does not fit is no word that is known, whatever it begins with. */
		snprintf(word, sizeof(word), "%.*s", len < sizeof(word) ? (int)len : 0, next);
		if (size && size_parse(word, &s->memory))
			return err_set(e, -EINVAL, "--memory %s: want a size such as 256M or 2G",
				       text);
		ret = size ? 0 : memory_word(s, text, word, e);
		if (ret)
			return ret;
		next = next[len] ? next + len + 1 : NULL;
		size = false;
	} while (next);
	if (s->memory < SPEC_MIN_MEMORY || s->memory > SPEC_MAX_MEMORY)
		return err_set(e, -EINVAL, "--memory %s: want %llu MiB to %llu GiB%s", text,
			       SPEC_MIN_MEMORY >> 20, SPEC_MAX_MEMORY >> 30,
			       s->memory < SPEC_MIN_MEMORY && has_no_unit(text)
				       ? "; without K, M or G it is a number of bytes"
				       : "");
	if (s->huge_page && s->memory % s->huge_page)
		return err_set(e, -EINVAL,
			       "--memory %s: not a whole number of huge pages of %llu MiB", text,
			       (unsigned long long)s->huge_page >> 20);
	s->memory = ALIGN_UP(s->memory, 4096ULL);
	return 0;
}
