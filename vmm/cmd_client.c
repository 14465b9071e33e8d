// SPDX-License-Identifier: GPL-2.0-only
#include "vmm/cmd_client.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vmm/exit.h"

int client_fail(const struct err *e)
{
	fprintf(stderr, "vmm: %s\n", e->text);
	return VMM_EXIT_ERROR;
}

int client_usage(const char *command, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "vmm: %s: ", command);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "; see `vmm %s --help`\n", command);
	return VMM_EXIT_USAGE;
}

void client_print_json(const json_t *o)
{
	json_dumpf(o, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY);
	putchar('\n');
}

const char *json_text(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

long long json_number(const json_t *o, const char *key)
{
	return (long long)json_integer_value(json_object_get(o, key));
}

int client_open_file(const char *file, char **path, struct err *e)
{
	/* O_NONBLOCK: a FIFO must not make us wait before it can be refused. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return err_set(e, -errno, "%s: cannot be opened: %s", file, strerror(errno));
	if (fstat(fd, &st) || !S_ISREG(st.st_mode)) {
		close(fd);
		return err_set(e, -EINVAL, "%s: not a regular file", file);
	}
	*path = realpath(file, NULL);
	if (!*path) {
		int ret = err_set(e, -errno, "%s: %s", file, strerror(errno));

		close(fd);
		return ret;
	}
	return fd;
}
