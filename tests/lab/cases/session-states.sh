# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
# Drivers that crash in their init, hide, are removed behind vmm's back, or take a minute to load.
. tests/lab/lib_sessions.sh

LIFE=$DRIVERS/umbra_t_life.ko

# Run `vmm driver` and keep what it says and its exit code: attempt NAME ARGS...
attempt()
{
	local name=$1 status=0
	shift

	vmm_driver "$@" >"$WORK/$name" 2>&1 || status=$?
	echo "status $status" >>"$WORK/$name"
}

state()
{
	vmm_driver list --json | jq -r ".[] | select(.driver == \"$1\") | .state"
}

setup()
{
	local started

	policy "$WORK/policy" a c h r s
	initrd "$WORK/image" <<'END'
wait_for 60 test -e /sys/class/net/adummy0
say up
read line
rmmod r__gone_er && say removed
read line
t=/sys/module/c__crash/parameters/ticks
first=$(cat $t)
ticked()
{
	[ "$(cat $t)" -gt "$first" ]
}
wait_for 10 ticked && say ticks
say modules $(lsmod | cut -d ' ' -f 1 | sort | tr '\n' ' ')
END
	sessions_start --initrd "$WORK/image" --memory 192M --cpus 2 --policy "$WORK/policy" \
		--driver "a:$DUMMY"
	guest_wait_console '^@@ up' 120
	attempt slow load "s/slow:$LIFE,mode=slow,seconds=45" &
	attempt crash load "c/crash:$LIFE,mode=crash"
	attempt fault load "c/fault:$LIFE,mode=fault"
	started=$SECONDS
	attempt beside load "a/beside:$LIFE"
	echo $((SECONDS - started)) >"$WORK/beside-seconds"
	state slow >"$WORK/slow-state"
	attempt hide load "h/hide:$LIFE,mode=hide"
	attempt gone load "r/gone-er:$LIFE"
	guest_type go
	guest_wait_console '^@@ removed' 30
	vmm_driver list --json >"$WORK/list"
	attempt hide-unload unload h:hide
	attempt crash-unload unload c:crash
	attempt gone-unload unload r:gone-er
	attempt gone-again load "r/gone-er:$LIFE"
	attempt gone-underscore unload r:gone_er
	wait $!
	guest_type go
	guest_wait
}

listed()
{
	jq -r ".[] | select(.driver == \"$1\") | .state" <"$WORK/list"
}

test_guest_survives()
{
	expect_exit 0
}

test_crashed_driver_keeps_what_its_timer_runs_on()
{
	grep -q 'crashed in its init' "$WORK/crash" || fail "$(cat "$WORK/crash")"
	grep -q 'status 1' "$WORK/crash" || fail "$(cat "$WORK/crash")"
	expect_equal "$(listed crash)" crashed
	grep -q 'stays as long as the guest' "$WORK/crash-unload" || fail "$(cat "$WORK/crash-unload")"
	expect_console '^@@ ticks'
}

test_errno_of_an_init_is_no_crash()
{
	grep -q 'Bad address' "$WORK/fault" || fail "$(cat "$WORK/fault")"
	! grep -q 'crashed' "$WORK/fault" || fail "$(cat "$WORK/fault")"
	expect_equal "$(listed fault)" ''
}

test_hidden_driver_is_told()
{
	expect_equal "$(listed hide)" hidden
	expect_error 'HIDES ITSELF'
	grep -q 'hides from the guest' "$WORK/hide-unload" || fail "$(cat "$WORK/hide-unload")"
}

test_removed_driver_is_let_go_of_and_its_name_is_free()
{
	expect_equal "$(listed gone-er)" removed
	grep -q 'status 0' "$WORK/gone-unload" || fail "$(cat "$WORK/gone-unload")"
	grep -q 'status 0' "$WORK/gone-again" || fail "$(cat "$WORK/gone-again")"
}

test_dash_and_underscore_are_one()
{
	grep -q 'status 0' "$WORK/gone-underscore" || fail "$(cat "$WORK/gone-underscore")"
}

test_slow_init_holds_up_its_own_session_only()
{
	grep -q 'status 0' "$WORK/beside" || fail "$(cat "$WORK/beside")"
	[ "$(cat "$WORK/beside-seconds")" -lt 30 ] || fail "took $(cat "$WORK/beside-seconds") s"
	expect_equal "$(cat "$WORK/slow-state")" loading
	grep -q 'status 0' "$WORK/slow" || fail "$(cat "$WORK/slow")"
}
