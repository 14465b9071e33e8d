# SPDX-License-Identifier: GPL-2.0-only
# A guest's memory in a core, while it runs and when its kernel panics, and its NMI button.
NAME=dump$BASHPID
FULL=full$BASHPID

# in_core FILE GPA TEXT: has the core TEXT at that guest-physical address? By the PT_LOADs, as readelf
# prints them: offset, virtual address, physical address, size in the file.
in_core()
{
	local offset gpa size at

	while read -r offset gpa size; do
		if [ $(($2)) -lt $((gpa)) ] || [ $(($2)) -ge $((gpa + size)) ]; then continue; fi
		at=$((offset + $2 - gpa))
		[ "$(dd if="$1" bs=1 skip=$at count=${#3} status=none | tr -d '\0')" = "$3" ]
		return
	done < <(readelf -lW "$1" | awk '$1 == "LOAD" { print $2, $4, $5 }')
	return 1
}

# note FILE KEY: what the core's VMCOREINFO, which is in its first pages, says of KEY
note()
{
	head -c 16384 "$1" | tr '\0' '\n' | sed -n "s/^.*$2=//p" | head -n 1
}

shown()
{
	expect_within 70 history_has "$@"
}

history_has()
{
	timeout 1 "$VMM" console "$1" </dev/null | grep -qaE "$2"
}

type_line()
{
	echo "$2" | timeout 3 "$VMM" console "$1" >/dev/null || :
}

# A command's output and status: run FILE COMMAND...
run()
{
	local file=$1 status=0

	shift
	"$@" >"$WORK/$file" 2>&1 </dev/null || status=$?
	echo "$status" >"$WORK/$file.status"
}

qmp_listen()
{
	perl -MIO::Socket::UNIX -e '$| = 1; my $s = IO::Socket::UNIX->new("/run/umbra/$ARGV[0].sock") or die;
		syswrite $s, "{\"execute\":\"qmp_capabilities\"}"; print while <$s>' "$1"
}

setup()
{
	local listener

	initrd "$WORK/image" "$BASE/base-cloud.img" <<'END'
say ready
while read line; do
	say "got $line"
	[ "$line" != crash ] || echo c >/proc/sysrq-trigger
done
END
	mkdir "$WORK/dumps" "$WORK/small"
	mount -t tmpfs -o size=2M,mode=755 none "$WORK/small"
	trap 'set +e; kill -KILL $(jobs -p) 2>/dev/null
		for n in "$NAME" "$FULL"; do "$VMM" kill "$n" 2>/dev/null; done; umount "$WORK/small"' EXIT
	"$VMM" run --detach --name "$NAME" --memory 160M --cpus 2 --kernel "$CLOUD/vmlinuz" --initrd "$WORK/image" \
		--append "$APPEND mark=in-guest-memory" --dump-on-panic "$WORK/dumps" >/dev/null 2>"$WORK/panic.log"
	"$VMM" run --detach --name "$FULL" --memory 128M --kernel "$CLOUD/vmlinuz" --initrd "$WORK/image" \
		--append "$APPEND" --dump-on-panic "$WORK/small" >/dev/null 2>"$WORK/full.log"
	shown "$NAME" '^@@ ready'
	qmp_listen "$NAME" >"$WORK/events" &
	listener=$!
	expect_within 30 grep -q return "$WORK/events"
	run dump "$VMM" dump "$NAME" "$WORK/core"
	type_line "$NAME" after-the-dump
	shown "$NAME" '^@@ got after-the-dump'
	shown "$FULL" '^@@ ready'
	run nospace "$VMM" dump "$FULL" "$WORK/small/core"
	ls -A "$WORK/small" >"$WORK/nospace.left"
	run nmi "$VMM" nmi "$NAME"
	"$VMM" console "$NAME" </dev/null >"$WORK/console" &
	wait_for 30 grep -qa '^\[.*Uhhuh. NMI received' "$WORK/console" || :
	type_line "$NAME" crash
	type_line "$FULL" crash
	run panic "$VMM" wait "$NAME"
	run full "$VMM" wait "$FULL"
	ls -A "$WORK/small" >"$WORK/full.left"
	kill "$listener" 2>/dev/null || :
	wait
	umount "$WORK/small"
	trap - EXIT
}

test_a_dump_of_a_guest_that_runs()
{
	expect_equal "$(cat "$WORK/dump.status")" 0 "$(cat "$WORK/dump")"
	expect_equal "$(note "$WORK/core" OSRELEASE)" "$(cat "$CLOUD/release")"
	expect [ -n "$(note "$WORK/core" 'NUMBER(phys_base)')" ]
	expect in_core "$WORK/core" 0x20000 "$APPEND mark=in-guest-memory"
	expect_equal "$(readelf -n "$WORK/core" 2>/dev/null | grep -c '^  QEMU ')" 2
	expect_in "$WORK/events" '"event": *"DUMP_COMPLETED".*"status": *"completed"|"status": *"completed".*"DUMP_COMPLETED"'
	expect_in "$WORK/events" '"event": *"RESUME"'
}

test_a_disk_that_is_full_has_no_part_of_it()
{
	expect_equal "$(cat "$WORK/nospace.status")" 1
	expect_in "$WORK/nospace" 'small/core: cannot write: No space left on device'
	# the empty one of --dump-on-panic
	expect_equal "$(grep -c . "$WORK/nospace.left")" 1
}

test_an_nmi()
{
	expect_equal "$(cat "$WORK/nmi.status")" 0
	expect_in "$WORK/console" 'NMI received for unknown reason [0-9a-f]* on CPU 0'
	expect_not_in "$WORK/console" 'NMI received for unknown reason [0-9a-f]* on CPU 1'
}

test_a_panic_is_dumped()
{
	local file

	file=$(find "$WORK/dumps" -name "$NAME-*Z.core")
	expect_equal "$(cat "$WORK/panic.status")" 11
	expect [ -s "$file" ]
	expect_in "$WORK/panic.log" "the guest's memory is in $file"
	expect_equal "$(note "$file" OSRELEASE)" "$(cat "$CLOUD/release")"
	expect grep -qa 'sysrq: Trigger a crash' "$file"
	expect_in "$WORK/events" '"event": *"GUEST_PANICKED"'
}

test_a_panic_with_a_full_disk_leaves_nothing()
{
	expect_equal "$(cat "$WORK/full.status")" 11
	expect_in "$WORK/full.log" '\.core: cannot write: No space left on device'
	expect_equal "$(cat "$WORK/full.left")" ''
}
