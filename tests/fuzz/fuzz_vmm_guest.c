// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a guest kernel that lies (lying_kernel.h) by its own page tables, its list of modules,
 * and the tables that hang on one: every walk ends, and what is returned is within its bounds.
 */
#include "tests/unit/vmm/lying_kernel.h"
#include "vmm/machine/guest_read.h"
#include "vmm/session/guest_module.h"
#include "vmm/session/kernel_patches.h"
#include "vmm/session/real_modules.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lying_kernel guest;
static const struct policy_session *rules;
static bool there;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char text[] = "sessions = { a = { permit = [ \"*\" ]; }; };";
	static struct policy *p; /* its sessions are in use to the end */

	(void)argc;
	(void)argv;
	there = lying_kernel_open(&guest);
	if (policy_parse(&p, "p", text, NULL))
		abort();
	rules = policy_session(p, "a");
	return 0;
}

/*
 * Checks that guest_read() of @va gives the bytes at the address of guest_translate(), and none
 * from outside of RAM.
 */
static void read_at(u64 va)
{
	u8 bytes[64] = { 0 };
	char text[32];
	u64 gpa, left;
	size_t n;

	if (!guest_translate(guest.m, va, &gpa, &left)) {
		if (!left || left > 1ULL << 30)
			abort();
		n = left < sizeof(bytes) ? (size_t)left : sizeof(bytes);
		if (!guest_read(guest.m, va, bytes, n)) {
			const u8 *ram = machine_gpa(guest.m, gpa, n);

			if (!ram || memcmp(ram, bytes, n) != 0)
				abort();
		}
	}
	guest_read(guest.m, va, bytes, sizeof(bytes));
	if (!guest_read_string(guest.m, va, text, sizeof(text)) &&
	    strnlen(text, sizeof(text)) == sizeof(text))
		abort();
}

static void check_module(const struct guest_module *mod)
{
	if (mod->text > mod->size)
		abort();
}

static void walk_tables(const struct guest_module *mod)
{
	struct guest_section sections[16];
	struct guest_export *exports;
	struct guest_call *calls;
	char name[64];
	size_t n = 0;

	if (!guest_module_sections(&guest.s, mod, sections, ARRAY_SIZE(sections), &n, NULL)) {
		if (n > ARRAY_SIZE(sections))
			abort();
		for (size_t i = 0; i < n; i++)
			if (strnlen(sections[i].name, sizeof(sections[i].name)) ==
			    sizeof(sections[i].name))
				abort();
	}
	n = guest_module_exports(&guest.s, mod, &exports);
	for (size_t i = 0; i < n; i++)
		if (!guest_read_string(guest.m, exports[i].name, name, sizeof(name)) &&
		    strnlen(name, sizeof(name)) == sizeof(name))
			abort();
	free(exports);
	n = guest_module_static_calls(&guest.s, mod, &calls);
	if (n && !calls)
		abort();
	free(calls);
}

/* Probes put bytes back into a copy of just so many bytes of text. */
static void undo_probes(const struct guest_module *mod, const struct kernel_patches *p)
{
	u8 *text;

	if (mod->text > LYING_SIZE)
		return;
	text = malloc(mod->text ? mod->text : 1);
	if (!text)
		abort();
	if (!guest_read(guest.m, mod->base, text, mod->text))
		kernel_patches_undo_probes(p, mod, text);
	free(text);
}

/* Asks about targets that the kernel patches with, or that its modules export. */
static void ask_about_targets(const struct guest_module *mod)
{
	struct kernel_patches *p = NULL;
	struct real_modules *real = NULL;

	if (kernel_patches_read(&guest.s, mod, &p, NULL) ||
	    real_modules_read(&guest.s, &real, NULL))
		abort();
	for (size_t i = 0; i < ARRAY_SIZE(guest.targets); i++) {
		bool first = real_modules_permit(real, rules, guest.targets[i]);

		kernel_patches_export(p, rules, guest.targets[i]);
		kernel_patches_lead(p, guest.targets[0], guest.targets[i]);
		if (real_modules_permit(real, rules, guest.targets[i]) != first)
			abort();
	}
	undo_probes(mod, p);
	kernel_patches_free(p);
	real_modules_free(real);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct guest_module mod = { 0 };

	if (!there || size > 8192)
		return 0;
	lying_kernel_steps(&guest, data, size);
	for (size_t i = 0; i < ARRAY_SIZE(guest.targets); i++) {
		read_at(guest.targets[i]);
		if (!guest_module_by_address(&guest.s, guest.targets[i], &mod)) {
			check_module(&mod);
			if (guest.targets[i] - mod.base >= mod.size)
				abort();
		}
	}
	if (!guest_module_find(&guest.s, "fuzz", &mod, NULL)) {
		check_module(&mod);
		walk_tables(&mod);
		ask_about_targets(&mod);
	}
	return 0;
}
