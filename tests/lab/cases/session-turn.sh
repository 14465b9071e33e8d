# SPDX-License-Identifier: GPL-2.0-only
# Entries are turned a hundred times while two vCPUs call by them without a pause.
. tests/lab/lib_sessions.sh

setup()
{
	local null='files = ( { from = "/dev/null"; action = "pass"; } );'

	echo "version = 1; sessions = { d = { $null }; };" >"$WORK/free.policy"
	echo "version = 1; sessions = { d = { $null trace = [ \"jiffies_*\" ]; }; };" >"$WORK/seen.policy"
	initrd "$WORK/image" <<'END'
[ -e /dev/null ] || mount -t devtmpfs dev /dev
say up
read line
for d in one two; do
	(while [ ! -e /stop ]; do echo "call 100 10" >/sys/module/d__$d/parameters/run; done; say $d called) &
done
say ready
read line
: >/stop
wait
say faults $(dmesg | grep -cE 'BUG|WARN|Oops|invalid opcode|int3')
END
	sessions_start --cpus 2 --initrd "$WORK/image" --memory 192M --policy "$WORK/free.policy" --record "$WORK/record"
	guest_wait_console '^@@ up' 120
	for d in one two; do
		vmm_driver load "d/$d:$DRIVERS/umbra_t_calls.ko"
	done
	guest_type go
	guest_wait_console '^@@ ready' 60
	for _ in $(seq 50); do
		vmm_session policy "$WORK/seen.policy" >/dev/null
		vmm_session policy "$WORK/free.policy" >/dev/null
	done
	vmm_session stats --json >"$WORK/stats"
	guest_type stop
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
	expect_equal "$(jq -r 'select(.function == "jiffies_to_msecs") | .driver' "$WORK/record" | sort -u | xargs)" "one two"
	[ "$(jq .calls <"$WORK/stats")" -ge 100 ] || fail "$(cat "$WORK/stats")"
}

# A call that came to the gate when its policy had gone is seen by nobody.
test_each_line_has_its_result()
{
	expect_equal "$(jq -r 'select(.function == "jiffies_to_msecs") |
		(.call | ltrimstr("j=") | tonumber) * 4 == (.result | tonumber)' "$WORK/record" | sort -u)" true
}
