/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Translates the command line that libvirt gives to QEMU into one of vmm. What libvirt 9.0 gives
 * for what Umbra has is understood, in any order; any other option, key or value is an error that
 * names it, so that a guest never lacks without a word what its XML has.
 */
#ifndef UMBRA_TOOLS_TRANSLATE_H
#define UMBRA_TOOLS_TRANSLATE_H

#include "base/err.h"
#include "base/types.h"

struct words {
	char **v; /* ends with NULL, if there are any */
	size_t n;
};

struct translated {
	struct words args;  /* "vmm", "run", ... */
	struct words notes; /* lines for the log: what is not as the domain's XML has it */
};

/*
 * Translates @argv, behind the program's own name. -EINVAL and a line; free *t in any case. Opens
 * nothing: descriptors and files are vmm's to check.
 */
int translate(struct translated *t, int argc, char **argv, struct err *e);
void translated_free(struct translated *t);

#endif
