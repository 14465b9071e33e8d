# SPDX-License-Identifier: GPL-2.0-only
# vmm stop of a guest that does not hear its power button, having no driver for it, and of one whose vmm
# hangs: one line that says so, in the time that was given.

# stop STEP ARGS...: its output in a file named after the step, its status and seconds in two more.
stop()
{
	local step=$1 start=$SECONDS status=0

	shift
	"$VMM" stop "$@" >"$WORK/$step" 2>&1 </dev/null || status=$?
	echo "$status" >"$WORK/$step.status"
	echo $((SECONDS - start)) >"$WORK/$step.seconds"
}

# told STEP STATUS SECONDS-AT-LEAST SECONDS-AT-MOST REGEX
told()
{
	cat "$WORK/$1"
	expect_equal "$(<"$WORK/$1.status")" "$2" "status"
	expect [ "$(<"$WORK/$1.seconds")" -ge "$3" ]
	expect [ "$(<"$WORK/$1.seconds")" -le "$4" ]
	expect_equal "$(wc -l <"$WORK/$1")" 1 "lines"
	expect_in "$WORK/$1" "$5"
}

setup()
{
	guest_start --name deaf --timeout 240 --memory 192M <<'END'
load-modules
ls /proc/acpi/button /sys/bus/acpi/drivers/button 2>/dev/null && say has a button
say ready
while read line; do say "got $line"; done
END
	guest_wait_console '^@@ ready'
	# Pressed before there is a driver, the button is forgotten: Linux clears it when one comes.
	stop asked deaf --timeout 5
	stop at-once deaf --timeout 0
	guest_type still there
	guest_wait_console '^@@ got still there'
	vmm=$(guest_pid)
	kill -STOP "$vmm"
	stop hung deaf --timeout 3
	stop hung-force deaf --timeout 3 --force
	kill -CONT "$vmm"
	guest_type again
	guest_wait_console '^@@ got again'
	stop force deaf --timeout 2 --force
	guest_wait
}

test_it_says_that_the_guest_does_not_listen()
{
	told asked 1 5 15 'guest deaf has not shut down in 5 s; does it listen to its power button\?'
	expect_in "$WORK/asked" 'vmm stop --force deaf'
	told at-once 1 0 10 'guest deaf has not shut down in 0 s'
}

test_force_ends_it()
{
	expect_equal "$(<"$WORK/force.status")" 0
	expect [ "$(<"$WORK/force.seconds")" -ge 2 ]
	expect [ "$(<"$WORK/force.seconds")" -le 15 ]
	expect_equal "$(<"$WORK/force")" ''
	expect_exit 143
	expect_error 'ended by the control socket'
}

test_a_vmm_that_hangs_is_no_reason_to()
{
	told hung 1 0 20 'guest deaf|deaf'
	told hung-force 1 0 30 'vmm kill deaf'
}
