/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checks that what a QMP server says has the form of docs/interop/qmp-spec of QEMU: objects, one a
 * line, each a greeting, an answer, an error or an event, with no other members than these have.
 */
#ifndef UMBRA_TESTS_UNIT_VMM_QMP_FORM_H
#define UMBRA_TESTS_UNIT_VMM_QMP_FORM_H

#include <stdbool.h>
#include <string.h>

#include <jansson.h>

/* Has @o just the members of @names, which NULL ends, and perhaps @also? */
static inline bool qmp_has_members(const json_t *o, const char *const *names, const char *also)
{
	size_t n = 0;

	for (; names[n]; n++)
		if (!json_object_get(o, names[n]))
			return false;
	return json_object_size(o) == n + (also && json_object_get(o, also) ? 1 : 0);
}

static inline bool qmp_is_error(const json_t *error)
{
	static const char *const members[] = { "class", "desc", NULL };
	static const char *const classes[] = { "GenericError", "CommandNotFound", "DeviceNotActive",
					       "DeviceNotFound", "KVMMissingCap" };
	const char *class = json_string_value(json_object_get(error, "class"));
	const char *desc = json_string_value(json_object_get(error, "desc"));
	bool known = false;

	for (size_t i = 0; class && i < sizeof(classes) / sizeof(*classes); i++)
		known |= !strcmp(class, classes[i]);
	return known && qmp_has_members(error, members, NULL) && desc && *desc;
}

static inline bool qmp_is_event(const json_t *o)
{
	static const char *const members[] = { "event", "timestamp", NULL };
	static const char *const clock[] = { "seconds", "microseconds", NULL };
	const json_t *at = json_object_get(o, "timestamp"), *data = json_object_get(o, "data");

	return qmp_has_members(o, members, "data") && json_is_string(json_object_get(o, "event")) &&
	       qmp_has_members(at, clock, NULL) &&
	       json_is_integer(json_object_get(at, "seconds")) &&
	       json_is_integer(json_object_get(at, "microseconds")) &&
	       (!data || json_is_object(data));
}

static inline bool qmp_is_greeting(const json_t *o)
{
	static const char *const members[] = { "QMP", NULL };
	static const char *const parts[] = { "version", "capabilities", NULL };

	return qmp_has_members(o, members, NULL) &&
	       qmp_has_members(json_object_get(o, "QMP"), parts, NULL);
}

/* Is the line of @len bytes at @text, without its end, one that a server may say? */
static inline bool qmp_form_holds(const char *text, size_t len)
{
	static const char *const answer[] = { "return", NULL };
	static const char *const error[] = { "error", NULL };
	json_t *o = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	bool holds =
		json_is_object(o) &&
		(qmp_is_greeting(o) || qmp_is_event(o) || qmp_has_members(o, answer, "id") ||
		 (qmp_has_members(o, error, "id") && qmp_is_error(json_object_get(o, "error"))));

	json_decref(o);
	return holds;
}

#endif
