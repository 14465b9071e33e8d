# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# What the tests that are shell scripts begin with: they speak TAP, and work in $work.
n=0

# tap_begin NAME GROUP...: skip all if packages of these groups (tools/packages) are missing.
tap_begin()
{
	local name=$1

	shift
	if ! tools/check-tools "$@" 2>/dev/null; then
		echo '1..1'
		echo "ok 1 - $name # SKIP packages of the groups $* are missing"
		exit 0
	fi
	work=$(mktemp -d) || exit 1
	trap 'rm -rf "$work"' EXIT
}

# result NAME COMMAND...: one test, passed if the command succeeds.
result()
{
	local name=$1

	shift
	n=$((n + 1))
	if "$@"; then echo "ok $n - $name"; else echo "not ok $n - $name"; fi
}
