# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# A real libvirtd of this Debian, without systemd, for cases of the lab: started by the case, with what the
# package configures, ended with the machine. The root file system of the lab forgets what is written to it,
# so its /etc, /run and /var are the case's own; hence one case of these at a time.

# libvirt_install: vmm and umbra-qemu where a package would have put them.
libvirt_install()
{
	tools/check-tools libvirt || skip "packages of the group libvirt are missing"
	[ -d "$BASE/dest" ] || skip "nothing is installed"
	cp -a "$BASE/dest/usr" /
	mkdir -p /etc/umbra /var/lib/umbra
	libvirt_host
}

# libvirt_host: what udev and systemd do on a machine that they have started: who may open /dev/kvm, and
# control groups.
libvirt_host()
{
	chown root:kvm /dev/kvm
	chmod 660 /dev/kvm
	mountpoint -q /sys/fs/cgroup || mount -t cgroup2 none /sys/fs/cgroup
}

# libvirt_begin: until it answers.
libvirt_begin()
{
	[ -S /run/libvirt/virtlogd-sock ] || virtlogd -d
	libvirtd -d
	wait_for 60 virsh -q uri || { cat /var/log/libvirt/*.log; fail "libvirtd does not answer"; }
}

# libvirt_end: libvirtd alone; its guests go on.
libvirt_end()
{
	local pid

	pid=$(</run/libvirtd.pid)
	kill "$pid"
	wait_for 30 process_ended "$pid" || fail "libvirtd does not end"
}

# operation NAME VERDICT REGEX COMMAND...: what virsh answers to COMMAND, kept in $WORK/op.NAME, its status in
# $WORK/op.NAME.status; what is expected of it in $WORK/operations. VERDICT: works, later (the emulator says
# that it cannot yet, the guest goes on), refused (by libvirt itself, before the emulator is asked).
# tools/libvirt-operations makes the manual's table of the lines that call this.
operation()
{
	local name=$1 verdict=$2 regex=$3 status=0

	shift 3
	printf '%s\t%s\t%s\n' "$name" "$verdict" "$regex" >>"$WORK/operations"
	if [ -n "$BATCH" ]; then
		{
			printf "echo '\\n@@ %s\\n';" "$name" # its own end of line is none
			printf "'%s' " "$@"
			printf ';'
		} >>"$BATCH"
		return
	fi
	timeout 60 virsh "$@" >"$WORK/op.$name" 2>&1 </dev/null || status=$?
	echo "$status" >"$WORK/op.$name.status"
}

# batch_begin: operation keeps its commands from here on, which have no quote in them, until batch_end has one
# virsh carry them out, one after the other, for the start of each costs more than most of them.
BATCH=
batch_begin()
{
	BATCH=$WORK/batch
	rm -f "$BATCH"
}

batch_end()
{
	local line name=none commands status=0

	commands=$(<"$BATCH")
	BATCH=
	timeout 240 virsh "$commands" >"$WORK/batch.out" 2>&1 </dev/null || status=$?
	while IFS= read -r line; do
		case $line in
		'@@ '*)
			name=${line#@@ }
			: >"$WORK/op.$name"
			echo 0 >"$WORK/op.$name.status"
			continue
			;;
		error:*) echo 1 >"$WORK/op.$name.status" ;;
		esac
		[ -z "$line" ] || printf '%s\n' "$line" >>"$WORK/op.$name"
	done <"$WORK/batch.out"
	[ $status != 124 ] || echo 124 >"$WORK/op.$name.status"
}

# operations_hold: each of $WORK/operations did what is expected of it.
operations_hold()
{
	local name verdict regex status bad=0

	while IFS=$'\t' read -r name verdict regex; do
		[ -e "$WORK/op.$name.status" ] || { echo "$name: was not tried"; bad=1; continue; }
		status=$(<"$WORK/op.$name.status")
		case $verdict,$status in
		works,0 | later,[1-9]* | refused,[1-9]*) ;;
		*) echo "$name: $verdict, but its status is $status"; bad=1 ;;
		esac
		[ "$status" -lt 124 ] || { echo "$name: no answer in 60 s"; bad=1; }
		[ -z "$regex" ] || grep -qE -- "$regex" "$WORK/op.$name" || { echo "$name: no '$regex' in its answer"; bad=1; }
		[ $bad = 0 ] || sed 's/^/    /' "$WORK/op.$name"
	done <"$WORK/operations"
	return $bad
}

# channel_is NAME STATE: so libvirt takes the port of NAME's guest agent to be: connected, disconnected.
channel_is()
{
	virsh -q dumpxml "$1" | grep -q "name='org.qemu.guest_agent.0' state='$2'"
}

# domain_is NAME STATE
domain_is()
{
	[ "$(virsh -q domstate "$1")" = "$2" ]
}

# domain_xml NAME OUT [XML-OF-DEVICES [XML-BEHIND-THEM [MACHINE]]]: as a person would write it, not more.
domain_xml()
{
	cat >"$2" <<END
<domain type='kvm' xmlns:qemu='http://libvirt.org/schemas/domain/qemu/1.0'>
  <name>$1</name>
  <memory unit='MiB'>192</memory>
  <vcpu>2</vcpu>
  <os>
    <type arch='x86_64' machine='${5-pc}'>hvm</type>
    <kernel>/var/lib/umbra/vmlinuz</kernel>
    <initrd>/var/lib/umbra/initrd</initrd>
    <cmdline>$APPEND</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <cpu mode='host-passthrough'/>
  <devices>
    <emulator>/usr/bin/umbra-qemu</emulator>
    <serial type='pty'/>
    <console type='pty'/>
    <controller type='usb' model='none'/>
    ${3-}
  </devices>
  ${4-}
</domain>
END
}
