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

/* Write "LABEL:LINE: PATH: ..." and return -EINVAL. */
int value_error(struct parse *ps, const config_setting_t *st, const char *fmt, ...) __printf(3, 4);
/* Out of memory. */
int value_nomem(struct parse *ps);

/* @s for a message: in quotes, control characters escaped, cut to fit; returns @buf. */
#define VALUE_QUOTE 80
const char *value_quote(char buf[VALUE_QUOTE], const char *s);

/* @st must be a group that holds no other keys than @keys. */
int value_group(struct parse *ps, config_setting_t *st, const char *const *keys, size_t n);
/* @st must be a list ( ) or an array [ ]; @what names its items, for errors. */
int value_list(struct parse *ps, config_setting_t *st, const char *what);
/* Count @n more entries against POLICY_RULE_MAX. */
int value_count(struct parse *ps, config_setting_t *st, size_t n);

/* The type of @st, for a message: "a string", "a list ( )". */
const char *value_type(const config_setting_t *st);
/* The text of @st, a string; owned by libconfig. */
int value_string(struct parse *ps, config_setting_t *st, const char *what, const char **out);
/* Members of @group; *out is left alone if there is none. */
int value_bool(struct parse *ps, config_setting_t *group, const char *key, bool *out);
int value_keyword(struct parse *ps, config_setting_t *group, const char *key,
		  const struct keyword *words, size_t n, int *out);
/* An errno by name, "EPERM". */
int value_errno(struct parse *ps, config_setting_t *group, const char *key, int *out);
/* A plain absolute path, copied into the pool without a slash at its end; "" stands for /. */
int value_path(struct parse *ps, config_setting_t *st, const char **out);
/* A string copied into the pool. */
int value_copy(struct parse *ps, const char *s, const char **out);

#endif
