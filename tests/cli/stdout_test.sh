#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# What a command prints arrives or is an error; what people type out of habit gets a hint. Speaks TAP.
set -u
# shellcheck source=tests/lib_tap.sh
. tests/lib_tap.sh
vmm=$PWD/build/vmm
tap_begin 'what commands print'
export XDG_RUNTIME_DIR=$work

# lost ARG...: with stdout full, and with stdout closed, exit code 1 and one line that says so
lost()
{
	local out

	out=$(timeout 20 "$vmm" "$@" 2>&1 >/dev/full </dev/null)
	if [ $? != 1 ] || [[ $out != 'vmm: cannot write to stdout: No space left on device' ]]; then
		echo "full: '$out'"
		return 1
	fi
	out=$(timeout 20 "$vmm" "$@" 2>&1 >&- </dev/null)
	if [ $? != 1 ] || [[ $out != 'vmm: cannot write to stdout: Bad file descriptor' ]]; then
		echo "closed: '$out'"
		return 1
	fi
}

for words in help version 'help run' 'ps --json' ps; do
	# shellcheck disable=SC2086
	result "vmm $words says that its output is lost" lost $words
done
for command in $("$vmm" help | sed -n 's/^  \([a-z]*\) .*/\1/p' | grep -v '^vmm$'); do
	result "vmm $command --help says that its output is lost" lost "$command" --help
done

# More than a buffer, so that a write fails before the last one.
yes '{"time_ns":1,"event":"planted","text":"a text"}' | head -n 2000 >"$work/record"
from_stdin()
{
	build/vmm record - <"$work/record" >"$work/out" && grep -q '^2000 entries in 1 row' "$work/out"
}
result 'vmm record reads - from stdin' from_stdin
result 'vmm record says that its output is lost' lost record "$work/record"
result 'vmm record --json says that its output is lost' lost record --json "$work/record"

# shellcheck disable=SC2016 # for the shell inside
result 'vmm run --detach says that stdout is closed' bash -c \
	'out=$("$0" run --detach --kernel /nowhere 2>&1 >&-) || [[ $out == *"name to stdout: Bad file"* ]]' "$vmm"

# hint WANT ARG...: a usage error whose line has WANT
hint()
{
	local want=$1 out

	shift
	out=$(timeout 20 "$vmm" "$@" 2>&1 </dev/null)
	if [ $? != 2 ] || [[ $out != *"$want"* ]]; then
		echo "'$out'; expected '$want'"
		return 1
	fi
}

result 'list is ps' hint 'unknown command "list"; did you mean "ps"?' list
result 'reboot is reset' hint 'did you mean "reset"?' reboot x
result 'shutdown is stop' hint 'did you mean "stop"?' shutdown x
result '-m is --memory' hint 'unknown option "-m"; did you mean --memory?' run -m 512M
result '-kernel is --kernel' hint 'unknown option "-kernel"; did you mean --kernel?' run -kernel K
result '-smp is --cpus' hint 'unknown option "-smp"; did you mean --cpus?' run -smp 2
result 'a typing error' hint 'unknown option "--memroy"; did you mean --memory?' run --memroy=1
echo "1..$n"
