/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ledger: remembers what each owner (a driver, or the kernel of its session) has registered,
 * so that it can be undone under the name that was really used, and by nobody else.
 *
 *        ledger_open()          ledger_await()          ledger_result()
 *   (nothing) ────────▶ OPEN ────────────────▶ REGISTERING ─────────────▶ REGISTERED
 *                        │ ▲                      │ failed, or nothing to undo   │
 *                        │ │ ledger_take()        ▼                              │
 *      ledger_discard()  │ └─────────────────── (freed) ◀── ledger_result() ── UNDOING
 *                        ▼                                                       ▲
 *                     (freed)        from REGISTERED by ledger_take(), then ledger_await()
 *
 * An OPEN entry belongs to the thread that opened or took it; nobody else can find it. An awaited
 * one is found by its ticket, a registered one by its object's address. The name that is lent with
 * an entry lives as long as the entry: the kernel may read it from before the registration until
 * after its undoing.
 *
 * Whatever the order of calls, an owner reaches only entries of its own. All functions may be
 * called from any thread; a lock inside guards the ledger and its names.
 */
#ifndef UMBRA_POLICY_LEDGER_H
#define UMBRA_POLICY_LEDGER_H

#include "base/types.h"
#include "policy/catalog.h"

/* Most entries of one owner: so much a hostile driver can make the host remember. */
#define LEDGER_OWNER_MAX 16384
/* Most bytes of their names. */
#define LEDGER_OWNER_BYTES (4u << 20)

/* The longest name that the kernel makes of another one: of an interface. */
#define LEDGER_REAL_MAX 16

struct ledger;

struct ledger_entry {
	unsigned owner;
	const struct catalog_fn *fn; /* the function that registered it */
	u64 addr;		     /* of the object */
	u64 below;		     /* the directory of its name, or 0 */
	bool inside;		     /* the owner registered that directory */
	u64 old;		     /* the field's value before the call */
	const char *asked, *used;    /* names; "": none */
	u32 lent;		     /* offset of the lent name, or 0 */
};

/*
 * Makes a ledger for @owners owners, numbers from 1 to @owners - 1. Names are lent in @arena, which
 * is borrowed and which the guest can read. -ENOMEM.
 */
int ledger_create(struct ledger **out, unsigned owners, char *arena, size_t size);
/* Frees the ledger and its entries. NULL is allowed. */
void ledger_destroy(struct ledger *l);

/*
 * Makes a new OPEN entry with the contents of @what, of which the strings are copied; with @lend,
 * @used is lent. -EDQUOT: the owner has too many entries, or bytes in names; -ENOSPC: no room for
 * the name, or the owner has its share of names; -ENOMEM.
 */
int ledger_open(struct ledger *l, const struct ledger_entry *what, bool lend,
		struct ledger_entry **out);
/*
 * Takes out, as OPEN again, the entry that @owner registered at @addr with a function that @undo
 * undoes. NULL: the ledger has none.
 */
struct ledger_entry *ledger_take(struct ledger *l, unsigned owner, u64 addr,
				 const struct catalog_fn *undo);
/*
 * Does the same for what @owner registered as @asked in the directory @below, whatever its address.
 */
struct ledger_entry *ledger_take_named(struct ledger *l, unsigned owner, u64 below,
				       const char *asked, const struct catalog_fn *undo);
/* Frees an OPEN entry. */
void ledger_discard(struct ledger *l, struct ledger_entry *e);
/* Lets the OPEN @e wait for the real function's result. Returns its ticket, never 0. */
u64 ledger_await(struct ledger *l, struct ledger_entry *e);
/*
 * Notes that the real function has returned @ret to @owner, and whether it @succeeded. A ticket
 * that is not known, is another owner's or was used before is ignored. With an object goes what was
 * registered in it as in a directory.
 */
void ledger_result(struct ledger *l, unsigned owner, u64 ticket, bool succeeded, u64 ret);

/*
 * Notes that what @owner registers with @ticket has got the name @real, which is not longer than
 * LEDGER_REAL_MAX, and copies the one that was meant to used[@size]. False: that is the same, or
 * there is no such ticket.
 */
bool ledger_rename(struct ledger *l, unsigned owner, u64 ticket, const char *real, char *used,
		   size_t size);
/* Returns true if an owner of whom @is_one is true has registered something in @space as @used. */
bool ledger_has_used(struct ledger *l, enum name_space space, const char *used,
		     bool (*is_one)(const void *arg, unsigned owner), const void *arg);
/* Returns true if @owner has registered an object of @space at @addr. */
bool ledger_has(struct ledger *l, unsigned owner, u64 addr, enum name_space space);
/*
 * Finds the longest directory of the name in @what that its owner has registered, in @what's
 * directory and name space, and copies to used[@size] the name that was used for it, if the rest of
 * the name fits behind it. Returns how many bytes of the name are the directory; 0: there is none.
 */
size_t ledger_find_used(struct ledger *l, const struct ledger_entry *what, char *used, size_t size);
/* Returns how many objects @owner has registered and not undone. */
size_t ledger_registered(struct ledger *l, unsigned owner);
/*
 * Forgets the entries of @owner, which ends. Only the names of programs that the kernel is still
 * starting stay until their results are told, since the kernel may read them long after the driver
 * is gone. They are nobody's then, up to an owner's share; those beyond it count against the next
 * owner of that number.
 */
void ledger_drop(struct ledger *l, unsigned owner);
/* Returns true if an entry counts against @owner, its own or one that an owner before it left. */
bool ledger_has_any(struct ledger *l, unsigned owner);

#endif
