// SPDX-License-Identifier: GPL-2.0-only
/* Parses the values of QEMU's options, in both of their forms. */
#include "tools/umbra-qemu/option_values.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#define VALUES_MAX 64 /* of one option; libvirt gives less than twenty */

/* --- both forms ---------------------------------------------------------------------------- */

static int check_pair(const struct option_values *v, const char *key, struct err *e)
{
	if (values_look(v, key))
		return err_set(e, -EINVAL, "%s: \"%.80s\" is given twice", v->option, key);
	if (v->n == VALUES_MAX)
		return err_set(e, -EINVAL, "%s: too many words", v->option);
	return 0;
}

/* Adds a pair, which it owns then; NULL: no memory was there for it. */
static int add_pair(struct option_values *v, char *key, char *text, struct err *e)
{
	int ret = key && text ? check_pair(v, key, e) : err_set(e, -ENOMEM, "out of memory");
	struct option_value *more = NULL;

	if (!ret)
		more = realloc(v->v, (v->n + 1) * sizeof(*more));
	if (!more) {
		free(key);
		free(text);
		return ret ? ret : err_set(e, -ENOMEM, "out of memory");
	}
	v->v = more;
	v->v[v->n++] = (struct option_value){ .key = key, .text = text };
	return 0;
}

/* --- words --------------------------------------------------------------------------------- */

/* Copies the word that *at begins with, without its escapes. *at: the next one; NULL: none is. */
static char *next_word(const char **at)
{
	const char *from = *at;
	char *word = malloc(strlen(from) + 1), *to = word;

	if (!word)
		return NULL;
	for (*at = NULL; *from; from++) {
		if (*from == ',' && *++from != ',') {
			*at = from;
			break;
		}
		*to++ = *from;
	}
	*to = '\0';
	return word;
}

static int take_word(struct option_values *v, const char *implied, char *word, struct err *e)
{
	char *equals = strchr(word, '=');

	if (!equals && implied)
		return add_pair(v, strdup(implied), strdup(word), e);
	if (equals == word || !*word)
		return err_set(e, -EINVAL, "%s: a word without a name", v->option);
	/* As QEMU has it, a word alone switches something on. */
	if (!equals)
		return add_pair(v, strdup(word), strdup("on"), e);
	*equals = '\0';
	return add_pair(v, strdup(word), strdup(equals + 1), e);
}

static int parse_words(struct option_values *v, const char *implied, const char *text,
		       struct err *e)
{
	int ret = 0;

	while (text && !ret) {
		char *word = next_word(&text);

		if (!word)
			return err_set(e, -ENOMEM, "out of memory");
		ret = take_word(v, implied, word, e);
		free(word);
		implied = NULL;
	}
	return ret;
}

/* --- JSON ---------------------------------------------------------------------------------- */

static char *scalar_text(const json_t *value)
{
	char number[32];

	if (json_is_string(value))
		return strdup(json_string_value(value));
	if (json_is_null(value))
		return strdup("null");
	if (json_is_boolean(value))
		return strdup(json_is_true(value) ? "on" : "off");
	if (json_is_integer(value)) {
		snprintf(number, sizeof(number), "%lld", (long long)json_integer_value(value));
		return strdup(number);
	}
	return NULL;
}

static int add_members(struct option_values *v, const char *prefix, json_t *object, struct err *e)
{
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value)
	{
		char *key = NULL;
		int ret;

		if (asprintf(&key, "%s%s%s", prefix, *prefix ? "." : "", name) < 0)
			return err_set(e, -ENOMEM, "out of memory");
		/* Two floors are as much as any option has. */
		if (json_is_object(value) && !*prefix) {
			ret = add_members(v, key, value, e);
			free(key);
		} else if (json_is_object(value) || json_is_array(value) || json_is_real(value)) {
			ret = err_set(e, -EINVAL, "%s: \"%.80s\" has no value that Umbra knows",
				      v->option, key);
			free(key);
		} else {
			ret = add_pair(v, key, scalar_text(value), e);
		}
		if (ret)
			return ret;
	}
	return 0;
}

static int parse_json(struct option_values *v, const char *text, struct err *e)
{
	json_error_t error;
	json_t *object = json_loads(text, JSON_REJECT_DUPLICATES, &error);
	int ret;

	if (!object)
		return err_set(e, -EINVAL, "%s: not JSON: %s", v->option, error.text);
	ret = add_members(v, "", object, e);
	json_decref(object);
	return ret;
}

int values_parse(struct option_values *v, const char *option, const char *implied, const char *text,
		 struct err *e)
{
	*v = (struct option_values){ .option = option, .implied = implied };
	return *text == '{' ? parse_json(v, text, e) : parse_words(v, implied, text, e);
}

void values_free(struct option_values *v)
{
	for (size_t i = 0; i < v->n; i++) {
		free(v->v[i].key);
		free(v->v[i].text);
	}
	free(v->v);
	v->v = NULL;
	v->n = 0;
}

/* --- taking -------------------------------------------------------------------------------- */

static struct option_value *find_value(const struct option_values *v, const char *key)
{
	for (size_t i = 0; i < v->n; i++)
		if (!strcmp(v->v[i].key, key))
			return &v->v[i];
	return NULL;
}

const char *values_look(const struct option_values *v, const char *key)
{
	const struct option_value *found = find_value(v, key);

	return found ? found->text : NULL;
}

const char *values_take(struct option_values *v, const char *key)
{
	struct option_value *found = find_value(v, key);

	if (!found)
		return NULL;
	found->taken = true;
	return found->text;
}

int values_need(struct option_values *v, const char *key, const char **text, struct err *e)
{
	*text = values_take(v, key);
	if (*text && **text)
		return 0;
	return err_set(e, -EINVAL, "%s: %s= is missing", v->option, key);
}

int values_refuse(const struct option_values *v, const char *key, const char *text,
		  const char *want, struct err *e)
{
	const char *kind =
		v->implied && strcmp(v->implied, key) != 0 ? values_look(v, v->implied) : NULL;

	return err_set(e, -EINVAL, "%s%s%.60s: %.80s=%.120s is not supported%s%s", v->option,
		       kind ? " " : "", kind ? kind : "", key, text, want ? "; want " : "",
		       want ? want : "");
}

/* Is @text one of the words of @wanted? */
static bool is_one_of(const char *text, const char *wanted)
{
	size_t len = strlen(text);

	for (;; wanted++) {
		size_t n = strcspn(wanted, "|");

		if (n == len && !memcmp(text, wanted, n))
			return true;
		wanted += n;
		if (!*wanted)
			return false;
	}
}

int values_accept(struct option_values *v, const char *key, const char *wanted, struct err *e)
{
	const char *text = values_take(v, key);

	if (!text || is_one_of(text, wanted))
		return 0;
	return values_refuse(v, key, text, wanted, e);
}

int values_number(struct option_values *v, const char *key, u64 max, u64 *n, struct err *e)
{
	const char *text = values_take(v, key);
	char want[48], *end;
	u64 number;

	if (!text)
		return 0;
	errno = 0;
	number = strtoull(text, &end, text[0] == '0' && text[1] == 'x' ? 16 : 10);
	if (*text < '0' || *text > '9' || *end || errno || number > max) {
		snprintf(want, sizeof(want), "a number up to %llu", (unsigned long long)max);
		return values_refuse(v, key, text, want, e);
	}
	*n = number;
	return 0;
}

void values_take_all(struct option_values *v)
{
	for (size_t i = 0; i < v->n; i++)
		v->v[i].taken = true;
}

bool values_untouched(const struct option_values *v)
{
	for (size_t i = 0; i < v->n; i++)
		if (v->v[i].taken)
			return false;
	return true;
}

int values_end(const struct option_values *v, struct err *e)
{
	for (size_t i = 0; i < v->n; i++)
		if (!v->v[i].taken)
			return values_refuse(v, v->v[i].key, v->v[i].text, NULL, e);
	return 0;
}
