# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
# `vmm driver verify` of stock drivers, plain, and while the kernel itself patches their text; and of
# one that the policy lets call the kernel. Then a driver has the guest panic.
. tests/lab/lib_sessions.sh

STOCK='fs/squashfs/squashfs lib/raid6/raid6_pq net/sched/sch_fq drivers/net/macsec'

# Where a probe is put: an instruction of dummy_xmit() behind its first ones, long enough for a jump.
probe_place()
{
	local start place

	read -r start place < <(objdump -d --no-show-raw-insn "$DUMMY" | sed -n '/<dummy_xmit>:$/,/^$/p' |
		awk 'NR == 1 || NR == 5 { sub(":", "", $1); printf "%s ", $1 }')
	echo "dummy_xmit+$((0x$place - 0x$start))"
}

setup()
{
	local m

	policy "$WORK/names" a p
	sed '/p = {/a permit = [ "filp_close", "_printk", "mutex_*lock" ];' "$WORK/names" >"$WORK/policy"
	{ echo "place=$(probe_place)" && cat; } <<'END' | initrd "$WORK/image"
mount -t tracefs none /sys/kernel/tracing 2>/dev/null
mount -t debugfs none /sys/kernel/debug 2>/dev/null
wait_for 60 test -e /sys/class/net/adummy0
say up
read line
k=/sys/module/a__umbra_t_key/parameters/on
off=$(cat $k)
echo 1 >$k && say key $off, then $(cat $k)
cd /sys/kernel/tracing
echo ':mod:a__dummy' >set_ftrace_filter
echo function >current_tracer && say tracer $(cat current_tracer) of $(wc -l <set_ftrace_filter)
echo "p:probe a__dummy:$place" >kprobe_events && echo 1 >events/kprobes/probe/enable && say probe enabled
# The kernel makes the probe a jump in its own time.
wait_for 10 grep -q OPTIMIZED /sys/kernel/debug/kprobes/list
say probes $(tr '\n' ' ' </sys/kernel/debug/kprobes/list 2>/dev/null)
say patched
read line
echo now >/sys/module/a__umbra_t_end/parameters/end
END
	sessions_start --initrd "$WORK/image" --memory 256M --policy "$WORK/policy" --record "$WORK/record" \
		--driver "a:$DUMMY"
	guest_wait_console '^@@ up' 120
	for m in $STOCK; do
		vmm_driver load "a:$MODULES/$m.ko" 2>>"$WORK/load" || true
		vmm_driver verify "a:${m##*/}" >"$WORK/verify-${m##*/}" 2>&1 || true
	done
	vmm_driver load "a:$DRIVERS/umbra_t_key.ko"
	vmm_driver load "p:$DRIVERS/umbra_t_path.ko"
	vmm_driver verify p:umbra_t_path >"$WORK/verify-permit" 2>&1 || true
	vmm_driver verify a:umbra_t_key >"$WORK/verify-off" 2>&1 || true
	vmm_driver verify a:dummy >"$WORK/verify-dummy" 2>&1
	guest_type go
	guest_wait_console '^@@ patched' 120
	vmm_driver verify a:dummy >"$WORK/verify-patched" 2>&1 || true
	vmm_driver verify a:umbra_t_key >"$WORK/verify-on" 2>&1 || true
	vmm_driver load "a:$DRIVERS/umbra_t_end.ko"
	guest_type go
	guest_wait_console 'Kernel panic' 60 || true
	# The record's thread writes soon.
	expect_within 10 grep -q '"function":"panic"' "$WORK/record"
	guest_kill
}

clean()
{
	if ! grep -q 'no branch leads past the session' "$WORK/$1" ||
		! grep -q 'undecoded *0 bytes' "$WORK/$1"; then
		fail "$1: $(cat "$WORK/$1" "$WORK/load")"
	fi
}

test_stock_drivers_raise_no_alarm()
{
	local m

	clean verify-dummy
	for m in $STOCK; do
		clean "verify-${m##*/}"
	done
}

test_tracer_and_probe_raise_no_alarm()
{
	expect_console '^@@ tracer function of [1-9]'
	expect_console '^@@ probe enabled'
	expect_console '^@@ probes .*dummy_xmit.*OPTIMIZED'
	clean verify-patched
}

# branches FILE KIND: how many of a kind a report has.
branches()
{
	sed -n "s/^ *$2  *\([0-9]*\).*/\1/p" "$WORK/$1"
}

# The key's no-operation becomes a jump within the driver; the call has another target there.
test_static_key_and_call_that_are_switched_raise_no_alarm()
{
	expect_console '^@@ key 0 0, then 1 1'
	clean verify-off
	clean verify-on
	expect_equal "$(branches verify-on local)" $(($(branches verify-off local) + 1))
}

test_permitted_calls_are_told_and_raise_no_alarm()
{
	clean verify-permit
	[ "$(branches verify-permit permitted)" -ge 3 ] || fail "$(cat "$WORK/verify-permit")"
}

test_what_does_not_return_is_recorded_and_passes()
{
	expect_console 'Kernel panic - not syncing: umbra_t_end: by 4'
	expect_equal "$(grep '"function":"panic"' "$WORK/record" | jq -r '.verdict + " " + .asked')" 'pass umbra_t_end: by 4'
	expect_equal "$(grep '"function":"kthread_complete_and_exit"' "$WORK/record" | jq -r .verdict)" pass
}
