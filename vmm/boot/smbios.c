// SPDX-License-Identifier: GPL-2.0-only
/* Writes the SMBIOS tables and their entry points. */
#include "vmm/boot/smbios.h"

#include <assert.h>
#include <errno.h>
#include <string.h>

#include "base/little_endian.h"
#include "vmm/boot/checksum.h"

#define MAJOR	    3
#define MAJOR_OLD   2 /* of the 32-bit entry point, */
#define MINOR_OLD   8 /* where a structure is as in 3.0 */
#define ANCHOR3	    24U
#define UUID_AT	    8
#define TEXTS_AT    0x40U /* behind both entry points, in smbios_write() */
#define MOST_TEXTS  7
#define END_OF_LIST SPEC_SMBIOS_TEXTS

/* A structure: its bytes, of which those of its texts are numbers of strings that follow it. */
struct structure {
	u8 type, len;
	u8 bytes[27];
	struct {
		u8 at;
		u8 text;		  /* enum spec_smbios_text */
		const char *text_without; /* or NULL: no string */
	} texts[MOST_TEXTS];
};

/* DSP0134 7.1 to 7.4. Enumerations say "other", "unknown" or "safe": nothing is made up. */
static const struct structure structures[] = {
	{ 0,
	  0x18,
	  { [0x07] = 0xf0, /* the segment that it is in: f000 */
	    [0x0a] = 0x08, /* its characteristics are not told, but for... */
	    [0x13] = 0x14, /* ... a virtual machine, and targeted content distribution */
	    [0x14] = 0xff,
	    0xff,
	    0xff,
	    0xff },
	  { { 0x04, SPEC_SMBIOS_BIOS_VENDOR, "Umbra" },
	    { 0x05, SPEC_SMBIOS_BIOS_VERSION, "1" },
	    /* A year before 2008 is one of PCs whose tables Linux does not trust. */
	    { 0x08, SPEC_SMBIOS_BIOS_DATE, "01/01/2026" },
	    { 0, END_OF_LIST, NULL } } },
	{ 1,
	  0x1b,
	  { [0x18] = 6 }, /* woken up by its power switch */
	  { { 0x04, SPEC_SMBIOS_SYSTEM_MANUFACTURER, "Umbra" },
	    { 0x05, SPEC_SMBIOS_SYSTEM_PRODUCT, "Umbra" },
	    { 0x06, SPEC_SMBIOS_SYSTEM_VERSION, "1" },
	    { 0x07, SPEC_SMBIOS_SYSTEM_SERIAL, NULL },
	    { 0x19, SPEC_SMBIOS_SYSTEM_SKU, NULL },
	    { 0x1a, SPEC_SMBIOS_SYSTEM_FAMILY, NULL },
	    { 0, END_OF_LIST, NULL } } },
	{ 2,
	  0x0f,
	  { [0x09] = 1, [0x0c] = 3, [0x0d] = 10 }, /* hosts others, in chassis 0300, mother board */
	  { { 0x04, SPEC_SMBIOS_BOARD_MANUFACTURER, "Umbra" },
	    { 0x05, SPEC_SMBIOS_BOARD_PRODUCT, "Umbra" },
	    { 0x06, SPEC_SMBIOS_BOARD_VERSION, NULL },
	    { 0x07, SPEC_SMBIOS_BOARD_SERIAL, NULL },
	    { 0x08, SPEC_SMBIOS_BOARD_ASSET, NULL },
	    { 0x0a, SPEC_SMBIOS_BOARD_LOCATION, NULL },
	    { 0, END_OF_LIST, NULL } } },
	{ 3,
	  0x16,
	  { [0x05] = 1, [0x09] = 3, 3, 3, 2 }, /* other; three times safe; security unknown */
	  { { 0x04, SPEC_SMBIOS_CHASSIS_MANUFACTURER, "Umbra" },
	    { 0x06, SPEC_SMBIOS_CHASSIS_VERSION, NULL },
	    { 0x07, SPEC_SMBIOS_CHASSIS_SERIAL, NULL },
	    { 0x08, SPEC_SMBIOS_CHASSIS_ASSET, NULL },
	    { 0x15, SPEC_SMBIOS_CHASSIS_SKU, NULL },
	    { 0, END_OF_LIST, NULL } } },
	{ 127, 4, { 0 }, { { 0, END_OF_LIST, NULL } } },
};

struct smbios_list {
	u8 *mem;
	size_t used, largest;
	unsigned count;
};

_Static_assert(SMBIOS_TABLE_MAX > (SPEC_SMBIOS_TEXTS + 2 * ARRAY_SIZE(structures)) *
					  (SPEC_SMBIOS_TEXT_MAX + 1),
	       "all texts fit, each behind its structure");

/* Puts the strings of @st behind it; each ends with a 0, and all of them with one more. */
static void put_texts(u8 *mem, const struct structure *st, const struct spec_smbios *s, size_t *len)
{
	u8 n = 0;

	for (size_t i = 0; st->texts[i].text != END_OF_LIST; i++) {
		const char *text = s->text[st->texts[i].text];
		size_t size;

		text = text ? text : st->texts[i].text_without;
		/* The empty string is the number 0. */
		if (!text || !*text)
			continue;
		size = strlen(text) + 1;
		assert(size <= SPEC_SMBIOS_TEXT_MAX + 1);
		memcpy(mem + *len, text, size);
		*len += size;
		mem[st->texts[i].at] = ++n;
	}
	if (!n)
		mem[(*len)++] = 0;
	mem[(*len)++] = 0;
}

/* Puts the UUID, whose first three fields are little-endian here (DSP0134 7.2.1). */
static void put_uuid(u8 *to, const u8 uuid[16])
{
	static const u8 order[] = { 3, 2, 1, 0, 5, 4, 7, 6, 8, 9, 10, 11, 12, 13, 14, 15 };

	for (size_t i = 0; i < sizeof(order); i++)
		to[i] = uuid[order[i]];
}

static void put_structure(struct smbios_list *t, const struct structure *st,
			  const struct spec_smbios *s)
{
	u8 *mem = t->mem + t->used;
	size_t len = st->len;

	memcpy(mem, st->bytes, st->len);
	mem[0] = st->type;
	mem[1] = st->len;
	store_u16(mem + 2, (u16)(st->type << 8));
	if (st->type == 1)
		put_uuid(mem + UUID_AT, s->uuid);
	put_texts(mem, st, s, &len);
	t->used += len;
	t->count++;
	if (len > t->largest)
		t->largest = len;
}

static bool says_something_of_bios(const struct spec_smbios *s)
{
	return s->text[SPEC_SMBIOS_BIOS_VENDOR] || s->text[SPEC_SMBIOS_BIOS_VERSION] ||
	       s->text[SPEC_SMBIOS_BIOS_DATE];
}

static void put_table(struct smbios_list *t, const struct spec_smbios *s, bool bios)
{
	for (size_t i = !bios; i < ARRAY_SIZE(structures); i++)
		put_structure(t, &structures[i], s);
}

/* Writes the 32-bit entry point (DSP0134 5.2.1). */
static void put_anchor(u8 *a, const struct smbios_list *t, u32 gpa)
{
	memset(a, 0, SMBIOS_ANCHOR);
	memcpy(a, "_SM_", 4);
	a[5] = SMBIOS_ANCHOR;
	a[6] = MAJOR_OLD;
	a[7] = MINOR_OLD;
	store_u16(a + 8, (u16)t->largest);
	memcpy(a + 16, "_DMI_", 5);
	store_u16(a + 22, (u16)t->used);
	store_u32(a + 24, gpa);
	store_u16(a + 28, (u16)t->count);
	a[30] = MAJOR_OLD << 4 | MINOR_OLD;
	a[21] = checksum8(a + 16, 15);
	a[4] = checksum8(a, SMBIOS_ANCHOR);
}

/* Writes the 64-bit entry point (DSP0134 5.2.2). */
static void put_anchor3(u8 *a, const struct smbios_list *t, u64 gpa)
{
	memset(a, 0, ANCHOR3);
	memcpy(a, "_SM3_", 5);
	a[6] = ANCHOR3;
	a[7] = MAJOR;
	a[10] = 1; /* the entry point's own revision */
	store_u32(a + 12, (u32)t->used);
	store_u64(a + 16, gpa);
	a[5] = checksum8(a, ANCHOR3);
}

int smbios_write(void *mem, size_t len, u64 gpa, const struct spec_smbios *s)
{
	struct smbios_list t = { .mem = (u8 *)mem + TEXTS_AT };

	if (len < TEXTS_AT + SMBIOS_TABLE_MAX)
		return -ENOSPC;
	put_table(&t, s, true);
	put_anchor3(mem, &t, gpa + TEXTS_AT);
	put_anchor((u8 *)mem + 0x20, &t, (u32)(gpa + TEXTS_AT));
	return 0;
}

size_t smbios_write_apart(u8 table[SMBIOS_TABLE_MAX], u8 anchor[SMBIOS_ANCHOR],
			  const struct spec_smbios *s)
{
	struct smbios_list t = { .mem = table };

	put_table(&t, s, says_something_of_bios(s));
	put_anchor(anchor, &t, 0);
	return t.used;
}
