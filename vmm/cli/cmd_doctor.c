// SPDX-License-Identifier: GPL-2.0-only
/* vmm doctor: tests what this host's KVM and kernel offer to vmm. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_code.h"
#include "base/install_path.h"
#include "vmm/boot/probe.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/cli/doctor_libvirt.h"
#include "vmm/confine/confine.h"
#include "vmm/machine/kvm.h"

static const char usage[] =
	"Usage: vmm doctor [--libvirt] [--json]\n"
	"Says whether this machine's /dev/kvm can run stock kernels, and if not, why. Capability bits\n"
	"do not tell: small guests execute what every kernel executes and measure its speed.\n"
	"Then, which layers of its confinement (vmm run --confine) vmm would have to do without.\n"
	"\n"
	"Exit code: 0 it can; 3 it cannot, the lab is needed; 1 there is no usable KVM at all.\n"
	"\n"
	"--libvirt says instead what this host lacks for domains of libvirt whose emulator is\n"
	"umbra-qemu: 0 nothing, 1 what is printed, with what to do. For domains of qemu:///system.\n"
	"\n"
	"Examples:\n"
	"  vmm doctor\n"
	"  vmm doctor --json | jq .direct\n"
	"  vmm doctor --libvirt\n";

struct finding {
	bool direct;
	char reason[400];
	struct probe_result probe;
};

static void finding_add_reason(struct finding *f, const char *text)
{
	size_t len = strlen(f->reason);

	f->direct = false;
	snprintf(f->reason + len, sizeof(f->reason) - len, "%s%s", len ? "; " : "", text);
}

static int examine_kvm(struct finding *f)
{
	struct err e = { "" };
	int kvm = kvm_open(&e), ret;
	char reasons[300];

	f->direct = true;
	if (kvm < 0) {
		finding_add_reason(f, e.text);
		return EXIT_CODE_ERROR;
	}
	ret = kvm_check(kvm, &e);
	close(kvm);
	if (!ret)
		ret = probe_kvm(&f->probe, &e);
	if (ret) {
		finding_add_reason(f, e.text);
		return EXIT_CODE_LAB;
	}
	probe_reasons(&f->probe, reasons, sizeof(reasons));
	if (*reasons)
		finding_add_reason(f, reasons);
	return f->direct ? 0 : EXIT_CODE_LAB;
}

/* Prints the layers of confine.h that this user on this host would go without. */
static void print_confinement(void)
{
	json_t *probe = confine_probe(), *missing = json_object_get(probe, "missing"), *why;
	const char *layer;

	if (!probe)
		puts("confinement: could not be tried");
	else if (!json_object_size(missing))
		puts("confinement: all layers");
	json_object_foreach(missing, layer, why)
		printf("confinement: without \"%s\": %s\n", layer, json_string_value(why));
	json_decref(probe);
}

static int finding_print_json(const struct finding *f, int code)
{
	json_t *o = json_pack("{s:b, s:s, s:b, s:s, s:b, s:b, s:b, s:f}", "direct", f->direct,
			      "verdict",
			      code == 0		      ? "direct"
			      : code == EXIT_CODE_LAB ? "lab"
						      : "none",
			      "kvm", code != EXIT_CODE_ERROR, "reason", f->reason, "cmpxchg16b",
			      f->probe.cmpxchg16b, "xrstor", f->probe.xrstor, "int3", f->probe.int3,
			      "mips", f->probe.mips);
	json_t *confinement = confine_probe();
	int ret;

	if (o && confinement)
		json_object_set_new(o, "confinement", confinement);
	ret = o ? json_dumpf(o, stdout, JSON_INDENT(2)) : -1;

	json_decref(o);
	putchar('\n');
	return ret;
}

static int examine_libvirt(bool as_json)
{
	json_t *list = doctor_libvirt(""), *one;
	int code = 0;
	size_t i;

	if (!list) {
		cli_note("out of memory");
		return EXIT_CODE_ERROR;
	}
	json_array_foreach(list, i, one)
	{
		const char *note = json_string_value(json_object_get(one, "note"));
		bool ok = json_is_true(json_object_get(one, "ok"));

		if (!ok)
			code = EXIT_CODE_ERROR;
		if (as_json)
			continue;
		printf("%s: %s%s%s\n", cli_json_text(one, "what"),
		       ok ? "ready" : cli_json_text(one, "why"), note ? "; " : "",
		       note ? note : "");
		if (!ok)
			printf("    %s\n", cli_json_text(one, "do"));
	}
	if (as_json)
		cli_print_json(list);
	json_decref(list);
	return code;
}

int cmd_doctor(int argc, char **argv)
{
	struct finding f = { .reason = "" };
	bool json = false, libvirt = false;
	const struct cli_option options[] = {
		{ .name = "json", .flag = &json },
		{ .name = "libvirt", .flag = &libvirt },
	};
	const struct cli_syntax syntax = {
		.command = "doctor", .options = options, .n = ARRAY_SIZE(options), .help = usage
	};
	int code, first = cli_command_line(&syntax, argc, argv, &code);

	if (!first)
		return code;
	if (first < argc)
		return cli_unexpected(&syntax, argv[first]);
	if (libvirt)
		return examine_libvirt(json);
	code = examine_kvm(&f);
	if (json)
		return finding_print_json(&f, code) ? EXIT_CODE_ERROR : code;
	if (code == 0)
		printf("direct: this /dev/kvm runs stock kernels (kernel mode at %.0f million "
		       "instructions/s)\n",
		       f.probe.mips);
	else if (code == EXIT_CODE_LAB)
		printf("lab needed: this /dev/kvm does not run stock kernels: %s; use %s\n",
		       f.reason,
		       install_is_source_tree() ? "tools/lab" : "the lab of Umbra's source tree");
	else
		printf("no KVM: %s\n", f.reason);
	print_confinement();
	return code;
}
