// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests stdin as the input of a guest's byte stream, with another process that reads from it, too:
 * bytes that were announced and are gone hold up no event loop, on a terminal in whatever mode and
 * in the background neither, and what comes afterwards still reaches the guest.
 */
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>

#include "base/terminal.h"
#include "tests/unit/base/child.h"
#include "tests/unit/vmm/endpoint_fixture.h"

#define PATIENCE_S 20

struct session {
	struct fixture f;
	int master, slave; /* of its terminal */
};

/* --- another reader -------------------------------------------------------------------------- */

/* The event loop, held by a call, and the event by which the other reader is told to read. */
struct thief {
	int event;
	bool held, go, done; /* atomic */
};

static void on_thief(void *arg, u32 events)
{
	struct thief *t = arg;
	eventfd_t n;
	char byte[16];

	(void)events;
	if (eventfd_read(t->event, &n) || read(STDIN_FILENO, byte, sizeof(byte)) <= 0)
		_exit(90);
	set_flag(&t->done);
}

static void hold_loop(void *arg)
{
	struct thief *t = arg;

	set_flag(&t->held);
	wait_flag(&t->go, 10000);
}

static size_t guest_got(const struct fixture *f)
{
	return __atomic_load_n(&f->got, __ATOMIC_ACQUIRE);
}

/*
 * Writes @text to @feed, and has all of it read by another before the endpoint reads: both events
 * come to the loop at once, the other one's first.
 */
static void feed_and_steal(const struct fixture *f, int feed, const char *text)
{
	struct loop *l = machine_loop(f->m);
	struct thief t = { .event = eventfd(0, EFD_CLOEXEC) };
	struct loop_call call = { .fn = hold_loop, .arg = &t };
	int there = 0, want = (int)strlen(text);

	assert_int_equal(loop_add(l, t.event, EPOLLIN, on_thief, &t), 0);
	/* A change of a terminal's mode is an event, too, that has to be over. */
	assert_loop_answers(f);
	usleep(20000);
	loop_call(l, &call);
	assert_true(wait_flag(&t.held, 5000));
	assert_int_equal(eventfd_write(t.event, 1), 0);
	assert_int_equal(write(feed, text, strlen(text)), strlen(text));
	/* A terminal hands on what was written to its master a moment later. */
	for (int i = 0; i < 5000 && (ioctl(STDIN_FILENO, FIONREAD, &there) || there < want); i++)
		usleep(1000);
	set_flag(&t.go);
	assert_true(wait_flag(&t.done, 5000));
	assert_loop_answers(f);
	assert_int_equal(guest_got(f), 0);
	loop_del(l, t.event);
	close(t.event);
}

static bool guest_gets(const struct fixture *f, size_t bytes, s64 ms)
{
	for (s64 end = now_ms() + ms; now_ms() < end; usleep(1000))
		if (guest_got(f) == bytes)
			return true;
	return false;
}

/* Checks that the guest gets what comes later, all of @text. */
static void feed_guest(const struct fixture *f, int feed, const char *text)
{
	assert_int_equal(write(feed, text, strlen(text)), strlen(text));
	assert_true(guest_gets(f, strlen(text), 3000));
}

static void open_stdin(struct fixture *f)
{
	struct err e = { "" };

	if (fixture_open(f, SPEC_STDIO, true, &e))
		fail_msg("%s", e.text);
}

static void check_stolen(struct fixture *f, int feed, const char *text)
{
	open_stdin(f);
	feed_and_steal(f, feed, text);
	assert_false(fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK);
	feed_guest(f, feed, text);
	assert_true(fixture_close(f) < ANSWER_MS);
}

static void stolen_from_a_pipe(struct session *s)
{
	int p[2];

	assert_int_equal(pipe(p), 0);
	fixture_streams(&s->f, p[0], -1);
	check_stolen(&s->f, p[1], "key");
}

static void stolen_from_a_fifo(struct session *s)
{
	int in, out;

	assert_int_equal(mkfifo(s->f.path, 0600), 0);
	in = open(s->f.path, O_RDONLY | O_NONBLOCK);
	out = open(s->f.path, O_WRONLY);
	assert_int_equal(fcntl(in, F_SETFL, 0), 0);
	fixture_streams(&s->f, in, -1);
	check_stolen(&s->f, out, "key");
}

static void stolen_from_a_socket(struct session *s)
{
	int p[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, p), 0);
	fixture_streams(&s->f, p[0], -1);
	check_stolen(&s->f, p[1], "key");
}

/* The wrong end of a pipe as stdin, perhaps that of stdout, gets no reader that it did not have. */
static void the_end_for_writing_is_not_read(struct session *s)
{
	int p[2];

	assert_int_equal(pipe(p), 0);
	fixture_streams(&s->f, p[1], -1);
	open_stdin(&s->f);
	assert_int_equal(write(p[1], "x", 1), 1);
	close(p[0]);
	assert_int_equal(write(p[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	assert_loop_answers(&s->f);
	assert_int_equal(guest_got(&s->f), 0);
	close(p[1]);
	assert_true(fixture_close(&s->f) < ANSWER_MS);
}

/* --- terminals ------------------------------------------------------------------------------- */

/* Makes this process the leader of a session on a new terminal, which is its stdin. */
static void session_begin(struct session *s)
{
	signal(SIGHUP, SIG_IGN);
	assert_true(setsid() > 0);
	s->master = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(s->master >= 0 && !grantpt(s->master) && !unlockpt(s->master));
	s->slave = open(ptsname(s->master), O_RDWR | O_NOCTTY);
	assert_true(s->slave >= 0 && !ioctl(s->slave, TIOCSCTTY, 0));
	fixture_streams(&s->f, s->slave, -1);
	terminal_look(STDIN_FILENO);
}

/* Sets the terminal's mode as another program on it may do. */
static void set_mode(const struct session *s, bool lines, u8 min)
{
	struct termios t;

	assert_int_equal(tcgetattr(s->slave, &t), 0);
	t.c_lflag = lines ? t.c_lflag | ICANON : t.c_lflag & ~(tcflag_t)ICANON;
	t.c_cc[VEOF] = 4;
	t.c_cc[VMIN] = lines ? 4 : min;
	assert_int_equal(tcsetattr(s->slave, TCSANOW, &t), 0);
}

static void stolen_from_a_terminal(struct session *s)
{
	session_begin(s);
	check_stolen(&s->f, s->master, "key");
}

static void stolen_in_a_mode_of_lines(struct session *s)
{
	session_begin(s);
	open_stdin(&s->f);
	set_mode(s, true, 0);
	feed_and_steal(&s->f, s->master, "key\n");
	/* Ctrl-D ends a line, and not the input. */
	assert_int_equal(write(s->master, "\4", 1), 1);
	usleep(20000);
	assert_loop_answers(&s->f);
	feed_guest(&s->f, s->master, "key\n");
	fixture_close(&s->f);
}

/* Reads return 0 where there is nothing. */
static void stolen_in_a_mode_without_waiting(struct session *s)
{
	session_begin(s);
	open_stdin(&s->f);
	set_mode(s, false, 0);
	feed_and_steal(&s->f, s->master, "key");
	feed_guest(&s->f, s->master, "key");
	fixture_close(&s->f);
}

/* Without /proc the terminal cannot be opened once more. */
static void stolen_from_a_terminal_without_proc(struct session *s)
{
	struct termios t;

	session_begin(s);
	if (chroot(s->f.dir) || chdir("/"))
		skip();
	check_stolen(&s->f, s->master, "key");
	/* It is restored at the end. */
	assert_int_equal(tcgetattr(s->slave, &t), 0);
	assert_int_equal(t.c_cc[VMIN], 1);
}

/* Returns true if the endpoint's event loop, the only one here, watches stdin. */
static bool stdin_is_watched(void)
{
	char path[40], line[128];
	bool watched = false;

	for (int fd = 3; fd < 64; fd++) {
		FILE *info;

		snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
		info = fopen(path, "re");
		while (info && fgets(line, sizeof(line), info))
			watched |= !strncmp(line, "tfd:", 4) && strtol(line + 4, NULL, 10) == 0;
		if (info)
			fclose(info);
	}
	return watched;
}

/* A terminal that hangs up is the end, and not an event for ever. */
static void a_terminal_hangs_up(struct session *s)
{
	session_begin(s);
	open_stdin(&s->f);
	assert_true(stdin_is_watched());
	close(s->master);
	usleep(50000);
	assert_loop_answers(&s->f);
	for (int i = 0; i < 1000 && stdin_is_watched(); i++)
		usleep(1000);
	assert_false(stdin_is_watched());
	fixture_close(&s->f);
}

static void set_foreground(const struct session *s, pid_t group)
{
	assert_int_equal(tcsetpgrp(s->slave, group), 0);
}

/* Keys that the user types to the shell are not read, and the guest gets keys again after fg(1). */
static void job_goes_to_the_background(struct session *s)
{
	pid_t shell = getppid(), job = getpid();

	assert_int_equal(setpgid(0, 0), 0);
	set_foreground(s, job);
	terminal_look(STDIN_FILENO);
	open_stdin(&s->f);
	set_foreground(s, shell);
	assert_int_equal(write(s->master, "key", 3), 3);
	for (int i = 0; i < 3; i++) {
		usleep(20000);
		assert_loop_answers(&s->f);
	}
	assert_int_equal(guest_got(&s->f), 0);
	set_foreground(s, job);
	assert_true(guest_gets(&s->f, 3, 3000));
	fixture_close(&s->f);
}

static void run_apart(void (*body)(struct session *s), struct session *s);

/* The endpoint is a shell's job, with the signals blocked that confine_fork() blocks. */
static void a_job_in_the_background(struct session *s)
{
	sigset_t set;

	session_begin(s);
	sigemptyset(&set);
	terminal_add_job_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	run_apart(job_goes_to_the_background, s);
}

/* --- each in a process of its own ------------------------------------------------------------ */

struct apart {
	void (*body)(struct session *s);
	struct session *s;
};

static void run_body(void **state)
{
	const struct apart *a = *state;

	a->body(a->s);
}

/* Runs @body in another process, which an event loop that hangs does not outlive. */
static void run_apart(void (*body)(struct session *s), struct session *s)
{
	struct apart a = { body, s };
	const struct CMUnitTest one[] = { { "in a process of its own", run_body, NULL, NULL, &a } };
	pid_t pid = child_fork();
	int status;

	if (!pid) {
		alarm(PATIENCE_S);
		/* A second plan in the parent's TAP would be taken for the parent's. */
		setenv("CMOCKA_MESSAGE_OUTPUT", "STDOUT", 1);
		_exit(cmocka_run_group_tests(one, NULL, NULL) ? 1 : 0);
	}
	child_await(pid, &status);
	assert_int_equal(status, 0);
}

static void stdin_case(void **state)
{
	const struct apart *a = *state;
	struct session s;

	fixture_init(&s.f);
	run_apart(a->body, &s);
	fixture_fini(&s.f);
}

#define APART(name)                                            \
	{                                                      \
#name, stdin_case, NULL, NULL, &(struct apart) \
		{                                              \
			.body = (name)                         \
		}                                              \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		APART(stolen_from_a_pipe),
		APART(stolen_from_a_fifo),
		APART(stolen_from_a_socket),
		APART(the_end_for_writing_is_not_read),
		APART(stolen_from_a_terminal),
		APART(stolen_in_a_mode_of_lines),
		APART(stolen_in_a_mode_without_waiting),
		APART(stolen_from_a_terminal_without_proc),
		APART(a_terminal_hangs_up),
		APART(a_job_in_the_background),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
