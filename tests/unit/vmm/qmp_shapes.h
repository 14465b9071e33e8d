/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Checks answers and events of the control socket against qmp-shapes.json, for tests of what has
 * such.
 */
#ifndef UMBRA_TESTS_UNIT_VMM_QMP_SHAPES_H
#define UMBRA_TESTS_UNIT_VMM_QMP_SHAPES_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

static inline const char *shape_kind(const json_t *v)
{
	return json_is_string(v) ? "string" : json_is_integer(v) ? "integer" : "boolean";
}

/*
 * Checks that every member that must be there is, of its kind, and none that the schema does not
 * know.
 */
static inline void shape_check(const char *where, json_t *shape, json_t *v)
{
	char path[200], optional[80];
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_string(shape)) {
		if (json_is_object(v) || json_is_array(v) ||
		    strcmp(shape_kind(v), json_string_value(shape)) != 0)
			fail_msg("%s is no %s", where, json_string_value(shape));
		return;
	}
	if (json_is_array(shape)) {
		assert_true(json_is_array(v));
		json_array_foreach(v, i, member)
			shape_check(where, json_array_get(shape, 0), member);
		return;
	}
	assert_true(json_is_object(v));
	json_object_foreach(shape, key, member)
	{
		size_t len = strlen(key);

		if (key[len - 1] != '?' && !json_object_get(v, key))
			fail_msg("%s lacks %s", where, key);
	}
	json_object_foreach(v, key, member)
	{
		json_t *want = json_object_get(shape, key);

		snprintf(path, sizeof(path), "%s.%s", where, key);
		snprintf(optional, sizeof(optional), "%s?", key);
		want = want ? want : json_object_get(shape, optional);
		if (!want)
			fail_msg("%s is not known", path);
		shape_check(path, want, member);
	}
}

#endif
