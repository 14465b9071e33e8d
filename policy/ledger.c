// SPDX-License-Identifier: GPL-2.0-only
/* Keeps the ledger's entries: by address while registered, by ticket while a result is awaited. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "policy/ledger.h"
#include "policy/lent_names.h"

#define LEDGER_BUCKETS 4096

enum ledger_state { OPEN, REGISTERING, REGISTERED, UNDOING };

/* Owns the entries that outlive their owner; it never calls. */
#define NOBODY 0

struct ledger_item {
	struct ledger_entry e;	  /* first: the part that other files see */
	struct ledger_item *next; /* in the bucket of its address, or of its ticket */
	enum ledger_state state;
	bool taken; /* OPEN by ledger_take() */
	bool stays; /* in free_orphans() */
	u32 bytes;  /* of its names */
	u64 ticket;
	char names[]; /* asked and used, which has room for LEDGER_REAL_MAX bytes */
};

struct ledger {
	pthread_mutex_t lock;
	struct lent_names *names;
	struct ledger_item *by_addr[LEDGER_BUCKETS];
	struct ledger_item *by_ticket[LEDGER_BUCKETS];
	u64 last_ticket;
	struct {
		u32 entries, registered;
		u32 inside; /* of the registered ones: those in a directory of the owner's */
		u32 bytes;  /* of names */
	} * owners;
	unsigned n_owners;
};

int ledger_create(struct ledger **out, unsigned owners, char *arena, size_t size)
{
	struct ledger *l = calloc(1, sizeof(*l));

	if (!l)
		return -ENOMEM;
	pthread_mutex_init(&l->lock, NULL);
	l->n_owners = owners;
	l->owners = calloc(owners, sizeof(*l->owners));
	if (!l->owners || lent_names_create(&l->names, owners, arena, size)) {
		ledger_destroy(l);
		return -ENOMEM;
	}
	*out = l;
	return 0;
}

static void free_bucket(struct ledger_item *i)
{
	while (i) {
		struct ledger_item *next = i->next;

		free(i);
		i = next;
	}
}

void ledger_destroy(struct ledger *l)
{
	if (!l)
		return;
	for (size_t i = 0; i < LEDGER_BUCKETS; i++) {
		free_bucket(l->by_addr[i]);
		free_bucket(l->by_ticket[i]);
	}
	lent_names_destroy(l->names);
	free(l->owners);
	pthread_mutex_destroy(&l->lock);
	free(l);
}

static struct ledger_item **addr_bucket(struct ledger *l, u64 addr)
{
	return &l->by_addr[(addr >> 4 ^ addr >> 16) % LEDGER_BUCKETS];
}

static struct ledger_item **ticket_bucket(struct ledger *l, u64 ticket)
{
	return &l->by_ticket[ticket % LEDGER_BUCKETS];
}

static struct ledger_item *ledger_item_of(struct ledger_entry *e)
{
	return (struct ledger_item *)e;
}

/* Frees an item that is in no bucket, and its lent name. The caller holds the lock. */
static void item_free(struct ledger *l, struct ledger_item *i)
{
	l->owners[i->e.owner].entries--;
	l->owners[i->e.owner].bytes -= i->bytes;
	lent_names_put(l->names, i->e.lent);
	free(i);
}

static struct ledger_item *item_new(const struct ledger_entry *what)
{
	size_t asked = strlen(what->asked) + 1, used = strlen(what->used) + 1;
	size_t room = used > LEDGER_REAL_MAX ? used : LEDGER_REAL_MAX + 1;
	struct ledger_item *i = malloc(sizeof(*i) + asked + room);

	if (!i)
		return NULL;
	memset(i, 0, sizeof(*i));
	i->e = *what;
	i->e.asked = memcpy(i->names, what->asked, asked);
	i->e.used = memcpy(i->names + asked, what->used, used);
	i->e.lent = 0;
	i->bytes = (u32)(asked + room);
	return i;
}

int ledger_open(struct ledger *l, const struct ledger_entry *what, bool lend,
		struct ledger_entry **out)
{
	struct ledger_item *i = item_new(what);
	int ret = 0;

	if (!i)
		return -ENOMEM;
	pthread_mutex_lock(&l->lock);
	if (l->owners[what->owner].entries >= LEDGER_OWNER_MAX ||
	    l->owners[what->owner].bytes + i->bytes > LEDGER_OWNER_BYTES)
		ret = -EDQUOT;
	else if (lend)
		ret = lent_names_get(l->names, what->owner, i->e.used, &i->e.lent);
	if (!ret) {
		l->owners[what->owner].entries++;
		l->owners[what->owner].bytes += i->bytes;
	}
	pthread_mutex_unlock(&l->lock);
	if (ret)
		free(i);
	else
		*out = &i->e;
	return ret;
}

void ledger_discard(struct ledger *l, struct ledger_entry *e)
{
	pthread_mutex_lock(&l->lock);
	item_free(l, ledger_item_of(e));
	pthread_mutex_unlock(&l->lock);
}

u64 ledger_await(struct ledger *l, struct ledger_entry *e)
{
	struct ledger_item *i = ledger_item_of(e), **b;
	u64 ticket;

	pthread_mutex_lock(&l->lock);
	ticket = i->ticket = ++l->last_ticket;
	i->state = i->taken ? UNDOING : REGISTERING;
	b = ticket_bucket(l, ticket);
	i->next = *b;
	*b = i;
	pthread_mutex_unlock(&l->lock);
	return ticket;
}

/*
 * Returns true if @undo may take back what @fn did. An unregister has several spellings for one
 * register (unregister_netdev, unregister_netdevice_queue), so the name space decides where there
 * is one.
 */
static bool fn_is_undone_by(const struct catalog_fn *fn, const struct catalog_fn *undo)
{
	if (fn->space == SPACE_NONE)
		return fn->undo && !strcmp(fn->undo, undo->name);
	return catalog_undoes_in(undo, fn->space);
}

static struct ledger_item *unlink_registered(struct ledger *l, struct ledger_item **at)
{
	struct ledger_item *i = *at;

	*at = i->next;
	i->state = OPEN;
	l->owners[i->e.owner].registered--;
	l->owners[i->e.owner].inside -= i->e.inside;
	return i;
}

/* Makes a registered item that was found OPEN again; @i may be NULL. */
static struct ledger_entry *item_take(struct ledger_item *i)
{
	if (!i)
		return NULL;
	i->taken = true;
	return &i->e;
}

/* Is it @what's owner's, in its directory and its name space? */
static bool is_beside(const struct ledger_entry *e, const struct ledger_entry *what)
{
	return e->owner == what->owner && e->below == what->below &&
	       e->fn->space == what->fn->space;
}

/*
 * Finds where the item is that @what's owner has registered under that name, in that directory;
 * NULL: there is none. Names have no buckets: what takes one back is rare.
 */
static struct ledger_item **find_named(struct ledger *l, const struct ledger_entry *what)
{
	struct ledger_item **at;

	if (!l->owners[what->owner].registered)
		return NULL;
	for (size_t b = 0; b < LEDGER_BUCKETS; b++)
		for (at = &l->by_addr[b]; *at; at = &(*at)->next)
			if (is_beside(&(*at)->e, what) && !strcmp((*at)->e.asked, what->asked))
				return at;
	return NULL;
}

struct ledger_entry *ledger_take_named(struct ledger *l, unsigned owner, u64 below,
				       const char *asked, const struct catalog_fn *undo)
{
	const struct ledger_entry what = {
		.owner = owner, .below = below, .asked = asked, .fn = undo
	};
	struct ledger_item **at;
	struct ledger_entry *e;

	pthread_mutex_lock(&l->lock);
	at = find_named(l, &what);
	e = item_take(at ? unlink_registered(l, at) : NULL);
	pthread_mutex_unlock(&l->lock);
	return e;
}

size_t ledger_find_used(struct ledger *l, const struct ledger_entry *what, char *used, size_t size)
{
	const size_t all = strlen(what->asked);
	size_t found = 0;

	pthread_mutex_lock(&l->lock);
	for (size_t b = 0; l->owners[what->owner].registered && b < LEDGER_BUCKETS; b++) {
		for (const struct ledger_item *i = l->by_addr[b]; i; i = i->next) {
			const size_t len = is_beside(&i->e, what) ? strlen(i->e.asked) : 0;

			if (len <= found || len >= all || what->asked[len] != '/' ||
			    memcmp(i->e.asked, what->asked, len) != 0 ||
			    strlen(i->e.used) + all - len >= size)
				continue;
			found = len;
			memcpy(used, i->e.used, strlen(i->e.used) + 1);
		}
	}
	pthread_mutex_unlock(&l->lock);
	return found;
}

struct ledger_entry *ledger_take(struct ledger *l, unsigned owner, u64 addr,
				 const struct catalog_fn *undo)
{
	struct ledger_item **at, *i = NULL;

	pthread_mutex_lock(&l->lock);
	for (at = addr_bucket(l, addr); *at; at = &(*at)->next) {
		if ((*at)->e.addr != addr || (*at)->e.owner != owner ||
		    !fn_is_undone_by((*at)->e.fn, undo))
			continue;
		i = unlink_registered(l, at);
		break;
	}
	pthread_mutex_unlock(&l->lock);
	return item_take(i);
}

/* What a function without a result registers is known by its name, wherever that is written. */
static bool is_same_object(const struct ledger_entry *a, const struct ledger_entry *b)
{
	if (a->addr != b->addr || a->owner != b->owner || a->fn->space != b->fn->space)
		return false;
	if (a->fn->space == SPACE_NONE)
		return a->fn == b->fn;
	return a->fn->refusal != REFUSE_VOID ||
	       (a->below == b->below && !strcmp(a->asked, b->asked));
}

static void insert_registered(struct ledger *l, struct ledger_item *i)
{
	struct ledger_item **b = addr_bucket(l, i->e.addr), **at;

	/*
	 * If the object is in the ledger already, the kernel has let go of it by itself (a link
	 * that was deleted).
	 */
	for (at = b; *at; at = &(*at)->next) {
		if (is_same_object(&(*at)->e, &i->e)) {
			item_free(l, unlink_registered(l, at));
			break;
		}
	}
	i->state = REGISTERED;
	i->next = *b;
	*b = i;
	l->owners[i->e.owner].registered++;
	l->owners[i->e.owner].inside += i->e.inside;
}

static bool is_registered(struct ledger *l, unsigned owner, u64 addr, enum name_space space)
{
	const struct ledger_item *i;

	for (i = *addr_bucket(l, addr); i; i = i->next)
		if (i->e.addr == addr && i->e.owner == owner && i->e.fn->space == space)
			return true;
	return false;
}

/* Orders by the directory that the item is in. */
static int by_directory(const void *pa, const void *pb)
{
	const struct ledger_entry *a = &(*(struct ledger_item *const *)pa)->e;
	const struct ledger_entry *b = &(*(struct ledger_item *const *)pb)->e;

	if (a->below != b->below)
		return a->below < b->below ? -1 : 1;
	return (a->fn->space > b->fn->space) - (a->fn->space < b->fn->space);
}

/* Marks in list[@n], which is in order, what is in @dir and not marked; returns how many. */
static size_t mark_inside(struct ledger_item **list, size_t n, const struct ledger_entry *dir,
			  struct ledger_item **todo)
{
	size_t lo = 0, hi = n, marked = 0;

	while (lo < hi) {
		const size_t mid = lo + (hi - lo) / 2;
		const struct ledger_entry *e = &list[mid]->e;

		if (e->below < dir->addr ||
		    (e->below == dir->addr && e->fn->space < dir->fn->space))
			lo = mid + 1;
		else
			hi = mid;
	}
	/* All of a directory's are marked at once: the first tells of all. */
	for (; lo < n && list[lo]->e.below == dir->addr &&
	       list[lo]->e.fn->space == dir->fn->space && !list[lo]->stays;
	     lo++) {
		list[lo]->stays = true;
		todo[marked++] = list[lo];
	}
	return marked;
}

/*
 * Frees what @owner has registered in directories that are gone, and in these. The guest chooses
 * how deep they are, so the ledger is walked twice, and not once for each.
 */
static void free_orphans(struct ledger *l, unsigned owner)
{
	const size_t max = l->owners[owner].registered;
	struct ledger_item **list = calloc(2 * max + 1, sizeof(void *)), **todo;
	size_t inside = 0, left = 0;

	if (!list)
		return; /* they go with the next directory */
	todo = list + max;
	for (size_t b = 0; b < LEDGER_BUCKETS; b++) {
		for (struct ledger_item *i = l->by_addr[b]; i; i = i->next) {
			if (i->e.owner != owner || inside + left == max)
				continue;
			i->stays = !i->e.inside;
			if (i->stays)
				todo[left++] = i;
			else
				list[inside++] = i;
		}
	}
	qsort(list, inside, sizeof(void *), by_directory);
	while (left) {
		const struct ledger_entry *dir = &todo[--left]->e;

		left += mark_inside(list, inside, dir, todo + left);
	}
	for (size_t b = 0; b < LEDGER_BUCKETS; b++) {
		struct ledger_item **at = &l->by_addr[b];

		while (*at) {
			if ((*at)->e.owner == owner && (*at)->e.inside && !(*at)->stays)
				item_free(l, unlink_registered(l, at));
			else
				at = &(*at)->next;
		}
	}
	free(list);
}

void ledger_result(struct ledger *l, unsigned owner, u64 ticket, bool succeeded, u64 ret)
{
	struct ledger_item **at, *i = NULL;
	bool undone;

	pthread_mutex_lock(&l->lock);
	for (at = ticket_bucket(l, ticket); *at; at = &(*at)->next) {
		if ((*at)->ticket != ticket ||
		    ((*at)->e.owner != owner && (*at)->e.owner != NOBODY))
			continue;
		i = *at;
		*at = i->next;
		undone = i->state == UNDOING;
		/* a number that the caller chose, of a major, is not told again: 0 */
		if (i->e.fn->object_is_result && i->state == REGISTERING &&
		    (ret || i->e.fn->refusal != REFUSE_ERRNO))
			i->e.addr = ret;
		if (i->state == REGISTERING && succeeded && i->e.fn->undo)
			insert_registered(l, i);
		else
			item_free(l, i);
		if (undone && l->owners[owner].inside)
			free_orphans(l, owner);
		break;
	}
	pthread_mutex_unlock(&l->lock);
}

bool ledger_rename(struct ledger *l, unsigned owner, u64 ticket, const char *real, char *used,
		   size_t size)
{
	struct ledger_item *i;
	bool renamed = false;

	pthread_mutex_lock(&l->lock);
	for (i = *ticket_bucket(l, ticket); i; i = i->next)
		if (i->ticket == ticket && i->e.owner == owner)
			break;
	if (i && i->state == REGISTERING && strlen(real) <= LEDGER_REAL_MAX &&
	    strcmp(i->e.used, real) != 0) {
		strncpy(used, i->e.used, size - 1);
		used[size - 1] = '\0';
		memcpy(i->names + strlen(i->e.asked) + 1, real, strlen(real) + 1);
		renamed = true;
	}
	pthread_mutex_unlock(&l->lock);
	return renamed;
}

bool ledger_has_used(struct ledger *l, enum name_space space, const char *used,
		     bool (*is_one)(const void *arg, unsigned owner), const void *arg)
{
	const struct ledger_item *i;
	bool has = false;

	pthread_mutex_lock(&l->lock);
	for (size_t b = 0; b < LEDGER_BUCKETS && !has; b++)
		for (i = l->by_addr[b]; i && !has; i = i->next)
			has = i->e.fn->space == space && !strcmp(i->e.used, used) &&
			      is_one(arg, i->e.owner);
	pthread_mutex_unlock(&l->lock);
	return has;
}

bool ledger_has(struct ledger *l, unsigned owner, u64 addr, enum name_space space)
{
	bool has;

	pthread_mutex_lock(&l->lock);
	has = is_registered(l, owner, addr, space);
	pthread_mutex_unlock(&l->lock);
	return has;
}

size_t ledger_registered(struct ledger *l, unsigned owner)
{
	size_t n;

	pthread_mutex_lock(&l->lock);
	n = l->owners[owner].registered;
	pthread_mutex_unlock(&l->lock);
	return n;
}

/* Gives NOBODY an item that outlives its owner, unless NOBODY has its share already. */
static void item_disown(struct ledger *l, struct ledger_item *i)
{
	if (l->owners[NOBODY].entries >= LEDGER_OWNER_MAX ||
	    !lent_names_give(l->names, i->e.lent, NOBODY))
		return;
	l->owners[i->e.owner].entries--;
	l->owners[i->e.owner].bytes -= i->bytes;
	i->e.owner = NOBODY;
	l->owners[NOBODY].entries++;
	l->owners[NOBODY].bytes += i->bytes;
}

static void drop_from_bucket(struct ledger *l, struct ledger_item **at, unsigned owner)
{
	while (*at) {
		struct ledger_item *i = *at;

		if (i->e.owner != owner) {
			at = &i->next;
		} else if (i->e.fn->space == SPACE_PROGRAM) {
			item_disown(l, i);
			at = &i->next;
		} else {
			*at = i->next;
			l->owners[owner].registered -= i->state == REGISTERED;
			l->owners[owner].inside -= i->state == REGISTERED && i->e.inside;
			item_free(l, i);
		}
	}
}

void ledger_drop(struct ledger *l, unsigned owner)
{
	pthread_mutex_lock(&l->lock);
	for (size_t b = 0; b < LEDGER_BUCKETS; b++) {
		drop_from_bucket(l, &l->by_addr[b], owner);
		drop_from_bucket(l, &l->by_ticket[b], owner);
	}
	pthread_mutex_unlock(&l->lock);
}

bool ledger_has_any(struct ledger *l, unsigned owner)
{
	size_t n;

	pthread_mutex_lock(&l->lock);
	n = l->owners[owner].entries;
	pthread_mutex_unlock(&l->lock);
	return n > 0;
}
