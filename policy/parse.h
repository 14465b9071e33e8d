/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Parses the sections of one session. parse.c reads the file as a whole and calls these in turn;
 * each takes the session's group, finds its own key in it (all are optional) and fills its part of
 * @s.
 */
#ifndef UMBRA_POLICY_PARSE_H
#define UMBRA_POLICY_PARSE_H

#include "policy/value.h"

/* Each returns 0, or -errno with a line in @ps->e. */
int parse_files(struct parse *ps, config_setting_t *session, struct policy_session *s);
int parse_functions(struct parse *ps, config_setting_t *session, struct policy_session *s);
int parse_layout(struct parse *ps, config_setting_t *session, struct policy_session *s);
int parse_names(struct parse *ps, config_setting_t *session, struct policy_session *s);
int parse_critical(struct parse *ps, config_setting_t *session, struct policy_session *s);
int parse_trace(struct parse *ps, config_setting_t *session, struct policy_session *s);
int parse_trace_inward(struct parse *ps, config_setting_t *session, struct policy_session *s);
int parse_permit(struct parse *ps, config_setting_t *session, struct policy_session *s);

/*
 * Gives the number of entries of the list @st of @what in *n, and counts them against the limit of
 * the policy.
 */
int parse_begin_list(struct parse *ps, config_setting_t *st, const char *what, size_t *n);

/* Gives the text of a rule, "files[3] at demo.policy:12", in the policy's pool. */
int parse_rule_text(struct parse *ps, const config_setting_t *st, const char *section, int index,
		    const char **out);

/* Finds the critical function that is called @text, which stands at @st. */
int parse_critical_name(struct parse *ps, config_setting_t *st, const char *text,
			const struct catalog_fn **fn);

/* Action, error and record, which `files` and `functions` have alike. @action: the default. */
struct parse_action {
	enum action action;
	int error;
	bool record;
};
int parse_action(struct parse *ps, config_setting_t *st, enum action action,
		 struct parse_action *out);

#endif
