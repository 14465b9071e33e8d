/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Runs a guest of a few instructions, on this /dev/kvm, whose files the host's kernel holds: the
 * linker leads the disk's word that it is held here, which blk_held_test.c tests, and write(2),
 * close(2), pread(2) (pread64()), fsync(2) and ftruncate(2) (ftruncate64()), which wait for as long
 * as a test says. The tests look at what the control socket, a note and `vmm stop` say meanwhile.
 */
#ifndef UMBRA_TESTS_UNIT_VMM_HELD_FIXTURE_H
#define UMBRA_TESTS_UNIT_VMM_HELD_FIXTURE_H

#include <jansson.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/vmm/told_notes.h"
#include "vmm/control/client.h"
#include "vmm/spec/spec.h"

#define FIXTURE_RESET_AT 0xfff0U /* in the firmware's image, where the guest begins */
#define LIMIT_MS	 1000	 /* within which the VMM does all that it is asked for */

struct fixture {
	struct guest_spec spec;
	char dir[32], image[48], disk[48], name[32];
	char kernel[48], initrd[48];	       /* likewise */
	char console[48], log[48], record[48]; /* the files of those tests that have one */
	struct guest_record *r;
	bool records; /* atomic: the guest's next exit adds a line to the record */
	pthread_t thread;
	struct told_notes told;
	bool started, done; /* atomic */
	int code;
	struct client *c;
};

/* --- what the host's kernel does ------------------------------------------------------------- */

/* Has what is done to the file @path from now on depend on these two. */
void held_choose(const char *path);
/* Holds all but close(2), or lets it go. */
void held_set(bool on);
void held_set_close(bool on);
/* Has writes and truncations of it fail by that errno once they are let go; 0: they do not. */
void held_set_error(int error);
/* Returns true if a write has failed since then. */
bool held_has_failed(void);
/* Is @fd the chosen file? */
bool held_is(int fd);
/* Has @fn be called by each close(2), before that is held; NULL: no more. Any thread. */
void held_set_on_close(void (*fn)(int fd));
/* Returns true if the end has waited for the front end's lines since this was asked last. */
bool held_take_asked(void);
/* Has requests of the disk be held since that time (base/clock.h); 0: they are not. */
void held_set_disk(s64 since);
/* Likewise with the front end's lines. */
void held_set_notes(s64 since);

/* --- the guest ------------------------------------------------------------------------------- */

/* Looks for the command, which fixture_stop_says() runs; before the tests. */
void fixture_find_command(void);

/* Makes the files of a guest with a disk, a terminal for its console and a firmware of its own. */
struct fixture *fixture_new(void);
/* Does so with a kernel, which begins by @code and is paused, and an initrd. */
struct fixture *fixture_new_with_kernel(const void *code, size_t len);
/* Begins to run @f on a thread of its own. */
void fixture_begin(struct fixture *f, void *(*run)(void *arg));
/* Is what a thread runs: the guest of f->spec, to its end. */
void *fixture_run_guest(void *arg);
/* Runs the guest of @f, and waits for its control socket; *state is @f then. */
int fixture_run(struct fixture *f, void **state);
/* Does so by @run, in place of fixture_run_guest(). */
int fixture_run_as(struct fixture *f, void *(*run)(void *arg), void **state);

/* Are setups of tests: a guest of no more than that, one with a record. */
int fixture_setup(void **state);
int fixture_setup_record(void **state);
/* And one with a kernel, which its own firmware boots, or the VMM. */
int fixture_setup_firmware_kernel(void **state);
int fixture_setup_kernel(void **state);
/* Lets go of all, and frees a fixture whose guest has ended. */
int fixture_teardown(void **state);

/* Sleeps for a millisecond. */
void fixture_nap(void);
void fixture_make_file(const char *path, const void *data, size_t len);
/* Does the guest's VMM no longer run? */
bool fixture_is_done(const struct fixture *f);

/* Has a command carried out within LIMIT_MS; *answer may be NULL. */
void fixture_ask(struct fixture *f, const char *command, json_t **answer);
/* Waits for a note that has @what. */
void fixture_await_note(struct fixture *f, const char *what);
/* Waits until umbra-info tells that @file of the section is held. */
void fixture_await_info(struct fixture *f, const char *section, const char *file);
/* Waits for the next event, which is to be called @name. */
void fixture_await_event(struct fixture *f, const char *name);
/* Returns what `vmm stop` prints of the guest, whose end it must not wait for. */
const char *fixture_stop_says(struct fixture *f);
void fixture_expect_stop_says(struct fixture *f, const char *want);
/* Waits for the end of the VMM, which has nothing to wait for any more; its exit code is @code. */
void fixture_await_end(struct fixture *f, int code);

#endif
