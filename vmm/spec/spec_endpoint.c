// SPDX-License-Identifier: GPL-2.0-only
/* Parses the text forms of the outer end of a guest's byte stream (--console and --port). */
#include "vmm/spec/spec_text.h"

#include <errno.h>
#include <string.h>

#include "base/name_chars.h"

#define PORT_NAME_MAX 60

/* Where an endpoint is written: in the option @name, of which @whole is the text. */
struct endpoint_option {
	const char *name, *whole, *base;
	char *device; /* of SPEC_ID_MAX and a NUL: for the word device=ID; NULL: there is none */
};

static bool is_endpoint_word(const char *word)
{
	static const char *const own[] = { "device", "log", "log-fd" };

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (spec_word_value(word, own[i]))
			return true;
	return spec_is_device_word(word);
}

/* Returns true if nothing but words of an endpoint follow: else it is a path's comma. */
static bool endpoint_words_begin(const char *text, const char *at)
{
	(void)text;
	for (; *at; at += 1 + strcspn(at + 1, ","))
		if (!is_endpoint_word(at + 1))
			return false;
	return true;
}

/* Takes the file that the output goes to as well, if that is what @word names; 1: it is not. */
static int log_word(struct guest_spec *s, struct spec_endpoint *end,
		    const struct endpoint_option *opt, const char *word, struct err *e)
{
	const char *path = spec_word_value(word, "log"), *fd = spec_word_value(word, "log-fd");

	if (!path && !fd)
		return 1;
	if (end->log || end->log_fd)
		return err_set(e, -EINVAL, "%s %s: want one log", opt->name, opt->whole);
	if (end->kind == SPEC_ATTACH)
		return err_set(e, -EINVAL,
			       "%s %s: want the log as the end itself, file=PATH: `vmm console` "
			       "works beside it",
			       opt->name, opt->whole);
	if (fd)
		return spec_take_fd(&end->log_fd, opt->name, opt->whole, "log-fd", fd, e);
	if (!*path)
		return err_set(e, -EINVAL, "%s %s: no path is named", opt->name, opt->whole);
	end->log = guest_spec_path(s, opt->base, path);
	return end->log ? 0 : err_set(e, -ENOMEM, "out of memory");
}

/* Takes a word behind the endpoint. */
static int endpoint_word(struct guest_spec *s, struct spec_endpoint *end,
			 const struct endpoint_option *opt, const char *word, struct err *e)
{
	static const char *const of_port[] = {
		"log", "log-fd", "id", "slot", "bus", "device", NULL
	};
	static const char *const of_console[] = { "log", "log-fd", "id", "slot", "bus", NULL };
	const char *device = opt->device ? spec_word_value(word, "device") : NULL;
	int ret = log_word(s, end, opt, word, e);

	if (ret <= 0)
		return ret;
	if (device)
		return spec_take_id(opt->device, opt->name, opt->whole, "device", device, e);
	ret = spec_device_word(&end->dev, opt->name, opt->whole, word, e);
	if (ret)
		return ret < 0 ? ret : 0;
	return spec_unknown_word(opt->name, opt->whole, word, opt->device ? of_port : of_console,
				 opt->device ? "id=ID, device=ID, slot=N, bus=PORT, log=PATH or "
					       "log-fd=N"
					     : "id=ID or slot=N or bus=PORT or log=PATH or "
					       "log-fd=N",
				 e);
}

/* Takes what comes before the words. */
static int endpoint_kind(struct guest_spec *s, struct spec_endpoint *end,
			 const struct endpoint_option *opt, const char *kind, struct err *e)
{
	static const char *const known[] = { "stdio",	  "attach", "pty",     "socket",
					     "socket-fd", "file",   "file-fd", NULL };
	static const char *const plain[] = {
		[SPEC_STDIO] = "stdio",
		[SPEC_ATTACH] = "attach",
		[SPEC_PTY] = "pty",
	};
	const char *path;

	end->path = end->log = NULL;
	end->fd = end->log_fd = 0;
	for (size_t i = 0; i < ARRAY_SIZE(plain); i++)
		if (!strcmp(kind, plain[i])) {
			end->kind = i;
			return 0;
		}
	path = spec_word_value(kind, "socket-fd");
	if (path) {
		end->kind = SPEC_SOCKET_FD;
		return spec_take_fd(&end->fd, opt->name, opt->whole, "socket-fd", path, e);
	}
	path = spec_word_value(kind, "file-fd");
	if (path) {
		end->kind = SPEC_FILE_FD;
		return spec_take_fd(&end->fd, opt->name, opt->whole, "file-fd", path, e);
	}
	path = spec_word_value(kind, "socket");
	end->kind = path ? SPEC_SOCKET : SPEC_FILE;
	if (!path)
		path = spec_word_value(kind, "file");
	if (!path)
		return spec_unknown_word(
			opt->name, opt->whole, kind, known,
			"stdio, attach, pty, socket-fd=N, file-fd=N, socket=PATH or file=PATH", e);
	if (!*path)
		return err_set(e, -EINVAL, "%s %s: no path is named", opt->name, opt->whole);
	end->path = guest_spec_path(s, opt->base, path);
	return end->path ? 0 : err_set(e, -ENOMEM, "out of memory");
}

static int parse_endpoint(struct guest_spec *s, struct spec_endpoint *end,
			  const struct endpoint_option *opt, const char *text, struct err *e)
{
	char *kind = guest_spec_keep(s, strdup(text)), *words, *word;
	size_t len;
	int ret;

	if (!kind)
		return err_set(e, -ENOMEM, "out of memory");
	len = strcspn(kind, "=,");
	len = kind[len] == '=' ? spec_file_len(kind, ",", endpoint_words_begin) : len;
	words = kind[len] ? kind + len + 1 : NULL;
	kind[len] = '\0';
	end->dev = (struct spec_device){ .slot = 0 };
	ret = endpoint_kind(s, end, opt, kind, e);
	while (!ret && (word = strsep(&words, ",")))
		ret = endpoint_word(s, end, opt, word, e);
	return ret;
}

int spec_take_console(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	const struct endpoint_option opt = { "--console", text, base, NULL };

	s->console_given = s->virtio_console = true;
	return parse_endpoint(s, &s->console, &opt, text, e);
}

int spec_take_port(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	struct endpoint_option opt = { "--port", text, base, NULL };
	struct spec_port *p = &s->ports[s->n_ports];
	size_t len = name_chars_len(text, NAME_FILE);
	int ret;

	if (s->n_ports == SPEC_MAX_PORTS)
		return err_set(e, -EINVAL, "--port %s: at most %d ports", text, SPEC_MAX_PORTS);
	if (!len || len > PORT_NAME_MAX || text[len] != '=')
		return err_set(e, -EINVAL,
			       "--port %s: want NAME=pty, NAME=socket=PATH or NAME=file=PATH, with "
			       "up to %d " NAME_FILE_TEXT " as its name",
			       text, PORT_NAME_MAX);
	p->name = strndup(text, len);
	if (!p->name)
		return err_set(e, -ENOMEM, "out of memory");
	s->n_ports++;
	s->virtio_console = true;
	opt.device = p->device;
	for (size_t i = 0; i + 1 < s->n_ports; i++)
		if (!strcmp(s->ports[i].name, p->name))
			return err_set(e, -EINVAL, "--port %s: there are two ports of that name",
				       text);
	ret = parse_endpoint(s, &p->end, &opt, text + len + 1, e);
	if (!ret && (p->end.kind == SPEC_STDIO || p->end.kind == SPEC_ATTACH))
		return err_set(
			e, -EINVAL,
			"--port %s: the terminal and `vmm console` are for the console; want pty, "
			"socket=PATH or file=PATH",
			text);
	return ret;
}
