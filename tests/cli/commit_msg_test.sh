#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# tools/git-hooks/commit-msg takes a message as HACKING.md wants it, and says of another what is wrong.
# Speaks TAP.
set -u
export LC_ALL=C
. tests/lib_tap.sh
tap_begin 'the messages of commits' build
hook=tools/git-hooks/commit-msg

# shellcheck disable=SC2059
taken()
{
	printf "$1" >"$work/message"
	$hook "$work/message"
}

# refused REASON MESSAGE
# shellcheck disable=SC2059
refused()
{
	printf "$2" >"$work/message"
	! $hook "$work/message" 2>"$work/why" || { echo "taken: $2"; return 1; }
	[ "$(wc -l <"$work/why")" = 1 ] && grep -qF -- "$1" "$work/why" || { cat "$work/why"; return 1; }
}

long=$(printf 'x%.0s' {1..72})
just=${long#vmm: }
echo 1..9
result 'subject, empty line, body' taken 'gate: a rule\n\nWhy it is so.\n'
result 'rooms side by side' taken 'vmm/boot, tests: a rule\n\nWhy.\n# a comment of git\n'
result 'a subject of 72 characters' taken "vmm: ${just:5}\n\nWhy.\n"
result 'one of 73' refused '73 characters' "vmm: ${just:4}\n\nWhy.\n"
result 'no room' refused "not 'room: what'" 'Fix it\n\nWhy.\n'
result 'nothing behind the room' refused "not 'room: what'" 'gate: \n\nWhy.\n'
result 'a body at once' refused 'second line' 'gate: a rule\nWhy.\n\nMore.\n'
result 'no body' refused 'no body' 'gate: a rule\n\n# a comment of git\n'
result 'a merge' taken "Merge branch 'x'\n"
