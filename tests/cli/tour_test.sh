#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The tours of HACKING.md lead through functions that are there, and tools/check-tour sees one that is
# not. Speaks TAP.
set -u
export LC_ALL=C
. tests/lib_tap.sh
tap_begin tour build

# A function that nobody has, and a file that is gone.
sees_what_is_gone()
{
	mkdir -p "$work/tree/docs" "$work/tree/vmm/gate"
	cp vmm/gate/call.c "$work/tree/vmm/gate/"
	printf '%s\n' '1. `vmm/gate/call.c` `gate_call()`, `gate_called()`: a step' \
		'2. `vmm/gate/gone.c` `gate_call()`' >"$work/tree/HACKING.md"
	: >"$work/tree/docs/empty.md"
	! tools/check-tour "$work/tree" >"$work/out" && [ "$(wc -l <"$work/out")" = 2 ] &&
		grep -q 'call.c has no gate_called()' "$work/out" &&
		grep -q 'there is no vmm/gate/gone.c' "$work/out"
}

result tours_are_true tools/check-tour
result sees_what_is_gone sees_what_is_gone
echo "1..$n"
