// SPDX-License-Identifier: GPL-2.0-only
/* vmm inspect: parses its command line, opens kernel, policy and driver, and plans. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/name_chars.h"
#include "base/plain_text.h"
#include "base/table.h"
#include "vmm/cli/cli.h"
#include "vmm/cli/commands.h"
#include "vmm/cli/inspect.h"
#include "vmm/confine/confine.h"

#define WITH_MAX 256

struct options {
	const char *kernel, *policy, *session, *all, *driver;
	const char *with[WITH_MAX];
	size_t n_with;
	bool json;
};

/* Everything that an inspection opens; inspection_close() closes it. */
struct inspection {
	struct kernel *kernel;
	struct policy *policy;
	struct module *module;
	struct module *with[WITH_MAX];
	size_t n_with;
	struct link_plan *plan;
};

static const char help[] =
	"Usage: vmm inspect [--kernel VMLINUZ] [--policy FILE [--session NAME]]\n"
	"                   [--with OTHER.ko]... [--json] DRIVER.ko\n"
	"       vmm inspect --kernel VMLINUZ [--policy FILE [--session NAME]] [--json] --all DIR\n"
	"\n"
	"Show what an unmodified driver imports and where each import points when the driver\n"
	"is loaded into a session. The driver's file is only read.\n"
	"\n"
	"Options:\n"
	"  -k, --kernel FILE   the guest's kernel (vmlinuz or vmlinux); default: the\n"
	"                      /boot/vmlinuz-* that the driver was built for\n"
	"  -p, --policy FILE   which functions are critical; default: all that can be\n"
	"  -s, --session NAME  the session of the policy, if it has several\n"
	"  -w, --with FILE     a driver that is loaded into the same session before\n"
	"  -a, --all DIR       every .ko below DIR, together in one session: the share\n"
	"                      that links completely, and the time that it takes\n"
	"  -j, --json          for programs\n"
	"  -h, --help          this text\n"
	"\n"
	"Below the imports: how many functions of its own the driver hands to the kernel, each\n"
	"by an entry that leads to it, and how many pointers to its code stay as they are.\n"
	"\n"
	"TARGET is one of\n"
	"  shadow   branches go to the driver's entry, which leads on to the kernel or, if the\n"
	"           function is critical, to the host PVM\n"
	"  session  another driver of the session provides it\n"
	"  kernel   the real kernel's own: data, what the kernel patches or compares, what\n"
	"           the policy permits\n"
	"  refused  the driver cannot be loaded into the session; WHY says why\n"
	"\n"
	"Examples:\n"
	"  vmm inspect lime.ko                          for the kernel that it was built for\n"
	"  vmm inspect -k vmlinuz -w zsmalloc.ko zram.ko\n"
	"  vmm inspect -k vmlinuz -p lab.policy -s red lime.ko\n"
	"  vmm inspect --json lime.ko | jq '.imports[] | select(.critical) | .symbol'\n"
	"  vmm inspect -k /boot/vmlinuz-6.1.0-56-amd64 --all /lib/modules/6.1.0-56-amd64\n"
	"\n"
	"Exit code: 0 it links completely, 1 something is refused, 2 bad usage or input.\n";

static bool catalog_critical(void *arg, const char *symbol)
{
	(void)arg;
	return catalog_find(symbol) != NULL;
}

static bool session_critical(void *arg, const char *symbol)
{
	return policy_critical(arg, symbol);
}

static bool session_permitted(void *arg, const char *symbol)
{
	return policy_permitted(arg, symbol);
}

struct link_rules inspect_rules(const struct policy_session *s)
{
	if (!s)
		return (struct link_rules){ .critical = catalog_critical };
	/* the callbacks take it as const again */
	return (struct link_rules){ session_critical, session_permitted, (void *)(uintptr_t)s };
}

static int with_option_take(void *arg, size_t i, const char *value, struct err *e)
{
	struct options *o = arg;

	(void)i;
	if (o->n_with == WITH_MAX)
		return err_set(e, -EINVAL, "--with %s: there are too many, at most %d", value,
			       WITH_MAX);
	o->with[o->n_with++] = value;
	return 0;
}

/* Prints what is wrong with the options together; 0, or the exit code to end with. */
static int check_options(const struct options *o, const struct cli_syntax *s, int argc, char **argv,
			 int first)
{
	if (o->all && o->n_with)
		return cli_usage(s->command, "--all and --with exclude each other");
	if (o->all && first < argc)
		return cli_unexpected(s, argv[first]);
	if (!o->all && first + 1 != argc)
		return first == argc ? cli_usage(s->command, "say which DRIVER.ko")
				     : cli_unexpected(s, argv[first + 1]);
	if (o->all && !o->kernel)
		return cli_usage(s->command, "--all needs --kernel, the kernel of the modules");
	if (o->session && !o->policy)
		return cli_usage(s->command,
				 "--session needs --policy, which describes the session");
	return 0;
}

/* Parses the command line. True, or false and *code to end with. */
static bool parse_options(struct options *o, int argc, char **argv, int *code)
{
	const struct cli_option options[] = {
		{ "kernel", .text = &o->kernel, .letter = 'k' },
		{ "policy", .text = &o->policy, .letter = 'p' },
		{ "session", .text = &o->session, .letter = 's' },
		{ "with", .value = CLI_VALUE_NEEDED, .letter = 'w' },
		{ "all", .text = &o->all, .letter = 'a' },
		{ "json", .flag = &o->json, .letter = 'j' },
	};
	const struct cli_syntax s = { .command = argv[0],
				      .options = options,
				      .n = ARRAY_SIZE(options),
				      .help = help,
				      .take = with_option_take,
				      .arg = o };
	int first = cli_command_line(&s, argc, argv, code);

	if (!first)
		return false;
	*code = check_options(o, &s, argc, argv, first);
	o->driver = o->all ? NULL : argv[first];
	return !*code;
}

/* Finds the kernel that a driver was built for, by the first word of its vermagic. */
static int default_kernel(const struct module *m, char *path, size_t len)
{
	const char *magic = module_vermagic(m);
	char release[80];
	size_t n = magic ? name_chars_len(magic, NAME_FILE "+~") : 0;

	if (!n || n >= sizeof(release) || (magic[n] && magic[n] != ' '))
		return -ENOENT;
	memcpy(release, magic, n);
	release[n] = '\0';
	snprintf(path, len, "/boot/vmlinuz-%s", release);
	if (access(path, R_OK)) {
		plain_text_line(
			stderr,
			"vmm inspect: %s, the kernel that the driver was built for, is not here; "
			"trying /vmlinuz",
			path);
		snprintf(path, len, "/vmlinuz");
	}
	return access(path, R_OK) ? -ENOENT : 0;
}

static int load_kernel(struct inspection *in, const struct options *o)
{
	char path[128] = "";
	struct err e = { "" };

	if (!o->kernel) {
		if (default_kernel(in->module, path, sizeof(path)))
			return cli_usage("inspect",
					 "which kernel is it for? Give --kernel VMLINUZ");
		plain_text_line(stderr, "vmm inspect: kernel: %s", path);
	}
	if (kernel_open(&in->kernel, o->kernel ? o->kernel : path, false, &e) ||
	    kernel_load_symbols(in->kernel, &e))
		return cli_mistake("inspect", &e);
	return 0;
}

static int load_policy(struct inspection *in, const struct options *o,
		       const struct policy_session **s)
{
	struct err e = { "" };
	size_t n;

	*s = NULL;
	if (!o->policy)
		return 0;
	if (policy_load(&in->policy, o->policy, &e))
		return cli_mistake("inspect", &e);
	if (o->session)
		*s = policy_session(in->policy, o->session);
	else if (policy_session_count(in->policy) == 1)
		*s = policy_session_at(in->policy, 0);
	if (*s)
		return 0;
	if (o->session)
		err_set(&e, -ENOENT, "%.200s: there is no session \"%.64s\"; there is:", o->policy,
			o->session);
	else
		err_set(&e, -EINVAL,
			"%.200s: choose a session with --session; there is:", o->policy);
	for (size_t i = 0; i < policy_session_count(in->policy); i++) {
		n = strlen(e.text);
		snprintf(e.text + n, sizeof(e.text) - n, " %s",
			 policy_session_name(policy_session_at(in->policy, i)));
	}
	return cli_mistake("inspect", &e);
}

static int with_modules_open(struct inspection *in, const struct options *o)
{
	struct err e = { "" };

	for (size_t i = 0; i < o->n_with; i++) {
		if (module_open(&in->with[i], o->with[i], &e))
			return cli_mistake("inspect", &e);
		in->n_with++;
	}
	return 0;
}

static int inspect_show(const struct inspection *in, const struct options *o,
			const struct policy_session *s)
{
	struct err e = { "" };
	int ret;

	if (o->json)
		ret = inspect_json(stdout, in->kernel, in->module, o->driver, in->plan, s);
	else
		ret = inspect_table(stdout, in->kernel, in->module, in->plan, s);
	if (cli_stdout_flush(ret, &e))
		return cli_mistake("inspect", &e);
	return link_plan_refused(in->plan) ? INSPECT_REFUSED : INSPECT_LINKS;
}

static int inspect_one(struct inspection *in, const struct options *o,
		       const struct policy_session *s)
{
	const struct link_rules rules = inspect_rules(s);
	struct link_provider providers[WITH_MAX];
	const struct link_session session = { providers, in->n_with, &rules };
	struct err e = { "" };

	for (size_t i = 0; i < in->n_with; i++)
		providers[i] = (struct link_provider){ in->with[i], module_name(in->with[i]),
						       INSPECT_SUFFIX };
	if (link_plan_create(&in->plan, in->kernel, in->module, &session, &e))
		return cli_mistake("inspect", &e);
	return inspect_show(in, o, s);
}

static void inspection_close(struct inspection *in)
{
	link_plan_free(in->plan);
	for (size_t i = 0; i < in->n_with; i++)
		module_close(in->with[i]);
	module_close(in->module);
	policy_free(in->policy);
	kernel_close(in->kernel);
}

/*
 * Gives up everything but reading the files that the options name: their contents are a stranger's.
 * Links of a whole directory may lead anywhere.
 */
static int inspect_confine(const struct options *o)
{
	const char *paths[WITH_MAX + 8] = { NULL };
	struct err e = { "" };
	size_t n = 0;

	for (size_t i = 0; i < o->n_with; i++)
		paths[n++] = o->with[i];
	if (o->driver)
		paths[n++] = o->driver;
	if (o->all)
		paths[n++] = "/";
	if (o->policy)
		paths[n++] = o->policy;
	paths[n++] = o->kernel ? o->kernel : "/vmlinuz";
	if (!o->kernel) {
		/* The one that the driver was built for, or where a link there leads. */
		paths[n++] = "/boot";
		paths[n++] = "/usr/lib/modules";
		paths[n++] = "/lib/modules";
	}
	return confine_reader(paths, &e) ? cli_mistake("inspect", &e) : 0;
}

int cmd_inspect(int argc, char **argv)
{
	const struct policy_session *s;
	struct inspection in = { 0 };
	struct options o = { 0 };
	struct err e = { "" };
	struct link_rules rules;
	int ret;

	if (!parse_options(&o, argc, argv, &ret))
		return ret;
	ret = inspect_confine(&o);
	if (ret)
		return ret;
	if (o.driver && module_open(&in.module, o.driver, &e)) {
		ret = cli_mistake("inspect", &e);
		goto out;
	}
	ret = with_modules_open(&in, &o);
	if (!ret)
		ret = load_policy(&in, &o, &s);
	if (!ret)
		ret = load_kernel(&in, &o);
	if (ret)
		goto out;
	rules = inspect_rules(s);
	ret = o.all ? inspect_all(in.kernel, o.all, &rules, o.json) : inspect_one(&in, &o, s);
out:
	inspection_close(&in);
	return ret;
}
