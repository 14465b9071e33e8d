// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has ten clients at once send anything to the monitor of a guest that runs: commands with
 * arguments of any kind, JSON that is none, half messages, too much, descriptors; and vanish at any
 * point. All that they are told has QMP's form, a command with an id is answered once, the guest
 * goes on, and a client that asks properly is answered within a second all the time.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/sanitizer.h"
#include "base/sealed_file.h"
#include "tests/unit/vmm/gate_fixture.h"
#include "tests/unit/vmm/monitored.h"
#include "tests/unit/vmm/qmp_form.h"
#include "tests/unit/vmm/send_fds.h"
#include "vmm/backend/console.h"
#include "vmm/session/driver.h"
#include "vmm/session/session_commands.h"
#include "vmm/spec/spec_text.h"

#define CLIENTS	  10
#define TEST_MS	  3000
#define TEXT_MAX  4096
#define INPUT_MAX (1 << 20)
/* A sanitizer's own work is not the VMM's. */
#if SANITIZER_ADDRESS || SANITIZER_THREAD
#define ANSWER_MS 5000
#else
#define ANSWER_MS 1000
#endif

struct hostile {
	struct monitored g;
	struct console *console;
	struct gate gate;
	struct sessions sessions; /* by a policy alone: a driver needs a kernel */
	json_t *commands; /* that neither pause nor end the guest, whatever their arguments */
	pthread_t clients[CLIENTS];
	char disk[32];
	u64 counter; /* the guest's; atomic */
	u64 seed;
	bool end;				/* atomic */
	u64 connections, said, asked, answered; /* atomic */
	char wrong[600]; /* of the first client that saw something wrong, or "" */
	bool is_wrong;	 /* atomic */
};

struct client_of {
	struct hostile *h;
	u64 random;
	int fd;
	char *in; /* INPUT_MAX and a NUL */
	size_t in_len;
	unsigned next_id;
	json_t *open; /* the ids that are not answered yet */
};

/* --- anything ------------------------------------------------------------------------------ */

/* xorshift64*: the same again with the same seed. */
static u64 any(struct client_of *c, u64 n)
{
	c->random ^= c->random >> 12;
	c->random ^= c->random << 25;
	c->random ^= c->random >> 27;
	return (c->random * 0x2545f4914f6cdd1dULL >> 16) % n;
}

static json_t *any_scalar(struct client_of *c)
{
	static const char *const texts[] = {
		"",
		"disk0",
		"node0",
		"x",
		"fd:x",
		"elf",
		"\x01\x1b[2J\r\n",
		"/machine/peripheral",
		"/machine/unattached/device[0]",
		"/machine/peripheral/balloon0",
		"guest-stats",
		"guest-stats-polling-interval",
		"info block",
		"balloon",
		"a",
		"%s%n%1000000d",
		"\xc3\xa4\xf0\x9f\x98\x80",
	};
	static const json_int_t numbers[] = {
		0, 1, -1, 4096, 1 << 20, INT32_MAX, INT32_MIN, UINT32_MAX, INT64_MAX, INT64_MIN,
	};
	char text[600];
	size_t len;

	switch (any(c, 8)) {
	case 0:
		return json_null();
	case 1:
		return json_boolean(any(c, 2));
	case 2:
		return json_real((double)any(c, UINT64_MAX) * (any(c, 2) ? 1e300 : -0.5));
	case 3:
	case 4:
		return json_integer(numbers[any(c, ARRAY_SIZE(numbers))]);
	case 5:
		len = any(c, sizeof(text));
		memset(text, (int)('!' + any(c, 90)), len);
		return json_stringn(text, len);
	default:
		return json_string(texts[any(c, ARRAY_SIZE(texts))]);
	}
}

static json_t *any_object(struct client_of *c, unsigned depth);

static json_t *any_value(struct client_of *c, unsigned depth)
{
	json_t *list;
	u64 kind = any(c, 6);

	if (!depth || kind > 1)
		return any_scalar(c);
	if (!kind)
		return any_object(c, depth - 1);
	list = json_array();
	for (u64 n = any(c, 5); n; n--)
		json_array_append_new(list, any_value(c, depth - 1));
	return list;
}

/* Makes an object with members that commands look for. */
static json_t *any_object(struct client_of *c, unsigned depth)
{
	static const char *const keys[] = {
		"session", "instance",	   "params",   "device",   "node-name",
		"disk",	   "size",	   "value",    "more",	   "shrink",
		"fd",	   "fdname",	   "path",     "property", "typename",
		"format",  "command-line", "protocol", "refresh",  "capabilities",
		"enable",  "id",	   "execute",  "detach",   "arguments",
		"",
	};
	json_t *o = json_object();

	for (u64 n = any(c, 5); n; n--)
		json_object_set_new(o, keys[any(c, ARRAY_SIZE(keys))], any_value(c, depth));
	return o;
}

/* Makes a command, whose answer is expected once if it has an id of ours. */
static json_t *any_command(struct client_of *c, bool expected)
{
	size_t i = any(c, json_array_size(c->h->commands));
	json_t *o = json_pack("{s:O}", "execute", json_array_get(c->h->commands, i));
	char id[32];

	if (any(c, 4))
		json_object_set_new(o, "arguments", any_object(c, 3));
	if (expected) {
		snprintf(id, sizeof(id), "ours-%u", c->next_id++);
		json_object_set_new(o, "id", json_string(id));
		json_object_set_new(c->open, id, json_true());
	} else if (any(c, 2)) {
		json_object_set_new(o, "id", any_value(c, 3));
	}
	return o;
}

/* --- the wire ------------------------------------------------------------------------------ */

static bool is_over(struct hostile *h)
{
	return __atomic_load_n(&h->end, __ATOMIC_RELAXED);
}

static void tell_wrong(struct client_of *c, const char *what, const char *text, size_t len)
{
	if (!__atomic_exchange_n(&c->h->is_wrong, true, __ATOMIC_SEQ_CST))
		snprintf(c->h->wrong, sizeof(c->h->wrong), "%s: %.*s", what,
			 (int)(len < 500 ? len : 500), text);
	__atomic_store_n(&c->h->end, true, __ATOMIC_RELAXED);
}

/* Counts an answer to what was asked with an id of ours. */
static void take_answer(struct client_of *c, const char *line, size_t len)
{
	json_t *o = json_loadb(line, len, 0, NULL);
	const char *id = json_string_value(json_object_get(o, "id"));

	if (id && !strncmp(id, "ours-", 5)) {
		if (json_object_del(c->open, id))
			tell_wrong(c, "answered twice", line, len);
		__atomic_add_fetch(&c->h->answered, 1, __ATOMIC_RELAXED);
	}
	json_decref(o);
}

/* Checks all whole lines that have come, and keeps what is behind them. */
static void take_lines(struct client_of *c)
{
	char *line = c->in, *end;

	while ((end = memmem(line, c->in_len - (size_t)(line - c->in), "\r\n", 2))) {
		if (!qmp_form_holds(line, (size_t)(end - line)))
			tell_wrong(c, "no QMP", line, (size_t)(end - line));
		take_answer(c, line, (size_t)(end - line));
		line = end + 2;
	}
	c->in_len -= (size_t)(line - c->in);
	memmove(c->in, line, c->in_len);
}

/* Reads what is there, or comes within @ms; false: the connection is over. */
static bool hear(struct client_of *c, int ms)
{
	struct pollfd p = { .fd = c->fd, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, ms) <= 0)
		return true;
	n = recv(c->fd, c->in + c->in_len, INPUT_MAX - c->in_len, MSG_DONTWAIT);
	if (!n || (n < 0 && errno != EAGAIN))
		return false;
	c->in_len += n > 0 ? (size_t)n : 0;
	if (c->in_len == INPUT_MAX)
		tell_wrong(c, "an endless line", c->in, 100);
	take_lines(c);
	return true;
}

/* Sends all of it, hearing answers meanwhile; false: the connection is over. */
static bool send_all(struct client_of *c, const char *text, size_t len)
{
	while (len && !is_over(c->h)) {
		ssize_t n = send(c->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN)
			return false;
		if (n < 0 && !hear(c, 1))
			return false;
		text += n > 0 ? n : 0;
		len -= n > 0 ? (size_t)n : 0;
	}
	__atomic_add_fetch(&c->h->said, 1, __ATOMIC_RELAXED);
	return true;
}

static bool send_object(struct client_of *c, json_t *o)
{
	char *text = json_dumps(o, any(c, 2) ? JSON_COMPACT : JSON_INDENT(3));
	bool ok = text && send_all(c, text, strlen(text)) && send_all(c, "\n", 1);

	free(text);
	json_decref(o);
	return ok;
}

/* --- what they do -------------------------------------------------------------------------- */

static bool ask_anything(struct client_of *c)
{
	__atomic_add_fetch(&c->h->asked, 1, __ATOMIC_RELAXED);
	return send_object(c, any_command(c, true));
}

static bool say_any_json(struct client_of *c)
{
	char *text = NULL;
	json_t *o = any_value(c, 5);
	bool ok;

	text = json_dumps(o, JSON_ENCODE_ANY);
	ok = text && send_all(c, text, strlen(text)) && send_all(c, "\n", any(c, 2));
	free(text);
	json_decref(o);
	return ok;
}

/* A command with bytes changed, cut out, or twice; it may be any other one then. */
static bool say_what_is_broken(struct client_of *c)
{
	json_t *o = any_command(c, false);
	char *text = json_dumps(o, JSON_COMPACT);
	size_t len = strlen(text), at;
	bool ok;

	for (u64 n = 1 + any(c, 4); n; n--) {
		at = any(c, len);
		if (any(c, 3) && len > 1) {
			memmove(text + at, text + at + 1, len - at - 1);
			len--;
		} else {
			text[at] = (char)any(c, 256);
		}
	}
	ok = send_all(c, text, len) && send_all(c, "\n", 1);
	free(text);
	json_decref(o);
	return ok;
}

static bool say_too_much(struct client_of *c)
{
	static const char *const begins[] = { "[", "{\"a\":", "\"", "{\"execute\":\"x\",\"id\":\"",
					      " " };
	const char *begin = begins[any(c, ARRAY_SIZE(begins))];
	size_t len = 70000 + any(c, 10000);
	char *text = malloc(len);
	bool ok;

	for (size_t i = 0; i < len; i += strlen(begin))
		memcpy(text + i, begin, strlen(begin) < len - i ? strlen(begin) : len - i);
	ok = send_all(c, text, len) && send_all(c, "\n", 1);
	free(text);
	return ok;
}

/* A piece, after which the client vanishes. */
static bool say_half(struct client_of *c)
{
	json_t *o = any_command(c, false);
	char *text = json_dumps(o, JSON_COMPACT);

	send_all(c, text, any(c, strlen(text)));
	free(text);
	json_decref(o);
	return false;
}

/* One that is in force as soon as a command takes it. */
static int sealed_policy(void)
{
	static const char text[] = "version = 1; sessions = { a = { }; b = { }; };";
	int fd = memfd_create("policy", MFD_CLOEXEC), sealed;
	struct err e;

	(void)!write(fd, text, sizeof(text) - 1);
	sealed = sealed_file_copy(fd, "policy", 4096, &e);
	close(fd);
	return sealed;
}

/* Descriptors of all kinds, under a name that commands take. */
static bool pass_descriptor(struct client_of *c)
{
	char text[] = "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"x\"}}";
	int fd = -1, pair[2] = { -1, -1 };

	switch (any(c, 5)) {
	case 0:
		fd = sealed_policy();
		break;
	case 1:
		fd = memfd_create("x", MFD_CLOEXEC);
		break;
	case 2:
		fd = open("/", O_PATH | O_CLOEXEC);
		break;
	case 3:
		fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
		break;
	default:
		if (!socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair))
			fd = pair[0];
		close(pair[1]);
	}
	if (fd >= 0)
		send_fds(c->fd, text, sizeof(text) - 1, &fd, 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	close(fd);
	return true;
}

static bool (*const deeds[])(struct client_of *c) = {
	ask_anything,	    ask_anything, ask_anything,	   say_any_json,
	say_what_is_broken, say_too_much, pass_descriptor, say_half,
};

static bool dial(struct client_of *c)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };

	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", monitor_socket(c->h->g.mon));
	c->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)(const void *)&sa, sizeof(sa)))
		return false;
	c->in_len = 0;
	json_object_clear(c->open);
	__atomic_add_fetch(&c->h->connections, 1, __ATOMIC_RELAXED);
	return true;
}

/*
 * Waits until all that has an id of ours is answered: true also if the connection is lost, or
 * the VMM waits for the end of a line that is none.
 */
static void await_answers(struct client_of *c)
{
	s64 until = now_ms() + ANSWER_MS;

	while (json_object_size(c->open) && now_ms() < until && !is_over(c->h))
		if (!hear(c, 20))
			return;
	if (json_object_size(c->open) && !is_over(c->h))
		tell_wrong(c, "not answered", json_object_iter_key(json_object_iter(c->open)), 20);
}

/* One connection: only commands that are whole, and awaited; or anything, until it vanishes. */
static void connect_once(struct client_of *c)
{
	bool proper = any(c, 3) == 0, ok = true;

	if (any(c, 8))
		ok = send_all(c, "{\"execute\":\"qmp_capabilities\"}", 30);
	for (u64 n = any(c, 12); n && ok && !is_over(c->h); n--) {
		ok = proper ? ask_anything(c) : deeds[any(c, ARRAY_SIZE(deeds))](c);
		ok = ok && hear(c, (int)any(c, 3));
	}
	if (proper && ok)
		await_answers(c);
}

static void *client_run(void *arg)
{
	struct client_of *c = arg;

	while (!is_over(c->h)) {
		if (dial(c))
			connect_once(c);
		close(c->fd);
	}
	json_decref(c->open);
	free(c->in);
	free(c);
	return NULL;
}

/* --- the guest ----------------------------------------------------------------------------- */

static void on_port(void *arg, struct vcpu *v, const struct io_pio_access *a)
{
	struct hostile *h = arg;

	(void)v;
	(void)a;
	__atomic_add_fetch(&h->counter, 1, __ATOMIC_RELAXED);
}

static void hostile_create(struct hostile *h)
{
	struct console_config config = { .bus = NULL };
	struct err e = { "" };
	int fd;

	memset(h, 0, sizeof(*h));
	snprintf(h->disk, sizeof(h->disk), "/tmp/umbra-unit-XXXXXX");
	fd = mkstemp(h->disk);
	assert_true(fd >= 0 && !ftruncate(fd, 1 << 20));
	close(fd);
	guest_spec_init(&h->g.o);
	h->g.o.memory = PROBE_MEMORY;
	h->g.o.no_rng = true;
	h->g.o.balloon.on = true;
	h->g.o.disks[0].path = strdup(h->disk);
	h->g.o.n_disks = 1;
	if (spec_take_console(&h->g.o, NULL, "attach", &e) ||
	    spec_take_port(&h->g.o, NULL, "plain=pty,device=channel0", &e))
		fail_msg("%s", e.text);
	monitored_create(&h->g, "unit-hostile", 1);
	config.bus = platform_bus(h->g.platform, guest_spec_serial(&h->g.o));
	if (console_create(&h->console, h->g.m, &h->g.o, &config, &e))
		fail_msg("%s", e.text);
	machine_set_confine(h->g.m, NULL);
	monitor_set_devices(h->g.mon, h->g.platform, h->console);
	lifecycle_add(machine_lifecycle(h->g.m), &console_part, h->console);
	assert_true(gate_fixture_make(&h->gate));
	assert_int_equal(
		policy_parse(&h->sessions.policy, "p", "version = 1; sessions = { a = { }; };", &e),
		0);
	h->sessions.gate = &h->gate;
	h->sessions.phase = SESSIONS_STARTED;
	assert_int_equal(sessions_control_add(&h->sessions, monitor_control(h->g.mon)), 0);
	assert_int_equal(machine_pio_add(h->g.m, 0x98, 1, on_port, h), 0);
	monitored_start(&h->g);
}

static void hostile_destroy(struct hostile *h)
{
	monitored_stop(&h->g);
	console_await_files(h->console);
	assert_int_equal(lifecycle_end(machine_lifecycle(h->g.m), NULL), 0);
	client_close(h->g.c);
	machine_destroy(h->g.m);
	gate_fixture_free(&h->gate);
	policy_free(h->sessions.policy);
	free(h->sessions.policy_path);
	guest_spec_free(&h->g.o);
	json_decref(h->commands);
	unlink(h->disk);
}

/* Asks for all commands but those that are for pausing or ending the guest. */
static void ask_for_commands(struct hostile *h)
{
	static const char *const not [] = { "stop", "quit", "system_reset", "inject-nmi",
					    "dump-guest-memory" };
	struct err e = { "" };
	json_t *all, *one;
	size_t i;

	h->commands = json_array();
	assert_int_equal(client_call(h->g.c, "query-commands", NULL, &all, &e), 0);
	json_array_foreach(all, i, one)
	{
		const char *name = json_string_value(json_object_get(one, "name"));
		bool fit = true;

		for (size_t k = 0; k < ARRAY_SIZE(not ); k++)
			fit &= strcmp(name, not [k]) != 0;
		if (fit)
			json_array_append_new(h->commands, json_string(name));
	}
	assert_true(json_array_size(h->commands) > 38);
	json_decref(all);
}

static void clients_start(struct hostile *h)
{
	h->seed = (u64)now_ns();
	for (unsigned i = 0; i < CLIENTS; i++) {
		struct client_of *c = calloc(1, sizeof(*c));

		assert_non_null(c);
		*c = (struct client_of){ .h = h,
					 .random = (h->seed + i) * 0x9e3779b97f4a7c15ULL | 1,
					 .fd = -1,
					 .in = malloc(INPUT_MAX + 1),
					 .open = json_object() };
		assert_int_equal(pthread_create(&h->clients[i], NULL, client_run, c), 0);
	}
}

/* --- the test ------------------------------------------------------------------------------ */

static unsigned open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d))
		n++;
	closedir(d);
	return n;
}

/* Asks as a client that stays, and as one that has just come. Returns how long the longer took. */
static s64 ask_properly(struct hostile *h)
{
	static const char *const commands[] = { "query-status", "query-block", "umbra-info" };
	static unsigned turn;
	struct client *fresh;
	struct err e = { "" };
	json_t *out;
	s64 begin = now_ms(), worst;

	if (client_call(h->g.c, commands[turn++ % ARRAY_SIZE(commands)], NULL, &out, &e))
		fail_msg("%s", e.text);
	json_decref(out);
	worst = now_ms() - begin;
	begin = now_ms();
	if (client_open(&fresh, h->g.name, 5 * ANSWER_MS, &e) ||
	    client_call(fresh, "query-status", NULL, &out, &e))
		fail_msg("%s", e.text);
	assert_string_equal(json_string_value(json_object_get(out, "status")), "running");
	json_decref(out);
	client_close(fresh);
	return now_ms() - begin > worst ? now_ms() - begin : worst;
}

/* The guest went on since @before, or goes on within the time in which anybody is answered. */
static void expect_guest_to_go_on(struct hostile *h, u64 before)
{
	s64 until = now_ms() + ANSWER_MS;

	while (__atomic_load_n(&h->counter, __ATOMIC_RELAXED) == before)
		if (now_ms() >= until)
			fail_msg("the guest has not gone on for %d ms", ANSWER_MS);
}

static void the_guest_and_who_asks_properly_are_not_disturbed(void **state)
{
	unsigned before = open_descriptors(), asked = 0;
	static struct hostile h;
	s64 end, took, worst = 0;
	u64 count;

	(void)state;
	hostile_create(&h);
	ask_for_commands(&h);
	clients_start(&h);
	for (end = now_ms() + TEST_MS; now_ms() < end && !is_over(&h); asked++) {
		count = __atomic_load_n(&h.counter, __ATOMIC_RELAXED);
		took = ask_properly(&h);
		worst = took > worst ? took : worst;
		expect_guest_to_go_on(&h, count);
	}
	__atomic_store_n(&h.end, true, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < CLIENTS; i++)
		pthread_join(h.clients[i], NULL);
	print_message("# asked %u times, worst %lld ms; clients: %llu connections, %llu messages, "
		      "%llu of %llu commands answered; seed %llu\n",
		      asked, (long long)worst, (unsigned long long)h.connections,
		      (unsigned long long)h.said, (unsigned long long)h.answered,
		      (unsigned long long)h.asked, (unsigned long long)h.seed);
	if (h.is_wrong)
		fail_msg("%s", h.wrong);
	if (worst > ANSWER_MS)
		fail_msg("an answer took %lld ms", (long long)worst);
	assert_true(h.connections > CLIENTS && h.answered > CLIENTS);
	hostile_destroy(&h);
	assert_int_equal(open_descriptors(), before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_guest_and_who_asks_properly_are_not_disturbed),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
