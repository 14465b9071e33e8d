// SPDX-License-Identifier: GPL-2.0-only
/* Parses the text form of a disk (--disk). */
#include "vmm/spec/spec_text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAX_SERIAL 20U
#define MAX_QUEUES 16

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
	if (spec_number(value, 1, MAX_QUEUES, &d->queues))
		return err_set(e, -EINVAL, "--disk %s: queues wants a number from 1 to %d", s,
			       MAX_QUEUES);
	return 0;
}

static int disk_aio(struct spec_disk *d, const char *s, const char *value, struct err *e)
{
	static const char *const values[] = {
		[SPEC_AIO_AUTO] = "auto",
		[SPEC_AIO_URING] = "io_uring",
		[SPEC_AIO_THREADS] = "threads",
	};

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		if (strcmp(value, values[i]) != 0)
			continue;
		d->aio = i;
		return 0;
	}
	return err_set(e, -EINVAL, "--disk %s: aio is auto, io_uring or threads", s);
}

/*
 * Returns true if the word, up to a comma or the end, is one of a disk's; its value may still be
 * none.
 */
static bool is_disk_word(const char *word)
{
	static const char *const forms[] = {
		"ro", "direct", "serial=", "queues=", "aio=", "node="
	};
	size_t len = strcspn(word, ",");

	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		size_t n = strlen(forms[i]);
		bool has_value = forms[i][n - 1] == '=';

		if ((has_value ? len >= n : len == n) && !memcmp(word, forms[i], n))
			return true;
	}
	return spec_is_device_word(word);
}

/*
 * Returns true if the words begin at @at: a comma in a file's name is part of it unless nothing but
 * known words follows.
 */
static bool disk_words_begin(const char *text, const char *at)
{
	(void)text;
	for (; *at; at += 1 + strcspn(at + 1, ","))
		if (!is_disk_word(at + 1))
			return false;
	return true;
}

/* Takes @word, which is one of is_disk_word(). */
static int disk_word(struct spec_disk *d, const char *s, const char *word, struct err *e)
{
	int ret = spec_device_word(&d->dev, "--disk", s, word, e);
	const char *value;

	if (ret)
		return ret < 0 ? ret : 0;
	if (!strcmp(word, "ro"))
		d->readonly = true;
	else if (!strcmp(word, "direct"))
		d->direct = true;
	else if ((value = spec_word_value(word, "serial")))
		return disk_serial(d, s, value, e);
	else if ((value = spec_word_value(word, "queues")))
		return disk_queues(d, s, value, e);
	else if ((value = spec_word_value(word, "node")))
		return spec_take_id(d->node, "--disk", s, "node", value, e);
	else
		return disk_aio(d, s, spec_word_value(word, "aio"), e);
	return 0;
}

/* Refuses options of a vhost-user disk that only its back end could carry out. */
static int check_vhost_user(const struct spec_disk *d, const char *s, struct err *e)
{
	const char *word = d->readonly ? "ro"
			   : d->direct ? "direct"
			   : d->aio    ? "aio"
			   : d->serial ? "serial"
			   : *d->node  ? "node"
				       : NULL;

	if (!word)
		return 0;
	return err_set(e, -EINVAL,
		       "--disk %s: \"%s\" is the back end's to decide; set it there "
		       "(qemu-storage-daemon --export ...,writable=off, --blockdev ...)",
		       s, word);
}

/* Takes the words off the end of @d->path, which is all of the option at first. */
static int disk_words(struct spec_disk *d, const char *s, struct err *e)
{
	static const char *const known[] = { "ro", "direct", "serial", "queues", "aio",
					     "id", "node",   "slot",   "bus",	 NULL };
	size_t len = spec_file_len(d->path, ",", disk_words_begin);
	char *rest = d->path[len] ? d->path + len + 1 : NULL, *word;
	const char *comma;
	int ret = 0;

	d->path[len] = '\0';
	/*
	 * A word behind a comma is part of the file's name only if it has a dot or a slash; else it
	 * was meant as an option.
	 */
	comma = strrchr(d->path, ',');
	if (comma && !strpbrk(comma, "./"))
		return spec_unknown_word(
			"--disk", s, comma + 1, known,
			d->vhost_user ? "vhost-user=SOCKET[,queues=N][,id=ID][,slot=N][,bus=PORT]"
				      : "FILE[,ro][,direct][,serial=S][,queues=N]"
					"[,id=ID][,node=NODE][,slot=N][,bus=PORT]",
			e);
	while (!ret && (word = strsep(&rest, ",")))
		ret = disk_word(d, s, word, e);
	if (ret)
		return ret;
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
