// SPDX-License-Identifier: GPL-2.0-only
/* Finds the sessions of a guest by their names, and makes one when the first driver asks for it. */
#include "vmm/session/session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct session *session_find(struct sessions *s, const char *name)
{
	struct session *ss;

	for (ss = s->list; ss; ss = ss->next)
		if (!strcmp(ss->name, name))
			return ss;
	return NULL;
}

void session_free(struct session *ss)
{
	free(ss->page_gpa);
	free(ss->name);
	free(ss);
}

int session_get(struct sessions *s, const char *name, struct session **out, struct err *e)
{
	const struct policy_session *policy = policy_session(s->policy, name);
	struct session *ss = session_find(s, name);

	if (ss && !policy)
		return err_set(e, -ENOENT, "%s has no session \"%s\" any more", s->policy_path,
			       name);
	if (!policy)
		return err_set(e, -ENOENT,
			       "%s has no session \"%s\"; each driver needs one that is there",
			       s->policy_path, name);
	*out = ss;
	if (ss)
		return 0;
	ss = calloc(1, sizeof(*ss));
	if (!ss)
		return err_set(e, -ENOMEM, "session %s: out of memory", name);
	ss->tail = &ss->drivers;
	ss->ops_tail = &ss->ops;
	ss->policy = policy;
	ss->text_pages = (unsigned)((s->text_end - s->text + 4095) / 4096);
	ss->name = strdup(name);
	if (!ss->name) {
		session_free(ss);
		return err_set(e, -ENOMEM, "session %s: out of memory", name);
	}
	ss->next = s->list;
	s->list = ss;
	*out = ss;
	return 0;
}
