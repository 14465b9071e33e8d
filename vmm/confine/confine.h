/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Gives up the rights of `vmm` before it parses the guest's files, and before the guest's first
 * instruction, so that a file or a guest that takes over the process has nothing. It does so by
 * default, in layers, each of which is enough against many a fault of the others:
 *
 *   user        root becomes another user, without groups
 *   caps        no capabilities, in no user namespace
 *   nnp         no_new_privs: no program gives privileges
 *   pid         own process namespace: no other process can be named (a process that forks dies)
 *   mount       own mount namespace, whose root is an empty read-only tmpfs
 *   net, ipc    own network, System V IPC and host name: with nothing in them
 *   landlock    the kernel refuses to open, make or connect anything (Linux 5.13)
 *   rlimits     no core file, few descriptors
 *   seccomp     a list of system calls for each kind of thread (vmm/confine/seccomp/rules.h)
 *
 * All that a guest needs is opened before, and no path afterwards; descriptors of new files come
 * from clients over the control socket. What a stranger may have made (kernel, firmware, policy,
 * drivers, disks) is opened before, and read and parsed afterwards. A layer that the host does not
 * offer is left out, and `vmm info` says so; in strict mode it is an error.
 *
 * Two processes. A process cannot enter a process namespace, only its children are born in one; and
 * somebody outside has to remove the sockets' files, put the terminal back in order and say what
 * happened if the filter killed the guest. So confine_fork() makes the VMM a child; its parent, the
 * supervisor, waits, passes signals on and ends with the child's exit code. It forks before
 * anything is allocated, holds 100 KiB while the guest runs, reads nothing from the guest (but, of
 * one in the background, its name), and if it dies, so does the VMM. The alternatives were looked
 * at: Firecracker's jailer is a second program that users leave out, and gives up cleaning up;
 * crosvm's minijail forks the same way for each device; QEMU's -sandbox has no namespaces at all.
 *
 * With CONFINE_MANAGED there is one process, the VMM, which the manager has started: no process
 * namespace then, so threads have the ids that the manager sees, and nothing outside. Whoever
 * manages it says how it ended. The files of its sockets stay, as it has no path to them any more:
 * the next guest of the name replaces them, as it does those of a guest that was killed, and `vmm
 * stop` and `vmm kill` remove that of the control socket. A record that a failed start has made
 * stays too. It holds no tie to its parent's life; its helpers end with it, by their sockets.
 *
 * Not given up, and why: the capability bounding set (41 system calls to empty; without execve(),
 * with no_new_privs, it gives nothing; nor would SECBIT_NOROOT, in one call, take more), and a
 * user's supplementary groups, which only root may drop.
 */
#ifndef UMBRA_VMM_CONFINE_CONFINE_H
#define UMBRA_VMM_CONFINE_CONFINE_H

#include <jansson.h>
#include <sys/types.h>

#include "base/err.h"
#include "base/socket_file.h"
#include "base/types.h"
#include "vmm/confine/confine_news.h"
#include "vmm/confine/mode.h"

#define CONFINE_MAX_FILES 10

struct confine;
struct descriptors;

/* A socket's file, which the supervisor removes at the end. */
struct confine_file {
	const char *path;	    /* NULL ends a list */
	const struct socket_id *id; /* NULL: it is the file that is there at confine_enter() */
	/* A new file and no socket: it is removed only if confine_ready() never came, and empty. */
	bool unused;
	/* With @unused: it is removed if it is empty, whether that came or not. */
	bool spare;
};

/* The kinds of threads that a VMM has beside its main thread; each has a filter of its own. */
enum thread_kind {
	THREAD_VCPU,
	THREAD_QUEUE,
	THREAD_BLOCK,
	THREAD_FILE,
};

struct confine_start {
	enum confine_mode mode;
	/*
	 * The user that root becomes, NAME or UID[:GID]; NULL: "umbra" if there is such a user,
	 * else "nobody".
	 */
	const char *user;
	/*
	 * Signals that end the guest; -1 ends the list. Where there are two processes, they are
	 * blocked in both, with SIGPIPE, SIGXFSZ, SIGTTIN, SIGTTOU and SIGCONT. The VMM receives
	 * them from the supervisor, which ends a VMM that has not come to confine_ready() by then.
	 */
	const int *ends;
	const struct descriptors *inherited; /* closed in the supervisor; NULL: nothing is */
	struct confine_news news;
};

/*
 * Forks into the VMM and its supervisor. Returns 0 in the VMM, with *out for confine_enter(). With
 * CONFINE_OFF, for which *out is NULL, and CONFINE_MANAGED this process is the VMM, without
 * another. Returns 1 in the supervisor, when the VMM has ended: *code is the exit code, *note tells
 * whether the VMM had called confine_note(), and the supervisor, which has stayed in the caller's
 * namespaces, can fork again (a user's not on a kernel without CONFIG_CHECKPOINT_RESTORE). -errno,
 * of which some are returned in the VMM's process. The caller has one thread, and nothing that a
 * forked child would not have.
 */
int confine_fork(struct confine **out, const struct confine_start *s, int *code, bool *note,
		 struct err *e);

/*
 * Enters all layers. @files, at most CONFINE_MAX_FILES, are removed by the supervisor at the end,
 * unless others lie there by then. From here on a system call that is not on the list of its thread
 * ends the process: exit code 128 + SIGSYS, and a line that names call and thread. Single-threaded.
 * -EPERM in strict mode: the layer that is missing is named; -ENAMETOOLONG: the paths of @files are
 * too long in all, and nothing has been given up; -errno.
 */
int confine_enter(struct confine *c, const struct confine_file *files, struct err *e);

/*
 * Sets *note of the supervisor's confine_fork(): its caller has something to mend that a confined
 * VMM cannot. To be called before confine_ready(). Without a supervisor nobody mends it.
 */
void confine_note(struct confine *c);

/*
 * Tells the supervisor that the guest is about to start: from here on it passes signals to the VMM
 * instead of ending it. To be called once, after confine_enter(). -EPIPE: the supervisor has died.
 */
int confine_ready(struct confine *c, struct err *e);

/* Installs the filter of @kind for the calling thread. Ends the process if that fails. */
void confine_thread(const struct confine *c, enum thread_kind kind);

/*
 * Returns the calling thread's id as the host numbers it, that is as the /proc does that vmm was
 * started with: the one that taskset(1), chrt(1) and perf(1) take. One system call. 0: there was no
 * /proc, or it is another namespace's. NULL as @c: not confined.
 */
pid_t confine_thread_id(const struct confine *c);

/*
 * Returns true if a supervisor removes files, passes signals on and tells of the end. NULL as @c:
 * false.
 */
bool confine_is_supervised(const struct confine *c);

/* Frees @c; the rights that were given up stay so. NULL allowed. */
void confine_free(struct confine *c);

/*
 * Raises CAP_SYS_ADMIN of the VMM's user namespace in the ambient set, so that it outlives an exec:
 * a helper that starts next can unshare namespaces then. It does nothing for root, who keeps the
 * capability anyway. In force until confine_enter().
 */
void confine_lend(void);

/*
 * Makes the group @gid, the one that the VMM was started with, known in the user namespace that
 * confine_fork() has made, where only the user is: a tmpfs of that namespace takes no file of a
 * group that has no number there. For a helper that makes such files, so that a start without it
 * does without; the VMM itself notices nothing, for it neither asks for its group nor sets any.
 * Does nothing for root, with CONFINE_OFF, and the second time.
 */
void confine_map_group(enum confine_mode mode, gid_t gid);

/*
 * Confines the process of the user-mode network, after its sockets for the host's ports are open,
 * in all layers but the network namespace, since it uses the host's network. Its process namespace
 * is the VMM's, in which it was started. It sees no file system: its root is a read-only tmpfs with
 * an empty /etc/resolv.conf, which *resolv writes to, and @dir (a real path, or NULL) at its own
 * place, whatever the rights of the directories above it. *resolv is -1, and nothing is hidden but
 * by Landlock, with CONFINE_OFF, where the host allows no mount namespace, and with "/" as @dir.
 * -EPERM in strict mode: the layer that is missing is named; -errno: a layer was refused that
 * always works.
 *
 * The resolv.conf is one of the process's own, filled from outside, because the host's can be
 * followed in no other way: a mount of the file alone keeps what it was when NetworkManager,
 * dhclient or resolvconf rename another into its place, a Landlock rule (of an inode, as ever)
 * refuses the new one from then on, and a mount of the directory shows all of /etc.
 */
int confine_network(enum confine_mode mode, const char *user, const char *dir, int *resolv,
		    struct err *e);

/*
 * Confines a process that connects to UNIX sockets, and does nothing else. It keeps its user,
 * because root's sockets are root's, and of root's capabilities the one that opens other users'.
 * -errno as above.
 */
int confine_dialer(enum confine_mode mode, struct err *e);

/*
 * Confines a process that parses a file of a stranger, which is open already, for another process:
 * no path and no other process can be named any more, nothing is left but to read and write what is
 * open. It ends with the process that made it. Layers that the host lacks are left out. -errno.
 */
int confine_parser(struct err *e);

/*
 * Confines a command that parses files of strangers. It can still open what lies at and beneath
 * @paths (NULL ends them; those that are not there are passed over) for reading, and write to what
 * is open: no execution, no network, no file written. Without Landlock it can read all that its
 * user can. -errno.
 */
int confine_reader(const char *const *paths, struct err *e);

/*
 * Returns { "mode", "user", "layers": { NAME: bool... }, "missing": { NAME: reason... },
 * "system-calls": { KIND: number... } }. NULL as @c: not confined.
 */
json_t *confine_info(const struct confine *c);

/*
 * Writes to @out which layers the host has refused, and why: "mount", "net": REASON; "landlock":
 * REASON. For the log of a manager, which asks no `vmm info`. False: none. After confine_enter().
 */
bool confine_refused(const struct confine *c, char *out, size_t size);

/*
 * Returns the same object for the layers that this host allows to the calling user, which a child
 * process finds out by trying. NULL: it could not be tried.
 */
json_t *confine_probe(void);

#endif
