# SPDX-License-Identifier: GPL-2.0-only
# Entries are turned a hundred times while two vCPUs call by them without a pause; then calls are
# followed by `vmm trace`, and those of one session are recorded while another one floods.
. tests/lab/lib_sessions.sh

# followed DRIVER: how many of its functions are followed
followed()
{
	vmm_driver list --json | jq --arg driver "$1" '.[] | select(.driver == $driver) | .followed'
}

is_followed()
{
	[ "$(followed "$1")" = "$2" ]
}

# trace FILE OPTION...: `vmm trace` in the background, on functions of session d's; its process in $tracer
trace()
{
	local file=$1

	shift
	"$VMM" trace "$@" >"$WORK/$file" 2>&1 &
	tracer=$!
}

# Have two drivers call, followed in three ways at once.
follow_calls()
{
	trace count -c "$guest_name" d 'jiffies_*'
	local count=$tracer

	trace lines -j -d two "$guest_name" d jiffies_to_msecs
	local lines=$tracer

	trace people -o "$WORK/people-lines" -d two "$guest_name" d jiffies_to_msecs
	local people=$tracer

	expect_within 30 is_followed one 1
	expect_within 30 is_followed two 1
	guest_type count
	guest_wait_console '^@@ counted' 60
	kill -INT "$count" "$lines" "$people"
	wait "$count" && wait "$lines" && wait "$people" && echo ended >"$WORK/traces"
	expect_within 30 is_followed one 0
}

setup()
{
	local null='files = ( { from = "/dev/null"; action = "pass"; } );' seen='trace = [ "jiffies_*" ];'

	echo "version = 1; sessions = { d = { $null }; e = { $null }; };" >"$WORK/free.policy"
	echo "version = 1; sessions = { d = { $null $seen }; e = { $null $seen }; };" >"$WORK/seen.policy"
	initrd "$WORK/image" <<'END'
[ -e /dev/null ] || mount -t devtmpfs dev /dev
say up
read line
call=/parameters/run
for d in one two; do
	(while [ ! -e /stop ]; do echo "call 100 10" >/sys/module/d__$d$call; done; say $d called) &
done
say ready
read line
: >/stop
wait
say rested
read line
echo "call 1000 10" >/sys/module/d__one$call &
echo "call 20 10" >/sys/module/d__two$call
wait
say counted
read line
rm /stop
(while [ ! -e /stop ]; do echo "call 1000 10" >/sys/module/d__one$call; done) &
for n in 1 2 3 4 5; do
	echo "call 9 10" >/sys/module/e__three$call
	sleep 0.1
done
: >/stop
wait
say faults $(dmesg | grep -cE 'BUG|WARN|Oops|invalid opcode|int3')
END
	sessions_start --cpus 2 --initrd "$WORK/image" --memory 192M --policy "$WORK/free.policy" --record "$WORK/record"
	guest_wait_console '^@@ up' 120
	for d in d/one d/two e/three; do
		vmm_driver load "$d:$DRIVERS/umbra_t_calls.ko"
	done
	guest_type go
	guest_wait_console '^@@ ready' 60
	for _ in $(seq 50); do
		vmm_session policy "$WORK/seen.policy" >/dev/null
		vmm_session policy "$WORK/free.policy" >/dev/null
	done
	vmm_session stats --json >"$WORK/stats"
	guest_type stop
	guest_wait_console '^@@ rested' 60
	cp "$WORK/record" "$WORK/record-turned"
	wc -l <"$WORK/record" >"$WORK/before"
	follow_calls
	wc -l <"$WORK/record" >"$WORK/after"
	"$VMM" trace "$guest_name" d no_such_function >"$WORK/no-function" 2>&1 || true
	"$VMM" trace "$guest_name" x >"$WORK/no-session" 2>&1 || true
	vmm_session policy "$WORK/seen.policy" >/dev/null
	guest_type flood
	guest_wait
}

test_guest_goes_on()
{
	expect_exit 0
	expect_console '^@@ one called'
	expect_console '^@@ two called'
	expect_equal "$(console_values faults)" 0
}

test_calls_of_both_were_seen()
{
	expect_equal "$(sed -n 's/.*"session":"d","driver":"\([a-z]*\)","function":"jiffies_to_msecs".*/\1/p' \
		"$WORK/record-turned" | sort -u | xargs)" "one two"
	[ "$(jq .calls <"$WORK/stats")" -ge 100 ] || fail "$(cat "$WORK/stats")"
}

# A call that came to the gate when its policy had gone is seen by nobody.
test_each_line_has_its_result()
{
	expect_equal "$(sed -n 's/.*"function":"jiffies_to_msecs".*"call":"j=\([0-9]*\)","result":"\([0-9]*\)".*/\1 \2/p' \
		"$WORK/record-turned" | awk '$1 * 4 != $2 { wrong++ } END { print NR, wrong + 0 }')" \
		"$(grep -c '"function":"jiffies_to_msecs"' "$WORK/record-turned") 0"
}

# 1,001 samples of 10 calls by one driver, and 21 by the other.
test_counts_are_those_of_the_calls()
{
	expect_equal "$(cat "$WORK/traces")" ended
	expect_in "$WORK/count" '^ *100\.00 +[0-9.]+ +[0-9]+ +10220 +jiffies_to_msecs'
	expect_in "$WORK/count" ' 10220 +total'
}

test_lines_are_those_of_the_calls()
{
	expect_equal "$(jq -r 'select(.driver == "two" and .verdict == "pass" and .pid > 0 and .command != null) | .call' \
		"$WORK/lines" | sort | uniq -c | xargs)" \
		"$(for n in 1 10 2 3 4 5 6 7 8 9; do echo "21 j=$n"; done | xargs)"
	expect_equal "$(grep -c ' two .*(j=' "$WORK/people-lines")" 210
	expect_equal "$(jq -s 'map(.guest_ns) | . == sort and .[0] > 1000000000' "$WORK/lines")" true
}

test_the_record_has_what_the_policy_says()
{
	expect_equal "$(cat "$WORK/before")" "$(cat "$WORK/after")"
}

test_what_cannot_be_followed_is_said()
{
	expect_in "$WORK/no-function" '^vmm: none of the [0-9]+ functions .* session d .* is like no_such_function'
	expect_in "$WORK/no-session" '^vmm: the policy has no session x'
}

# Ten samples of ten calls, five times.
test_a_flood_takes_nothing_from_another_session()
{
	expect_equal "$(grep '"driver":"three"' "$WORK/record" | jq -r 'select(.result) | .call' | wc -l)" 500
	expect_equal "$(grep '"event":"lines lost","session":"e"' "$WORK/record")" ''
	[ "$(grep -c '"driver":"one"' "$WORK/record")" -ge 5000 ] || fail 'no flood'
}
