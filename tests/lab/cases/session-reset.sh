# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
# A reset makes sessions anew for the kernel that starts: the command line's drivers come again, with
# their names, their record goes on, and nothing of the kernel that was is left. By the control socket, by the guest
# itself, and after a power-off that the VMM outlives.
. tests/lab/lib_sessions.sh

MISC=$DRIVERS/umbra_t_misc.ko

# What the host sees of boot $1, kept in files of that number.
look()
{
	vmm_driver list --json >"$WORK/list$1"
	vmm_session list --json >"$WORK/sessions$1"
	vmm_driver verify --json a:umbra_t_misc >"$WORK/verify$1" 2>&1 || echo "status $?" >>"$WORK/verify$1"
}

status_is()
{
	[ "$("$VMM" info --json "$guest_name" | jq -r .guest.status)" = "$1" ]
}

has_slow()
{
	[ "$(vmm_driver list --json | jq -r '.[] | select(.driver == "slow") | .state')" = loading ]
}

setup()
{
	local slow status=0

	policy "$WORK/policy" a b
	truncate -s 1M "$WORK/disk"
	initrd "$WORK/image" "$BASE/devices-cloud.img" <<'END'
load-modules
n=$(dd if=/dev/vda bs=512 count=1 2>/dev/null | tr -d '\0')
n=$((n + 1))
echo $n | dd of=/dev/vda bs=512 count=1 conv=notrunc,fsync,sync 2>/dev/null
both()
{
	[ -e /dev/a-umbra_t ] && [ -e /dev/b-umbra_t ]
}
wait_for 120 both
say boot $n reads $(cat /dev/a-umbra_t) $(cat /dev/b-umbra_t) modules $(lsmod | grep -c '^[ab]__')
say text $(grep -m1 ' _text$' /proc/kallsyms | cut -d' ' -f1) bad $(dmesg | grep -cE 'BUG:|Oops|WARNING')
say ready $n
read line
case $line in
reboot) reboot -f ;;
esac
END
	sessions_start --timeout 600 --initrd "$WORK/image" --memory 192M --cpus 2 --policy "$WORK/policy" \
		--no-shutdown --disk "$WORK/disk" --record "$WORK/record" \
		--driver "a:$MISC,text=one" --driver "b:$MISC,text=two"
	guest_wait_console '^@@ ready 1' 180
	vmm_driver load "b/late:$DRIVERS/umbra_t_life.ko" >"$WORK/late" 2>&1 || true
	vmm_driver load "a/slow:$DRIVERS/umbra_t_life.ko,mode=slow,seconds=600" >"$WORK/slow" 2>&1 &
	slow=$!
	expect_within 30 has_slow
	look 1
	"$VMM" reset "$guest_name"
	wait $slow || status=$?
	echo "status $status" >>"$WORK/slow"
	guest_wait_console '^@@ ready 2' 180
	look 2
	guest_type reboot
	guest_wait_console '^@@ ready 3' 180
	look 3
	guest_type off
	expect_within 60 status_is shutdown
	vmm_driver load "b/late:$DRIVERS/umbra_t_life.ko" >"$WORK/refused" 2>&1 || echo "status $?" >>"$WORK/refused"
	look off
	"$VMM" reset "$guest_name"
	guest_wait_console '^@@ ready 4' 180
	look 4
	guest_type off
	expect_within 60 status_is shutdown
	"$VMM" stop "$guest_name" >"$WORK/stop" 2>&1 || echo "status $?" >>"$WORK/stop"
	guest_wait
}

test_each_boot_has_both_drivers()
{
	expect_exit 0
	expect_equal "$(console_values boot | sed 's/ modules .*//' | tr '\n' ' ')" \
		'1 reads one two 2 reads one two 3 reads one two 4 reads one two '
	expect_equal "$(console_values text | sed 's/.*bad //' | sort -u)" 0
	[ "$(console_values text | sed 's/ bad.*//' | sort -u | wc -l)" -gt 1 ] || fail 'always at one address'
	expect_equal "$(cat "$WORK/stop")" ''
}

test_host_sees_them_as_at_the_first_start()
{
	local n

	for n in 2 3 4; do
		expect_equal "$(jq -r '.[] | "\(.session) \(.driver) \(.module) \(.state) \(.objects)"' "$WORK/list$n" | sort)" \
			"a umbra_t_misc a__umbra_t_misc loaded 1
b umbra_t_misc b__umbra_t_misc loaded 1"
		expect_equal "$(jq -c '[.[].drivers]' "$WORK/sessions$n")" '[1,1]'
		expect_equal "$(jq '.violations | length' "$WORK/verify$n")" 0
	done
}

test_record_goes_on()
{
	expect_equal "$(jq -r 'select(.event == "reset").text' "$WORK/record" | wc -l)" 3
	expect_equal "$(jq -r 'select(.event == "reset").text' "$WORK/record" | sort -u | wc -l)" 2
	# Four times each, and each with the name that it was given.
	expect_equal "$(jq -r 'select(.function == "misc_register") | "\(.session) \(.used)"' "$WORK/record" |
		sort | uniq -c | tr -s ' ')" " 4 a a-umbra_t
 4 b b-umbra_t"
}

test_drivers_of_clients_are_gone_and_told()
{
	expect_equal "$(sed 's/: [0-9]* of [0-9]* imports/: N of M imports/' "$WORK/late")" \
		'b:late: N of M imports are seen under this policy'
	expect_equal "$(jq length "$WORK/list1")" 4
	expect_in "$WORK/errors" 'driver b:late was loaded by a client and is gone with this reset'
	expect_not_in "$WORK/errors" 'driver b:umbra_t_misc'
}

test_nobody_waits_for_what_the_reset_took_away()
{
	expect_in "$WORK/slow" 'the guest was reset'
	expect_in "$WORK/slow" 'status 1'
}

# What needs the guest is refused; what looks at it is not.
test_a_guest_that_is_off()
{
	expect_in "$WORK/refused" 'the guest has shut down'
	expect_in "$WORK/refused" 'status 1'
	expect_equal "$(jq -c '[.[].state]' "$WORK/listoff")" '["loaded","loaded"]'
}
