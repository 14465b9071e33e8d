# SPDX-License-Identifier: GPL-2.0-only
# shellcheck shell=bash
# For tests of `vmm run` that need any guest at all: one that waits before its first instruction.
# shellcheck source=tests/lib_tap.sh
. tests/lib_tap.sh

# guest_begin NAME: in place of tap_begin; goes to $work, where nothing else is.
guest_begin()
{
	vmm=$PWD/build/vmm
	kernel=$(find "$PWD"/build/images -name 'vmlinuz*' | sort | head -n 1)
	[ -n "$kernel" ] || tap_skip "$1" 'no kernel in build/images'
	tap_begin "$1"
	guest=unit-$1-$$
	run=
	trap guest_clean_up EXIT
	export XDG_RUNTIME_DIR=$work XDG_CACHE_HOME=$work
	cd "$work" || exit 1
}

guest_clean_up()
{
	[ -z "$run" ] || kill "$run" 2>/dev/null
	rm -rf "$work"
}

guest_answers_or_has_ended()
{
	"$vmm" info "$guest" || process_ended "$run"
}

# guest_start OPTION...: the guest $guest, whose vmm is $run and writes to the files out and err.
guest_start()
{
	"$vmm" run --kernel "$kernel" --memory 128M --paused --name "$guest" "$@" </dev/null >out 2>err &
	run=$!
	wait_for 10 guest_answers_or_has_ended
}

# guest_ends CODE: the guest whose vmm is $run does so, within 10 s
guest_ends()
{
	local code=0

	wait_for 10 process_ended "$run" || return 1
	wait "$run" || code=$?
	run=
	[ $code = "$1" ] || { echo "exit code $code"; cat err; return 1; }
}

# info_tells PATTERN: in what vmm info says now, which stays in the file info
info_tells()
{
	"$vmm" info "$guest" --json >info && grep -q "$1" info
}

# child PID NAME: the child of PID that calls itself NAME, within 10 s
child()
{
	wait_for 10 child_named "$1" "$2"
	child_named "$1" "$2"
}

# guest_helper MODE NAME: of the guest that was started with --confine MODE, $main is the VMM, $keeper what
# keeps the process NAME running, and $helper that process.
guest_helper()
{
	main=$run
	case $1 in
	on | strict) main=$(child "$run" vmm) ;;
	esac
	keeper=$(child "$main" "$2-keeper")
	helper=$(child "$keeper" "$2")
}
