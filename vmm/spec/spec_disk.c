// SPDX-License-Identifier: GPL-2.0-only
#include "vmm/spec/spec_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SERIAL 20U
#define MAX_QUEUES 16UL

/* The value if @word is "@key=value", else NULL. */
static const char *value_of(const char *word, const char *key)
{
	size_t len = strlen(key);

	return !strncmp(word, key, len) && word[len] == '=' ? word + len + 1 : NULL;
}

static int unknown(const char *option, const char *whole, const char *word,
		   const char *const *known, const char *form, struct err *e)
{
	char key[40];
	size_t len = strcspn(word, "=");
	const char *near;

	if (len >= sizeof(key))
		len = sizeof(key) - 1;
	memcpy(key, word, len);
	key[len] = '\0';
	near = suggest(key, known);
	if (near)
		return err_set(e, -EINVAL, "%s %s: unknown option \"%s\"; did you mean \"%s\"?",
			       option, whole, key, near);
	return err_set(e, -EINVAL, "%s %s: unknown option \"%s\"; want %s", option, whole, key,
		       form);
}

/* --- disk ---------------------------------------------------------------------------------- */

static int disk_serial(struct spec_disk *d, const char *s, const char *value, struct err *e)
{
	size_t len = strlen(value);

	if (!len || len > MAX_SERIAL)
		return err_set(e, -EINVAL, "--disk %s: a serial has 1 to %u characters", s,
			       MAX_SERIAL);
	for (size_t i = 0; i < len; i++)
		if (value[i] <= ' ' || value[i] > '~')
			return err_set(e, -EINVAL, "--disk %s: a serial is printable ASCII", s);
	free(d->serial);
	d->serial = strdup(value);
	return d->serial ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int disk_queues(struct spec_disk *d, const char *s, const char *value, struct err *e)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || !n || n > MAX_QUEUES)
		return err_set(e, -EINVAL, "--disk %s: queues wants a number from 1 to %lu", s,
			       MAX_QUEUES);
	d->queues = (unsigned)n;
	return 0;
}

/* 1: @word is an option and was taken; 0: it is none; -errno. */
static int disk_word(struct spec_disk *d, const char *s, const char *word, struct err *e)
{
	const char *value;
	int ret = 0;

	if (!strcmp(word, "ro"))
		d->readonly = true;
	else if (!strcmp(word, "direct"))
		d->direct = true;
	else if (!strcmp(word, "aio=io_uring"))
		d->threads = false;
	else if (!strcmp(word, "aio=threads"))
		d->threads = true;
	else if (value_of(word, "aio"))
		ret = err_set(e, -EINVAL, "--disk %s: aio is io_uring or threads", s);
	else if ((value = value_of(word, "serial")))
		ret = disk_serial(d, s, value, e);
	else if ((value = value_of(word, "queues")))
		ret = disk_queues(d, s, value, e);
	else
		return 0;
	return ret ? ret : 1;
}

/* What only a disk that this process serves has; the back end has the rest. */
static int check_vhost_user(const struct spec_disk *d, const char *s, struct err *e)
{
	const char *word = d->readonly	? "ro"
			   : d->direct	? "direct"
			   : d->threads ? "aio"
			   : d->serial	? "serial"
					: NULL;

	if (!word)
		return 0;
	return err_set(e, -EINVAL,
		       "--disk %s: \"%s\" is the back end's to decide; set it there "
		       "(qemu-storage-daemon --export ...,writable=off, --blockdev ...)",
		       s, word);
}

/* From the right: a comma in a file's name is part of it unless a known word follows. */
int parse_disk(struct guest_spec *o, const char *s, struct err *e)
{
	static const char *const known[] = { "ro", "direct", "serial", "queues", "aio", NULL };
	struct spec_disk *d = &o->disks[o->n_disks];
	const char *path;
	char *comma;
	int ret;

	if (o->n_disks == SPEC_MAX_DISKS)
		return err_set(e, -EINVAL, "--disk %s: at most %d disks", s, SPEC_MAX_DISKS);
	path = value_of(s, "vhost-user");
	d->vhost_user = path != NULL;
	d->path = strdup(path ? path : s);
	if (!d->path)
		return err_set(e, -ENOMEM, "out of memory");
	o->n_disks++;
	while ((comma = strrchr(d->path, ','))) {
		ret = disk_word(d, s, comma + 1, e);
		if (ret < 0)
			return ret;
		if (!ret && (strchr(comma, '/') || strchr(comma, '.')))
			break;
		if (!ret)
			return unknown("--disk", s, comma + 1, known,
				       path ? "vhost-user=SOCKET[,queues=N]"
					    : "FILE[,ro][,direct][,serial=S][,queues=N]",
				       e);
		*comma = '\0';
	}
	if (!*d->path)
		return err_set(e, -EINVAL, "--disk %s: no file is named", s);
	if (d->vhost_user) {
		ret = check_vhost_user(d, s, e);
		if (ret)
			return ret;
	}
	return run_options_rebase(o, &d->path, e);
}

/* --- console and ports --------------------------------------------------------------------- */

static int parse_endpoint(struct guest_spec *o, struct spec_endpoint *end, const char *option,
			  const char *whole, const char *s, struct err *e)
{
	static const char *const known[] = { "stdio", "attach", "pty", "socket", "file", NULL };
	const char *path;

	end->path = NULL;
	if (!strcmp(s, "stdio")) {
		end->kind = SPEC_STDIO;
		return 0;
	}
	if (!strcmp(s, "attach")) {
		end->kind = SPEC_ATTACH;
		return 0;
	}
	if (!strcmp(s, "pty")) {
		end->kind = SPEC_PTY;
		return 0;
	}
	path = value_of(s, "socket");
	end->kind = path ? SPEC_SOCKET : SPEC_FILE;
	if (!path)
		path = value_of(s, "file");
	if (!path)
		return unknown(option, whole, s, known,
			       "stdio, attach, pty, socket=PATH or file=PATH", e);
	if (!*path)
		return err_set(e, -EINVAL, "%s %s: no path is named", option, whole);
	end->path = run_options_path(o, path);
	return end->path ? 0 : err_set(e, -ENOMEM, "out of memory");
}

int parse_console(struct guest_spec *o, const char *s, struct err *e)
{
	o->console_given = o->virtio_console = true;
	return parse_endpoint(o, &o->console, "--console", s, s, e);
}

int parse_port(struct guest_spec *o, const char *s, struct err *e)
{
	struct spec_port *p = &o->ports[o->n_ports];
	size_t len = strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
	int ret;

	if (o->n_ports == SPEC_MAX_PORTS)
		return err_set(e, -EINVAL, "--port %s: at most %d ports", s, SPEC_MAX_PORTS);
	if (!len || len > 60 || s[len] != '=')
		return err_set(
			e, -EINVAL,
			"--port %s: want NAME=pty, NAME=socket=PATH or NAME=file=PATH, with up "
			"to 60 letters, digits, '.', '_' and '-' as its name",
			s);
	p->name = strndup(s, len);
	if (!p->name)
		return err_set(e, -ENOMEM, "out of memory");
	o->n_ports++;
	o->virtio_console = true;
	for (size_t i = 0; i + 1 < o->n_ports; i++)
		if (!strcmp(o->ports[i].name, p->name))
			return err_set(e, -EINVAL, "--port %s: there are two ports of that name",
				       s);
	ret = parse_endpoint(o, &p->end, "--port", s, s + len + 1, e);
	if (!ret && (p->end.kind == SPEC_STDIO || p->end.kind == SPEC_ATTACH))
		return err_set(
			e, -EINVAL,
			"--port %s: the terminal and `vmm console` are for the console; want pty, "
			"socket=PATH or file=PATH",
			s);
	return ret;
}
