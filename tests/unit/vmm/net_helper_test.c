// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs the program of the user-mode network, with this test as its VMM: what its process sees of
 * the file system, whom the guest's questions for names reach when the host's name server changes,
 * that TCP data of many segments in one frame arrives, whatever its reader does, and what happens
 * when that process dies. As root, in namespaces of its own.
 */
#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/sanitizer.h"
#include "base/types.h"
#include "devices/net_train.h"
#include "tests/unit/base/child.h"
#include "tests/unit/vmm/net_driver_fixture.h"
#include "vmm/confine/helper.h"

#define PATIENCE_MS 10000
#define NOBODY	    65534
#define SERVERS	    3
#define STREAMS	    24U /* of them AT_ONCE, which fill the device's socket */
#define AT_ONCE	    8U

struct net {
	int keeper, frames;
	pid_t keeper_pid, server_pid;
};

static char program[64], work[32];
static int servers[SERVERS]; /* of names: 127.0.0.1, .2, .3 */
static bool ready_for_tests;

/* --- the world of the tests ---------------------------------------------------------------- */

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
}

static const char *read_file(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[n < 0 ? 0 : n] = '\0';
	return n < 0 ? NULL : text;
}

static int copy_program(void)
{
	char from[4096], *slash, command[8400];
	ssize_t n = readlink("/proc/self/exe", from, sizeof(from) - 16);

	/* build/tests/unit/vmm/test_... to build/. */
	for (int i = 0; n > 0 && i < 4; i++) {
		slash = strrchr(from, '/');
		if (!slash)
			return -1;
		*slash = '\0';
	}
	snprintf(program, sizeof(program), "%s/net-helper", work);
	snprintf(command, sizeof(command), "cp '%s/net-helper' %s", from, program);
	return system(command); /* NOLINT(cert-env33-c) */
}

static int name_server_socket(u32 address)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(53) };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(address);
	return fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) ? -1 : fd;
}

/* An /etc and a network in which nobody else has a part. */
static int make_world(void **state)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd;

	(void)state;
#if SANITIZER_ADDRESS
	return 0; /* its net-helper has no filter */
#endif
	snprintf(work, sizeof(work), "/tmp/net-helper-XXXXXX");
	if (geteuid() || !mkdtemp(work) || chmod(work, 0755) || copy_program())
		return 0;
	if (unshare(CLONE_NEWNS | CLONE_NEWNET) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("etc", "/etc", "tmpfs", 0, "mode=0755"))
		return 0;
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	if (ioctl(fd, SIOCSIFFLAGS, &lo))
		return 0;
	close(fd);
	for (u32 i = 0; i < SERVERS; i++)
		if ((servers[i] = name_server_socket(0x7f000001U + i)) < 0)
			return 0;
	write_file("/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n");
	ready_for_tests = true;
	return 0;
}

static int end_world(void **state)
{
	char command[64];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", work);
	return *work ? system(command) : 0; /* NOLINT(cert-env33-c) */
}

/* --- one network --------------------------------------------------------------------------- */

static pid_t child_of(pid_t pid)
{
	char path[64];
	const char *text;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	text = read_file(path);
	return text ? (pid_t)strtol(text, NULL, 10) : 0;
}

/* Becomes what confine_fork() makes of a VMM of a user who is not root. */
static void become_user(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];
	char map[32];
	int fd;

	snprintf(map, sizeof(map), "%d %d 1\n", NOBODY, NOBODY);
	if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY) ||
	    prctl(PR_SET_DUMPABLE, 1) || unshare(CLONE_NEWUSER))
		_exit(1);
	fd = open("/proc/self/uid_map", O_WRONLY);
	if (write(fd, map, strlen(map)) < 0)
		_exit(2);
	close(fd);
	/* confine_lend() takes this process for root's, as which it was started. */
	if (syscall(SYS_capget, &header, sets))
		_exit(4);
	sets[0].inheritable |= 1U << CAP_SYS_ADMIN;
	if (syscall(SYS_capset, &header, sets) ||
	    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0))
		_exit(5);
}

/* Waits for a packet; its text, or NULL at the end. */
static const char *receive(struct net *n, int *fd)
{
	static char text[1024];
	struct pollfd p = { .fd = n->keeper, .events = POLLIN };
	ssize_t len;

	if (poll(&p, 1, PATIENCE_MS) != 1)
		fail_msg("the keeper says nothing");
	len = helper_receive(n->keeper, text, sizeof(text) - 1, fd);
	if (len < 0)
		return NULL;
	text[len] = '\0';
	return text;
}

static void expect_up(struct net *n)
{
	const char *text = receive(n, &n->frames);

	if (n->frames < 0)
		fail_msg("the network does not run: %s", text ? text : "hung up");
	n->server_pid = child_of(n->keeper_pid);
	assert_true(n->server_pid > 0);
}

/* Starts a keeper, as the child of a process that only stands for the VMM. */
static pid_t keeper_start(struct net *n, const char *option, enum confine_mode mode, bool user)
{
	const char *const argv[] = { "net-helper", option, confine_mode_name(mode), "65534", NULL };
	int pair[2];
	pid_t vmm;

	assert_int_equal(helper_pair(pair), 0);
	vmm = child_fork();
	if (!vmm) {
		close(pair[0]);
		if (user)
			become_user();
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (helper_spawn(program, argv, pair[1], mode))
			_exit(3);
		close(pair[1]);
		pause();
		_exit(0);
	}
	close(pair[1]);
	n->keeper = pair[0];
	n->frames = -1;
	for (int i = 0; i < PATIENCE_MS / 10 && !(n->keeper_pid = child_of(vmm)); i++)
		poll(NULL, 0, 10);
	expect_up(n);
	return vmm;
}

static void finish(struct net *n, pid_t vmm)
{
	char path[32];

	close(n->frames);
	close(n->keeper);
	snprintf(path, sizeof(path), "/proc/%d/exe", n->server_pid);
	for (int i = 0; i < PATIENCE_MS / 10 && readlink(path, path + 20, 4) > 0; i++)
		poll(NULL, 0, 10);
	assert_int_equal(readlink(path, path + 20, 4), -1);
	kill(vmm, SIGKILL);
	child_await(vmm, NULL);
}

/* --- what it sees -------------------------------------------------------------------------- */

/* Returns all names in a directory of the process's root, sorted and with a blank behind each. */
static const char *names_in(pid_t pid, const char *dir)
{
	static char all[4096];
	struct dirent **list;
	size_t len = 0;
	char path[128];
	int n;

	snprintf(path, sizeof(path), "/proc/%d/root%s", pid, dir);
	n = scandir(path, &list, NULL, alphasort);
	all[0] = '\0';
	for (int i = 0; i < n; i++) {
		if (list[i]->d_name[0] != '.' && len < sizeof(all) - 300)
			len += (size_t)snprintf(all + len, sizeof(all) - len, "%s ",
						list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return n < 0 ? strerror(errno) : all;
}

/* Checks the mounts; proc(5): the fifth field is the mount's place, the sixth its options. */
static void expect_mounts(pid_t pid, const char *want)
{
	unsigned roots = 0;
	size_t len = 0;
	char path[64], all[1024] = "", place[256], options[128], copy[4096], *rest = copy, *line;

	snprintf(path, sizeof(path), "/proc/%d/mountinfo", pid);
	snprintf(copy, sizeof(copy), "%s", read_file(path));
	while ((line = strsep(&rest, "\n")) && *line) {
		assert_int_equal(sscanf(line, "%*s %*s %*s %*s %255s %127s", place, options), 2);
		assert_int_equal(strncmp(options, "ro,", 3), 0);
		/* In no order; the one of the root is "/". */
		if (strcmp(place, "/") != 0 && len < sizeof(all) - 260)
			len += (size_t)snprintf(all + len, sizeof(all) - len, "%s ", place);
		roots += !strcmp(place, "/");
	}
	assert_int_equal(roots, 1);
	assert_string_equal(all, want);
}

static void sees_nothing(bool user)
{
	char path[64];
	struct net n;
	pid_t vmm;

	write_file("/etc/resolv.conf", "nameserver 127.0.0.1\n");
	vmm = keeper_start(&n, "user", CONFINE_ON, user);
	assert_string_equal(names_in(n.server_pid, "/"), "etc ");
	assert_string_equal(names_in(n.server_pid, "/etc"), "resolv.conf ");
	snprintf(path, sizeof(path), "/proc/%d/root/etc/resolv.conf", n.server_pid);
	assert_string_equal(read_file(path), "nameserver 127.0.0.1\n");
	snprintf(path, sizeof(path), "/proc/%d/root/etc/passwd", n.server_pid);
	assert_int_equal(access(path, F_OK), -1);
	snprintf(path, sizeof(path), "/proc/%d/cwd/etc/passwd", n.server_pid);
	assert_int_equal(access(path, F_OK), -1);
	expect_mounts(n.server_pid, "");
	/* So that nothing was found because it was looked for in the wrong place. */
	snprintf(path, sizeof(path), "/proc/%d/root/etc/passwd", n.keeper_pid);
	assert_int_equal(access(path, F_OK), 0);
	finish(&n, vmm);
}

static void it_sees_no_file_system(void **state)
{
	(void)state;
	if (!ready_for_tests)
		skip();
	sees_nothing(false);
	sees_nothing(true);
}

static void it_sees_what_it_is_to_serve(void **state)
{
	char path[128], option[96], want[64], *slash;
	struct net n;
	pid_t vmm;

	(void)state;
	if (!ready_for_tests)
		skip();
	snprintf(path, sizeof(path), "%s/tftp", work);
	assert_int_equal(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/tftp/boot", work);
	write_file(path, "served\n");
	snprintf(option, sizeof(option), "user,tftp=%s/../%s/tftp", work, strrchr(work, '/') + 1);
	for (int user = 0; user < 2; user++) {
		vmm = keeper_start(&n, option, CONFINE_ON, user);
		assert_string_equal(names_in(n.server_pid, "/"), "etc tmp ");
		slash = strrchr(work, '/');
		snprintf(want, sizeof(want), "%s ", slash + 1);
		assert_string_equal(names_in(n.server_pid, "/tmp"), want);
		assert_string_equal(names_in(n.server_pid, work), "tftp ");
		snprintf(path, sizeof(path), "/proc/%d/root%s/tftp/boot", n.server_pid, work);
		assert_string_equal(read_file(path), "served\n");
		snprintf(path, sizeof(path), "%s/tftp ", work);
		expect_mounts(n.server_pid, path);
		finish(&n, vmm);
	}
}

static void a_directory_that_is_not_there_is_named(void **state)
{
	const char *const argv[] = { "net-helper", "user,tftp=/no/such/dir", "on", "0", NULL };
	struct net n = { .keeper_pid = 0 };
	const char *text;
	int pair[2];

	(void)state;
	if (!ready_for_tests)
		skip();
	assert_int_equal(helper_pair(pair), 0);
	assert_int_equal(helper_spawn(program, argv, pair[1], CONFINE_ON), 0);
	close(pair[1]);
	n.keeper = pair[0];
	text = receive(&n, &n.frames);
	assert_int_equal(n.frames, -1);
	assert_string_equal(text, "--net user,tftp=/no/such/dir: user 0 cannot read /no/such/dir: "
				  "No such file or directory");
	close(pair[0]);
	wait(NULL);
}

/* --- names --------------------------------------------------------------------------------- */

static u16 checksum(const u8 *p, size_t len)
{
	u32 sum = 0;

	for (size_t i = 0; i < len; i += 2)
		sum += (u32)(p[i] << 8 | p[i + 1]);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (u16)~sum;
}

/* Sends some bytes from 10.0.2.15 to port 53 of 10.0.2.3. */
static void ask(const struct net *n)
{
	u8 f[64] = {
		0x52,
		0x55,
		10,
		0,
		2,
		3,
		0x52,
		0x55,
		0,
		1,
		2,
		3,
		0x08,
		0x00,
		/* IPv4 */
		0x45,
		0,
		0,
		50,
		0,
		1,
		0,
		0,
		64,
		17,
		0,
		0,
		10,
		0,
		2,
		15,
		10,
		0,
		2,
		3,
		/* UDP */
		0x12,
		0x34,
		0,
		53,
		0,
		30,
		0,
		0,
	};
	u16 sum = checksum(f + 14, 20);

	f[24] = (u8)(sum >> 8);
	f[25] = (u8)sum;
	assert_int_equal(send(n->frames, f, sizeof(f), MSG_NOSIGNAL), sizeof(f));
}

/* Returns which of the servers gets what the guest asks; -1: none, within half a second. */
static int asked(const struct net *n)
{
	struct pollfd p[SERVERS];
	char any[64];

	for (int i = 0; i < SERVERS; i++) {
		p[i] = (struct pollfd){ .fd = servers[i], .events = POLLIN };
		while (recv(servers[i], any, sizeof(any), MSG_DONTWAIT) > 0)
			;
	}
	ask(n);
	if (poll(p, SERVERS, 500) > 0)
		for (int i = 0; i < SERVERS; i++)
			if (p[i].revents)
				return i;
	return -1;
}

static void expect_asked(const struct net *n, int server, const char *when)
{
	int who = -1;

	for (int i = 0; i < PATIENCE_MS / 100 && who != server; i++) {
		who = asked(n);
		poll(NULL, 0, 100);
	}
	if (who != server)
		fail_msg("%s: name server %d was asked, and not %d", when, who, server);
}

static void follow(enum confine_mode mode, bool user)
{
	struct net n;
	char path[64];
	pid_t vmm;

	unlink("/etc/resolv.conf");
	write_file("/etc/resolv.conf", "# of the host\nsearch x\nnameserver 127.0.0.1\n");
	vmm = keeper_start(&n, "user", mode, user);
	assert_int_equal(asked(&n), 0);
	write_file("/etc/resolv.conf", "nameserver 127.0.0.2\nnameserver 127.0.0.1\n");
	expect_asked(&n, 1, "rewritten");
	/* Of another size than before, for libslirp tells changes within a second by that alone. */
	snprintf(path, sizeof(path), "/proc/%d/root/etc/resolv.conf", n.server_pid);
	if (mode != CONFINE_OFF)
		assert_string_equal(read_file(path), "nameserver 127.0.0.2\n\n");
	write_file("/etc/new", "nameserver fe80::1\nnameserver 127.0.0.3\n");
	assert_int_equal(rename("/etc/new", "/etc/resolv.conf"), 0);
	expect_asked(&n, 2, "replaced");
	/* As with systemd-resolved, and resolvconf. */
	mkdir("/etc/run", 0755);
	write_file("/etc/run/stub.conf", "nameserver 127.0.0.1\n");
	assert_int_equal(symlink("run/stub.conf", "/etc/link"), 0);
	assert_int_equal(rename("/etc/link", "/etc/resolv.conf"), 0);
	expect_asked(&n, 0, "a link");
	write_file("/etc/run/new", "nameserver 127.0.0.2\n");
	assert_int_equal(rename("/etc/run/new", "/etc/run/stub.conf"), 0);
	expect_asked(&n, 1, "replaced behind the link");
	/* Without a server the old one is asked or none, and then the next. */
	unlink("/etc/run/stub.conf");
	poll(NULL, 0, 1100);
	asked(&n);
	write_file("/etc/run/stub.conf", "nameserver 127.0.0.3\n");
	expect_asked(&n, 2, "there again");
	finish(&n, vmm);
}

static void changes_of_the_hosts_name_server_are_followed(void **state)
{
	(void)state;
	if (!ready_for_tests)
		skip();
	follow(CONFINE_ON, false);
	follow(CONFINE_ON, true);
	follow(CONFINE_OFF, false);
}

/* libslirp would look for the interface by a system call that is not on the list. */
static void a_server_with_a_scope_ends_nobody(void **state)
{
	struct net n;
	pid_t vmm;

	(void)state;
	if (!ready_for_tests)
		skip();
	unlink("/etc/resolv.conf");
	write_file("/etc/resolv.conf", "nameserver fe80::1%lo\nnameserver 127.0.0.2\n");
	vmm = keeper_start(&n, "user", CONFINE_ON, false);
	expect_asked(&n, 1, "behind one with a scope");
	finish(&n, vmm);
}

/* --- long frames --------------------------------------------------------------------------- */

#define TCP_FLAGS_SYN 0x02
#define TCP_FLAGS_ACK 0x10
#define HEADERS	      54U /* Ethernet, IPv4, TCP */
#define LONG	      60000U

/* 10.0.2.15's connection with the host's loopback. */
struct tcp {
	struct net *n;
	u16 port; /* the host's */
	u32 seq, ack;
	u8 frame[HEADERS + LONG];
};

static void put(u8 *at, u32 value, unsigned len)
{
	while (len--) {
		at[len] = (u8)value;
		value >>= 8;
	}
}

/* Sends what t->frame has behind its headers, of an even length, in one frame. */
static void tcp_send(struct tcp *t, u8 flags, u32 len)
{
	static const u8 ethernet[] = { 0x52, 0x55, 10, 0, 2, 2, 0x52, 0x55, 0, 1, 2, 3, 8, 0 };
	static const u8 ip[] = {
		0x45, 0, 0, 0, 0, 1, 0, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2
	};
	u8 pseudo[12 + 20 + LONG] = { 0 };
	u8 *f = t->frame, *tcp = f + 34;

	memcpy(f, ethernet, sizeof(ethernet));
	memcpy(f + 14, ip, sizeof(ip));
	put(f + 16, 40 + len, 2);
	put(f + 24, checksum(f + 14, 20), 2);
	memset(tcp, 0, 20);
	put(tcp, 40000, 2);
	put(tcp + 2, t->port, 2);
	put(tcp + 4, t->seq, 4);
	put(tcp + 8, t->ack, 4);
	tcp[12] = 5 << 4;
	tcp[13] = flags;
	put(tcp + 14, 65535, 2);
	memcpy(pseudo, f + 26, 8);
	pseudo[9] = 6;
	put(pseudo + 10, 20 + len, 2);
	memcpy(pseudo + 12, tcp, 20 + len);
	put(tcp + 16, checksum(pseudo, 12 + 20 + len), 2);
	assert_int_equal(send(t->n->frames, f, HEADERS + len, MSG_NOSIGNAL), HEADERS + len);
	t->seq += len + (flags & TCP_FLAGS_SYN ? 1 : 0);
}

/* Waits for the answer to a SYN. */
static void tcp_await_answer(struct tcp *t)
{
	struct pollfd p = { .fd = t->n->frames, .events = POLLIN };
	static struct net_train train;
	const u8 *f = NULL;
	size_t len;

	train.at = train.len = 0;
	do {
		if (!net_train_has_more(&train)) {
			ssize_t got;

			assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
			got = recv(p.fd, train.bytes, sizeof(train.bytes), 0);
			assert_true(got > 0);
			train.at = 0;
			train.len = (size_t)got;
		}
		f = net_train_next(&train, 0, &len);
		assert_non_null(f);
		f += sizeof(struct virtio_net_hdr_v1);
		assert_true(len - sizeof(struct virtio_net_hdr_v1) >= HEADERS - 12);
	} while (f[12] != 8 || f[13] != 0 || f[23] != 6);
	assert_int_equal(f[34 + 13], TCP_FLAGS_SYN | TCP_FLAGS_ACK);
	t->ack = ((u32)f[38] << 24 | (u32)f[39] << 16 | (u32)f[40] << 8 | f[41]) + 1;
}

/* Listens with a receive buffer of @size bytes. */
static int listen_on_loopback(u16 *port, int size)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*port = ntohs(a.sin_port);
	return fd;
}

/* The device offers it to the guest (struct net_backend's long_frames). */
static void data_of_many_segments_arrives_from_one_frame(void **state)
{
	static const u8 arp[42] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x55, 0, 1,  2,
		3,    8,    6,	  0,	1,    8,    0,	  6,	4, 0,  1, /* a question */
		0x52, 0x55, 0,	  1,	2,    3,    10,	  0,	2, 15, 0,
		0,    0,    0,	  0,	0,    10,   0,	  2,	2
	};
	static struct tcp t;
	static u8 got[LONG];
	struct net n;
	size_t done = 0;
	pid_t vmm;
	int fd, to;

	(void)state;
	if (!ready_for_tests)
		skip();
	vmm = keeper_start(&n, "user", CONFINE_ON, false);
	t = (struct tcp){ .n = &n, .seq = 1000 };
	fd = listen_on_loopback(&t.port, 2 * LONG);
	assert_int_equal(send(n.frames, arp, sizeof(arp), MSG_NOSIGNAL), sizeof(arp));
	tcp_send(&t, TCP_FLAGS_SYN, 0);
	tcp_await_answer(&t);
	for (u32 i = 0; i < LONG; i++)
		t.frame[HEADERS + i] = (u8)(i >> 8 ^ i);
	tcp_send(&t, TCP_FLAGS_ACK, LONG);
	to = accept(fd, NULL, NULL);
	while (done < LONG) {
		struct pollfd p = { .fd = to, .events = POLLIN };
		ssize_t len;

		if (poll(&p, 1, PATIENCE_MS) != 1)
			fail_msg("%zu bytes of %u arrived", done, LONG);
		len = read(to, got + done, LONG - done);
		assert_true(len > 0);
		done += (size_t)len;
	}
	assert_memory_equal(got, t.frame + HEADERS, LONG);
	close(to);
	close(fd);
	finish(&n, vmm);
}

/* --- a stack that does so ------------------------------------------------------------------ */

static int tell_helper(int fd, u64 features)
{
	features &= NET_TRAIN_FEATURES;
	return write(fd, &features, sizeof(features)) < 0 ? -errno : 0;
}

/* Plays a guest with @tap, as a child, until it is killed; see net_driver_run() for longest[]. */
static void guest_run(int tap, int frames, u32 *longest)
{
	const struct net_backend b = { .fd = frames, .long_frames = true, .tell = tell_helper };
	struct net_driver *g = fake_host_alloc(sizeof(*g));

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (g && net_driver_begin(g, tap, &b))
		net_driver_run(g, longest);
	_exit(2);
}

static u8 pattern(u32 at)
{
	return (u8)(at ^ at >> 8 ^ at * 7 >> 16);
}

/* A connection between the guest's stack and the host's, in which @from sends to @to. */
struct stream {
	int from, to;
	u32 total, sent, got; /* bytes */
	unsigned seed;
	unsigned pace; /* it is read at every so many looks, on average; 0: always */
};

static unsigned stream_random(struct stream *s, unsigned below)
{
	return (unsigned)rand_r(&s->seed) % below;
}

static void stream_write(struct stream *s, u8 *data, size_t size)
{
	u32 part = stream_random(s, stream_random(s, 2) ? 3000 : (unsigned)size) + 1;
	ssize_t len;

	part = part < s->total - s->sent ? part : s->total - s->sent;
	for (u32 i = 0; i < part; i++)
		data[i] = pattern(s->sent + i);
	len = send(s->from, data, part, MSG_DONTWAIT | MSG_NOSIGNAL);
	assert_true(len > 0 || errno == EAGAIN);
	s->sent += len > 0 ? (u32)len : 0;
	if (s->sent == s->total)
		assert_int_equal(shutdown(s->from, SHUT_WR), 0);
}

/* Returns false at the end. */
static bool stream_read(struct stream *s, u8 *data, size_t size)
{
	ssize_t len = recv(s->to, data, stream_random(s, (unsigned)size) + 1, MSG_DONTWAIT);

	assert_true(len >= 0 || errno == EAGAIN);
	for (u32 i = 0; len > 0 && i < (u32)len; i++)
		if (data[i] != pattern(s->got + i))
			fail_msg("byte %u is another one", s->got + i);
	s->got += len > 0 ? (u32)len : 0;
	return len != 0;
}

/* Connects @guest, which is to send, with the host, whose side has a buffer of @size. */
static void stream_begin(struct stream *s, int guest, int size)
{
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct pollfd p = { .events = POLLIN };
	u16 port;

	p.fd = listen_on_loopback(&port, size);
	a.sin_port = htons(port);
	a.sin_addr.s_addr = htonl(0x0a000202U);
	setsockopt(guest, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (connect(guest, (struct sockaddr *)&a, sizeof(a)))
		fail_msg("it is not connected: %s", strerror(errno));
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	s->from = guest;
	s->to = accept(p.fd, NULL, NULL);
	close(p.fd);
}

/* All has arrived: the receiver's side is closed, then the other. */
static void stream_end(struct stream *s)
{
	struct pollfd p = { .fd = s->from, .events = POLLIN };
	u8 byte;

	assert_int_equal(s->got, s->total);
	/* Not close(): whoever plays the guest has it, too. */
	assert_int_equal(shutdown(s->to, SHUT_RDWR), 0);
	close(s->to);
	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_int_equal(recv(s->from, &byte, 1, 0), 0);
	close(s->from);
	s->to = s->from = -1;
}

/*
 * Sends all bytes of the streams in pieces of any size, and sees them arrive. The helper, @held, is
 * stopped at times, so that the device's socket is full.
 */
static void streams_run(struct stream *s, pid_t held)
{
	static u8 data[300000];
	unsigned left = AT_ONCE;
	bool stopped = false;

	while (left) {
		struct pollfd p[2 * AT_ONCE];
		int ready;

		for (unsigned i = 0; i < AT_ONCE; i++) {
			p[2 * i] = (struct pollfd){ .fd = s[i].to, .events = POLLIN };
			p[2 * i + 1] =
				(struct pollfd){ .fd = s[i].sent < s[i].total ? s[i].from : -1,
						 .events = POLLOUT };
		}
		ready = poll(p, 2 * AT_ONCE, stopped ? 5 : PATIENCE_MS);
		if (!ready && !stopped)
			fail_msg("they stand still: %u of %u", left, AT_ONCE);
		stopped = ready && !stream_random(s, 4);
		kill(held, stopped ? SIGSTOP : SIGCONT);
		for (unsigned i = 0; ready && i < AT_ONCE; i++) {
			if (p[2 * i + 1].revents)
				stream_write(&s[i], data, sizeof(data));
			if (!p[2 * i].revents || (s[i].pace && stream_random(s, s[i].pace)) ||
			    stream_read(&s[i], data, sizeof(data)))
				continue;
			kill(held, SIGCONT);
			stopped = false;
			stream_end(&s[i]);
			left--;
		}
	}
	kill(held, SIGCONT);
}

/*
 * As a guest whose stack cuts nothing into segments, and takes frames of many: to readers quick and
 * slow, from the guest or to it.
 */
static void streams_arrive(struct net *n, int tap, const int *guests, bool to_guest)
{
	u32 *longest = mmap(NULL, 2 * sizeof(*longest), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct stream s[AT_ONCE];
	pid_t pid;

	assert_ptr_not_equal(longest, MAP_FAILED);
	pid = child_fork();
	if (!pid)
		guest_run(tap, n->frames, longest);
	for (unsigned i = 0; i < STREAMS; i++) {
		struct stream *at = &s[i % AT_ONCE];

		*at = (struct stream){ .seed = i + 1, .pace = i % 5 == 2 ? 20 : 0 };
		at->total = stream_random(at, 3000000) + 1;
		stream_begin(at, guests[i], i % 3 == 1 ? 4096 : 262144);
		if (to_guest) {
			at->from = at->to;
			at->to = guests[i];
		}
		if (i % AT_ONCE == AT_ONCE - 1)
			streams_run(s, n->server_pid);
	}
	kill(pid, SIGKILL);
	child_await(pid, NULL);
	/* Else nothing was tried. */
	assert_in_range(longest[to_guest ? NET_DRIVER_RECEIVES : NET_DRIVER_SENDS], 30000,
			sizeof(struct virtio_net_hdr_v1) + NET_FRAME_MAX);
	munmap(longest, 2 * sizeof(*longest));
}

static void streams_run_to(bool guest)
{
	int own = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), tap, guests[STREAMS];
	struct net n;
	pid_t vmm;

	if (!ready_for_tests)
		skip();
	vmm = keeper_start(&n, "user", CONFINE_ON, false);
	assert_int_equal(unshare(CLONE_NEWNET), 0);
	tap = net_driver_tap();
	for (unsigned i = 0; i < STREAMS; i++)
		guests[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(setns(own, CLONE_NEWNET), 0);
	close(own);
	if (tap >= 0)
		streams_arrive(&n, tap, guests, guest);
	close(tap);
	finish(&n, vmm);
	if (tap < 0)
		skip();
}

static void streams_of_long_frames_arrive(void **state)
{
	(void)state;
	streams_run_to(false);
}

/* libslirp's segments are merged on the way. */
static void streams_to_the_guest_arrive(void **state)
{
	(void)state;
	streams_run_to(true);
}

/* --- its end ------------------------------------------------------------------------------- */

static void expect_hung_up(const struct net *n)
{
	struct pollfd p = { .fd = n->frames };

	assert_int_equal(poll(&p, 1, PATIENCE_MS), 1);
	assert_true(p.revents & POLLHUP);
}

static void it_is_started_again(void **state)
{
	struct net n;
	pid_t vmm, old;
	const char *text;
	int fd;

	(void)state;
	if (!ready_for_tests)
		skip();
	unlink("/etc/resolv.conf");
	write_file("/etc/resolv.conf", "nameserver 127.0.0.1\n");
	/* With a port that the next one has to get again. */
	vmm = keeper_start(&n, "user,hostfwd=tcp:80-:80", CONFINE_ON, false);
	for (int i = 0; i < 3; i++) {
		old = n.server_pid;
		kill(old, SIGKILL);
		text = receive(&n, &fd);
		assert_int_equal(fd, -1);
		assert_string_equal(text,
				    "--net user,hostfwd=tcp:80-:80: its process has ended "
				    "(signal 9, Killed); the guest's link is down until it is "
				    "started again");
		expect_hung_up(&n);
		close(n.frames);
		expect_up(&n);
		assert_int_not_equal(n.server_pid, old);
		assert_string_equal(names_in(n.server_pid, "/"), "etc ");
		expect_asked(&n, 0, "started again");
	}
	kill(n.server_pid, SIGKILL);
	text = receive(&n, &fd);
	assert_int_equal(fd, -1);
	assert_non_null(strstr(text, "4 times within a minute, so it is not started again"));
	assert_null(receive(&n, &fd));
	assert_int_equal(child_of(n.keeper_pid), 0);
	finish(&n, vmm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_sees_no_file_system),
		cmocka_unit_test(it_sees_what_it_is_to_serve),
		cmocka_unit_test(a_directory_that_is_not_there_is_named),
		cmocka_unit_test(changes_of_the_hosts_name_server_are_followed),
		cmocka_unit_test(a_server_with_a_scope_ends_nobody),
		cmocka_unit_test(data_of_many_segments_arrives_from_one_frame),
		cmocka_unit_test(streams_of_long_frames_arrive),
		cmocka_unit_test(streams_to_the_guest_arrive),
		cmocka_unit_test(it_is_started_again),
	};

	return cmocka_run_group_tests(tests, make_world, end_world);
}
