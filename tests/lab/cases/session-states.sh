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

# Run something in the background and keep how long it took: timed NAME COMMAND...
timed()
{
	local started=$SECONDS

	"${@:2}"
	echo $((SECONDS - started)) >"$WORK/$1-seconds"
}

setup()
{
	local waits=()

	policy "$WORK/policy" a c h o r s
	initrd "$WORK/image" <<'END'
wait_for 60 test -e /sys/class/net/adummy0
say up
read line
gone()
{
	[ ! -e /sys/module/h__departing ]
}
wait_for 30 gone && insmod /departing.ko && say name taken
rmmod r__gone_er && say removed
(: </dev/c-ghost) && say ghost opens
(cat /dev/c-hole) >/dev/null 2>&1
say hole $?
say devices $(ls /dev | grep -E 'umbra|ghost|hole' | sort | tr '\n' ' ') reads $(cat /dev/o-umbra_t)
say used
read line
(: </dev/h-leaver) && say leaver opens
for c in crash crash_thread; do
	t=/sys/module/c__$c/parameters/ticks
	first=$(cat $t)
	ticked()
	{
		[ "$(cat $t)" -gt "$first" ]
	}
	wait_for 10 ticked && say ticks $c
done
say devices-after $(ls /dev | grep -E 'umbra|ghost|hole' | sort | tr '\n' ' ')
say modules $(lsmod | cut -d ' ' -f 1 | sort | tr '\n' ' ')
END
	# A module with the name that a driver of session h has in the guest: both are 12 bytes long.
	sed 's/umbra_t_life/h__departing/g' "$LIFE" >"$WORK/departing.ko"
	add_files "$WORK/image" "$WORK/departing.ko:departing.ko"
	sessions_start --timeout 300 --initrd "$WORK/image" --memory 192M --cpus 2 --policy "$WORK/policy" \
		--driver "a:$DUMMY" --driver "s/first:$LIFE"
	guest_wait_console '^@@ up' 120
	timed slow attempt slow load "s/slow:$LIFE,mode=slow,seconds=45" & waits+=($!)
	expect_within 20 loading
	timed first-unload attempt first-unload unload s:first & waits+=($!)
	timed slow-unload attempt slow-unload unload s:slow
	attempt crash load "c/crash:$LIFE,mode=crash"
	attempt crash-thread load "c/crash_thread:$LIFE,mode=crash,left=thread"
	attempt crash-device load "c/crash_device:$LIFE,mode=crash,left=device"
	attempt thread load "c/thread:$LIFE,mode=thread"
	attempt device load "c/device:$LIFE,mode=device"
	attempt fault load "c/fault:$LIFE,mode=fault"
	for e in 512 517; do
		attempt "fault-$e" load "c/fault$e:$LIFE,mode=fault,error=$e"
	done
	attempt other load "o/other:$DRIVERS/umbra_t_misc.ko,text=other"
	timed beside attempt beside load "a/beside:$LIFE"
	timed beside-unload attempt beside-unload unload a:beside
	state slow >"$WORK/slow-state"
	attempt hide load "h/hide:$LIFE,mode=hide"
	attempt departing load "h/departing:$LIFE,mode=leave"
	attempt gone load "r/gone-er:$LIFE"
	guest_type go
	guest_wait_console '^@@ used' 30
	vmm_driver list --json >"$WORK/list"
	attempt hide-unload unload h:hide
	attempt departing-unload unload h:departing
	for d in crash crash_thread crash_device thread device; do
		attempt "$d-unload" unload "c:$d"
	done
	attempt device-again load "c/device:$LIFE,mode=device"
	attempt gone-unload unload r:gone-er
	attempt gone-again load "r/gone-er:$LIFE"
	attempt gone-underscore unload r:gone_er
	wait "${waits[@]}"
	vmm_driver list --json >"$WORK/list-after"
	guest_type go
	guest_wait
}

loading()
{
	[ "$(state slow)" = loading ]
}

listed()
{
	jq -r ".[] | select(.driver == \"$1\") | .${2:-state}" <"$WORK/list"
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
	expect_console '^@@ ticks crash[[:space:]]*$'
}

test_thread_of_a_crashed_init_goes_on()
{
	expect_equal "$(listed crash_thread)" crashed
	expect_in "$WORK/crash_thread-unload" 'stays as long as the guest'
	expect_console '^@@ ticks crash_thread'
}

test_device_of_a_crashed_init_stays_its_own()
{
	expect_equal "$(listed crash_device)" crashed
	expect_in "$WORK/crash_device-unload" 'stays as long as the guest'
	expect_console '^@@ ghost opens'
	# Its registration and the open of a file; of the other session's driver the registration alone.
	expect_equal "$(listed crash_device calls) $(listed other calls)" '2 1'
	expect_console '^@@ devices-after c-ghost c-hole o-umbra_t'
}

test_crash_of_a_thread_is_no_state_of_its_driver()
{
	expect_in "$WORK/thread" 'status 0'
	expect_equal "$(listed thread)" loaded
	expect_in "$WORK/thread-unload" 'status 0'
}

test_crash_in_a_device_is_no_state_of_its_driver()
{
	expect_in "$WORK/device" 'status 0'
	expect_console '^@@ hole 137'
	expect_equal "$(listed device)" loaded
	expect_in "$WORK/device-unload" 'status 0'
	expect_in "$WORK/device-again" 'status 0'
}

test_other_session_is_untouched_by_crashes()
{
	expect_equal "$(listed other)" loaded
	expect_console '^@@ devices c-ghost c-hole o-umbra_t reads other'
}

test_errno_of_an_init_is_no_crash()
{
	grep -q 'Bad address' "$WORK/fault" || fail "$(cat "$WORK/fault")"
	! grep -q 'crashed' "$WORK/fault" || fail "$(cat "$WORK/fault")"
	expect_equal "$(listed fault)" ''
}

# Errors that only the kernel has: they do not fit into an exit status.
test_errno_above_255_is_itself()
{
	expect_in "$WORK/fault-512" 'status 1'
	expect_in "$WORK/fault-512" 'ERESTARTSYS'
	expect_in "$WORK/fault-517" 'status 1'
	expect_in "$WORK/fault-517" 'EPROBE_DEFER'
	expect_equal "$(listed fault512)$(listed fault517)" ''
}

# Its entries are there as long as its code, which still runs and calls through them.
test_hidden_driver_whose_name_is_taken_is_still_hidden()
{
	expect_in "$WORK/departing" 'status 0'
	expect_console '^@@ name taken'
	expect_equal "$(listed departing)" hidden
	expect_in "$WORK/departing-unload" 'hides from the guest'
	expect_in "$WORK/departing-unload" 'status 1'
	expect_console '^@@ leaver opens'
	expect_console '^@@ modules .*h__departing'
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
	expect_equal "$(grep -c 'gone-er of session r was removed in the guest' "$WORK/errors")" 1
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

test_unload_beside_a_slow_init_is_answered()
{
	expect_in "$WORK/beside-unload" 'status 0'
	[ "$(cat "$WORK/beside-unload-seconds")" -lt 30 ] || fail "took $(cat "$WORK/beside-unload-seconds") s"
	expect_in "$WORK/slow-unload" 'not loaded yet'
	[ "$(cat "$WORK/slow-unload-seconds")" -lt 30 ] || fail "took $(cat "$WORK/slow-unload-seconds") s"
}

# Its turn comes when the init is done.
test_unload_in_the_session_of_a_slow_init_is_of_the_right_driver()
{
	expect_in "$WORK/first-unload" 'status 0'
	expect_equal "$(jq -r '[.[] | select(.session == "s") | .driver + " " + .state] | join(", ")' <"$WORK/list-after")" \
		'slow loaded'
	[ "$(cat "$WORK/first-unload-seconds")" -le $(($(cat "$WORK/slow-seconds") + 10)) ] ||
		fail "$(cat "$WORK/first-unload-seconds") s, the init $(cat "$WORK/slow-seconds") s"
}
