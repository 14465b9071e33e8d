/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Finds patterns of a policy that no name can match: a rule that looks as if it protected
 * something, and never does, is a mistake.
 */
#ifndef UMBRA_POLICY_PATTERN_H
#define UMBRA_POLICY_PATTERN_H

#include "policy/policy.h"

#define PATTERN_WHY 320

/*
 * Returns true if the pattern @p (of index.h's glob_match()) can match any name that a driver may
 * ask for in @space; SPACE_NONE: any space. If not, @why says what is wrong and what was probably
 * meant.
 */
bool pattern_can_match(enum name_space space, const char *p, char why[PATTERN_WHY]);
/* Does the same for a symbol of the kernel. */
bool pattern_can_match_symbol(const char *p, char why[PATTERN_WHY]);

#endif
