// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes calls as a guest can, with any frame and in any order: calls, results and calls that are
 * seen for any frame, caller and function, and rings with any slots, while a second thread changes
 * the frames and rings that are being read.
 */
#include <bpf/btf.h>
#include <stdlib.h>
#include <string.h>

#include "base/little_endian.h"
#include "shadow/kernel/kernel_int.h"
#include "tests/unit/vmm/gate_fixture.h"

static const char policy_text[] =
	"version = 1; sessions = {\n"
	"a = { permit = [ \"ext_*\" ]; files = ( { from = \"/\"; to = \"/data/a\"; } );\n"
	"  names = { misc = \"a-%s\"; net = \"a%s\"; link = \"a-%i-%s\"; thread = \"a/%s\"; };\n"
	"  functions = ( { function = \"call_usermodehelper\"; match = \"/bin/*\"; action = \"pass\"; } ); };\n"
	"b = { default = \"pass\"; trace = [ \"seen\" ]; }; };\n";

static struct gate g;
static u32 seen; /* a function that is only seen */
static atomic_bool busy;
static pthread_t disturber;

/* Acts as another vCPU: changes lengths and offsets between a check and a use. */
static void *disturb_frames(void *arg)
{
	u32 x = 1;

	(void)arg;
	for (;;) {
		if (atomic_load_explicit(&busy, memory_order_relaxed)) {
			struct umbra_frame *f = &g.frames[x % 4];

			__atomic_store_n(&f->name.len, x, __ATOMIC_RELAXED);
			__atomic_store_n(&f->name.off, x >> 3, __ATOMIC_RELAXED);
			__atomic_store_n(&f->used, x << 1, __ATOMIC_RELAXED);
			__atomic_store_n(&f->text[x % UMBRA_ARGS].len, x >> 5, __ATOMIC_RELAXED);
			__atomic_store_n(&f->text[x % UMBRA_ARGS].off, x >> 7, __ATOMIC_RELAXED);
			__atomic_store_n(&g.seen_area->rings[0].slots[x % 8].end,
					 x % 16 * UMBRA_SEEN_SLOT, __ATOMIC_RELAXED);
			__atomic_store_n(&g.seen_area->rings[0].slots[x % 8].pid, x >> 9,
					 __ATOMIC_RELAXED);
			__atomic_store_n(&g.seen_area->lost[x % 4], x >> 6, __ATOMIC_RELAXED);
		}
		x = x * 1664525u + 1013904223u;
	}
	return NULL;
}

/* Gives @k one function with a parameter of each kind, and has it seen; returns its number. */
static u32 make_seen(struct kernel *k)
{
	static struct btf *b; /* it stays: the types are read where they lie */
	int integer = btf__add_int(b = btf__new_empty(), "int", 4, BTF_INT_SIGNED);
	int text = btf__add_ptr(b, btf__add_const(b, btf__add_int(b, "char", 1, BTF_INT_SIGNED)));
	int boolean = btf__add_int(b, "_Bool", 1, BTF_INT_BOOL);
	int strct = btf__add_ptr(b, btf__add_struct(b, "s", 8));
	int enumeration = btf__add_enum(b, "e", 4);
	struct section s = { .data = NULL };
	const char *why;
	u32 size, fn;
	int proto;

	btf__add_enum_value(b, "ONE", 1);
	proto = btf__add_func_proto(b, strct);
	btf__add_func_param(b, "i", integer);
	btf__add_func_param(b, "text", text);
	btf__add_func_param(b, "mode", btf__add_typedef(b, "umode_t", integer));
	btf__add_func_param(b, "e", enumeration);
	btf__add_func_param(b, "is", boolean);
	btf__add_func_param(b, "", strct);
	btf__add_func_param(b, "other", text);
	btf__add_func(b, "seen", BTF_FUNC_GLOBAL, proto);
	s.data = btf__raw_data(b, &size);
	s.size = size;
	if (types_load(&k->types, &s, "k", NULL) || gate_see(&g, "seen", 0x3000, &fn, &why))
		abort();
	return fn;
}

/* Gives the gate a kernel with two exports, and both callers one of their own under one name. */
static void make_exports(void)
{
	static const struct gate_export own[2] = { { "attach", "attach.u1" },
						   { "attach", "attach.u2" } };
	static struct kernel_export list[] = { { .name = "printk", .addr = 0x1000 },
					       { .name = "filp_open", .addr = 0x2000 } };
	static struct kernel k;

	k.exports.list = list;
	k.exports.count = ARRAY_SIZE(list);
	if (strmap_init(&k.exports.map, ARRAY_SIZE(list)))
		abort();
	for (u32 i = 0; i < ARRAY_SIZE(list); i++)
		strmap_add(&k.exports.map, list[i].name, i);
	g.k = &k;
	seen = make_seen(&k);
	for (unsigned i = 0; i < ARRAY_SIZE(own); i++) {
		if (gate_exports_add(&g, i + 1, &own[i], 1))
			abort();
		gate_exports_live(&g, i + 1);
	}
}

/* Has calls of the function by both callers seen. */
static void see_calls(void)
{
	static _Alignas(8) u8 entries[2][UMBRA_OWN_ENTRY];

	g.gate_va = 0xffffffffc0100000ULL;
	g.see_va = g.few_va = 0xffffffffc0140000ULL;
	for (unsigned i = 0; i < 2; i++) {
		const struct gate_sight s = { .en = { .at = entries[i],
						      .va = 0xffffffffc0200000ULL,
						      .real = 0xffffffff81000000ULL,
						      .fn = seen },
					      .each = i,
					      .rule = "trace[0]" };

		if (gate_own_entry(&g, &s.en, i + 1) || gate_caller_see(&g, i + 1, &s, 1))
			abort();
	}
}

/* Puts the bytes into slots from the one on that the host reads next, and has them drained. */
static void put_slots(const u8 *data, size_t size)
{
	struct umbra_seen_ring *ring = &g.seen_area->rings[0];
	u64 tail = g.rings[0].tail;

	for (unsigned i = 0; i < 6 && size >= 8; i++) {
		struct umbra_seen *s =
			&ring->slots[(tail / UMBRA_SEEN_SLOT + i) % UMBRA_SEEN_SLOTS];
		size_t n = size < sizeof(*s) ? size : sizeof(*s);

		memcpy(s, data, n);
		if (data[3] & 1)
			s->id = UMBRA_ID(1 + data[4] % 2, seen);
		else if (data[3] & 2)
			s->id = UMBRA_SEEN_TEXT + data[4] % 3;
		s->end = tail + (i + 1) * UMBRA_SEEN_SLOT + (data[2] == 0x77);
		data += n;
		size -= n;
	}
	gate_drain_ring(&g, 0);
	if (g.rings[0].tail - tail > UMBRA_SEEN_BYTES)
		abort();
	gate_drain(&g);
}

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct policy *policy;

	(void)argc;
	(void)argv;
	if (!gate_fixture_make(&g) || policy_parse(&policy, "p", policy_text, NULL))
		abort();
	if (gate_caller_add(&g, policy_session(policy, "a"), "a", "one") != 1 ||
	    gate_caller_add(&g, policy_session(policy, "b"), "b", "two") != 2)
		abort();
	make_exports();
	see_calls();
	/* Somewhere to, or calls that are seen get no text. */
	record_close(g.rec, NULL);
	if (record_create(&g.rec, "/dev/null", NULL))
		abort();
	return pthread_create(&disturber, NULL, disturb_frames, NULL);
}

/* Checks that all a driver's kernel would read of the answer lies within what the host wrote. */
static void check_answer(const struct umbra_answer *a)
{
	const struct umbra_str *s[] = { &a->root, &a->name };
	const char *base = a->flags & UMBRA_ANSWER_ARENA ? g.arena : a->data;
	size_t size = a->flags & UMBRA_ANSWER_ARENA ? UMBRA_ARENA_SIZE : sizeof(a->data);

	for (size_t i = 0; i < ARRAY_SIZE(s); i++) {
		if (!s[i]->len)
			continue;
		if (!i) {
			if (s[0]->len > sizeof(a->data) ||
			    s[0]->off > sizeof(a->data) - s[0]->len ||
			    a->data[s[0]->off + s[0]->len - 1])
				abort();
		} else if (s[1]->len > size || s[1]->off > size - s[1]->len ||
			   base[s[1]->off + s[1]->len - 1]) {
			abort();
		}
	}
	if (a->verdict < UMBRA_PASS || a->verdict > UMBRA_PENDING)
		abort();
}

int LLVMFuzzerTestOneInput(const u8 *data, size_t size);
int LLVMFuzzerTestOneInput(const u8 *data, size_t size)
{
	while (size >= 8) {
		u64 frame = data[0] & 1 ? data[1] % 4 : (u64)data[1] << (data[0] >> 2);
		u64 id = UMBRA_ID(data[2] % 4, data[3]) | (u64)(data[0] >> 7) << 33;
		size_t n = (size_t)data[4] << 4 | 8;
		u64 name[2] = { 0, 0 };

		if (n > size)
			n = size;
		if (frame < 4) {
			struct umbra_frame *f = &g.frames[frame];
			size_t head = offsetof(struct umbra_frame, data);

			memcpy(f, data, n < head ? n : head);
			memcpy(f->data + data[5], data, n);
		}
		atomic_store(&busy, data[0] & 2);
		memcpy(name, data, data[6] & 4 ? 8 : 0);
		if (data[6] & 1) {
			/* a ticket of this call, or of one of the others */
			gate_result(&g, data[6] & 2 ? g.answers[frame % 4].ticket : data[7], id,
				    data[5] & 1 ? (u64)-1 : 0, name);
		} else if (data[6] & 16) {
			put_slots(data + 7, n - 7);
		} else if (data[6] & 4) {
			/* by either caller, or by any and of any function */
			gate_seen(&g, 1, frame, data[6] & 8 ? id : UMBRA_ID(1 + data[2] % 2, seen),
				  load_u64(data));
		} else if (!gate_call(&g, 1, frame, id)) {
			check_answer(&g.answers[frame]);
		}
		atomic_store(&busy, false);
		data += n;
		size -= n;
	}
	return 0;
}
