#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# The directory of the control sockets of a user who is not root: one that another user has prepared, or
# could replace, is refused by all commands. Speaks TAP.
set -u
# shellcheck source=tests/lib_tap.sh
. tests/lib_tap.sh
tap_begin 'directories of sockets' build

if [ "$EUID" != 0 ]; then
	echo 'ok 1 - directories of sockets # SKIP only root can be several users'
	echo 1..1
	exit 0
fi
uid=$((100000 + $$))
other=$((uid + 1000000))
mine=/tmp/umbra-$uid
trap 'rm -rf "$work" "$mine"' EXIT
chmod 755 "$work"
cp build/vmm "$work/vmm"
command=(setpriv "--reuid=$uid" "--regid=$uid" --clear-groups)

# as_user RUNTIME COMMAND...: without XDG_RUNTIME_DIR if RUNTIME is -
as_user()
{
	local runtime=$1

	shift
	if [ "$runtime" = - ]; then
		"${command[@]}" env -u XDG_RUNTIME_DIR "$@"
	else
		"${command[@]}" env XDG_RUNTIME_DIR="$runtime" "$@"
	fi
}

taken() # RUNTIME: an empty list
{
	[ "$(as_user "$1" "$work/vmm" ps --json 2>&1)" = '[]' ] || { as_user "$1" "$work/vmm" ps; return 1; }
}

refused() # RUNTIME: one line, exit code 1, by a command that reads and by one that makes the directory
{
	local said code

	for words in 'ps' 'wait x' 'run --detach --kernel /nowhere --name x'; do
		# shellcheck disable=SC2086
		said=$(as_user "$1" "$work/vmm" $words 2>&1)
		code=$?
		if [ $code != 1 ] || [[ $said != *'is not a directory of yours alone'* ]]; then
			echo "vmm $words: $code, '$said'"
			return 1
		fi
	done
}

# directory PATH OWNER MODE
directory()
{
	rm -rf "$1"
	mkdir "$1" && chown "$2:$2" "$1" && chmod "$3" "$1"
}

result 'in /tmp, where nothing is' taken -
result 'it is made, for its user alone' test "$(stat -c '%u %a' "$mine")" = "$uid 700"
result 'in /tmp, where it is' taken -
directory "$mine" $other 755
result 'in /tmp, where another user has made it' refused -
directory "$mine" $uid 777
result 'in /tmp, where others can write it' refused -
directory "$work/real" $uid 700
rm -rf "$mine" && ln -s "$work/real" "$mine"
result 'in /tmp, behind a link' refused -
rm -f "$mine"

directory "$work/run" $uid 700
result 'in a directory of the user' taken "$work/run"
directory "$work/run/umbra" $uid 700
result 'in a directory of the user that is there' taken "$work/run"
directory "$work/run" $other 755
directory "$work/run/umbra" $uid 700
result 'in a directory of another user, who could replace it' refused "$work/run"
directory "$work/run" $uid 777
directory "$work/run/umbra" $uid 700
result 'in a directory that others can write' refused "$work/run"
directory "$work/run" 0 1777
directory "$work/run/umbra" $uid 700
result 'in one like /tmp' taken "$work/run"
echo "1..$n"
