// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/session/session_int.h"

/* A function that @to mediates and @from does not, or NULL. */
static const char *newly_critical(const struct policy_session *from,
				  const struct policy_session *to)
{
	const struct catalog_fn *all;
	size_t i, n;

	all = catalog_all(&n);
	for (i = 0; i < n; i++)
		if (policy_critical(to, all[i].name) && !policy_critical(from, all[i].name))
			return all[i].name;
	return NULL;
}

int sessions_reload_policy(struct sessions *s, int fd, const char *path, struct err *e)
{
	struct policy **old;
	struct policy *p;
	struct session *ss;
	struct driver *d;
	char *name;
	int ret = policy_load_fd(&p, fd, path, e);

	if (ret)
		return ret;
	for (ss = s->list; ss; ss = ss->next) {
		if (ss->drivers && !policy_session(p, ss->name)) {
			policy_free(p);
			return err_set(
				e, -ENOENT,
				"%s has no session \"%s\", which has drivers; unload them first",
				path, ss->name);
		}
	}
	for (ss = s->list; ss; ss = ss->next) {
		const char *fn = ss->drivers
					 ? newly_critical(ss->policy, policy_session(p, ss->name))
					 : NULL;

		if (fn) {
			policy_free(p);
			return err_set(
				e, -EBUSY,
				"%s: %s() becomes critical in session %s, but its drivers are "
				"linked without a gate for it; unload them first",
				path, fn, ss->name);
		}
	}
	name = strdup(path);
	old = realloc(s->old_policies, (s->n_old_policies + 1) * sizeof(struct policy *));
	if (!old || !name) {
		free(name);
		if (old)
			s->old_policies = old;
		policy_free(p);
		return err_set(e, -ENOMEM, "out of memory for the policy");
	}
	s->old_policies = old;
	s->old_policies[s->n_old_policies++] = s->policy;
	s->policy = p;
	free(s->policy_path);
	s->policy_path = name;
	for (ss = s->list; ss; ss = ss->next) {
		const struct policy_session *ps = policy_session(p, ss->name);

		ss->policy = ps; /* NULL: an empty session that is no more */
		if (!ps)
			continue;
		if (ss->inst)
			gate_caller_set_policy(s->gate, ss->inst, ps);
		for (d = ss->drivers; d; d = d->next)
			if (d->inst)
				gate_caller_set_policy(s->gate, d->inst, ps);
	}
	return 0;
}
