# SPDX-License-Identifier: GPL-2.0-only
# Whatever path a driver asks for, in whatever directory and root and by whatever function, it stays in
# its session's tree; and what has no path is decided by the session's default.
. tests/lab/lib_sessions.sh

setup()
{
	policy "$WORK/policy" a b
	sed -i '$d' "$WORK/policy"
	cat >>"$WORK/policy" <<'END'
	p = {
		files = ( { from = "/"; to = "/s/p"; } );
		names = { firmware = "p/%s"; };
		functions = ( { function = "call_usermodehelper_setup"; action = "rewrite"; } );
		default = "pass";
	};
	d = { files = ( { from = "/"; to = "/s/d"; } ); default = "deny";
		functions = ( { function = "device_register"; action = "deny"; } ); };
	q = { files = (
		{ from = "/etc"; action = "pass"; }, { from = "/proc"; action = "pass"; },
		{ from = "/jail"; action = "pass"; }, { from = "/one"; action = "pass"; },
		{ from = "/"; to = "/s/q"; } ); default = "deny"; };
};
END
	guest_run --memory 192M --cpus 2 --policy "$WORK/policy" --record "$WORK/record" \
		--driver-wait /s/ready --driver "a:$DRIVERS/umbra_t_path.ko,tag=a" \
		--driver "b:$DRIVERS/umbra_t_path.ko,tag=b" \
		--driver "q:$DRIVERS/umbra_t_path.ko,tag=q" \
		--driver "p:$DRIVERS/umbra_t_reach.ko,tag=p" \
		--driver "d:$DRIVERS/umbra_t_reach.ko,tag=d,power=1" <<'END'
mkdir -p /s/a/etc /s/b/etc /s/a/home/u /etc /home/u /jail/etc
echo real >/etc/x; echo a >/s/a/etc/x; echo b >/s/b/etc/x; echo outside >/s/x
echo jail >/jail/etc/x; mkdir -p /s/a/jail/etc; echo a-jail >/s/a/jail/etc/x
echo a-home >/s/a/home/u/y; echo real-home >/home/u/y
ln -s /etc/x /s/a/etc/abs; ln -s ../../../../etc/x /s/a/etc/up; ln -s /s/x /s/a/etc/out
ln -s /proc/self/root /s/a/etc/magic
for d in p d; do
	mkdir -p /s/$d/etc /s/$d/dev /s/$d/bin /s/$d/proc; mount -t proc proc /s/$d/proc
	echo $d >/s/$d/etc/r; ln -s /s/x /s/$d/etc/out
	mknod /s/$d/dev/b b 240 7
done
echo real >/etc/r
mkdir -p /lib/firmware/p; echo 12345 >/lib/firmware/p/fw; echo 1 >/lib/firmware/fw
printf '#!/bin/sh\necho "ran $*" >/s/p/ran\n' >/s/p/bin/prog; chmod +x /s/p/bin/prog
mkdir -p /s/a/proc; mount -t proc proc /s/a/proc
mkfifo /s/a/etc/fifo
ln -s /s/x /etc/out; ln -s x /etc/in; ln -s /etc/x /jail/etc/abs; ln -s /s/x /one
mkdir -p /s/q; echo q >/s/q/z
touch /s/ready
open=/sys/module/a__umbra_t_path/parameters/open
wait_for 60 test -e $open
wait_for 60 test -e /sys/module/b__umbra_t_path/parameters/open
try() # NAME PATH
{
	echo "$2" >$open
	say "$1 $(dmesg | grep 'umbra_t_path.a' | tail -n 1 | sed 's/.*umbra_t_path.a.: //')"
}
say "me $$ $(cat /proc/$$/comm)"
try plain /etc/x
try dots /etc/../../../../etc/x
try slashes //etc///./x
try absolute-link /etc/abs
try dots-link /etc/up
try link-out /etc/out
try magic-link /proc/self/root/etc/x
try missing /etc/nothing
try empty ''
long=$(head -c 5000 /dev/zero | tr '\0' a)
try long "/$long"
cd /home/u && try relative y
cd /home/u && try relative-up ../../etc/x
cd /
cp /bin/busybox /jail/ 2>/dev/null
mkdir -p /jail/sys; mount -t sysfs sys /jail/sys
chroot /jail /busybox sh -c "echo /etc/x >$open"
say "chroot $(dmesg | grep 'umbra_t_path.a' | tail -n 1 | sed 's/.*umbra_t_path.a.: //')"
chroot /jail /busybox sh -c "echo ../../../etc/x >$open"
say "chroot-dots $(dmesg | grep 'umbra_t_path.a' | tail -n 1 | sed 's/.*umbra_t_path.a.: //')"
echo /etc/x >/sys/module/b__umbra_t_path/parameters/open
(echo /etc/fifo >$open) &
waiter=$!
wait_for 20 grep -q wait_for_partner /proc/$waiter/stack
say "stack $(sed 's/.*] //; s/+.*\[/ [/' /proc/$waiter/stack | tr '\n' ';')"
: >/s/a/etc/fifo
wait $waiter
qopen=/sys/module/q__umbra_t_path/parameters/open
wait_for 60 test -e $qopen
qtry() # NAME PATH [COMMAND THAT RUNS A SHELL'S LINE]
{
	local name=$1 path=$2

	shift 2
	"${@:-sh}" -c "echo $path >$qopen"
	say "$name $(dmesg | grep 'umbra_t_path.q' | tail -n 1 | sed 's/.*umbra_t_path.q.: //')"
}
qtry q-plain /etc/x
qtry q-in /etc/in
qtry q-out /etc/out
qtry q-one /one
qtry q-proc /proc/version
qtry q-magic /proc/self/root/s/x
qtry q-dots /etc/../s/x
qtry q-mapped /z
qtry q-jail /etc/x chroot /jail /busybox sh
qtry q-jail-link /etc/abs chroot /jail /busybox sh
contain() # -c LINE
{
	unshare -m sh -c "mount -t tmpfs t /etc && mount -t tmpfs t /s/q && echo container >/etc/x &&
		echo its-z >/s/q/z && ln -s /s/x /etc/out; $2"
}
qtry c-plain /etc/x contain
qtry c-out /etc/out contain
qtry c-mapped /z contain
qtry c-magic /proc/1/root/etc/x contain
wait_for 60 test -e /sys/module/d__umbra_t_reach/parameters/tag
wait_for 60 grep -q '^d__umbra_t_reach .*Live' /proc/modules
dmesg | sed -n 's/.*umbra_t_reach.\([pd]\).: /@@ reach-\1 /p'
say warnings $(faults | wc -l)
faults
say "program $(cat /s/p/ran) $(ls -d /s/p/made /made 2>/dev/null | tr '\n' ' ')"
say "other $(dmesg | grep 'umbra_t_path.b' | tail -n 1 | sed 's/.*umbra_t_path.b.: //')"
END
}

content()
{
	expect_equal "$(console_values "$1" | sed 's/.*"\(.*\)".*/\1/')" "$2"
}

test_guest_ends_well() { expect_exit 0; }
test_plain_path() { content plain a; }
test_dots_are_clamped() { content dots a; }
test_slashes() { content slashes a; }
test_absolute_link_stays_inside() { content absolute-link a; }
test_dots_in_a_link_stay_inside() { content dots-link a; }
test_link_to_the_outside_finds_nothing() { expect_console '^@@ link-out open /etc/out: -2'; }
test_magic_link_is_refused() { expect_console '^@@ magic-link open /proc/self/root/etc/x: -18'; }
test_missing_file() { expect_console '^@@ missing open /etc/nothing: -2'; }
test_empty_name() { expect_console '^@@ empty open : -2'; }
test_relative_to_the_callers_directory() { content relative a-home; }
test_relative_with_dots() { content relative-up a; }
test_callers_own_root_is_part_of_the_name() { content chroot a-jail; }
test_dots_do_not_leave_the_callers_root() { content chroot-dots a-jail; }
test_other_session_has_its_own_tree() { content other b; }

# Where the guest waits for a driver, the driver's frames are to be seen, and the way into it.
test_a_trace_goes_through_the_gate()
{
	expect_console '^@@ stack wait_for_partner.*call_decided \[umbra\];umbra_gate_enter \[umbra\];umbra_gate_save \[umbra\];open_and_use \[a__umbra_t_path\];open_set \[a__umbra_t_path\];.*write'
}

test_what_is_passed_stays_in_its_directory()
{
	content q-plain real
	content q-in real
	expect_console '^@@ q-out open /etc/out: -2'
	expect_console '^@@ q-proc read /proc/version: [0-9]* "Linux'
	expect_console '^@@ q-magic open /proc/self/root/s/x: -18'
	expect_console '^@@ q-dots open /etc/../s/x: -2'
	content q-mapped q
}

test_a_file_that_is_passed_by_its_own_name_may_be_a_link() { content q-one outside; }

test_what_is_passed_is_the_callers_own()
{
	content q-jail jail
	content q-jail-link jail
	content c-plain container
	content c-mapped its-z
	expect_console '^@@ c-out open /etc/out: -2'
	expect_console '^@@ c-magic open /proc/1/root/etc/x: -18'
	expect_equal "$(jq -r 'select(.session == "q" and .mounts) | "\(.asked) \(.used) \(.verdict)"' \
		"$WORK/record" | head -n 3 | tr '\n' ';')" "/etc/x /etc/x pass;/etc/out /etc/out pass;/z /s/q/z rewrite;"
	expect_equal "$(jq -r 'select(.session == "q" and .used == "/jail/etc/abs") | "\(.asked) \(.verdict)"' \
		"$WORK/record")" "/etc/abs pass"
}

test_the_record_says_who_called()
{
	local me

	me=$(console_values me)
	expect_equal "$(jq -r 'select(.session == "a" and .function == "filp_open" and .asked == "/etc/abs") |
		"\(.pid) \(.command)"' "$WORK/record")" "$me"
	expect_equal "$(jq -r 'select(.verdict and (.vcpu > 1 or .pid < 1))' "$WORK/record")" ""
}

test_too_long_a_name()
{
	console_values long | grep -q ': -36$' || fail "not ENAMETOOLONG"
}

# What a session whose default is "pass" gets: all of it, each path below its own root.
test_by_every_function_a_path_stays_inside()
{
	cat >"$WORK/want" <<'END'
sock_create_kern 0
sock_create 0
__sock_create 0
sock_create_lite 0
kern_path 0
dentry_open 0
kern_path-out -2
kern_path-magic -18
kernel_read_file_from_path p
kernel_read_file_from_path_initns p
file_open_root 0
vfs_path_lookup 0
d_path /etc/r
d_path-short -36
file_path /etc/r
dentry_path_raw /etc/r
d_path-out /
lookup_bdev 251658247
lookup_bdev-file -15
blkdev_get_by_path -6
blkdev_get_by_dev -6
kern_path-nowhere -14
lookup_bdev-nowhere -14
kernel_read_file_from_path-nowhere -14
call_usermodehelper_setup-nowhere 0
kobject_init_and_add 0
dev_set_name 0
device_register 0
kern_path_create 0
vfs_mkdir 0
request_firmware_direct 6
its-firmware-is-none 0
call_usermodehelper_setup 1
call_usermodehelper_exec 0
its-callbacks 11
prepare_kernel_cred 1
commit_creds 0
send_sig 0
kill_pid 0
access_process_vm 8
override_creds 77
revert_creds 0
kthread_use_mm 1
kthread_unuse_mm 1
request_key_tag -126
request_key_rcu -126
request_key_with_auxdata -2
register_kprobe 0
register_kretprobe 0
register_ftrace_function 0
perf_event_create_kernel_counter 0
register_ftrace_direct -19
modify_ftrace_direct -19
register_ftrace_direct_multi -22
tracepoint_probe_register 0
tracepoint_probe_register_prio 0
tracepoint_probe_register_prio_may_exist 0
do_settimeofday64 0
stop_machine 0
wrmsrl_safe_on_cpu 0
register_restart_handler 0
register_sys_off_handler 0
__register_nmi_handler 0
kmsg_dump_register 0
register_sysrq_key 0
register_netdevice_notifier 0
register_inetaddr_notifier 0
register_inet6addr_notifier 0
netlink_register_notifier 0
register_reboot_notifier 0
register_pm_notifier 0
register_die_notifier 0
register_module_notifier 0
register_oom_notifier 0
register_keyboard_notifier 0
bus_register_notifier 0
atomic_notifier_chain_register 0
blocking_notifier_chain_register 0
raw_notifier_chain_register 0
nf_register_net_hook 0
nf_register_net_hooks 0
nf_register_sockopt 0
register_pernet_subsys 0
register_pernet_device 0
dev_add_pack 1
netdev_rx_handler_register 0
sock_register 0
__netlink_kernel_create 1
dev_get_by_index 1
cdev_add 0
input_register_handler 0
class_interface_register 0
tty_register_ldisc 0
register_console 0
register_sysctl_table 1
find_get_pid 1
find_vpid 1
lookup_user_key 0
mmu_notifier_register 0
__register_binfmt 1
register_syscore_ops 1
__clocksource_register_scale 0
crypto_register_template 0
set_memory_uc 0
END
	console_values reach-p | grep -v __request_module >"$WORK/got"
	expect diff "$WORK/want" "$WORK/got"
	expect_console '^@@ program ran x /made'
}

test_what_has_no_path_is_refused_by_default()
{
	cat >"$WORK/want" <<'END'
sock_create_kern -1
sock_create -1
__sock_create -1
sock_create_lite -1
kern_path 0
dentry_open -1
kern_path-out -2
kern_path-magic -18
kernel_read_file_from_path d
kernel_read_file_from_path_initns d
file_open_root -1
vfs_path_lookup -1
d_path /etc/r
d_path-short -36
file_path /etc/r
dentry_path_raw /etc/r
d_path-out -1
lookup_bdev 251658247
lookup_bdev-file -15
blkdev_get_by_path -6
blkdev_get_by_dev -1
kern_path-nowhere -14
lookup_bdev-nowhere -14
kernel_read_file_from_path-nowhere -14
call_usermodehelper_setup-nowhere 0
kobject_init_and_add -1
dev_set_name -1
device_register -1
kern_path_create -1
request_firmware_direct -1
its-firmware-is-none 1
call_usermodehelper_setup 0
__request_module -1
prepare_kernel_cred 0
commit_creds -1
send_sig 0
kill_pid -1
access_process_vm 0
override_creds 0
revert_creds 0
kthread_use_mm 0
kthread_unuse_mm 1
request_key_tag -1
request_key_rcu -1
request_key_with_auxdata -1
register_kprobe -1
register_kretprobe -1
register_ftrace_function -1
perf_event_create_kernel_counter -1
register_ftrace_direct -1
modify_ftrace_direct -1
register_ftrace_direct_multi -1
tracepoint_probe_register -1
tracepoint_probe_register_prio -1
tracepoint_probe_register_prio_may_exist -1
do_settimeofday64 -1
stop_machine -1
wrmsrl_safe_on_cpu -1
register_restart_handler -1
register_sys_off_handler -1
__register_nmi_handler -1
kmsg_dump_register -1
register_sysrq_key -1
register_netdevice_notifier -1
register_inetaddr_notifier -1
register_inet6addr_notifier -1
netlink_register_notifier -1
register_reboot_notifier -1
register_pm_notifier -1
register_die_notifier -1
register_module_notifier -1
register_oom_notifier -1
register_keyboard_notifier -1
bus_register_notifier -1
atomic_notifier_chain_register -1
blocking_notifier_chain_register -1
raw_notifier_chain_register -1
nf_register_net_hook -1
nf_register_net_hooks -1
nf_register_sockopt -1
register_pernet_subsys -1
register_pernet_device -1
dev_add_pack 0
netdev_rx_handler_register -1
sock_register -1
__netlink_kernel_create 0
dev_get_by_index 0
cdev_add -1
input_register_handler -1
class_interface_register -1
tty_register_ldisc -1
register_console -19
register_sysctl_table 0
find_get_pid 0
find_vpid 0
lookup_user_key -1
mmu_notifier_register -1
__register_binfmt 0
register_syscore_ops 0
__clocksource_register_scale -1
crypto_register_template -1
set_memory_uc -1
power 0
END
	console_values reach-d >"$WORK/got"
	expect diff "$WORK/want" "$WORK/got"
}

test_each_of_them_is_in_the_record()
{
	"$VMM" record --session d --verdict deny --json "$WORK/record" | jq -r '.requests[].function' |
		sort -u >"$WORK/got"
	cat >"$WORK/want" <<'END'
__clocksource_register_scale
__netlink_kernel_create
__register_binfmt
__register_nmi_handler
__request_module
__sock_create
access_process_vm
atomic_notifier_chain_register
blkdev_get_by_dev
blocking_notifier_chain_register
bus_register_notifier
call_usermodehelper_setup
cdev_add
class_interface_register
commit_creds
crypto_register_template
d_path
dentry_open
dev_add_pack
dev_get_by_index
dev_set_name
device_register
do_settimeofday64
emergency_restart
file_open_root
find_get_pid
find_vpid
input_register_handler
kern_path_create
kernel_halt
kernel_power_off
kernel_restart
kill_pid
kmsg_dump_register
kobject_init_and_add
kthread_use_mm
lookup_user_key
mmu_notifier_register
modify_ftrace_direct
native_write_cr0
netdev_rx_handler_register
netlink_register_notifier
nf_register_net_hook
nf_register_net_hooks
nf_register_sockopt
orderly_poweroff
orderly_reboot
override_creds
perf_event_create_kernel_counter
prepare_kernel_cred
raw_notifier_chain_register
register_console
register_die_notifier
register_ftrace_direct
register_ftrace_direct_multi
register_ftrace_function
register_inet6addr_notifier
register_inetaddr_notifier
register_keyboard_notifier
register_kprobe
register_kretprobe
register_module_notifier
register_netdevice_notifier
register_oom_notifier
register_pernet_device
register_pernet_subsys
register_pm_notifier
register_reboot_notifier
register_restart_handler
register_sys_off_handler
register_syscore_ops
register_sysctl_table
register_sysrq_key
request_firmware_direct
request_key_rcu
request_key_tag
request_key_with_auxdata
set_memory_uc
sock_create
sock_create_kern
sock_create_lite
sock_register
stop_machine
tracepoint_probe_register
tracepoint_probe_register_prio
tracepoint_probe_register_prio_may_exist
tty_register_ldisc
vfs_path_lookup
wrmsrl_safe_on_cpu
END
	expect diff "$WORK/want" "$WORK/got"
}

test_a_refused_object_is_one_that_can_be_given_up()
{
	expect_equal "$(console_values warnings)" 0
}
