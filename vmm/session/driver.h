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
#include "policy/unseen.h"
#include "shadow/link/link.h"
#include "vmm/session/placement.h"
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

/* One function of the kernel that a driver imports. */
#define OWN_ENTRIES_MAX 4096 /* of a driver; the most in Debian's modules is 522 */

struct driver_entry {
	const char *symbol;	     /* the module's string */
	const struct catalog_fn *fn; /* NULL: not in the catalogue */
	u64 addr;		     /* of the kernel's function, without the KASLR shift */
	u32 gate_fn;		     /* own entries: its number in a gate id, or GATE_NO_FN */
	bool address_taken;	     /* besides the branches, which alone go by the entry */
	bool can_be_seen;	     /* as far as its types go */
};

/* One function of the driver's own, whose address the kernel, or another driver, gets. */
#define INWARD_MAX 16384 /* of a driver; the most in Debian's modules is 6,646 */

struct inward_entry {
	const char *symbol; /* the module's string */
	u32 index;	    /* in its symbol table */
	bool exported;
	bool is_exit;
	enum kernel_result result; /* what it returns */
	u8 args;		   /* or KERNEL_ARGS_UNKNOWN */
	u32 watch;		   /* its number in a gate id; 0: none, it was never watched */
	bool in_init;		   /* in the part that is freed when the init has ended */
	u64 target; /* where the guest's loader has put it; 0: not known, the entry is a trap */
};

/*
 * The pages of a driver's own entries, in a range of their own in module space (entries.c): those
 * of its imports, if it has such of its own, then those of its inward entries.
 */
struct own_pages {
	u64 va;			/* 0: there is no range */
	unsigned n;		/* filled; 0: none */
	struct umbra_map *maps; /* n of them, then n that lead to the trap page */
	u8 **hva;
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
	unsigned steps;	 /* of loading, begun and not undone: see operation.c */
	bool in_guest;	 /* the guest's kernel has the module */
	bool closed;	 /* its entries refuse, where they can (closing.c) */
	size_t order;	 /* on the command line; SIZE_MAX: loaded later */
	unsigned caller; /* at the gate; 0: none */
	/* Only while it is being loaded: */
	struct link_plan *plan;
	/* What the policy said when it was planned: */
	enum session_layout layout;
	/*
	 * In the order of the imports. LAYOUT_DENSE: of each function of the kernel, in @own.
	 * LAYOUT_SAME: of the critical ones, on @own_page; the others go by the session's shadow.
	 */
	struct driver_entry *entries;
	size_t n_entries;
	/* In the order of the plan's, in @own with either layout. */
	struct inward_entry *inward;
	size_t n_inward;
	unsigned left[INWARD_LEFT_REASONS]; /* references that hand out an address as it is */
	struct placement *placement;	    /* while its module is awaited (placement.h) */
	/* The kernel's functions that it is linked to without an entry. */
	struct driver_entry *direct;
	size_t n_direct;
	size_t n_shadowed; /* LAYOUT_SAME: how many others go by the session's shadow */
	struct own_pages own;
	unsigned own_page; /* among the session's GATE_PAGES; 0: none */
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
 * @expected also those that wait before it. Sets the plan, the layout and the entries. Not while it
 * has pages of entries.
 */
int driver_plan(struct sessions *s, struct driver *d, bool expected, struct err *e);
void driver_unplan(struct driver *d);
/*
 * Checks that @fn, which @d imports, is in this kernel as the catalogue has it; -errno with a line:
 * its calls could not be carried to the host PVM.
 */
int driver_check_critical(const struct kernel *k, const struct driver *d,
			  const struct catalog_fn *fn, struct err *e);
/* entries.c */

/* Returns where calls of the @i-th entry arrive. */
u64 driver_entry_va(const struct driver *d, size_t i);
/* Returns true if calls of the entry can be seen, as far as that is known yet. */
bool driver_entry_can_be_seen(const struct driver *d, const struct driver_entry *de);
/* Returns how many of its imports are critical by the session's policy. */
size_t driver_critical(const struct driver *d);
/* Returns true if calls of the @i-th entry are led to the gate. */
bool driver_entry_is_gate(const struct driver *d, size_t i);
/* Returns how many lead to the gate: the critical ones, and those that are seen. */
size_t driver_seen(const struct driver *d);
/* Says how many of its imports from the kernel are seen, and which others reach something. */
void driver_unseen(const struct driver *d, struct unseen *out);
/* Returns the address that stands for the @i-th function of its own, in the guest. */
u64 inward_entry_va(const struct driver *d, size_t i);
/* Returns the @i-th inward entry; its function is where the guest has put it, or 0. */
struct own_entry inward_own_entry(const struct driver *d, size_t i);
/* Returns true if the kernel's calls of the @i-th can be told of; how many are told of now. */
bool inward_can_be_watched(const struct inward_entry *in);
size_t driver_watched(const struct driver *d);
/* Returns how many pages the entries of its imports take, and how many all of its own do. */
unsigned own_pages_outward(const struct driver *d);
unsigned own_pages_needed(const struct driver *d);
/* Takes the range at @va, which the guest has reserved. */
int own_pages_take_range(struct driver *d, u64 va, struct err *e);
/*
 * Takes the pages and fills them, each entry by the session's policy; own.maps says then what the
 * guest is to map.
 */
int own_pages_fill(struct sessions *s, struct driver *d, struct err *e);
/* Awaits the guest's loader, which says where its own functions are. -ENOMEM. */
int inward_await(struct sessions *s, struct driver *d, struct err *e);
/* Ends that: inward.target says where, if they are PLACED; @why as of placement_end(). */
enum placing inward_settle(struct driver *d, char why[PLACEMENT_WHY_MAX]);
/* Gives the pages back; if the guest has not @unmapped them they are lost (S4). */
void own_pages_free(struct sessions *s, struct driver *d, bool unmapped);
/* Turns each entry as the session's policy has it now, or as driver.closed has it. */
void own_pages_turn(struct sessions *s, struct driver *d);

/* Notes its functions at the gate, under its caller. */
int driver_note_functions(struct sessions *s, struct driver *d, struct err *e);
/*
 * Closes the driver's entries, in both directions, or opens them again, while it runs: calls that
 * begin from now on are refused as the function's own convention has it. Those that cannot be, and
 * those that undo, stay open.
 */
void driver_close(struct sessions *s, struct driver *d, bool closed);

/* closing.c */

/* Returns true if the @i-th entry of that direction can be closed, and says what it does then. */
bool entry_closes(const struct driver *d, size_t i, enum gate_closed *how);
bool inward_entry_closes(const struct driver *d, size_t i, enum gate_closed *how);

/* Notes its exports at the gate, under its caller; they are not live yet. */
int driver_note_exports(struct sessions *s, struct driver *d, struct err *e);
const char *driver_state_name(enum driver_state st);
void driver_free(struct driver *d);

#endif
