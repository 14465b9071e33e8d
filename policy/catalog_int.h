/* SPDX-License-Identifier: GPL-2.0-only */
/* Declares the rows that the build makes of policy/catalog.txt. For policy/catalog.c. */
#ifndef UMBRA_POLICY_CATALOG_INT_H
#define UMBRA_POLICY_CATALOG_INT_H

#include "policy/catalog.h"

extern const struct catalog_fn catalog_rows[];
extern const size_t catalog_n_rows;

#endif
