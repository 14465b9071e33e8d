/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Defines the room's own picture of all sessions and of one session: its place in the guest's
 * module space and the pages behind it. Private to vmm/session/; sessions.h is what other rooms
 * use. All of it lives on the loop's thread, but for the placements, which a lock guards.
 *
 * A driver has entries of its own for all that it imports (entries.c), and its session needs no
 * place of its own. In a session of layout "same" the drivers share a shadow, as the patent has it:
 *
 * A session's range in module space is the shadow kernel's text, page for page in the layout of the
 * real one, and behind it GATE_PAGES pages: the first OWN_GATE_PAGES hold the session's own gate
 * entries (the shadow's entries of critical functions lead there), each of the others the entries
 * of one driver. A page comes into being when a driver needs an entry on it; all others are the
 * trap page.
 *
 * A session's life, with the function on each arrow:
 *
 *                                  session_take_range()
 *   (none) --session_get()--> BARE ---------------------> PLACED --session_abandon_range()--+
 *                              ^ ^                          |                               |
 *                              | +--session_free_range()----+                               |
 *                              +-------------------------------------------------------------+
 *
 *  (S1) BARE is va == 0: no page, no caller of its own, no driver of layout "same" that is loaded
 *       or being loaded. A session of layout "dense" stays so.
 *  (S2) PLACED is va != 0: the range is reserved in the guest from the first such driver's load to
 *       the last one's unload, and does not move meanwhile.
 *  (S3) A page of the range is filled once, before the guest maps it, for the range's va: a range
 *       at another va needs other pages.
 *  (S4) A page goes back to the gate only when the guest has unmapped it. If the guest
 *       cannot say so, the page is lost (abandoned) rather than given to somebody else.
 *  (S5) Every critical function of the catalogue has an entry in the session's own pages: no
 *       entry of the shadow leads from a critical function to the real kernel.
 */
#ifndef UMBRA_VMM_SESSION_SESSION_H
#define UMBRA_VMM_SESSION_SESSION_H

#include <pthread.h>

#include "base/err.h"
#include "guest-shim/abi.h"
#include "policy/policy.h"
#include "policy/record.h"
#include "shadow/kernel/kernel.h"
#include "vmm/gate/gate.h"

#define OWN_GATE_PAGES ((CATALOG_MAX + UMBRA_GATES_PER_PAGE - 1) / UMBRA_GATES_PER_PAGE)
#define DRIVERS_MAX    63 /* of one session that have a page of entries at once */
#define GATE_PAGES     (OWN_GATE_PAGES + DRIVERS_MAX)

struct passed_file;
struct driver;
struct placement;
struct loop;
struct machine;
struct op;

struct session {
	struct session *next;
	char *name;
	/* NULL: the policy in force has it no more, and it has no drivers. */
	const struct policy_session *policy;
	u64 va; /* 0: BARE */
	unsigned text_pages;
	u64 *page_gpa;	 /* PLACED: of text_pages + GATE_PAGES pages; 0: trap page */
	unsigned caller; /* of the shadow's own entries, at the gate; 0: none */
	struct driver *drivers, **tail;
	struct op *ops, **ops_tail;
	/* unmatched.c: a bit for each line of the policy in force that was told of */
	u64 told_traces, told_watches;
	bool busy; /* the first operation is under way, or one is ending */
};

enum sessions_phase { SESSIONS_OPEN, SESSIONS_PREPARED, SESSIONS_STARTED, SESSIONS_RESTING };

struct sessions {
	enum sessions_phase phase; /* sessions.h says what is allowed in which */
	struct machine *m;
	struct kernel *k;
	u64 kaslr;
	u64 text, text_end;
	struct policy *policy;
	char *policy_path;
	struct gate *gate; /* from PREPARED on; the guest's */
	struct loop *loop;
	struct session *list;
	const char *driver_wait;
	const struct guest_spec *spec;
	struct inject *inject; /* with --no-reboot until PREPARED, as driver_fds */
	int policy_fd;	       /* until PREPARED */
	int *driver_fds;       /* of spec->drivers */
	bool has_commands;     /* at the control socket */
	bool has_root;
	int wait_timer;	  /* asks the guest whether it is up */
	unsigned waited;  /* times so far */
	int slow_timer;	  /* for steps that take longer than they should */
	size_t n_started; /* of the n_start drivers */
	size_t n_start;	  /* drivers of the command line that this start loads */
	bool again;	  /* there was a reset */
	unsigned last_suffix;
	/* placement.c: also on the vCPUs' threads */
	pthread_mutex_t placements_lock;
	u64 placements_made; /* the last one's serial */
	struct placement *placements;
	struct passed_file *files; /* that are copied, the oldest first; a reset keeps them */
	bool no_files;		   /* for good: the guest ends */
	void *archive;
	size_t archive_len;
	char *cmdline;
};

/* session_list.c */

/* Finds a session by its name; NULL: it was not made yet. */
struct session *session_find(struct sessions *s, const char *name);
/* Finds a session by its name, or makes it, BARE, if the policy knows it. -ENOENT: it does not. */
int session_get(struct sessions *s, const char *name, struct session **out, struct err *e);
/* Frees the session; its drivers and operations are gone already. */
void session_free(struct session *ss);

/* space.c */

/*
 * Takes the range at @va, which the guest has reserved: BARE to PLACED, or on an error still BARE.
 */
int session_take_range(struct sessions *s, struct session *ss, u64 va, struct err *e);
/*
 * Turns PLACED into BARE: session_free_range() after the guest has released the range,
 * session_abandon_range() if it cannot say that it has (S4).
 */
void session_free_range(struct sessions *s, struct session *ss);
void session_abandon_range(struct sessions *s, struct session *ss);
/* Returns the address of an entry; @page counts from the first of the GATE_PAGES. */
u64 session_gate_va(const struct session *ss, unsigned page, unsigned slot);
/*
 * Makes the pages that @d needs, its own too, for its plan and its gates. *maps (malloc'ed) names
 * all pages of the session, so that a mapping that failed half-way is made good by the next.
 */
int session_prepare_pages(struct sessions *s, struct driver *d, struct umbra_map **maps, size_t *n,
			  struct err *e);
/* Takes @d's page away from it; @unmapped: the guest has said that it has it no more (S4). */
void session_free_driver_page(struct sessions *s, struct driver *d, bool unmapped);

#endif
