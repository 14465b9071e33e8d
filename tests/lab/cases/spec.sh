# SPDX-License-Identifier: GPL-2.0-only
# The figures of SPECIFICATION.md that do not depend on the clock are not exceeded.

# The prepared kernel is written by the first run, in the background; the second one is measured.
setup()
{
	local i

	sync "$VMM"
	export XDG_CACHE_HOME=$WORK/cache
	# From memory: the lab's own files come in pieces, each by a system call.
	cp "$BASE/hello-none.img" "$WORK/hello.img"
	for i in 1 2; do
		guest_run --initrd "$WORK/hello.img" --memory 256M --cpus 1 --stats
		expect_exit 0
		[ "$i" = 2 ] || prepared
	done
}

nobody_prepares()
{
	! pgrep -x vmm-prepare
}

prepared()
{
	wait_for 20 nobody_prepares || :
	expect [ -n "$(find "$XDG_CACHE_HOME" -name '*.kernel')" ]
}

# within KEY FIGURE: by the third column of the table; where that is above the goal, it must say so.
within()
{
	local row goal bound measured

	row=$(grep "^| $1 |" SPECIFICATION.md) || fail "SPECIFICATION.md has no $1"
	IFS='|' read -r _ _ goal bound measured _ <<<"${row// /}"
	[[ $goal$bound =~ ^[0-9]+$ ]] || fail "SPECIFICATION.md: no numbers for $1: $row"
	[[ $2 =~ ^[0-9]+$ ]] || fail "no figure for $1"
	echo "$1 $2, goal $goal, bound $bound"
	[ "$2" -le "$bound" ] || fail "$1 is $2, more than $bound"
	[ "$bound" -le "$goal" ] || [[ $measured == *missed* ]] ||
		fail "SPECIFICATION.md does not say that $1 misses its goal"
}

# figure REGEX: the number that it leaves of the line that --stats has printed.
figure()
{
	sed -nE "s/$1/\1/p" "$WORK/errors"
}

test_system_calls_to_the_first_run()
{
	within syscalls "$(figure '^system calls from exec to the first KVM_RUN: ([0-9]+)$')"
}

test_exits_to_init()
{
	expect_console '^@@ hello '
	within exits "$(figure '^exits: .* total ([0-9]+)$')"
}

test_memory_outside_of_the_guest()
{
	within private_kib "$(figure '^memory outside guest RAM: ([0-9]+) KiB private.*')"
	within resident_kib "$(figure '^memory outside .* private, ([0-9]+) KiB resident$')"
}

test_size()
{
	strip -o "$WORK/stripped" "$VMM"
	within stripped_bytes "$(stat -c %s "$WORK/stripped")"
}

test_shared_libraries()
{
	within libraries "$(readelf -d "$VMM" | grep -c '(NEEDED)' || true)"
}
