// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes the archive with the agent and the shim, and the kernel command line that starts the agent.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/install_path.h"
#include "base/file.h"
#include "guest-shim/abi.h"
#include "vmm/session/inject.h"
#include "vmm/spec/cmdline.h"

#define FILE_MAX (8u << 20)

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

/* Documentation/driver-api/early-userspace/buffer-format.rst */
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

static int archive_read_file(const char *path, void **out, size_t *len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	u8 *data = NULL;
	int ret = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &st) || !S_ISREG(st.st_mode) || st.st_size > FILE_MAX) {
		ret = -EINVAL;
		goto out;
	}
	data = malloc((size_t)st.st_size + 1);
	if (!data) {
		ret = -ENOMEM;
		goto out;
	}
	ret = file_pread(fd, data, (u64)st.st_size, 0);
	if (ret)
		goto out;
	*out = data;
	*len = (size_t)st.st_size;
	data = NULL;
out:
	free(data);
	close(fd);
	return ret;
}

/* The last place that was tried is @tried, which has PARTS_PATH_MAX bytes. */
static int guest_file(const char *file, void **out, size_t *len, char *tried)
{
	char part[192];
	int ret = -ENOENT;

	snprintf(part, sizeof(part), "guest/%s", file);
	for (unsigned i = 0; i < PARTS_PLACES && ret == -ENOENT; i++) {
		ret = install_path(i, part, tried);
		if (!ret)
			ret = archive_read_file(tried, out, len);
	}
	return ret;
}

int inject_archive(const char *release, const char *init, void **out, size_t *len, struct err *e)
{
	struct archive a = { 0 };
	void *shim = NULL, *agent = NULL;
	size_t shim_len = 0, agent_len = 0;
	char file[160], tried[PARTS_PATH_MAX] = "";
	int ret;

	snprintf(file, sizeof(file), "%s/umbra.ko", release);
	ret = guest_file(file, &shim, &shim_len, tried);
	if (ret) {
		err_set(e, ret,
			"no shim for kernel %s (%s: %s); install linux-headers-%s and run `%s %s`",
			release, tried, strerror(-ret), release,
			install_is_source_tree() ? "tools/umbra-shim" : "umbra-shim", release);
		goto out;
	}
	ret = guest_file("agent", &agent, &agent_len, tried);
	if (ret) {
		err_set(e, ret, "no agent for the guest (%s: %s); %s", tried, strerror(-ret),
			install_is_source_tree() ? "build the tree again" : "install Umbra again");
		goto out;
	}
	ret = archive_put_entry(&a, &UMBRA_AGENT_DIR[1], 0040700, NULL, 0);
	if (!ret)
		ret = archive_put_entry(&a, &UMBRA_AGENT_PATH[1], 0100700, agent, agent_len);
	if (!ret)
		ret = archive_put_entry(&a, &UMBRA_AGENT_SHIM[1], 0100600, shim, shim_len);
	if (!ret)
		ret = archive_put_entry(&a, &UMBRA_AGENT_INIT[1], 0100600, init ? init : "",
					init ? strlen(init) : 0);
	if (!ret)
		ret = archive_put_entry(&a, "TRAILER!!!", 0, NULL, 0);
	if (ret) {
		err_set(e, ret, "out of memory for the guest's archive");
		goto out;
	}
	*out = a.data;
	*len = a.len;
	a.data = NULL;
out:
	free(a.data);
	free(shim);
	free(agent);
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
