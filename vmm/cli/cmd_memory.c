// SPDX-License-Identifier: GPL-2.0-only
/* Shows how much memory a running guest has, and asks it for some or gives it back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/control/client.h"
#include "vmm/spec/size.h"

#define TIMEOUT	 30   /* seconds */
#define LOOK_MS	 200  /* between two looks at the guest's size */
#define STATS_MS 1000 /* how long a driver has for statistics */
#define LEAST	 (1ULL << 20)

static const char help[] =
	"Usage: vmm memory [OPTION]... [GUEST] [SIZE]\n"
	"\n"
	"Show how much of its memory a running guest has now and how it uses it; with SIZE, ask it to\n"
	"get along with that much, and wait until it does. What it gives up is free on this host;\n"
	"with its full size it gets it back. Without GUEST, of the only one that runs. The guest needs\n"
	"a balloon (vmm run --balloon on) and a driver for it, which Linux has (virtio_balloon).\n"
	"\n"
	"  SIZE   such as 512M or 2G: what the guest keeps, at most what --memory gave it\n"
	"\n"
	"How far it goes is up to the guest: it keeps what its programs need. It is asked on when this\n"
	"command has ended, and again after it was reset. A word that could be either is a SIZE; a\n"
	"guest of such a name is meant by --guest.\n"
	"\n"
	"Options:\n"
	"  -g, --guest GUEST  the same as GUEST\n"
	"      --timeout S    wait S seconds at most (default 30)\n"
	"      --json         machine-readable output\n"
	"  -h, --help         this text\n"
	"\n"
	"Exit code: 0 it has the size, or was shown; 1 it has not reached it, or could not be asked;\n"
	"2 usage.\n"
	"\n"
	"Examples:\n"
	"  vmm memory\n"
	"  vmm memory web 512M\n"
	"  vmm memory web --json | jq .stats\n";

struct memory_request {
	const char *guest;
	u64 size; /* 0: only shown */
	int timeout;
	bool json;
};

/* Asks for the state of the guest's memory; NULL and a line. */
static json_t *memory_look(struct client *c, bool refresh, struct err *e)
{
	json_t *o = NULL;

	if (client_call(c, "umbra-memory", json_pack("{s:b}", "refresh", refresh), &o, e))
		return NULL;
	/* An answer without content is one without anything to show. */
	return o ? o : json_object();
}

/* Lets @ms pass, but for events, which are dropped; false: the guest has ended. */
static bool memory_pause(struct client *c, int ms)
{
	s64 until = now_ms() + ms;
	int ret = 0;

	while (!ret && now_ms() < until) {
		json_t *event = NULL;

		ret = client_event(c, (int)(until - now_ms()), &event);
		json_decref(event);
	}
	return !ret || ret == -ETIMEDOUT;
}

/* --- what is shown ---------------------------------------------------------------------------- */

static void show_size(struct table *t, const char *what, long long bytes)
{
	char size[24];

	table_cell(t, "%s", what);
	table_cell(t, "%s", cli_size(size, bytes));
}

static void memory_print(struct client *c, const json_t *o)
{
	static const struct table_column columns[] = { { NULL, 0, 0 }, { NULL, 0, TABLE_RIGHT } };
	static const char *const stats[][2] = {
		{ "stat-total-memory", "known to its kernel" },
		{ "stat-free-memory", "free" },
		{ "stat-available-memory", "available" },
		{ "stat-disk-caches", "caches" },
		{ "stat-swap-in", "swapped in" },
		{ "stat-swap-out", "swapped out" },
	};
	const json_t *values = json_object_get(o, "stats");
	long long actual = cli_json_number(o, "actual"), target = cli_json_number(o, "target");
	char has[24], total[24], want[24];
	struct table *t;

	cli_size(total, cli_json_number(o, "total"));
	if (!json_is_true(json_object_get(o, "balloon"))) {
		printf("guest %s has %s and no balloon (vmm run --balloon on)\n", client_name(c),
		       total);
		return;
	}
	printf("guest %s has %s of %s", client_name(c), cli_size(has, actual), total);
	if (actual != target)
		printf(", and is asked to have %s", cli_size(want, target));
	puts(json_is_true(json_object_get(o, "driver")) ? "" : "; its balloon has no driver now");
	t = table_create(columns, ARRAY_SIZE(columns));
	for (size_t i = 0; i < ARRAY_SIZE(stats); i++)
		if (json_is_integer(json_object_get(values, stats[i][0])))
			show_size(t, stats[i][1], cli_json_number(values, stats[i][0]));
	if (cli_json_number(o, "reported-bytes"))
		show_size(t, "freed and given back so far", cli_json_number(o, "reported-bytes"));
	cli_print_table(t, 2);
}

static void memory_show(struct client *c, const struct memory_request *r, const json_t *o)
{
	if (r->json)
		cli_print_json(o);
	else
		memory_print(c, o);
}

/* Waits a moment for new statistics, of a guest that can tell them. */
static int memory_show_fresh(struct client *c, const struct memory_request *r, struct err *e)
{
	json_t *o = memory_look(c, true, e), *next;
	long long count = cli_json_number(o, "stats-count");
	s64 until = now_ms() + STATS_MS;

	while (o && json_is_true(json_object_get(o, "driver")) && now_ms() < until &&
	       cli_json_number(o, "stats-count") == count && memory_pause(c, LOOK_MS / 4)) {
		next = memory_look(c, false, e);
		json_decref(o);
		o = next;
	}
	if (!o)
		return -EIO;
	memory_show(c, r, o);
	json_decref(o);
	return 0;
}

/* --- another size ----------------------------------------------------------------------------- */

/* Shows on a terminal how far the guest is; an empty line at the end. */
static void progress_put(struct client *c, const json_t *o)
{
	char has[24], want[24];

	if (!table_terminal_width(stderr))
		return;
	if (o)
		fprintf(stderr, "\rguest %s has %s, and is asked to have %s\033[K", client_name(c),
			cli_size(has, cli_json_number(o, "actual")),
			cli_size(want, cli_json_number(o, "target")));
	else
		fputs("\r\033[K", stderr);
}

/* Writes the line for a guest that has not reached its size. */
static int memory_short(struct client *c, const struct memory_request *r, const json_t *o,
			struct err *e)
{
	char has[24], want[24];

	return err_set(e, -ETIMEDOUT, "guest %s has %s after %d s, not %s; %s", client_name(c),
		       cli_size(has, cli_json_number(o, "actual")), r->timeout,
		       cli_size(want, cli_json_number(o, "target")),
		       json_is_true(json_object_get(o, "driver"))
			       ? "its kernel is asked on, as far as it can"
			       : "no driver serves its balloon (virtio_balloon of Linux does)");
}

/* Sends the wish, after a look whether it can be met; *more: the guest gets some back. */
static int memory_ask(struct client *c, const struct memory_request *r, bool *more, struct err *e)
{
	json_t *o = memory_look(c, false, e);
	bool balloon = json_is_true(json_object_get(o, "balloon"));
	long long total = cli_json_number(o, "total");
	char size[24];

	if (!o)
		return -EIO;
	*more = cli_json_number(o, "actual") < (long long)r->size;
	json_decref(o);
	if (!balloon)
		return err_set(e, -ENODEV, "guest %s has no balloon; start it with --balloon on",
			       client_name(c));
	if ((long long)r->size > total)
		return err_set(e, -EINVAL, "guest %s has %s (its --memory), and cannot get more",
			       client_name(c), cli_size(size, total));
	return client_call(c, "balloon", json_pack("{s:I}", "value", (json_int_t)r->size), NULL, e);
}

static bool memory_reached(const json_t *o, bool more)
{
	long long actual = cli_json_number(o, "actual"), target = cli_json_number(o, "target");

	return more ? actual >= target : actual <= target;
}

static int memory_resize(struct client *c, const struct memory_request *r, struct err *e)
{
	s64 until = now_ms() + r->timeout * 1000LL;
	bool more = false, alive = true;
	json_t *o = NULL;
	int ret = memory_ask(c, r, &more, e);

	while (!ret && alive) {
		json_decref(o);
		o = memory_look(c, false, e);
		if (!o)
			ret = -EIO;
		if (ret || memory_reached(o, more) || now_ms() >= until)
			break;
		progress_put(c, o);
		alive = memory_pause(c, LOOK_MS);
	}
	if (!ret)
		progress_put(c, NULL);
	if (!ret && !alive)
		ret = err_set(e, -ENOTCONN, "guest %s has ended", client_name(c));
	if (!ret && !memory_reached(o, more))
		ret = memory_short(c, r, o, e);
	if (o && (!ret || (r->json && ret == -ETIMEDOUT)))
		memory_show(c, r, o);
	json_decref(o);
	return ret;
}

/* Reads [GUEST] [SIZE]; returns 0 or the exit code to end with. */
static int take_words(struct memory_request *r, const struct cli_args *a)
{
	int n = a->n_words;
	const char *last = n ? a->words[n - 1] : NULL;
	int most = a->guest ? 1 : 2;

	r->guest = a->guest;
	if (n > most)
		return cli_usage("memory", "unexpected argument \"%s\"", a->words[most]);
	if (n == 1 && !a->guest && size_parse(last, &r->size)) {
		r->size = 0;
		r->guest = last;
		return 0;
	}
	if (n == 2)
		r->guest = a->words[0];
	if (n && (size_parse(last, &r->size) || r->size > INT64_MAX))
		return cli_usage("memory", "%s: want a size such as 512M or 2G", last);
	if (n && r->size < LEAST)
		return cli_usage("memory",
				 "%s: no guest gets along with less than 1M; without K, M or G it "
				 "is a number of bytes",
				 last);
	return 0;
}

int cmd_memory(int argc, char **argv)
{
	struct cli_args a = { .timeout = TIMEOUT };
	struct memory_request r = { .guest = NULL };
	struct client *c;
	struct err e = { "" };
	int ret;

	if (!cli_args_parse(&a, argc, argv, CLI_GUEST | CLI_JSON | CLI_TIMEOUT | CLI_WORDS, help,
			    &ret))
		return ret;
	ret = take_words(&r, &a);
	if (ret)
		return ret;
	r.json = a.json;
	r.timeout = a.timeout;
	if (client_open(&c, r.guest, CLIENT_TIMEOUT_MS, &e))
		return cli_fail(&e);
	ret = r.size ? memory_resize(c, &r, &e) : memory_show_fresh(c, &r, &e);
	client_close(c);
	return ret ? cli_fail(&e) : 0;
}
