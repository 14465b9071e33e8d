#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The rule of the rooms is checked: tools/check-rooms is tried on a copy of the tree in which an arrow,
# an include of a room's inside, a circle, a second name, a stem of two rooms, a second struct of one
# tag or a print is planted. Speaks TAP.
set -u
export LC_ALL=C
. tests/lib_tap.sh
tap_begin rooms build

tree=$work/tree

# A copy of the rooms and of their objects, without git.
fresh_copy()
{
	rm -rf "$tree"
	mkdir -p "$tree/build/obj" && cp -r base policy devices shadow vmm guest-shim "$tree/" || return 1
	mkdir -p "$tree/tools" && cp tools/check-rooms "$tree/tools/" || return 1
	for room in base policy devices shadow vmm guest-shim; do
		cp -r "build/obj/$room" "$tree/build/obj/" || return 1
	done
}

check()
{
	ROOMS_TREE=$tree bash tools/check-rooms >"$work/out" 2>&1
}

# plant NAME EXPECTED COMMAND...: after the command, check-rooms fails and says EXPECTED (a pattern),
# which it did not say before.
plant()
{
	local expected=$1

	shift
	fresh_copy || return 1
	check
	! grep -E "$expected" "$work/out" || return 1
	"$@" || return 1
	! check || return 1
	grep -qE "$expected" "$work/out" || { cat "$work/out"; return 1; }
}

# object FILE TEXT: the object of the source FILE, made of TEXT instead.
object()
{
	cc -c -xc -o "$tree/build/obj/${1%.*}.o" - <<<"$2"
}

add_include()
{
	echo '#include "vmm/machine/machine.h"' >>"$tree/base/file.c"
}

add_include_in_brackets()
{
	echo '#include <vmm/machine/machine.h>' >>"$tree/base/file.c"
}

add_include_of_an_inside()
{
	echo '#include "vmm/machine/machine_int.h"' >>"$tree/vmm/boot/boot.c"
}

add_include_for_the_guest()
{
	echo '#include "vmm/cli/cli.h"' >>"$tree/guest-shim/agent.c"
}

add_call()
{
	echo >"$tree/base/planted.c"
	object base/planted.c 'int policy_load(); int planted(void) { return policy_load(); }'
}

add_circle_of_calls()
{
	echo >"$tree/base/left.c"
	echo >"$tree/base/right.c"
	object base/left.c 'int right(); int left(void) { return right(); }'
	object base/right.c 'int left(); int right(void) { return left(); }'
}

# One half is seen in the headers only.
add_circle_of_headers()
{
	echo '#include "base/right.h"' >"$tree/base/left.h"
	echo >"$tree/base/right.h"
	echo >"$tree/base/left.c"
	echo >"$tree/base/right.c"
	object base/left.c 'int left(void) { return 0; }'
	object base/right.c 'int left(); int right(void) { return left(); }'
}

add_print()
{
	echo >"$tree/devices/planted.c"
	object devices/planted.c '#include <stdio.h>
int planted(void) { return fputs("x", stderr); }'
}

add_print_by_number()
{
	echo 'static int planted(void) { return (int)write(STDERR_FILENO, "x", 1); }' >>"$tree/vmm/gate/call.c"
}

add_name()
{
	echo >"$tree/devices/file.h"
}

add_stem()
{
	echo >"$tree/devices/decide.h"
}

add_tag()
{
	echo 'struct loop { int x; };' >>"$tree/devices/pci.c"
}

# A library of the lab that is called as one of its cases.
add_script_name()
{
	mkdir -p "$tree/tests/lab/cases"
	echo >"$tree/tests/lab/tap.sh"
	echo >"$tree/tests/lab/cases/tap.sh"
}

add_homeless()
{
	mkdir -p "$tree/vmm/attic" && echo >"$tree/vmm/attic/old.h"
}

add_unbuilt()
{
	echo >"$tree/base/new.c"
}

# A line that lets a room use one above it.
add_line_upwards()
{
	sed -i 's|^base:.*|base: vmm/cli|' "$tree/vmm/rooms"
}

result this_tree_follows_its_list tools/check-rooms
result an_include_against_the_list plant \
	'^base/file.c:[0-9]+: base may not include vmm/machine/machine.h: vmm/rooms lists no vmm/machine' add_include
result an_include_in_brackets plant \
	'^base/file.c:[0-9]+: base may not include vmm/machine/machine.h' add_include_in_brackets
result an_include_of_another_rooms_inside plant \
	'^vmm/boot/boot.c:[0-9]+: includes vmm/machine/machine_int.h, which is for the files of vmm/machine only' \
	add_include_of_an_inside
result an_include_of_the_guests_code plant \
	'^guest-shim/agent.c:[0-9]+: guest-shim may not include vmm/cli/cli.h' add_include_for_the_guest
result a_call_against_the_list plant \
	'^base/planted.c: base may not call policy_load\(\) of policy/' add_call
result a_circle_of_calls plant 'base/left.c calls right\(\) of base/right.c' add_circle_of_calls
result a_circle_through_a_header plant 'base/left.h:1 includes base/right.h' add_circle_of_headers
result a_device_that_prints plant '^devices/planted.c: stderr: only the command prints' add_print
result a_print_by_its_number plant '^vmm/gate/call.c:[0-9]+: STDERR_FILENO: only' add_print_by_number
result a_name_that_two_files_have plant '^file.h: the base name of base/file.h devices/file.h' add_name
result a_stem_that_two_rooms_have plant \
	'^decide: devices/decide.h and policy/decide.c have this stem' add_stem
result a_name_that_two_scripts_have plant \
	'^tap.sh: the base name of tests/lab/cases/tap.sh tests/lab/tap.sh' add_script_name
result a_file_in_no_room plant '^vmm/attic/old.h: is in no room' add_homeless
result a_second_struct_of_one_tag plant \
	'^loop: base/loop.c and devices/pci.c define it' add_tag
result a_source_without_its_object plant '^base/new.c: has no object .* run make first' add_unbuilt
result a_list_that_goes_upwards plant 'base may use vmm/cli, which no line above it names' add_line_upwards
echo "1..$n"
