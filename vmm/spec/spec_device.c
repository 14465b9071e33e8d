// SPDX-License-Identifier: GPL-2.0-only
/* Parses what all devices may be given, a name and a slot, and checks them against each other. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name_chars.h"
#include "vmm/spec/spec_text.h"

/* --- one device ------------------------------------------------------------------------------ */

int spec_take_id(char name[SPEC_ID_MAX + 1], const char *option, const char *text, const char *key,
		 const char *value, struct err *e)
{
	bool letter = (*value >= 'a' && *value <= 'z') || (*value >= 'A' && *value <= 'Z');

	if (!letter || !name_chars_only(value, NAME_FILE, SPEC_ID_MAX))
		return err_set(e, -EINVAL,
			       "%s %s: %s wants a letter and up to %d more " NAME_FILE_TEXT, option,
			       text, key, SPEC_ID_MAX - 1);
	memcpy(name, value, strlen(value) + 1);
	return 0;
}

int spec_device_word(struct spec_device *d, const char *option, const char *text, const char *word,
		     struct err *e)
{
	const char *value = spec_word_value(word, "id");
	unsigned long n;
	char *end;

	if (value)
		return spec_take_id(d->id, option, text, "id", value, e) ? -EINVAL : 1;
	value = spec_word_value(word, "slot");
	if (!value)
		return 0;
	n = strtoul(value, &end, 10);
	if (*value < '0' || *value > '9' || *end || !n || n > SPEC_SLOT_LAST)
		return err_set(e, -EINVAL,
			       "%s %s: slot wants a number from 1 to %d; 0 is the host bridge's",
			       option, text, SPEC_SLOT_LAST);
	d->slot = (unsigned)n;
	return 1;
}

bool spec_is_device_word(const char *word)
{
	return !strncmp(word, "id=", 3) || !strncmp(word, "slot=", 5);
}

int spec_take_fd(int *fd, const char *option, const char *text, const char *key, const char *value,
		 struct err *e)
{
	char *end;
	unsigned long n = strtoul(value, &end, 10);

	if (*value < '0' || *value > '9' || *end || n <= 2 || n > SPEC_FD_LAST)
		return err_set(e, -EINVAL, "%s %s: %s wants a descriptor from 3 to %d", option,
			       text, key, SPEC_FD_LAST);
	*fd = (int)n;
	return 0;
}

int spec_take_control(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	const char *value = spec_word_value(text, "fd");

	(void)base;
	if (!value)
		return err_set(e, -EINVAL, "--control %s: want fd=N", text);
	return spec_take_fd(&s->control_fd, "--control", text, "fd", value, e);
}

int spec_take_rng(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	static const char *const known[] = { "id", "slot", NULL };
	char *words = guest_spec_keep(s, strdup(text)), *word;
	int ret;

	(void)base;
	s->rng = (struct spec_device){ .slot = 0 };
	if (!words)
		return err_set(e, -ENOMEM, "out of memory");
	word = strsep(&words, ",");
	s->no_rng = !strcmp(word, "off") && !words;
	if (s->no_rng)
		return 0;
	if (strcmp(word, "on") != 0)
		return err_set(e, -EINVAL, "--rng %s: want on[,id=ID][,slot=N] or off", text);
	while ((word = strsep(&words, ","))) {
		ret = spec_device_word(&s->rng, "--rng", text, word, e);
		if (!ret)
			ret = spec_unknown_word("--rng", text, word, known, "on[,id=ID][,slot=N]",
						e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* --- names ----------------------------------------------------------------------------------- */

static void device_name(char name[SPEC_ID_MAX + 1], const char *own, const char *kind, size_t i)
{
	if (*own)
		snprintf(name, SPEC_ID_MAX + 1, "%s", own);
	else
		snprintf(name, SPEC_ID_MAX + 1, "%s%zu", kind, i);
}

void spec_disk_name(const struct spec_disk *d, size_t i, char name[SPEC_ID_MAX + 1])
{
	device_name(name, d->dev.id, "disk", i);
}

void spec_disk_node(const struct spec_disk *d, size_t i, char name[SPEC_ID_MAX + 1])
{
	device_name(name, d->node, "node", i);
}

void spec_net_name(const struct spec_net *n, size_t i, char name[SPEC_ID_MAX + 1])
{
	device_name(name, n->dev.id, "net", i);
}

/* --- all devices ----------------------------------------------------------------------------- */

/* A name or a slot, and whose it is: @option and @text, as it is told. */
struct claim {
	char name[SPEC_ID_MAX + 1]; /* or "" */
	unsigned slot;		    /* or 0 */
	int fd;			    /* or 0 */
	bool stream;		    /* it is the host's end of a byte stream... */
	bool given;		    /* ... whose name is not the one that it has without */
	const char *option, *text;
};

#define MAX_CLAIMS (2 * SPEC_MAX_DISKS + SPEC_MAX_NETS + SPEC_MAX_PORTS + 5)

static struct claim *claim_of(const struct spec_device *d, struct claim *c, const char *option,
			      const char *text)
{
	*c = (struct claim){ .slot = d->slot, .given = *d->id, .option = option, .text = text };
	memcpy(c->name, d->id, sizeof(c->name));
	return c;
}

/* Lists the name of console or port @end; @name: the one that it has without an id. */
static void claim_stream(const struct spec_endpoint *end, struct claim *c, const char *option,
			 const char *text, const char *name)
{
	claim_of(&end->dev, c, option, text);
	if (!c->given)
		snprintf(c->name, sizeof(c->name), "%s", name);
	c->stream = true;
	c->fd = end->fd;
	c->slot = 0; /* all are ends of one device, whose slot is claimed once */
}

/* Lists what all devices claim; returns how much that is. */
static size_t list_claims(const struct guest_spec *s, struct claim c[MAX_CLAIMS])
{
	const struct spec_device serial = { .slot = guest_spec_serial_slot(s) };
	size_t n = 0;

	for (size_t i = 0; i < s->n_disks; i++) {
		const struct spec_disk *d = &s->disks[i];

		spec_disk_name(d, i, claim_of(&d->dev, &c[n++], "--disk", d->path)->name);
		c[n] = (struct claim){ .given = *d->node, .option = "--disk", .text = d->path };
		spec_disk_node(d, i, c[n++].name);
	}
	for (size_t i = 0; i < s->n_nets; i++) {
		claim_of(&s->nets[i].dev, &c[n], "--net", s->nets[i].text)->fd = s->nets[i].tap_fd;
		spec_net_name(&s->nets[i], i, c[n++].name);
	}
	if (!s->no_rng)
		claim_of(&s->rng, &c[n++], "--rng", "");
	if (s->balloon.on)
		claim_of(&s->balloon.dev, &c[n++], "--balloon", "");
	if (s->console_given)
		claim_stream(&s->console, &c[n++], "--console", "", "console");
	for (size_t i = 0; i < s->n_ports; i++)
		claim_stream(&s->ports[i].end, &c[n++], "--port", s->ports[i].name,
			     s->ports[i].name);
	if (s->control_fd)
		c[n++] = (struct claim){ .fd = s->control_fd, .option = "--control", .text = "" };
	if (serial.slot)
		claim_of(&serial, &c[n++], s->console.dev.slot ? "--console" : "--port", "");
	return n;
}

/* Could nobody tell which of the two a name means? Byte streams have names beside the devices'. */
static bool names_clash(const struct claim *a, const struct claim *b)
{
	return *a->name && !strcmp(a->name, b->name) &&
	       (a->stream == b->stream || (a->given && b->given));
}

static int claims_clash(const struct claim *first, const struct claim *c, const char *what,
			struct err *e)
{
	return err_set(e, -EINVAL, "%s%s%s: %s is already that of %s%s%s", c->option,
		       *c->text ? " " : "", c->text, what, first->option, *first->text ? " " : "",
		       first->text);
}

static int check_serial_slots(const struct guest_spec *s, struct err *e)
{
	unsigned slot = guest_spec_serial_slot(s);

	for (size_t i = 0; i < s->n_ports; i++)
		if (s->ports[i].end.dev.slot && s->ports[i].end.dev.slot != slot)
			return err_set(e, -EINVAL,
				       "--port %s: slot %u: console and ports are one device, "
				       "which is in slot %u already",
				       s->ports[i].name, s->ports[i].end.dev.slot, slot);
	return 0;
}

int guest_spec_check_devices(const struct guest_spec *s, struct err *e)
{
	struct claim c[MAX_CLAIMS];
	char what[SPEC_ID_MAX + 16];
	size_t n = list_claims(s, c);

	for (size_t i = 1; i < n; i++)
		for (size_t j = 0; j < i; j++) {
			if (names_clash(&c[j], &c[i])) {
				snprintf(what, sizeof(what), "the name %s", c[i].name);
				return claims_clash(&c[j], &c[i], what, e);
			}
			if (c[i].fd && c[i].fd == c[j].fd) {
				snprintf(what, sizeof(what), "descriptor %d", c[i].fd);
				return claims_clash(&c[j], &c[i], what, e);
			}
			if (c[i].slot && c[i].slot == c[j].slot) {
				snprintf(what, sizeof(what), "slot %u", c[i].slot);
				return claims_clash(&c[j], &c[i], what, e);
			}
		}
	return check_serial_slots(s, e);
}

int guest_spec_descriptors(const struct guest_spec *s, spec_descriptor_fn *fn, void *arg,
			   struct err *e)
{
	struct claim c[MAX_CLAIMS];
	size_t n = list_claims(s, c);
	char what[300];
	int ret = 0;

	for (size_t i = 0; i < n && !ret; i++) {
		if (!c[i].fd)
			continue;
		snprintf(what, sizeof(what), "%s%s%.250s", c[i].option, *c[i].text ? " " : "",
			 c[i].text);
		ret = fn(arg, c[i].fd, what, e);
	}
	return ret;
}

unsigned guest_spec_serial_slot(const struct guest_spec *s)
{
	unsigned slot = s->console.dev.slot;

	for (size_t i = 0; i < s->n_ports && !slot; i++)
		slot = s->ports[i].end.dev.slot;
	return slot;
}

u32 guest_spec_slots(const struct guest_spec *s)
{
	struct claim c[MAX_CLAIMS];
	size_t n = list_claims(s, c);
	u32 slots = 0;

	for (size_t i = 0; i < n; i++)
		if (c[i].slot)
			slots |= 1U << c[i].slot;
	return slots;
}
