// SPDX-License-Identifier: GPL-2.0-only
/* What is in force, for people and programs; and what would be. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/confine/confine_int.h"

static const char *const layer_names[LAYERS] = {
	[LAYER_USER] = "user",	     [LAYER_CAPS] = "caps",	    [LAYER_NNP] = "nnp",
	[LAYER_PID] = "pid",	     [LAYER_MOUNT] = "mount",	    [LAYER_NET] = "net",
	[LAYER_IPC] = "ipc",	     [LAYER_LANDLOCK] = "landlock", [LAYER_RLIMITS] = "rlimits",
	[LAYER_SECCOMP] = "seccomp",
};

static const char *reason(enum layer l, int why)
{
	if (why == ENODATA)
		return "not tried";
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

static json_t *describe_layers(const int *why, json_t **missing)
{
	json_t *layers = json_object();

	*missing = json_object();
	for (size_t i = 0; i < LAYERS; i++) {
		json_object_set_new(layers, layer_names[i], json_boolean(!why[i]));
		if (why[i])
			json_object_set_new(*missing, layer_names[i],
					    json_string(reason((enum layer)i, why[i])));
	}
	return layers;
}

json_t *confine_info(const struct confine *c)
{
	json_t *missing, *layers, *calls = json_object(), *info;

	if (!c) {
		json_decref(calls);
		return json_pack("{s:s, s:{}, s:{}}", "mode", "off", "layers", "missing");
	}
	layers = describe_layers(c->why, &missing);
	for (size_t i = 0; i < FILTERS && !c->why[LAYER_SECCOMP]; i++)
		json_object_set_new(calls, confine_filter_name((enum filter)i),
				    json_integer(confine_filter_calls((enum filter)i)));
	info = json_pack("{s:s, s:I, s:o, s:o, s:o}", "mode",
			 c->mode == CONFINE_STRICT ? "strict" : "on", "user",
			 (json_int_t)(c->drop ? c->uid : getauxval(AT_EUID)), "layers", layers,
			 "missing", missing, "system-calls", calls);
	return info;
}

/* In a child that has nothing else to do: all layers, one after the other, into why[]. */
static int try_all(int *why)
{
	struct confine c = { .mode = CONFINE_ON, .guard = -1, .pid = getpid() };
	bool root = !getauxval(AT_EUID);

	for (size_t i = 0; i < LAYERS; i++)
		c.why[i] = ENODATA;
	if (root && confine_find_user(&c, NULL, NULL))
		return -1;
	confine_namespaces(&c, root ? CLONE_NEWPID : CLONE_NEWUSER | CLONE_NEWPID);
	if (confine_enter(&c, NULL, NULL))
		return -1;
	memcpy(why, c.why, sizeof(c.why));
	return 0;
}

json_t *confine_probe(void)
{
	int why[LAYERS], pipe[2];
	json_t *missing, *layers;
	ssize_t len;
	pid_t pid;

	if (pipe2(pipe, O_CLOEXEC))
		return NULL;
	pid = fork();
	if (!pid)
		_exit(try_all(why) || write(pipe[1], why, sizeof(why)) != sizeof(why));
	close(pipe[1]);
	len = pid < 0 ? -1 : read(pipe[0], why, sizeof(why));
	close(pipe[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (len != sizeof(why))
		return NULL;
	layers = describe_layers(why, &missing);
	return json_pack("{s:o, s:o}", "layers", layers, "missing", missing);
}
