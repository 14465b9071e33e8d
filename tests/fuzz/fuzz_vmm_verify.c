// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs `vmm driver verify` of a driver in a guest kernel that lies (lying_kernel.h): it ends, with
 * a report within its bounds or with a line that says why there is none.
 */
#include "tests/unit/vmm/lying_kernel.h"
#include "vmm/session/verify.h"

#define TEXT_PAGES 2
#define PAGES	   (TEXT_PAGES + GATE_PAGES)

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct lying_kernel guest;
static u64 pages[PAGES];
static struct driver_entry entries[] = {
	{ .symbol = "_printk" },
	{ .symbol = "filp_open" },
	{ .symbol = "kfree" },
};
static struct umbra_map own = { LYING_VA + LYING_SIZE / 4, LYING_ARENA + LYING_SIZE / 4 };
static struct driver other = { .name = (char[]){ "other" }, .guest_name = "a__other" };
static struct driver driver = {
	.name = (char[]){ "fuzz" },
	.guest_name = "fuzz",
	.next = &other,
	.own_page = OWN_GATE_PAGES,
	.layout = LAYOUT_SAME,
	.entries = entries,
	.n_entries = 3,
	.own = { .va = LYING_VA + LYING_SIZE / 4, .n = 1, .maps = &own },
};
/* The session's range is the end of the arena. */
static struct session session = {
	.name = (char[]){ "a" },
	.va = LYING_VA + LYING_SIZE / 2,
	.text_pages = TEXT_PAGES,
	.page_gpa = pages,
	.drivers = &driver,
};
static bool there;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static const char text[] = "sessions = { a = { permit = [ \"fuzz_*\", \"printk\" ]; }; };";

	(void)argc;
	(void)argv;
	there = lying_kernel_open(&guest);
	if (policy_parse(&guest.s.policy, "p", text, NULL))
		abort();
	session.policy = policy_session(guest.s.policy, "a");
	driver.session = other.session = &session;
	driver.state = other.state = DRIVER_LOADED;
	for (size_t i = 0; i < PAGES; i++)
		pages[i] = LYING_ARENA + LYING_SIZE / 2 + i * 4096;
	guest.s.list = &session;
	return 0;
}

static void check_report(const json_t *r)
{
	static const char *const counts[] = { "local",	 "shadow",    "gate",	 "session",
					      "patched", "permitted", "indirect" };
	json_int_t text = json_integer_value(json_object_get(r, "text"));
	const json_t *branches = json_object_get(r, "branches");
	json_int_t sum = json_integer_value(json_object_get(r, "undecoded"));
	size_t wrong = json_array_size(json_object_get(r, "violations"));

	if (text < 0 || sum < 0 || wrong > 100)
		abort();
	for (size_t i = 0; i < ARRAY_SIZE(counts); i++) {
		const json_t *n = json_object_get(branches, counts[i]);

		if (!json_is_integer(n) || json_integer_value(n) < 0)
			abort();
		/* probes are counted as patched, and may stand on one another */
		if (strcmp(counts[i], "patched") != 0)
			sum += json_integer_value(n);
	}
	/* each has a byte of its own */
	if (sum + (json_int_t)wrong > text)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *report = NULL;
	struct err e = { "" };

	if (!there || size > 8192)
		return 0;
	lying_kernel_steps(&guest, data, size);
	if (verify_driver(&guest.s, &driver, &report, &e)) {
		if (report || !*e.text)
			abort();
		return 0;
	}
	check_report(report);
	json_decref(report);
	return 0;
}
