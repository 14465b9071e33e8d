// SPDX-License-Identifier: GPL-2.0-only
/* Tests the SMBIOS tables as a guest reads them, and the options that say what is in them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/little_endian.h"
#include "vmm/boot/smbios.h"
#include "vmm/machine/layout.h"
#include "vmm/spec/spec_text.h"

#define UUID "123e4567-e89b-12d3-A456-426614174000"

static u8 area[LAYOUT_SMBIOS_SIZE];

static u8 sum(const u8 *p, size_t len)
{
	u8 s = 0;

	while (len--)
		s = (u8)(s + *p++);
	return s;
}

/* Returns string @n of the structure, which the table has behind it; "": it has none. */
static const char *string_of(const u8 *st, u8 n)
{
	const char *s = (const char *)st + st[1];

	if (!n)
		return "";
	while (--n)
		s += strlen(s) + 1;
	return s;
}

/* Returns the structure of that type between @table and @end; the list must be whole. */
static const u8 *find(const u8 *table, const u8 *end, u8 type)
{
	const u8 *found = NULL;

	for (;;) {
		const u8 *next = table + table[1];

		assert_true(next + 2 <= end);
		while (next[0] || next[1])
			assert_true(++next + 2 <= end);
		if (table[0] == type)
			found = table;
		if (table[0] == 127) {
			assert_ptr_equal(next + 2, end);
			return found;
		}
		table = next + 2;
	}
}

/* Checks both entry points and returns the structure. */
static const u8 *written(const struct guest_spec *s, u8 type)
{
	const u8 *old = area + 0x20, *table;
	u32 len;

	memset(area, 0xff, sizeof(area));
	assert_int_equal(smbios_write(area, sizeof(area), LAYOUT_SMBIOS, &s->smbios), 0);
	assert_memory_equal(area, "_SM3_", 5);
	assert_int_equal(area[6], 24);
	assert_int_equal(sum(area, 24), 0);
	len = load_u32(area + 12);
	table = area + (load_u64(area + 16) - LAYOUT_SMBIOS);
	assert_memory_equal(old, "_SM_", 4);
	assert_int_equal(sum(old, 31), 0);
	assert_memory_equal(old + 16, "_DMI_", 5);
	assert_int_equal(sum(old + 16, 15), 0);
	assert_int_equal(load_u16(old + 22), len);
	assert_int_equal(load_u32(old + 24), load_u64(area + 16));
	assert_int_equal(load_u16(old + 28), 5);
	return find(table, table + len, type);
}

static void without_options_it_is_umbra(void **state)
{
	static const u8 none[16];
	struct guest_spec s;
	const u8 *st;

	(void)state;
	guest_spec_init(&s);
	st = written(&s, 0);
	assert_string_equal(string_of(st, st[4]), "Umbra");
	assert_int_equal(st[0x13] & 0x10, 0x10); /* a virtual machine */
	st = written(&s, 1);
	assert_int_equal(st[1], 0x1b);
	assert_string_equal(string_of(st, st[4]), "Umbra");
	assert_string_equal(string_of(st, st[5]), "Umbra");
	assert_int_equal(st[7], 0);
	assert_memory_equal(st + 8, none, 16);
	st = written(&s, 2);
	assert_int_equal(load_u16(st + 0xb), load_u16(written(&s, 3) + 2));
	guest_spec_free(&s);
}

static void options_say_what_it_is(void **state)
{
	static const u8 uuid[16] = { 0x67, 0x45, 0x3e, 0x12, 0x9b, 0xe8, 0xd3, 0x12,
				     0xa4, 0x56, 0x42, 0x66, 0x14, 0x17, 0x40, 0x00 };
	static const char *const texts[] = {
		"type=0,vendor=V,version=v 2,date=02/29/2024",
		"type=1,manufacturer=M,,s,product=p=q,serial=,,,family=f",
		"type=1,sku=later,family=",
		"type=3,asset=x,sku=c",
	};
	char text[SPEC_UUID_TEXT];
	struct guest_spec s;
	struct err e;
	const u8 *st;

	(void)state;
	guest_spec_init(&s);
	assert_int_equal(spec_take_uuid(&s, NULL, UUID, &e), 0);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++)
		if (spec_take_smbios(&s, NULL, texts[i], &e))
			fail_msg("%s", e.text);
	spec_uuid_text(s.smbios.uuid, text);
	assert_string_equal(text, "123e4567-e89b-12d3-a456-426614174000");
	st = written(&s, 0);
	assert_string_equal(string_of(st, st[8]), "02/29/2024");
	st = written(&s, 1);
	assert_memory_equal(st + 8, uuid, 16);
	assert_string_equal(string_of(st, st[4]), "M,s");
	assert_string_equal(string_of(st, st[5]), "p=q");
	assert_string_equal(string_of(st, st[6]), "1");
	assert_string_equal(string_of(st, st[7]), ",");
	assert_string_equal(string_of(st, st[0x19]), "later");
	assert_int_equal(st[0x1a], 0);
	st = written(&s, 3);
	assert_string_equal(string_of(st, st[0x15]), "c");
	guest_spec_free(&s);
}

/* All texts as long as they may be: they fit, also for a firmware. */
static void the_longest_texts_fit(void **state)
{
	static u8 table[SMBIOS_TABLE_MAX], anchor[SMBIOS_ANCHOR];
	char longest[SPEC_SMBIOS_TEXT_MAX + 1];
	struct guest_spec s;
	const u8 *st;
	size_t len;

	(void)state;
	guest_spec_init(&s);
	len = smbios_write_apart(table, anchor, &s.smbios);
	/* Its BIOS is the firmware's to describe. */
	assert_null(find(table, table + len, 0));
	memset(longest, 'x', SPEC_SMBIOS_TEXT_MAX);
	longest[SPEC_SMBIOS_TEXT_MAX] = '\0';
	for (size_t i = 0; i < SPEC_SMBIOS_TEXTS; i++)
		s.smbios.text[i] = longest;
	st = written(&s, 2);
	assert_string_equal(string_of(st, st[0xa]), longest);
	len = smbios_write_apart(table, anchor, &s.smbios);
	assert_non_null(find(table, table + len, 0));
	assert_int_equal(sum(anchor, sizeof(anchor)), 0);
	assert_int_equal(load_u16(anchor + 22), len);
	assert_int_equal(load_u32(anchor + 24), 0);
	assert_int_equal(smbios_write(area, 0x1000, LAYOUT_SMBIOS, &s.smbios), -ENOSPC);
	guest_spec_free(&s);
}

static void mistakes_are_told(void **state)
{
	static const char *const bad[][2] = {
		{ "", "want type=0, 1, 2 or 3" },
		{ "type=", "want type=0" },
		{ "type=4,version=1", "want type=0" },
		{ "type=11", "want type=0" },
		{ "product=x", "want type=0" },
		{ "type=1,prodct=x", "did you mean \"product\"" },
		{ "type=0,product=x", "want type=0[,vendor=S][,version=S][,date=S]" },
		{ "type=2,uuid=" UUID, "unknown option \"uuid\"" },
		{ "type=1,serial", "unknown option \"serial\"" },
		{ "type=1,uuid=1", "want a UUID such as" },
		{ "type=1,serial=a\tb", "printable ASCII" },
		{ "type=1,serial=a,", "unknown option \"\"" },
	};
	static const char *const bad_uuids[] = {
		"",
		"1",
		"123e4567-e89b-12d3-A456-4266141740000",
		"123e4567-e89b-12d3-a456-42661417400g",
		"123e4567ee89b-12d3-a456-426614174000",
		"123e4567-e89b-12d3-a456-42661417400",
	};
	char longer[SPEC_SMBIOS_TEXT_MAX + 40] = "type=1,serial=";
	struct guest_spec s;
	struct err e;

	(void)state;
	guest_spec_init(&s);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(spec_take_smbios(&s, NULL, bad[i][0], &e), -EINVAL);
		if (!strstr(e.text, bad[i][1]))
			fail_msg("\"%s\" does not say \"%s\"", e.text, bad[i][1]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(bad_uuids); i++) {
		assert_int_equal(spec_take_uuid(&s, NULL, bad_uuids[i], &e), -EINVAL);
		assert_non_null(strstr(e.text, "want a UUID"));
	}
	memset(longer + strlen(longer), 'x', SPEC_SMBIOS_TEXT_MAX + 1);
	assert_int_equal(spec_take_smbios(&s, NULL, longer, &e), -EINVAL);
	assert_false(s.smbios.uuid_given);
	guest_spec_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_options_it_is_umbra),
		cmocka_unit_test(options_say_what_it_is),
		cmocka_unit_test(the_longest_texts_fit),
		cmocka_unit_test(mistakes_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
