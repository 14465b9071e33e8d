// SPDX-License-Identifier: GPL-2.0-only
/*
 * umbra-qemu: the emulator for libvirt's QEMU driver. It translates its command line and becomes
 * vmm, so that the process that libvirt knows is the guest's own.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/plain_text.h"
#include "base/version.h"
#include "tools/umbra-qemu/translate.h"

static const char help[] =
	"Usage: umbra-qemu QEMU-OPTION...\n"
	"Run a guest of Umbra for libvirt, whose QEMU driver gives the command line: it is translated\n"
	"to one of vmm run. Not for people; a domain names this program as its emulator.\n"
	"\n"
	"  -umbra KEY=VALUE   an option of vmm run: confine, driver, driver-wait, firmware,\n"
	"                     firmware-log, no-cache, no-control, no-kaslr, policy, record,\n"
	"                     record-size; repeatable\n"
	"  --version          the version\n"
	"  --help             this text\n"
	"\n"
	"What Umbra has not is an error that names it: a machine other than pc and q35, graphics, USB,\n"
	"disks that are not raw images on a virtio bus. The error is what virsh start shows.\n"
	"\n"
	"Examples:\n"
	"  <emulator>/usr/bin/umbra-qemu</emulator>\n"
	"  <qemu:commandline xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>\n"
	"    <qemu:arg value='-umbra'/><qemu:arg value='policy=/etc/umbra/web.policy'/>\n"
	"  </qemu:commandline>\n"
	"  virt-install --boot emulator=/usr/bin/umbra-qemu --graphics none \\\n"
	"      --controller usb,model=none --import --disk web.img,format=raw ...\n";

/* Writes the path of vmm, beside this program, to @out. */
static int find_vmm(char *out, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", out, size - sizeof("vmm"));
	char *slash;

	if (n < 0)
		return -errno;
	if ((size_t)n == size - sizeof("vmm"))
		return -ENAMETOOLONG;
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (!slash)
		return -ENOENT;
	memcpy(slash + 1, "vmm", sizeof("vmm"));
	return 0;
}

/*
 * Forgets the home that libvirt makes for each domain and removes with it: a kernel that vmm
 * prepares there, by a process of its own, would be for nobody. vmm prepare does it for all.
 */
static void forget_domain_home(void)
{
	static const char *const names[] = { "HOME", "XDG_CACHE_HOME" };

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		const char *path = getenv(names[i]);

		if (path && strstr(path, "/domain-"))
			unsetenv(names[i]);
	}
}

static int become_vmm(struct translated *t)
{
	char path[4096];
	int ret = find_vmm(path, sizeof(path));

	if (ret) {
		plain_text_line(stderr, "umbra-qemu: cannot find vmm beside it: %s",
				strerror(-ret));
		return EXIT_FAILURE;
	}
	for (size_t i = 0; i < t->notes.n; i++)
		plain_text_line(stderr, "umbra-qemu: note: %s", t->notes.v[i]);
	forget_domain_home();
	execv(path, t->args.v);
	plain_text_line(stderr, "umbra-qemu: %s: cannot be started: %s", path, strerror(errno));
	return EXIT_FAILURE;
}

/* Returns the exit code of a run that has printed. */
static int end_of_output(void)
{
	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	plain_text_line(stderr, "umbra-qemu: cannot write to stdout: %s", strerror(errno));
	return EXIT_FAILURE;
}

#define PATIENCE_MS	  1000
#define ERROR_PATIENCE_MS 5000

/*
 * Waits until libvirt has connected to its monitor, which it does as soon as it has started this:
 * then it sees the end of the connection, and shows what was said before it. If the socket is gone
 * by then, it says only that it could not connect. vmm may find an error, too.
 */
static void await_libvirt(int argc, char **argv, int ms)
{
	struct pollfd p[8];
	nfds_t n = 0;

	for (int i = 1; i < argc && n < sizeof(p) / sizeof(*p); i++) {
		const char *fd = strstr(argv[i], ",fd=");

		if (!strcmp(argv[i - 1], "-chardev") && fd && strstr(fd, ",server=on"))
			p[n++] = (struct pollfd){ .fd = (int)strtol(fd + 4, NULL, 10),
						  .events = POLLIN };
	}
	if (n)
		poll(p, n, ms);
}

int main(int argc, char **argv)
{
	struct translated t;
	struct err e;
	int code;

	if (argc == 2 && (!strcmp(argv[1], "--version") || !strcmp(argv[1], "-version"))) {
		puts("umbra-qemu (Umbra) " VMM_VERSION ", not QEMU");
		return end_of_output();
	}
	if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
		fputs(help, stdout);
		return end_of_output();
	}
	if (translate(&t, argc - 1, argv + 1, &e)) {
		plain_text_line(stderr, "umbra-qemu: %s", e.text);
		await_libvirt(argc, argv, ERROR_PATIENCE_MS);
		code = EXIT_FAILURE;
	} else {
		await_libvirt(argc, argv, PATIENCE_MS);
		code = become_vmm(&t);
	}
	translated_free(&t);
	return code;
}
