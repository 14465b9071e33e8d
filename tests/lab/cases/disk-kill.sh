# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
# kill -9 of the VMM while its guest writes and flushes: whatever the guest was told to be safe is in
# the image, and another guest can start on it at once. Few times, since each
# guest takes half a minute here: hundreds of kills in a minute hit the device by itself (tests/unit/devices/blk_crash_test.c).
# UMBRA_SOAK_SECONDS: for so long, with a line to the file UMBRA_SOAK_PROGRESS after each kill.

KILLS=$(many 4 8)

# lives DIRECTORY DISK-OPTIONS...: guests on one image, killed one after the other; the number of
# kills, and of acknowledged blocks, goes to DIRECTORY/result.
lives()
{
	local options n=0 total=0 acks

	WORK=$1
	shift
	mkdir -p "$WORK"
	[ -e "$WORK/image" ] || truncate -s 8M "$WORK/image"
	while [ "$n" -lt $((KILLS / 2)) ] || [ "$SECONDS" -lt "${UMBRA_SOAK_SECONDS:-0}" ]; do
		options=${*:$((n % $# + 1)):1}
		guest_start --memory 128M --cpus $((n % 2 + 1)) --base "$BASE/blocks-cloud.img" \
			--disk "$WORK/image$options" <<'END'
load-modules
blocks write /dev/vda 2
say writers ended
END
		guest_wait_console '^blocks ack [01] '
		sleep "$((RANDOM % 2)).$((RANDOM % 10))"
		# Also one that stands still.
		[ $((RANDOM % 3)) != 0 ] || kill -STOP "$(guest_pid)"
		kill -KILL "$(guest_pid)"
		guest_wait
		expect_not_in "$WORK/console" 'writers ended|error [01]'
		tr -d '\r' <"$WORK/console" >"$WORK/acks"
		build/tests/lab/blocks check "$WORK/image" 2 <"$WORK/acks" >"$WORK/check" ||
			fail "kill $n of $WORK: $(cat "$WORK/check")"
		acks=$(grep -c '^blocks ack ' "$WORK/acks")
		total=$((total + acks)) n=$((n + 1))
		[ -z "${UMBRA_SOAK_PROGRESS-}" ] ||
			echo "$SECONDS s: disk ${WORK##*/}: $n kills, $total blocks acknowledged" \
				>>"$UMBRA_SOAK_PROGRESS"
	done
	echo "$n $total" >"$WORK/result"
}

setup()
{
	lives "$WORK/a" '' ,aio=threads &
	a=$!
	lives "$WORK/b" ,queues=1 '' &
	b=$!
	wait "$a"
	wait "$b"
}

test_acknowledged_writes_survive()
{
	read -r kills_a acks_a <"$WORK/a/result"
	read -r kills_b acks_b <"$WORK/b/result"
	echo "kills $kills_a and $kills_b, blocks acknowledged: $acks_a and $acks_b"
	expect [ $((kills_a + kills_b)) -ge "$KILLS" ]
	expect [ "$acks_a" -ge "$kills_a" ]
	expect [ "$acks_b" -ge "$kills_b" ]
}
