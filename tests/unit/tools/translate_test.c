// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tests the translation of command lines that libvirt 9.0 gives (libvirt-argv.json, recorded), in
 * other orders, cut short, and with what Umbra has not.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/machine_names.h"
#include "tools/umbra-qemu/translate.h"

#define WORDS_MAX 160
#define PROBE	  3 /* the case without a guest */
#define Q35	  5 /* the case of that machine */

/* A command line, whose words are borrowed. */
struct line {
	char *argv[WORDS_MAX];
	int argc;
};

static json_t *cases;

static int load_cases(void **state)
{
	(void)state;
	cases = json_load_file("tests/unit/tools/libvirt-argv.json", 0, NULL);
	return json_array_size(cases) == 9 ? 0 : -1;
}

static int drop_cases(void **state)
{
	(void)state;
	json_decref(cases);
	return 0;
}

static void line_of(struct line *l, json_t *one)
{
	json_t *word;
	size_t i;

	l->argc = 0;
	json_array_foreach(json_object_get(one, "argv"), i, word)
	{
		assert_true(i < WORDS_MAX);
		l->argv[l->argc++] = strdup(json_string_value(word));
		assert_non_null(l->argv[i]);
	}
}

static void line_free(struct line *l)
{
	for (int i = 0; i < l->argc; i++)
		free(l->argv[i]);
}

static json_t *list_of(const struct words *w)
{
	json_t *list = json_array();

	for (size_t i = 0; i < w->n; i++)
		json_array_append_new(list, json_string(w->v[i]));
	return list;
}

static void expect_list(const char *name, const struct words *w, json_t *want)
{
	json_t *got = list_of(w), *none = json_array();

	if (!json_equal(got, want ? want : none))
		fail_msg("%s: %s", name, json_dumps(got, JSON_INDENT(1)));
	assert_true(!w->n || !w->v[w->n]);
	json_decref(got);
	json_decref(none);
}

static void recorded_lines_are_translated(void **state)
{
	struct translated t;
	struct err e;
	struct line l;
	json_t *one;
	size_t i;

	(void)state;
	json_array_foreach(cases, i, one)
	{
		const char *name = json_string_value(json_object_get(one, "name"));
		const char *error = json_string_value(json_object_get(one, "error"));
		int ret;

		line_of(&l, one);
		ret = translate(&t, l.argc, l.argv, &e);
		if (error) {
			assert_int_equal(ret, -EINVAL);
			assert_string_equal(e.text, error);
		} else {
			if (ret)
				fail_msg("%s: %s", name, e.text);
			expect_list(name, &t.args, json_object_get(one, "vmm"));
			expect_list(name, &t.notes, json_object_get(one, "notes"));
		}
		translated_free(&t);
		line_free(&l);
	}
}

static int compare_words(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Has @a the words of @b, in any order? */
static bool same_words(const struct words *a, const struct words *b)
{
	if (a->n != b->n)
		return false;
	qsort(a->v, a->n, sizeof(*a->v), compare_words);
	qsort(b->v, b->n, sizeof(*b->v), compare_words);
	for (size_t i = 0; i < a->n; i++)
		if (strcmp(a->v[i], b->v[i]) != 0)
			return false;
	return true;
}

static bool takes_a_value(const struct line *l, int i)
{
	return i + 1 < l->argc && l->argv[i + 1][0] != '-';
}

/* Writes the options of @l in reverse, or rotated by @by of them, to @to. */
static void reorder(const struct line *l, struct line *to, int by)
{
	int at[WORDS_MAX], n = 0;

	for (int i = 0; i < l->argc; i += takes_a_value(l, i) ? 2 : 1)
		at[n++] = i;
	to->argc = 0;
	for (int k = 0; k < n; k++) {
		int i = at[by < 0 ? n - 1 - k : (k + by) % n];

		to->argv[to->argc++] = l->argv[i];
		if (takes_a_value(l, i))
			to->argv[to->argc++] = l->argv[i + 1];
	}
	assert_int_equal(to->argc, l->argc);
}

static void the_order_does_not_matter(void **state)
{
	struct translated t, other;
	struct line l, reordered;
	struct err e;
	json_t *one;
	size_t i;

	(void)state;
	json_array_foreach(cases, i, one)
	{
		if (json_object_get(one, "error"))
			continue;
		line_of(&l, one);
		assert_int_equal(translate(&t, l.argc, l.argv, &e), 0);
		for (int by = -1; by < 30; by++) {
			reorder(&l, &reordered, by);
			if (translate(&other, reordered.argc, reordered.argv, &e))
				fail_msg("%d: %s", by, e.text);
			assert_true(same_words(&other.args, &t.args));
			translated_free(&other);
		}
		translated_free(&t);
		line_free(&l);
	}
}

/* A line that ends too early is refused, or has fewer options; it has a reason in any case. */
static void a_line_may_end_anywhere(void **state)
{
	struct translated t;
	unsigned refused = 0;
	struct line l;
	struct err e;
	json_t *one;
	size_t i;

	(void)state;
	json_array_foreach(cases, i, one)
	{
		line_of(&l, one);
		for (int n = l.argc - 1; n >= 0; n--) {
			free(l.argv[n]);
			l.argv[n] = NULL;
			e.text[0] = '\0';
			if (translate(&t, n, l.argv, &e)) {
				assert_true(e.text[0] != '\0');
				assert_null(strchr(e.text, '\n'));
				refused++;
			}
			translated_free(&t);
		}
	}
	assert_true(refused > 100);
}

/* Replaces @from in the first word that has it. */
static void line_replace(struct line *l, const char *from, const char *to)
{
	for (int k = 0; k < l->argc; k++) {
		char *at = strstr(l->argv[k], from), *word;

		if (!at)
			continue;
		assert_true(asprintf(&word, "%.*s%s%s", (int)(at - l->argv[k]), l->argv[k], to,
				     at + strlen(from)) >= 0);
		free(l->argv[k]);
		l->argv[k] = word;
		return;
	}
	fail_msg("no word has %s", from);
}

static void line_expect_refused(struct line *l, const char *what, const char *reason)
{
	struct translated t;
	struct err e = { "" };

	if (translate(&t, l->argc, l->argv, &e) != -EINVAL)
		fail_msg("%s is not refused (%s)", what, e.text);
	if (!strstr(e.text, reason))
		fail_msg("%s: %s", what, e.text);
	translated_free(&t);
	line_free(l);
}

/* Makes @l the line of case @i, with @to for @from in the first word that has it. */
static void line_with(struct line *l, size_t i, const char *from, const char *to)
{
	line_of(l, json_array_get(cases, i));
	line_replace(l, from, to);
}

/* Expects a line to be refused for @reason, or NULL: to be translated. */
static void expect_verdict(struct translated *t, struct line *l, const char *reason, struct err *e)
{
	int ret = translate(t, l->argc, l->argv, e);

	if (ret && !reason)
		fail_msg("refused: %s", e->text);
	if (!ret && reason)
		fail_msg("not refused: %s", reason);
	if (reason && !strstr(e->text, reason))
		fail_msg("%s, in place of %s", e->text, reason);
	translated_free(t);
}

/* With @to for @from, the line of case @i is refused for @reason; NULL: it is translated. */
static void expect_refused(size_t i, const char *from, const char *to, const char *reason)
{
	struct translated t;
	struct line l;
	struct err e;

	line_with(&l, i, from, to);
	expect_verdict(&t, &l, reason, &e);
	line_free(&l);
}

/* To vmm they would be two options. */
static void a_node_name_has_no_comma(void **state)
{
	struct line l;

	(void)state;
	line_of(&l, json_array_get(cases, 0));
	line_replace(&l, "\"node-name\":\"libvirt-1-format\"", "\"node-name\":\"n,ro\"");
	line_replace(&l, "drive=libvirt-1-format", "drive=n,,ro");
	line_expect_refused(&l, "n,ro", "-blockdev: node-name=n,ro is not supported; want one");
}

/* The option of the second one would take the place of the first one's. */
static void one_source_of_entropy_is_taken(void **state)
{
	struct line l;

	(void)state;
	line_of(&l, json_array_get(cases, 0));
	line_replace(&l, "virtio-balloon-pci,", "virtio-rng-pci,rng=other,");
	assert_true(l.argc + 2 <= (int)ARRAY_SIZE(l.argv));
	l.argv[l.argc++] = strdup("-object");
	l.argv[l.argc++] = strdup("rng-random,id=other,filename=/dev/random");
	line_expect_refused(&l, "a second one",
			    "driver=virtio-rng-pci is not supported; want one of them");
}

/* Who asks the monitor gets the same names. */
static void all_advertised_machines_are_understood(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * (size_t)MACHINE_NAMES; i++) {
		const struct machine_name *m = &machine_names[i / 2];
		char *argv[] = {
			strdup("-machine"),
			strdup(i % 2 ? m->alias : m->name),
			strdup("-kernel"),
			strdup("/k"),
			strdup("-chardev"),
			strdup("socket,id=mon0,fd=27,server=on,wait=off"),
			strdup("-mon"),
			strdup("chardev=mon0,id=monitor,mode=control"),
			NULL,
		};
		struct translated t;
		struct err e = { "" };

		if (translate(&t, (int)ARRAY_SIZE(argv) - 1, argv, &e))
			fail_msg("%s: %s", argv[1], e.text);
		translated_free(&t);
		for (char **word = argv; *word; word++)
			free(*word);
	}
}

static void what_umbra_has_not_is_named(void **state)
{
	static const char *const changes[][3] = {
		{ "usb=off", "usb=on",
		  "-machine pc-i440fx-umbra-1: usb=on is not supported; want off" },
		{ "pc-i440fx-umbra-1", "q35",
		  "bus=pci.0 is not supported; want pcie.0 or the id of a pcie-root-port" },
		{ "pc-i440fx-umbra-1", "microvm",
		  "type=microvm is not supported; want machine='pc' or machine='q35'" },
		{ "kvm", "tcg", "-accel: accel=tcg is not supported; want kvm" },
		{ "host,migratable=on", "qemu64",
		  "-cpu: model=qemu64 is not supported; want host" },
		{ "migratable=on", "svm=off", "-cpu host: svm=off is not supported" },
		{ "256", "size=262144k,slots=16,maxmem=4G", "slots=16 is not supported" },
		{ "256", "256Q", "-m: size=256Q is not supported" },
		{ "256", "99999999999999999999", "is not supported" },
		{ "256", "", "-m: size= is missing" },
		{ "256", "256,", "-m: a word without a name" },
		{ "2,sockets=2", "2,maxcpus=4,sockets=4", "maxcpus=4 is not supported" },
		{ "2,sockets", "x,sockets", "-smp: cpus=x is not supported; want a number" },
		{ "mem-lock=off", "mem-lock=on", "-overcommit: mem-lock=on is not supported" },
		{ "base=utc", "base=localtime", "base=localtime is not supported; want utc" },
		{ "strict=on", "menu=on", "menu=on is not supported" },
		{ "-no-shutdown", "-incoming", "-incoming: a guest cannot be restored yet" },
		{ "-no-shutdown", "-vnc", "-vnc: there is no graphics" },
		{ "-no-shutdown", "-brand-new", "-brand-new: Umbra has no such option" },
		{ "-no-shutdown", "word", "word: a word without an option" },
		{ "-no-shutdown", "-S", "-S is given twice" },
		{ "-usb", "-daemonize", "are for -machine none" },
		{ "fd=26", "fd=2", "fd=2 is not supported; want one above 2" },
		{ "fd=26", "fd=-1", "fd=-1 is not supported" },
		{ "fd=26", "fd=1024", "fd=1024 is not supported" },
		{ "fd=26", "path=/x", "-chardev: fd= is missing" },
		{ "mode=control", "mode=readline", "mode=readline is not supported; want control" },
		{ "chardev=charmonitor", "chardev=x", "chardev=x is not supported" },
		{ "virtio-blk-pci", "ide-hd", "driver=ide-hd is not supported; want disks on" },
		{ "virtio-blk-pci", "pcie-root-port",
		  "driver=pcie-root-port is not supported; want machine='q35'" },
		{ "virtio-blk-pci", "qemu-xhci", "no USB: <controller type='usb' model='none'/>" },
		{ "bootindex=1", "werror=stop", "-device virtio-blk-pci: werror=stop is not supp" },
		{ "addr=0x4", "addr=0x4.0x1", "addr=0x4.0x1 is not supported; want a slot" },
		{ "addr=0x4", "addr=0x20", "addr=0x20 is not supported" },
		{ "addr=0x4", "addr=0", "addr=0 is not supported" },
		{ "bus=pci.0,addr=0x4", "bus=pci.1,addr=0x4",
		  "bus=pci.1 is not supported; want pci.0" },
		{ "id=virtio-disk0", "id=a/b", "id=a/b is not supported" },
		{ "id=virtio-disk0", "id=a,id=b", "-device: \"id\" is given twice" },
		{ "drive=libvirt-1-format", "drive=x", "-blockdev node-name=x is missing" },
		{ "\"driver\":\"raw\"", "\"driver\":\"qcow2\"", "driver=qcow2 is not supported" },
		{ "pty,id", "file,path=/dev/fdset/3,append=on,id",
		  "-chardev file: path=/dev/fdset/3 is not supported; want the set of an -add-fd" },
		{ "pty,id", "pty,logfile=x,id", "logfile=x is not supported; want an absolute" },
		{ "pty,id", "pty,logfile=/x,logappend=off,id", "logappend=off is not supported" },
		{ "\"driver\":\"file\"", "\"driver\":\"nbd\"", "driver=nbd is not supported" },
		{ "\"discard\":\"unmap\"", "\"offset\":512", "offset=512 is not supported" },
		{ "\"discard\":\"unmap\"", "\"discard\":[]", "\"discard\" has no value that" },
		{ "/images/disk.img", "/images/disk,ro", "want one without a comma" },
		{ "/var/lib/libvirt/images/disk.img", "disk.img", "want an absolute path" },
		{ "\"file\":\"libvirt-1-storage\"", "\"file\":\"libvirt-1-format\"",
		  "too many nodes" },
		{ "\"node-name\":\"libvirt-1-s", "\"node-name\":{\"a\":{\"b\":1}},\"x\":\"",
		  "has no value that Umbra knows" },
		{ "user,id", "bridge,id",
		  "-netdev: type=bridge is not supported; want user or tap" },
		{ "netdev=hostnet0", "netdev=x", "netdev=x is not supported; want the id" },
		{ "index=0", "index=1", "-device isa-serial: index=1 is not supported; want 0" },
		{ "pty,id=charserial0", "spicevmc,id=charserial0",
		  "backend=spicevmc is not supported" },
		{ "bus=virtio-serial0.0", "bus=virtio-serial1.0",
		  "bus=virtio-serial1.0 is not supp" },
		{ "id=channel0", "id=a=b", "-device virtserialport: id=a=b is not supported" },
		{ "name=org.qemu.guest_agent.0", "name=a=b", "name=a=b is not supported" },
		{ "rng-random", "rng-egd", "qom-type=rng-egd is not supported; want rng-random" },
		{ "/dev/urandom", "/dev/sda", "filename=/dev/sda is not supported" },
		{ "rng=objrng0,", "", "-device: rng= is missing" },
		{ "isa-serial,chardev=charserial0,id=serial0,index=0", "virtio-balloon-pci",
		  "driver=virtio-balloon-pci is not supported; want one of them" },
		{ "isa-serial,chardev=charserial0", "isa-serial,chardev=charmonitor",
		  "chardev=charmonitor is not supported; want one that nothing else is on" },
		{ "fd=26,server=on,", "fd=26,",
		  "-chardev: want server=on (<source mode='bind'/>)" },
		{ "server=on,wait=off", "server=on", "-chardev: want wait=off" },
		{ "server=on,wait=off", "server=off,wait=off", "server=off is not supported" },
		{ "bootindex=1", "bootindex=x", "bootindex=x is not supported" },
		{ "bootindex=1", "bootindex=4294967296", "want a number up to 4294967295" },
		{ "virtio-rng-pci,rng=objrng0", "isa-serial,chardev=charserial0",
		  "want one console" },
		{ "{\"id\":\"audio1\",\"driver\":\"none\"}",
		  "{\"id\":\"audio1\",\"driver\":\"pa\"}",
		  "driver=pa is not supported; want none" },
		{ "{\"id\":\"audio1\"", "{\"id\":", "-audiodev: not JSON" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		expect_refused(0, changes[i][0], changes[i][1], changes[i][2]);
}

/* One place behind each root port; what else there is of PCI Express is named. */
static void places_of_q35_are_checked(void **state)
{
	static const char *const changes[][3] = {
		{ "bus=pci.3,addr=0x0", "bus=pci.3,addr=0x1",
		  "addr=0x1 is not supported; want 0x0, the one place behind a pcie-root-port" },
		{ "bus=pci.3,addr=0x0", "bus=pci.3,addr=0x0.0x1", "addr=0x0.0x1 is not supported" },
		{ "bus=pci.3,addr=0x0", "bus=pci.9,addr=0x0",
		  "bus=pci.9 is not supported; want pcie.0 or the id of a pcie-root-port" },
		{ "bus=pci.3,addr=0x0", "bus=virtio-disk0,addr=0x0",
		  "bus=virtio-disk0 is not supp" },
		{ "bus=pci.3,addr=0x0", "bus=pcie.0,addr=0x0", "addr=0x0 is not supported" },
		{ "bus=pcie.0,multifunction=on", "bus=pci.2,multifunction=on",
		  "-device pcie-root-port: bus=pci.2 is not supported; want pcie.0" },
		{ "multifunction=on", "multifunction=x", "multifunction=x is not supported" },
		{ "multifunction=on", "io-reserve=4k", "io-reserve=4k is not supported" },
		{ "multifunction=on,addr=0x1", "multifunction=on", "addr= is not supported" },
		{ "multifunction=on,addr=0x1", "addr=0x1.0x8", "addr=0x1.0x8 is not supported" },
		{ "multifunction=on,addr=0x1", "addr=0x1.", "addr=0x1. is not supported" },
		{ "multifunction=on,addr=0x1", "addr=0", "addr=0 is not supported" },
		{ "port=8", "port=256", "port=256 is not supported; want a number up to 255" },
		{ "chassis=1", "chassis=x", "chassis=x is not supported" },
		{ "id=pci.1,", "", "-device: id= is missing" },
		{ "id=pci.1,", "id=a b,", "id=a b is not supported" },
		{ "pcie-root-port", "pcie-to-pci-bridge",
		  "want controllers of model='pcie-root-port'" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		expect_refused(Q35, changes[i][0], changes[i][1], changes[i][2]);
}

static void own_options_are_of_a_list(void **state)
{
	static const char *const changes[][3] = {
		{ "policy=/etc", "polcy=/etc",
		  "-umbra: unknown key polcy; did you mean \"policy\"?" },
		{ "policy=/etc/umbra/web.policy", "policy",
		  "-umbra: policy=VALUE needs its value" },
		{ "policy=/etc", "kernel=/etc", "-umbra: unknown key kernel" },
		{ "policy=/etc", "=/etc", "-umbra: unknown key " },
		{ "policy=/etc/umbra/web.policy", "confine=on",
		  "-umbra: confine=on is not supported; want confine=managed or off" },
		{ "no-kaslr", "no-kasl", "-umbra: unknown key no-kasl" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(changes); i++)
		expect_refused(1, changes[i][0], changes[i][1], changes[i][2]);
	expect_refused(1, "write-cache=on", "write-cache=off", "write-cache=off is not supported");
	expect_refused(1, "PIIX4_PM.disable_s3=1", "PIIX4_PM.disable_s3=0", "disable_s3=0 is not");
	expect_refused(1, "serial=ROOT-1", "serial=a,,ro", "want one without a comma");
	expect_refused(1, "vhostfd=28", "queues=4", "-netdev tap: queues=4 is not supported");
	expect_refused(3, "kvm:tcg", "tcg", "-machine none: accel=tcg is not supported; want kvm");
	expect_refused(3, "unix:", "tcp:", "want unix:PATH");
	expect_refused(3, "-daemonize", "-usb", "want -qmp, -pidfile and -daemonize with it");
	expect_refused(3, "wait=off", "wait=on", "wait=on is not supported; want off");
}

/* Translates a line, behind which NULL stands, and returns its words with blanks between. */
static char *line_to_text(const char *const *words)
{
	struct translated t;
	struct line l = { .argc = 0 };
	struct err e;
	char *text = calloc(1, 4096);
	size_t len = 0;

	for (; words[l.argc]; l.argc++)
		l.argv[l.argc] = strdup(words[l.argc]);
	if (translate(&t, l.argc, l.argv, &e))
		fail_msg("%s", e.text);
	for (size_t i = 0; i < t.args.n; i++) {
		len += (size_t)snprintf(text + len, 4096 - len, "%s%s", i ? " " : "", t.args.v[i]);
		assert_true(len < 4096);
	}
	translated_free(&t);
	line_free(&l);
	return text;
}

#define MONITOR "-chardev", "socket,id=m,fd=3,server=on,wait=off", "-mon", "chardev=m,mode=control"

/* Refuses the line of these words, for a reason that has @reason. */
static void expect_words_refused(const char *const *words, const char *reason)
{
	struct translated t;
	struct err e = { "" };
	char *argv[40];
	int n = 0;

	for (; words[n]; n++)
		argv[n] = strdup(words[n]);
	if (translate(&t, n, argv, &e) != -EINVAL || !strstr(e.text, reason))
		fail_msg("want \"%s\": %s", reason, e.text);
	translated_free(&t);
	while (n)
		free(argv[--n]);
}

/* An end is that of one device: two that read one tap would each get some of its frames. */
static void each_end_has_one_device(void **state)
{
	static const char *const unused[] = { "-machine", "pc",	     MONITOR, "-chardev",
					      "pty,id=c", "-kernel", "/k",    NULL };
	static const char *const shared[] = { "-machine",
					      "pc",
					      MONITOR,
					      "-netdev",
					      "user,id=n",
					      "-device",
					      "virtio-net-pci,netdev=n",
					      "-device",
					      "virtio-net-pci,netdev=n",
					      "-kernel",
					      "/k",
					      NULL };
	static const char *const disk[] = { "-machine",
					    "pc",
					    MONITOR,
					    "-blockdev",
					    "driver=file,filename=/1,node-name=n1",
					    "-device",
					    "virtio-blk-pci,drive=n1",
					    "-device",
					    "virtio-blk-pci,drive=n1",
					    "-kernel",
					    "/k",
					    NULL };

	(void)state;
	expect_words_refused(unused, "-chardev: no device is on c");
	expect_words_refused(shared, "netdev=n is not supported; want one that nothing else is on");
	expect_words_refused(disk, "-blockdev node-name=n1 has something on it already");
}

/* A network card that would be the first to boot from is none. */
static void a_network_boots_nothing(void **state)
{
	static const char *const orders[] = { "0", "1", "0x0", "0x1" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(orders); i++) {
		char device[64];
		const char *words[] = { "-machine",  "pc",	MONITOR, "-netdev",
					"user,id=n", "-device", device,	 NULL };

		snprintf(device, sizeof(device), "virtio-net-pci,netdev=n,bootindex=%s", orders[i]);
		expect_words_refused(words, "want a disk or a <kernel> to boot first");
	}
}

/* A comma of a name is written as two; the disk with the least bootindex is the first one. */
static void names_and_disks_are_understood(void **state)
{
	static const char *const escaped[] = { "-machine",
					       "pc",
					       MONITOR,
					       "-chardev",
					       "file,id=c,path=/x,append=on",
					       "-device",
					       "virtio-serial-pci,id=s",
					       "-device",
					       "virtconsole,bus=s.0,chardev=c",
					       "-name",
					       "guest=a,,b",
					       "-kernel",
					       "/k",
					       "-smbios",
					       "type=1,product=a,,b",
					       NULL };
	static const char *const disks[] = {
		"-machine",
		"pc",
		MONITOR,
		"-blockdev",
		"{\"driver\":\"file\",\"filename\":\"/1\",\"node-name\":\"n1\"}",
		"-blockdev",
		"driver=file,filename=/2,node-name=n2,read-only=on",
		"-device",
		"virtio-blk-pci,drive=n1,bootindex=0x7",
		"-device",
		"virtio-blk-pci,drive=n2,bootindex=2",
		NULL
	};
	static const char *const sizes[][2] = {
		{ "1", "1024K" },
		{ "2G", "2097152K" },
		{ "size=3t", "3221225472K" },
		{ "5k", "5K" },
	};
	char *text = line_to_text(escaped);

	(void)state;
	assert_string_equal(text, "vmm run --confine managed --no-control --kernel /k --control "
				  "fd=3 --console file=/x,id=c --rng off "
				  "--smbios type=1,product=a,,b");
	free(text);
	text = line_to_text(disks);
	assert_string_equal(text, "vmm run --confine managed --no-control --firmware seabios "
				  "--control fd=3 --disk /2,ro,node=n2 --disk /1,node=n1 --rng off "
				  "--console attach");
	free(text);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		const char *const memory[] = { "-machine", "pc", MONITOR, "-m", sizes[i][0], NULL };
		char want[32];

		text = line_to_text(memory);
		snprintf(want, sizeof(want), "--memory %s ", sizes[i][1]);
		if (!strstr(text, want))
			fail_msg("%s", text);
		free(text);
	}
}

/* Files that libvirt has opened come as sets of descriptors. */
static void a_file_may_be_a_set_of_descriptors(void **state)
{
	static const char *const words[] = {
		"-machine",
		"pc",
		MONITOR,
		"-kernel",
		"/k",
		"-add-fd",
		"set=1,fd=29,opaque=serial0-log",
		"-chardev",
		"file,id=charserial0,path=/dev/fdset/0,append=on,logfile=/dev/fdset/1,logappend=on",
		"-device",
		"isa-serial,chardev=charserial0,id=serial0,index=0",
		"-add-fd",
		"set=0,fd=28",
		"-device",
		"virtio-serial-pci,id=s",
		"-chardev",
		"socket,id=c,fd=7,server=on,wait=off,logfile=/var/log/x,logappend=on",
		"-device",
		"virtserialport,bus=s.0,nr=1,chardev=c,id=channel0,name=x",
		NULL
	};
	char *text = line_to_text(words);

	(void)state;
	assert_string_equal(text, "vmm run --confine managed --no-control --kernel /k --control "
				  "fd=3 --console file-fd=28,log-fd=29,id=charserial0 --port "
				  "x=socket-fd=7,log=/var/log/x,id=c,device=channel0 --rng off");
	free(text);
}

/* What libvirts after 9.0 give, for elements of the XML that Umbra has not, or has by itself. */
static void options_of_newer_libvirts_are_named_or_understood(void **state)
{
	static const char *const refused[][3] = {
		{ "\"driver\":\"raw\"", "\"driver\":\"qcow2\",\"discard-no-unref\":true",
		  "-blockdev: driver=qcow2 is not supported; want a raw image (qemu-img convert -O "
		  "raw makes one) or a block device, with <driver type='raw'/>" },
		{ "\"driver\":\"raw\"", "\"driver\":\"raw\",\"discard-no-unref\":true",
		  "-blockdev raw: discard-no-unref=on is not supported" },
		{ "user,id=hostnet0",
		  "{\"type\":\"stream\",\"addr\":{\"type\":\"unix\",\"path\":\"/x\"},\"server\":false,"
		  "\"reconnect\":5,\"id\":\"hostnet0\"}",
		  "-netdev: type=stream is not supported; want user or tap" },
		{ "user,id=hostnet0", "stream,id=hostnet0,addr.type=unix,addr.path=/x",
		  "-netdev: type=stream is not supported; want user or tap" },
		{ "user,id=hostnet0", "vhost-user,chardev=x,id=hostnet0",
		  "-netdev: type=vhost-user is not supported" },
		{ "virtio-net-pci,", "virtio-net-pci,host_mtu=1500,",
		  "-device virtio-net-pci: host_mtu=1500 is not supported" },
		{ "virtio-net-pci,", "virtio-net-pci,mq=on,vectors=10,",
		  "-device virtio-net-pci: mq=on is not supported" },
		{ "rng-random,id=objrng0", "iothread,id=objrng0",
		  "qom-type=iothread is not supported" },
		{ "-msg", "-object", "-object: no device is on it" },
		{ "virtio-blk-pci,", "virtio-blk-pci,iothread=iothread1,",
		  "-device virtio-blk-pci: iothread=iothread1 is not supported" },
		{ "virtio-blk-pci,", "virtio-blk-pci,queue-size=256,",
		  "-device virtio-blk-pci: queue-size=256 is not supported" },
		{ "host,migratable=on", "host,migratable=on,host-cache-info=on,l3-cache=off",
		  "-cpu host: host-cache-info=on is not supported" },
		{ "usb=off", "usb=off,memory-backend=pc.ram",
		  "-machine pc-i440fx-umbra-1: memory-backend=pc.ram is not supported" },
		{ "usb=off", "usb=off,hmat=on", "-machine pc-i440fx-umbra-1: hmat=on is not" },
		{ "usb=off", "usb=off,hpet=on",
		  "-machine pc-i440fx-umbra-1: hpet=on is not supported; want off" },
		{ "kvm", "kvm,dirty-ring-size=4096",
		  "-accel kvm: dirty-ring-size=4096 is not supported" },
		{ "-no-shutdown", "-run-with", "-run-with: -boot=on is not supported" },
		{ "-no-shutdown", "-compat", "-compat: Umbra has no such option" },
	};
	static const char *const accepted[][2] = {
		{ "usb=off", "usb=off,hpet=off,acpi=on" },
		{ "usb=off", "usb=off,acpi=off" },
		{ "user,id=hostnet0", "{\"type\":\"user\",\"id\":\"hostnet0\"}" },
		{ "rng-random,id=objrng0,filename=/dev/urandom",
		  "{\"qom-type\":\"rng-random\",\"id\":\"objrng0\",\"filename\":\"/dev/urandom\"}" },
		{ "isa-serial,chardev=charserial0,id=serial0,index=0",
		  "{\"driver\":\"isa-serial\",\"chardev\":\"charserial0\",\"id\":\"serial0\","
		  "\"index\":0}" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(refused); i++)
		expect_refused(0, refused[i][0], refused[i][1], refused[i][2]);
	for (size_t i = 0; i < ARRAY_SIZE(accepted); i++)
		expect_refused(0, accepted[i][0], accepted[i][1], NULL);
}

/* Options that stand somewhere in a line, with what is said of them; NULL: nothing. */
static void an_option_more_is_named_wherever_it_stands(void **state)
{
	static const char *const more[][3] = {
		{ "-run-with", "async-teardown=on", NULL },
		{ "-run-with", "user=nobody", "-run-with: user=nobody is not supported" },
		{ "-compat", "deprecated-input=reject",
		  "-compat deprecated-input=reject: Umbra has no such option" },
		{ "-add-fd", "set=7,fd=40,opaque=x", "-add-fd: no device is on 7" },
		{ "-object", "iothread,id=iothread1",
		  "-object: qom-type=iothread is not supported; want no <iothreads>" },
		{ "-object", "{\"qom-type\":\"thread-context\",\"id\":\"tc\"}",
		  "-object: qom-type=thread-context is not supported" },
		{ "-device", "virtio-net-pci,hostmtu=9000,netdev=none", "netdev=none is not supp" },
		{ "-device", "{\"driver\":\"virtio-mem-pci\"}",
		  "-device: driver=virtio-mem-pci is not supported" },
		{ "-device",
		  "{\"driver\":\"virtio-blk-pci\",\"iothread-vq-mapping\":[{\"iothread\":\"i1\"}]}",
		  "-device: \"iothread-vq-mapping\" has no value that Umbra knows" },
		{ "-numa", "node,nodeid=0", "-numa node,nodeid=0: Umbra has no such option" },
	};
	struct translated t;
	struct line l;
	struct err e;
	json_t *one;
	size_t i;

	(void)state;
	json_array_foreach(cases, i, one)
	{
		if (json_object_get(one, "error") || i == PROBE)
			continue;
		for (size_t k = 0; k < ARRAY_SIZE(more); k++) {
			line_of(&l, one);
			for (int at = 0; at <= l.argc; at += takes_a_value(&l, at) ? 2 : 1) {
				struct line longer = { .argc = l.argc + 2 };

				memcpy(longer.argv, l.argv, (size_t)at * sizeof(*l.argv));
				longer.argv[at] = (char *)(uintptr_t)more[k][0];
				longer.argv[at + 1] = (char *)(uintptr_t)more[k][1];
				memcpy(longer.argv + at + 2, l.argv + at,
				       (size_t)(l.argc - at) * sizeof(*l.argv));
				expect_verdict(&t, &longer, more[k][2], &e);
			}
			line_free(&l);
		}
	}
}

/* Cuts word @k at each of its bytes; returns how often the line is refused, by one line each. */
static unsigned cut_word(const struct line *l, int k)
{
	struct line cut = *l;
	struct translated t;
	unsigned refused = 0;

	for (size_t len = 0; len < strlen(l->argv[k]); len++) {
		struct err e = { "" };
		char *word = strndup(l->argv[k], len);

		assert_non_null(word);
		cut.argv[k] = word;
		if (translate(&t, cut.argc, cut.argv, &e)) {
			assert_true(e.text[0] && !strchr(e.text, '\n'));
			refused++;
		}
		translated_free(&t);
		free(word);
	}
	return refused;
}

static void a_word_may_end_anywhere(void **state)
{
	unsigned refused = 0;
	struct line l;
	json_t *one;
	size_t i;

	(void)state;
	json_array_foreach(cases, i, one)
	{
		line_of(&l, one);
		for (int k = 0; k < l.argc; k++)
			refused += cut_word(&l, k);
		line_free(&l);
	}
	assert_true(refused > 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(recorded_lines_are_translated),
		cmocka_unit_test(the_order_does_not_matter),
		cmocka_unit_test(a_line_may_end_anywhere),
		cmocka_unit_test(all_advertised_machines_are_understood),
		cmocka_unit_test(what_umbra_has_not_is_named),
		cmocka_unit_test(a_node_name_has_no_comma),
		cmocka_unit_test(one_source_of_entropy_is_taken),
		cmocka_unit_test(places_of_q35_are_checked),
		cmocka_unit_test(own_options_are_of_a_list),
		cmocka_unit_test(names_and_disks_are_understood),
		cmocka_unit_test(each_end_has_one_device),
		cmocka_unit_test(a_network_boots_nothing),
		cmocka_unit_test(a_file_may_be_a_set_of_descriptors),
		cmocka_unit_test(options_of_newer_libvirts_are_named_or_understood),
		cmocka_unit_test(an_option_more_is_named_wherever_it_stands),
		cmocka_unit_test(a_word_may_end_anywhere),
	};

	return cmocka_run_group_tests(tests, load_cases, drop_cases);
}
