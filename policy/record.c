// SPDX-License-Identifier: GPL-2.0-only
/*
 * Keeps the rows in memory and writes the lines of the file.
 *
 * Each line is one write(2) to a file opened for appending: a kill between two lines leaves whole
 * lines, and nothing is buffered here that the guest could outrun. If a write falls short (disk
 * full), the fragment is closed by a newline before the next line, and a reader counts it as damage
 * instead of taking it and its successor for one line.
 *
 * The file has a lock of its own, since a write takes as long as its storage does: only threads
 * that may wait take `write_lock`, and none of them holds `lock` then, which the event loop takes.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
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
	if (r->fd >= 0)
		close(r->fd);
	pthread_mutex_destroy(&r->lock);
	pthread_mutex_destroy(&r->write_lock);
	pool_free(&r->pool);
	free(r->rows);
	free(r->buckets);
	free(r->path);
	free(r);
}

/*
 * Opens a new file, or a device that is there for output. Does not open an existing file, which may
 * be the record of an earlier run, and makes none through a symbolic link that somebody else put
 * there.
 */
static int record_open_file(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	struct stat st;

	if (fd >= 0)
		return fd;
	if (errno != EEXIST)
		return err_set(e, -errno, "%s: cannot create: %s", path, strerror(errno));
	if (!stat(path, &st) && S_ISCHR(st.st_mode)) {
		/*
		 * O_NONBLOCK: a terminal that is stopped (Ctrl-S) is a record that cannot be
		 * written, and no vCPU waits until somebody lets it go on.
		 */
		fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
		if (fd >= 0)
			return fd;
		return err_set(e, -errno, "%s: cannot open: %s", path, strerror(errno));
	}
	return err_set(e, -EEXIST,
		       "%s: exists already; a record is never overwritten, choose another name",
		       path);
}

int record_create(struct record **out, const char *path, struct err *e)
{
	struct record *r;
	int ret = record_new(&r);

	if (ret)
		return err_set(e, ret, "out of memory");
	if (path) {
		r->path = strdup(path);
		r->fd = r->path ? record_open_file(path, e) : err_set(e, -ENOMEM, "out of memory");
		if (r->fd < 0) {
			ret = r->fd;
			record_free(r);
			return ret;
		}
	}
	*out = r;
	return 0;
}

bool record_has_lines(const struct record *r)
{
	return r->path;
}

void record_finish(struct record *r)
{
	int error = 0;

	if (r->fd < 0)
		return;
	pthread_mutex_lock(&r->write_lock);
	__atomic_store_n(&r->busy_since, now_ms(), __ATOMIC_RELEASE);
	/* A character device cannot be flushed, and need not be. */
	if (r->written && fsync(r->fd) && errno != EINVAL && errno != EROFS)
		error = errno;
	if (close(r->fd) && errno != EINTR && !error)
		error = errno;
	r->fd = -1;
	r->error = r->error ? r->error : error;
	__atomic_store_n(&r->busy_since, 0, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&r->write_lock);
}

int record_close(struct record *r, struct err *e)
{
	int ret = 0;

	if (!r)
		return 0;
	record_finish(r);
	if (r->no_memory && !r->error)
		r->error = ENOMEM;
	if (r->error)
		ret = err_set(e, -r->error, "%s: the record is not complete: %s", r->path,
			      strerror(r->error));
	record_free(r);
	return ret;
}

bool record_is_open(const struct record *r)
{
	return r->fd >= 0;
}

bool record_is_unwritten(const struct record *r)
{
	return r->fd < 0 || !__atomic_load_n(&r->written, __ATOMIC_ACQUIRE);
}

s64 record_held_ms(const struct record *r)
{
	s64 since = __atomic_load_n(&r->busy_since, __ATOMIC_ACQUIRE);

	return since ? now_ms() - since + 1 : 0;
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

void record_count(struct record *r, const struct record_entry *entry)
{
	u64 hash = hash_entry(r->seed, entry);
	u32 *head = &r->buckets[hash % BUCKETS];
	struct record_row *row;

	for (u32 n = *head; n; n = row->next) {
		row = &r->rows[n - 1];
		if (row->hash == hash && record_same_row(&row->entry, entry)) {
			row->count++;
			if (entry->time_ns > row->last_ns)
				row->last_ns = entry->time_ns;
			if (entry->time_ns < row->entry.time_ns)
				row->entry.time_ns = entry->time_ns;
			return;
		}
	}
	row = record_new_row(r, entry);
	if (!row) {
		r->others++;
		return;
	}
	row->hash = hash;
	row->count = 1;
	row->last_ns = entry->time_ns;
	row->next = *head;
	*head = ++r->n_rows;
}

/* Writes all of @buf. 0 or -errno. The caller holds write_lock. */
static int record_write_all(struct record *r, const char *buf, size_t len)
{
	size_t left = len;
	ssize_t n;

	while (left) {
		n = write(r->fd, buf, left);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			r->torn = r->torn || left != len;
			return n < 0 ? -errno : -ENOSPC;
		}
		buf += n;
		left -= (size_t)n;
	}
	r->torn = false;
	return 0;
}

int record_write(struct record *r, struct record_line *line)
{
	/* The line begins with a newline, for a fragment that lies before it. */
	size_t skip = 1;
	int ret;

	if (!line->len)
		return 0;
	pthread_mutex_lock(&r->write_lock);
	__atomic_store_n(&r->busy_since, now_ms(), __ATOMIC_RELEASE);
	__atomic_store_n(&r->written, true, __ATOMIC_RELEASE);
	skip -= r->torn;
	ret = record_write_all(r, line->buf + skip, line->len - skip);
	if (ret && !r->error)
		r->error = -ret;
	__atomic_store_n(&r->busy_since, 0, __ATOMIC_RELEASE);
	pthread_mutex_unlock(&r->write_lock);
	line_free(line);
	return ret;
}

/* Counts @entry, and makes the line of the file, if there is one. -ENOMEM: there is no line. */
static int entry_add(struct record *r, const struct record_entry *entry, struct record_line *line)
{
	pthread_mutex_lock(&r->lock);
	record_count(r, entry);
	pthread_mutex_unlock(&r->lock);
	if (!r->path)
		return 0;
	line_add(line, "\n", 1);
	record_json(line, entry, 0, 0);
	line_add(line, "\n", 1);
	if (!line->failed)
		return 0;
	line_free(line);
	__atomic_store_n(&r->no_memory, true, __ATOMIC_RELEASE);
	return -ENOMEM;
}

int record_add(struct record *r, const struct record_call *call, struct record_line *line)
{
	const struct policy_request *req = call->req;
	const struct decision *d = call->d;
	char used[2 * REQUEST_NAME_MAX + 24];
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

	if (!d->record) {
		pthread_mutex_lock(&r->lock);
		r->by_policy++;
		pthread_mutex_unlock(&r->lock);
		return 0;
	}
	if (d->verdict == VERDICT_DENY) {
		e.error = strerrorname_np(d->error);
	} else if (d->verdict == VERDICT_EMULATE) {
		snprintf(used, sizeof(used), "= %lld", (long long)d->value);
		e.used = used;
	} else if (d->verdict == VERDICT_REWRITE && d->resolve & DECISION_IN_ROOT) {
		bool self = !strcmp(d->name, ".");

		snprintf(used, sizeof(used), "%s%s%s", d->root,
			 self || d->root[strspn(d->root, "/")] == '\0' ? "" : "/",
			 self ? "" : d->name);
		e.used = used;
	} else if (req->name && d->verdict != VERDICT_PENDING) {
		e.used = d->name;
	}
	return entry_add(r, &e, line);
}

int record_event(struct record *r, u64 time_ns, const char *kind, const char *text)
{
	struct record_entry e = {
		.time_ns = time_ns,
		.function = kind,
		.asked = text,
		.event = true,
	};
	struct record_line line = { .buf = NULL };
	int ret = entry_add(r, &e, &line);

	return ret ? ret : record_write(r, &line);
}
