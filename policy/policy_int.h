/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Defines what a loaded policy is made of, for the parser, which fills it, and the decision, which
 * only reads it. Everything lies in the policy's pool.
 */
#ifndef UMBRA_POLICY_POLICY_INT_H
#define UMBRA_POLICY_POLICY_INT_H

#include "policy/pool.h"
#include "policy/index.h"
#include "policy/policy.h"

#define POLICY_SPACES	SPACES
#define POLICY_RULE_MAX 100000u /* entries of files, functions and permit, of all sessions */
#define POLICY_NAME_MAX 32	/* of a session */

enum action {
	ACTION_REWRITE, /* through the session's tables */
	ACTION_PASS,
	ACTION_DENY,
};

/* One line of `files`. */
struct file_entry {
	const char *from; /* "" for / */
	const char *to;	  /* ACTION_REWRITE */
	const char *rule;
	enum action action;
	int error; /* ACTION_DENY */
	bool record;
};

/* The tags of a session's file_index. */
enum file_key {
	FILE_FROM, /* `from` of each entry: what the driver asks for */
	FILE_AT,   /* where that really is: `to`, or `from` of what is let through */
};

#define FN_ANY UINT32_MAX

/* One line of `functions`. */
struct fn_rule {
	const char *match;  /* NULL: any name, also none */
	const char *driver; /* NULL: any */
	const char *rule;
	enum action action;
	int error;  /* ACTION_DENY */
	bool exact; /* @match has no special characters */
	bool record;
};

struct permit {
	const char *pattern;
	bool exact;
};

/* One line of `witness` or `trace`. */
struct trace_line {
	const char *pattern;
	const char *rule;
	bool each;
};

/* One line of `names`: the text before and behind the name asked for. */
struct name_template {
	const char *before; /* NULL: none given */
	const char *after;
	const char *rule;
	const char *rule_long; /* @rule for a name that becomes too long */
	const char *rule_bad;  /* @rule for a name that is none */
};

struct policy_session {
	char name[POLICY_NAME_MAX + 1];
	struct file_entry *files;
	struct index file_index; /* key by tag, enum file_key; id: number of the entry */
	struct fn_rule *rules;
	struct index rule_index; /* tag: catalog_index() or FN_ANY; key: literal begin of match */
	struct permit *permits;
	struct index permit_index;
	struct trace_line *traces; /* those of `witness` first */
	size_t n_traces;
	struct trace_line *watches; /* of `trace_inward` */
	size_t n_watches;
	struct name_template names[POLICY_SPACES];
	bool not_critical[CATALOG_MAX];
	enum session_layout layout;
	bool default_pass;
	const char *default_rule;
};

struct policy {
	struct pool pool;
	struct policy_session *sessions;
	size_t n_sessions;
};

/*
 * Names of devices and the like, shared by parser (which tries templates out) and decision.
 * This returns the longest result in bytes; 0: no limit but REQUEST_NAME_MAX.
 */
size_t name_space_max(enum name_space space);
/* Returns true if the kernel would take @name in @space, and it stays one name of one directory. */
bool name_is_valid(enum name_space space, const char *name);
/*
 * Sets out[REQUEST_NAME_MAX] = before + @name + after, each %i in these replaced by @driver.
 * -EINVAL: @name or the result is no name in @space; -ENAMETOOLONG.
 */
int name_format(const struct name_template *t, enum name_space space, const char *driver,
		const char *name, char *out);

#endif
