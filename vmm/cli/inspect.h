/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * `vmm inspect`: lists the imports of an unmodified driver and where each would point.
 * cmd_inspect.c reads the command line and plans; inspect_print.c shows one driver, as a table or
 * as JSON; inspect_all.c takes all modules of a directory.
 *
 * All names come from the driver's file, which is hostile: they are printed by base/table.h and
 * base/plain_text.h only, or as JSON in ASCII.
 */
#ifndef UMBRA_VMM_CLI_INSPECT_H
#define UMBRA_VMM_CLI_INSPECT_H

#include <stdio.h>

#include "policy/policy.h"
#include "shadow/kernel/kernel.h"
#include "shadow/link/link.h"

#define INSPECT_LINKS	0 /* exit codes; cli_mistake() has the third */
#define INSPECT_REFUSED 1

/* Ends the private names that drivers would have in a guest; only texts and copies show it. */
#define INSPECT_SUFFIX "__s"

/*
 * Returns the rules of a policy's session; if it is NULL, those of the catalogue, in which every
 * function that can be critical is.
 */
struct link_rules inspect_rules(const struct policy_session *s);

/*
 * Prints one driver, under the policy of session @s if there is one; inspect_json() does as JSON.
 * Both return 0 or -ENOMEM. The table is as wide as the terminal @to is.
 */
int inspect_table(FILE *to, const struct kernel *k, const struct module *m,
		  const struct link_plan *p, const struct policy_session *s);
int inspect_json(FILE *to, const struct kernel *k, const struct module *m, const char *path,
		 const struct link_plan *p, const struct policy_session *s);

/* Plans and copies every .ko below @dir in one session; returns an exit code. */
int inspect_all(const struct kernel *k, const char *dir, const struct link_rules *rules, bool json);

#endif
