#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The Debian package: it builds from its sources alone, lintian finds no error, and what is in it works
# where dpkg puts it. Speaks TAP; takes a minute.
set -u
unset MAKEFLAGS MAKELEVEL MFLAGS
export LC_ALL=C
. tests/lib_tap.sh
tap_begin package build man package

build()
{
	make -s --no-print-directory deb >"$work/log" 2>&1 || { tail -n 40 "$work/log"; return 1; }
}

field()
{
	dpkg-deb -f build/deb/umbra_*_amd64.deb "$1"
}

version()
{
	[ "$("$work/root/usr/bin/vmm" --version)" = "vmm (Umbra) $(field Version)" ]
}

# Whatever it finds, it says so by its code and a line.
doctor()
{
	"$work/root/usr/bin/vmm" doctor >"$work/doctor"
	case $?:$(cat "$work/doctor") in
	0:direct:* | 3:'lab needed:'* | 1:'no KVM:'*) ;;
	*) cat "$work/doctor"; return 1 ;;
	esac
}

# vmm itself is static; the network's program is not.
depends()
{
	[[ $(field Depends) == *libc6* && $(field Depends) == *libslirp0* ]]
}

page()
{
	mandoc -T ascii <(zcat "$work/root/usr/share/man/man1/vmm-run.1.gz") | grep -q 'vmm run'
}

# The build's path is in a .ko's build-id, so that two builds are alike, not the same.
symbols()
{
	nm "$1/guest/$release/umbra.ko"
}

# For a kernel whose headers are here, as the error of a missing shim tells people to do.
shim()
{
	local headers release

	for headers in /usr/src/linux-headers-6.*-amd64; do
		release=${headers#/usr/src/linux-headers-}
		[ -e "$headers/Makefile" ] || continue
		"$work/root/usr/bin/umbra-shim" "$release" >/dev/null &&
			cmp <(symbols "$work/root/usr/lib/umbra") <(symbols build)
		return
	done
}

scripts()
{
	dpkg-deb -e build/deb/umbra_*_amd64.deb "$work/control" &&
		sh -n "$work/control/postinst" && sh -n "$work/control/postrm" &&
		grep -q 'adduser --quiet umbra kvm' "$work/control/postinst"
}

# The hook for headers that are installed later: built if it can be, and never an error of theirs.
hook()
{
	local hook=$work/root/etc/kernel/header_postinst.d/umbra

	[ -x "$hook" ] && sh -n "$hook" && PATH=$work/root/usr/bin:$PATH "$hook" 0.0-none >"$work/hook" 2>&1 &&
		grep -q "no shim for 0.0-none" "$work/hook"
}

# Whoever has only the package has no source tree: no message leads there.
no_tree()
{
	local tree='make (setup|shim|agent)\b|tools/(lab|setup)\b|images/(fetch-kernel|mk[a-z]+)\b' bad=0

	while IFS= read -r file; do
		! zgrep -HnE "$tree" "$file" || bad=1
	done < <(find "$work/root/usr/share/man" "$work/root/usr/share/bash-completion" -type f)
	# What vmm only says in the source tree.
	! strings "$work/root/usr/bin/vmm" | grep -vx 'tools/lab' | grep -E "$tree" || bad=1
	! grep -E "$tree" "$work/doctor" || bad=1
	return "$bad"
}

no_path()
{
	! grep -rlF "$PWD/build" "$work/root"
}

result package_builds build
result it_unpacks dpkg-deb -x build/deb/umbra_*_amd64.deb "$work/root"
result version_is_that_of_the_changelog version
result doctor_runs doctor
result dependencies depends
result manual_page page
result hook_for_kernel_headers hook
result no_text_names_the_source_tree no_tree
result no_path_of_the_builder no_path
result maintainer_scripts scripts
result shim_is_built_from_what_is_installed shim
echo "1..$n"
