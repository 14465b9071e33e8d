# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# shellcheck disable=SC2154 # the caller sets them
# For tools/bench-aio, -block, -console, -memory and -net: a guest with tools/bench-io-guest as its init, by
# one VMM after the other. Sourced in the project's root; the caller has set $work (a directory
# that it removes) and $part, and may set $ram, $limit and watch_options.
#
# Every guest is the same: stock kernel, initramfs, command line, RAM, one vCPU. QEMU gets its
# lightest machine, with ACPI and PCI, and the kernel as the ELF file within vmlinuz if there is one.
# The limit is for a machine that does much else; alone it needs a fifth of it.
: "${ram:=256}" "${limit:=240}"
failed=0

# In the lab build/ is a network file system, which is not what is compared here.
vmms_prepare()
{
	cp build/images/cloud/vmlinuz build/bench/io.img build/vmm build/net-helper "$work"
	if [ -n "${UMBRA_BENCH_BEFORE-}" ]; then
		mkdir "$work/before"
		cp "$UMBRA_BENCH_BEFORE/vmm" "$UMBRA_BENCH_BEFORE/net-helper" "$work/before"
	fi
	elf=$work/vmlinuz
	if [ -s build/bench/vmlinux ]; then
		cp build/bench/vmlinux "$work"
		elf=$work/vmlinux
	fi
	cat "$(command -v qemu-system-x86_64)" >/dev/null
}

# watch LABEL APPEND COMMAND...: one line of JSON on stdout, { vmm, round, watch, lines }, where lines are
# those that the guest said with "@@", and round is the caller's $round. Nothing, and a line of complaint, if it came to no good end.
watch()
{
	local label=$1

	shift
	: >"$work/console"
	if build/tools/bench_watch --calls ${watch_options[@]+"${watch_options[@]}"} --console "$work/console" \
		--ram "$ram" --timeout "$limit" --until end "$@" </dev/null >"$work/watch" 2>"$work/errors" &&
		grep -qa '@@ mark end' "$work/console" && ! grep -qa '@@ failed' "$work/console"; then
		tr -d '\r' <"$work/console" | sed -n 's/^.*@@ //p' | jq -cnR --arg vmm "$label" \
			--argjson round "${round:-0}" --slurpfile watch "$work/watch" '{ $vmm, $round, watch: $watch[0], lines: [inputs | split(" ")] }'
		return
	fi
	tail -n 5 "$work/errors" >&2
	tail -n 5 "$work/console" | tr -d '\r' >&2
	echo "bench-$part: $label: the guest did not come to its end" >&2
	failed=1
}

# configuration COMMAND...: what UMBRA_BENCH_ONLY, if it is set, is no part of is left out.
configuration()
{
	[[ $* == *${UMBRA_BENCH_ONLY-}* ]] || return 0
	"$@"
}

# run_vmm LABEL APPEND OPTION...
run_vmm()
{
	local label=$1 append=$2

	shift 2
	watch "$label" "$work/${vmm_dir-}vmm" run --kernel "$work/vmlinuz" --initrd "$work/io.img" --append "$append" \
		--memory "${ram}M" "$@"
}

# run_before LABEL APPEND OPTION...: the same by the vmm of another build, if there is one.
run_before()
{
	[ -z "${UMBRA_BENCH_BEFORE-}" ] || vmm_dir=before/ run_vmm "$@"
}

run_qemu()
{
	local label=$1 append=$2

	shift 2
	watch "$label" qemu-system-x86_64 -M microvm,acpi=on,pcie=on,rtc=on -accel kvm -cpu host -m "$ram" \
		-nodefaults -no-user-config -nographic -no-reboot -chardev stdio,id=c,signal=off \
		-serial chardev:c -kernel "$elf" -initrd "$work/io.img" -append "$append" "$@"
}

# Nothing if it is not there. It takes no input from a pipe.
run_lkvm()
{
	local label=$1 append=$2

	shift 2
	[ -z "${UMBRA_LKVM-}" ] ||
		watch "$label" "$UMBRA_LKVM" run -k "$work/vmlinuz" -i "$work/io.img" -m "$ram" -c 1 -p "$append pause=0.5" "$@"
}
