// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdlib.h>

#include "vmm/sessions_int.h"

int sessions_reload_policy(struct sessions *s, const char *path, struct err *e)
{
	struct policy **old;
	struct policy *p;
	struct session *ss;
	struct driver *d;
	int ret = policy_load(&p, path, e);

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
	old = realloc(s->old_policies, (s->n_old_policies + 1) * sizeof(struct policy *));
	if (!old) {
		policy_free(p);
		return err_set(e, -ENOMEM, "no memory for the policy");
	}
	s->old_policies = old;
	s->old_policies[s->n_old_policies++] = s->policy;
	s->policy = p;
	for (ss = s->list; ss; ss = ss->next) {
		const struct policy_session *ps = policy_session(p, ss->name);

		if (!ps)
			continue;
		ss->policy = ps;
		if (ss->inst)
			pvm_instance_set_policy(s->pvm, ss->inst, ps);
		for (d = ss->drivers; d; d = d->next)
			if (d->inst)
				pvm_instance_set_policy(s->pvm, d->inst, ps);
	}
	return 0;
}
