#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# make install into a DESTDIR: what is there works from there, and make uninstall leaves nothing.
# Speaks TAP.
set -u
unset MAKEFLAGS MAKELEVEL MFLAGS
. tests/tap.sh
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
		! grep -rlaF "$PWD/" "$work/dest/elsewhere/share" "$work/dest/elsewhere/lib/umbra/build-shim"
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
	! "$work/dest/opt/umbra/lib/umbra/build-shim" 0.0-none 2>"$work/errors" &&
		grep -q '0.0-none: its headers are not here' "$work/errors"
}

args=(-s --no-print-directory DESTDIR="$work/dest" prefix=/opt/umbra)
result make_install make "${args[@]}" install
result nothing_outside_the_prefix test "$(ls -A "$work/dest")$(ls -A "$work/dest/opt")" = optumbra
result all_parts has bin/vmm lib/umbra/net-helper lib/umbra/guest/agent lib/umbra/build-shim lib/umbra/guest-shim/Kbuild \
	lib/umbra/guest-shim/abi.h share/man/man1/vmm.1 share/man/man1/vmm-run.1 \
	share/man/man5/umbra-policy.5 share/umbra/examples/demo.policy \
	share/bash-completion/completions/vmm
result shims shims
result vmm_answers answers "$work/dest/opt/umbra/bin/vmm"
result it_can_be_moved moved
result build_shim_needs_headers needs_headers
before=$(installed)
result installing_again make "${args[@]}" install
result installs_the_same test "$before" = "$(installed)"
result make_uninstall make "${args[@]}" uninstall
result uninstall_leaves_nothing empty
echo "1..$n"
