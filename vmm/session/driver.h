/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stands for a driver of a session as the host knows it: found, named, checked, planned. Private to
 * vmm/session/. Nothing here talks to the guest: operation.h does.
 *
 * A driver's life, with the function on each arrow:
 *
 *            driver_add()          op_begin()            op_end()
 *   (none) --------------> QUEUED ------------> LOADING ----------> LOADED
 *     ^                      |                     |                ^    | driver_unload()
 *     |     driver_drop()    |       op_end(),     |   op_end(),    |    v
 *     +----------------------+<---- if it failed --+   if in use ---+-- UNLOADING
 *     |                                                                  |
 *     +---------------------------- op_end() ----------------------------+
 *
 * A load whose init crashes the guest's thread ends in CRASHED, for good: timers, threads and
 * devices that it made may run its code at any time. driver_look() finds out that a LOADED driver
 * is HIDDEN, or LOADED again, or REMOVED, for good; only a REMOVED one can then be unloaded.
 *
 *  (D1) A name in the guest (guest_name) belongs to one driver from driver_add() to
 *       driver_drop().
 *  (D2) A driver has at most one operation, and no other is queued for it until that one has
 *       ended.
 *  (D3) It has resources in the guest (steps != 0) in every state but QUEUED. Its entries are
 *       there as long as its code may run: they go only when the guest's kernel has said that it
 *       unloaded the module, or guest memory shows that it did.
 *  (D4) Other drivers are linked to it only while it is LOADED; the guest's kernel then counts
 *       the references and refuses to unload it.
 */
#ifndef UMBRA_VMM_SESSION_DRIVER_H
#define UMBRA_VMM_SESSION_DRIVER_H

#include "base/err.h"
#include "shadow/link/link.h"
#include "vmm/session/session.h"

enum driver_state {
	DRIVER_QUEUED,
	DRIVER_LOADING,
	DRIVER_LOADED,
	DRIVER_UNLOADING,
	DRIVER_CRASHED, /* in its init */
	DRIVER_HIDDEN,	/* its code is there, and the guest's kernel does not know of it */
	DRIVER_REMOVED, /* taken away in the guest, by somebody else than vmm */
};

struct gate_slot {
	const char *symbol; /* in the catalogue */
	unsigned slot;
};

struct driver {
	struct driver *next;
	struct session *session;
	char *name; /* in its session: its file's, or one that the user chose ("instance") */
	char *path;
	char *params; /* as the kernel takes them */
	char guest_name[MODULE_NAME_LEN];
	u64 base;	 /* where the guest's kernel has put it; 0: not known */
	char suffix[16]; /* of its exports; no two in the guest are the same */
	struct module *module;
	enum driver_state state;
	unsigned steps;	   /* of loading, begun and not undone: see operation.c */
	bool in_guest;	   /* the guest's kernel has the module */
	size_t order;	   /* on the command line; SIZE_MAX: loaded later */
	unsigned caller;   /* at the gate; 0: none */
	unsigned own_page; /* with its entries, among the session's GATE_PAGES; 0: none */
	/* Only while it is being loaded: */
	struct link_plan *plan;
	/* Its critical imports, in the order of the entries on its page: */
	struct gate_slot *gates;
	size_t n_gates;
	/* Its imports that need the policy's permission, as malloc'ed strings: */
	char **permits;
	size_t n_permits;
};

/* A driver that a user asks for; all of it is borrowed. */
struct driver_request {
	const char *session;
	const char *name; /* NULL: as the module calls itself */
	const void *data; /* what the file holds, @len bytes; NULL: read it from @fd */
	size_t len;
	int fd;		    /* of the file; -1: open @path */
	const char *path;   /* for messages */
	const char *params; /* "a=1,b=2,3"; NULL: none */
	size_t order;	    /* on the command line, or SIZE_MAX */
};

/*
 * Checks everything that can be checked on the host, and queues nothing: *out is linked into its
 * session, QUEUED. driver_drop() takes it back. The file is read now.
 */
int driver_add(struct sessions *s, const struct driver_request *r, struct driver **out,
	       struct err *e);
void driver_drop(struct driver *d);
/*
 * Finds a driver by its name in @session; NULL: in any session, if just one has it. -ENOENT,
 * -ENOTUNIQ.
 */
int driver_find(struct sessions *s, const char *session, const char *name, struct driver **out,
		struct err *e);
/*
 * Resolves its imports against the kernel and the drivers of the session that are loaded, or with
 * @expected also those that wait before it. Sets the plan and the gates.
 */
int driver_plan(struct sessions *s, struct driver *d, bool expected, struct err *e);
void driver_unplan(struct driver *d);
/* Notes its exports at the gate, under its caller; they are not live yet. */
int driver_note_exports(struct sessions *s, struct driver *d, struct err *e);
const char *driver_state_name(enum driver_state st);
void driver_free(struct driver *d);

#endif
