// SPDX-License-Identifier: GPL-2.0-only
/* Parses the text form of the guest's memory balloon (--balloon). */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/spec/spec_text.h"

#define FORM "on[,reporting=on|off][,deflate-on-oom=on|off][,id=ID][,slot=N][,bus=PORT], or off"

/* Reads on or off; @key: what it is about, "" for the balloon itself. */
static int parse_switch(const char *whole, const char *key, const char *value, bool *on,
			struct err *e)
{
	*on = !strcmp(value, "on");
	if (*on || !strcmp(value, "off"))
		return 0;
	return err_set(e, -EINVAL, "--balloon %s: want %s%son or off", whole, key, *key ? "=" : "");
}

/* Returns what stands behind "KEY="; "" behind a mere KEY; NULL: @word is another. */
static const char *switch_value(const char *word, const char *key)
{
	return strcmp(word, key) ? spec_word_value(word, key) : "";
}

static int balloon_word(struct spec_balloon *b, const char *whole, const char *word, struct err *e)
{
	static const char *const known[] = { "reporting", "deflate-on-oom", "id", "slot", "bus",
					     NULL };
	int ret = spec_device_word(&b->dev, "--balloon", whole, word, e);
	bool on = false;
	const char *value;

	if (ret)
		return ret < 0 ? ret : 0;
	value = switch_value(word, "reporting");
	if (value) {
		ret = parse_switch(whole, "reporting", value, &on, e);
		b->no_reporting = !on;
		return ret;
	}
	value = switch_value(word, "deflate-on-oom");
	if (value) {
		ret = parse_switch(whole, "deflate-on-oom", value, &on, e);
		b->no_deflate_on_oom = !on;
		return ret;
	}
	return spec_unknown_word("--balloon", whole, word, known, FORM, e);
}

int spec_take_balloon(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	struct spec_balloon b = { .on = false };
	const char *next = text;
	bool first = true;
	int ret;

	(void)base;
	do {
		size_t len = strcspn(next, ",");
		char word[SPEC_ID_MAX + 16];

		/* What does not fit is no word that is known, whatever it begins with. */
		snprintf(word, sizeof(word), "%.*s", len < sizeof(word) ? (int)len : 0, next);
		ret = first ? parse_switch(text, "", word, &b.on, e)
			    : balloon_word(&b, text, word, e);
		if (!ret && !first && !b.on)
			ret = err_set(e, -EINVAL, "--balloon %s: nothing goes with off", text);
		next = next[len] ? next + len + 1 : NULL;
		first = false;
	} while (!ret && next);
	if (!ret)
		s->balloon = b;
	return ret;
}
