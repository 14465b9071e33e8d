/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The host PVM: loads policies (sessions, their name spaces, their rules) and decides requests.
 *
 * policy/ is a plain library: no KVM, no guest memory. The VMM hands it requests with typed
 * arguments that were copied out of the guest once; it answers with a decision. A struct policy is
 * read-only after loading; reloading builds a new one and the VMM swaps the pointer.
 */
#ifndef UMBRA_POLICY_POLICY_H
#define UMBRA_POLICY_POLICY_H

#include "base/err.h"
#include "base/types.h"
#include "policy/catalog.h"

struct policy;
struct policy_session;

/* Loads a policy. Errors name file, line and what was expected. */
int policy_load(struct policy **out, const char *path, struct err *e);
/* Opens @path for policy_load_fd(). Returns the descriptor, or -errno. */
int policy_open(const char *path, struct err *e);
/* Does the same for an open descriptor, which stays open; @path is for messages. */
int policy_load_fd(struct policy **out, int fd, const char *path, struct err *e);
/* Does the same for a file of which @data has all @len bytes. */
int policy_load_bytes(struct policy **out, const char *path, const void *data, size_t len,
		      struct err *e);
/* Does the same for a @text in memory; @label is for messages. */
int policy_parse(struct policy **out, const char *label, const char *text, struct err *e);
void policy_free(struct policy *p);

/* Returns the session of that name, or NULL; or number @i of the count. */
const struct policy_session *policy_session(const struct policy *p, const char *name);
size_t policy_session_count(const struct policy *p);
const struct policy_session *policy_session_at(const struct policy *p, size_t i);
const char *policy_session_name(const struct policy_session *s);

/* How the entries of a session's drivers are laid out in the guest. */
enum session_layout {
	LAYOUT_DENSE, /* each driver has entries for what it imports, and nothing else */
	LAYOUT_SAME,  /* all share a shadow, page for page as the kernel's text: the patent's */
};

enum session_layout policy_layout(const struct policy_session *s);
/* Returns true if the calls of function SYMBOL come to the host PVM in this session. */
bool policy_critical(const struct policy_session *s, const char *symbol);
/* Does the same for a function of the catalogue. */
bool policy_critical_fn(const struct policy_session *s, const struct catalog_fn *fn);
/*
 * Returns the line of the policy by which calls of SYMBOL are seen, "trace[0] at demo.policy:7",
 * which lives as long as the policy; NULL: they are not. *each (may be NULL): it is one of
 * `witness`, so each of them is to leave the guest.
 */
const char *policy_traced(const struct policy_session *s, const char *symbol, bool *each);
/*
 * Returns number @i of the session's patterns of functions that are seen, with the policy's line in
 * *rule; NULL: there are no more.
 */
const char *policy_trace_at(const struct policy_session *s, size_t i, const char **rule);
/* Says so of the kernel's calls of the driver's own function SYMBOL (`trace_inward`). */
const char *policy_watched(const struct policy_session *s, const char *symbol);
const char *policy_watch_at(const struct policy_session *s, size_t i, const char **rule);
#define POLICY_TRACES_MAX 64 /* patterns of each of these two kinds in a session */
/* Returns true if SYMBOL may be linked straight to the real kernel or to a real module. */
bool policy_permitted(const struct policy_session *s, const char *symbol);

/*
 * No rule gives VERDICT_EMULATE or VERDICT_PENDING yet. They are for rules that answer with a fixed
 * result, and for an operator who is asked and answers later; the record, the gate and the shim
 * carry them already, so that the guest's side need not change then.
 */
enum verdict {
	VERDICT_PASS = 1, /* as asked; 0 is no verdict */
	VERDICT_REWRITE,  /* with another name */
	VERDICT_DENY,	  /* refused, in the function's own convention */
	VERDICT_EMULATE,  /* a result without calling anything */
	VERDICT_PENDING,  /* not decided yet: ask again with the cookie */
};

#define REQUEST_NAME_MAX 4096 /* PATH_MAX, with the NUL */
#define REQUEST_ARGS	 8

/* Flags of struct decision.resolve; the first is one of openat2(2). */
#define DECISION_IN_ROOT 0x10
#define DECISION_CALLERS 0x10000 /* @root begins at the calling task's root, not at the guest's */

/* Where the export is that a name of SPACE_EXPORT stands for. */
enum export_place {
	EXPORT_OUTSIDE, /* in a module outside of the session, or nowhere */
	EXPORT_KERNEL,	/* in the kernel's image */
	EXPORT_SESSION, /* in a driver of the caller's session */
	EXPORT_PRIVATE, /* no name that may be asked for: that of a session's export in the guest */
};

/*
 * One call, with everything already copied out of the guest. Strings are NUL-terminated within
 * their buffers; they may hold any bytes.
 */
struct policy_request {
	const struct catalog_fn *fn;
	u64 args[REQUEST_ARGS]; /* register arguments, then stack arguments, as raw values */
	/* the name asked for, or given out; NULL if the function has none or it was NULL */
	const char *name;
	/* if @name is relative, the calling task's directory as it sees it, in @root; or NULL */
	const char *cwd;
	const char *root;   /* the calling task's root if it is not the guest's, else NULL */
	const char *strvec; /* argv joined by blanks, or NULL */
	/* the name to use where it is in a directory that is not everybody's, or NULL */
	const char *led;
	/* of a function that looks up: has the session registered what is really called NAME? */
	bool (*is_registered)(const void *arg, const char *name);
	const void *is_registered_arg;
	enum export_place place;
	/*
	 * EXPORT_SESSION: the export's name in the guest. EXPORT_KERNEL: the function of the
	 * catalogue that it is, under this name or an alias, or NULL.
	 */
	const char *export;
	/* For the record alone: the guest's word, but for the vCPU; @pid as in a frame (abi.h). */
	unsigned vcpu;
	u32 pid;
	const char *command; /* or NULL */
	/* Of a call that is seen when it has returned, as text; or NULL. */
	const char *call, *result;
	u64 duration_ns;
	u64 id;		   /* of a call whose end has a line of its own; 0: it has none */
	u64 guest_ns;	   /* when it was made, by the guest's monotonic clock; 0: not known */
	const char *site;  /* where in the driver: "symbol+0x12", "tail call", or NULL */
	bool other_mounts; /* the calling task sees other mounts than the guest's init */
	bool by_user;	   /* a user of the guest chose the name, not the driver */
	bool too_long;	   /* the name did not fit REQUEST_NAME_MAX */
	bool atomic;	   /* made where one cannot sleep */
};

struct decision {
	enum verdict verdict;
	int error;   /* VERDICT_DENY: positive errno */
	s64 value;   /* VERDICT_EMULATE */
	u64 cookie;  /* VERDICT_PENDING */
	u32 resolve; /* DECISION_*; DECISION_IN_ROOT if @root/@name is a pair for a path */
	bool record; /* put it into the record */
	/* the rule that decided, "files[0] at demo.policy:7"; lives as long as the policy */
	const char *rule;
	/* with DECISION_IN_ROOT: the directory that stands for /, and the name below it */
	char root[REQUEST_NAME_MAX];
	char name[REQUEST_NAME_MAX]; /* without: the name to use */
};

/*
 * Decides @r for session @s and driver instance @driver. Never fails: a request that cannot be
 * decided is denied (a function with REFUSE_NEVER passes). Pure: same input, same answer, no
 * allocation.
 *
 * A path that goes ahead always comes as DECISION_IN_ROOT: the calling task's directory is worked
 * in and the .. are gone, so the path that was checked is the one that is used. One that is let
 * through (action = "pass") is walked from the calling task's root, below the directory that lets
 * it through, so that nothing in that leads out; VERDICT_PASS says that the asked string is that
 * path. A directory's name keeps one slash at its end, "." is @root itself.
 */
void policy_decide(const struct policy_session *s, const char *driver,
		   const struct policy_request *r, struct decision *d);

/* Returns "pass", "rewrite", ... */
const char *verdict_name(enum verdict v);

#endif
