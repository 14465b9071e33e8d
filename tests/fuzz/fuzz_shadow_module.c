// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parses a driver file of any content and walks its exports; if there is a kernel
 * ($UMBRA_TEST_IMAGES/cloud/vmlinuz) it is planned with itself as a provider and copied, too, and
 * what we made must parse again.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shadow/kernel/kernel.h"
#include "shadow/link/link.h"

#define SHADOW 0xffffffffc0400000ull

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct kernel *kernel;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	const char *dir = getenv("UMBRA_TEST_IMAGES");
	char path[512];
	struct err e = { "" };

	(void)argc;
	(void)argv;
	snprintf(path, sizeof(path), "%s/cloud/vmlinuz", dir ? dir : "");
	if (kernel_open(&kernel, path, false, &e))
		kernel = NULL;
	else if (kernel_load_symbols(kernel, &e))
		abort();
	return 0;
}

static bool every_third(void *arg, const char *symbol)
{
	(void)arg;
	return strlen(symbol) % 3 == 0;
}

static u64 entry_address(void *arg, const struct import *im)
{
	(void)arg;
	return im->critical ? SHADOW + strlen(im->symbol) * 64 : shadow_entry(kernel, SHADOW, im);
}

static void link_it(const struct module *m, bool with_itself)
{
	const struct link_rules rules = { .critical = every_third, .permitted = every_third };
	const struct link_addresses a = {
		.modules = 0xffffffffc0000000ull,
		.modules_end = 0xffffffffff000000ull,
		.entry = entry_address,
	};
	const struct link_provider self = { m, "self", "__self" };
	const struct link_session session = { &self, with_itself, &rules };
	struct module *again;
	struct link_plan *p;
	struct err e = { "" };
	struct link_image copy;

	if (link_plan_create(&p, kernel, m, &session, &e))
		return;
	if (!link_emit(p, &a, &(struct link_identity){ "fuzz", "__fuzz" }, &copy, &e)) {
		if (module_parse(&again, "again", copy.data, copy.len, &e))
			abort();
		module_close(again);
		free(copy.data);
	}
	link_plan_free(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct module *m;
	struct err e = { "" };

	if (module_parse(&m, "fuzz.ko", data, size, &e))
		return 0;
	for (size_t i = 0; i < module_export_count(m); i++)
		if (!*module_export_name(m, i))
			abort();
	if (kernel) {
		link_it(m, false);
		link_it(m, true);
	}
	module_close(m);
	return 0;
}
