// SPDX-License-Identifier: GPL-2.0-only
/* Finds the host's name server, and writes it into a file of our own. */
#include "vmm/backend/net-helper/name_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define RESOLV_CONF "/etc/resolv.conf"
#define LINES_MAX   1000
#define LINE_BYTES  512 /* as in libslirp: what is longer counts as several lines */

static FILE *resolv_open(void)
{
	/* The file may be a FIFO or a device; O_NONBLOCK, so that open() does not wait. */
	int fd = open(RESOLV_CONF, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	struct stat st;
	FILE *f = NULL;

	if (fd >= 0 && !fstat(fd, &st) && S_ISREG(st.st_mode))
		f = fdopen(fd, "r");
	if (fd >= 0 && !f)
		close(fd);
	return f;
}

void name_server_line(char *line)
{
	char text[LINE_BYTES], word[INET_ADDRSTRLEN + 1];
	FILE *f = resolv_open();
	struct in_addr a;

	snprintf(line, NAME_SERVER_LINE, "\n");
	if (!f)
		return;
	for (unsigned i = 0; i < LINES_MAX && fgets(text, sizeof(text), f); i++) {
		if (sscanf(text, "nameserver%*[ \t]%16s", word) != 1 ||
		    inet_pton(AF_INET, word, &a) != 1)
			continue;
		snprintf(line, NAME_SERVER_LINE, "nameserver %.15s\n", word);
		break;
	}
	fclose(f);
}

void name_server_write(struct name_server_file *f, const char *line)
{
	char text[NAME_SERVER_LINE + 1];
	size_t len = strnlen(line, NAME_SERVER_LINE - 1);

	if (f->fd < 0 || !len || (f->size && !strncmp(f->line, line, len) && !f->line[len]))
		return;
	memcpy(f->line, line, len);
	f->line[len] = '\0';
	memcpy(text, line, len);
	if (len == f->size)
		text[len++] = '\n'; /* another size */
	if (ftruncate(f->fd, 0) || lseek(f->fd, 0, SEEK_SET) || write(f->fd, text, len) < 0)
		f->size = 0; /* tried again at the next answer */
	else
		f->size = len;
}
