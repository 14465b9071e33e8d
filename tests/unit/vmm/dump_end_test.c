// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests dumps that meet a guest's end, its rest (--no-shutdown) or its reset, while this host's
 * kernel holds their file: no dump takes another's place, none is left over, and the loop answers.
 * The guests are a firmware of a few instructions, on this /dev/kvm. The linker leads write(2) and
 * close(2) here (held_file.h), and clock_gettime(2).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/exit_code.h"
#include "tests/unit/base/thread_await.h"
#include "tests/unit/vmm/held_file.h"
#include "tests/unit/vmm/send_fds.h"
#include "tests/unit/vmm/told_notes.h"
#include "vmm/control/socket_dir.h"
#include "vmm/guest/guest.h"
#include "vmm/machine/io.h"
#include "vmm/machine/machine.h"

#define LIMIT_MS    1000
#define IMAGE_LEN   0x10000U
#define RESET_AT    0xfff0U
#define PORT	    0x98
#define PATIENCE_MS 20000
#define BUSY	    "The guest ends or starts anew just now"

/* mov $LAYOUT_PORT_SLEEP, %dx; mov $S5, %al; out %al, %dx; jmp . */
static const u8 code_off[] = { 0xba, 0x00, 0x06, 0xb0, 0x34, 0xee, 0xeb, 0xfe };
/* The same with LAYOUT_PORT_PVPANIC and 1. */
static const u8 code_panic[] = { 0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xeb, 0xfe };
/* 1: out %al, $PORT; jmp 1b */
static const u8 code_port[] = { 0xe6, PORT, 0xeb, 0xfc };
static const u8 code_spin[] = { 0xeb, 0xfe };

static const int no_signals[] = { -1 };

/*
 * The loop's clock: as it is, or so slow that none of the loop's timers is due but those of a few
 * ns, however long the loop was held up. A timer ends the waits that are tested here, each some ms.
 */
static pid_t loop_tid; /* atomic */
static bool is_slow;   /* atomic */

int __real_clock_gettime(clockid_t id, struct timespec *t);
int __wrap_clock_gettime(clockid_t id, struct timespec *t);

int __wrap_clock_gettime(clockid_t id, struct timespec *t)
{
	static u64 last; /* the loop's thread's */
	int ret = __real_clock_gettime(id, t);

	if (id != CLOCK_MONOTONIC || gettid() != __atomic_load_n(&loop_tid, __ATOMIC_ACQUIRE))
		return ret;
	last = __atomic_load_n(&is_slow, __ATOMIC_ACQUIRE)
		       ? last + 10
		       : (u64)t->tv_sec * NS_PER_SECOND + (u64)t->tv_nsec;
	t->tv_sec = (time_t)(last / NS_PER_SECOND);
	t->tv_nsec = (long)(last % NS_PER_SECOND);
	return ret;
}

struct fixture {
	struct guest_spec spec;
	char dir[32], image[48], file[48], name[32];
	char core[400]; /* of --dump-on-panic, or "" */
	bool no_core;	/* it is to be removed at the end */
	pthread_t thread;
	struct told_notes told;
	struct guest *g;
	bool ended; /* atomic */
	int code;
	int fd; /* the client's socket */
	char in[65536];
	size_t in_len;
	bool at_port, go; /* atomic: the vCPU waits in an access to PORT; it may go on */
	bool stays;	  /* atomic: it waits there once more, when it has asked for the end */
	bool asked;	  /* atomic: it has */
	int port_code;	  /* atomic: that access ends the guest with it; or -1 */
};

static void nap(void)
{
	struct timespec ms = { 0, 1000000 };

	nanosleep(&ms, NULL);
}

/* Runs the guest on a thread of its own, which the VMM takes for its main one. */
static void *run_guest(void *arg)
{
	struct fixture *f = arg;
	struct err e = { "" };

	__atomic_store_n(&loop_tid, gettid(), __ATOMIC_RELEASE);
	f->code = guest_run(f->g, &e);
	if (*e.text)
		told_put(&f->told, e.text);
	guest_destroy(f->g);
	__atomic_store_n(&f->ended, true, __ATOMIC_RELEASE);
	return NULL;
}

/* Called on the vCPU's thread, whom no pause can have meanwhile. */
static void on_port(void *arg, struct vcpu *v, const struct io_pio_access *a)
{
	struct fixture *f = arg;
	int code;

	(void)v;
	(void)a;
	__atomic_store_n(&f->at_port, true, __ATOMIC_RELEASE);
	while (!__atomic_load_n(&f->go, __ATOMIC_ACQUIRE))
		nap();
	code = __atomic_exchange_n(&f->port_code, -1, __ATOMIC_ACQ_REL);
	if (code >= 0)
		machine_exit(guest_machine(f->g), code, NULL);
	__atomic_store_n(&f->asked, true, __ATOMIC_RELEASE);
	while (__atomic_load_n(&f->stays, __ATOMIC_ACQUIRE))
		nap();
}

/* --- a client ------------------------------------------------------------------------------ */

/* Sends @text, of as many commands as there are, as one message; @fd goes with it, unless -1. */
static void send_text(struct fixture *f, const char *text, int fd)
{
	assert_int_equal(send_fds(f->fd, text, strlen(text), &fd, fd >= 0, MSG_NOSIGNAL),
			 strlen(text));
}

/* Returns the answer with @id; what comes before is dropped. */
static json_t *answer(struct fixture *f, const char *id)
{
	for (;;) {
		char *end = memchr(f->in, '\n', f->in_len);
		const char *got;
		ssize_t n;
		json_t *o;

		if (!end) {
			n = recv(f->fd, f->in + f->in_len, sizeof(f->in) - f->in_len, 0);
			if (n <= 0)
				fail_msg("no answer to %s; %s", id, f->told.text);
			f->in_len += (size_t)n;
			continue;
		}
		o = json_loadb(f->in, (size_t)(end - f->in), 0, NULL);
		f->in_len -= (size_t)(end + 1 - f->in);
		memmove(f->in, end + 1, f->in_len);
		got = json_string_value(json_object_get(o, "id"));
		if (got && !strcmp(got, id))
			return o;
		json_decref(o);
	}
}

/* Expects the answer with @id to be an error that says @text, or none if that is NULL. */
static void expect_answer(struct fixture *f, const char *id, const char *text)
{
	json_t *o = answer(f, id);
	const char *got = json_string_value(json_object_get(json_object_get(o, "error"), "desc"));

	if (text && !got)
		fail_msg("%s was carried out", id);
	if (!text && got)
		fail_msg("%s: %s", id, got);
	if (text)
		assert_string_equal(got, text);
	json_decref(o);
}

static void ask(struct fixture *f, const char *command)
{
	char text[200];

	snprintf(text, sizeof(text), "{\"execute\":\"%s\",\"id\":\"%s\"}\n", command, command);
	send_text(f, text, -1);
	expect_answer(f, command, NULL);
}

/* Asks @command until its answer has @value as @key. */
static void await_value(struct fixture *f, const char *command, const char *key, const char *value)
{
	s64 begin = now_ms();
	bool found = false;
	char text[200];

	snprintf(text, sizeof(text), "{\"execute\":\"%s\",\"id\":\"%s\"}\n", command, command);
	while (!found) {
		const char *got;
		json_t *o;

		send_text(f, text, -1);
		o = answer(f, command);
		got = json_string_value(json_object_get(json_object_get(o, "return"), key));
		found = got && !strcmp(got, value);
		if (!found && now_ms() - begin > PATIENCE_MS)
			fail_msg("%s: %s, not %s; %s", command, got, value, f->told.text);
		json_decref(o);
		if (!found)
			nap();
	}
}

static void give_fd(struct fixture *f, const char *name, int fd)
{
	char text[200];

	snprintf(text, sizeof(text),
		 "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"%s\"},\"id\":\"getfd\"}\n",
		 name);
	send_text(f, text, fd);
	expect_answer(f, "getfd", NULL);
}

#define DUMP(name)                                                                           \
	"{\"execute\":\"dump-guest-memory\",\"arguments\":{\"paging\":false,\"protocol\":\"" \
	"fd:" name "\"},\"id\":\"" name "\"}\n"
#define RESET "{\"execute\":\"system_reset\",\"id\":\"reset\"}\n"

static void connect_client(struct fixture *f)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	const struct timeval patience = { .tv_sec = PATIENCE_MS / 1000 };
	struct err e = { "" };
	char *path = NULL;

	assert_int_equal(socket_dir_path(&path, f->name, false, &e), 0);
	snprintf(sa.sun_path, sizeof(sa.sun_path), "%s", path);
	free(path);
	f->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	setsockopt(f->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(f->fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ask(f, "qmp_capabilities");
}

/* --- a guest ------------------------------------------------------------------------------- */

/* Finds the file of --dump-on-panic, which is made at the start. */
static void find_core(struct fixture *f)
{
	const struct dirent *d;
	DIR *dir = opendir(f->dir);

	assert_non_null(dir);
	while ((d = readdir(dir)))
		if (strstr(d->d_name, ".core"))
			snprintf(f->core, sizeof(f->core), "%s/%s", f->dir, d->d_name);
	closedir(dir);
	assert_true(*f->core);
}

enum option {
	NO_SHUTDOWN = 1,
	DUMP_ON_PANIC = 2,
};

/* Makes a guest that is to execute @code, with a client, and lets it wait for "cont". */
static struct fixture *fixture_start(const u8 *code, size_t len, unsigned options)
{
	static unsigned number;
	struct fixture *f = calloc(1, sizeof(*f));
	const struct guest_config c = {
		.spec = &f->spec,
		.end_signals = no_signals,
		.front = { .arg = f, .notes = { told_put, &f->told } },
	};
	static u8 image[IMAGE_LEN];
	struct err e = { "" };
	int fd;

	__atomic_store_n(&is_slow, false, __ATOMIC_RELEASE); /* after a test that has failed */
	told_begin(&f->told);
	strcpy(f->dir, "/tmp/umbra-unit-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->image, sizeof(f->image), "%s/bios", f->dir);
	snprintf(f->file, sizeof(f->file), "%s/file", f->dir);
	snprintf(f->name, sizeof(f->name), "unit-dump-%d-%u", getpid(), ++number);
	memset(image, 0xff, sizeof(image));
	memcpy(image + RESET_AT, code, len);
	fd = open(f->image, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(write(fd, image, sizeof(image)), sizeof(image));
	close(fd);
	guest_spec_init(&f->spec);
	f->spec.firmware = f->image;
	f->spec.memory = SPEC_MIN_MEMORY;
	f->spec.name = f->name;
	f->spec.no_shutdown = options & NO_SHUTDOWN;
	f->spec.panic_dumps = options & DUMP_ON_PANIC ? f->dir : NULL;
	f->spec.paused = true;
	f->spec.console.kind = SPEC_PTY;
	f->spec.console_given = true;
	f->port_code = -1;
	if (guest_create(&f->g, &c, &e))
		fail_msg("%s", e.text);
	assert_int_equal(machine_pio_add(guest_machine(f->g), PORT, 1, on_port, f), 0);
	if (options & DUMP_ON_PANIC)
		find_core(f);
	assert_int_equal(pthread_create(&f->thread, NULL, run_guest, f), 0);
	connect_client(f);
	return f;
}

/* Waits for the end of the VMM, which comes within a second; its exit code is to be @code. */
static void fixture_end(struct fixture *f, int code)
{
	s64 begin = now_ms();

	thread_await(f->thread, PATIENCE_MS / 1000);
	assert_in_range(now_ms() - begin, 0, LIMIT_MS);
	hold_nothing();
	if (f->code != code)
		fail_msg("exit code %d; %s", f->code, f->told.text);
	if (f->no_core)
		assert_int_equal(access(f->core, F_OK), -1);
	else if (*f->core)
		unlink(f->core);
	unlink(f->file);
	unlink(f->image);
	assert_int_equal(rmdir(f->dir), 0);
	close(f->fd);
	f->spec.panic_dumps = NULL;
	guest_spec_free(&f->spec);
	told_end(&f->told);
	free(f);
}

static void quit(struct fixture *f, int code)
{
	ask(f, "quit");
	fixture_end(f, code);
}

/* Makes a file for a client's dump, and has its writes and its close held from now on. */
static int held_client_file(struct fixture *f)
{
	int fd = open(f->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	choose_file(f->file);
	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
	__atomic_store_n(&holds_close, true, __ATOMIC_RELEASE);
	return fd;
}

static void hold_core(struct fixture *f)
{
	choose_file(f->core);
	__atomic_store_n(&holds, true, __ATOMIC_RELEASE);
}

static void release(void)
{
	__atomic_store_n(&holds, false, __ATOMIC_RELEASE);
	__atomic_store_n(&holds_close, false, __ATOMIC_RELEASE);
}

/* Returns true if there is the thread that writes a dump. */
static bool dump_is_written(void)
{
	const struct dirent *d;
	DIR *dir = opendir("/proc/self/task");
	bool found = false;

	assert_non_null(dir);
	while ((d = readdir(dir)) && !found) {
		char path[300], comm[32] = ""; /* with a newline */
		FILE *file;

		snprintf(path, sizeof(path), "/proc/self/task/%s/comm", d->d_name);
		file = fopen(path, "re");
		if (!file)
			continue; /* it has ended */
		found = fgets(comm, sizeof(comm), file) && !strcmp(comm, "dump\n");
		fclose(file);
	}
	closedir(dir);
	return found;
}

static void await_thread(bool exists)
{
	s64 begin = now_ms();

	while (dump_is_written() != exists) {
		assert_true(now_ms() - begin < PATIENCE_MS);
		nap();
	}
}

/* Waits until the main thread is about to put a note, which f->told.lock, held here, holds up. */
static void await_note_held_up(void)
{
	char path[64], number[16] = "", want[16];
	s64 begin = now_ms();

	snprintf(path, sizeof(path), "/proc/self/task/%d/syscall",
		 (int)__atomic_load_n(&loop_tid, __ATOMIC_ACQUIRE));
	snprintf(want, sizeof(want), "%d ", SYS_futex);
	while (strncmp(number, want, strlen(want)) != 0) {
		FILE *file = fopen(path, "re");

		assert_non_null(file);
		if (!fgets(number, sizeof(number), file))
			number[0] = '\0';
		fclose(file);
		assert_true(now_ms() - begin < PATIENCE_MS);
		nap();
	}
}

static void await_note(struct fixture *f, const char *what)
{
	s64 begin = now_ms();
	bool told = false;

	while (!told) {
		pthread_mutex_lock(&f->told.lock);
		told = strstr(f->told.text, what);
		pthread_mutex_unlock(&f->told.lock);
		if (!told && now_ms() - begin > PATIENCE_MS)
			fail_msg("no note has \"%s\":\n%s", what, f->told.text);
		nap();
	}
}

static void await_held(void)
{
	s64 begin = now_ms();

	while (!__atomic_load_n(&n_held, __ATOMIC_ACQUIRE)) {
		assert_true(now_ms() - begin < PATIENCE_MS);
		nap();
	}
}

/*
 * Has the dump under way, whose file is held, end while the loop stands still, with the request
 * @text there: it is answered before the one who waits for the dump has seen its end. The clock is
 * slow from then on.
 */
static void meet_the_end_of_a_dump(struct fixture *f, const char *text)
{
	pthread_mutex_lock(&f->told.lock);
	await_note_held_up();
	__atomic_store_n(&is_slow, true, __ATOMIC_RELEASE);
	release();
	await_thread(false);
	send_text(f, text, -1);
	pthread_mutex_unlock(&f->told.lock);
}

/* --- the tests ----------------------------------------------------------------------------- */

/* The dump of a panic is that of the VMM's until nobody waits for it any more. */
static void a_client_does_not_take_a_panics_place(void **state)
{
	struct fixture *f =
		fixture_start(code_panic, sizeof(code_panic), NO_SHUTDOWN | DUMP_ON_PANIC);
	int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct stat st;

	(void)state;
	hold_core(f);
	give_fd(f, "one", fd);
	ask(f, "cont");
	await_held();
	meet_the_end_of_a_dump(f, DUMP("one"));
	expect_answer(f, "one", BUSY);
	__atomic_store_n(&is_slow, false, __ATOMIC_RELEASE);
	await_note(f, "the guest's memory is in ");
	assert_int_equal(stat(f->core, &st), 0);
	assert_true((u64)st.st_size > SPEC_MIN_MEMORY);
	send_text(f, DUMP("one"), -1);
	expect_answer(f, "one", NULL);
	close(fd);
	quit(f, EXIT_CODE_PANIC);
}

/* A dump that comes between the request of a reset and the reset is given up, and the last one. */
static void no_dump_follows_the_one_that_a_reset_waits_for(void **state)
{
	struct fixture *f = fixture_start(code_off, sizeof(code_off), NO_SHUTDOWN);
	int fd = held_client_file(f), null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	ask(f, "cont");
	await_value(f, "query-status", "status", "shutdown");
	give_fd(f, "one", fd);
	give_fd(f, "two", null);
	send_text(f, RESET DUMP("one"), -1);
	expect_answer(f, "reset", NULL);
	await_held();
	meet_the_end_of_a_dump(f, DUMP("two"));
	expect_answer(f, "one", "the dump was ended");
	expect_answer(f, "two", BUSY);
	__atomic_store_n(&is_slow, false, __ATOMIC_RELEASE);
	await_value(f, "query-status", "status", "prelaunch");
	send_text(f, DUMP("two"), -1);
	expect_answer(f, "two", NULL);
	close(fd);
	close(null);
	quit(f, EXIT_CODE_SIGNAL + 15);
}

/* The guest runs: it is not paused for a dump any more, which would meet its RAM's clearing. */
static void no_dump_begins_once_a_reset_is_asked_for(void **state)
{
	struct fixture *f = fixture_start(code_spin, sizeof(code_spin), 0);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	ask(f, "cont");
	give_fd(f, "one", null);
	send_text(f, RESET DUMP("one"), -1);
	expect_answer(f, "reset", NULL);
	expect_answer(f, "one", BUSY);
	/* From the start that follows on there is one again. */
	for (s64 begin = now_ms();;) {
		json_t *o;
		bool done;

		send_text(f, DUMP("one"), -1);
		o = answer(f, "one");
		done = json_object_get(o, "return");
		json_decref(o);
		if (done)
			break;
		assert_true(now_ms() - begin < PATIENCE_MS);
		nap();
	}
	close(null);
	quit(f, EXIT_CODE_SIGNAL + 15);
}

/* The pause that it waits for never comes, as there is no vCPU any more. */
static void a_dump_that_meets_the_end_of_a_guest_at_rest_is_made(void **state)
{
	struct fixture *f = fixture_start(code_port, sizeof(code_port), NO_SHUTDOWN);
	int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

	(void)state;
	give_fd(f, "one", null);
	ask(f, "cont");
	while (!__atomic_load_n(&f->at_port, __ATOMIC_ACQUIRE))
		nap();
	send_text(f, DUMP("one"), -1);
	await_value(f, "query-dump", "status", "active");
	__atomic_store_n(&f->port_code, EXIT_CODE_POWEROFF, __ATOMIC_RELEASE);
	__atomic_store_n(&f->go, true, __ATOMIC_RELEASE);
	expect_answer(f, "one", NULL);
	await_value(f, "query-status", "status", "shutdown");
	ask(f, "system_reset");
	await_value(f, "query-status", "status", "prelaunch");
	close(null);
	quit(f, EXIT_CODE_SIGNAL + 15);
}

/* The reset loses by (W1), and is done when there is nothing that it would take from the dump. */
static void a_reset_that_meets_a_panic_comes_after_its_dump(void **state)
{
	struct fixture *f =
		fixture_start(code_port, sizeof(code_port), NO_SHUTDOWN | DUMP_ON_PANIC);

	(void)state;
	f->port_code = EXIT_CODE_PANIC;
	f->stays = f->go = true;
	ask(f, "cont");
	while (!__atomic_load_n(&f->asked, __ATOMIC_ACQUIRE))
		nap();
	ask(f, "system_reset");
	__atomic_store_n(&f->stays, false, __ATOMIC_RELEASE);
	await_note(f, "the guest's memory is in ");
	await_value(f, "query-status", "status", "prelaunch");
	quit(f, EXIT_CODE_SIGNAL + 15);
}

/* Without --no-shutdown it is given up, and the loop does not close what a client has passed. */
static void a_dump_that_meets_the_end_is_given_up(void **state)
{
	struct fixture *f = fixture_start(code_port, sizeof(code_port), 0);
	int fd = held_client_file(f);

	(void)state;
	give_fd(f, "one", fd);
	ask(f, "cont");
	while (!__atomic_load_n(&f->at_port, __ATOMIC_ACQUIRE))
		nap();
	send_text(f, DUMP("one"), -1);
	await_value(f, "query-dump", "status", "active");
	ask(f, "quit");
	__atomic_store_n(&f->go, true, __ATOMIC_RELEASE);
	expect_answer(f, "one", "the guest has ended");
	await_note(f, "a client's descriptor: this host's kernel holds what is done to it");
	ask(f, "query-status");
	assert_false(__atomic_load_n(&f->ended, __ATOMIC_ACQUIRE));
	release();
	close(fd);
	fixture_end(f, EXIT_CODE_SIGNAL + 15);
}

static void the_close_of_a_panics_file_without_a_panic_is_named(void **state)
{
	struct fixture *f = fixture_start(code_spin, sizeof(code_spin), DUMP_ON_PANIC);
	char want[500];

	(void)state;
	choose_file(f->core);
	__atomic_store_n(&holds_close, true, __ATOMIC_RELEASE);
	ask(f, "quit");
	snprintf(want, sizeof(want), "%s: this host's kernel holds what is done to it", f->core);
	await_note(f, want);
	ask(f, "query-status");
	assert_false(__atomic_load_n(&f->ended, __ATOMIC_ACQUIRE));
	release();
	f->no_core = true;
	fixture_end(f, EXIT_CODE_SIGNAL + 15);
}

/* Has the end asked for, which loses by (W1), during the dump of a panic. */
static void give_up_a_panics_dump(unsigned options)
{
	struct fixture *f = fixture_start(code_panic, sizeof(code_panic), options | DUMP_ON_PANIC);

	hold_core(f);
	ask(f, "cont");
	await_held();
	machine_exit(guest_machine(f->g), EXIT_CODE_ESCAPE, "ended by Ctrl-a x");
	/* It stops the loop, and with that it is seen. */
	ask(f, "query-status");
	ask(f, "query-status");
	release();
	await_note(f, "cannot write: the dump was ended");
	f->no_core = true;
	fixture_end(f, EXIT_CODE_PANIC);
}

static void ctrl_a_x_ends_the_dump_of_a_panic(void **state)
{
	(void)state;
	give_up_a_panics_dump(0);
	give_up_a_panics_dump(NO_SHUTDOWN);
}

/* Returns true if umbra-info names a file that is held, as that of a dump. */
static bool dumps_file_is_named(struct fixture *f)
{
	const char *file;
	json_t *o;
	bool held;

	send_text(f, "{\"execute\":\"umbra-info\",\"id\":\"info\"}\n", -1);
	o = answer(f, "info");
	file = json_string_value(json_object_get(
		json_array_get(json_object_get(json_object_get(o, "return"), "dump"), 0), "file"));
	held = file && !strcmp(file, "a client's descriptor");
	json_decref(o);
	return held;
}

/* A reader that stops is no storage that does not answer. */
static void a_file_is_named_while_it_is_held(void **state)
{
	struct fixture *f = fixture_start(code_spin, sizeof(code_spin), 0);
	int fd = held_client_file(f), pair[2];
	s64 begin;

	(void)state;
	assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
	give_fd(f, "pipe", pair[1]);
	send_text(f, DUMP("pipe"), -1);
	await_thread(true);
	begin = now_ms();
	/* What would be told would be so after this time. */
	while (now_ms() - begin < MACHINE_HELD_MS + 200) {
		assert_false(dumps_file_is_named(f));
		nap();
	}
	ask(f, "umbra-dump-cancel");
	expect_answer(f, "pipe", "the dump was ended");
	give_fd(f, "one", fd);
	send_text(f, DUMP("one"), -1);
	begin = now_ms();
	while (!dumps_file_is_named(f)) {
		assert_true(now_ms() - begin < PATIENCE_MS);
		nap();
	}
	release();
	expect_answer(f, "one", NULL);
	assert_false(dumps_file_is_named(f));
	close(fd);
	close(pair[0]);
	close(pair[1]);
	quit(f, EXIT_CODE_SIGNAL + 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_does_not_take_a_panics_place),
		cmocka_unit_test(no_dump_follows_the_one_that_a_reset_waits_for),
		cmocka_unit_test(no_dump_begins_once_a_reset_is_asked_for),
		cmocka_unit_test(a_dump_that_meets_the_end_of_a_guest_at_rest_is_made),
		cmocka_unit_test(a_reset_that_meets_a_panic_comes_after_its_dump),
		cmocka_unit_test(a_dump_that_meets_the_end_is_given_up),
		cmocka_unit_test(the_close_of_a_panics_file_without_a_panic_is_named),
		cmocka_unit_test(ctrl_a_x_ends_the_dump_of_a_panic),
		cmocka_unit_test(a_file_is_named_while_it_is_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
