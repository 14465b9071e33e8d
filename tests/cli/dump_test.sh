#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-only
# vmm dump of a guest that waits before its first instruction, into files and pipes. Speaks TAP.
set -u
# shellcheck source=tests/cli/lib_guest.sh
. tests/cli/lib_guest.sh
guest_begin dump

# dump CODE TEXT ARG...: vmm dump ARG... ends with CODE, and says TEXT.
dump()
{
	local code=$1 text=$2 ret

	shift 2
	timeout 60 "$vmm" dump "$@" >said 2>&1 </dev/null
	ret=$?
	[ $ret = "$code" ] && grep -qF -e "$text" said && return
	echo "code $ret, '$(cat said)'; expected $code, '$text'"
	return 1
}

# is_core FILE: an ELF core of 128 MiB, with notes of one vCPU
is_core()
{
	readelf -hln "$1" >elf 2>&1 || return
	grep -q 'CORE (Core file)' elf && grep -q '^  LOAD  *0x0*1000 ' elf &&
		[ "$(grep -c -e '^  CORE ' -e '^  QEMU ' elf)" = 2 ] &&
		[ "$(stat -c %s "$1")" = $((4096 + (128 << 20))) ]
}

file_is_a_core_with_holes()
{
	dump 0 'core: 128.0M of guest' "$guest" core && is_core core &&
		[ "$(stat -c %a core)" = 600 ] && [ "$(du -k core | cut -f1)" -lt 65536 ]
}

a_file_is_not_replaced()
{
	echo old >old
	dump 1 'old is there already; --force replaces it' "$guest" old && [ "$(cat old)" = old ]
}

force_replaces_it()
{
	dump 0 'old: 128.0M' -f -g "$guest" old && is_core old && [ -z "$(find . -name 'old.*')" ]
}

only_files_are_replaced()
{
	local other others=(socket fifo.core link device.link)

	perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Listen => 1, Local => $ARGV[0]) or die' socket || return
	mkfifo fifo.core && ln -s core link && ln -s /dev/null device.link || return
	# Only root makes a device; that of the system is no place to try this.
	! mknod device c 1 3 2>/dev/null || others+=(device)
	for other in "${others[@]}"; do
		dump 1 "$other is there already, and is no regular file" -f "$guest" "$other" || return
	done
	[ -S socket ] && [ -p fifo.core ] && [ -L link ] && [ -L device.link ] && rm "${others[@]}"
}

a_pipe_gets_all()
{
	timeout 60 "$vmm" dump "$guest" - 2>said </dev/null | cat >piped
	is_core piped && cmp piped core
}

a_reader_that_goes_is_an_error()
{
	{ timeout 60 "$vmm" dump "$guest" - 2>said </dev/null; echo $? >code; } | head -c 100 >/dev/null
	[ "$(cat code)" = 1 ] && grep -q 'stdout: cannot write: Broken pipe' said
}

a_disk_that_is_full_is_an_error()
{
	timeout 60 "$vmm" dump "$guest" - >/dev/full 2>said </dev/null
	[ $? = 1 ] && grep -q 'stdout: cannot write: No space left on device' said
}

info_says_paused()
{
	timeout 10 "$vmm" info "$guest" --json | grep -q '"status": "prelaunch"'
}

# stuck: a dump, $dump, into a pipe that nobody reads
stuck_begin()
{
	[ -p fifo ] || mkfifo fifo
	exec 9<>fifo
	timeout 60 "$vmm" dump "$guest" - >fifo 2>stuck </dev/null &
	dump=$!
	wait_for 10 being_dumped
}

# The pipe has the first of it.
being_dumped()
{
	read -r -t 0 <&9
}

a_stuck_pipe_is_given_up_at_a_signal()
{
	stuck_begin && within 1000 info_says_paused || return
	dump 1 'please wait' "$guest" other && [ ! -e other ] || return
	kill "$dump"
	within 1000 dump_ends && grep -q 'stdout: cannot write: the dump was ended' stuck && exec 9>&-
}

# dump_ends: with 1
dump_ends()
{
	wait "$dump"
	[ $? = 1 ]
}

a_stuck_pipe_holds_up_no_signal()
{
	guest_start --no-rng && stuck_begin || return
	kill "$run"
	within 1000 guest_ends 143 && dump_ends && exec 9>&-
}

a_stuck_pipe_holds_up_no_end()
{
	stuck_begin || return
	within 1000 timeout 20 "$vmm" stop --force --timeout 0 "$guest" || return
	within 1000 dump_ends && within 1000 guest_ends 143 && exec 9>&-
}

# no_dump_is_left MODE: of a guest that has ended; with managed a helper removes it after that.
no_dump_is_left()
{
	if [ "$1" = managed ]; then
		wait_for 10 rmdir dumps
	else
		rmdir dumps
	fi
}

# a run whose guest does not panic leaves no file behind; $1: as --confine has it
no_panic_no_dump()
{
	local file

	mkdir -p dumps
	guest_start --no-rng --confine "$1" --dump-on-panic dumps || return
	file=$(find dumps -name "$guest-[0-9]*Z.core" -size 0 -perm 600)
	timeout 20 "$vmm" stop --force --timeout 0 "$guest"
	wait_for 10 process_ended "$run"
	[ -n "$file" ] && no_dump_is_left "$1"
}

# Nor does one that is killed, where somebody else removes the file.
killed_no_dump()
{
	mkdir -p dumps
	guest_start --no-rng --confine managed --dump-on-panic dumps || return
	[ -n "$(find dumps -name '*.core')" ] && kill -KILL "$run" && wait_for 10 process_ended "$run" &&
		no_dump_is_left managed
}

# The helper removes no file but its own: one that lies there by then stays.
another_file_stays()
{
	local file helper

	mkdir -p dumps
	guest_start --no-rng --confine managed --dump-on-panic dumps || return
	file=$(find dumps -name '*.core')
	helper=$(pgrep -f "remove-helper $file") && touch new && mv new "$file" && kill -KILL "$run" &&
		wait_for 10 process_ended "$run" && wait_for 10 process_ended "$helper" && [ -e "$file" ] && rm -r dumps
}

# panics OPTION...: a guest whose kernel writes to pvpanic at once, into the directory dumps
panics()
{
	mkdir -p dumps
	timeout 20 "$vmm" run --kernel panic.elf --memory 32M --dump-on-panic dumps "$@" </dev/null >said 2>&1
	[ $? = 11 ]
}

a_panic_is_dumped()
{
	local file

	panics --confine "$1" --name "$guest" || return
	file=$(find dumps -name "$guest-*Z.core")
	grep -qF "vmm: the guest's memory is in $file" said && readelf -h "$file" | grep -q CORE &&
		[ "$(stat -c %s "$file")" = $((4096 + (32 << 20))) ] && rm -r dumps
}

# A limit on files stands for a disk that is full.
what_is_not_complete_goes()
{
	(ulimit -f 16 && panics --confine "$1" --no-control) || return
	grep -q "^vmm: dumps/guest-.*Z.core: cannot write: File too large" said && no_dump_is_left "$1"
}

a_directory_that_is_none_is_an_error()
{
	timeout 20 "$vmm" run --kernel "$kernel" --dump-on-panic none </dev/null >said 2>&1
	[ $? = 1 ] && grep -q '^vmm: --dump-on-panic none: cannot make a file in it: No such file' said
}

a_start_that_fails_leaves_no_file()
{
	mkdir dumps
	timeout 20 "$vmm" run --kernel "$vmm" --confine "$1" --dump-on-panic dumps </dev/null >said 2>&1
	[ $? = 1 ] && no_dump_is_left "$1"
}

result 'a word is missing' dump 2 'vmm dump: say which GUEST, and into which FILE'
result 'the file is missing' dump 2 'vmm dump: say into which FILE' "$guest"
result 'a word too many' dump 2 'unexpected argument "b"' "$guest" a b
result 'an option is mistyped' dump 2 'unknown option "--froce"; did you mean --force?' "$guest" a --froce
result 'no such guest, no file' eval "dump 1 'no guest' nobody-$$ new; [ ! -e new ]"
guest_start --no-rng
result 'a file is a core, with holes, for its owner only' file_is_a_core_with_holes
result 'a file that is there stays' a_file_is_not_replaced
result '--force replaces it' force_replaces_it
result 'nothing but files is replaced' only_files_are_replaced
result 'a pipe gets the same' a_pipe_gets_all
result 'a reader that goes is an error' a_reader_that_goes_is_an_error
result 'a full disk is an error' a_disk_that_is_full_is_an_error
result 'the guest still waits' info_says_paused
result 'a signal ends a dump into a pipe that nobody reads' a_stuck_pipe_is_given_up_at_a_signal
result 'the guest ends during such a dump, within a second' a_stuck_pipe_holds_up_no_end
result 'so it does at a signal' a_stuck_pipe_holds_up_no_signal
result 'no panic, no file' no_panic_no_dump on
result 'the same without a supervisor' no_panic_no_dump off
result 'the same, managed' no_panic_no_dump managed
result 'the same of one that is killed' killed_no_dump
result "another's file stays" another_file_stays
result 'no directory' a_directory_that_is_none_is_an_error
result 'a start that fails leaves no file' a_start_that_fails_leaves_no_file on
result 'the same without a supervisor' a_start_that_fails_leaves_no_file off
result 'the same, managed' a_start_that_fails_leaves_no_file managed

as --64 -o panic.o - <<'END'
.globl _start
_start: mov $0x505, %edx; mov $1, %al; outb %al, %dx; 1: hlt; jmp 1b
END
ld -Ttext=0x1000000 -o panic.elf panic.o
result 'a panic is dumped' a_panic_is_dumped on
result 'the same without a supervisor' a_panic_is_dumped off
result 'the same, managed' a_panic_is_dumped managed
result 'a dump that is not complete goes' what_is_not_complete_goes on
result 'the same without a supervisor' what_is_not_complete_goes off
result 'the same, managed' what_is_not_complete_goes managed

echo "1..$n"
