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

# Rules for AppArmor's profile of libvirt's domains, a conffile as all of /etc is.
apparmor()
{
	cmp tools/umbra-qemu/apparmor "$work/root/etc/apparmor.d/abstractions/umbra-qemu" &&
		grep -qx /etc/apparmor.d/abstractions/umbra-qemu "$work/control/conffiles"
}

# What only the source tree has.
tree='make (setup|shim|agent)\b|tools/(lab|setup)\b|images/(fetch-kernel|mk[a-z]+)\b'

# Whoever has only the package has no source tree: no message leads there.
no_tree()
{
	local bad=0

	while IFS= read -r file; do
		! zgrep -HnE "$tree" "$file" || bad=1
	done < <(find "$work/root/usr/share/man" "$work/root/usr/share/bash-completion" -type f)
	# What vmm only says in the source tree.
	! strings "$work/root/usr/bin/vmm" | grep -vx 'tools/lab' | grep -E "$tree" || bad=1
	! grep -E "$tree" "$work/doctor" || bad=1
	return "$bad"
}

# A root with the package, the libraries that it depends on, and of Debian only what a shell has.
bare_root()
{
	local dir file lib

	cp -a "$work/root" "$bare"
	mkdir -p "$bare"/{dev,proc,root,run,tmp,var/lib,usr/{sbin,lib64}}
	for dir in bin sbin lib lib64; do ln -s "usr/$dir" "$bare/$dir"; done
	for file in bash sh env cat basename dirname id mkdir mktemp rm mv cp ln ls sed grep sort head tail \
		cut tr find touch chmod truncate readlink uname ldd sha256sum flock; do
		cp -L "$(command -v "$file")" "$bare/usr/bin/" || return
	done
	for file in "$bare"/usr/bin/* "$bare/usr/lib/umbra/net-helper"; do
		for lib in $(ldd "$file" 2>/dev/null | grep -o '/[^ ]*'); do
			[ -e "$bare$lib" ] || { mkdir -p "$bare${lib%/*}" && cp -L "$lib" "$bare$lib"; } || return
		done
	done
}

# What a new user may type, mistakes among it. One command a line.
first_hour()
{
	cat <<-'END'
		vmm --help
		vmm doctor
		vmm ps --all
		vmm list
		vmm reboot
		vmm shutdown
		vmm run
		vmm run -m 512M
		vmm run -kernel /none
		vmm run --kernel /none
		vmm run --kernel /none --net user --disk /none.qcow2
		vmm run --firmware seabios --disk /none
		vmm run --firmware /none
		vmm inspect --kernel /none /none.ko
		vmm driver load a:/none.ko
		vmm session list
		vmm info none
		vmm console none
		vmm logs none
		vmm wait none
		umbra-shim
		umbra-shim 6.1.0-1-amd64
		umbra-image
		umbra-image mkinitrd
		umbra-image mkinitrd --kernel
		umbra-image mkinitrd /tmp/initrd
		umbra-image mkinitrd --format xz /tmp/initrd
		umbra-image mkdisk /tmp/disk
		umbra-image mkdisk --size 1 /none/disk
		umbra-image mkdebian
		umbra-image fetch-kernel
		umbra-image fetch-kernel cloud
	END
}

in_bare_root()
{
	# shellcheck disable=SC2016
	unshare -m sh -c 'mount -t proc proc "$0/proc" && mount --bind /dev "$0/dev" && exec chroot "$0" "$@"' \
		"$bare" env -i PATH=/usr/bin:/usr/sbin HOME=/root "$@"
}

# A message is the program's own, and what it names as there to be used is there. Only root can make a
# root.
first_hour_is_sound()
{
	local bare=$work/bare line status word bad=0

	[ "$(id -u)" = 0 ] || return 0
	bare_root || return
	while read -r line; do
		# shellcheck disable=SC2086
		in_bare_root $line </dev/null >"$work/said" 2>&1
		status=$?
		if [ "$status" -gt 3 ] ||
			grep -E "line [0-9]+:|not found|unbound|$tree" "$work/said"; then
			echo "# $line: status $status: $(cat "$work/said")"
			bad=1
		fi
		# Words after "install" are advice how to get there.
		for word in $(grep -v install "$work/said" | grep -oE '(/usr|/etc)/[A-Za-z0-9_./-]*[A-Za-z0-9]') \
			$(grep -oE '\b(umbra-(image|shim)|vmm)\b' "$work/said" | sed 's,^,/usr/bin/,'); do
			[ -e "$bare$word" ] || { echo "# $line: names $word: $(cat "$work/said")"; bad=1; }
		done
	done < <(first_hour)
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
result first_hour_in_a_bare_root first_hour_is_sound
result no_path_of_the_builder no_path
result maintainer_scripts scripts
result rules_for_apparmor apparmor
result shim_is_built_from_what_is_installed shim
echo "1..$n"
