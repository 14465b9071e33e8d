// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs as the agent, the guest's first process, before the user's init. It loads the shim, removes
 * the VMM's files from the initramfs, leaves a child behind that loads and unloads drivers on the
 * VMM's command, and becomes the user's init. Static, no files needed once it runs.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abi.h"

/* Tells the VMM to end the guest with one line; powers off if the port is barred (lockdown). */
static void agent_give_up(int error)
{
	if (!ioperm(UMBRA_PORT_FAIL, 4, 1))
		outl((unsigned int)error, UMBRA_PORT_FAIL);
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

/* Loads the shim; returns the control descriptor that it leaves in this process. */
static int load_shim(void)
{
	int next, fd = open(UMBRA_AGENT_SHIM, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		agent_give_up(errno);
	next = dup(fd);
	close(next);
	if (syscall(SYS_finit_module, fd, "", 0))
		agent_give_up(errno);
	close(fd);
	return next;
}

static int call_kernel(const struct umbra_mail *m, const void *payload)
{
	switch (m->cmd) {
	case UMBRA_CMD_LOAD:
		return syscall(SYS_init_module, payload, m->len, m->params) ? errno : 0;
	case UMBRA_CMD_UNLOAD:
		return syscall(SYS_delete_module, m->name, O_NONBLOCK) ? errno : 0;
	default:
		return EOPNOTSUPP;
	}
}

static void agent_reply(int control, __u32 seq, int result)
{
	struct umbra_reply r = { seq, result };

	while (write(control, &r, sizeof(r)) < 0 && errno == EINTR)
		;
}

/*
 * Carries out a command in a child process, because a driver that crashes in its init takes the
 * process that loads it with it. 0, -errno or UMBRA_CRASHED.
 */
static int agent_carry_out(const struct umbra_mail *m, const void *payload)
{
	/*
	 * An exit status has eight bits. An init may fail with an error of more, which is the
	 * kernel's own (EPROBE_DEFER is 517); 512 would pass for success.
	 */
	int *error = mmap(NULL, sizeof(*error), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
			  -1, 0);
	pid_t pid;
	int status;

	if (error == MAP_FAILED)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (!pid) {
		*error = call_kernel(m, payload);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) ? -*error : UMBRA_CRASHED;
}

/*
 * Makes a process that carries out the command and reports its result, because a driver's init may
 * take a minute and other drivers must not wait for it. It has a copy of the payload, so that the
 * mailbox is free at once.
 */
static void start_command(int control, const struct umbra_mail *m, const void *payload)
{
	size_t len = m->len ? m->len : 1;
	void *copy = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pid_t pid;

	if (copy == MAP_FAILED) {
		agent_reply(control, m->seq, -ENOMEM);
		return;
	}
	memcpy(copy, payload, m->len);
	pid = fork();
	if (!pid) {
		signal(SIGCHLD, SIG_DFL);
		agent_reply(control, m->seq, agent_carry_out(m, copy));
		_exit(0);
	}
	agent_reply(control, m->seq, pid < 0 ? -errno : UMBRA_TAKEN);
	munmap(copy, len);
}

static void agent_serve_mailbox(int control)
{
	static struct umbra_mail m;
	void *payload;

	payload = mmap(NULL, UMBRA_MAIL_PAYLOAD_MAX, PROT_READ, MAP_SHARED, control, 0);
	for (;;) {
		if (read(control, &m, sizeof(m)) != sizeof(m)) {
			if (errno == EINTR)
				continue;
			_exit(1);
		}
		if (payload == MAP_FAILED)
			agent_reply(control, m.seq, -ENOMEM);
		else
			start_command(control, &m, payload);
	}
}

/*
 * Makes the process that serves the mailbox, in a session of its own. Its name begins with @, so
 * that systemd does not kill it at switch-root.
 */
static void start_server(int control, char **argv)
{
	pid_t pid = fork();
	int i, null;

	if (pid < 0)
		agent_give_up(errno);
	if (pid)
		return;
	setsid();
	for (i = 1; i < NSIG; i++)
		signal(i, SIG_IGN);
	null = open("/dev/null", O_RDWR);
	for (i = 0; i < 3 && null >= 0; i++)
		dup2(null, i);
	memset(argv[0], 0, strlen(argv[0]));
	argv[0][0] = '@';
	agent_serve_mailbox(control);
}

/* Reads the user's own rdinit= from our last file, and removes all of our files. */
static void agent_clean_up(char *init, size_t size)
{
	int fd = open(UMBRA_AGENT_INIT, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, init, size - 1);

	init[n > 0 ? n : 0] = 0;
	if (fd >= 0)
		close(fd);
	unlink(UMBRA_AGENT_INIT);
	unlink(UMBRA_AGENT_SHIM);
	unlink(UMBRA_AGENT_PATH);
	rmdir(UMBRA_AGENT_DIR);
}

/* What the kernel's command line says of the root file system; members that it has not are NULL. */
struct boot_options {
	char *root, *type, *init;
	int writable;
};

/* Returns nonzero for a blank as the kernel's isspace() knows it, Latin-1's of 0xa0 among them. */
static int is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r') || (unsigned char)c == 0xa0;
}

/*
 * Takes the next word off @s as next_arg() of the kernel's lib/cmdline.c does, quotes included, and
 * returns the rest. *value is NULL without a '='.
 */
static char *next_word(char *s, char **key, char **value)
{
	char *equals = NULL, *p;
	int quoted = *s == '"', inside = quoted;

	s += quoted;
	for (p = s; *p && (inside || !is_blank(*p)); p++) {
		if (!equals && *p == '=' && p > s)
			equals = p;
		if (*p == '"')
			inside = !inside;
	}
	*key = s;
	*value = equals ? equals + 1 : NULL;
	s = *p ? p + 1 : p;
	*p = 0;
	if (equals)
		*equals = 0;
	if (*value && **value == '"') {
		++*value;
		quoted = 1;
	}
	if (quoted && p > (*value ? *value : *key) && p[-1] == '"')
		p[-1] = 0;
	while (is_blank(*s))
		s++;
	return s;
}

/* Takes @line apart, which the members of *o then point into. The last word of a name counts. */
static void boot_options_parse(struct boot_options *o, char *line)
{
	char *key, *value, *s = line;

	memset(o, 0, sizeof(*o));
	while (is_blank(*s))
		s++;
	while (*s) {
		s = next_word(s, &key, &value);
		if (!value && !strcmp(key, "--"))
			break;
		if (value && !strcmp(key, "root"))
			o->root = value;
		else if (value && !strcmp(key, "rootfstype"))
			o->type = value;
		else if (value && !strcmp(key, "init"))
			o->init = value;
		else if (!value && (!strcmp(key, "rw") || !strcmp(key, "ro")))
			o->writable = key[1] == 'w';
	}
}

/*
 * Reads the kernel's command line into @line. /proc is mounted at /.proc to read it, and unmounted
 * again.
 */
static void command_line_read(char *line, size_t size)
{
	ssize_t n = -1;
	int fd;

	mkdir("/.proc", 0700);
	if (!mount("proc", "/.proc", "proc", 0, NULL)) {
		fd = open("/.proc/cmdline", O_RDONLY | O_CLOEXEC);
		if (fd >= 0) {
			n = read(fd, line, size - 1);
			close(fd);
		}
		umount("/.proc");
	}
	rmdir("/.proc");
	line[n > 0 ? n : 0] = 0;
}

static int mount_root(const char *dev, const char *type, unsigned long flags)
{
	static const char *const types[] = { "ext4", "btrfs", "xfs", "squashfs", "erofs", "vfat" };
	unsigned int i;

	mkdir("/.root", 0700);
	if (type && !mount(dev, "/.root", type, flags, NULL))
		return 0;
	for (i = 0; !type && i < sizeof(types) / sizeof(types[0]); i++)
		if (!mount(dev, "/.root", types[i], flags, NULL))
			return 0;
	rmdir("/.root");
	return -1;
}

/*
 * Does what the kernel does when the initramfs has no init: mounts root= (by its name in /dev, with
 * rootfstype=, read-only unless "rw") and runs init= from it. The kernel skips this because it has
 * started the agent.
 */
static void boot_from_root(char **argv)
{
	static const char *const inits[] = { "/sbin/init", "/etc/init", "/bin/init", "/bin/sh" };
	static char line[4096];
	struct boot_options o;
	unsigned int i;

	command_line_read(line, sizeof(line));
	boot_options_parse(&o, line);
	if (o.root) {
		mkdir("/dev", 0755);
		if (access(o.root, F_OK))
			mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	}
	if (!o.root || mount_root(o.root, o.type, o.writable ? 0 : MS_RDONLY)) {
		fprintf(stderr,
			"umbra: no init: the initramfs has none, and root=%s cannot be mounted\n",
			o.root ? o.root : "");
		return;
	}
	if (chdir("/.root") || mount(".", "/", NULL, MS_MOVE, NULL) || chroot(".") || chdir("/"))
		return;
	if (o.init) {
		argv[0] = o.init;
		execv(o.init, argv);
		fprintf(stderr, "umbra: requested init %s failed: %s\n", o.init, strerror(errno));
		return;
	}
	for (i = 0; i < sizeof(inits) / sizeof(inits[0]); i++) {
		argv[0] = (char *)(unsigned long)inits[i];
		execv(argv[0], argv);
	}
}

int main(int argc, char **argv)
{
	static char init[4096];
	char *target;
	int control;

	(void)argc;
	if (getpid() != 1) {
		fprintf(stderr, "This is the guest's part of Umbra; vmm starts it.\n");
		return 2;
	}
	control = load_shim();
	agent_clean_up(init, sizeof(init));
	start_server(control, argv);
	close(control);

	target = init[0] ? init : strcpy(init, "/init");
	if (!access(target, X_OK)) {
		argv[0] = target;
		execv(target, argv);
		fprintf(stderr, "umbra: cannot start %s: %s\n", target, strerror(errno));
	}
	boot_from_root(argv);
	/* As the kernel would: no init is a panic. */
	return 1;
}
