// SPDX-License-Identifier: GPL-2.0-only
/* Reads and parses a file in the syntax of libconfig. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "policy/scan.h"
#include "policy/text.h"
#include "policy/value.h"

/* Reports a syntax error with its line, because libconfig says only "syntax error". */
static int syntax_error(const config_t *c, const char *label, const char *text, struct err *e)
{
	const char *what = config_error_text(c) ? config_error_text(c) : "syntax error";
	char line[VALUE_QUOTE], q[VALUE_QUOTE];
	int number = config_error_line(c);

	for (int i = 1; i < number && *text; i++) {
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	text += strspn(text, " \t");
	snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
	if (!strcmp(what, "duplicate setting name"))
		return err_set(e, -EINVAL,
			       "%s:%d: this name is already given in the same group, near %s",
			       label, number, value_quote(q, line));
	if (!strcmp(what, "mismatched element type in array"))
		return err_set(e, -EINVAL, "%s:%d: an array [ ] holds values of one type, near %s",
			       label, number, value_quote(q, line));
	return err_set(e, -EINVAL,
		       "%s:%d: %s in or before %s, expected settings such as name = value;", label,
		       number, what, value_quote(q, line));
}

int text_parse(config_t *c, const char *label, const char *text, struct err *e)
{
	char *scanned;
	int ret;

	if (strnlen(text, TEXT_MAX + 1) > TEXT_MAX)
		return err_set(e, -EFBIG, "%s: too large (at most %u bytes are read)", label,
			       TEXT_MAX);
	ret = scan_text(&scanned, label, text, e);
	if (ret)
		return ret;
	config_init(c);
	/* Below a device there is no file: an @include that gets past the scan opens nothing. */
	config_set_include_dir(c, "/dev/null");
	ret = config_read_string(c, scanned) ? 0 : syntax_error(c, label, text, e);
	free(scanned);
	if (ret)
		config_destroy(c);
	return ret;
}

/*
 * Returns the whole of @fd, at most a little more than TEXT_MAX, with a NUL behind it. NULL with
 * errno set.
 */
static char *text_read_stream(int fd, size_t *len)
{
	char *text = NULL, *more;
	size_t size = 0;
	ssize_t n;

	*len = 0;
	do {
		if (*len + 1 >= size) {
			size = size ? size * 2 : 16384;
			more = realloc(text, size);
			if (!more)
				goto fail;
			text = more;
		}
		n = read(fd, text + *len, size - *len - 1);
		if (n < 0 && errno != EINTR)
			goto fail;
		*len += n > 0 ? (size_t)n : 0;
	} while (n && *len <= TEXT_MAX);
	text[*len] = '\0';
	return text;
fail:
	free(text);
	return NULL;
}

/* Gives @text, of @len bytes and a NUL, to *out, or frees it: it has another NUL. */
static int text_hand_out(char **out, char *text, size_t len, const char *path, const char *what,
			 struct err *e)
{
	if (strlen(text) != len) {
		free(text);
		return err_set(e, -EINVAL, "%s: holds a NUL byte, expected the text of a %s", path,
			       what);
	}
	*out = text;
	return 0;
}

int text_load_fd(char **out, int fd, const char *path, const char *what, struct err *e)
{
	size_t len;
	char *text = text_read_stream(fd, &len);

	return text ? text_hand_out(out, text, len, path, what, e)
		    : err_set(e, -errno, "%s: cannot read: %s", path, strerror(errno));
}

int text_load_bytes(char **out, const void *data, size_t len, const char *path, const char *what,
		    struct err *e)
{
	char *text = malloc(len + 1);

	if (!text)
		return err_set(e, -ENOMEM, "%s: out of memory", path);
	memcpy(text, data, len);
	text[len] = '\0';
	return text_hand_out(out, text, len, path, what, e);
}

int text_open(const char *path, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_set(e, -errno, "%s: cannot open: %s", path, strerror(errno)) : fd;
}

int text_load(char **out, bool *regular, const char *path, const char *what, struct err *e)
{
	int fd = text_open(path, e), ret;
	struct stat st;

	if (fd < 0)
		return fd;
	if (regular)
		*regular = !fstat(fd, &st) && S_ISREG(st.st_mode);
	ret = text_load_fd(out, fd, path, what, e);
	close(fd);
	return ret;
}
