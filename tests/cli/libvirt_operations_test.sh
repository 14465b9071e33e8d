#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The table of docs/libvirt.md is what the lab's case tries. Speaks TAP.
set -u
# shellcheck source=tests/lib_tap.sh
. tests/lib_tap.sh
tap_begin 'the table of what virsh can do' build

result 'it is what the case tries' tools/libvirt-operations --check docs/libvirt.md

other()
{
	sed 's/| works |/| later |/' docs/libvirt.md >"$work/other.md"
	! tools/libvirt-operations --check "$work/other.md" 2>"$work/errors" && grep -q 'are not what' "$work/errors"
}
result 'another is refused' other
# Where there is another virsh, or none, the list is what was.
same_commands()
{
	{ virsh -q help domain; virsh -q help monitor; } | sed -n 's/^  *\([a-z][a-z-]*\) .*/\1/p' | sort | cmp - tests/lab/virsh-commands
}
case $(virsh --version 2>/dev/null) in
9.0.*) result 'its list of commands is that of virsh' same_commands ;;
esac
echo "1..$n"
