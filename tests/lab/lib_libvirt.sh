# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# A real libvirtd of this Debian, without systemd, for cases of the lab: started by the case, with what the
# package configures, ended with the machine. The root file system of the lab forgets what is written to it,
# so its /etc, /run and /var are the case's own; hence one case of these at a time.

# libvirt_install: vmm and umbra-qemu where a package would have put them.
libvirt_install()
{
	[ -n "${UMBRA_IN_LAB-}" ] || skip "it changes /etc, /usr and /dev of the machine: only in a machine of tools/lab"
	tools/check-tools libvirt || skip "packages of the group libvirt are missing"
	[ -d "$BASE/dest" ] || skip "nothing is installed"
	cp -a "$BASE/dest/usr" "$BASE/dest/etc" /
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

# libvirt_begin: until it answers. One that another case has left behind ends.
libvirt_begin()
{
	[ ! -e /run/libvirtd.pid ] || process_ended "$(</run/libvirtd.pid)" || libvirt_end
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

PROFILES=(/etc/apparmor.d/usr.sbin.libvirtd /etc/apparmor.d/usr.lib.libvirt.virt-aa-helper)

# apparmor_begin: libvirt's profiles, as Debian loads them when it boots. libvirtd makes those of its domains
# only if it is confined itself.
apparmor_begin()
{
	[ "$(cat /sys/module/apparmor/parameters/enabled 2>/dev/null)" = Y ] ||
		skip "AppArmor is off in this machine's kernel: tools/lab --apparmor"
	mountpoint -q /sys/kernel/security || mount -t securityfs securityfs /sys/kernel/security
	# Each start of a domain compiles its profile some four times, which this halves; it permits the same.
	grep -q '^Optimize' /etc/apparmor/parser.conf || echo 'Optimize=no-expr-simplify' >>/etc/apparmor/parser.conf
	apparmor_parser -r "${PROFILES[@]}"
	echo 0 >/proc/sys/kernel/printk_ratelimit # all that is refused is in the log
}

# apparmor_end: for other cases in this machine. Processes that had a profile go on without.
apparmor_end()
{
	apparmor_parser -R "${PROFILES[@]}"
	umount /sys/kernel/security
}

# denied FILE: the lines of what AppArmor has refused since the last call.
DENIED=0
denied()
{
	dmesg | grep -a 'apparmor="DENIED"' >"$1.all" || :
	tail -n +$((DENIED + 1)) "$1.all" >"$1"
	DENIED=$(wc -l <"$1.all")
}

# An ordinary user with a libvirtd of its own, which virsh starts.
SESSION_USER=umbra-test SESSION_HOME=/home/umbra-test
AS_USER=(setpriv --reuid "$SESSION_USER" --regid "$SESSION_USER" --init-groups env -i LC_ALL=C "PATH=$PATH"
	"HOME=$SESSION_HOME" XDG_RUNTIME_DIR=/run/umbra-test)
VIRSH=(virsh)

# session_begin: the user, who may open /dev/kvm, and has no domain yet.
session_begin()
{
	id "$SESSION_USER" >"$WORK/id" 2>&1 || useradd --create-home --groups kvm "$SESSION_USER"
	install -d -o "$SESSION_USER" -m 700 /run/umbra-test
	rm -rf "$SESSION_HOME/.config/libvirt"
	install -d -m 1777 /run/lock # virsh console locks the terminal there
}

# session_end: all that the user runs.
session_end()
{
	ps -u "$SESSION_USER" -o pid= | xargs -r kill 2>/dev/null
}

# session_operation NAME VERDICT REGEX COMMAND...: as operation, of the user.
session_operation()
{
	local VIRSH=("${AS_USER[@]}" virsh -c qemu:///session)

	operation "session-$1" "${@:2}"
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
	timeout 60 "${VIRSH[@]}" "$@" >"$WORK/op.$name" 2>&1 </dev/null || status=$?
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

# domain_xml NAME OUT [XML-OF-DEVICES [XML-BEHIND-THEM [MACHINE [XML-OF-SERIAL-PORT]]]]: as a person would
# write it, not more.
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
    ${6-<serial type='pty'/><console type='pty'/>}
    <controller type='usb' model='none'/>
    ${3-}
  </devices>
  ${4-}
</domain>
END
}
