// SPDX-License-Identifier: GPL-2.0-only
/* Compiles the rules to BPF during the build: prints a C file to standard output. */
#include <linux/filter.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vmm/confine/seccomp/rules.h"

static void filter_fail(const char *what, const char *name, int ret)
{
	fprintf(stderr, "seccomp rules: %s %s: %s\n", what, name, strerror(-ret));
	exit(1);
}

static void filter_add_rule(scmp_filter_ctx ctx, const struct rule *r)
{
	int nr = seccomp_syscall_resolve_name(r->call), ret;
	struct scmp_arg_cmp args[2];

	if (nr == __NR_SCMP_ERROR)
		filter_fail("no system call", r->call, -1);
	for (unsigned i = 0; i < r->n_args; i++)
		args[i] = SCMP_CMP64(r->args[i].index, SCMP_CMP_MASKED_EQ, r->args[i].mask,
				     r->args[i].value & r->args[i].mask);
	ret = seccomp_rule_add_exact_array(
		ctx, r->error ? SCMP_ACT_ERRNO((unsigned)r->error) : SCMP_ACT_ALLOW, nr, r->n_args,
		args);
	if (ret)
		filter_fail("cannot add", r->call, ret);
	if (r->often)
		seccomp_syscall_priority(ctx, nr, 255);
}

static void filter_print(scmp_filter_ctx ctx, const char *name)
{
	int fd = memfd_create("bpf", 0), ret;
	struct sock_filter f;
	unsigned n = 0;

	ret = fd < 0 ? -1 : seccomp_export_bpf(ctx, fd);
	if (ret || lseek(fd, 0, SEEK_SET))
		filter_fail("cannot export", name, ret);
	printf("\nconst struct sock_filter filter_%s[] = {\n", name);
	for (; read(fd, &f, sizeof(f)) == sizeof(f); n++)
		printf("\t{ 0x%02x, %u, %u, 0x%x },\n", f.code, f.jt, f.jf, f.k);
	printf("};\nconst unsigned short filter_%s_len = %u;\n", name, n);
	close(fd);
}

static unsigned count_rules(unsigned who)
{
	unsigned n = 0;

	for (size_t i = 0; i < n_rules; i++) {
		bool before = false;

		for (size_t k = 0; k < i; k++)
			before |= (rules[k].who & who) && !strcmp(rules[k].call, rules[i].call);
		n += (rules[i].who & who) && !rules[i].error && !before;
	}
	return n;
}

/* Prints the filter of the rules of all kinds of threads in the mask @who. */
static void filter_compile(const char *name, unsigned who)
{
	/* A trap and not a kill, so that a handler can say which call it was (filter.c). */
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_TRAP);

	if (!ctx)
		filter_fail("out of memory for", name, -1);
	seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	for (size_t i = 0; i < n_rules; i++)
		if (rules[i].who & who)
			filter_add_rule(ctx, &rules[i]);
	filter_print(ctx, name);
	printf("const unsigned short filter_%s_calls = %u;\n", name, count_rules(who));
	seccomp_release(ctx);
}

int main(void)
{
	puts("// SPDX-License-Identifier: GPL-2.0-only\n"
	     "// Made from vmm/confine/seccomp/rules.c\n"
	     "#include \"vmm/confine/filter.h\"");
	filter_compile("main", THREADS);
	filter_compile("vcpu", VCPU);
	filter_compile("block", BLOCK);
	filter_compile("queue", QUEUE);
	filter_compile("file", FILES);
	filter_compile("network", NETWORK);
	filter_compile("dialer", DIALER);
	filter_compile("parser", PARSER);
	filter_compile("reader", READER);
	return 0;
}
