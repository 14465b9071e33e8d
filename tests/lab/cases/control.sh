# SPDX-License-Identifier: GPL-2.0-only
# Guests in the background and the commands that reach them: ps, info, console, pause, resume, stop, kill;
# and clients of the control socket that do not behave.

NAME=control-$$
OTHER=other-$$

# crowd NAME: forty clients that say nothing, and one that begins an endless list, until killed; the sleep
# is their silence.
crowd()
{
	perl -MIO::Socket::UNIX -e '
		my $path = shift;
		my @all = map { IO::Socket::UNIX->new(Peer => $path) or die "connect: $!\n" } 1 .. 41;
		$SIG{PIPE} = "IGNORE";
		syswrite $all[40], "[" x 1000 for 1 .. 1000;
		print "there\n";
		close STDOUT;
		sleep 60' "/run/umbra/$1.sock"
}

# history_has NAME REGEX: does the console's history show it?
history_has()
{
	timeout 1 "$VMM" console "$1" </dev/null | grep -qaE "$2"
}

shown()
{
	expect_within 70 history_has "$@"
}

# A command's output and status: run FILE COMMAND...
run()
{
	local file=$1 status=0

	shift
	"$@" >"$WORK/$file" 2>"$WORK/$file.errors" </dev/null || status=$?
	echo "$status" >"$WORK/$file.status"
}

expect_run()
{
	expect_equal "$(cat "$WORK/$1.status")" "$2" "status of $1: $(cat "$WORK/$1.errors")"
}

# A file system of its own, which can be frozen, at $WORK/fs.
frozen_begin()
{
	local module

	for module in loop ext4; do
		modprobe -d "$GENERIC" "$module" 2>/dev/null || modprobe "$module"
	done
	mkdir "$WORK/fs"
	truncate -s 8M "$WORK/fs.img"
	mke2fs -q -F -t ext4 "$WORK/fs.img"
	mount -o loop "$WORK/fs.img" "$WORK/fs"
}

frozen_end()
{
	fsfreeze -u "$WORK/fs" 2>/dev/null || :
	umount "$WORK/fs" 2>/dev/null || :
}

# What the guest prints while the file system of its console's file is frozen: a viewer sees it, and info
# tells of the file once it has been held for a second.
freeze_console()
{
	expect_within 70 grep -qa '^@@ ready' "$WORK/fs/console"
	fsfreeze -f "$WORK/fs"
	echo while frozen | timeout 3 "$VMM" console "$OTHER" >"$WORK/frozen-viewer" || :
	local begin=${EPOCHREALTIME/./}
	run frozen "$VMM" info --json "$OTHER"
	echo $((${EPOCHREALTIME/./} - begin)) >"$WORK/frozen.us"
	run frozen-text "$VMM" info "$OTHER"
	fsfreeze -u "$WORK/fs"
	wait_for 20 grep -qa '^@@ got while frozen' "$WORK/fs/console" || :
	cp "$WORK/fs/console" "$WORK/thawed"
	run thawed-info "$VMM" info --json "$OTHER"
}

setup()
{
	local pid crowd

	truncate -s 4M "$WORK/disk"
	initrd "$WORK/image" "$BASE/button-cloud.img" <<'END'
load-modules
wait_for 10 test -e /dev/input/event0
dd if=/dev/zero of=/dev/vda bs=64k count=3 conv=fsync 2>/dev/null
grep -q deaf /proc/cmdline || (head -c 24 /dev/input/event0 >/dev/null; say button; finish) &
say ready
while read line; do say "got $line"; done
wait
END
	trap 'set +e; kill -KILL $(jobs -p) 2>/dev/null; fsfreeze -u "$WORK/fs" 2>/dev/null
		for n in "$NAME" "$OTHER"; do "$VMM" kill "$n" 2>/dev/null; done; frozen_end' EXIT
	frozen_begin
	run detach "$VMM" run --detach --paused --name "$NAME" --memory 192M --cpus 2 \
		--kernel "$CLOUD/vmlinuz" --initrd "$WORK/image" --append "$APPEND" \
		--disk "$WORK/disk,serial=abc"
	run twice "$VMM" run -d --name "$NAME" --kernel "$CLOUD/vmlinuz"
	run prelaunch "$VMM" info --json "$NAME"
	run early "$VMM" stop "$NAME"
	run first "$VMM" resume "$NAME"
	shown "$NAME" '^@@ ready'

	run other "$VMM" run -d --memory 128M --kernel "$CLOUD/vmlinuz" --initrd "$WORK/image" \
		--name "$OTHER" --append "$APPEND deaf" --console file="$WORK/fs/console"
	run ps "$VMM" ps
	run ps.json "$VMM" ps --json
	run which "$VMM" info
	freeze_console
	run deaf "$VMM" stop --timeout 1 "$OTHER"
	pid=$(jq -r ".[] | select(.name == \"$OTHER\").pid" "$WORK/ps.json")
	kill -STOP "$pid"
	run hung "$VMM" ps --json
	run kill "$VMM" kill "$OTHER"
	kill -0 "$pid" 2>/dev/null && touch "$WORK/alive"
	run after "$VMM" ps --json

	{
		echo '{"execute":"qmp_capabilities"}{"execute":"query-cpus-fast"}{"execute":"query-block"}'
		echo '{"execute":"query-blockstats"}{"execute":"query-chardev"}{"execute":"nonsense","id":4}'
	} | qmp "$NAME" 200 >"$WORK/events" &
	qmp "$NAME" 200 </dev/null >"$WORK/stranger" &
	timeout 200 "$VMM" console "$NAME" </dev/null >"$WORK/viewer" &
	# Events come to whoever has negotiated: the listener's last answer is there.
	expect_within 30 grep -q '"id": *4' "$WORK/events"
	# The others are there when they have been greeted, and shown the history.
	expect_within 30 test -s "$WORK/stranger"
	expect_within 30 grep -qa '^@@ ready' "$WORK/viewer"
	run info "$VMM" info "$NAME"
	run info.json "$VMM" info --json "$NAME"
	run pause "$VMM" pause "$NAME"
	run paused "$VMM" ps --json
	echo while paused | timeout 2 "$VMM" console "$NAME" >"$WORK/silent" || :
	run resume "$VMM" resume "$NAME"
	shown "$NAME" '^@@ got while paused'
	run resumed "$VMM" ps --json
	{
		wait_for 20 grep -qa '@@ ready' "$WORK/terminal"
		printf 'typed\r'
		wait_for 20 grep -qa '@@ got typed' "$WORK/terminal"
		printf '\001d'
	} |
		timeout 60 script -qec "$VMM console $NAME; echo status \$?" /dev/null >"$WORK/terminal" || :

	crowd "$NAME" >"$WORK/crowd" &
	crowd=$!
	expect_within 30 test -s "$WORK/crowd"
	run crowded "$VMM" info --json "$NAME"
	run stop "$VMM" stop "$NAME" --timeout 30
	kill "$crowd"
	wait
	frozen_end
	trap - EXIT
}

test_detach_prints_the_name_and_holds_nothing()
{
	expect_run detach 0
	expect_equal "$(cat "$WORK/detach")" "$NAME"
}

test_a_name_is_taken_once()
{
	expect_run twice 1
	expect_in "$WORK/twice.errors" 'a guest of this name runs already'
}

test_paused_from_the_start()
{
	expect_equal "$(jq -r .guest.status "$WORK/prelaunch")" prelaunch
	expect_equal "$(jq -r .exits.total "$WORK/prelaunch")" 0
	expect_run early 1
	expect_in "$WORK/early.errors" 'is paused and cannot shut down; `vmm resume'
	expect_run first 0
}

test_ps()
{
	expect_run ps 0
	expect_in "$WORK/ps" "^$NAME +running +[0-9]+ +2 +192M"
	expect_in "$WORK/ps" "^$OTHER +running +[0-9]+ +1 +128M"
	expect_equal "$(jq -r ".[] | select(.name == \"$NAME\").status" "$WORK/ps.json")" running
	expect_run which 1
	expect_in "$WORK/which.errors" 'guests run \(.*say which, see `vmm ps`'
}

test_a_guest_that_does_not_listen()
{
	expect_run deaf 1
	expect_in "$WORK/deaf.errors" 'has not shut down in 1 s'
}

test_a_vmm_that_hangs_is_shown_and_killed()
{
	expect_equal "$(jq -r ".[] | select(.name == \"$OTHER\").status" "$WORK/hung")" 'no answer'
	expect_run kill 0
	expect [ ! -e "$WORK/alive" ]
	expect_equal "$(jq -r ".[] | select(.name == \"$OTHER\").name" "$WORK/after")" ''
}

test_a_frozen_file_of_the_console_holds_up_nothing()
{
	expect_run frozen 0
	expect [ "$(cat "$WORK/frozen.us")" -lt 1000000 ]
	expect_in "$WORK/frozen-viewer" '^@@ got while frozen'
	expect_equal "$(jq -r '.console[0].file' "$WORK/frozen")" "$WORK/fs/console"
	expect [ "$(jq '.console[0]["held-ms"]' "$WORK/frozen")" -ge 1000 ]
	expect_in "$WORK/frozen-text" "holds what is done to this file"
	expect_equal "$(jq -r '.console[0]["held-ms"]' "$WORK/thawed-info")" null
	expect_in "$WORK/thawed" '^@@ got while frozen'
	expect_not_in "$WORK/thawed" 'bytes were lost'
}

test_info()
{
	expect_in "$WORK/info" '^  memory +192M'
	expect_in "$WORK/info" "^  disk0 +$WORK/disk +4M +no"
	expect_equal "$(jq -r '.guest.cpus, .disks[0].size' "$WORK/info.json" | paste -sd' ')" '2 4194304'
	expect [ "$(jq .exits.total "$WORK/info.json")" -gt 1000 ]
	expect [ "$(jq '.disks[0]."written-bytes"' "$WORK/info.json")" = 196608 ]
	expect [ "$(jq '.console[0].attached' "$WORK/info.json")" = 1 ]
}

test_pause_and_resume()
{
	expect_run pause 0
	expect_equal "$(jq -r ".[] | select(.name == \"$NAME\").status" "$WORK/paused")" paused
	expect_not_in "$WORK/silent" '^@@ got'
	expect_run resume 0
	expect_equal "$(jq -r ".[] | select(.name == \"$NAME\").status" "$WORK/resumed")" running
}

test_console_for_several_and_detach()
{
	expect_in "$WORK/terminal" '^status 0'
	expect_in "$WORK/terminal" '@@ ready'
	expect_in "$WORK/terminal" '@@ got typed'
	expect_in "$WORK/terminal" '\[vmm\] detached'
	expect_in "$WORK/viewer" '^@@ got typed'
	expect_in "$WORK/viewer" '^@@ end'
}

test_qmp()
{
	local tids

	tids=$(grep -a '"thread-id"' "$WORK/events" | jq -c '[.return[]."thread-id"] | unique | length')
	expect_equal "$tids" 2
	expect_in "$WORK/events" '"virtual-size":4194304'
	expect_in "$WORK/events" '"wr_bytes":196608'
	expect_in "$WORK/events" '"class":"CommandNotFound".*"id":4'
	expect_in "$WORK/events" '"event":"STOP"'
	expect_in "$WORK/events" '"event":"RESUME"'
}

test_strangers_hear_no_events()
{
	expect_equal "$(wc -l <"$WORK/stranger")" 1
	expect_in "$WORK/stranger" '^\{"QMP"'
}

test_a_crowd_of_bad_clients_locks_nobody_out()
{
	expect_run crowded 0
	expect_equal "$(jq -r .guest.name "$WORK/crowded")" "$NAME"
}

test_stop_shuts_it_down()
{
	expect_run stop 0
	expect_in "$WORK/viewer" '^@@ button'
	expect [ ! -e "/run/umbra/$NAME.sock" ]
}
