// SPDX-License-Identifier: GPL-2.0-only
/* Translates what is about the machine and its process: name, memory, CPUs, Umbra's own options. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/machine_names.h"
#include "base/name_chars.h"
#include "base/suggest.h"
#include "tools/umbra-qemu/translate_int.h"

#define GUEST_NAME_MAX 60 /* as vmm/control/socket_dir.h has it */

static const struct machine_kind machines[MACHINE_NAMES] = {
	[MACHINE_NAME_PC] = { "pci.0", false, "pci.0" },
	[MACHINE_NAME_Q35] = { "pcie.0", true, "pcie.0 or the id of a pcie-root-port" },
};

static const struct machine_kind *find_machine(const char *name)
{
	for (size_t i = 0; i < MACHINE_NAMES; i++)
		if (!strcmp(name, machine_names[i].name) || !strcmp(name, machine_names[i].alias))
			return &machines[i];
	return NULL;
}

/* Is KVM among "kvm:tcg"? */
static bool has_kvm(const char *accel)
{
	size_t n;

	for (;; accel += n + 1) {
		n = strcspn(accel, ":");
		if (n == 3 && !memcmp(accel, "kvm", 3))
			return true;
		if (!accel[n])
			return false;
	}
}

/* Checks properties of a machine: those that libvirt gives, with what holds for Umbra's. */
static int accept_machine(struct translation *t, struct option_values *v, struct err *e)
{
	static const char *const off[] = { "usb",  "dump-guest-core", "vmport",	  "smm",
					   "hpet", "nvdimm",	      "graphics", "mem-merge" };
	const char *accel = values_take(v, "accel");
	int ret = 0;

	if (accel && !has_kvm(accel))
		return values_refuse(v, "accel", accel, "kvm", e);
	for (size_t i = 0; i < ARRAY_SIZE(off) && !ret; i++)
		ret = values_accept(v, off[i], "off", e);
	if (!ret)
		ret = values_accept(v, "acpi", "on|off", e);
	if (!ret && values_look(v, "acpi") && !strcmp(values_look(v, "acpi"), "off"))
		ret = words_add(&t->out->notes, e,
				"-machine acpi=off: the guest has ACPI all the "
				"same (<features><acpi/></features>)");
	return ret ? ret : values_end(v, e);
}

int take_machine(struct translation *t, const char *option, const char *value, struct err *e)
{
	struct option_values v;
	const char *type;
	int ret = values_parse(&v, option, "type", value, e);

	if (!ret)
		ret = values_need(&v, "type", &type, e);
	if (!ret) {
		t->probe = !strcmp(type, "none");
		t->machine = find_machine(type);
		if (!t->probe && !t->machine)
			ret = values_refuse(&v, "type", type, "machine='pc' or machine='q35'", e);
	}
	if (!ret)
		ret = accept_machine(t, &v, e);
	values_free(&v);
	return ret;
}

/* Reads a size, of MiB if it has no unit. */
static int parse_size(const char *text, u64 *kib)
{
	static const char units[] = "kmgt";
	const char *unit;
	unsigned shift = 10;
	char *end;
	u64 n;

	errno = 0;
	n = strtoull(text, &end, 10);
	if (*text < '0' || *text > '9' || errno)
		return -EINVAL;
	if (*end) {
		unit = strchr(units, *end | 0x20);
		if (!unit || end[1])
			return -EINVAL;
		shift = (unsigned)(unit - units) * 10;
	}
	if (n > (UINT64_MAX >> 10) >> shift)
		return -EINVAL;
	*kib = n << shift;
	return 0;
}

int take_memory(struct translation *t, const char *option, const char *value, struct err *e)
{
	struct option_values v;
	const char *size;
	u64 kib = 0;
	int ret = values_parse(&v, option, "size", value, e);

	if (!ret)
		ret = values_need(&v, "size", &size, e);
	if (!ret && parse_size(size, &kib))
		ret = values_refuse(&v, "size", size, "a number of MiB, or one with k, M, G or T",
				    e);
	if (!ret)
		ret = values_end(&v, e);
	values_free(&v);
	if (!ret && asprintf(&t->memory, "%lluK", (unsigned long long)kib) < 0) {
		t->memory = NULL;
		ret = err_set(e, -ENOMEM, "out of memory");
	}
	return ret;
}

/*
 * Takes the number of CPUs. How they lie in sockets is vmm's to say, but a number that is not that
 * of all CPUs would be one of CPUs to be plugged in later.
 */
int take_cpus(struct translation *t, const char *option, const char *value, struct err *e)
{
	static const char *const parts[] = { "sockets", "dies", "clusters", "cores", "threads" };
	struct option_values v;
	u64 max = 0, n;
	int ret = values_parse(&v, option, "cpus", value, e);

	if (!ret)
		ret = values_number(&v, "cpus", 4096, &t->cpus, e);
	if (!ret && !t->cpus)
		ret = err_set(e, -EINVAL, "%s: the number of CPUs is missing", option);
	if (!ret)
		ret = values_number(&v, "maxcpus", 4096, &max, e);
	if (!ret && max && max != t->cpus)
		ret = values_refuse(&v, "maxcpus", values_look(&v, "maxcpus"),
				    "as many as there are CPUs: none can be plugged in", e);
	for (size_t i = 0; i < ARRAY_SIZE(parts) && !ret; i++)
		ret = values_number(&v, parts[i], 4096, &n, e);
	if (!ret)
		ret = values_end(&v, e);
	values_free(&v);
	return ret;
}

int take_cpu_model(struct translation *t, const char *option, const char *value, struct err *e)
{
	struct option_values v;
	int ret = values_parse(&v, option, "model", value, e);

	(void)t;
	if (!ret)
		ret = values_accept(&v, "model", "host", e);
	if (!ret)
		ret = values_accept(&v, "migratable", "on|off", e);
	if (!ret)
		ret = values_end(&v, e);
	values_free(&v);
	return ret;
}

/* Takes the domain's name where it can be that of a guest; vmm has narrower rules than libvirt. */
int take_name(struct translation *t, const char *option, const char *value, struct err *e)
{
	struct option_values v;
	const char *name;
	int ret = values_parse(&v, option, "guest", value, e);

	if (!ret)
		ret = values_need(&v, "guest", &name, e);
	if (!ret)
		ret = values_accept(&v, "debug-threads", "on|off", e);
	if (!ret)
		ret = values_end(&v, e);
	if (!ret && *name != '.' && name_chars_only(name, NAME_FILE, GUEST_NAME_MAX)) {
		t->name = strdup(name);
		if (!t->name)
			ret = err_set(e, -ENOMEM, "out of memory");
	} else if (!ret) {
		ret = words_add(&t->out->notes, e, "the domain's name is none of a guest of vmm");
	}
	values_free(&v);
	return ret;
}

/* Accepts what is so without being said: there is no sleep, and no tick is made up for. */
int take_global(struct translation *t, const char *option, const char *value, struct err *e)
{
	static const char *const accepted[] = { "PIIX4_PM.disable_s3=1", "PIIX4_PM.disable_s4=1",
						"ICH9-LPC.disable_s3=1", "ICH9-LPC.disable_s4=1",
						"kvm-pit.lost_tick_policy=delay" };

	(void)t;
	for (size_t i = 0; i < ARRAY_SIZE(accepted); i++)
		if (!strcmp(value, accepted[i]))
			return 0;
	return err_set(e, -EINVAL, "%s: %.200s is not supported", option, value);
}

/* Takes unix:PATH,server=on,wait=off, where a probe is answered. */
int take_qmp(struct translation *t, const char *option, const char *value, struct err *e)
{
	struct option_values v;
	const char *address;
	int ret = values_parse(&v, option, "address", value, e);

	if (!ret)
		ret = values_need(&v, "address", &address, e);
	if (!ret && (strncmp(address, "unix:", 5) != 0 || !address[5]))
		ret = values_refuse(&v, "address", address, "unix:PATH", e);
	if (!ret)
		ret = values_accept(&v, "server", "on", e);
	if (!ret)
		ret = values_accept(&v, "wait", "off", e);
	if (!ret)
		ret = values_end(&v, e);
	if (!ret && !(t->qmp = strdup(address + 5)))
		ret = err_set(e, -ENOMEM, "out of memory");
	values_free(&v);
	return ret;
}

/* Hands on what the tables are to say, in QEMU's form, which vmm has taken over. */
int take_smbios(struct translation *t, const char *option, const char *value, struct err *e)
{
	(void)option;
	return words_pair(&t->extra, "--smbios", e, "%s", value);
}

/* --- Umbra's own options -------------------------------------------------------------------- */

/* The options of vmm run that a domain's XML may give, each as KEY=VALUE, or KEY alone. */
static const struct own_option {
	const char *name;
	bool has_value;
} own[] = {
	{ "confine", true },	 { "driver", true },	   { "driver-wait", true },
	{ "firmware", true },	 { "firmware-log", true }, { "no-cache", false },
	{ "no-control", false }, { "no-kaslr", false },	   { "policy", true },
	{ "record", true },	 { "record-size", true },
};

static const struct own_option *find_own(const char *name, size_t len)
{
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		if (!strncmp(own[i].name, name, len) && !own[i].name[len])
			return &own[i];
	return NULL;
}

static int refuse_own(const char *option, const char *value, struct err *e)
{
	const char *names[ARRAY_SIZE(own)], *near;
	char word[64], hint[SUGGEST_HINT];

	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		names[i] = own[i].name;
	snprintf(word, sizeof(word), "%.*s", (int)strcspn(value, "="), value);
	near = suggest_of(word, names, ARRAY_SIZE(own));
	return err_set(e, -EINVAL, "%s: unknown key %.60s%s", option, word,
		       near ? suggest_hint(hint, near) : "; man umbra-qemu lists them");
}

int take_umbra(struct translation *t, const char *option, const char *value, struct err *e)
{
	size_t len = strcspn(value, "=");
	const struct own_option *o = find_own(value, len);

	if (!o)
		return refuse_own(option, value, e);
	if (o->has_value && !value[len])
		return err_set(e, -EINVAL, "%s: %s=VALUE needs its value", option, o->name);
	/* With another process outside, libvirt would take that one for the guest's. */
	if (!strcmp(o->name, "confine") && strcmp(value + len, "=managed") != 0 &&
	    strcmp(value + len, "=off") != 0)
		return err_set(e, -EINVAL,
			       "%s: %.60s is not supported; want confine=managed or off", option,
			       value);
	/* In one word, so that no value is taken for an option. */
	return words_add(&t->extra, e, "--%s", value);
}
