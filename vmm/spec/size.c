// SPDX-License-Identifier: GPL-2.0-only
/* Parses sizes in bytes as people write them. */
#include "vmm/spec/size.h"

#include <errno.h>
#include <stdlib.h>

int size_parse(const char *s, u64 *out)
{
	unsigned shift = 0;
	char *end;
	u64 n;

	if (*s < '0' || *s > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(s, &end, 10);
	if (errno)
		return -ERANGE;
	switch (*end) {
	case 'k':
	case 'K':
		shift = 10;
		break;
	case 'm':
	case 'M':
		shift = 20;
		break;
	case 'g':
	case 'G':
		shift = 30;
		break;
	case '\0':
		break;
	default:
		return -EINVAL;
	}
	if (shift && end[1])
		return -EINVAL;
	if (n > UINT64_MAX >> shift)
		return -ERANGE;
	*out = n << shift;
	return 0;
}
