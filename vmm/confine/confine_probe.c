// SPDX-License-Identifier: GPL-2.0-only
/* Finds out which layers of confinement this host allows, by a child that enters all of them. */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vmm/confine/confine_int.h"

/*
 * Tries all layers, one after the other, and notes them in why[]; runs in a child process of its
 * own.
 */
static int probe_layers(int *why)
{
	struct confine c = { .mode = CONFINE_ON, .guard = -1, .thread_link = -1, .pid = getpid() };
	bool root = !getauxval(AT_EUID);

	for (size_t i = 0; i < LAYERS; i++)
		c.why[i] = ENODATA;
	if (root && confine_find_user(&c, NULL, NULL))
		return -1;
	confine_namespaces(&c, root ? CLONE_NEWPID : CLONE_NEWUSER | CLONE_NEWPID);
	c.refused = c.why[LAYER_PID];
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
		_exit(probe_layers(why) || write(pipe[1], why, sizeof(why)) != sizeof(why));
	close(pipe[1]);
	len = pid < 0 ? -1 : read(pipe[0], why, sizeof(why));
	close(pipe[0]);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	if (len != sizeof(why))
		return NULL;
	layers = confine_layers_describe(why, &missing);
	return json_pack("{s:o, s:o}", "layers", layers, "missing", missing);
}
