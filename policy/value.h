/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Takes values of a file (text.h) out of libconfig's tree, with the checks and messages that all
 * sections share. A function whose comment does not name the pool needs only label and e of struct
 * parse, so that files other than policies can be read by it as well. Each error is one line:
 * "demo.policy:12: sessions.a.files[0].to: expected ...".
 */
#ifndef UMBRA_POLICY_VALUE_H
#define UMBRA_POLICY_VALUE_H

#include <libconfig.h>

#include "policy/policy_int.h"

struct parse {
	struct policy *p;
	const char *label; /* as the user named the file, for errors */
	const char *base;  /* its last component, for rules */
	unsigned rules;	   /* entries so far, against POLICY_RULE_MAX */
	struct err *e;
};

struct keyword {
	const char *name;
	int value;
};

/* Writes "LABEL:LINE: PATH: ..." and return -EINVAL. */
int value_error(struct parse *ps, const config_setting_t *st, const char *fmt, ...) __printf(3, 4);
/* Reports that memory is out, and returns -ENOMEM. */
int value_nomem(struct parse *ps);

/* @s for a message: in quotes, control characters escaped, cut to fit; returns @buf. */
#define VALUE_QUOTE 80
const char *value_quote(char buf[VALUE_QUOTE], const char *s);

/* Checks that @st is a group that holds no other keys than @keys. */
int value_group(struct parse *ps, config_setting_t *st, const char *const *keys, size_t n);
/* Checks that @st is a list ( ) or an array [ ]; @what names its items, for errors. */
int value_list(struct parse *ps, config_setting_t *st, const char *what);
/* Counts @n more entries against POLICY_RULE_MAX. */
int value_count(struct parse *ps, config_setting_t *st, size_t n);

/* Returns the type of @st, for a message: "a string", "a list ( )". */
const char *value_type(const config_setting_t *st);
/* Gets the text of @st, a string; libconfig owns it. */
int value_string(struct parse *ps, config_setting_t *st, const char *what, const char **out);
/* Gets a member of @group; *out is left alone if there is none. */
int value_bool(struct parse *ps, config_setting_t *group, const char *key, bool *out);
int value_keyword(struct parse *ps, config_setting_t *group, const char *key,
		  const struct keyword *words, size_t n, int *out);
/* Gets an errno by its name, "EPERM". */
int value_errno(struct parse *ps, config_setting_t *group, const char *key, int *out);
/* Gets a plain absolute path, copied into the pool without a slash at its end; "" stands for /. */
int value_path(struct parse *ps, config_setting_t *st, const char **out);
/* Copies a string into the pool. */
int value_copy(struct parse *ps, const char *s, const char **out);

#endif
