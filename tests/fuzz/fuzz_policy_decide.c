// SPDX-License-Identifier: GPL-2.0-only
/*
 * Puts requests with any bytes in name, directory, root and argv to a policy that uses all of the
 * language. Whatever is asked, a path stays below its root and a name in its bounds.
 */
#include <stdlib.h>
#include <string.h>

#include "policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char text[] =
	"sessions = { a = {\n"
	" files = ( { from = \"/\"; to = \"/j\"; }, { from = \"/a/b\"; to = \"/k/l\"; },\n"
	"  { from = \"/p\"; action = \"pass\"; }, { from = \"/d\"; action = \"deny\"; } );\n"
	" names = { misc = \"a-%s\"; net = \"a%s\"; link = \"%s.a\"; thread = \"a/%s\"; };\n"
	" functions = ( { function = \"*\"; match = \"*/x[a-z]?*\"; action = \"deny\"; },\n"
	"  { function = \"call_usermodehelper\"; match = \"/s*\"; action = \"pass\"; },\n"
	"  { function = \"call_usermodehelper\"; match = \"/*\"; action = \"rewrite\"; },\n"
	"  { function = \"filp_open\"; match = \"/e/*\"; action = \"pass\"; } );\n"
	"}; };\n";

static void check_decision(const struct policy_request *r, const struct decision *d)
{
	bool undoes = r->fn->refusal == REFUSE_NEVER;

	if (strnlen(d->name, sizeof(d->name)) == sizeof(d->name) ||
	    strnlen(d->root, sizeof(d->root)) == sizeof(d->root) || !d->rule)
		abort();
	if ((d->verdict == VERDICT_DENY) != (d->error > 0) || (undoes && d->error))
		abort();
	if (d->verdict == VERDICT_REWRITE && r->fn->space == SPACE_FILE) {
		if ((d->resolve & ~(u32)DECISION_CALLERS) != DECISION_IN_ROOT ||
		    d->root[0] != '/' || d->name[0] == '/' || !d->name[0] ||
		    !strcmp(d->name, "..") || !strncmp(d->name, "../", 3) ||
		    strstr(d->name, "/../") || strstr(d->name, "//"))
			abort();
	}
	if (d->verdict != VERDICT_DENY && r->fn->space == SPACE_NET && strlen(d->name) > 15)
		abort();
	if (d->verdict == VERDICT_REWRITE && r->fn->space == SPACE_MISC &&
	    strncmp(d->name, "a-", 2) != 0)
		abort();
}

/* Takes the next string of the input, up to a NUL. */
static char *take_string(const uint8_t **data, size_t *size)
{
	size_t len = strnlen((const char *)*data, *size);
	char *s = strndup((const char *)*data, len);

	*data += len;
	*size -= len;
	if (*size) {
		++*data;
		--*size;
	}
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct policy *p; /* read-only: made once for all runs */
	const struct catalog_fn *all;
	char *name, *cwd, *root;
	struct policy_request r = { 0 };
	struct decision d;
	uint8_t flags;
	size_t n;

	if (size < 2 || (!p && policy_parse(&p, "f", text, NULL)))
		return 0;
	all = catalog_all(&n);
	r.fn = &all[data[0] % n];
	flags = data[1];
	data += 2;
	size -= 2;
	name = take_string(&data, &size);
	cwd = take_string(&data, &size);
	root = take_string(&data, &size);
	r.name = flags & 1 ? NULL : name;
	r.cwd = flags & 2 ? cwd : NULL;
	r.root = flags & 4 ? root : NULL;
	r.too_long = flags & 8;
	r.other_mounts = flags & 64;
	r.atomic = flags & 16;
	r.place = (enum export_place)(flags >> 5 & 3);
	r.export = r.place == EXPORT_SESSION || flags & 128 ? "filp_open" : NULL;
	memset(&d, 0xff, sizeof(d));
	policy_decide(policy_session_at(p, 0), "lime", &r, &d);
	check_decision(&r, &d);
	free(name);
	free(cwd);
	free(root);
	return 0;
}
