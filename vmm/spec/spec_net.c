// SPDX-License-Identifier: GPL-2.0-only
/* Parses the text form of a network card (--net). */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/spec/spec_text.h"

#define LOOPBACK 0x7f000001U

static int parse_port_number(const char *s, size_t len, u16 *port)
{
	u32 n = 0;

	if (!len || len > 5)
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (s[i] < '0' || s[i] > '9')
			return -EINVAL;
		n = n * 10 + (u32)(s[i] - '0');
	}
	if (!n || n > UINT16_MAX)
		return -EINVAL;
	*port = (u16)n;
	return 0;
}

/* Parses [ADDRESS:]PORT in s[0 .. len); the address stays as it was if there is none. */
static int parse_address(const char *s, size_t len, u32 *addr, u16 *port)
{
	const char *colon = memchr(s, ':', len);
	char text[INET_ADDRSTRLEN];
	struct in_addr a;

	if (colon && colon != s) {
		size_t n = (size_t)(colon - s);

		if (n >= sizeof(text))
			return -EINVAL;
		memcpy(text, s, n);
		text[n] = '\0';
		if (inet_pton(AF_INET, text, &a) != 1)
			return -EINVAL;
		*addr = ntohl(a.s_addr);
	}
	if (!colon)
		return parse_port_number(s, len, port);
	return parse_port_number(colon + 1, len - (size_t)(colon + 1 - s), port);
}

/* Parses tcp:[ADDRESS:]PORT-[ADDRESS]:PORT. */
static int parse_forward(struct spec_net *n, const char *s)
{
	struct spec_forward *f = &n->forwards[n->n_forwards];
	const char *dash;

	if (n->n_forwards == SPEC_MAX_FORWARDS)
		return -ENOSPC;
	f->udp = !strncmp(s, "udp:", 4);
	if (!f->udp && strncmp(s, "tcp:", 4) != 0)
		return -EINVAL;
	s += 4;
	dash = strchr(s, '-');
	if (!dash || !strchr(dash, ':'))
		return -EINVAL;
	/* The port is open to this host only, unless an address is given. */
	f->host_addr = LOOPBACK;
	f->guest_addr = 0;
	if (parse_address(s, (size_t)(dash - s), &f->host_addr, &f->host_port) ||
	    parse_address(dash + 1, strlen(dash + 1), &f->guest_addr, &f->guest_port))
		return -EINVAL;
	n->n_forwards++;
	return 0;
}

static int hex_digit(char c)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = c ? strchr(digits, c >= 'A' && c <= 'F' ? c - 'A' + 'a' : c) : NULL;

	return at ? (int)(at - digits) : -1;
}

static int parse_mac(struct spec_net *n, const char *s)
{
	for (size_t i = 0; i < sizeof(n->mac); i++, s += 3) {
		int high = hex_digit(s[0]), low = high < 0 ? -1 : hex_digit(s[1]);

		if (low < 0 || s[2] != (i + 1 < sizeof(n->mac) ? ':' : '\0'))
			return -EINVAL;
		n->mac[i] = (u8)(high << 4 | low);
	}
	/* An address with an odd first byte is a multicast address. */
	n->mac_given = !(n->mac[0] & 1);
	return n->mac_given ? 0 : -EINVAL;
}

static int net_word(struct spec_net *n, const char *s, const char *word, struct err *e)
{
	static const char *const user_words[] = { "tftp", "bootfile", "hostfwd", "mac",
						  "id",	  "slot",     "bus",	 NULL };
	static const char *const tap_words[] = { "mac", "id", "slot", "bus", NULL };
	const char *value = strchr(word, '=');
	size_t len = value ? (size_t)(value - word) : strlen(word);
	bool tap = n->tap || n->tap_fd;
	char key[16] = "";
	int ret = spec_device_word(&n->dev, "--net", s, word, e);

	if (ret)
		return ret < 0 ? ret : 0;
	if (len < sizeof(key))
		memcpy(key, word, len);
	value = value ? value + 1 : "";
	if (!strcmp(key, "mac"))
		return parse_mac(n, value) ? err_set(e, -EINVAL,
						     "--net %s: mac wants six bytes such as "
						     "52:55:00:12:34:56, the first of them even",
						     s)
					   : 0;
	if (!tap && !strcmp(key, "hostfwd")) {
		ret = parse_forward(n, value);
		if (ret == -ENOSPC)
			return err_set(e, -EINVAL, "--net %s: at most %d hostfwd", s,
				       SPEC_MAX_FORWARDS);
		return ret ? err_set(e, ret,
				     "--net %s: hostfwd wants tcp:[ADDRESS:]PORT-[ADDRESS]:PORT, "
				     "or udp:",
				     s)
			   : 0;
	}
	if (!tap && (!strcmp(key, "tftp") || !strcmp(key, "bootfile"))) {
		if (!*value)
			return err_set(e, -EINVAL, "--net %s: %s wants a value", s, key);
		*(*key == 't' ? &n->tftp : &n->bootfile) = value;
		return 0;
	}
	return spec_unknown_word(
		"--net", s, word, tap ? tap_words : user_words,
		tap ? "tap=NAME[,mac=M][,id=ID][,slot=N][,bus=PORT]"
		    : "user[,tftp=DIR][,bootfile=F][,hostfwd=tcp:PORT-:PORT][,mac=M][,id=ID]"
		      "[,slot=N][,bus=PORT]",
		e);
}

int spec_parse_net(struct spec_net *n, const char *text, struct err *e)
{
	const char *fd;
	char *rest, *word;
	int ret = 0;

	memset(n, 0, sizeof(*n));
	n->text = text;
	n->buf = strdup(text);
	if (!n->buf)
		return err_set(e, -ENOMEM, "out of memory");
	rest = n->buf;
	word = strsep(&rest, ",");
	fd = spec_word_value(word, "tap-fd");
	if (fd)
		ret = spec_take_fd(&n->tap_fd, "--net", text, "tap-fd", fd, e);
	else if (!strncmp(word, "tap=", 4) && word[4])
		n->tap = word + 4;
	else if (strcmp(word, "user") != 0)
		return err_set(e, -EINVAL, "--net %s: want user or tap=NAME", text);
	while (!ret && (word = strsep(&rest, ",")))
		ret = net_word(n, text, word, e);
	return ret;
}

/*
 * Makes "user,tftp=DIR" with DIR below @base: the helper process is given the option as a text, and
 * knows no base. NULL: no memory.
 */
static const char *net_rebased(struct guest_spec *s, const char *base, const char *text)
{
	static const char key[] = ",tftp=";
	char *longer;

	for (const char *dir = text; base && (dir = strstr(dir, key));) {
		size_t before;

		dir += sizeof(key) - 1;
		if (*dir == '/' || *dir == ',' || !*dir)
			continue;
		before = (size_t)(dir - text);
		if (asprintf(&longer, "%.*s%s%s", (int)before, text, base, dir) < 0)
			return NULL;
		text = guest_spec_keep(s, longer);
		if (!text)
			return NULL;
		dir = text + before;
	}
	return text;
}

int spec_take_net(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	if (s->n_nets == SPEC_MAX_NETS)
		return err_set(e, -EINVAL, "--net %s: at most %d network devices", text,
			       SPEC_MAX_NETS);
	text = net_rebased(s, base, text);
	if (!text)
		return err_set(e, -ENOMEM, "out of memory");
	return spec_parse_net(&s->nets[s->n_nets++], text, e);
}
