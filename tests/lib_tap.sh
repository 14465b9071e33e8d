# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the tests that are shell scripts begin with: they speak TAP, and work in $work.
# shellcheck source=tests/lib_wait.sh
. tests/lib_wait.sh
n=0

# tap_skip NAME REASON: all of this program is skipped.
tap_skip()
{
	echo '1..1'
	echo "# $2"
	echo "ok 1 # SKIP $1"
	exit 0
}

# tap_begin NAME GROUP...: skip all if packages of these groups (tools/packages) are missing.
tap_begin()
{
	local name=$1

	shift
	tools/check-tools "$@" 2>/dev/null || tap_skip "$name" "packages of the groups $* are missing"
	work=$(mktemp -d) || exit 1
	trap 'rm -rf "$work"' EXIT
}

# verdict STATUS NAME: one test, passed if the status of what has been done is 0.
verdict()
{
	n=$((n + 1))
	if [ "$1" = 0 ]; then echo "ok $n - $2"; else echo "not ok $n - $2"; fi
}

# result NAME COMMAND...: one test, passed if the command succeeds.
result()
{
	local name=$1

	shift
	"$@"
	verdict $? "$name"
}
