#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# make install into a DESTDIR: what is there works from there, and make uninstall leaves nothing.
# Speaks TAP.
set -u
unset MAKEFLAGS MAKELEVEL MFLAGS
. tests/lib_tap.sh
tap_begin install build man

installed()
{
	(cd "$work/dest/opt/umbra" && find . -type f | sort)
}

has()
{
	local file

	for file; do
		[ -s "$work/dest/opt/umbra/$file" ] || { echo "$file is missing"; return 1; }
	done
}

# The shims of a build tree are only those of this machine's headers.
shims()
{
	local ko

	for ko in build/guest/*/umbra.ko; do
		[ -e "/usr/src/linux-headers-$(basename "${ko%/*}")" ] || continue
		cmp "$ko" "$work/dest/opt/umbra/lib/umbra/${ko#build/}" || return 1
	done
}

answers()
{
	[ "$("$1" --version)" = "$(build/vmm --version)" ]
}

# No path of the build tree: the whole can be moved.
moved()
{
	mv "$work/dest/opt/umbra" "$work/dest/elsewhere"
	"$work/dest/elsewhere/bin/vmm" help >/dev/null &&
		! grep -rlaF "$PWD/" "$work/dest/elsewhere/share" "$work/dest/elsewhere/bin/umbra-shim"
	local status=$?
	mv "$work/dest/elsewhere" "$work/dest/opt/umbra"
	return "$status"
}

empty()
{
	[ -z "$(find "$work/dest" ! -type d)" ] && [ ! -e "$work/dest/opt/umbra/lib/umbra" ]
}

needs_headers()
{
	! "$work/dest/opt/umbra/bin/umbra-shim" 0.0-none 2>"$work/errors" &&
		grep -q '0.0-none: its headers are not here' "$work/errors"
}

# The makers of images keep them where the user has data, and call themselves as they were called.
image_tools()
{
	local i=$work/dest/opt/umbra/bin/umbra-image name

	for name in fetch-kernel mkinitrd mkdisk mkdebian; do
		"$i" "$name" --help | grep -q "^usage: umbra-image $name" || return 1
	done
	! "$i" mkfloppy 2>/dev/null && ! "$i" fetch-kernel clod 2>/dev/null &&
		UMBRA_IMAGES=$work/images "$i" mkinitrd --init images/look-init "$work/initrd" &&
		[ -s "$work/initrd" ] &&
		UMBRA_IMAGES=$work/images "$i" fetch-kernel --help | grep -q "$work/images/cloud"
}

# An applet is a link to busybox: a file of its name takes the link's place, and busybox stays.
image_file_is_no_busybox()
{
	echo mine >"$work/mine"
	"$work/dest/opt/umbra/bin/umbra-image" mkinitrd --file "$work/mine:/bin/ls" "$work/applet" &&
		mkdir "$work/tree" && (cd "$work/tree" && cpio -id --quiet) <"$work/applet" &&
		[ ! -L "$work/tree/bin/ls" ] && cmp "$work/mine" "$work/tree/bin/ls" &&
		cmp "$(command -v busybox)" "$work/tree/bin/busybox"
}

# refused PROGRAM ARG...: it fails, with one line that says how what is there could be replaced.
refused()
{
	! "$work/dest/opt/umbra/bin/umbra-image" "$@" 2>"$work/errors" || { echo "$* was not refused"; return 1; }
	[ "$(wc -l <"$work/errors")" = 1 ] && grep -q -- '--force' "$work/errors" || { cat "$work/errors"; return 1; }
}

# An image that is there may be a guest's disk: it is replaced only when that is asked for.
images_are_spared()
{
	local i=$work/dest/opt/umbra/bin/umbra-image d=$work/spared file

	mkdir -p "$d" && ln -s nowhere "$d/link" || return 1
	for file in disk.img initrd; do
		echo precious >"$d/$file"
	done
	refused mkdisk --size 1M "$d/disk.img" && refused mkinitrd "$d/initrd" && refused mkdisk "$d/link" &&
		refused mkdebian --output "$d" || return 1
	for file in disk.img initrd; do
		[ "$(cat "$d/$file")" = precious ] || { echo "$file was replaced"; return 1; }
	done
	[ "$(ls -A "$d")" = "$(printf '%s\n' disk.img initrd link)" ] || { ls -A "$d"; return 1; }
	(umask 027 && "$i" mkdisk --size 1M --force "$d/disk.img" && "$i" mkinitrd --force "$d/initrd") || return 1
	[ "$(stat -c '%s %a' "$d/disk.img")" = '1048576 640' ] && [ "$(stat -c %a "$d/initrd")" = 640 ] &&
		! grep -q precious "$d/initrd"
}

# Another user who knows the number of the process has made links of the name that it might use.
links_are_not_followed()
{
	local i=$work/dest/opt/umbra/bin/umbra-image d=$work/open

	mkdir -p "$d" && echo precious >"$work/victim" || return 1
	# shellcheck disable=SC2016
	sh -c 'ln -s "$0" "$1/initrd.$$" && exec "$2" mkinitrd "$1/initrd"' "$work/victim" "$d" "$i" || return 1
	[ -s "$d/initrd" ] && [ "$(cat "$work/victim")" = precious ]
}

# A release that cannot have a shim stops nobody's installation of its headers.
shim_if_possible()
{
	"$work/dest/opt/umbra/bin/umbra-shim" --if-possible 0.0-none 6.1.0-1-rt-amd64 2>"$work/errors" &&
		grep -q 'no shim for 0.0-none' "$work/errors" &&
		grep -q 'real-time kernels have no sessions' "$work/errors"
}

args=(-s --no-print-directory DESTDIR="$work/dest" prefix=/opt/umbra)
result make_install make "${args[@]}" install
result nothing_outside_the_prefix test "$(ls -A "$work/dest")$(ls -A "$work/dest/opt")" = optumbra
result all_parts has bin/vmm bin/umbra-qemu share/man/man1/umbra-qemu.1 lib/umbra/net-helper lib/umbra/guest/agent bin/umbra-shim bin/umbra-image \
	lib/umbra/guest-shim/Kbuild lib/umbra/images/where.sh lib/umbra/images/fetch-kernel \
	lib/umbra/images/mkdebian share/man/man1/umbra-shim.1 share/man/man1/umbra-image.1 \
	lib/umbra/guest-shim/abi.h share/man/man1/vmm.1 share/man/man1/vmm-run.1 \
	share/man/man5/umbra-policy.5 share/umbra/examples/demo.policy \
	share/bash-completion/completions/vmm
result shims shims
result vmm_answers answers "$work/dest/opt/umbra/bin/vmm"
result it_can_be_moved moved
result build_shim_needs_headers needs_headers
result image_tools image_tools
result image_file_is_no_busybox image_file_is_no_busybox
result images_are_spared images_are_spared
result links_are_not_followed links_are_not_followed
result shim_if_possible shim_if_possible
before=$(installed)
result installing_again make "${args[@]}" install
result installs_the_same test "$before" = "$(installed)"
result make_uninstall make "${args[@]}" uninstall
result uninstall_leaves_nothing empty
echo "1..$n"
