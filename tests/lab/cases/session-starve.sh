# SPDX-License-Identifier: GPL-2.0-only
# timeout: 400
# Drivers that take all they can get of what the sessions share: another session goes on as before.
. tests/lab/lib_sessions.sh

setup()
{
	policy "$WORK/names" b n p
	sed '/^p = {/a functions = ( { function = "call_usermodehelper"; match = "/p/*"; action = "pass"; } );' \
		"$WORK/names" >"$WORK/policy"
	# unregister_netdevice() complains at the highest level, in the middle of our lines.
	initrd "$WORK/image" <<'END'
echo 0 >/proc/sys/kernel/printk
mkdir -p /s/b /s/n /s/p
echo b >/s/b/x
mkfifo /s/p/fifo
touch /s/ready
p=/sys/module/b__umbra_t_path/parameters/open
# The last of the three: then the inits of the others are done.
wait_for 60 test -e /sys/module/b__m
ip link add ov0 type b-dummy
ip link set ov0 up
say links $(cd /sys/class/net && ls -d ov0 *dummy* *ov0 | sort -u | tr '\n' ' ')
say flags $(cat /sys/class/net/ov0/flags)
ip link del ov0
say links-after $(cd /sys/class/net && ls -d *ov0 2>/dev/null)
say up
read line
inside() { [ "$(cat /sys/module/$1/parameters/in 2>/dev/null)" = $2 ]; }
for h in h1 h2; do wait_for 60 inside p__$h 200; done
wait_for 60 inside n__h 150
say inside $(cat /sys/module/p__h1/parameters/in /sys/module/p__h2/parameters/in /sys/module/n__h/parameters/in | tr '\n' ' ')
(echo /x >$p; say other open $(cat $p); touch /opened) &
wait_for 30 test -e /opened
say asked
read line
say gone $(dmesg | grep -c 'umbra_t_misc.*gone') devices $(ls /dev | grep -c umbra)
say measured
read line
END
	sessions_start --timeout 380 --initrd "$WORK/image" --memory 256M --cpus 2 --policy "$WORK/policy" \
		--record "$WORK/record" --driver-wait /s/ready \
		--driver "b:$DRIVERS/umbra_t_path.ko" --driver "b:$DUMMY" --driver "b/m:$DRIVERS/umbra_t_misc.ko"
	guest_wait_console '^@@ up' 120
	for h in h1 h2; do vmm_driver load "p/$h:$DRIVERS/umbra_t_hold.ko,mode=fifo,n=200"; done
	vmm_driver load "n/h:$DRIVERS/umbra_t_hold.ko,mode=net,n=150"
	guest_type go
	guest_wait_console '^@@ asked' 120
	vmm_session stats --json >"$WORK/before"
	vmm_driver load "p/u:$DRIVERS/umbra_t_hold.ko,mode=umh,n=300"
	vmm_driver unload b:m >"$WORK/unload" 2>&1 && echo unloaded >>"$WORK/unload" || true
	vmm_driver load "b/m2:$DRIVERS/umbra_t_misc.ko" >"$WORK/load" 2>&1 && echo loaded >>"$WORK/load" || true
	guest_type go
	guest_wait_console '^@@ measured' 60
	vmm_session stats --json >"$WORK/stats"
	guest_kill
}

test_threads_wait_inside_their_calls() { expect_console '^@@ inside 200 200 150'; }

test_a_users_name_of_a_link_is_left_alone()
{
	expect_console '^@@ links bdummy0 ov0[[:space:]]*$'
	expect_console '^@@ flags 0x[0-9a-f]*[13579bdf]'
	expect_console '^@@ links-after[[:space:]]*$'
}

test_another_session_opens_a_file() { expect_console '^@@ other open 2'; }

test_another_session_unloads_and_loads()
{
	expect_in "$WORK/unload" '^unloaded'
	expect_in "$WORK/load" '^loaded'
	expect_console '^@@ gone 1 devices 1'
}

test_no_call_passes_unseen()
{
	expect_equal "$(jq '."lost-calls"' <"$WORK/stats")" 0
	expect_equal "$(grep -c '"unregister_netdev"' "$WORK/record")" 150
	expect_equal "$(grep -c '"misc_deregister"' "$WORK/record")" 1
}

test_every_name_of_a_program_comes_back()
{
	[ $(($(jq .results <"$WORK/stats") - $(jq .results <"$WORK/before"))) -ge 300 ] ||
		fail "$(cat "$WORK/before" "$WORK/stats")"
}
