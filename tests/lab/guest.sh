# SPDX-License-Identifier: GPL-2.0-only
# Sourced by the init scripts of test guests (/etc/guest.sh in the image). Lines that begin with @@
# are what the tests look for on the console.
export PATH=/bin:/sbin
[ -e /proc/self ] || mount -t proc proc /proc
[ -e /sys/kernel ] || mount -t sysfs sys /sys
[ -e /dev/null ] || mount -t devtmpfs dev /dev
echo 4 >/proc/sys/kernel/printk

say()
{
	echo "@@ $*"
}

# wait_for SECONDS COMMAND...: until the command succeeds.
wait_for()
{
	local tries=$(($1 * 10))
	shift
	until "$@" >/dev/null 2>&1; do
		tries=$((tries - 1))
		if [ "$tries" -le 0 ]; then
			say "timeout: $*"
			return 1
		fi
		sleep 0.1
	done
}

# check NAME COMMAND...: one line "@@ ok NAME" or "@@ FAIL NAME".
check()
{
	local name=$1
	shift
	if "$@"; then say "ok $name"; else say "FAIL $name"; fi
}

# What the kernel complained about. Not this one: QEMU's TCG does not intercept XSETBV, so KVM in the
# lab does not see it, and the guest finds the size of its XSAVE area not changed.
faults()
{
	dmesg | grep -E 'WARNING: |BUG: |Oops: ' | grep -v 'fpu/xstate.c'
}

finish()
{
	say end
	sync
	poweroff -f
}
