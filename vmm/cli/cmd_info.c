// SPDX-License-Identifier: GPL-2.0-only
/* vmm info: prints what a running guest reports on itself. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plain_text.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/control/client.h"

static const char help[] =
	"Usage: vmm info [OPTION]... [GUEST]\n"
	"\n"
	"What there is to know of a running guest: memory, CPUs and their threads on this host, exits,\n"
	"disks, networks, console, sessions, confinement. Without GUEST, of the only one that runs.\n"
	"\n"
	"Options:\n"
	"  -g, --guest GUEST  the same as GUEST\n"
	"      --json         machine-readable output\n"
	"  -h, --help         this text\n"
	"\n"
	"Examples:\n"
	"  vmm info\n"
	"  vmm info web --json | jq .exits.total\n"
	"  taskset -p 4 $(vmm info web --json | jq '.guest.\"vcpu-threads\"[0]')\n";

static bool ends_with(const char *s, const char *end)
{
	size_t a = strlen(s), b = strlen(end);

	return a >= b && !strcmp(s + a - b, end);
}

static size_t append_value(char *buf, size_t len, size_t at, const char *key, const json_t *v)
{
	const char *comma = at ? ", " : "", *gap = key ? " " : "";
	int n = 0;

	key = key ? key : "";
	if (json_is_true(v))
		n = snprintf(buf + at, len - at, "%s%s", comma, key);
	else if (json_is_integer(v))
		n = snprintf(buf + at, len - at, "%s%s%s%lld", comma, key, gap,
			     (long long)json_integer_value(v));
	else if (json_is_string(v))
		n = snprintf(buf + at, len - at, "%s%s%s%s", comma, key, *gap ? ": " : "",
			     json_string_value(v));
	at += n > 0 ? (size_t)n : 0;
	return at < len ? at : len - 1;
}

/* Writes an object's keys that are true, or all with their values: "a 1, b 2"; a list's items. */
static void info_list_text(char *buf, size_t len, const json_t *v)
{
	json_t *all = (json_t *)(uintptr_t)v, *one;
	const char *key;
	size_t at = 0, i;

	json_array_foreach(all, i, one) at = append_value(buf, len, at, NULL, one);
	json_object_foreach(all, key, one) at = append_value(buf, len, at, key, one);
	if (!at)
		snprintf(buf, len, "none");
}

/* Returns a value as people read it; @key's suffix has the unit of a number. */
static const char *info_value_text(char *buf, size_t len, const char *key, const json_t *v)
{
	char small[24];

	if (json_is_string(v)) {
		snprintf(buf, len, "%s", json_string_value(v));
	} else if (json_is_boolean(v)) {
		snprintf(buf, len, "%s", json_is_true(v) ? "yes" : "no");
	} else if (json_is_integer(v)) {
		long long n = (long long)json_integer_value(v);

		if (ends_with(key, "-ms"))
			snprintf(buf, len, "%s", cli_duration(small, n));
		else if (!strcmp(key, "memory") || !strcmp(key, "size") || ends_with(key, "-bytes"))
			snprintf(buf, len, "%s", cli_size(small, n));
		else
			snprintf(buf, len, "%lld", n);
	} else {
		info_list_text(buf, len, v);
	}
	return buf;
}

/* Writes a key for people: '-' becomes a blank; the unit is in the value. */
static const char *info_label(char *buf, size_t len, const char *key)
{
	snprintf(buf, len, "%.*s", (int)strlen(key) - (ends_with(key, "-ms") ? 3 : 0), key);
	for (char *p = buf; *p; p++)
		if (*p == '-')
			*p = ' ';
	return buf;
}

static void info_print_object(const json_t *o)
{
	static const struct table_column columns[] = { { NULL, 0, 0 }, { NULL, 0, 0 } };
	json_t *v, *all = (json_t *)(uintptr_t)o;
	struct table *t = table_create(columns, ARRAY_SIZE(columns));
	char label[64], text[600];
	const char *key;

	json_object_foreach(all, key, v)
	{
		table_cell(t, "%s", info_label(label, sizeof(label), key));
		table_cell(t, "%s", info_value_text(text, sizeof(text), key, v));
	}
	cli_print_table(t, 2);
}

#define COLUMNS 16

static bool is_among(const char *const *keys, size_t n, const char *key)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(keys[i], key))
			return true;
	return false;
}

/* Prints a table whose columns are the keys of all rows, each where it appears first. */
static void info_print_rows(const json_t *rows)
{
	struct table_column columns[COLUMNS] = { { NULL, 0, 0 } };
	char labels[COLUMNS][64], text[600];
	const char *keys[COLUMNS], *key;
	struct table *t;
	size_t n = 0, i;
	json_t *row, *v;

	json_array_foreach((json_t *)(uintptr_t)rows, i, row)
	{
		json_object_foreach(row, key, v)
		{
			if (n == COLUMNS || is_among(keys, n, key))
				continue;
			columns[n].title = info_label(labels[n], sizeof(labels[n]), key);
			columns[n].least = json_is_string(v) ? 12 : 0;
			keys[n++] = key;
		}
	}
	if (!n)
		return;
	t = table_create(columns, n);
	for (size_t r = 0; r < json_array_size(rows); r++) {
		for (size_t c = 0; c < n; c++) {
			v = json_object_get(json_array_get(rows, r), keys[c]);
			table_cell(t, "%s",
				   v ? info_value_text(text, sizeof(text), keys[c], v) : "-");
		}
	}
	cli_print_table(t, 2);
}

static void print_info(json_t *info)
{
	char label[64], text[600];
	const char *section;
	json_t *v;

	json_object_foreach(info, section, v)
	{
		plain_text_line(stdout, "%s:", info_label(label, sizeof(label), section));
		if (json_is_object(v))
			info_print_object(v);
		else if (json_is_object(json_array_get(v, 0)))
			info_print_rows(v);
		else
			plain_text_line(stdout, "  %s",
					info_value_text(text, sizeof(text), section, v));
	}
}

int cmd_info(int argc, char **argv)
{
	struct cli_args a = { 0 };
	int ret;
	json_t *info = NULL;
	struct client *c;
	struct err e;

	if (!cli_args_parse(&a, argc, argv, CLI_GUEST | CLI_JSON, help, &ret))
		return ret;
	ret = client_open(&c, a.guest, CLIENT_TIMEOUT_MS, &e);
	if (ret)
		return cli_fail(&e);
	ret = client_call(c, "umbra-info", NULL, &info, &e);
	/* Only a process outside of the guest's pid namespace can tell its number. */
	if (!ret && client_pid(c))
		json_object_set_new(json_object_get(info, "guest"), "pid",
				    json_integer(client_pid(c)));
	client_close(c);
	if (ret)
		return cli_fail(&e);
	if (a.json)
		cli_print_json(info);
	else
		print_info(info);
	json_decref(info);
	return 0;
}
