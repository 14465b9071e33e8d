// SPDX-License-Identifier: GPL-2.0-only
/*
 * Translates any lines as a command line of QEMU's, one word each: there must be a reason of one
 * line, or a command line of vmm in which each word that begins with "--" is an option that the
 * translator may give.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tools/umbra-qemu/translate.h"

#define WORDS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Checks the words that are no value of the one before. */
static void check_options(const struct words *w)
{
	static const char *const alone[] = { "--no-control", "--paused",   "--no-shutdown",
					     "--no-reboot",  "--no-kaslr", "--no-cache" };
	static const char *const pairs[] = {
		"--confine", "--name",	   "--uuid",	"--memory",  "--cpus",
		"--kernel",  "--firmware", "--initrd",	"--append",  "--control",
		"--disk",    "--net",	   "--console", "--port",    "--rng",
		"--balloon", "--smbios",   "--qmp",	"--pidfile", "--root-port"
	};
	bool known;

	if (w->n < 4 || strcmp(w->v[0], "vmm") != 0)
		abort();
	for (size_t i = 2; i < w->n; i++) {
		known = strchr(w->v[i], '=') != NULL;
		for (size_t k = 0; k < ARRAY_SIZE(alone); k++)
			known |= !strcmp(w->v[i], alone[k]);
		for (size_t k = 0; k < ARRAY_SIZE(pairs); k++)
			if (!strcmp(w->v[i], pairs[k])) {
				known = true;
				i++;
				break;
			}
		if (!known || i == w->n)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1), *rest, *word, *argv[WORDS_MAX];
	struct err e = { "" };
	struct translated t;
	int argc = 0;

	if (!text)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	rest = text;
	while (argc < WORDS_MAX && (word = strsep(&rest, "\n")))
		argv[argc++] = word;
	if (!translate(&t, argc, argv, &e))
		check_options(&t.args);
	else if (!*e.text)
		abort();
	translated_free(&t);
	free(text);
	return 0;
}
