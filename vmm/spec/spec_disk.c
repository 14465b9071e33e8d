// SPDX-License-Identifier: GPL-2.0-only
/* Parses the text form of a disk (--disk). */
#include "vmm/spec/spec_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SERIAL 20U
#define MAX_QUEUES 16UL

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
		d->aio_threads = false;
	else if (!strcmp(word, "aio=threads"))
		d->aio_threads = true;
	else if (spec_word_value(word, "aio"))
		ret = err_set(e, -EINVAL, "--disk %s: aio is io_uring or threads", s);
	else if ((value = spec_word_value(word, "serial")))
		ret = disk_serial(d, s, value, e);
	else if ((value = spec_word_value(word, "queues")))
		ret = disk_queues(d, s, value, e);
	else
		return 0;
	return ret ? ret : 1;
}

/* A vhost-user disk has no options that only its back end can carry out. */
static int check_vhost_user(const struct spec_disk *d, const char *s, struct err *e)
{
	const char *word = d->readonly	    ? "ro"
			   : d->direct	    ? "direct"
			   : d->aio_threads ? "aio"
			   : d->serial	    ? "serial"
					    : NULL;

	if (!word)
		return 0;
	return err_set(e, -EINVAL,
		       "--disk %s: \"%s\" is the back end's to decide; set it there "
		       "(qemu-storage-daemon --export ...,writable=off, --blockdev ...)",
		       s, word);
}

/*
 * Take the words of @d->path, which is all of the option at first, off its end. From the right: a
 * comma in a file's name is part of it unless a known word follows.
 */
static int disk_words(struct spec_disk *d, const char *s, struct err *e)
{
	static const char *const known[] = { "ro", "direct", "serial", "queues", "aio", NULL };
	char *comma;
	int ret;

	while ((comma = strrchr(d->path, ','))) {
		ret = disk_word(d, s, comma + 1, e);
		if (ret < 0)
			return ret;
		if (!ret && (strchr(comma, '/') || strchr(comma, '.')))
			break;
		if (!ret)
			return spec_unknown_word(
				"--disk", s, comma + 1, known,
				d->vhost_user ? "vhost-user=SOCKET[,queues=N]"
					      : "FILE[,ro][,direct][,serial=S][,queues=N]",
				e);
		*comma = '\0';
	}
	return *d->path ? 0 : err_set(e, -EINVAL, "--disk %s: no file is named", s);
}

int spec_take_disk(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	struct spec_disk *d = &s->disks[s->n_disks];
	const char *socket = spec_word_value(text, "vhost-user");
	char *path;
	int ret;

	if (s->n_disks == SPEC_MAX_DISKS)
		return err_set(e, -EINVAL, "--disk %s: at most %d disks", text, SPEC_MAX_DISKS);
	d->vhost_user = socket;
	d->path = strdup(socket ? socket : text);
	if (!d->path)
		return err_set(e, -ENOMEM, "out of memory");
	s->n_disks++;
	ret = disk_words(d, text, e);
	if (!ret && d->vhost_user)
		ret = check_vhost_user(d, text, e);
	if (ret)
		return ret;
	path = spec_path_below(base, d->path);
	if (!path)
		return err_set(e, -ENOMEM, "out of memory");
	free(d->path);
	d->path = path;
	return 0;
}
