// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gives up the rights that a VMM and its helpers do not need: the order of the layers, for each
 * kind of process.
 */
#include "vmm/confine/confine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "base/exit_code.h"
#include "base/sanitizer.h"
#include "base/socket_file.h"
#include "base/terminal.h"
#include "vmm/confine/confine_int.h"
#include "vmm/confine/supervisor.h"

_Static_assert(CONFINE_MAX_FILES == SUPERVISOR_FILES, "all fit");

#define OPEN_FILES 4096 /* a disk's queue has two */

/* A sanitizer makes system calls of its own, in threads of its own. */
#define FILTERS_WORK (!SANITIZER_ADDRESS && !SANITIZER_THREAD)

/* ThreadSanitizer has to see each fork. */
#define CLONE_WORKS (!SANITIZER_THREAD)

/*
 * Keeps libraries from opening files later on. With a heap for each thread, malloc() looks into
 * /sys and /proc when it makes and shrinks them, so there is one heap; called before there is a
 * second thread. jansson takes the seed of its tables from /dev/urandom, unless it is given one:
 * here AT_RANDOM's bytes, mixed, because the stack protector's canary is made of the same.
 */
static void prepare_libraries(void)
{
	u64 word[2];

	mallopt(M_ARENA_MAX, 1);
	memcpy(word, (const void *)getauxval(AT_RANDOM), sizeof(word)); /* NOLINT */
	word[0] = (word[0] ^ (word[1] >> 7)) * 0x9e3779b97f4a7c15ULL;
	json_object_seed((size_t)(word[0] >> 32) | 1);
}

static struct confine *confine_create(enum confine_mode mode)
{
	struct confine *c = calloc(1, sizeof(*c));

	if (!c)
		return NULL;
	c->mode = mode;
	c->guard = c->thread_link = -1;
	for (size_t i = 0; i < LAYERS; i++)
		c->why[i] = ENODATA;
	return c;
}

void confine_free(struct confine *c)
{
	if (!c)
		return;
	if (c->guard >= 0)
		close(c->guard);
	if (c->thread_link >= 0)
		close(c->thread_link);
	free(c);
}

/* --- becoming two -------------------------------------------------------------------------- */

/*
 * Forks into a process namespace, and for a user who is not root a user namespace, in which there
 * are the capabilities that the other namespaces ask for, and no more rights than before. Notes in
 * c->why[] whether they are in force; where they are refused it forks without.
 *
 * The C library's fork() takes no flags. Like it, this call has the kernel write the child's id to
 * where the C library keeps that of the thread, for locks compare those. The calling process stays
 * outside, so it can fork again when the namespace has ended with its first process. Where the
 * kernel does not tell where that id is kept (it has no CONFIG_CHECKPOINT_RESTORE), the calling
 * process leaves its namespaces: c->left.
 */
static pid_t fork_into_namespaces(struct confine *c, unsigned uid)
{
	int *tid = NULL, flags = uid ? CLONE_NEWUSER | CLONE_NEWPID : CLONE_NEWPID;
	pid_t pid;

	c->left = !CLONE_WORKS || prctl(PR_GET_TID_ADDRESS, &tid, 0, 0, 0);
	if (c->left) {
		confine_namespaces(c, flags);
		c->refused = c->why[LAYER_PID];
		return fork();
	}
	c->why[LAYER_PID] = 0; /* the child has a copy of it */
	flags |= CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD;
	pid = (pid_t)syscall(SYS_clone, flags, NULL, NULL, tid, NULL);
	if (pid >= 0)
		return pid;
	c->why[LAYER_PID] = c->refused = errno;
	return fork();
}

/*
 * Lets this process's children be born in its own process namespace again. The one that they were
 * born in has ended with the VMM, its init, and no fork() succeeds in it any more. A user who is
 * not root may not change that, pid_namespaces(7): there are no children then.
 */
static void leave_ended_namespace(void)
{
	int fd = open("/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	setns(fd, CLONE_NEWPID);
	close(fd);
}

/*
 * Maps the user's id to itself in the user namespace that this process was born in, so that checks
 * of a file's owner keep their meaning. Supplementary groups show there as the overflow group
 * (nogroup), and still give their rights.
 */
static int map_user(unsigned uid, struct err *e)
{
	char map[32];
	int len = snprintf(map, sizeof(map), "%u %u 1\n", uid, uid), ret = 0;
	int fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, map, (size_t)len) != len)
		ret = err_set(e, -errno,
			      "/proc/self/uid_map: %s; mount /proc, or use --confine off",
			      strerror(errno));
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Finds the user that the VMM becomes, if this is root; refuses @user, if it is not. */
static int find_rights(struct confine *c, const char *user, unsigned uid, struct err *e)
{
	if (uid && user)
		return err_set(e, -EPERM, "--user %s: only root can become another user", user);
	return uid ? 0 : confine_find_user(c, user, e);
}

/*
 * Blocks signals, those of job control among them, and lists the ones that the supervisor acts on
 * in *set.
 */
static void signals_block(sigset_t *set, const struct confine_start *s)
{
	const int *ends = s->ends;
	sigset_t blocked;

	sigemptyset(set);
	while (*ends >= 0)
		sigaddset(set, *ends++);
	sigaddset(set, SIGCHLD);
	sigaddset(set, SIGTSTP);
	sigaddset(set, SIGPIPE);
	sigaddset(set, SIGXFSZ);
	if (s->news.fn)
		sigaddset(set, SIGIO);
	blocked = *set;
	terminal_add_job_signals(&blocked);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
}

/*
 * Ends this process with its supervisor, which may be killed while the guest is prepared, or may be
 * dead already.
 */
static void die_with_supervisor(int guard)
{
	struct pollfd p = { .fd = guard };

	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	if (poll(&p, 1, 0) == 1)
		_exit(EXIT_CODE_ERROR);
}

/* Waits for the end of @vmm as its supervisor (supervise()); returns the exit code. */
static int run_supervisor(const struct confine *c, const struct confine_start *s, pid_t vmm,
			  const sigset_t *signals, int guard, bool *note)
{
	int code;

	if (s->inherited)
		descriptors_close(s->inherited);
	code = supervise(vmm, signals, guard, &s->news, note);
	if (c->left)
		leave_ended_namespace();
	return code;
}

/* Begins the VMM's process: -errno, with the line for the user. */
static int begin_vmm(struct confine *c, unsigned uid, int guard, struct err *e)
{
	die_with_supervisor(guard);
	prepare_libraries();
	c->pid = c->why[LAYER_PID] ? getpid() : 1;
	return uid && !c->why[LAYER_PID] ? map_user(uid, e) : 0;
}

/*
 * Could map_user() write? The profile of AppArmor that libvirt makes for a domain forbids it, and
 * nobody leaves a user namespace again. errno says why not.
 */
static bool may_map_user(void)
{
	int fd = open("/proc/self/uid_map", O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return false;
	close(fd);
	return true;
}

/*
 * Makes this process the VMM, without another: @uid enters a user namespace, unless it is root, in
 * which it may make the others, and its helpers too. The caller has one thread, as that asks for.
 */
static int begin_managed(struct confine *c, unsigned uid, struct err *e)
{
	prepare_libraries();
	c->pid = getpid();
	c->why[LAYER_PID] = CONFINE_NOT_HERE;
	if (uid && (!may_map_user() || unshare(CLONE_NEWUSER))) {
		c->refused = errno;
		return 0;
	}
	return uid ? map_user(uid, e) : 0;
}

static int confine_stay(struct confine **out, const struct confine_start *s, struct err *e)
{
	unsigned uid = (unsigned)getauxval(AT_EUID);
	struct confine *c = confine_create(s->mode);
	int ret;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	ret = find_rights(c, s->user, uid, e);
	if (!ret)
		ret = begin_managed(c, uid, e);
	if (ret)
		confine_free(c);
	else
		*out = c;
	return ret;
}

int confine_fork(struct confine **out, const struct confine_start *s, int *code, bool *note,
		 struct err *e)
{
	/* The id is in the auxiliary vector, which costs no system call. */
	unsigned uid = (unsigned)getauxval(AT_EUID);
	int pipe[2] = { -1, -1 }, ret;
	struct confine *c;
	sigset_t set;
	pid_t pid;

	*out = NULL;
	*note = false;
	if (s->mode == CONFINE_OFF)
		return s->user ? err_set(e, -EINVAL,
					 "--user needs confinement, and --confine is off")
			       : 0;
	if (s->mode == CONFINE_MANAGED)
		return confine_stay(out, s, e);
	c = confine_create(s->mode);
	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	ret = find_rights(c, s->user, uid, e);
	if (ret)
		goto fail;
	if (pipe2(pipe, O_DIRECT | O_NONBLOCK | O_CLOEXEC)) {
		ret = err_set(e, -errno, "cannot make a pipe: %s", strerror(errno));
		goto fail;
	}
	/*
	 * The terminal is looked at before the fork: in the new process namespace all process
	 * groups of outside have the number 0, so it cannot be told there which of them has the
	 * terminal.
	 */
	terminal_look(STDIN_FILENO);
	signals_block(&set, s);
	pid = fork_into_namespaces(c, uid);
	if (pid < 0) {
		ret = err_set(e, -errno, "cannot make a process: %s", strerror(errno));
		goto fail;
	}
	if (pid) {
		*code = run_supervisor(c, s, pid, &set, pipe[0], note);
		ret = 1;
		goto fail;
	}
	close(pipe[0]);
	pipe[0] = -1;
	ret = begin_vmm(c, uid, pipe[1], e);
	if (ret)
		goto fail;
	c->guard = pipe[1];
	*out = c;
	return 0;
fail:
	if (pipe[0] >= 0)
		close(pipe[0]);
	if (pipe[1] >= 0)
		close(pipe[1]);
	confine_free(c);
	return ret;
}

/* --- giving up ----------------------------------------------------------------------------- */

static void limit_resources(struct confine *c)
{
	const struct rlimit none = { 0, 0 }, files = { OPEN_FILES, OPEN_FILES };

	c->why[LAYER_RLIMITS] = setrlimit(RLIMIT_CORE, &none) ? errno : 0;
	/* Refused if the hard limit is lower already; then that one stays. */
	setrlimit(RLIMIT_NOFILE, &files);
}

/* Enters all layers but the namespaces and the filter. @readable as confine_landlock() has it. */
static int give_up_rights(struct confine *c, const char *const *readable, struct err *e)
{
	int ret;

	c->why[LAYER_NNP] = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ? errno : 0;
	confine_landlock(c, readable);
	limit_resources(c);
	ret = confine_drop(c);
	if (ret)
		return err_set(e, ret, "cannot become user %u: %s; name another by --user",
			       (unsigned)c->uid, strerror(-ret));
	return 0;
}

/*
 * Enters the layers as give_up_rights() does, in a process that the kernel kills when its parent
 * dies.
 */
static int enter_layers(struct confine *c, const char *const *readable, struct err *e)
{
	int ret = give_up_rights(c, readable, e);

	/* The change of user has cleared PR_SET_PDEATHSIG. */
	if (!ret)
		prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	return ret;
}

/* Tells the supervisor the files to remove; fails if it has died already. */
static int tell_supervisor(const struct confine *c, const struct confine_file *files, struct err *e)
{
	struct supervisor_packet packet = { 0 };
	size_t at = 0;

	if (c->guard < 0)
		return 0; /* there is no supervisor */
	for (size_t i = 0; files[i].path; i++) {
		size_t len = strlen(files[i].path) + 1;

		if (len > sizeof(packet.paths) - at || i == CONFINE_MAX_FILES)
			return err_set(e, -ENAMETOOLONG,
				       "%s: too long a path; those of the record, the dump and "
				       "all sockets have less than %zu bytes in all",
				       files[i].path, sizeof(packet.paths));
		/*
		 * A file that another process has removed or replaced meanwhile is not this
		 * process's to remove.
		 */
		if (files[i].unused && unused_file_id(files[i].path, &packet.ids[packet.n]))
			continue;
		if (files[i].unused)
			packet.unused |= 1U << packet.n;
		else if (files[i].id)
			packet.ids[packet.n] = *files[i].id;
		else if (socket_file_id(files[i].path, &packet.ids[packet.n]))
			continue;
		if (files[i].spare) {
			packet.spare |= 1U << packet.n;
			packet.ids[packet.n].made_ns = 0;
		}
		memcpy(packet.paths + at, files[i].path, len);
		at += len;
		packet.n++;
	}
	if (write(c->guard, &packet, sizeof(packet)) != (ssize_t)sizeof(packet))
		return err_set(e, -EPIPE, "vmm's supervisor has died");
	return 0;
}

/*
 * Opens the link by which a thread learns its id as the host numbers it: within a process namespace
 * gettid() gives the number in there, while the link gives that of the procfs it belongs to. A
 * descriptor of a link leads nowhere, unlike one of a directory, from which all of /proc could be
 * reached.
 */
static void thread_link_open(struct confine *c)
{
	if (!c->why[LAYER_PID])
		c->thread_link = open("/proc/thread-self", O_PATH | O_NOFOLLOW | O_CLOEXEC);
}

static unsigned thread_link_size(const struct confine *c)
{
	return c->thread_link < 0 ? 0 : THREAD_LINK_SIZE;
}

pid_t confine_thread_id(const struct confine *c)
{
	char text[THREAD_LINK_SIZE + 1];
	const char *slash;
	ssize_t n;

	if (!c || c->why[LAYER_PID])
		return gettid();
	if (c->thread_link < 0)
		return 0;
	n = readlinkat(c->thread_link, "", text, THREAD_LINK_SIZE);
	text[n < 0 ? 0 : n] = '\0';
	slash = strrchr(text, '/');
	return slash ? (pid_t)strtol(slash + 1, NULL, 10) : 0;
}

static int check_strict(const struct confine *c, struct err *e)
{
	for (size_t i = 0; i < LAYERS; i++)
		if (c->why[i])
			return err_set(
				e, -EPERM,
				"--confine strict: this host does not allow the layer \"%s\": %s",
				confine_layer_name((enum layer)i),
				confine_layer_reason((enum layer)i, c->why[i]));
	return 0;
}

static int filter_install(struct confine *c, enum filter f, struct err *e)
{
	int ret;

	if (!FILTERS_WORK) {
		c->why[LAYER_SECCOMP] = EOPNOTSUPP;
		return 0;
	}
	/*
	 * The filter is presumed to be in force: in strict mode the errors of the other layers have
	 * to be told before it is installed.
	 */
	c->why[LAYER_SECCOMP] = 0;
	ret = c->mode == CONFINE_STRICT ? check_strict(c, e) : 0;
	if (!ret)
		ret = confine_report(f);
	if (!ret) {
		c->why[LAYER_SECCOMP] = -confine_filter(f, c->pid, thread_link_size(c));
		if (c->why[LAYER_SECCOMP] && c->mode == CONFINE_STRICT)
			ret = check_strict(c, e);
	}
	return ret;
}

int confine_enter(struct confine *c, const struct confine_file *files, struct err *e)
{
	/*
	 * The supervisor is told first: if a later step fails, this process can reach no path any
	 * more to remove a file.
	 */
	int ret = tell_supervisor(c, files, e);

	if (ret)
		return ret;
	thread_link_open(c);
	/* A process that was refused a process namespace has no right to the other kinds either. */
	if (c->drop || !c->refused)
		confine_namespaces(c, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS);
	else
		c->why[LAYER_MOUNT] = c->why[LAYER_NET] = c->why[LAYER_IPC] = c->refused;
	confine_empty_root(c);
	/* A manager may end before its guests: they are not tied to it. */
	ret = c->mode == CONFINE_MANAGED ? give_up_rights(c, NULL, e) : enter_layers(c, NULL, e);
	return ret ? ret : filter_install(c, FILTER_MAIN, e);
}

bool confine_is_supervised(const struct confine *c)
{
	return c && c->guard >= 0;
}

void confine_note(struct confine *c)
{
	c->note = true;
}

int confine_ready(struct confine *c, struct err *e)
{
	u8 start = SUPERVISOR_READY | (c->note ? SUPERVISOR_NOTE : 0);

	if (c->guard >= 0 && write(c->guard, &start, sizeof(start)) != sizeof(start))
		return err_set(e, -EPIPE, "vmm's supervisor has died");
	return 0;
}

void confine_thread(const struct confine *c, enum thread_kind kind)
{
	static const char line[] = "vmm: a thread cannot confine itself, so the guest was ended\n";

	if (c->why[LAYER_SECCOMP] ||
	    !confine_filter((enum filter)kind, c->pid, thread_link_size(c)))
		return;
	if (write(STDERR_FILENO, line, sizeof(line) - 1) < 0)
		_exit(EXIT_CODE_ERROR);
	_exit(EXIT_CODE_ERROR);
}

/* --- the network's process ----------------------------------------------------------------- */

void confine_lend(void)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3];

	if (!getauxval(AT_EUID) || syscall(SYS_capget, &header, sets) ||
	    !(sets[0].permitted & 1U << CAP_SYS_ADMIN))
		return;
	sets[0].inheritable |= 1U << CAP_SYS_ADMIN;
	if (!syscall(SYS_capset, &header, sets))
		prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_SYS_ADMIN, 0, 0);
}

static bool write_proc(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return done;
}

void confine_map_group(enum confine_mode mode, gid_t gid)
{
	char map[32];

	if (mode == CONFINE_OFF || !getauxval(AT_EUID))
		return;
	snprintf(map, sizeof(map), "%u %u 1\n", gid, gid);
	/*
	 * The kernel wants setgroups() denied before: else a process could leave a group that
	 * denies it something.
	 */
	if (write_proc("/proc/self/setgroups", "deny"))
		write_proc("/proc/self/gid_map", map);
}

int confine_network(enum confine_mode mode, const char *user, const char *dir, int *resolv,
		    struct err *e)
{
	/*
	 * The host's resolv.conf, and directories that it may be a link into. In a root of the
	 * helper's own (confine_network_root()) there is only the first.
	 */
	const char *readable[] = {
		"/etc/resolv.conf",
		"/run/systemd/resolve",
		"/run/resolvconf",
		"/run/NetworkManager",
		"/run/connman",
		dir,
		NULL,
	};
	struct confine *c;
	int ret;

	*resolv = -1;
	if (mode == CONFINE_OFF)
		return 0;
	c = confine_create(mode);
	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	ret = getauxval(AT_EUID) ? 0 : confine_find_user(c, user, e);
	if (ret)
		goto out;
	prepare_libraries();
	c->pid = getpid();
	c->why[LAYER_PID] = c->why[LAYER_NET] = 0; /* see confine.h */
	confine_namespaces(c, CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS);
	confine_network_root(c, dir, resolv);
	ret = enter_layers(c, readable, e);
	if (!ret)
		ret = filter_install(c, FILTER_NETWORK, e);
out:
	if (ret && *resolv >= 0) {
		close(*resolv);
		*resolv = -1;
	}
	confine_free(c);
	return ret;
}

/* --- the process that connects ------------------------------------------------------------- */

int confine_dialer(enum confine_mode mode, struct err *e)
{
	const char *const nothing[] = { NULL };
	struct confine *c;
	int ret;

	if (mode == CONFINE_OFF)
		return 0;
	c = confine_create(mode);
	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	if (!getauxval(AT_EUID))
		c->keep = 1U << CAP_DAC_OVERRIDE;
	c->pid = getpid();
	c->why[LAYER_PID] = 0; /* the VMM's, in which it was started */
	/* A network namespace does not hinder it: a UNIX socket is found by its path from any. */
	confine_namespaces(c, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS);
	if (!c->why[LAYER_MOUNT])
		c->why[LAYER_MOUNT] = confine_freeze_mounts();
	ret = enter_layers(c, nothing, e);
	if (!ret)
		ret = filter_install(c, FILTER_DIALER, e);
	confine_free(c);
	return ret;
}

/* --- processes that parse ------------------------------------------------------------------ */

int confine_parser(struct err *e)
{
	struct confine *c = confine_create(CONFINE_ON);
	int ret;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	prepare_libraries();
	c->pid = getpid();
	ret = enter_layers(c, NULL, e);
	if (!ret)
		ret = filter_install(c, FILTER_PARSER, e);
	confine_free(c);
	return ret;
}

int confine_reader(const char *const *paths, struct err *e)
{
	struct confine *c = confine_create(CONFINE_ON);
	int ret;

	if (!c)
		return err_set(e, -ENOMEM, "out of memory");
	prepare_libraries();
	/* Root reads the files of others. */
	if (!getauxval(AT_EUID))
		c->keep = 1U << CAP_DAC_READ_SEARCH;
	c->pid = getpid();
	ret = give_up_rights(c, paths, e);
	if (!ret)
		ret = filter_install(c, FILTER_READER, e);
	confine_free(c);
	return ret;
}
