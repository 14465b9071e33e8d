# SPDX-License-Identifier: GPL-2.0-only
# timeout: 900
# A guest that resets itself starts anew in the same vmm: whatever it had set up, the next kernel finds
# a machine as at the first start. What the boots have in common is the disk, which counts them.

# The beginning of each guest's init: $n is the number of this boot.
counting_image()
{
	local dir=$WORK/.count

	mkdir -p "$dir"
	cat >"$dir/count.sh" <<'END'
count_boots()
{
	load-modules
	n=$(dd if=/dev/vda bs=512 count=1 2>/dev/null | tr -d '\0')
	n=$((n + 1))
	echo $n | dd of=/dev/vda bs=512 count=1 conv=notrunc,fsync,sync 2>/dev/null
}
END
	{
		cat "$BASE/devices-cloud.img"
		(cd "$dir" && echo count.sh | cpio -o -H newc -R 0:0 --quiet)
	} >"$WORK/base.img"
}

# By each way that a guest has, with all its devices in use.
setup()
{
	counting_image
	truncate -s 1M "$WORK/disk"
	guest_start --timeout 400 --cpus 2 --memory 256M --base "$WORK/base.img" --disk "$WORK/disk" \
		--net user,hostfwd=tcp:5023-:23 --console stdio --port "log=file=$WORK/port" --name "reboot-$$" \
		--append 'console=hvc0 console=ttyS0 reboot=a' <<'END'
. /count.sh; count_boots
say boot $n cpus $(grep -c ^processor /proc/cpuinfo) text $(grep -m1 ' _text$' /proc/kallsyms | cut -d' ' -f1)
say clock $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource) faults $(faults | wc -l)
say queue $(dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>&1 | grep -c 'records in')
say random $(head -c 16 /dev/hwrng | wc -c)
ip link set eth0 up
udhcpc -i eth0 -n -q -t 10 -s /bin/true 2>/dev/null && say lease yes
for p in /sys/class/virtio-ports/*; do [ "$(cat $p/name)" != log ] || echo "port $n" >/dev/${p##*/}; done
say memory $(awk '/MemTotal/ { print $2 }' /proc/meminfo)
case $n in
1) say by ACPI; reboot -f ;;
2) say by pci; echo pci >/sys/kernel/reboot/type; reboot -f ;;
3) say by kbd; echo kbd >/sys/kernel/reboot/type; reboot -f ;;
4) say by a client; read line; say not reset: $line ;;
5) say typed; read line; say "line $line" ;;
esac
END
	guest_wait_console '^@@ by a client' 300
	"$VMM" info --json "reboot-$$" >"$WORK/before"
	echo '{"execute":"qmp_capabilities"}{"execute":"system_reset"}' |
		qmp "reboot-$$" 60 '"RESET"' >"$WORK/events"
	guest_wait_console '^@@ typed' 120
	"$VMM" info --json "reboot-$$" >"$WORK/after"
	guest_type hello
	guest_wait
}

test_each_way_leads_to_another_boot()
{
	expect_exit 0
	expect_equal "$(console_values boot | cut -d' ' -f1 | tr '\n' ' ')" '1 2 3 4 5 '
	expect_no_console '^@@ not reset'
	expect_console '^@@ end'
	expect_equal "$(wc -c <"$WORK/errors")" 0 "bytes of errors: $(cat "$WORK/errors")"
}

test_all_processors_start_again()
{
	expect_equal "$(console_values boot | sed 's/.*cpus \(.\).*/\1/' | sort | uniq -c | tr -s ' ')" ' 5 2'
}

test_devices_work_again()
{
	expect_equal "$(console_values queue | sort -u)" 1
	expect_equal "$(console_values random | tr '\n' ' ')" '16 16 16 16 16 '
	expect_equal "$(console_values lease | wc -l)" 5
	expect_equal "$(tr '\n' ' ' <"$WORK/port")" 'port 1 port 2 port 3 port 4 port 5 '
	expect_console '^@@ line hello'
}

test_kernel_finds_the_same_machine()
{
	expect_equal "$(console_values memory | sort -u | wc -l)" 1
	expect_equal "$(console_values clock | sort -u)" 'kvm-clock faults 0'
}

# Each boot draws its own address.
test_kaslr_is_drawn_anew()
{
	[ "$(console_values boot | sed 's/.*text //' | sort -u | wc -l)" -gt 1 ] || fail 'always at one address'
}

test_clients_see_a_reset_and_stay()
{
	expect_in "$WORK/events" '"event": *"RESET"'
	expect_in "$WORK/events" '"reason": *"host-qmp-system-reset"'
	expect_not_in "$WORK/events" '"SHUTDOWN"'
	expect_equal "$(jq .pid "$WORK/before")" "$(jq .pid "$WORK/after")"
}

# A BIOS starts from its reset vector again, and reads the kernel that it was given once more.
test_firmware_guest()
{
	local status=0 last

	last=$(many 2 3)
	truncate -s 1M "$WORK/disk2"
	initrd "$WORK/image2" "$WORK/base.img" <<'END'
. /count.sh; count_boots
say boot $n
grep -q "last=$n" /proc/cmdline || reboot -f
END
	timeout -k 5 300 "$VMM" run --firmware seabios --memory 512M --disk "$WORK/disk2" \
		--kernel "$CLOUD/vmlinuz" --initrd "$WORK/image2" --append "$APPEND last=$last" \
		>"$WORK/console" 2>"$WORK/errors" </dev/null || status=$?
	expect_equal "$status" 0 status
	expect_equal "$(console_values boot | tr '\n' ' ')" "$(seq -s ' ' "$last") "
}

# A panic ends the machine all the same, in a later boot too.
test_memory_that_is_shared_and_a_panic_after_a_reboot()
{
	truncate -s 1M "$WORK/disk3"
	guest_run --timeout 120 --memory 256M,shared --base "$WORK/base.img" --disk "$WORK/disk3" <<'END'
. /count.sh; count_boots
say boot $n
[ $n -ge 2 ] || reboot -f
echo 1 >/proc/sys/kernel/sysrq
echo c >/proc/sysrq-trigger
END
	expect_exit 11
	expect_one_line_error 'panic'
	expect_equal "$(console_values boot | tr '\n' ' ')" '1 2 '
}
