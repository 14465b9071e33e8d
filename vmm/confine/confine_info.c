// SPDX-License-Identifier: GPL-2.0-only
/* Describes which layers of confinement are in force, and why others are not. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>

#include "vmm/confine/confine_int.h"

static const char *const layer_names[LAYERS] = {
	[LAYER_USER] = "user",	     [LAYER_CAPS] = "caps",	    [LAYER_NNP] = "nnp",
	[LAYER_PID] = "pid",	     [LAYER_MOUNT] = "mount",	    [LAYER_NET] = "net",
	[LAYER_IPC] = "ipc",	     [LAYER_LANDLOCK] = "landlock", [LAYER_RLIMITS] = "rlimits",
	[LAYER_SECCOMP] = "seccomp",
};

const char *confine_layer_name(enum layer l)
{
	return layer_names[l];
}

const char *confine_layer_reason(enum layer l, int why)
{
	if (why == ENODATA)
		return "not tried";
	if (l == LAYER_PID && why == CONFINE_NOT_HERE)
		return "the process that was started is the VMM itself (--confine managed)";
	switch (l) {
	case LAYER_PID:
	case LAYER_MOUNT:
	case LAYER_NET:
	case LAYER_IPC:
		if (why == EPERM || why == EACCES)
			return "user namespaces are not allowed here (sysctl "
			       "kernel.unprivileged_userns_clone, AppArmor, a container)";
		if (why == ENOSPC || why == EUSERS)
			return "a limit of /proc/sys/user is reached";
		break;
	case LAYER_LANDLOCK:
		if (why == ENOSYS || why == EOPNOTSUPP)
			return "the kernel has no Landlock, or it is not enabled (lsm=)";
		break;
	case LAYER_SECCOMP:
		if (why == EOPNOTSUPP)
			return "this vmm was built with a sanitizer";
		if (why == ENOSYS || why == EINVAL)
			return "the kernel has no seccomp filters";
		break;
	case LAYER_USER:
	case LAYER_CAPS:
	case LAYER_NNP:
	case LAYER_RLIMITS:
	case LAYERS:
	default:
		break;
	}
	return strerror(why);
}

json_t *confine_layers_describe(const int *why, json_t **missing)
{
	json_t *layers = json_object();

	*missing = json_object();
	for (size_t i = 0; i < LAYERS; i++) {
		json_object_set_new(layers, layer_names[i], json_boolean(!why[i]));
		if (why[i])
			json_object_set_new(
				*missing, layer_names[i],
				json_string(confine_layer_reason((enum layer)i, why[i])));
	}
	return layers;
}

/* Returns why the host refuses layer @i of @c; NULL: it does not. */
static const char *refusal(const struct confine *c, size_t i)
{
	if (!c->why[i] || (i == LAYER_PID && c->why[i] == CONFINE_NOT_HERE))
		return NULL;
	return confine_layer_reason((enum layer)i, c->why[i]);
}

/* Is a layer before @i refused for the same reason? */
static bool is_told(const struct confine *c, size_t i, const char *why)
{
	while (i--)
		if (refusal(c, i) && !strcmp(refusal(c, i), why))
			return true;
	return false;
}

static void text_add(char *out, size_t size, const char *part)
{
	size_t len = strlen(out);

	snprintf(out + len, size - len, "%s", part);
}

bool confine_refused(const struct confine *c, char *out, size_t size)
{
	*out = '\0';
	for (size_t i = 0; i < LAYERS; i++) {
		const char *why = refusal(c, i);

		if (!why || is_told(c, i, why))
			continue;
		text_add(out, size, *out ? "; \"" : "\"");
		text_add(out, size, layer_names[i]);
		for (size_t k = i + 1; k < LAYERS; k++) {
			if (!refusal(c, k) || strcmp(refusal(c, k), why) != 0)
				continue;
			text_add(out, size, "\", \"");
			text_add(out, size, layer_names[k]);
		}
		text_add(out, size, "\": ");
		text_add(out, size, why);
	}
	return *out;
}

json_t *confine_info(const struct confine *c)
{
	json_t *missing, *layers, *calls = json_object(), *info;

	if (!c) {
		json_decref(calls);
		return json_pack("{s:s, s:{}, s:{}}", "mode", "off", "layers", "missing");
	}
	layers = confine_layers_describe(c->why, &missing);
	for (size_t i = 0; i < FILTERS && !c->why[LAYER_SECCOMP]; i++)
		json_object_set_new(calls, confine_filter_name((enum filter)i),
				    json_integer(confine_filter_calls((enum filter)i)));
	info = json_pack("{s:s, s:I, s:o, s:o, s:o}", "mode", confine_mode_name(c->mode), "user",
			 (json_int_t)(c->drop ? c->uid : getauxval(AT_EUID)), "layers", layers,
			 "missing", missing, "system-calls", calls);
	return info;
}
