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
