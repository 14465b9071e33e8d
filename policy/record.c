// SPDX-License-Identifier: GPL-2.0-only
/* Keeps the rows of the record in memory, and makes the lines of its file (record_file.c). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/fnv.h"
#include "policy/record_int.h"

#define BUCKETS (2 * RECORD_ROWS)

int record_new(struct record **out)
{
	struct record *r = calloc(1, sizeof(*r));

	if (!r)
		return -ENOMEM;
	r->fd = -1;
	r->rows = calloc(RECORD_ROWS_ALL, sizeof(*r->rows));
	r->buckets = calloc(BUCKETS, sizeof(*r->buckets));
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->write_lock, NULL);
	record_queue_init(&r->queue);
	if (!r->rows || !r->buckets) {
		record_free(r);
		return -ENOMEM;
	}
	/*
	 * The guest chooses the names: with a seed that it does not know it cannot aim at one
	 * bucket. Without entropy all still works, only that is lost.
	 */
	if (getrandom(&r->seed, sizeof(r->seed), GRND_NONBLOCK) != sizeof(r->seed))
		r->seed = (u64)(uintptr_t)r;
	*out = r;
	return 0;
}

void record_free(struct record *r)
{
	if (!r)
		return;
	for (unsigned i = 0; i < r->n_files; i++)
		close(r->fds[i]);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->write_lock);
	record_queue_free(&r->queue);
	pool_free(&r->pool);
	free(r->rows);
	free(r->buckets);
	free(r->path);
	free(r->batch);
	free(r);
}

static u64 hash_string(u64 h, const char *s)
{
	/* NULL and "" differ, and so do "a","b" and "ab","". */
	h = fnv_step(h, s ? 0x100 : 0x200);
	return s ? fnv_string(h, s) : h;
}

/* Lists the strings by which two requests are counted in one row. */
static void record_key_of(const struct record_entry *e, const char *key[9])
{
	key[0] = e->session;
	key[1] = e->driver;
	key[2] = e->function;
	key[3] = e->asked;
	key[4] = e->argv;
	key[5] = e->used;
	key[6] = e->verdict;
	key[7] = e->error;
	key[8] = e->rule;
}

static bool same_string(const char *a, const char *b)
{
	return a == b || (a && b && !strcmp(a, b));
}

static bool record_same_row(const struct record_entry *a, const struct record_entry *b)
{
	const char *ka[9], *kb[9];

	record_key_of(a, ka);
	record_key_of(b, kb);
	for (size_t i = 0; i < ARRAY_SIZE(ka); i++) {
		if (!same_string(ka[i], kb[i]))
			return false;
	}
	return a->event == b->event;
}

static u64 hash_entry(u64 seed, const struct record_entry *e)
{
	const char *key[9];

	record_key_of(e, key);
	for (size_t i = 0; i < ARRAY_SIZE(key); i++)
		seed = hash_string(seed, key[i]);
	return seed ^ seed >> 29;
}

/* Replaces *s by a copy in the pool, counted against RECORD_TEXT; NULL stays NULL. */
static int record_keep_text(struct record *r, const char **s)
{
	size_t len;

	if (!*s)
		return 0;
	len = strlen(*s);
	*s = pool_strndup(&r->pool, *s, len);
	r->text_used += len + 1;
	return *s ? 0 : -ENOMEM;
}

/*
 * Finds the party of a session; a new one counts from its first row on. NULL: there are more
 * sessions than have rows of their own.
 */
static struct record_party *record_party_of(struct record *r, const char *session)
{
	u32 i;

	for (i = 0; i < r->n_parties; i++)
		if (same_string(r->parties[i].session, session))
			return &r->parties[i];
	if (i == RECORD_SESSIONS)
		return NULL;
	return &r->parties[i];
}

/* Returns true if there is room for another row in the common part, or in the session's own. */
static bool record_has_room(const struct record *r, const struct record_party *party)
{
	if (r->n_rows < RECORD_ROWS && r->text_used < RECORD_TEXT)
		return true;
	return party && party->rows < RECORD_ROWS_OWN && party->text < RECORD_TEXT_OWN &&
	       r->n_rows < RECORD_ROWS_ALL;
}

static struct record_row *record_new_row(struct record *r, const struct record_entry *entry)
{
	struct record_party *party;
	struct record_row *row;
	struct record_entry *e;
	size_t text;

	party = record_party_of(r, entry->session);
	if (!record_has_room(r, party))
		return NULL;
	row = &r->rows[r->n_rows];
	text = r->text_used;
	row->entry = *entry;
	e = &row->entry;
	e->args = NULL;
	e->n_args = 0;
	e->req = NULL;
	e->call = e->result = e->site = NULL;
	if (record_keep_text(r, &e->session) || record_keep_text(r, &e->driver) ||
	    record_keep_text(r, &e->function) || record_keep_text(r, &e->asked) ||
	    record_keep_text(r, &e->argv) || record_keep_text(r, &e->used) ||
	    record_keep_text(r, &e->verdict) || record_keep_text(r, &e->error) ||
	    record_keep_text(r, &e->rule))
		return NULL;
	if (party) {
		r->n_parties += party == &r->parties[r->n_parties];
		party->session = e->session;
		party->rows++;
		party->text += r->text_used - text;
	}
	return row;
}

bool record_has_event(struct record *r, const char *kind)
{
	bool has = false;

	pthread_mutex_lock(&r->lock);
	for (u32 i = 0; i < r->n_rows && !has; i++)
		has = r->rows[i].entry.event && same_string(r->rows[i].entry.function, kind);
	pthread_mutex_unlock(&r->lock);
	return has;
}

static void row_add(struct record_row *row, u64 time_ns)
{
	row->count++;
	if (time_ns > row->last_ns)
		row->last_ns = time_ns;
	if (time_ns < row->entry.time_ns)
		row->entry.time_ns = time_ns;
}

u32 record_count(struct record *r, const struct record_entry *entry)
{
	u64 hash = hash_entry(r->seed, entry);
	u32 *head = &r->buckets[hash % BUCKETS];
	struct record_row *row;

	for (u32 n = *head; n; n = row->next) {
		row = &r->rows[n - 1];
		if (row->hash == hash && record_same_row(&row->entry, entry)) {
			row_add(row, entry->time_ns);
			return n;
		}
	}
	row = record_new_row(r, entry);
	if (!row) {
		r->others++;
		return 0;
	}
	row->hash = hash;
	row->count = 1;
	row->last_ns = entry->time_ns;
	row->next = *head;
	*head = ++r->n_rows;
	return *head;
}

/* Are both of one row, if they are calls of one function by one driver of one session? */
static bool same_but_for_function(const struct record_entry *a, const struct record_entry *b)
{
	return same_string(a->asked, b->asked) && same_string(a->argv, b->argv) &&
	       same_string(a->used, b->used) && same_string(a->verdict, b->verdict) &&
	       same_string(a->error, b->error) && same_string(a->rule, b->rule);
}

/* Counts @entry, in the row of the last call of its kind if it is the same once more. */
static void record_count_again(struct record *r, const struct record_entry *entry, u32 *last)
{
	u32 n;

	if (last && *last && same_but_for_function(&r->rows[*last - 1].entry, entry)) {
		row_add(&r->rows[*last - 1], entry->time_ns);
		return;
	}
	n = record_count(r, entry);
	if (last)
		*last = n;
}

void record_lose(struct record *r, u64 time_ns, const char *session, u64 n)
{
	if (r->path)
		record_queue_lose_many(&r->queue, record_queue_ring(&r->queue, session), time_ns,
				       n);
}

int record_add_entry(struct record *r, const struct record_entry *entry, u32 *row,
		     struct record_line *line)
{
	bool keep = line->keep;

	pthread_mutex_lock(&r->lock);
	record_count_again(r, entry, row);
	pthread_mutex_unlock(&r->lock);
	if (!r->path)
		return 0;
	record_address(r, entry->session, entry->time_ns, line);
	record_json(line, entry, 0, 0);
	line_add(line, "\n", 1);
	if (!line->failed)
		return 0;
	record_queue_lose(&r->queue, line);
	line_free(line);
	return keep ? -ENOMEM : 0;
}

#define USED_MAX (3 * REQUEST_NAME_MAX + 24) /* three names with a slash each, or a number */

/* Adds a slash and @part, less its slashes in front, which fit: see USED_MAX. */
static char *used_add(char *to, const char *part)
{
	while (*part == '/')
		part++;
	if (!*part)
		return to;
	*to++ = '/';
	return stpcpy(to, part);
}

/* Writes the path of a call's answer as the guest's init, or the caller, would say it. */
static void used_path(char used[USED_MAX], const struct policy_request *req,
		      const struct decision *d)
{
	char *to = used;

	if (d->resolve & DECISION_CALLERS && req->root)
		to = used_add(to, req->root);
	to = used_add(to, d->root);
	if (strcmp(d->name, ".") != 0)
		to = used_add(to, d->name);
	if (to == used)
		memcpy(used, "/", 2);
}

/* Describes the call; @used is where a text is put that is made for it. */
static struct record_entry entry_of_call(const struct record_call *call, char used[USED_MAX])
{
	const struct policy_request *req = call->req;
	const struct decision *d = call->d;
	struct record_entry e = {
		.time_ns = call->time_ns,
		.session = call->session,
		.driver = call->driver,
		.function = req->fn->name,
		.asked = req->name,
		.argv = req->strvec,
		.verdict = verdict_name(d->verdict),
		.rule = d->rule,
		.req = req,
		.args = req->args,
		.n_args = req->fn->args < REQUEST_ARGS ? req->fn->args : REQUEST_ARGS,
	};

	if (d->verdict == VERDICT_DENY) {
		e.error = strerrorname_np(d->error);
	} else if (d->verdict == VERDICT_EMULATE) {
		snprintf(used, USED_MAX, "= %lld", (long long)d->value);
		e.used = used;
	} else if (d->resolve & DECISION_IN_ROOT) {
		used_path(used, req, d);
		e.used = used;
	} else if (req->name && d->verdict != VERDICT_PENDING) {
		e.used = d->name;
	}
	return e;
}

int record_add(struct record *r, const struct record_call *call, struct record_line *line)
{
	char used[USED_MAX];
	struct record_entry e;

	if (!call->d->record) {
		pthread_mutex_lock(&r->lock);
		r->by_policy++;
		pthread_mutex_unlock(&r->lock);
		return 0;
	}
	e = entry_of_call(call, used);
	line->keep = call->first || call->d->verdict == VERDICT_DENY;
	line->may_wait = !call->req->atomic;
	return record_add_entry(r, &e, call->row, line);
}

void record_call_json(struct record_line *line, const struct record_call *call)
{
	char used[USED_MAX];
	const struct record_entry e = entry_of_call(call, used);

	record_json(line, &e, 0, 0);
	record_json_end(line);
}

void record_address(struct record *r, const char *session, u64 time_ns, struct record_line *line)
{
	line->time_ns = time_ns;
	line->ring = record_queue_ring(&r->queue, session);
}

void record_event_json(struct record_line *line, u64 time_ns, const char *session, const char *kind,
		       const char *text)
{
	const struct record_entry e = { .time_ns = time_ns,
					.session = session,
					.function = kind,
					.asked = text,
					.event = true };

	record_json(line, &e, 0, 0);
	record_json_end(line);
}

void record_loss_json(struct record_line *line, u64 time_ns, const char *session, u64 lost)
{
	record_json_lost(
		line,
		&(struct record_entry){ .time_ns = time_ns, .session = session, .lost = lost },
		"this session", "");
}
