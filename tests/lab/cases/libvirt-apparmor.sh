# SPDX-License-Identifier: GPL-2.0-only
# timeout: 700
# Domains of Debian's libvirtd with AppArmor's profiles of it and of each domain; and of a user's own libvirtd,
# qemu:///session.

# shellcheck source=tests/lab/lib_libvirt.sh
. tests/lab/lib_libvirt.sh
# shellcheck source=tests/lab/lib_sessions.sh
. tests/lab/lib_sessions.sh

LOCAL=/etc/apparmor.d/local/abstractions/libvirt-qemu
INCLUDE='include if exists <abstractions/umbra-qemu>'

setup()
{
	libvirt_install
	apparmor_begin
	trap 'set +e; jobs -p | xargs -r kill 2>/dev/null; virsh -q destroy a1; virsh -q undefine a1; session_end
		libvirt_end; : >$LOCAL; apparmor_end' EXIT
	files
	libvirt_begin
	virsh capabilities >"$WORK/capabilities"
	tr -d '\0' <"/proc/$(</run/libvirtd.pid)/attr/current" >"$WORK/label.libvirtd"
	profile_without_the_line
	echo "$INCLUDE" >$LOCAL
	vmm doctor --libvirt >"$WORK/doctor" || echo "status $?" >>"$WORK/doctor"
	file_outside_of_the_profile
	domain_with_the_line
	session_mode
}

# What the guests are made of. What a policy and a driver are is the host's; each can be read by all.
files()
{
	local append=$APPEND

	cp "$CLOUD/vmlinuz" "$DUMMY" /var/lib/umbra/
	chmod 644 /var/lib/umbra/vmlinuz
	vmm prepare /var/lib/umbra/vmlinuz
	truncate -s 4M /var/lib/libvirt/images/a1.img
	install -d -o libvirt-qemu /var/lib/umbra/records
	rm -f /var/lib/umbra/records/a1 /var/log/libvirt/qemu/a1.log # of a run before this one
	mkdir -p /srv/umbra
	cp "$BASE/dest/usr/share/umbra/examples/demo.policy" /etc/umbra/
	cp "$BASE/dest/usr/share/umbra/examples/demo.policy" /srv/umbra/
	initrd /var/lib/umbra/initrd "$BASE/libvirt-cloud.img" <<'END'
load-modules
wait_for 10 test -e /dev/input/event0
(head -c 24 /dev/input/event0 >/dev/null; finish) &
ip link set eth0 up
udhcpc -i eth0 -n -q -t 10 -s /bin/true 2>/dev/null && say lease yes
! grep -q sessions /proc/cmdline || wait_for 60 test -e /sys/class/net/adummy0
say links $(ls /sys/class/net | sort | tr '\n' ' ')
[ ! -e /dev/vda ] || dd if=/dev/zero of=/dev/vda bs=64k count=4 2>/dev/null && say disk written
say ready
while read -r line; do say "got $line"; done
wait
END
	chmod -R a+rX /etc/umbra /srv/umbra /var/lib/umbra
	APPEND="$append sessions"
	domain_xml a1 "$WORK/a1.xml" "
    <disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='/var/lib/libvirt/images/a1.img'/>
      <target dev='vda' bus='virtio'/></disk>
    <interface type='user'><model type='virtio'/></interface>
    <channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>" "<qemu:commandline>
      <qemu:arg value='-umbra'/><qemu:arg value='policy=/etc/umbra/demo.policy'/>
      <qemu:arg value='-umbra'/><qemu:arg value='driver=a:/var/lib/umbra/dummy.ko'/>
      <qemu:arg value='-umbra'/><qemu:arg value='record=/var/lib/umbra/records/a1'/>
    </qemu:commandline>"
	sed 's,/etc/umbra/,/srv/umbra/,; /record=/d' "$WORK/a1.xml" >"$WORK/outside.xml"
	APPEND=$append
	domain_xml s1 "$WORK/s1.xml" "<interface type='user'><model type='virtio'/></interface>"
	chmod 644 "$WORK/s1.xml"
}

profile_without_the_line()
{
	: >$LOCAL
	vmm doctor --libvirt >"$WORK/doctor.without" || echo "status $?" >>"$WORK/doctor.without"
	timeout 60 virsh create "$WORK/a1.xml" >"$WORK/without" 2>&1 </dev/null || echo "status $?" >>"$WORK/without"
	denied "$WORK/denied.without"
}

# A policy that every user can read, and no profile names.
file_outside_of_the_profile()
{
	setpriv --reuid libvirt-qemu --clear-groups cat /srv/umbra/demo.policy >"$WORK/readable"
	timeout 60 virsh create "$WORK/outside.xml" >"$WORK/outside" 2>&1 </dev/null || echo "status $?" >>"$WORK/outside"
	denied "$WORK/denied.outside"
}

domain_with_the_line()
{
	local pid

	operation define works 'defined from' define "$WORK/a1.xml"
	operation start works 'started' start a1
	cat "$(virsh -q ttyconsole a1)" >>"$WORK/console" &
	pid=$(cat /run/libvirt/qemu/a1.pid)
	tr -d '\0' <"/proc/$pid/attr/current" >"$WORK/label"
	virsh -q domuuid a1 >"$WORK/uuid"
	virsh qemu-monitor-command a1 '{"execute":"umbra-info"}' >"$WORK/info"
	wait_for 120 grep -qa '^@@ ready' "$WORK/console" || :
	for pid in $(ps -u libvirt-qemu -o pid=); do
		tr -d '\0' <"/proc/$pid/attr/current"
	done >"$WORK/labels"
	operation qemu-monitor-command works '"state":"loaded"' qemu-monitor-command a1 '{"execute":"umbra-driver-list"}'
	operation blockresize works 'is resized' blockresize a1 /var/lib/libvirt/images/a1.img 8M
	operation setmem works '' setmem a1 128M --live
	operation suspend works 'suspended' suspend a1
	operation resume works 'resumed' resume a1
	operation shutdown works 'being shutdown' shutdown a1
	wait_for 60 domain_is a1 'shut off' || :
	operation domstate works '^shut off' domstate a1
	operation undefine works 'has been undefined' undefine a1
	cp /var/log/libvirt/qemu/a1.log "$WORK/a1.log"
	cp /var/lib/umbra/records/a1 "$WORK/record"
	denied "$WORK/denied"
}

session_mode()
{
	session_begin
	session_operation define works 'defined from' define "$WORK/s1.xml"
	session_operation start works 'started' start s1
	# The console as a person has it, by a terminal.
	mkfifo "$WORK/keys"
	timeout 300 "${AS_USER[@]}" script -qec 'virsh -c qemu:///session console s1' /dev/null \
		<"$WORK/keys" >"$WORK/console.session" 2>&1 &
	exec {keys}>"$WORK/keys"
	session_operation list works 's1 +running' list --all
	session_operation domstate works '^running' domstate s1
	session_operation dominfo works 'CPU\(s\): +2' dominfo s1
	session_operation domstats works 'vcpu.1.state=1' domstats s1
	session_operation domiflist works 'user +- +virtio' domiflist s1
	session_operation ttyconsole works '^/dev/pts/' ttyconsole s1
	session_operation dumpxml works "machine='pc-i440fx-umbra-1'" dumpxml s1
	session_operation schedinfo refused 'not available in session mode' schedinfo s1 --set cpu_shares=512
	session_operation qemu-monitor-command works '"confinement"' qemu-monitor-command s1 '{"execute":"umbra-info"}'
	wait_for 120 grep -qa '^@@ ready' "$WORK/console.session" || :
	(echo hello >&"$keys") || : # the console may have ended
	wait_for 20 grep -qa '^@@ got hello' "$WORK/console.session" || :
	ps -u "$SESSION_USER" -o args= >"$WORK/ps.session"
	session_operation suspend works 'suspended' suspend s1
	session_operation resume works 'resumed' resume s1
	session_operation shutdown works 'being shutdown' shutdown s1
	wait_for 60 session_domain_is_off || :
	session_operation domstate-after works '^shut off' domstate s1
	session_operation start-again works 'started' start s1 --paused
	session_operation destroy works 'destroyed' destroy s1
	session_operation undefine works 'has been undefined' undefine s1
	exec {keys}>&-
}

session_domain_is_off()
{
	[ "$("${AS_USER[@]}" virsh -q -c qemu:///session domstate s1)" = 'shut off' ]
}

test_operations()
{
	operations_hold
}

test_libvirtd_and_each_domain_have_a_profile()
{
	cat "$WORK"/label*
	expect_in "$WORK/capabilities" '<model>apparmor</model>'
	expect_in "$WORK/label.libvirtd" '^libvirtd \(enforce\)'
	expect_in "$WORK/label" "^libvirt-$(head -n 1 "$WORK/uuid") \(enforce\)"
	# The network's processes, too.
	expect [ "$(wc -l <"$WORK/labels")" -ge 3 ]
	expect_equal "$(sort -u "$WORK/labels")" "$(<"$WORK/label")"
}

test_the_doctor_names_the_line_that_is_missing()
{
	cat "$WORK/doctor.without"
	expect_in "$WORK/doctor.without" '^apparmor: AppArmor is on, and .* does not permit Umbra'
	expect_in "$WORK/doctor.without" "^ +add to $LOCAL:\$"
	expect_in "$WORK/doctor.without" "^  $INCLUDE\$"
	expect_equal "$(tail -n 1 "$WORK/doctor.without")" 'status 1'
}

test_without_the_line_nothing_starts()
{
	cat "$WORK/without" "$WORK/denied.without"
	expect_in "$WORK/without" '^status'
	expect_in "$WORK/denied.without" 'operation="exec" .*profile="libvirt-.*name="/usr/bin/umbra-qemu"'
}

test_with_the_line_the_doctor_finds_nothing()
{
	cat "$WORK/doctor"
	expect_not_in "$WORK/doctor" '^status'
	expect_in "$WORK/doctor" '^apparmor: ready; .*mount, net and ipc'
}

test_a_file_outside_of_the_profile_is_refused()
{
	cat "$WORK/outside" "$WORK/denied.outside"
	expect [ -s "$WORK/readable" ]
	expect_in "$WORK/outside" '/srv/umbra/demo.policy: cannot open: Permission denied'
	expect_in "$WORK/denied.outside" 'operation="open" .*profile="libvirt-.*name="/srv/umbra/demo.policy"'
}

test_what_the_profile_takes_is_told_in_one_line()
{
	cat "$WORK/a1.log"
	expect_equal "$(jq -c '.return.confinement.missing | keys' "$WORK/info")" '["ipc","mount","net","pid"]'
	expect_equal "$(grep -c 'confined without' "$WORK/a1.log")" 1
	expect_in "$WORK/a1.log" 'confined without "mount", "net", "ipc": user namespaces are not allowed here'
}

# The user namespace alone, of all that a domain with sessions does from its start to its end.
test_nothing_else_is_refused()
{
	expect_in "$WORK/denied" 'profile="libvirt-.*name="/proc/[0-9]*/uid_map"'
	expect_not_in <(grep -vE '/proc/[0-9]*/(uid_map|setgroups)"' "$WORK/denied") DENIED
}

test_the_guest_has_its_sessions_disk_and_network()
{
	tr -d '\r' <"$WORK/console"
	expect_console '^@@ lease yes'
	expect_console '^@@ links adummy0 eth0 lo'
	expect_console '^@@ disk written'
	expect_in "$WORK/record" 'dummy'
}

test_a_users_own_libvirtd_runs_a_guest()
{
	tr -d '\r' <"$WORK/console.session"
	cat "$WORK/ps.session"
	expect_in "$WORK/console.session" '^@@ lease yes'
	expect_in "$WORK/console.session" '^@@ got hello'
	expect_in "$WORK/ps.session" '^vmm run --confine managed .*--name s1'
	expect_equal "$(jq -c '.return.confinement.missing | keys' "$WORK/op.session-qemu-monitor-command")" '["pid"]'
}

test_a_kernel_that_root_has_prepared_is_found()
{
	expect_equal "$(jq .return.kernel.prepared "$WORK/info")" true
}
