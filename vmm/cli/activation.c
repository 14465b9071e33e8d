// SPDX-License-Identifier: GPL-2.0-only
/* Reads what systemd says in the environment about the sockets that it passes. */
#include "vmm/cli/activation.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/types.h"

#define FIRST_FD 3
#define MOST_FDS 1000UL

/* Returns the number in the variable; 0: it has none. */
static unsigned long number_of(const char *variable)
{
	const char *text = getenv(variable);
	char *end;
	unsigned long n;

	if (!text || *text < '0' || *text > '9')
		return 0;
	n = strtoul(text, &end, 10);
	return *end ? 0 : n;
}

/* Returns the place of @name in the list of @names, parted by colons; -1: it has none. */
static int place_of(const char *name, const char *names)
{
	size_t len = strlen(name);

	for (int i = 0; names; i++, names = strchr(names, ':')) {
		names += i != 0;
		if (strcspn(names, ":") == len && !memcmp(names, name, len))
			return i;
	}
	return -1;
}

int activation_find(const char *name, const char *option, struct err *e)
{
	unsigned long n = number_of("LISTEN_FDS");
	int place = 0;

	if (number_of("LISTEN_PID") != (unsigned long)getpid() || !n || n > MOST_FDS)
		return err_set(e, -EINVAL,
			       "%s: systemd has passed no socket to this process (LISTEN_PID, "
			       "LISTEN_FDS); start it as the service of a socket unit",
			       option);
	if (n > 1)
		place = place_of(name, getenv("LISTEN_FDNAMES"));
	if (place < 0 || (unsigned long)place >= n)
		return err_set(e, -EINVAL,
			       "%s: of the %lu sockets that systemd has passed none is called %s; "
			       "set FileDescriptorName=%s in its socket unit",
			       option, n, name, name);
	return FIRST_FD + place;
}
