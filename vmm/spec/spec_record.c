// SPDX-License-Identifier: GPL-2.0-only
/* Parses the text form of how large a record gets (--record-size). */
#include "vmm/spec/spec_text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "vmm/spec/size.h"

static int want_size(const char *text, struct err *e)
{
	return err_set(
		e, -EINVAL,
		"--record-size %s: want SIZE[,keep=N] with a size of %llu MiB or more, such as "
		"100M, and %u to %u files to keep",
		text, SPEC_MIN_RECORD_SIZE >> 20, 1U, SPEC_MAX_RECORD_KEEP);
}

int spec_take_record_size(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	static const char keep[] = "keep=";
	const char *comma = strchrnul(text, ',');
	char size[32];

	(void)base;
	s->record_keep = 1;
	/* What does not fit is no size, whatever it begins with. */
	snprintf(size, sizeof(size), "%.*s",
		 comma - text < (long)sizeof(size) ? (int)(comma - text) : 0, text);
	if (size_parse(size, &s->record_size) || s->record_size < SPEC_MIN_RECORD_SIZE)
		return want_size(text, e);
	if (!*comma)
		return 0;
	comma++;
	if (strncmp(comma, keep, sizeof(keep) - 1) != 0 || strlen(comma) != sizeof(keep))
		return want_size(text, e);
	s->record_keep = (unsigned)(comma[sizeof(keep) - 1] - '0');
	return s->record_keep >= 1 && s->record_keep <= SPEC_MAX_RECORD_KEEP ? 0
									     : want_size(text, e);
}
