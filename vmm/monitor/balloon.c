// SPDX-License-Identifier: GPL-2.0-only
/* Answers balloon, query-balloon and umbra-memory, and tells when the guest has another size. */
#include "vmm/monitor/balloon.h"

#include <errno.h>

#include "vmm/backend/platform.h"
#include "vmm/monitor/monitor_int.h"

bool balloon_look(const struct monitor *mon, struct balloon_state *s)
{
	return mon->platform && platform_balloon(mon->platform, s);
}

bool balloon_present(const struct monitor *mon)
{
	struct balloon_state s;

	return balloon_look(mon, &s);
}

/* Reads the balloon's state; false: there is none, and the request is answered. */
static bool balloon_or_fail(const struct monitor *mon, struct control_request *r,
			    struct balloon_state *s)
{
	if (balloon_look(mon, s))
		return true;
	control_fail_class(r, "DeviceNotActive", "No balloon device has been activated");
	return false;
}

/* --- the size -------------------------------------------------------------------------------- */

static void set_target(void *arg, struct control_request *r, const json_t *args)
{
	const json_t *value = json_object_get(args, "value");
	struct monitor *mon = arg;
	struct balloon_state s;

	if (!balloon_or_fail(mon, r, &s))
		return;
	if (!value) {
		control_fail(r, "Parameter 'value' is missing");
	} else if (!json_is_integer(value)) {
		control_fail(r, "Invalid parameter type for 'value', expected: integer");
	} else if (json_integer_value(value) <= 0) {
		control_fail(r, "Parameter 'target' expects a size");
	} else {
		platform_balloon_set_target(mon->platform, (u64)json_integer_value(value));
		control_reply(r, NULL);
	}
}

static void query_balloon(void *arg, struct control_request *r, const json_t *args)
{
	struct balloon_state s;

	(void)args;
	if (balloon_or_fail(arg, r, &s))
		control_reply(r, json_pack("{s:I}", "actual", (json_int_t)s.actual));
}

/* Sends the event, if the guest has another size than was told; for event_rate.h. */
static bool send_change(void *arg, unsigned nr)
{
	struct monitor *mon = arg;
	struct balloon_state s;

	(void)nr;
	if (!balloon_look(mon, &s) || s.actual == mon->balloon_told)
		return false;
	mon->balloon_told = s.actual;
	control_event(mon->control, "BALLOON_CHANGE",
		      json_pack("{s:I}", "actual", (json_int_t)s.actual));
	return true;
}

void monitor_balloon_begin(struct monitor *mon)
{
	mon->balloon_told = mon->spec->memory;
	event_rate_init(&mon->balloon_changes, machine_loop(mon->m), send_change, mon, 0);
}

void monitor_on_balloon(void *arg)
{
	struct monitor *mon = arg;

	event_rate_news(&mon->balloon_changes);
}

/* --- statistics ------------------------------------------------------------------------------ */

static json_t *describe_stats(const struct balloon_stats *s, bool all)
{
	static const char *const names[BALLOON_STATS] = {
		[BALLOON_STAT_SWAP_IN] = "stat-swap-in",
		[BALLOON_STAT_SWAP_OUT] = "stat-swap-out",
		[BALLOON_STAT_MAJOR_FAULTS] = "stat-major-faults",
		[BALLOON_STAT_MINOR_FAULTS] = "stat-minor-faults",
		[BALLOON_STAT_FREE] = "stat-free-memory",
		[BALLOON_STAT_TOTAL] = "stat-total-memory",
		[BALLOON_STAT_AVAILABLE] = "stat-available-memory",
		[BALLOON_STAT_CACHES] = "stat-disk-caches",
		[BALLOON_STAT_HUGE_ALLOCATED] = "stat-htlb-pgalloc",
		[BALLOON_STAT_HUGE_FAILED] = "stat-htlb-pgfail",
	};
	json_t *o = json_object();

	for (size_t i = 0; i < BALLOON_STATS; i++)
		if (all || s->value[i] != BALLOON_STAT_UNKNOWN)
			json_object_set_new(o, names[i], json_integer((json_int_t)s->value[i]));
	return o;
}

json_t *balloon_guest_stats(const struct monitor *mon)
{
	struct balloon_state s;

	if (!balloon_look(mon, &s))
		return NULL;
	return json_pack("{s:o, s:I}", "stats", describe_stats(&s.stats, true), "last-update",
			 (json_int_t)s.stats.updated);
}

json_t *balloon_polling_interval(const struct monitor *mon)
{
	struct balloon_state s;

	if (!balloon_look(mon, &s))
		return NULL;
	return json_integer(s.interval);
}

int balloon_set_polling_interval(struct monitor *mon, const json_t *value, struct err *e)
{
	json_int_t seconds = json_integer_value(value);

	if (!json_is_integer(value))
		return err_set(e, -EINVAL,
			       "Invalid parameter type for "
			       "'guest-stats-polling-interval', expected: integer");
	if (seconds < 0)
		return err_set(e, -EINVAL, "timer value must be greater than zero");
	if (seconds > UINT32_MAX)
		return err_set(e, -EINVAL, "timer value is too big");
	if (balloon_present(mon))
		platform_balloon_set_interval(mon->platform, (unsigned)seconds);
	return 0;
}

/*
 * Tells all of the guest's memory; with @refresh the driver is asked for statistics, which are in a
 * later answer with another stats-count.
 */
static void query_memory(void *arg, struct control_request *r, const json_t *args)
{
	struct monitor *mon = arg;
	struct balloon_state s;
	json_t *o;

	if (!balloon_look(mon, &s)) {
		control_reply(r, json_pack("{s:b, s:I}", "balloon", 0, "total",
					   (json_int_t)machine_memory(mon->m)));
		return;
	}
	if (json_is_true(json_object_get(args, "refresh")))
		platform_balloon_refresh(mon->platform);
	o = json_pack("{s:b, s:I, s:I, s:I, s:b, s:I, s:I, s:I}", "balloon", 1, "total",
		      (json_int_t)s.total, "target", (json_int_t)s.target, "actual",
		      (json_int_t)s.actual, "driver", s.driver, "inflated-bytes",
		      (json_int_t)s.inflated, "reported-bytes", (json_int_t)s.reported,
		      "stats-count", (json_int_t)s.stats.count);
	if (o && s.stats.updated) {
		json_object_set_new(o, "stats", describe_stats(&s.stats, false));
		json_object_set_new(o, "last-update", json_integer((json_int_t)s.stats.updated));
	}
	control_reply(r, o);
}

const struct control_command monitor_balloon_commands[] = {
	{ "balloon", set_target },
	{ "query-balloon", query_balloon },
	{ "umbra-memory", query_memory },
	{ NULL, NULL },
};
