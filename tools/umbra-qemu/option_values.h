/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parses the values of QEMU's options, "driver,key=value,...", in which ",," is a comma, or the
 * same as a JSON object. Both become keys with texts: a boolean is "on" or "off", null is "null", a
 * member of an object in it is "cache.direct".
 *
 * Each key must be taken by who knows what it means: values_end() refuses those that nobody took,
 * so that nothing that was asked for is left out without a word.
 */
#ifndef UMBRA_TOOLS_OPTION_VALUES_H
#define UMBRA_TOOLS_OPTION_VALUES_H

#include "base/err.h"
#include "base/types.h"

struct option_value {
	char *key, *text;
	bool taken;
};

struct option_values {
	const char *option, *implied; /* "-device", "driver": borrowed, for messages */
	struct option_value *v;
	size_t n;
};

/*
 * Parses @text of @option, whose first word without '=' is the value of key @implied (NULL: there
 * is none). -EINVAL and a line; free *v in any case.
 */
int values_parse(struct option_values *v, const char *option, const char *implied, const char *text,
		 struct err *e);
void values_free(struct option_values *v);

/* Returns the text of @key, and takes it; NULL: it is not there. */
const char *values_take(struct option_values *v, const char *key);
/* Does the same without taking it. */
const char *values_look(const struct option_values *v, const char *key);
/* Does values_take(); -EINVAL and a line: it is not there, or "". */
int values_need(struct option_values *v, const char *key, const char **text, struct err *e);
/*
 * Takes @key if it is there. Its text must be one of @wanted, separated by '|': another one is
 * -EINVAL and a line.
 */
int values_accept(struct option_values *v, const char *key, const char *wanted, struct err *e);
/* Takes @key as a number up to @max, decimal or hexadecimal; *n is left alone if it is not there.
 */
int values_number(struct option_values *v, const char *key, u64 max, u64 *n, struct err *e);
/* Takes all of them, which mean nothing here. */
void values_take_all(struct option_values *v);
/* Writes the line that refuses @key=@text; returns -EINVAL. @want: what there is, or NULL. */
int values_refuse(const struct option_values *v, const char *key, const char *text,
		  const char *want, struct err *e);
/* Was none of the keys taken? */
bool values_untouched(const struct option_values *v);
/* Refuses the first key that was not taken. */
int values_end(const struct option_values *v, struct err *e);

#endif
