#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# How vmm record follows a file that grows, and what it does with lines that are wider than a terminal. Speaks TAP.
set -u
# shellcheck source=tests/lib_tap.sh
. tests/lib_tap.sh
vmm=$PWD/build/vmm
tap_begin 'how vmm record prints'
record=$work/record
path=/a/path/that/is/longer/than/any/line/of/a/terminal/with/eighty/columns/would/be

# line TIME VERDICT: append a request to the record
line()
{
	printf '{"time_ns":%s,"session":"a","driver":"lime","function":"filp_open","asked":"%s/%s","argv":null,"used":"x",%s}\n' \
		"$1" "$path" "$1" "\"verdict\":\"$2\",\"error\":null,\"rule\":\"files[0] at demo.policy:7\"" >>"$record"
}

line 1000 pass
line 2000 deny

# on_terminal WIDTH ARG...: what vmm record prints there, without colours
on_terminal()
{
	local width=$1

	shift
	TERM=dumb script -qec "stty cols $width; '$vmm' record $*" /dev/null </dev/null | tr -d '\r'
}

wraps()
{
	on_terminal 80 "$record" >"$work/wrapped"
	[ "$(wc -L <"$work/wrapped")" -le 80 ] || return
	! grep -qF ... "$work/wrapped" || return
	# All of the path is there, piece by piece in its column.
	tr -d ' \n' <"$work/wrapped" | grep -q 'files\[0\]atdemo.policy:7' || return
	[ "$(grep -c 'files\[0\] at demo.policy:7' "$work/wrapped")" = 2 ]
}
result 'vmm record wraps at the width of a terminal and cuts nothing' wraps

is_not_wrapped()
{
	"$vmm" record "$record" >"$work/out" && [ "$(grep -c "$path/[12]000 .*files" "$work/out")" = 2 ]
}
result 'off a terminal each row is a line' is_not_wrapped

has() { grep -q "$@" "$work/follow"; }

follows()
{
	local follower

	timeout 60 "$vmm" record --follow "$record" -v deny >"$work/follow" &
	follower=$!
	wait_for 10 has "$path/2000" || return
	line 3000 pass
	printf '{"time_ns":4000,' >>"$record"
	line 5000 deny # damaged by what stands before it
	line 6000 deny
	wait_for 10 has "$path/6000" || return
	kill -INT "$follower"
	wait "$follower" || return
	! has /5000 || return
	! has /3000 || return
	has '^2 entries in 2 rows' && has '^1 damaged lines were left out'
}
# A shell lets its background processes ignore SIGINT, unless it controls jobs.
set -m
result 'vmm record --follow prints what comes, and ends at ^C with what there was' follows
set +m

of_many()
{
	"$vmm" record -f "$work"/part* >"$work/follow" &
	follower=$!
	wait_for 10 has "$path/11" || return
	record=$work/part.1 line 13 pass
	wait_for 10 has "$path/13" || return
	: >"$work/part"
	sleep 0.5 # between two looks at the file; nothing tells that it has been seen to be empty
	record=$work/part line 14 pass
	wait_for 10 has "$path/14" || return
	kill "$follower"
	[ "$("$vmm" record "$work"/part* --json | jq -c '[.requests[].time_ns]')" = '[12,13,14]' ]
}
record=$work/part line 11 pass
record=$work/part.1 line 12 pass
result 'vmm record takes several files together, of which one is emptied' of_many

of_a_pipe()
{
	local out

	# shellcheck disable=SC2016 # for jq
	out=$({ cat "$record"; sleep 0.2; line 7000 deny; tail -n 1 "$record"; } | timeout 20 "$vmm" record -f -j - | jq -r .time_ns)
	[ "${out//$'\n'/ }" = '1000 2000 3000 6000 7000' ] || { echo "$out"; return 1; }
}
result 'vmm record --follow reads a pipe to its end' of_a_pipe

lost()
{
	timeout 20 "$vmm" record -f "$record" >/dev/full 2>"$work/errors"
	[ $? = 1 ] && grep -q 'cannot write to stdout: No space left' "$work/errors"
}
result 'vmm record --follow ends when its output is lost' lost

echo "1..$n"
