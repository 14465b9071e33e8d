// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the session layer in the life of a guest: makes it, starts it when the guest is up, and ends
 * it.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/file.h"
#include "base/loop.h"
#include "vmm/machine/closer.h"
#include "vmm/machine/machine.h"
#include "vmm/session/guest_module.h"
#include "vmm/session/passed_file.h"
#include "vmm/session/inject.h"
#include "vmm/session/operation.h"
#include "vmm/session/placement.h"
#include "vmm/session/policy_reload.h"
#include "vmm/session/session_commands.h"
#include "vmm/session/sessions.h"
#include "vmm/session/unmatched.h"
#include "vmm/spec/cmdline.h"
#include "vmm/spec/spec.h"

#define WAIT_NS	    100000000ULL
#define WAITED_LONG 150 /* times WAIT_NS and a command: some 20 s */

/*
 * Refuses a command line that tells the kernel to take signed modules only: it would not take the
 * shim.
 */
static int check_cmdline(const char *append, struct err *e)
{
	static const char *const keys[] = { "module.sig_enforce", "lockdown" };
	struct cmdline_word w;

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		char *v;
		bool off;

		/* sig_enforce alone switches it on; lockdown alone means nothing to the kernel. */
		if (!cmdline_find(append, keys[i], &w) || (!w.value && i == 1))
			continue;
		v = cmdline_value(append, keys[i]);
		off = w.value && v && (!strcmp(v, "0") || !strcmp(v, "none") || !strcmp(v, "n"));
		free(v);
		if (!off)
			return err_set(
				e, -EPERM,
				"--append %s: such a guest takes only signed modules, sessions "
				"cannot work; leave it out",
				keys[i]);
	}
	return 0;
}

static int prepare_archive(struct sessions *s, const struct guest_spec *spec, struct err *e)
{
	char *init = cmdline_value(spec->append, "rdinit");
	char *root = cmdline_value(spec->append, "root");
	int ret;

	s->has_root = root;
	free(root);

	ret = inject_archive(s->inject, kernel_release(s->k), init, &s->archive, &s->archive_len,
			     e);
	free(init);
	if (ret)
		return ret;
	s->cmdline = inject_cmdline(spec->append);
	return s->cmdline ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int prepare_drivers(struct sessions *s, const struct guest_spec *spec, struct err *e)
{
	struct driver *d;
	int ret;

	s->n_start = 0;
	for (size_t i = 0; i < spec->n_drivers; i++) {
		const struct spec_driver *asked = &spec->drivers[i];
		const struct driver_request r = { .session = asked->session,
						  .name = asked->instance,
						  .fd = s->driver_fds[i],
						  .path = asked->path,
						  .params = asked->params,
						  .order = s->n_start };

		ret = driver_add(s, &r, &d, e);
		if (ret && (!s->again || ret == -ENOMEM))
			return ret;
		/* The policy that is in force by now may have no place for it: (P7). */
		if (ret)
			note_put(machine_notes(s->m), "%s; the guest starts without this driver",
				 e->text);
		else
			s->n_start++;
	}
	return 0;
}

static int open_drivers(struct sessions *s, struct err *e)
{
	const struct guest_spec *spec = s->spec;

	s->driver_fds = malloc((spec->n_drivers + 1) * sizeof(*s->driver_fds));
	if (!s->driver_fds)
		return err_set(e, -ENOMEM, "out of memory");
	for (size_t i = 0; i < spec->n_drivers; i++)
		s->driver_fds[i] = -1;
	for (size_t i = 0; i < spec->n_drivers; i++) {
		s->driver_fds[i] = file_open(spec->drivers[i].path, e);
		if (s->driver_fds[i] < 0)
			return s->driver_fds[i];
	}
	return 0;
}

static void close_policy(struct sessions *s)
{
	if (s->policy_fd >= 0)
		close(s->policy_fd);
	s->policy_fd = -1;
}

static void close_files(struct sessions *s)
{
	for (size_t i = 0; s->driver_fds && i < s->spec->n_drivers; i++)
		if (s->driver_fds[i] >= 0)
			close(s->driver_fds[i]);
	free(s->driver_fds);
	s->driver_fds = NULL;
	close_policy(s);
	inject_close(s->inject);
	s->inject = NULL;
}

int sessions_open(struct sessions **out, struct machine *m, const struct guest_spec *spec,
		  struct err *e)
{
	struct sessions *s;
	int ret;

	if (!spec->policy)
		return err_set(e, -EINVAL,
			       "--driver and --record need --policy FILE, which says what the "
			       "drivers may do");
	ret = check_cmdline(spec->append, e);
	if (ret)
		return ret;
	s = calloc(1, sizeof(*s));
	if (!s)
		return err_set(e, -ENOMEM, "out of memory");
	s->m = m;
	s->spec = spec;
	pthread_mutex_init(&s->placements_lock, NULL);
	s->wait_timer = s->slow_timer = -1;
	s->policy_path = strdup(spec->policy);
	s->driver_wait = spec->driver_wait;
	s->policy_fd = s->policy_path ? policy_open(spec->policy, e)
				      : err_set(e, -ENOMEM, "out of memory");
	ret = s->policy_fd < 0 ? s->policy_fd : open_drivers(s, e);
	if (!ret)
		ret = inject_open(&s->inject, e);
	if (ret) {
		sessions_finish(s);
		return ret;
	}
	*out = s;
	return 0;
}

int sessions_prepare(struct sessions *s, struct kernel *k, u64 kaslr, struct gate *g, struct err *e)
{
	int ret;

	assert(s->phase == SESSIONS_OPEN); /* (P0) */
	s->k = k;
	s->kaslr = kaslr;
	s->gate = g;
	/* After a reset the policy in force stays, which a client may have put there. */
	ret = s->policy ? 0 : policy_load_fd(&s->policy, s->policy_fd, s->policy_path, e);
	if (ret)
		return ret;
	policy_note_traces(s);
	kernel_text(k, &s->text, &s->text_end);
	ret = prepare_drivers(s, s->spec, e);
	if (!ret)
		sessions_note_unmatched(s);
	if (!ret)
		ret = prepare_archive(s, s->spec, e);
	if (ret)
		return ret;
	/* A reset needs them again (P7). */
	if (s->spec->no_reboot)
		close_files(s);
	else
		close_policy(s);
	s->phase = SESSIONS_PREPARED; /* (P1) */
	return 0;
}

void sessions_initrd(const struct sessions *s, void **prefix, size_t *len)
{
	*prefix = s->archive;
	*len = s->archive_len;
}

const char *sessions_cmdline(const struct sessions *s)
{
	return s->cmdline;
}

static void driver_load_next(struct sessions *s);

/*
 * Goes on with the next driver of the command line, or ends the guest if one did not load: (E12) of
 * machine.h.
 */
static void driver_started(void *arg, int ret, const char *line)
{
	struct sessions *s = arg;

	if (!ret) {
		s->n_started++;
		driver_load_next(s);
	} else if (ret != -ECANCELED) {
		machine_exit(s->m, EXIT_CODE_ERROR, "%s", line);
	}
}

static struct driver *driver_by_order(struct sessions *s, size_t order)
{
	struct session *ss;
	struct driver *d;

	for (ss = s->list; ss; ss = ss->next)
		for (d = ss->drivers; d; d = d->next)
			if (d->order == order)
				return d;
	return NULL;
}

/* Loads the command line's next driver: one after the other, over all sessions (P3). */
static void driver_load_next(struct sessions *s)
{
	struct driver *d = driver_by_order(s, s->n_started);

	if (d && driver_load(s, d, driver_started, s))
		machine_exit(s->m, EXIT_CODE_ERROR, "%s: out of memory", d->path);
}

static void ask_whether_up(void *arg, u32 expiries);

static void guest_on_whether_up(void *arg, s64 result, u64 value)
{
	struct sessions *s = arg;

	(void)value;
	if (!result) {
		driver_load_next(s);
		return;
	}
	if (result != -EAGAIN) {
		machine_exit(s->m, EXIT_CODE_ERROR, "the guest cannot say whether it is up: %s",
			     strerror((int)-result));
		return;
	}
	if (++s->waited == WAITED_LONG) {
		if (s->driver_wait)
			note_put(machine_notes(s->m),
				 "drivers still wait for %s to exist in the guest", s->driver_wait);
		else
			note_put(machine_notes(s->m), "drivers still wait for the guest's init%s",
				 s->has_root ? " to change to its root= (or say --driver-wait PATH)"
					     : "");
	}
	loop_timer_set(s->loop, s->wait_timer, WAIT_NS, 0);
}

/*
 * Asks the guest whether it is up, when drivers are loaded: its init runs, on its own root if the
 * command line names one; or --driver-wait's path is there. The host asks, so that the agent stays
 * free for other commands.
 */
static void ask_whether_up(void *arg, u32 expiries)
{
	struct sessions *s = arg;
	struct gate_command c = { .cmd = UMBRA_CMD_IS_UP, .a = s->has_root };

	(void)expiries;
	if (s->driver_wait) {
		c.cmd = UMBRA_CMD_PATH_EXISTS;
		c.payload = s->driver_wait;
		c.len = strlen(s->driver_wait) + 1;
	}
	if (gate_command(s->gate, &c, guest_on_whether_up, s))
		machine_exit(s->m, EXIT_CODE_ERROR,
			     "the guest's agent has ended before its drivers were "
			     "loaded");
}

static void shim_said_hello(void *arg)
{
	struct sessions *s = arg;

	if (s->n_start)
		ask_whether_up(s, 0);
}

int sessions_start(struct sessions *s, struct loop *l, struct control *c, struct err *e)
{
	int ret;

	assert(s->phase == SESSIONS_PREPARED); /* (P2) */
	gate_set_hello_hook(s->gate, shim_said_hello, s);
	gate_set_sections_hook(s->gate, guest_module_places, s);
	gate_set_coming_hook(s->gate, placement_on_module, s);
	s->phase = SESSIONS_STARTED;
	s->loop = l;
	s->wait_timer = loop_timer(l, 0, 0, ask_whether_up, s);
	s->slow_timer = loop_timer(l, 0, 0, operations_slow, s);
	ret = s->wait_timer < 0 ? s->wait_timer : s->slow_timer < 0 ? s->slow_timer : 0;
	if (ret)
		return err_set(e, ret, "event loop: %s", strerror(-ret));
	if (!s->has_commands && sessions_control_add(s, c))
		return err_set(e, -ENOMEM, "out of memory");
	s->has_commands = true;
	return 0;
}

int sessions_complete(const struct sessions *s, struct err *e)
{
	assert(s->phase == SESSIONS_STARTED); /* (P4) */
	if (!gate_alive(s->gate))
		return err_set(e, -ENODEV,
			       "the guest ended without a word of the shim; its console says why");
	if (s->n_started < s->n_start)
		return err_set(e, -ECANCELED, "the guest ended when %zu of %zu drivers were loaded",
			       s->n_started, s->n_start);
	return 0;
}

static void stop_timers(struct sessions *s)
{
	if (s->wait_timer >= 0)
		loop_timer_del(s->loop, s->wait_timer);
	if (s->slow_timer >= 0)
		loop_timer_del(s->loop, s->slow_timer);
	s->wait_timer = s->slow_timer = -1;
}

static void free_list(struct sessions *s)
{
	while (s->list) {
		struct session *ss = s->list;

		s->list = ss->next;
		while (ss->drivers) {
			struct driver *d = ss->drivers;

			ss->drivers = d->next;
			driver_free(d);
		}
		session_free(ss);
	}
}

void sessions_rest(struct sessions *s)
{
	assert(s->phase == SESSIONS_STARTED); /* (P6) */
	stop_timers(s);
	operations_cancel(s, "the guest has shut down");
	gate_forget_commands(s->gate);
	s->phase = SESSIONS_RESTING;
}

/* Tells people which drivers the guest will not have any more (P7). */
static void note_lost_drivers(const struct sessions *s)
{
	for (const struct session *ss = s->list; ss; ss = ss->next)
		for (const struct driver *d = ss->drivers; d; d = d->next)
			if (d->order == SIZE_MAX)
				note_put(
					machine_notes(s->m),
					"driver %s:%s was loaded by a client and is gone with this "
					"reset; load it again",
					ss->name, d->name);
}

void sessions_reset(struct sessions *s)
{
	stop_timers(s);
	operations_cancel(s, "the guest was reset");
	gate_forget_commands(s->gate);
	note_lost_drivers(s);
	free_list(s);
	free(s->archive);
	free(s->cmdline);
	s->archive = NULL;
	s->cmdline = NULL;
	s->waited = 0;
	s->n_started = 0;
	s->k = NULL;
	s->again = true;
	s->phase = SESSIONS_OPEN;
}

void sessions_release_files(struct sessions *s, struct closer *c)
{
	for (size_t i = 0; s->driver_fds && i < s->spec->n_drivers; i++) {
		if (s->driver_fds[i] >= 0)
			closer_close(c, s->driver_fds[i], s->spec->drivers[i].path);
		s->driver_fds[i] = -1;
	}
	if (s->policy_fd >= 0)
		closer_close(c, s->policy_fd, s->policy_path);
	s->policy_fd = -1;
	if (s->inject)
		inject_release_files(s->inject, c);
}

s64 sessions_file_held_ms(const struct sessions *s, const char **file)
{
	return passed_file_held_ms(s, file);
}

void sessions_await_files(struct sessions *s)
{
	passed_file_await(s);
}

void sessions_finish(struct sessions *s)
{
	if (!s)
		return;
	stop_timers(s);
	passed_file_finish(s);
	operations_cancel(s, "the guest ended"); /* (P5) */
	free_list(s);
	close_files(s);
	policy_free(s->policy);
	free(s->archive);
	free(s->cmdline);
	free(s->policy_path);
	pthread_mutex_destroy(&s->placements_lock);
	free(s);
}
