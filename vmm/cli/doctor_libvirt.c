// SPDX-License-Identifier: GPL-2.0-only
/* Looks whether a host is ready for domains of libvirt: its emulator, user, devices and profile. */
#include "vmm/cli/doctor_libvirt.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/types.h"

#define USER	 "libvirt-qemu"
#define EMULATOR "/usr/bin/umbra-qemu"
#define APPARMOR "/etc/apparmor.d/"
#define LOCAL	 APPARMOR "local/abstractions/libvirt-qemu"
#define OURS	 "abstractions/umbra-qemu"
#define INCLUDE	 "include if exists <" OURS ">"

/*
 * What the profile of a domain has to permit beyond what libvirt puts into it: the lines of
 * tools/umbra-qemu/apparmor, which is installed as OURS.
 */
static const char *const rules[] = {
	"/usr/bin/umbra-qemu rmix,",
	"/usr/bin/vmm rmix,",
	"/usr/lib/umbra/** rmix,",
	"/usr/bin/qemu-storage-daemon rmix,",
	"/etc/umbra/** r,",
	"/var/lib/umbra/** r,",
	"/var/cache/umbra/ r,",
	"/var/cache/umbra/** r,",
	"owner /var/lib/umbra/records/** rwk,",
};

struct look {
	const char *root;
	json_t *list;
	bool failed;	/* no memory */
	char path[512]; /* of look_at() */
};

static const char *look_at(struct look *l, const char *path)
{
	snprintf(l->path, sizeof(l->path), "%s%s", l->root, path);
	return l->path;
}

/* Adds a finding; @why NULL: all is well. */
static void tell(struct look *l, const char *what, const char *why, const char *advice)
{
	json_t *o = why ? json_pack("{s:s, s:b, s:s, s:s}", "what", what, "ok", 0, "why", why, "do",
				    advice)
			: json_pack("{s:s, s:b}", "what", what, "ok", 1);

	if (!o || json_array_append_new(l->list, o))
		l->failed = true;
}

/* Adds a finding of what is well, but worth a line. */
static void tell_note(struct look *l, const char *what, const char *note)
{
	json_t *o = json_pack("{s:s, s:b, s:s}", "what", what, "ok", 1, "note", note);

	if (!o || json_array_append_new(l->list, o))
		l->failed = true;
}

/* Reads a file of one short line; false: there is none. */
static bool first_line(struct look *l, const char *path, char *line, size_t len)
{
	FILE *f = fopen(look_at(l, path), "re");
	bool ok = f && fgets(line, (int)len, f);

	if (f)
		fclose(f);
	if (ok)
		line[strcspn(line, "\n")] = '\0';
	return ok;
}

static void look_at_emulator(struct look *l)
{
	bool ok = !access(look_at(l, EMULATOR), X_OK);

	tell(l, "emulator",
	     ok ? NULL
		: EMULATOR " is not there, and the profile of libvirtd lets it start an emulator "
			   "from /usr/bin alone",
	     "install the package, or by `make install prefix=/usr`");
}

/* Finds libvirt's user in the host's own files, without the name service. */
static bool find_user(struct look *l, gid_t *gid)
{
	FILE *f = fopen(look_at(l, "/etc/passwd"), "re");
	struct passwd *p = NULL;

	while (f && (p = fgetpwent(f)) && strcmp(p->pw_name, USER) != 0)
		;
	if (p)
		*gid = p->pw_gid;
	if (f)
		fclose(f);
	return p;
}

static bool is_member(struct look *l, gid_t own, gid_t gid)
{
	FILE *f = fopen(look_at(l, "/etc/group"), "re");
	bool member = own == gid;
	struct group *g;

	while (f && !member && (g = fgetgrent(f)))
		for (char **m = g->gr_mem; g->gr_gid == gid && *m; m++)
			member = member || !strcmp(*m, USER);
	if (f)
		fclose(f);
	return member;
}

static void look_at_kvm(struct look *l, gid_t gid)
{
	struct stat st;

	if (stat(look_at(l, "/dev/kvm"), &st))
		tell(l, "kvm", "there is no /dev/kvm", "see vmm doctor");
	else if ((st.st_mode & 0006) == 0006 ||
		 ((st.st_mode & 0060) == 0060 && is_member(l, gid, st.st_gid)))
		tell(l, "kvm", NULL, NULL);
	else
		tell(l, "kvm", "the user " USER " cannot open /dev/kvm",
		     "chgrp kvm /dev/kvm && chmod 660 /dev/kvm, as udev does");
}

static void look_at_user(struct look *l)
{
	gid_t gid;

	if (!find_user(l, &gid)) {
		tell(l, "user", "there is no user " USER, "apt install libvirt-daemon-system");
		return;
	}
	tell(l, "user", NULL, NULL);
	look_at_kvm(l, gid);
}

static void look_at_namespaces(struct look *l)
{
	char line[16];
	bool off =
		first_line(l, "/proc/sys/kernel/unprivileged_userns_clone", line, sizeof(line)) &&
		!strcmp(line, "0");

	if (first_line(l, "/proc/sys/user/max_user_namespaces", line, sizeof(line)) &&
	    !strcmp(line, "0"))
		off = true;
	tell(l, "namespaces",
	     off ? "users may not make namespaces here, so a guest's VMM is confined without them"
		 : NULL,
	     "sysctl kernel.unprivileged_userns_clone=1 user.max_user_namespaces=10000");
}

/* Makes each blank between words one space, and leaves none around them. */
static void squeeze(char *line)
{
	char *out = line, *rest;

	for (char *word = strtok_r(line, " \t\n", &rest); word;
	     word = strtok_r(NULL, " \t\n", &rest)) {
		size_t n = strlen(word);

		if (out != line)
			*out++ = ' ';
		memmove(out, word, n);
		out += n;
	}
	*out = '\0';
}

/* Is @rule a line of the file? NULL: there is none. */
static bool has_rule(FILE *f, const char *rule)
{
	size_t n = strlen(rule);
	char line[512];

	if (!f)
		return false;
	rewind(f);
	while (fgets(line, sizeof(line), f)) {
		squeeze(line);
		if (!strncmp(line, rule, n) && (!line[n] || !strncmp(line + n, " #", 2)))
			return true;
	}
	return false;
}

/* Does the administrator's file include OURS, in one of the forms that the parser knows? */
static bool includes_ours(FILE *f)
{
	return has_rule(f, INCLUDE) || has_rule(f, "include <" OURS ">") ||
	       has_rule(f, "#include <" OURS ">");
}

/*
 * Adds what is missing to @advice. The package brings OURS with all the rules, so one line is all
 * that is missing then; without it, each rule is.
 */
static bool is_missing(FILE *local, FILE *ours, char *advice, size_t size)
{
	bool included = ours && includes_ours(local), missing = false, brought = true;
	size_t len = strlen(advice), start = len;

	for (size_t i = 0; i < ARRAY_SIZE(rules); i++) {
		bool there = has_rule(ours, rules[i]);

		brought = brought && there;
		if (has_rule(local, rules[i]) || (included && there))
			continue;
		missing = true;
		len += (size_t)snprintf(advice + len, size - len, "\n  %s", rules[i]);
	}
	if (missing && brought)
		snprintf(advice + start, size - start, "\n  " INCLUDE);
	return missing;
}

static void look_at_apparmor(struct look *l)
{
	char line[8], advice[900] = "add to " LOCAL ":";
	FILE *local, *ours;

	if (!first_line(l, "/sys/module/apparmor/parameters/enabled", line, sizeof(line)) ||
	    *line != 'Y') {
		tell(l, "apparmor", NULL, NULL);
		return;
	}
	local = fopen(look_at(l, LOCAL), "re");
	ours = fopen(look_at(l, APPARMOR OURS), "re");
	if (is_missing(local, ours, advice, sizeof(advice)))
		tell(l, "apparmor",
		     "AppArmor is on, and the profile of libvirt's domains does not permit Umbra",
		     advice);
	else
		tell_note(l, "apparmor",
			  "the profile of libvirt's domains forbids namespaces, so a guest's VMM "
			  "goes without the layers mount, net and ipc of its own confinement");
	if (local)
		fclose(local);
	if (ours)
		fclose(ours);
}

json_t *doctor_libvirt(const char *root)
{
	struct look l = { .root = root, .list = json_array() };

	if (!l.list)
		return NULL;
	look_at_emulator(&l);
	look_at_user(&l);
	look_at_namespaces(&l);
	look_at_apparmor(&l);
	if (!l.failed)
		return l.list;
	json_decref(l.list);
	return NULL;
}
