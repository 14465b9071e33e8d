# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
# A domain whose emulator is Umbra, under Debian's libvirtd with its own defaults: its user, its mount
# namespace, control groups.

# shellcheck source=tests/lab/lib_libvirt.sh
. tests/lab/lib_libvirt.sh
# shellcheck source=tests/lab/lib_sessions.sh
. tests/lab/lib_sessions.sh
# shellcheck source=tests/lab/lib_umbra_commands.sh
. tests/lab/lib_umbra_commands.sh

# console_begin NAME FILE: what NAME prints, from now on; a terminal that nobody reads loses it.
console_begin()
{
	local pty

	pty=$(virsh -q ttyconsole "$1")
	cat "$pty" >>"$2" &
}

# frames_of NAME TAP: has the guest sent any?
frames_of()
{
	virsh -q domifstat "$1" "$2" | grep -q 'tx_packets [1-9]'
}

# console_says REGEX [FILE]
console_says()
{
	grep -qa -- "$1" "${2-$WORK/console}"
}

# listen: what libvirt says of its domains, until libvirtd ends.
listen()
{
	timeout 300 virsh event --all --loop --timestamp >>"$WORK/events" 2>&1 </dev/null &
}

# vmm_of NAME: the process that libvirt takes for the emulator.
vmm_of()
{
	cat "/run/libvirt/qemu/$1.pid"
}

setup()
{
	trap 'set +e; jobs -p | xargs -r kill 2>/dev/null; for g in g1 g2 g3 g4 g5; do virsh -q destroy $g; virsh -q undefine $g; done' EXIT
	libvirt_install
	truncate -s 4M /var/lib/umbra/disk
	cp "$CLOUD/vmlinuz" /var/lib/umbra/vmlinuz
	chmod 644 /var/lib/umbra/vmlinuz
	vmm prepare /var/lib/umbra/vmlinuz
	initrd /var/lib/umbra/initrd "$BASE/libvirt-cloud.img" <<'END'
load-modules
# A guest agent: libvirt sends guest-sync with a number, which comes back.
agent()
{
	for port in /sys/class/virtio-ports/*; do
		[ "$(cat $port/name 2>/dev/null)" = org.qemu.guest_agent.0 ] || continue
		while read -r line; do
			case $line in
			*guest-sync*) echo "$line" | sed 's/.*"id":\([0-9]*\).*/{"return":\1}/' ;;
			*guest-ping*) echo '{"return":{}}' ;;
			*guest-get-time*) echo '{"return":1000000000}' ;;
			*) echo '{"error":{"class":"CommandNotFound","desc":"no such command"}}' ;;
			esac
		done <>/dev/${port##*/} >&0
	done
}
agent &
wait_for 10 test -e /dev/input/event0
(head -c 24 /dev/input/event0 >/dev/null; say button; finish) &
say uuid "$(cat /sys/class/dmi/id/product_uuid)" 
say slots $(cd /sys/bus/pci/devices && echo *)
# Frames for whoever is there; of the domain with a tap they are counted.
for link in /sys/class/net/eth*; do ip link set ${link##*/} up; done
ip addr add 10.9.1.2/24 dev eth0
ping -c 20 10.9.1.1 >/dev/null 2>&1 &
say ready
while read -r line; do
	case $line in
	crash) echo c >/proc/sysrq-trigger ;;
	size) say size "$(cat /sys/block/vda/size)" ;;
	*) say "got $line" ;;
	esac
done
wait
END
	domain_xml g1 "$WORK/g1.xml" "
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/var/lib/umbra/disk'/>
      <target dev='vda' bus='virtio'/></disk>
    <interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/></interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>" '' pc \
		"<serial type='pty'><log file='/var/lib/umbra/g1.log' append='on'/></serial>"
	libvirt_begin
	operation domcapabilities works 'umbra' domcapabilities --emulatorbin /usr/bin/umbra-qemu --machine pc
	operation define works 'defined from' define "$WORK/g1.xml"
	listen
	operation start works 'started' start g1
	console_begin g1 "$WORK/console"
	expect_within 90 console_says '^@@ ready'
	operation list works 'g1 +running' list --all
	operation domstate works '^running' domstate g1
	operation domid works '^[0-9]' domid g1
	operation domuuid works '-' domuuid g1
	operation dominfo works 'CPU\(s\): +2' dominfo g1
	operation domstats works 'vcpu.1.state=1' domstats g1
	operation vcpuinfo works 'VCPU: +1' vcpuinfo g1
	operation vcpucount works 'current +live +2' vcpucount g1
	operation vcpupin works '' vcpupin g1 0 0
	operation emulatorpin works '' emulatorpin g1 0
	operation schedinfo works 'cpu_shares' schedinfo g1 --set cpu_shares=512
	operation domblklist works 'vda +/var/lib/umbra/disk' domblklist g1
	operation domblkinfo works 'Capacity: +4194304' domblkinfo g1 vda
	operation domblkstat works 'rd_req' domblkstat g1 vda
	operation domblkerror works 'No errors found' domblkerror g1
	operation blockresize works 'is resized' blockresize g1 /var/lib/umbra/disk 8M
	operation domiflist works 'user +- +virtio' domiflist g1
	operation domifstat refused '' domifstat g1 net0
	operation ttyconsole works '^/dev/pts/' ttyconsole g1
	operation dumpxml works "machine='pc-i440fx-umbra-1'" dumpxml g1
	operation autostart works 'marked as autostarted' autostart g1
	operation setmem works '' setmem g1 128M --live
	operation dommemstat works 'actual' dommemstat g1
	operation inject-nmi works '' inject-nmi g1
	operation qemu-monitor-command works '"running":true' qemu-monitor-command g1 '{"execute":"query-status"}'
	operation qemu-monitor-command-hmp works 'running' qemu-monitor-command g1 --hmp 'info status'
	operation qemu-monitor-command-pass-fds works '"return":\{\}' qemu-monitor-command g1 --pass-fds 3 '{"execute":"getfd","arguments":{"fdname":"x"}}' 3</dev/null
	expect_within 30 channel_is g1 connected
	operation qemu-agent-command works '"return":\{\}' qemu-agent-command g1 '{"execute":"guest-ping"}'
	operation suspend works 'suspended' suspend g1
	operation domstate-paused works '^paused \(user\)' domstate --reason g1
	operation resume works 'resumed' resume g1
	operation dump works 'dumped' dump g1 /var/lib/umbra/core --memory-only
	operation save later 'cannot save, restore' save g1 /var/lib/umbra/saved
	operation managedsave later 'cannot save, restore' managedsave g1
	operation attach-disk later '' attach-disk g1 /var/lib/umbra/disk vdb
	operation detach-disk later 'cannot take a device out' detach-disk g1 vda
	operation send-key later 'has no keyboard' send-key g1 KEY_A
	operation screenshot refused '' screenshot g1 "$WORK/shot"
	operation setvcpus refused '' setvcpus g1 1
	more_operations
	operation domstate-after works '^running' domstate g1
	ids=$(vmm_of g1)
	ls "/proc/$ids/task" >"$WORK/threads"
	virsh qemu-monitor-command g1 '{"execute":"query-cpus-fast"}' >"$WORK/cpus"
	ps -o user=,pid=,comm= -p "$ids" >"$WORK/ps"
	cp "/proc/$ids/cgroup" "$WORK/cgroup"
	# libvirtd ends and finds its guest again.
	libvirt_end
	libvirt_begin
	listen
	operation list-again works 'g1 +running' list --all
	operation qemu-agent-command-again works '"return":\{\}' qemu-agent-command g1 '{"execute":"guest-ping"}'
	operation reset works 'was reset' reset g1
	expect_within 90 says_times 2 '^@@ ready'
	operation vcpupin-after-reset works '' vcpupin g1 0 0
	operation reboot works 'being rebooted' reboot g1
	expect_within 120 says_times 3 '^@@ ready'
	virsh qemu-monitor-command g1 '{"execute":"query-cpus-fast"}' >"$WORK/cpus-again"
	operation shutdown works 'being shutdown' shutdown g1
	expect_within 60 domain_is g1 'shut off'
	operation domrename works '' domrename g1 h1
	operation domrename-back works '' domrename h1 g1
	operation start-pass-fds refused 'not supported' start g1 --pass-fds 0
	operation start-again works 'started' start g1
	operation destroy works 'destroyed' destroy g1
	operation undefine works 'has been undefined' undefine g1
	# The start fails when libvirt is at the monitor already.
	head -c 100000 /dev/zero >/var/lib/umbra/no-kernel
	sed 's/vmlinuz/no-kernel/' "$WORK/g1.xml" >"$WORK/no-kernel.xml"
	timeout 60 virsh create "$WORK/no-kernel.xml" >"$WORK/no-kernel" 2>&1 </dev/null ||
		echo "status $?" >>"$WORK/no-kernel"
	# A short life on the machine that libvirt's tools choose by themselves.
	domain_xml g2 "$WORK/g2.xml" "
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/var/lib/umbra/disk'/>
      <target dev='vda' bus='virtio'/></disk>
    <interface type='ethernet'><target dev='umbra-a'/><model type='virtio'/></interface>
    <interface type='bridge'><source bridge='umbra-br'/><target dev='umbra-b'/><model type='virtio'/></interface>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>" "" q35 \
		"<serial type='file'><source path='/var/lib/umbra/g2.serial'/></serial>"
	modprobe -a tun bridge
	ip link add umbra-br type bridge
	ip link set umbra-br up
	operation define-q35 works 'defined from' define "$WORK/g2.xml"
	operation start-q35 works 'started' start g2
	expect_within 90 console_says '^@@ ready' /var/lib/umbra/g2.serial
	operation dumpxml-q35 works "machine='pc-q35-umbra-1'" dumpxml g2
	operation domstats-q35 works 'net.1.name=umbra-b' domstats g2
	operation domiflist-tap works 'umbra-a +ethernet +- +virtio' domiflist g2
	operation domiflist-bridge works 'umbra-b +bridge +umbra-br +virtio' domiflist g2
	wait_for 30 frames_of g2 umbra-a || :
	operation domifstat-tap works 'umbra-a tx_packets [1-9]' domifstat g2 umbra-a
	operation domifstat-bridge works 'umbra-b rx_packets [0-9]' domifstat g2 umbra-b
	operation destroy-q35 works 'destroyed' destroy g2
	cp /var/lib/umbra/g2.serial "$WORK/console.q35"
	operation undefine-q35 works 'has been undefined' undefine g2
	qcow2_domain
	sessions_domain
}

# The error of a disk that is no raw image says what to do.
qcow2_domain()
{
	qemu-img create -q -f qcow2 /var/lib/umbra/disk.qcow2 4M
	sed "s,type='raw',type='qcow2',; s,/umbra/disk',/umbra/disk.qcow2'," "$WORK/g2.xml" >"$WORK/qcow2.xml"
	operation start-qcow2 later 'qemu-img convert -O raw' create "$WORK/qcow2.xml"
}

# What is asked for less often, of a domain that runs.
more_operations()
{
	# virtlogd opens no file for two domains.
	sed 's,<name>g1,<name>g5,; /<disk/,/<\/disk>/d; /52:54/d; s,<log [^>]*/>,,' "$WORK/g1.xml" >"$WORK/g5.xml"
	cat >"$WORK/rng.xml" <<'END'
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
END
	cat >"$WORK/link.xml" <<'END'
<interface type='user'><mac address='52:54:00:00:00:01'/><model type='virtio'/><link state='down'/></interface>
END
	batch_begin
	operation create works 'created from' create --paused "$WORK/g5.xml"
	operation destroy-transient works 'destroyed' destroy g5
	operation domname works '^g1' domname 1
	operation domcontrol works '^ok' domcontrol g1
	operation domjobinfo works 'None' domjobinfo g1
	operation domtime works 'Time: 1' domtime g1
	operation domifaddr works 'Address' domifaddr g1
	operation domif-getlink works ' up' domif-getlink g1 52:54:00:00:00:01
	operation desc works '' desc g1 --config "a guest"
	operation metadata works '' metadata g1 --uri urn:umbra --key u --set "<a/>"
	operation cpu-stats works 'cpu_time' cpu-stats g1 --total
	operation memtune works 'hard_limit' memtune g1
	operation blkiotune works 'weight' blkiotune g1
	operation numatune works 'numa_mode' numatune g1
	operation perf works '' perf g1
	operation setmaxmem works '' setmaxmem g1 256M --config
	operation set-lifecycle-action works '' set-lifecycle-action g1 poweroff restart --config
	operation guest-agent-timeout works '' guest-agent-timeout g1 --timeout 5
	operation migrate-getspeed works '' migrate-getspeed g1
	operation blkdeviotune works 'total_bytes_sec' blkdeviotune g1 vda
	operation blockjob works '' blockjob g1 vda --info
	operation migrate-setspeed later '' migrate-setspeed g1 100
	operation migrate-getmaxdowntime later '' migrate-getmaxdowntime g1
	operation migrate-setmaxdowntime later '' migrate-setmaxdowntime g1 100
	operation attach-device later '' attach-device g1 "$WORK/rng.xml"
	operation detach-interface later '' detach-interface g1 user
	operation detach-device-alias later '' detach-device-alias g1 rng0
	operation update-device later '' update-device g1 "$WORK/link.xml"
	operation domif-setlink later '' domif-setlink g1 52:54:00:00:00:01 down
	operation domblkthreshold later '' domblkthreshold g1 vda 1M
	operation blockcopy later '' blockcopy g1 vda /var/lib/umbra/copy --transient-job
	operation blockpull later '' blockpull g1 vda
	operation blockcommit refused '' blockcommit g1 vda
	operation domdirtyrate-calc refused '' domdirtyrate-calc g1
	operation domiftune works 'inbound' domiftune g1 52:54:00:00:00:01
	operation domjobabort refused '' domjobabort g1
	operation domdisplay refused '' domdisplay g1
	operation vncdisplay refused '' vncdisplay g1
	operation iothreadinfo refused '' iothreadinfo g1
	operation iothreadadd refused '' iothreadadd g1 1
	operation setvcpu refused '' setvcpu g1 0 --enable
	operation change-media refused '' change-media g1 vda --eject
	operation send-process-signal refused '' send-process-signal g1 1 term
	operation dompmwakeup later '' dompmwakeup g1
	batch_end
}

# A domain with sessions, by its XML alone: their policy and drivers are files of the host, below
# directories that libvirt's user may read; the guest's links tell what the sessions have made.
sessions_domain()
{
	cp "$BASE/dest/usr/share/umbra/examples/demo.policy" /etc/umbra/
	cp "$DUMMY" /var/lib/umbra/
	chmod -R a+rX /etc/umbra /var/lib/umbra
	initrd /var/lib/umbra/initrd2 "$BASE/libvirt-cloud.img" <<'END'
load-modules
(head -c 24 /dev/input/event0 >/dev/null; finish) &
wait_for 60 test -e /sys/class/net/bdummy0
line=links
while
	case $line in
	links) say links $(ls /sys/class/net | sort | tr '\n' ' ') ;;
	size) say size "$(cat /sys/block/vda/size)" ;;
	*) say "got $line" ;;
	esac
	read -r line
do :; done
wait
END
	truncate -s 4M /var/lib/umbra/disk4
	domain_xml g4 "$WORK/g4.xml" "
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/var/lib/umbra/disk4'/>
      <target dev='vda' bus='virtio'/></disk>" "<qemu:commandline>
      <qemu:arg value='-umbra'/><qemu:arg value='policy=/etc/umbra/demo.policy'/>
      <qemu:arg value='-umbra'/><qemu:arg value='driver=a:/var/lib/umbra/dummy.ko'/>
      <qemu:arg value='-umbra'/><qemu:arg value='driver=b:/var/lib/umbra/dummy.ko'/>
    </qemu:commandline>"
	sed -i 's,/umbra/initrd<,/umbra/initrd2<,' "$WORK/g4.xml"
	run4 define "$WORK/g4.xml"
	run4 start g4
	cat "$(virsh -q ttyconsole g4)" >>"$WORK/console4" &
	wait_for 90 console_says '^@@ links' "$WORK/console4" || :
	run4 qemu-monitor-command g4 '{"execute":"umbra-info"}'
	run4 qemu-monitor-command g4 '{"execute":"umbra-driver-list"}'
	run4 qemu-monitor-command g4 '{"execute":"umbra-session-list"}'
	# One more, of which virsh passes the file as a shell has opened it.
	cp "$BRD" /var/lib/umbra/brd.ko
	exec 9</var/lib/umbra/brd.ko
	run4 qemu-monitor-command --pass-fds 9 g4 '{"execute":"getfd","arguments":{"fdname":"driver"}}'
	exec 9<&-
	run4 qemu-monitor-command g4 '{"execute":"umbra-driver-load","arguments":{"session":"a","instance":"passed",
		"path":"passed.ko","params":"rd_nr=1 rd_size=64","fd":"driver"}}'
	run4 qemu-monitor-command g4 '{"execute":"umbra-driver-list"}'
	umbra_begin g4 "$WORK/console4"
	umbra_try_all
	cp "$WORK/console4" "$WORK/console4.before"
	run4 reboot g4
	wait_for 120 said_since_reboot '^@@ links' || :
	run4 qemu-monitor-command g4 '{"execute":"umbra-driver-list"}'
	run4 destroy g4
	run4 undefine g4
}

run4()
{
	timeout 60 virsh "$@" >>"$WORK/g4.log" 2>&1 </dev/null || echo "failed: virsh $*" >>"$WORK/g4.log"
}

said_since_reboot()
{
	console_has_said "$WORK/console4" $(($(wc -l <"$WORK/console4.before") + 1)) "$1"
}

# says_times N REGEX: so often has the guest said it?
says_times()
{
	[ "$(grep -ca -- "$2" "$WORK/console")" -ge "$1" ]
}

test_operations()
{
	operations_hold
}

test_the_guest_has_its_uuid()
{
	expect_in "$WORK/console" "^@@ uuid $(head -n 1 "$WORK/op.domuuid")"
}

test_each_device_of_q35_is_behind_a_root_port()
{
	grep -a '^@@ slots' "$WORK/console.q35"
	for bus in 01 02 03; do
		expect_in "$WORK/console.q35" "^@@ slots .*0000:$bus:00.0"
	done
	grep "type='pci'" "$WORK/op.dumpxml-q35"
	expect_in "$WORK/op.dumpxml-q35" "model='pcie-root-port'"
}

# With what virt-install adds by itself: machine q35, fourteen root ports, a channel for a guest agent, timers.
test_virt_install()
{
	timeout 250 virt-install --name g3 --memory 192 --vcpus 1 --osinfo linux2022 --import --disk /var/lib/umbra/disk,format=raw \
		--boot "emulator=/usr/bin/umbra-qemu,kernel=/var/lib/umbra/vmlinuz,initrd=/var/lib/umbra/initrd,kernel_args=$APPEND" \
		--graphics none --controller usb,model=none --network user --noautoconsole </dev/null
	console_begin g3 "$WORK/console.install"
	expect_within 90 console_says '^@@ ready' "$WORK/console.install"
	expect_within 30 channel_is g3 connected
	virsh dumpxml g3 >"$WORK/g3.xml"
	expect_in "$WORK/g3.xml" "machine='pc-q35-umbra-1'"
	expect_equal "$(grep -c "model='pcie-root-port'" "$WORK/g3.xml")" 14
	virsh destroy g3
}

test_threads_are_the_hosts()
{
	for id in $(jq -r '.return[]."thread-id"' "$WORK/cpus"); do
		expect_in "$WORK/threads" "^$id\$"
	done
}

test_a_reset_keeps_the_threads()
{
	expect_equal "$(jq -c '[.return[]."thread-id"]' "$WORK/cpus-again")" "$(jq -c '[.return[]."thread-id"]' "$WORK/cpus")"
}

test_a_start_that_fails_says_why()
{
	cat "$WORK/no-kernel"
	expect_in "$WORK/no-kernel" 'not a kernel'
	expect_in "$WORK/no-kernel" '^status'
}

test_it_runs_as_libvirts_user()
{
	cat "$WORK/ps" "$WORK/cgroup"
	expect_in "$WORK/ps" '^(libvirt|64055)'
	expect_in "$WORK/cgroup" 'machine'
}

test_events_come()
{
	cat "$WORK/events"
	for event in 'Started Booted' 'Suspended Paused' 'Resumed Unpaused' 'Shutdown Finished' 'reboot'; do
		expect_in "$WORK/events" "$event"
	done
}

test_sessions_by_the_xml_are_made_anew_at_a_reboot()
{
	cat "$WORK/g4.log" "$WORK/console4"
	expect_not_in "$WORK/g4.log" '^failed:'
	said_since_reboot '^@@ links adummy0 bdummy0 lo' || fail "the sessions' links are not there"
	expect_equal "$(grep -c '"state":"loaded".*"state":"loaded"' "$WORK/g4.log")" 3
}

# Though libvirt has changed the kernel's owner and attributes since then, and the user is another one.
test_a_kernel_that_root_has_prepared()
{
	cat "$WORK/g4.log"
	expect_in "$WORK/g4.log" '"kernel":\{"prepared":true\}'
}

# Of a file that is no copy in memory, and gone with a reset.
test_a_driver_that_virsh_passes()
{
	cat "$WORK/g4.log"
	expect_equal "$(grep -c '"driver":"passed".*"path":"passed.ko".*"state":"loaded"' "$WORK/g4.log")" 1
}

test_each_command_of_umbras_by_qemu_monitor_command()
{
	umbra_all_hold
}

# virtlogd has the file; the emulator has a pipe to it, of a set of descriptors.
test_a_log_has_what_the_console_shows()
{
	ls -l /var/lib/umbra
	[ "$(grep -ca '^@@ ready' /var/lib/umbra/g1.log)" -ge 3 ] || fail "it has less than three boots"
	expect_in /var/lib/umbra/g1.log '^@@ uuid'
}

test_a_serial_port_in_a_file()
{
	expect_in "$WORK/console.q35" '^@@ ready'
}
