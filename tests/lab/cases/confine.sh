# SPDX-License-Identifier: GPL-2.0-only
# A running guest's VMM, looked at from outside: what is in force, and what is left when it is killed.
# tests/unit/vmm/confine_filter_test.c has what the filters forbid, call by call.

setup()
{
	head -c 8M /dev/zero >"$WORK/disk"
	guest_start --name confined --disk "$WORK/disk" --console "socket=$WORK/console.socket" <<'END'
load-modules
check disk dd if=/dev/vda of=/dev/null bs=64k count=4 2>/dev/null
say ready
read go
END
	expect_within 60 disk_has_a_thread
	"$VMM" info confined --json >"$WORK/info"
	pid=$(guest_pid)
	cp "/proc/$pid/status" "$WORK/status"
	cat "/proc/$pid/mountinfo" >"$WORK/mounts"
	for t in "/proc/$pid"/task/*; do
		echo "$(<"$t/comm") $(sed -n 's/^Seccomp_filters:\t//p' "$t/status")"
	done >"$WORK/threads"
	kill -KILL "$pid"
	guest_wait
}

disk_has_a_thread()
{
	grep -qsx virtio-blk "/proc/$(guest_pid)"/task/*/comm
}

test_info_shows_all_layers()
{
	expect_equal "$(jq -r .confinement.mode "$WORK/info")" on
	expect_equal "$(jq -c '.confinement.missing' "$WORK/info")" '{}'
	expect_equal "$(jq -c '[.confinement.layers[]] | all' "$WORK/info")" true
	expect [ "$(jq '.confinement["system-calls"].vcpu' "$WORK/info")" -le 35 ]
}

test_kernel_says_the_same()
{
	local nobody

	nobody=$(id -u nobody)
	expect_in "$WORK/status" "^Uid:	$nobody	$nobody	$nobody	$nobody$"
	expect_in "$WORK/status" '^CapPrm:	0000000000000000$'
	expect_in "$WORK/status" '^NoNewPrivs:	1$'
	expect_equal "$(wc -l <"$WORK/mounts")" 1 "mounts"
}

test_each_thread_has_a_filter_of_its_own()
{
	expect_in "$WORK/threads" '^vmm 1$'
	expect_in "$WORK/threads" '^vcpu0 2$'
	expect_in "$WORK/threads" '^virtio-blk 2$'
}

test_killed_vmm_leaves_nothing()
{
	expect_exit 137
	expect_error 'killed by signal 9'
	expect [ ! -e "$WORK/console.socket" ]
	expect [ -z "$("$VMM" ps --json | jq -r '.[].name' | grep -x confined)" ]
}

# Without a supervisor, for a manager: what it has started is the VMM. It ends as ever. The last test, since its
# guest takes the place of the one that the others look at.
test_managed_guest()
{
	local pid

	truncate -s 1M "$WORK/disk2"
	guest_start --name managed --confine managed --cpus 2 --disk "$WORK/disk2" --net user \
		--base "$BASE/devices-cloud.img" <<'END'
load-modules
check disk dd if=/dev/vda of=/dev/null bs=64k count=4 2>/dev/null
ip link set eth0 up
udhcpc -i eth0 -n -q -t 10 -s /bin/true 2>/dev/null && say lease yes
say ready
read go
END
	guest_wait_console '^@@ ready' 120
	"$VMM" info managed --json >"$WORK/info2"
	pid=$("$VMM" ps --json | jq '.[] | select(.name == "managed").pid')
	expect_equal "$(jq -r .confinement.mode "$WORK/info2")" managed
	expect_equal "$(jq -r '.confinement.missing | keys[]' "$WORK/info2")" pid
	expect_equal "$(jq -r '.guest["vcpu-threads"][]' "$WORK/info2" | while read -r tid; do
		cat "/proc/$pid/task/$tid/comm"
	done | tr '\n' ' ')" 'vcpu0 vcpu1 '
	guest_type go
	guest_wait
	expect_exit 0
	expect_console '^@@ lease yes'
}
