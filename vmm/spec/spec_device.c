// SPDX-License-Identifier: GPL-2.0-only
/* Parses what all devices may be given, a name and a place, and checks them against each other. */
#include <errno.h>
#include <stdio.h>
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

	if (value)
		return spec_take_id(d->id, option, text, "id", value, e) ? -EINVAL : 1;
	value = spec_word_value(word, "bus");
	if (value)
		return spec_take_id(d->bus, option, text, "bus", value, e) ? -EINVAL : 1;
	value = spec_word_value(word, "slot");
	if (!value)
		return 0;
	if (spec_number(value, 1, SPEC_SLOT_LAST, &d->slot))
		return err_set(e, -EINVAL,
			       "%s %s: slot wants a number from 1 to %d; 0 is the host bridge's",
			       option, text, SPEC_SLOT_LAST);
	return 1;
}

bool spec_is_device_word(const char *word)
{
	return !strncmp(word, "id=", 3) || !strncmp(word, "slot=", 5) || !strncmp(word, "bus=", 4);
}

int spec_take_fd(int *fd, const char *option, const char *text, const char *key, const char *value,
		 struct err *e)
{
	unsigned n;

	if (spec_number(value, 3, SPEC_FD_LAST, &n))
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
	static const char *const known[] = { "id", "slot", "bus", NULL };
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
		return err_set(e, -EINVAL, "--rng %s: want on[,id=ID][,slot=N][,bus=PORT] or off",
			       text);
	while ((word = strsep(&words, ","))) {
		ret = spec_device_word(&s->rng, "--rng", text, word, e);
		if (!ret)
			ret = spec_unknown_word("--rng", text, word, known,
						"on[,id=ID][,slot=N][,bus=PORT]", e);
		if (ret < 0)
			return ret;
	}
	return 0;
}

/* Takes the value of slot=: S, or S.F. */
static int root_port_place(struct spec_root_port *p, char *value)
{
	char *function = strchr(value, '.');

	p->function = 0;
	if (function)
		*function++ = '\0';
	if (function && spec_number(function, 0, SPEC_FUNCTION_LAST, &p->function))
		return -EINVAL;
	return spec_number(value, 1, SPEC_SLOT_LAST, &p->dev.slot);
}

static int root_port_word(struct spec_root_port *p, char *word, struct err *e)
{
	static const char *const known[] = { "id", "slot", "chassis", "port", NULL };
	char *value = strchr(word, '=');
	unsigned n;

	if (value)
		*value++ = '\0';
	if (value && !strcmp(word, "id"))
		return spec_take_id(p->dev.id, "--root-port", p->text, "id", value, e);
	if (value && !strcmp(word, "slot"))
		return root_port_place(p, value)
			       ? err_set(e, -EINVAL,
					 "--root-port %s: slot wants a number from 1 to %d, and for "
					 "another function than 0 a dot and its number up to %d",
					 p->text, SPEC_SLOT_LAST, SPEC_FUNCTION_LAST)
			       : 0;
	if (value && !strcmp(word, "chassis"))
		return spec_number(value, 1, SPEC_CHASSIS_LAST, &p->chassis)
			       ? err_set(e, -EINVAL,
					 "--root-port %s: chassis wants a number from 1 to %d",
					 p->text, SPEC_CHASSIS_LAST)
			       : 0;
	if (value && !strcmp(word, "port")) {
		if (spec_number(value, 0, SPEC_PORT_NUMBER_LAST, &n))
			return err_set(e, -EINVAL, "--root-port %s: port wants a number up to %d",
				       p->text, SPEC_PORT_NUMBER_LAST);
		p->number = (int)n;
		return 0;
	}
	return spec_unknown_word("--root-port", p->text, word, known,
				 "id=ID,slot=S[.F][,chassis=N][,port=N]", e);
}

int spec_take_root_port(struct guest_spec *s, const char *base, const char *text, struct err *e)
{
	struct spec_root_port *p = &s->root_ports[s->n_root_ports];
	char *words = guest_spec_keep(s, strdup(text)), *word;
	int ret = 0;

	(void)base;
	if (!words)
		return err_set(e, -ENOMEM, "out of memory");
	if (s->n_root_ports == SPEC_MAX_ROOT_PORTS)
		return err_set(e, -EINVAL, "--root-port %s: at most %d are possible", text,
			       SPEC_MAX_ROOT_PORTS);
	*p = (struct spec_root_port){ .number = -1, .text = text };
	while (!ret && (word = strsep(&words, ",")))
		ret = root_port_word(p, word, e);
	if (!ret && (!*p->dev.id || !p->dev.slot))
		ret = err_set(e, -EINVAL,
			      "--root-port %s: want id=ID,slot=S[.F][,chassis=N][,port=N]", text);
	if (!ret)
		s->n_root_ports++;
	return ret;
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

/* A name or a place, and whose it is: @option and @text, as it is told. */
struct claim {
	const char *option, *text;
	const char *bus;   /* the root port that it wants to be behind, or NULL */
	unsigned slot;	   /* or 0 */
	unsigned function; /* in the slot, of a root port */
	int fd;		   /* or 0 */
	bool root_port;
	bool stream;		    /* it is the host's end of a byte stream... */
	bool given;		    /* ... whose name is not the one that it has without */
	char name[SPEC_ID_MAX + 1]; /* or "" */
};

#define MAX_CLAIMS \
	(2 * SPEC_MAX_DISKS + SPEC_MAX_NETS + 3 * SPEC_MAX_PORTS + SPEC_MAX_ROOT_PORTS + 6)

static struct claim *claim_of(const struct spec_device *d, struct claim *c, const char *option,
			      const char *text)
{
	*c = (struct claim){ .slot = d->slot, .given = *d->id, .option = option, .text = text };
	memcpy(c->name, d->id, sizeof(c->name));
	c->bus = *d->bus ? d->bus : NULL;
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
	c->slot = 0; /* all are ends of one device, whose place is claimed once */
	c->bus = NULL;
}

static struct claim claim_log(const struct spec_endpoint *end, const char *option, const char *text)
{
	return (struct claim){ .fd = end->log_fd, .option = option, .text = text };
}

static bool has_place(const struct spec_device *d)
{
	return d->slot || *d->bus;
}

/* Lists what all devices claim; returns how much that is. */
static size_t list_claims(const struct guest_spec *s, struct claim c[MAX_CLAIMS])
{
	const struct spec_device *serial = guest_spec_serial(s);
	size_t n = 0;

	for (size_t i = 0; i < s->n_root_ports; i++) {
		const struct spec_root_port *p = &s->root_ports[i];

		claim_of(&p->dev, &c[n], "--root-port", p->text)->root_port = true;
		c[n++].function = p->function;
	}
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
	if (s->console_given) {
		claim_stream(&s->console, &c[n++], "--console", "", "console");
		c[n++] = claim_log(&s->console, "--console", "");
	}
	for (size_t i = 0; i < s->n_ports; i++) {
		const struct spec_port *p = &s->ports[i];

		claim_stream(&p->end, &c[n++], "--port", p->name, p->name);
		c[n++] = claim_log(&p->end, "--port", p->name);
		c[n] = (struct claim){ .given = *p->device, .option = "--port", .text = p->name };
		memcpy(c[n++].name, p->device, sizeof(p->device));
	}
	if (s->control_fd)
		c[n++] = (struct claim){ .fd = s->control_fd, .option = "--control", .text = "" };
	if (has_place(serial)) {
		claim_of(serial, &c[n], has_place(&s->console.dev) ? "--console" : "--port", "");
		*c[n++].name = '\0';
	}
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

/* Do the two want one place? Root ports may share a slot. */
static bool places_clash(const struct claim *a, const struct claim *b)
{
	if (a->bus || b->bus)
		return a->bus && b->bus && !strcmp(a->bus, b->bus);
	return a->slot && a->slot == b->slot &&
	       (!a->root_port || !b->root_port || a->function == b->function);
}

static int places_told(const struct claim *first, const struct claim *c, struct err *e)
{
	char what[SPEC_ID_MAX + 24];

	if (c->bus)
		snprintf(what, sizeof(what), "the root port %.*s", SPEC_ID_MAX, c->bus);
	else if (c->root_port && first->root_port)
		snprintf(what, sizeof(what), "slot %u.%u", c->slot, c->function);
	else
		snprintf(what, sizeof(what), "slot %u", c->slot);
	return claims_clash(first, c, what, e);
}

static int check_serial_places(const struct guest_spec *s, struct err *e)
{
	const struct spec_device *all = guest_spec_serial(s);

	for (size_t i = 0; i < s->n_ports; i++) {
		const struct spec_device *d = &s->ports[i].end.dev;

		if (d->slot && d->slot != all->slot && all->slot)
			return err_set(e, -EINVAL,
				       "--port %s: slot %u: console and ports are one device, "
				       "which is in slot %u already",
				       s->ports[i].name, d->slot, all->slot);
		if (has_place(d) && (d->slot != all->slot || strcmp(d->bus, all->bus) != 0))
			return err_set(e, -EINVAL,
				       "--port %s: console and ports are one device, which has "
				       "another place already",
				       s->ports[i].name);
	}
	return 0;
}

/* Checks what a claim says of buses by itself. */
static int check_bus(const struct guest_spec *s, const struct claim *c, struct err *e)
{
	const char *space = *c->text ? " " : "";

	if (c->bus && c->slot)
		return err_set(e, -EINVAL,
			       "%s%s%s: slot is a place on bus 0; behind a root port there is one "
			       "only",
			       c->option, space, c->text);
	for (size_t i = 0; c->bus && i < s->n_root_ports; i++)
		if (!strcmp(s->root_ports[i].dev.id, c->bus))
			return 0;
	if (c->bus)
		return err_set(e, -EINVAL, "%s%s%s: there is no --root-port id=%s", c->option,
			       space, c->text, c->bus);
	for (size_t i = 0; c->function && i < s->n_root_ports; i++)
		if (s->root_ports[i].dev.slot == c->slot && !s->root_ports[i].function)
			return 0;
	return c->function ? err_set(e, -EINVAL,
				     "%s%s%s: a device has a function 0; add a --root-port with "
				     "slot=%u",
				     c->option, space, c->text, c->slot)
			   : 0;
}

int guest_spec_check_devices(const struct guest_spec *s, struct err *e)
{
	struct claim c[MAX_CLAIMS];
	char what[SPEC_ID_MAX + 16];
	size_t n = list_claims(s, c);

	for (size_t i = 0; i < n; i++) {
		if (check_bus(s, &c[i], e))
			return -EINVAL;
		for (size_t j = 0; j < i; j++) {
			if (names_clash(&c[j], &c[i])) {
				snprintf(what, sizeof(what), "the name %.*s", SPEC_ID_MAX,
					 c[i].name);
				return claims_clash(&c[j], &c[i], what, e);
			}
			if (c[i].fd && c[i].fd == c[j].fd) {
				snprintf(what, sizeof(what), "descriptor %d", c[i].fd);
				return claims_clash(&c[j], &c[i], what, e);
			}
			if (places_clash(&c[j], &c[i]))
				return places_told(&c[j], &c[i], e);
		}
	}
	return check_serial_places(s, e);
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

const struct spec_device *guest_spec_serial(const struct guest_spec *s)
{
	const struct spec_device *d = &s->console.dev;

	for (size_t i = 0; i < s->n_ports && !has_place(d); i++)
		d = &s->ports[i].end.dev;
	return d;
}

int guest_spec_root_port(const struct guest_spec *s, const struct spec_device *d)
{
	for (size_t i = 0; i < s->n_root_ports; i++)
		if (*d->bus && !strcmp(s->root_ports[i].dev.id, d->bus))
			return (int)i;
	return -1;
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
