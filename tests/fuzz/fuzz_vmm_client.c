// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plays a VMM that answers anything: commands that talk to a guest get any bytes from its socket
 * in place of answers. Each ends by the end of the connection, and prints nothing that would steer
 * the terminal.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "vmm/cli/commands.h"
#include "vmm/control/socket_dir.h"

#define ANSWER_MAX 60000 /* that a socket takes without a reader */
#define WORDS	   6

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct command {
	int (*run)(int argc, char **argv);
	const char *words[WORDS];
};

/* "G" stands for the guest's name. */
static const struct command commands[] = {
	{ cmd_info, { "info", "G" } },
	{ cmd_info, { "info", "--json", "G" } },
	{ cmd_driver, { "driver", "list", "-g", "G" } },
	{ cmd_driver, { "driver", "verify", "a:x", "-g", "G" } },
	{ cmd_driver, { "driver", "unload", "x", "-g", "G" } },
	{ cmd_session, { "session", "list", "-g", "G" } },
	{ cmd_session, { "session", "stats", "-g", "G" } },
	{ cmd_session, { "session", "policy", "/etc/passwd", "-g", "G" } },
	{ cmd_disk, { "disk", "resize", "disk0", "1G", "-g", "G" } },
	{ cmd_pause, { "pause", "G" } },
	{ cmd_stop, { "stop", "--timeout", "0", "G" } },
	{ cmd_memory, { "memory", "G" } },
	{ cmd_memory, { "memory", "G", "64M", "--timeout", "0" } },
};

static char name[40], *path;
static int listener;
static struct {
	pthread_mutex_t lock;
	u8 bytes[ANSWER_MAX];
	size_t len;
} answer = { .lock = PTHREAD_MUTEX_INITIALIZER };

/*
 * Sends the answer to each client that connects, at once, whatever the client sends, and also if it
 * leaves before the end. A client may be another process, which lists the guests.
 */
static void *serve_answers(void *arg)
{
	static u8 bytes[ANSWER_MAX], drained[65536];
	size_t len;

	(void)arg;
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

		if (fd < 0)
			continue;
		pthread_mutex_lock(&answer.lock);
		len = answer.len;
		memcpy(bytes, answer.bytes, len);
		pthread_mutex_unlock(&answer.lock);
		send(fd, bytes, len, MSG_NOSIGNAL);
		shutdown(fd, SHUT_WR);
		while (read(fd, drained, sizeof(drained)) > 0)
			;
		close(fd);
	}
	return NULL;
}

static void remove_socket(void)
{
	unlink(path);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	struct err e = { "" };
	pthread_t thread;

	(void)argc;
	(void)argv;
	snprintf(name, sizeof(name), "umbra-fuzz-%d", getpid());
	if (socket_dir_path(&path, name, true, &e) || strlen(path) >= sizeof(sa.sun_path)) {
		fprintf(stderr, "%s\n", e.text);
		abort();
	}
	memcpy(sa.sun_path, path, strlen(path));
	unlink(path);
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (listener < 0 || bind(listener, (struct sockaddr *)&sa, sizeof(sa)) ||
	    listen(listener, 8))
		abort();
	atexit(remove_socket);
	return pthread_create(&thread, NULL, serve_answers, NULL);
}

/* Lines of text: no escape sequence, no carriage return, no bell. */
static void check_printed(const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c < 0x20 && c != '\n')
			abort();
	}
}

static void run_command(const struct command *c)
{
	char words[WORDS][40], *argv[WORDS + 1];
	int argc = 0;

	for (; argc < WORDS && c->words[argc]; argc++) {
		const char *word = c->words[argc];

		snprintf(words[argc], sizeof(words[argc]), "%s", strcmp(word, "G") ? word : name);
		argv[argc] = words[argc];
	}
	argv[argc] = NULL;
	c->run(argc, argv);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	FILE *out = stdout, *err = stderr;
	char *text[2] = { NULL, NULL };
	size_t len[2];

	if (!size || size > ANSWER_MAX)
		return 0;
	pthread_mutex_lock(&answer.lock);
	answer.len = size - 1;
	memcpy(answer.bytes, data + 1, answer.len);
	pthread_mutex_unlock(&answer.lock);
	stdout = open_memstream(&text[0], &len[0]);
	stderr = open_memstream(&text[1], &len[1]);
	if (!stdout || !stderr)
		abort();
	run_command(&commands[data[0] % ARRAY_SIZE(commands)]);
	fclose(stdout);
	fclose(stderr);
	stdout = out;
	stderr = err;
	for (int i = 0; i < 2; i++) {
		check_printed(text[i], len[i]);
		free(text[i]);
	}
	return 0;
}
