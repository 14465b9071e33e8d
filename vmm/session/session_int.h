/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sessions and their drivers, inside vmm/. All of it runs on the loop's thread.
 *
 * A session's range in module space is the shadow kernel's text, page for page in the layout of the
 * real one, and behind it GATE_PAGES pages: the first holds the session's own gate entries (where
 * the shadow's entries of critical functions lead), the others one driver instance each. Pages come
 * into being when a driver needs an entry on them; all others are the trap page.
 *
 * Operations (load, unload) run one after the other, in order: each is a chain of commands to the
 * guest, and the next link is called when the guest has answered.
 */
#ifndef UMBRA_VMM_SESSION_SESSION_INT_H
#define UMBRA_VMM_SESSION_SESSION_INT_H

#include "policy/policy.h"
#include "policy/record.h"
#include "shadow/kernel/kernel.h"
#include "shadow/link/link.h"
#include "vmm/gate/gate.h"
#include "vmm/session/sessions.h"
#include "vmm/spec/spec.h"

#define GATE_PAGES     64
#define MODULES_START  0xffffffffc0000000ULL
#define MODULES_LIMIT  0xffffffffff000000ULL
#define GUEST_NAME_MAX 56

enum driver_state { DRIVER_QUEUED, DRIVER_LOADING, DRIVER_LOADED, DRIVER_UNLOADING };

struct gate_slot {
	const char *symbol; /* in the catalog */
	unsigned slot;
};

struct driver {
	struct driver *next;
	struct session *session;
	char *instance;
	char *path;
	char *params; /* as the kernel takes them */
	char guest_name[GUEST_NAME_MAX];
	char suffix[16]; /* of its exports; no two in the guest are the same */
	struct module *module;
	struct link_plan *plan; /* only while it is being loaded */
	enum driver_state state;
	size_t order;	    /* on the command line; SIZE_MAX: loaded later */
	unsigned inst;	    /* 0: none */
	unsigned gate_page; /* 0: none */
	struct gate_slot *gates;
	size_t n_gates;
};

struct session {
	struct session *next;
	char *name;
	const struct policy_session *policy;
	u64 va; /* 0: nothing reserved */
	unsigned text_pages;
	u64 *page_gpa; /* text_pages + GATE_PAGES; 0: trap page */
	unsigned inst;
	struct driver *drivers, **tail;
};

/* @ret 0 or -errno with @line for people. */
typedef void session_done_fn(void *arg, int ret, const char *line);

struct op {
	struct op *next;
	struct sessions *s;
	struct driver *driver;
	bool unload;
	int ret; /* what to report at the end */
	struct err err;
	session_done_fn *done;
	void *arg;
};

struct sessions {
	struct machine *m;
	struct kernel *k;
	u64 kaslr;
	u64 text, text_end;
	struct policy *policy;
	char *policy_path;
	struct record *rec;
	struct gate *gate;
	struct loop *loop;
	struct session *list;
	struct op *ops, **ops_tail;
	bool running; /* the first op is under way */
	const char *driver_wait;
	bool has_root;
	int wait_timer;	  /* asks the guest whether it is up */
	unsigned waited;  /* times so far */
	size_t n_started; /* of the n_start drivers */
	unsigned last_suffix;
	size_t n_start; /* drivers on the command line */
	void *archive;
	size_t archive_len;
	char *cmdline;
	/* policies that were replaced; decisions may still point into them */
	struct policy **old_policies;
	size_t n_old_policies;
};

/* session_space.c */

/* Make the pages that @d needs, its gate page too; *maps (malloc'ed) names all of the session's. */
int session_prepare_pages(struct sessions *s, struct driver *d, struct umbra_map **maps, size_t *n,
			  struct err *e);
/* Set up the session's own gate page once its range is known. */
int session_take_range(struct sessions *s, struct session *ss, u64 va, struct err *e);
void session_free_range(struct sessions *s, struct session *ss);
u64 session_gate_va(const struct session *ss, unsigned page, unsigned slot);

/* session_load.c */
int sessions_queue(struct sessions *s, struct driver *d, bool unload, session_done_fn *done,
		   void *arg);
void sessions_ops_free(struct sessions *s);

/* session_drivers.c */
struct session *sessions_find(struct sessions *s, const char *name);
/* Instances by name; @session NULL: any, if there is just one. -ENOENT, -ENOTUNIQ. */
int sessions_find_driver(struct sessions *s, const char *session, const char *instance,
			 struct driver **out, struct err *e);
/*
 * Check everything that can be checked on the host and queue nothing: *out is linked into its
 * session in state DRIVER_QUEUED. sessions_drop_driver() takes it back. The file is read from @fd,
 * which stays open, or with -1 from @path.
 */
int sessions_add_driver(struct sessions *s, const char *session, const char *instance, int fd,
			const char *path, const char *params, struct driver **out, struct err *e);
void sessions_drop_driver(struct sessions *s, struct driver *d);
/*
 * Resolve its imports against what is there: drivers of the session that are loaded, or with
 * @expected also those that wait before it. Sets d->plan and d->gates.
 */
int driver_plan(struct sessions *s, struct driver *d, bool expected, struct err *e);
void driver_unplan(struct driver *d);
const char *driver_state_name(enum driver_state st);
void driver_free(struct driver *d);

/* session_policy.c */

/*
 * Read a policy file from @fd, which stays open; in force for the next call of every driver. -EBUSY: a function would become
 * critical that loaded drivers call directly.
 */
int sessions_reload_policy(struct sessions *s, int fd, const char *path, struct err *e);

/* session_commands.c: what the control socket offers. */
int sessions_control_add(struct sessions *s, struct control *c);

#endif
