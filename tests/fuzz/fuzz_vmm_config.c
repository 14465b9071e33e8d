// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a file of vmm run --config from any bytes: it must give an error with a place in it, or
 * options within their bounds that are free of leaks. libconfig's scanner loses the string that it
 * read last when the text has a syntax error; that leak is not ours.
 */
#include <stdlib.h>
#include <string.h>

#include "vmm/boot/smbios.h"
#include "vmm/cli/run_options.h"
#include "vmm/machine/layout.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
const char *__lsan_default_suppressions(void);

const char *__lsan_default_suppressions(void)
{
	return "leak:strbuf_append\nleak:libconfig_yylex\n";
}

static void check_options(const struct run_options *all)
{
	const struct guest_spec *spec = &all->spec;
	u8 table[SMBIOS_TABLE_MAX], anchor[SMBIOS_ANCHOR];
	struct err e;

	if (spec->cpus > LAYOUT_MAX_CPUS || spec->n_disks > SPEC_MAX_DISKS ||
	    spec->n_nets > SPEC_MAX_NETS || spec->n_ports > SPEC_MAX_PORTS ||
	    spec->n_drivers > SPEC_MAX_DRIVERS || spec->n_root_ports > SPEC_MAX_ROOT_PORTS ||
	    all->base || all->help)
		abort();
	/* What devices ask for is of the bus, and two that pass do not ask for the same. */
	if (guest_spec_slots(spec) & 1)
		abort();
	if (!guest_spec_check_devices(spec, &e))
		for (size_t i = 1; i < spec->n_disks; i++) {
			const struct spec_device *a = &spec->disks[i - 1].dev,
						 *b = &spec->disks[i].dev;
			int port = guest_spec_root_port(spec, a);

			if ((a->slot && a->slot == b->slot) || (*a->bus && port < 0) ||
			    (port >= 0 && port == guest_spec_root_port(spec, b)))
				abort();
		}
	smbios_write_apart(table, anchor, &spec->smbios);
	/* Relative to the file, all of them. */
	for (size_t i = 0; i < spec->n_disks; i++)
		if (spec->disks[i].path[0] != '/' && strncmp(spec->disks[i].path, "d/", 2) != 0)
			abort();
	if (spec->kernel && spec->kernel[0] != '/' && strncmp(spec->kernel, "d/", 2) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	struct run_options o;
	struct err e = { "" };

	if (!text)
		return 0;
	run_options_init(&o);
	memcpy(text, data, size);
	text[size] = '\0';
	if (!run_options_config_text(&o, "f.conf", "d/", text, &e))
		check_options(&o);
	else if (strncmp(e.text, "f.conf:", 7) != 0)
		abort();
	run_options_free(&o);
	free(text);
	return 0;
}
