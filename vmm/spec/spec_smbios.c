// SPDX-License-Identifier: GPL-2.0-only
/* Parses what a guest's SMBIOS tables say (--uuid and --smbios). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/spec/spec_text.h"

#define UUID_FORM "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx"

/* The words of each type, in QEMU's language. */
static const struct {
	char type;
	enum spec_smbios_text text;
	const char *key;
} words[] = {
	{ '0', SPEC_SMBIOS_BIOS_VENDOR, "vendor" },
	{ '0', SPEC_SMBIOS_BIOS_VERSION, "version" },
	{ '0', SPEC_SMBIOS_BIOS_DATE, "date" },
	{ '1', SPEC_SMBIOS_SYSTEM_MANUFACTURER, "manufacturer" },
	{ '1', SPEC_SMBIOS_SYSTEM_PRODUCT, "product" },
	{ '1', SPEC_SMBIOS_SYSTEM_VERSION, "version" },
	{ '1', SPEC_SMBIOS_SYSTEM_SERIAL, "serial" },
	{ '1', SPEC_SMBIOS_SYSTEM_SKU, "sku" },
	{ '1', SPEC_SMBIOS_SYSTEM_FAMILY, "family" },
	{ '2', SPEC_SMBIOS_BOARD_MANUFACTURER, "manufacturer" },
	{ '2', SPEC_SMBIOS_BOARD_PRODUCT, "product" },
	{ '2', SPEC_SMBIOS_BOARD_VERSION, "version" },
	{ '2', SPEC_SMBIOS_BOARD_SERIAL, "serial" },
	{ '2', SPEC_SMBIOS_BOARD_ASSET, "asset" },
	{ '2', SPEC_SMBIOS_BOARD_LOCATION, "location" },
	{ '3', SPEC_SMBIOS_CHASSIS_MANUFACTURER, "manufacturer" },
	{ '3', SPEC_SMBIOS_CHASSIS_VERSION, "version" },
	{ '3', SPEC_SMBIOS_CHASSIS_SERIAL, "serial" },
	{ '3', SPEC_SMBIOS_CHASSIS_ASSET, "asset" },
	{ '3', SPEC_SMBIOS_CHASSIS_SKU, "sku" },
};

static int hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int parse_uuid(struct spec_smbios *s, const char *text)
{
	u8 uuid[sizeof(s->uuid)] = { 0 };
	size_t n = 0;

	if (strlen(text) != strlen(UUID_FORM))
		return -EINVAL;
	for (size_t i = 0; text[i]; i++) {
		int digit = hex_value(text[i]);

		if (UUID_FORM[i] == '-' ? text[i] != '-' : digit < 0)
			return -EINVAL;
		if (UUID_FORM[i] == '-')
			continue;
		uuid[n / 2] = (u8)(uuid[n / 2] << 4 | digit);
		n++;
	}
	memcpy(s->uuid, uuid, sizeof(uuid));
	s->uuid_given = true;
	return 0;
}

void spec_uuid_text(const u8 uuid[16], char text[SPEC_UUID_TEXT])
{
	size_t n = 0;

	for (size_t i = 0; i < 16; i++)
		n += (size_t)snprintf(text + n, SPEC_UUID_TEXT - n, "%s%02x",
				      i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "", uuid[i]);
}

static int smbios_uuid(struct guest_spec *s, const char *option, const char *text,
		       const char *value, struct err *e)
{
	return parse_uuid(&s->smbios, value) ? err_set(e, -EINVAL,
						       "%s %s: want a UUID such as "
						       "123e4567-e89b-12d3-a456-426614174000",
						       option, text)
					     : 0;
}

int spec_take_uuid(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	(void)base;
	return smbios_uuid(s, "--uuid", text, text, e);
}

/* Cuts the first word off *rest; ",," in it becomes the comma that it stands for. */
static char *next_word(char **rest)
{
	char *word = *rest, *to = word;

	if (!word)
		return NULL;
	for (char *from = word;; from++) {
		if (*from == ',' && from[1] != ',') {
			*rest = from + 1;
			break;
		}
		from += *from == ',';
		*to = *from;
		if (!*to++) {
			*rest = NULL;
			return word;
		}
	}
	*to = '\0';
	return word;
}

static int unknown_smbios_word(const char *text, char type, const char *word, struct err *e)
{
	const char *known[ARRAY_SIZE(words) + 2];
	char form[120];
	size_t n = 0, at = (size_t)snprintf(form, sizeof(form), "type=%c", type);

	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		if (words[i].type == type) {
			known[n++] = words[i].key;
			at += (size_t)snprintf(form + at, sizeof(form) - at, "[,%s=S]",
					       words[i].key);
		}
	if (type == '1')
		known[n++] = "uuid";
	known[n] = NULL;
	return spec_unknown_word("--smbios", text, word, known, form, e);
}

static int take_smbios_text(struct spec_smbios *s, const char *text, enum spec_smbios_text which,
			    const char *value, struct err *e)
{
	if (strlen(value) > SPEC_SMBIOS_TEXT_MAX)
		return err_set(e, -EINVAL, "--smbios %s: a text has up to %d characters", text,
			       SPEC_SMBIOS_TEXT_MAX);
	for (const char *c = value; *c; c++)
		if (*c < ' ' || *c > '~')
			return err_set(e, -EINVAL, "--smbios %s: a text is printable ASCII", text);
	s->text[which] = value;
	return 0;
}

static int smbios_word(struct guest_spec *s, const char *text, char type, const char *word,
		       struct err *e)
{
	const char *value;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		value = words[i].type == type ? spec_word_value(word, words[i].key) : NULL;
		if (value)
			return take_smbios_text(&s->smbios, text, words[i].text, value, e);
	}
	value = type == '1' ? spec_word_value(word, "uuid") : NULL;
	return value ? smbios_uuid(s, "--smbios", text, value, e)
		     : unknown_smbios_word(text, type, word, e);
}

int spec_take_smbios(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	char *rest = guest_spec_keep(s, strdup(text)), *word;
	const char *type;
	int ret = 0;

	(void)base;
	if (!rest)
		return err_set(e, -ENOMEM, "out of memory");
	type = spec_word_value(next_word(&rest), "type");
	if (!type || strlen(type) != 1 || !strchr("0123", *type))
		return err_set(e, -EINVAL,
			       "--smbios %s: want type=0, 1, 2 or 3, then ,key=text of it", text);
	while (!ret && (word = next_word(&rest)))
		ret = smbios_word(s, text, *type, word, e);
	return ret;
}
