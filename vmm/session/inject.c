// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes the archive with the agent and the shim, and the kernel command line that starts the agent.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/install_path.h"
#include "base/file.h"
#include "guest-shim/abi.h"
#include "vmm/machine/closer.h"
#include "vmm/session/inject.h"
#include "vmm/spec/cmdline.h"

#define FILE_MAX  (8u << 20)
#define FILES_MAX 1024 /* shims that are installed */

struct archive {
	u8 *data;
	size_t len, cap;
	unsigned ino;
};

static int archive_put(struct archive *a, const void *data, size_t len)
{
	if (len > a->cap - a->len) {
		size_t cap = (a->len + len) * 2 + 4096;
		u8 *bigger = realloc(a->data, cap);

		if (!bigger)
			return -ENOMEM;
		a->data = bigger;
		a->cap = cap;
	}
	if (len)
		memcpy(a->data + a->len, data, len);
	a->len += len;
	return 0;
}

static int archive_pad(struct archive *a)
{
	static const char zeros[4];

	return archive_put(a, zeros, -a->len & 3);
}

/* Adds an entry, see Documentation/driver-api/early-userspace/buffer-format.rst of the kernel. */
static int archive_put_entry(struct archive *a, const char *name, unsigned mode, const void *data,
			     size_t len)
{
	size_t name_len = strlen(name) + 1;
	char header[112];
	int ret;

	snprintf(header, sizeof(header),
		 "070701%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X%08X", ++a->ino, mode, 0, 0,
		 1, 0, (unsigned)len, 0, 0, 0, 0, (unsigned)name_len, 0);
	ret = archive_put(a, header, 110);
	if (!ret)
		ret = archive_put(a, name, name_len);
	if (!ret)
		ret = archive_pad(a);
	if (!ret)
		ret = archive_put(a, data, len);
	return ret ? ret : archive_pad(a);
}

/* --- what is open ------------------------------------------------------------------------- */

/* A file below guest/: its descriptor, or the -errno of opening it. */
struct open_file {
	char name[160];
	int fd;
};

struct inject {
	bool source_tree;
	char places[PARTS_PLACES][PARTS_PATH_MAX]; /* of guest/ */
	struct open_file *list;			   /* of the first place first */
	size_t n;
};

/* Opens @name below the directory @dir, which is guest/ of a place. */
static int inject_add(struct inject *in, int dir, const char *name)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct open_file *f;

	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return 0;
	f = reallocarray(in->list, in->n + 1, sizeof(*f));
	if (!f) {
		if (fd >= 0)
			close(fd);
		return -ENOMEM;
	}
	in->list = f;
	f += in->n++;
	f->fd = fd < 0 ? -errno : fd;
	snprintf(f->name, sizeof(f->name), "%s", name);
	return 0;
}

static int inject_open_place(struct inject *in, const char *place)
{
	int fd = open(place, O_RDONLY | O_DIRECTORY | O_CLOEXEC), ret;
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *x;

	if (!d) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	ret = inject_add(in, fd, "agent");
	while (!ret && in->n < FILES_MAX && (x = readdir(d))) {
		char name[160];

		if (x->d_name[0] != '.' &&
		    snprintf(name, sizeof(name), "%s/umbra.ko", x->d_name) < (int)sizeof(name))
			ret = inject_add(in, fd, name);
	}
	closedir(d);
	return ret;
}

int inject_open(struct inject **out, struct err *e)
{
	struct inject *in = calloc(1, sizeof(*in));
	int ret = in ? 0 : -ENOMEM;

	for (unsigned i = 0; i < PARTS_PLACES && !ret; i++) {
		ret = install_path(i, "guest", in->places[i]);
		if (!ret)
			ret = inject_open_place(in, in->places[i]);
	}
	if (ret) {
		inject_close(in);
		return err_set(e, ret, "cannot look for the guest's agent and shim: %s",
			       strerror(-ret));
	}
	in->source_tree = install_is_source_tree();
	*out = in;
	return 0;
}

void inject_release_files(struct inject *in, struct closer *c)
{
	for (size_t i = 0; i < in->n; i++) {
		if (in->list[i].fd >= 0)
			closer_close(c, in->list[i].fd, in->list[i].name);
		in->list[i].fd = -EBADF;
	}
}

void inject_close(struct inject *in)
{
	if (!in)
		return;
	for (size_t i = 0; i < in->n; i++)
		if (in->list[i].fd >= 0)
			close(in->list[i].fd);
	free(in->list);
	free(in);
}

/* Reads a file; @tried, of PARTS_PATH_MAX bytes, tells where it should lie. */
static int guest_file(const struct inject *in, const char *name, u8 **out, size_t *len, char *tried)
{
	snprintf(tried, PARTS_PATH_MAX, "%.3800s/%s",
		 in->places[in->source_tree ? PARTS_PLACES - 1 : 0], name);
	for (size_t i = 0; i < in->n; i++) {
		const struct open_file *f = &in->list[i];

		if (!strcmp(f->name, name))
			return f->fd < 0 ? f->fd
					 : file_read_fd(f->fd, tried, FILE_MAX, out, len, NULL);
	}
	return -ENOENT;
}

/* --- the archive -------------------------------------------------------------------------- */

static int archive_fill(struct archive *a, const char *init, const struct archive *agent,
			const struct archive *shim)
{
	int ret = archive_put_entry(a, &UMBRA_AGENT_DIR[1], 0040700, NULL, 0);

	if (!ret)
		ret = archive_put_entry(a, &UMBRA_AGENT_PATH[1], 0100700, agent->data, agent->len);
	if (!ret)
		ret = archive_put_entry(a, &UMBRA_AGENT_SHIM[1], 0100600, shim->data, shim->len);
	if (!ret)
		ret = archive_put_entry(a, &UMBRA_AGENT_INIT[1], 0100600, init ? init : "",
					init ? strlen(init) : 0);
	return ret ? ret : archive_put_entry(a, "TRAILER!!!", 0, NULL, 0);
}

int inject_archive(const struct inject *in, const char *release, const char *init, void **out,
		   size_t *len, struct err *e)
{
	struct archive a = { 0 }, shim = { 0 }, agent = { 0 };
	char file[160], tried[PARTS_PATH_MAX] = "";
	u8 *data = NULL;
	int ret;

	snprintf(file, sizeof(file), "%s/umbra.ko", release);
	ret = guest_file(in, file, &data, &shim.len, tried);
	if (ret) {
		err_set(e, ret,
			"no shim for kernel %s (%s: %s); install linux-headers-%s and run `%s %s`",
			release, tried, strerror(-ret), release,
			in->source_tree ? "tools/umbra-shim" : "umbra-shim", release);
		goto out;
	}
	shim.data = data;
	ret = guest_file(in, "agent", &data, &agent.len, tried);
	if (ret) {
		err_set(e, ret, "no agent for the guest (%s: %s); %s", tried, strerror(-ret),
			in->source_tree ? "build the tree again" : "install Umbra again");
		goto out;
	}
	agent.data = data;
	ret = archive_fill(&a, init, &agent, &shim);
	if (ret) {
		err_set(e, ret, "out of memory");
		goto out;
	}
	*out = a.data;
	*len = a.len;
	a.data = NULL;
out:
	free(a.data);
	free(shim.data);
	free(agent.data);
	return ret;
}

char *inject_cmdline(const char *cmdline)
{
	static const char own[] = "rdinit=" UMBRA_AGENT_PATH;
	struct cmdline_word last;
	char *out = NULL;
	int n;

	if (cmdline_find_value(cmdline, "rdinit", &last))
		n = asprintf(&out, "%.*s%s%s", (int)(last.start - cmdline), cmdline, own,
			     last.start + last.len);
	else
		n = asprintf(&out, "%s%s%s", own, *cmdline ? " " : "", cmdline);
	return n < 0 ? NULL : out;
}
