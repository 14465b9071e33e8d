# SPDX-License-Identifier: GPL-2.0-only
# A session by an Umbra that was installed into a DESTDIR, its options from a file beside its parts.
. tests/lab/lib_sessions.sh

INSTALLED=$BASE/dest/usr
VMM=$INSTALLED/bin/vmm

setup()
{
	[ -x "$VMM" ] || return 0
	mkdir "$WORK/guest"
	cp "$INSTALLED/share/umbra/examples/demo.policy" "$DUMMY" "$WORK/guest"
	cat >"$WORK/guest/guest.conf" <<'END'
# relative to this file
policy = "demo.policy";
driver = ( "a:dummy.ko", "b:dummy.ko,numdummies=2" );
record = "requests";
memory = "192M"; cpus = 4;
END
	guest_run --cpus 3 --config "$WORK/guest/guest.conf" --cpus 2 <<'END'
wait_for 60 test -e /sys/class/net/bdummy1
say links $(ls /sys/class/net | sort | tr '\n' ' ')
say cpus $(grep -c ^processor /proc/cpuinfo)
END
}

there()
{
	[ -x "$VMM" ] || skip "make install wants lowdown and mandoc"
}

test_sessions_work_from_where_it_is_installed()
{
	there
	expect_exit 0
	expect_equal "$(console_values links)" 'adummy0 bdummy0 bdummy1 lo'
}

test_options_behind_the_file_win()
{
	there
	expect_equal "$(console_values cpus)" 2
}

test_paths_lead_from_the_file()
{
	there
	"$VMM" record "$WORK/guest/requests" --json >"$WORK/record.json"
	expect [ "$(jq '.requests | length' "$WORK/record.json")" -gt 0 ]
}

test_a_mistake_names_file_and_line()
{
	there
	printf 'cpus = 1;\nmemroy = "1G";\n' >"$WORK/bad.conf"
	! "$VMM" run --config "$WORK/bad.conf" 2>"$WORK/errors" || fail 'it was taken'
	expect_one_line_error 'bad.conf:2: memroy: .*"memory"'
}
