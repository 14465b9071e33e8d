// SPDX-License-Identifier: GPL-2.0-only
/* Parses the text forms of a guest's plain properties, and helps the parsers of its devices. */
#include "vmm/spec/spec_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/suggest.h"

const char *spec_word_value(const char *word, const char *key)
{
	size_t len = strlen(key);

	return !strncmp(word, key, len) && word[len] == '=' ? word + len + 1 : NULL;
}

size_t spec_file_len(const char *text, const char *separators, spec_words_begin_fn *begin)
{
	size_t len = strcspn(text, separators);

	while (text[len] && !begin(text, text + len))
		len += 1 + strcspn(text + len + 1, separators);
	return len;
}

int spec_unknown_word(const char *option, const char *text, const char *word,
		      const char *const *known, const char *form, struct err *e)
{
	char key[40], hint[SUGGEST_HINT];
	size_t len = strcspn(word, "=");
	const char *near;

	if (len >= sizeof(key))
		len = sizeof(key) - 1;
	memcpy(key, word, len);
	key[len] = '\0';
	near = suggest(key, known);
	if (near)
		return err_set(e, -EINVAL, "%s %s: unknown option \"%s\"%s", option, text, key,
			       suggest_hint(hint, near));
	return err_set(e, -EINVAL, "%s %s: unknown option \"%s\"; want %s", option, text, key,
		       form);
}

int spec_number(const char *text, unsigned min, unsigned max, unsigned *out)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n < min || n > max)
		return -EINVAL;
	*out = (unsigned)n;
	return 0;
}

int spec_take_cpus(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	(void)base;
	if (spec_number(text, 1, SPEC_MAX_CPUS, &s->cpus))
		return err_set(e, -EINVAL, "--cpus %s: want a number from 1 to %d", text,
			       SPEC_MAX_CPUS);
	return 0;
}

int spec_take_driver_wait(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	(void)base;
	if (*text != '/')
		return err_set(e, -EINVAL, "--driver-wait %s: want an absolute path in the guest",
			       text);
	s->driver_wait = text;
	return 0;
}

int spec_take_confine(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	(void)base;
	return confine_mode_find(text, &s->confine)
		       ? err_set(e, -EINVAL, "--confine %s: want on, off, strict or managed", text)
		       : 0;
}

int spec_take_firmware(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	s->firmware = strcmp(text, "seabios") != 0 ? guest_spec_path(s, base, text) : text;
	return s->firmware ? 0 : err_set(e, -ENOMEM, "out of memory");
}
