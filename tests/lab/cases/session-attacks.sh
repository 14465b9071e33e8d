# SPDX-License-Identifier: GPL-2.0-only
# A driver that does not play by the rules: KVM, not the guest's page tables, keeps the shadow whole.
. tests/lab/lib_sessions.sh

setup()
{
	local gate entry

	policy "$WORK/policy" a
	initrd "$WORK/image" <<'END'
wait_for 60 test -e /sys/class/net/adummy0
say ready
read line
set -- $line
try() # NAME ARGS...
{
	local name=$1
	shift
	insmod /attack.ko "$@" >/dev/null 2>&1
	say $name $(dmesg | grep umbra_t_attack | tail -n 2 | sed 's/.*umbra_t_attack: //' | tr '\n' ';')
	rmmod umbra_t_attack 2>/dev/null
}
try read action=read addr=$1
try write action=write addr=$1 value=0x9090909090909090
try reread action=read addr=$1
try write-gate action=write addr=$2 value=0x9090909090909090
try ioremap action=ioremap addr=0xc0200000 value=0x9090909090909090
try memremap action=memremap addr=0xc2000000 value=0x1
try memremap-info action=memremap addr=0xc0000000 value=0x1
try regate action=read addr=$2
ip link add x type a-dummy && say alive
say attacks
read line
# In processes of their own: each ends in a fault.
insmod /attack.ko action=out addr=0xe4 >/dev/null 2>&1
say out $(dmesg | grep -c 'general protection')
read line
say alive-still $(ip link add y type a-dummy && echo yes)
END
	add_files "$WORK/image" "$DRIVERS/umbra_t_attack.ko:attack.ko"
	sessions_start --initrd "$WORK/image" --memory 192M --cpus 2 --policy "$WORK/policy" \
		--record "$WORK/record" --driver "a:$DUMMY"
	guest_wait_console '^@@ ready' 120
	gate=$(vmm_session stats --json | jq -r .gate)
	# behind the last entry of the driver's page, which has room for no other
	entry=$(vmm_driver list --json | jq -r '.[] | select(.driver == "dummy") | .entries')
	entry=$(printf '0x%x' $((entry + 4080)))
	guest_type "$entry $gate"
	guest_wait_console '^@@ attacks' 60
	vmm_session stats --json >"$WORK/stats"
	vmm_driver verify --json a:dummy >"$WORK/verify"
	guest_type go
	guest_wait_console '^@@ out' 60
	vmm_session stats --json >"$WORK/stats-out"
	guest_type go
	guest_wait
}

test_guest_survives()
{
	expect_exit 0
	expect_console '^@@ alive'
	expect_console '^@@ alive-still yes'
}

test_write_with_wp_cleared_has_no_effect()
{
	expect_console '^@@ write .*reads cccccccccccccccc'
	expect_equal "$(console_values reread)" "$(console_values read)"
}

test_write_by_another_mapping_has_no_effect()
{
	expect_not_in "$WORK/console" '^@@ (ioremap|memremap|memremap-info) .*reads (9090909090909090|1;)'
	expect_equal "$(jq '.violations | length' <"$WORK/verify")" 0
}

test_kvm_reports_each_write()
{
	[ "$(jq '."blocked-writes"' <"$WORK/stats")" -ge 5 ] || fail "$(cat "$WORK/stats")"
	expect_error 'write blocked: 8 bytes to a session.s entry page at guest-physical 0xc8'
	expect_error 'write blocked: .* to the gate at guest-physical 0xc0200000'
}

test_doorbell_from_elsewhere_is_refused_and_reported()
{
	expect_equal "$(jq '."refused-doorbells"' <"$WORK/stats")" 0
	expect_equal "$(jq '."refused-doorbells"' <"$WORK/stats-out")" 1
	expect_error 'doorbell refused'
	expect_in "$WORK/record" 'doorbell refused'
}
