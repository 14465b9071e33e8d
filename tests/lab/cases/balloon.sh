# SPDX-License-Identifier: GPL-2.0-only
# timeout: 800
# A memory balloon with the stock driver: the host gets back what a guest gives up, by the balloon or by
# reports of what it has freed, the guest's memory works on, and its statistics arrive.

# A guest that does what its console says.
guest_script()
{
	cat <<'INIT'
load-modules
say up $(awk '/MemTotal/ { print $2 }' /proc/meminfo)
while read -r command size; do
	case $command in
	fill)
		dd if=/dev/zero of=/tmp/blob bs=1M count=$size 2>/dev/null
		say filled $(stat -c %s /tmp/blob)
		;;
	free) rm /tmp/blob; say freed ;;
	unload) rmmod virtio_balloon && say unloaded ;;
	end) break ;;
	esac
done
say killed $(dmesg | grep -c 'Killed process')
faults
INIT
}

# rss: what the guest's process has of this host's memory, in MiB.
rss()
{
	awk '/^VmRSS:/ { print int($2 / 1024) }' "/proc/$pid/status"
}

rss_below()
{
	[ "$(rss)" -lt "$1" ]
}

note()
{
	echo "$*" >>"$WORK/notes"
}

# actual: by the control socket, as QEMU's clients ask.
actual()
{
	qmp_ask "/run/umbra/$name.sock" '{"execute":"query-balloon"}' | sed 's/.*"actual": *\([0-9]*\).*/\1/'
}

actual_is()
{
	[ "$(actual)" = "$1" ]
}

setup()
{
	local MIB=1048576

	# Free pages are reported by themselves, of a memfd here.
	name=reports-$$
	guest_script >"$WORK/script"
	guest_start --timeout 250 --memory 256M,shared --balloon on --name "$name" \
		--base "$BASE/devices-cloud.img" <"$WORK/script"
	guest_wait_console '^@@ up' 100
	pid=$(guest_vmm)
	guest_type fill 90
	guest_wait_console '^@@ filled'
	note reports full "$(rss)"
	guest_type free
	guest_wait_console '^@@ freed'
	wait_for 60 rss_below 110 || true
	note reports freed "$(rss)"
	"$VMM" memory "$name" --json >"$WORK/reports.json"
	guest_type fill 60
	guest_type end
	guest_wait
	mv "$WORK/console" "$WORK/console.reports"

	name=balloon-$$
	guest_start --timeout 450 --memory 256M --balloon on,reporting=off --name "$name" \
		--base "$BASE/devices-cloud.img" <"$WORK/script"
	guest_wait_console '^@@ up' 100
	pid=$(guest_vmm)
	guest_type fill 90
	guest_wait_console '^@@ filled'
	guest_type free
	guest_wait_console '^@@ freed'
	note balloon full "$(rss)"
	"$VMM" memory "$name" 96M --timeout 100 >"$WORK/shrunk" 2>&1 && note shrunk yes
	note balloon shrunk "$(rss)"
	note actual shrunk "$(actual)"
	"$VMM" memory "$name" >"$WORK/shown" 2>&1
	# It needs more than it has: it takes some back by itself, and nothing is killed.
	guest_type fill 80
	guest_wait_console '^@@ filled 83886080' 100
	note actual needy "$(actual)"
	"$VMM" memory "$name" 256M --timeout 100 >"$WORK/grown" 2>&1 && note grown yes
	note actual grown "$(actual)"
	"$VMM" memory "$name" --json >"$WORK/grown.json"
	guest_type free
	# All that the driver holds it gives back before it goes.
	"$VMM" memory "$name" 192M --timeout 100 >"$WORK/again" 2>&1 && note again yes
	guest_type unload
	guest_wait_console '^@@ unloaded'
	wait_for 20 actual_is $((256 * MIB)) || true
	note actual unloaded "$(actual)"
	"$VMM" memory "$name" >"$WORK/unloaded" 2>&1
	# Another kernel: what it is asked for stays, what it holds is nothing at first.
	echo '{"execute":"qmp_capabilities"}{"execute":"system_reset"}' |
		qmp "$name" 60 '"RESET"' >"$WORK/events"
	note actual reset "$(actual)"
	wait_for 120 actual_is $((192 * MIB)) || true
	note actual rebooted "$(actual)"
	guest_type end
	guest_wait
}

# noted WORD...: the number of the note that begins so.
noted()
{
	sed -n "s/^$* //p" "$WORK/notes"
}

test_guests_end_well()
{
	expect_exit 0
	expect_equal "$(console_values up | wc -l)" 2 boots
	expect_no_console 'WARNING: |BUG: |Oops: '
	expect_not_in "$WORK/console.reports" 'WARNING: |BUG: |Oops: '
	expect_in "$WORK/console.reports" '^@@ end'
	expect_equal "$(wc -c <"$WORK/errors")" 0 "bytes of errors: $(cat "$WORK/errors")"
}

test_what_is_freed_is_reported()
{
	expect [ "$(noted reports full)" -ge 130 ]
	expect [ "$(noted reports freed)" -lt 110 ]
	expect_in "$WORK/reports.json" '"inflated-bytes": 0,'
	expect_equal "$(grep -c '^@@ filled' "$WORK/console.reports")" 2
}

test_inflated_memory_is_the_hosts()
{
	expect_equal "$(noted shrunk)" yes "$(<"$WORK/shrunk")"
	expect_equal "$(noted actual shrunk)" 100663296
	expect [ "$(noted balloon full)" -ge 130 ]
	expect [ "$(noted balloon shrunk)" -le 112 ]
	expect_in "$WORK/shown" "^guest balloon-$$ has 96M of 256M$"
}

test_a_guest_that_runs_short_takes_some_back()
{
	expect [ "$(noted actual needy)" -gt 100663296 ]
	expect_console '^@@ filled 83886080'
	expect_console '^@@ killed 0'
}

test_deflated_memory_is_the_guests()
{
	expect_equal "$(noted grown)" yes "$(<"$WORK/grown")"
	expect_equal "$(noted actual grown)" 268435456
}

test_statistics()
{
	local total

	total=$(console_values up | head -n 1)
	expect_in "$WORK/grown.json" "\"stat-total-memory\": $((total * 1024))"
	expect_in "$WORK/shown" '^  free  *[0-9.]*M$'
	expect_in "$WORK/shown" '^  available  *[0-9.]*M$'
}

test_a_driver_that_goes_leaves_nothing()
{
	expect_equal "$(noted again)" yes "$(<"$WORK/again")"
	expect_equal "$(noted actual unloaded)" 268435456
	expect_in "$WORK/unloaded" 'has 256M of 256M, and is asked to have 192M; its balloon has no driver now'
}

test_a_reset_forgets_what_is_held_and_not_what_is_asked()
{
	expect_equal "$(noted actual reset)" 268435456
	expect_equal "$(noted actual rebooted)" 201326592
}
