// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/parse.h"
#include "policy/scan.h"

static int session_name(struct parse *ps, config_setting_t *st, struct policy_session *s)
{
	const char *name = config_setting_name(st);
	size_t len = strlen(name);
	char q[VALUE_QUOTE];

	for (size_t i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && name[i] != '_' && name[i] != '-')
			len = 0;
	}
	if (!len || len > POLICY_NAME_MAX)
		return value_error(ps, st,
				   "a session's name is 1 to %d letters, digits, - and _, found %s",
				   POLICY_NAME_MAX, value_quote(q, name));
	memcpy(s->name, name, len + 1);
	return 0;
}

static int parse_default(struct parse *ps, config_setting_t *st, struct policy_session *s)
{
	static const struct keyword words[] = { { "pass", 1 }, { "deny", 0 } };
	config_setting_t *d = config_setting_get_member(st, "default");
	int value = 0, ret;

	s->default_rule = "default: no rule names it";
	if (!d)
		return 0;
	ret = value_keyword(ps, st, "default", words, ARRAY_SIZE(words), &value);
	if (ret)
		return ret;
	s->default_pass = value != 0;
	return parse_rule_text(ps, d, "default", -1, &s->default_rule);
}

static int parse_session(struct parse *ps, config_setting_t *st, struct policy_session *s)
{
	static const char *const keys[] = { "files",	"names",  "functions",
					    "critical", "permit", "default" };
	int ret = session_name(ps, st, s);

	if (!ret)
		ret = value_group(ps, st, keys, ARRAY_SIZE(keys));
	if (!ret)
		ret = parse_default(ps, st, s);
	if (!ret)
		ret = parse_critical(ps, st, s);
	if (!ret)
		ret = parse_files(ps, st, s);
	if (!ret)
		ret = parse_names(ps, st, s);
	if (!ret)
		ret = parse_functions(ps, st, s);
	if (!ret)
		ret = parse_permit(ps, st, s);
	return ret;
}

static int parse_root(struct parse *ps, config_setting_t *root)
{
	static const char *const keys[] = { "version", "sessions" };
	config_setting_t *st;
	int ret, n;

	ret = value_group(ps, root, keys, ARRAY_SIZE(keys));
	if (ret)
		return ret;
	st = config_setting_get_member(root, "version");
	if (st && (config_setting_type(st) != CONFIG_TYPE_INT || config_setting_get_int(st) != 1))
		return value_error(ps, st, "expected 1, the version of the policy language");
	st = config_setting_get_member(root, "sessions");
	if (!st)
		return value_error(ps, root,
				   "no sessions: expected sessions = { NAME = { ... }; };");
	if (!config_setting_is_group(st))
		return value_error(ps, st, "expected a group { NAME = { ... }; }");
	n = config_setting_length(st);
	if (!n)
		return value_error(ps, st, "no session in it: expected NAME = { ... };");
	ps->p->sessions = arena_alloc(&ps->p->arena, (size_t)n, sizeof(*ps->p->sessions));
	if (!ps->p->sessions)
		return value_nomem(ps);
	for (int i = 0; i < n && !ret; i++)
		ret = parse_session(ps, config_setting_get_elem(st, (unsigned)i),
				    &ps->p->sessions[i]);
	ps->p->n_sessions = (size_t)n;
	return ret;
}

/* libconfig says only "syntax error": show the line, so that one need not look it up. */
static int syntax_error(const struct parse *ps, const config_t *c, const char *text)
{
	const char *what = config_error_text(c) ? config_error_text(c) : "syntax error";
	char line[VALUE_QUOTE], q[VALUE_QUOTE];
	int number = config_error_line(c);

	for (int i = 1; i < number && *text; i++) {
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	text += strspn(text, " \t");
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
	if (!strcmp(what, "duplicate setting name"))
		return err_set(ps->e, -EINVAL,
			       "%s:%d: this name is already given in the same group, near %s",
			       ps->label, number, value_quote(q, line));
	if (!strcmp(what, "mismatched element type in array"))
		return err_set(ps->e, -EINVAL,
			       "%s:%d: an array [ ] holds values of one type, near %s", ps->label,
			       number, value_quote(q, line));
	return err_set(ps->e, -EINVAL,
		       "%s:%d: %s in or before %s, expected settings such as name = value;",
		       ps->label, number, what, value_quote(q, line));
}

static const char *base_name(const char *label)
{
	const char *slash = strrchr(label, '/');

	return slash && slash[1] ? slash + 1 : label;
}

int policy_parse(struct policy **out, const char *label, const char *text, struct err *e)
{
	struct parse ps = { .label = label, .base = base_name(label), .e = e };
	config_t config;
	int ret;

	if (strnlen(text, POLICY_TEXT_MAX + 1) > POLICY_TEXT_MAX)
		return err_set(e, -EFBIG, "%s: larger than %u MiB, the most a policy may have",
			       label, POLICY_TEXT_MAX >> 20);
	ret = scan_text(label, text, e);
	if (ret)
		return ret;
	config_init(&config);
	/* Below a device there is no file: should an @include get past the scan, it opens nothing. */
	config_set_include_dir(&config, "/dev/null");
	ps.p = calloc(1, sizeof(*ps.p));
	if (!ps.p)
		ret = value_nomem(&ps);
	else if (!config_read_string(&config, text))
		ret = syntax_error(&ps, &config, text);
	else
		ret = parse_root(&ps, config_root_setting(&config));
	config_destroy(&config);
	if (ret) {
		policy_free(ps.p);
		return ret;
	}
	*out = ps.p;
	return 0;
}

/*
 * The whole of @fd, at most a little more than POLICY_TEXT_MAX, with a NUL behind it. NULL with
 * errno set.
 */
static char *read_all(int fd, size_t *len)
{
	char *text = NULL, *more;
	size_t size = 0;
	ssize_t n;

	*len = 0;
	do {
		if (*len + 1 >= size) {
			size = size ? size * 2 : 16384;
			more = realloc(text, size);
			if (!more)
				goto fail;
			text = more;
		}
		n = read(fd, text + *len, size - *len - 1);
		if (n < 0 && errno != EINTR)
			goto fail;
		*len += n > 0 ? (size_t)n : 0;
	} while (n && *len <= POLICY_TEXT_MAX);
	text[*len] = '\0';
	return text;
fail:
	free(text);
	return NULL;
}

int policy_load(struct policy **out, const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;
	char *text;
	size_t len;

	if (fd < 0)
		return err_set(e, -errno, "%s: cannot open the policy: %s", path, strerror(errno));
	text = read_all(fd, &len);
	if (!text)
		ret = err_set(e, -errno, "%s: cannot read the policy: %s", path, strerror(errno));
	else if (strlen(text) != len)
		ret = err_set(e, -EINVAL, "%s: holds a NUL byte, expected the text of a policy",
			      path);
	else
		ret = policy_parse(out, path, text, e);
	free(text);
	close(fd);
	return ret;
}

void policy_free(struct policy *p)
{
	if (!p)
		return;
	arena_free(&p->arena);
	free(p);
}
