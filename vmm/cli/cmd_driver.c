// SPDX-License-Identifier: GPL-2.0-only
/* Loads, unloads, lists and verifies drivers of a running guest. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/plain_text.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/control/client.h"
#include "vmm/spec/spec_text.h"

static const char help[] =
	"Usage: vmm driver load SESSION[/INSTANCE]:FILE.ko[,param=value]...\n"
	"       vmm driver unload [SESSION:]INSTANCE\n"
	"       vmm driver list [SESSION]\n"
	"       vmm driver verify [SESSION:]INSTANCE\n"
	"\n"
	"Drivers of a running guest that was started with --policy.\n"
	"\n"
	"  load      link FILE.ko to entries of its own, in its session, and load it; says how many\n"
	"            of its imports are seen, decided by the policy or traced, and which of the\n"
	"            others reach files, programs, networks or devices\n"
	"  unload    unload it; its entries go with it\n"
	"  list      what is loaded, how often it asked the PVM, and what is seen of it\n"
	"  verify    read the driver's text from guest memory, decode every branch, and say where\n"
	"            each leads; and that the entries by which the kernel calls the driver lead\n"
	"            into it; exit code 1 if one leads past the session or something could not\n"
	"            be decoded\n"
	"\n"
	"Options:\n"
	"  -g, --guest NAME   which guest (default: the only one that runs)\n"
	"      --json         machine-readable output\n"
	"  -h, --help         this text\n"
	"\n"
	"Examples:\n"
	"  vmm driver load a:dummy.ko,numdummies=2\n"
	"  vmm driver load 'a:lime.ko path=/x format=lime'   parameters word for word, as for insmod\n"
	"  vmm driver load a/second:dummy.ko       the same file again, under another name\n"
	"  vmm driver verify a:dummy\n"
	"  vmm driver unload a:dummy\n";

struct driver_cmd {
	const char *guest;
	bool json;
	char *words[2];
	int n_words;
};

static void print_drivers(const json_t *list)
{
	static const struct table_column columns[] = {
		{ "SESSION", 7, 0 },	     { "DRIVER", 6, 0 },
		{ "STATE", 0, 0 },	     { "CRITICAL", 0, TABLE_RIGHT },
		{ "SEEN", 0, TABLE_RIGHT },  { "IMPORTS", 0, TABLE_RIGHT },
		{ "CALLS", 0, TABLE_RIGHT }, { "OBJECTS", 0, TABLE_RIGHT },
		{ "FILE", 12, 0 },
	};
	struct table *t = table_create(columns, ARRAY_SIZE(columns));

	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *d = json_array_get(list, i);

		table_cell(t, "%s", cli_json_text(d, "session"));
		table_cell(t, "%s", cli_json_text(d, "driver"));
		table_cell(t, "%s", cli_json_text(d, "state"));
		table_cell(t, "%lld", cli_json_number(d, "critical"));
		table_cell(t, "%lld", cli_json_number(d, "seen"));
		table_cell(t, "%lld", cli_json_number(d, "imports"));
		table_cell(t, "%lld", cli_json_number(d, "calls"));
		table_cell(t, "%lld", cli_json_number(d, "objects"));
		table_cell(t, "%s", cli_json_text(d, "path"));
	}
	cli_print_table(t, 0);
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *d = json_array_get(list, i);

		plain_text_line(stdout, "%s:%s: %s", cli_json_text(d, "session"),
				cli_json_text(d, "driver"), cli_json_text(d, "sight"));
	}
}

static int cmd_driver_list(const struct driver_cmd *c)
{
	json_t *args = json_object(), *out = NULL;
	struct err e;

	if (c->n_words > 1)
		json_object_set_new(args, "session", json_string(c->words[1]));
	if (client_call_once(c->guest, "umbra-driver-list", args, &out, &e))
		return cli_fail(&e);
	if (c->json) {
		cli_print_json(out);
	} else {
		print_drivers(out);
	}
	json_decref(out);
	return 0;
}

/* Splits "SESSION:INSTANCE" in place; *session is NULL without a colon. */
static char *split_session(char *word, char **session)
{
	char *colon = strchr(word, ':');

	*session = NULL;
	if (!colon)
		return word;
	*colon = 0;
	*session = word;
	return colon + 1;
}

static json_t *driver_args(char *word)
{
	char *session = NULL, *name = split_session(word, &session);
	json_t *args = json_pack("{s:s}", "instance", name);

	if (session)
		json_object_set_new(args, "session", json_string(session));
	return args;
}

static json_t *load_args(const struct spec_driver *d)
{
	json_t *args = json_pack("{s:s}", "session", d->session);

	if (args && d->instance)
		json_object_set_new(args, "instance", json_string(d->instance));
	if (args && d->params)
		json_object_set_new(args, "params", json_string(d->params));
	return args;
}

static int cmd_driver_load(const struct driver_cmd *c)
{
	json_t *out = NULL;
	struct spec_driver d;
	char *path = NULL;
	struct err e;
	int fd, ret = spec_parse_driver(&d, "load", c->words[1], &e);

	if (ret) {
		spec_driver_free(&d);
		return ret == -EINVAL ? cli_usage("driver", "%s", e.text) : cli_fail(&e);
	}
	fd = cli_open_file(d.path, &path, &e);
	if (fd < 0) {
		ret = cli_fail(&e);
		goto out;
	}
	/* The words are UTF-8; the directory that FILE is in may not be. */
	ret = cli_want_utf8("driver", path);
	if (!ret && client_call_once_file(c->guest, "umbra-driver-load", load_args(&d),
					  &(struct client_file){ fd, path }, &out, &e))
		ret = cli_fail(&e);
	else if (!ret && *cli_json_text(out, "text"))
		plain_text_line(stdout, "%s", cli_json_text(out, "text"));
	json_decref(out);
	close(fd);
out:
	free(path);
	spec_driver_free(&d);
	return ret;
}

static int cmd_driver_unload(const struct driver_cmd *c)
{
	json_t *out = NULL;
	struct err e;

	if (client_call_once(c->guest, "umbra-driver-unload", driver_args(c->words[1]), &out, &e))
		return cli_fail(&e);
	json_decref(out);
	return 0;
}

static void print_verify_report(const json_t *r)
{
	static const struct table_column columns[] = { { NULL, 0, 0 }, { NULL, 0, TABLE_RIGHT } };
	const json_t *v, *list_;
	struct table *t = table_create(columns, ARRAY_SIZE(columns));
	const char *key;
	json_t *n;
	size_t i;

	plain_text_line(stdout, "%s:%s as %s at %s, %lld bytes of text",
			cli_json_text(r, "session"), cli_json_text(r, "driver"),
			cli_json_text(r, "module"), cli_json_text(r, "base"),
			cli_json_number(r, "text"));
	json_object_foreach(json_object_get(r, "branches"), key, n)
	{
		table_cell(t, "%s", key);
		table_cell(t, "%lld", (long long)json_integer_value(n));
	}
	table_cell(t, "%s", "inward");
	table_cell(t, "%lld entries", cli_json_number(r, "inward"));
	table_cell(t, "%s", "undecoded");
	table_cell(t, "%lld bytes", cli_json_number(r, "undecoded"));
	cli_print_table(t, 2);
	list_ = json_object_get(r, "violations");
	for (i = 0; i < json_array_size(list_); i++) {
		v = json_array_get(list_, i);
		plain_text_line(stdout, "  VIOLATION at %s: leads to %s %s", cli_json_text(v, "at"),
				cli_json_text(v, "target"), cli_json_text(v, "symbol"));
	}
	if (!json_array_size(list_))
		puts("  no branch leads past the session");
}

static int cmd_driver_verify(const struct driver_cmd *c)
{
	json_t *out = NULL;
	struct err e;
	int ret;

	if (client_call_once(c->guest, "umbra-driver-verify", driver_args(c->words[1]), &out, &e))
		return cli_fail(&e);
	if (c->json) {
		cli_print_json(out);
	} else {
		print_verify_report(out);
	}
	ret = json_array_size(json_object_get(out, "violations")) ||
			      json_integer_value(json_object_get(out, "undecoded"))
		      ? EXIT_CODE_ERROR
		      : 0;
	json_decref(out);
	return ret;
}

int cmd_driver(int argc, char **argv)
{
	static const struct cli_verb verbs[] = {
		{ "load", 1, 1, "say which driver" },
		{ "unload", 1, 1, "say which driver" },
		{ "list", 0, 1, NULL },
		{ "verify", 1, 1, "say which driver" },
		{ NULL, 0, 0, NULL },
	};
	static int (*const run[])(const struct driver_cmd *c) = {
		cmd_driver_load, cmd_driver_unload, cmd_driver_list, cmd_driver_verify
	};
	struct cli_args a = { 0 };
	const struct cli_verb *v;
	struct driver_cmd c;
	int ret;

	if (!cli_args_parse(&a, argc, argv, CLI_GUEST | CLI_JSON | CLI_WORDS, help, &ret))
		return ret;
	v = cli_verb("driver", &a, verbs);
	if (!v || (a.n_words > 1 && cli_want_utf8("driver", a.words[1])))
		return EXIT_CODE_USAGE;
	c = (struct driver_cmd){ a.guest, a.json, { a.words[0], a.words[1] }, a.n_words };
	return run[v - verbs](&c);
}
