# SPDX-License-Identifier: GPL-2.0-only
# Input: "DRIVER KIND SAMPLES BATCH LEAST MEDIAN" lines of tools/bench-guest; $watch: the line of
# bench_watch for the same guest; $counted: that of the guest without a record's file, in which the
# session's driver is "counted". The least of all samples counts: nothing but what was measured ran.

[inputs | split(" ") | { driver: .[0], kind: .[1], samples: (.[2] | tonumber),
	batch: (.[3] | tonumber), least: (.[4] | tonumber) }] as $costs
| def cost($driver; $kind): $costs[] | select(.driver == $driver and .kind == $kind);
def renamed: map(select(.name | test("(^|-)session-")) | .name |= sub("session-"; "counted-"));
($watch[0].marks + ($counted[0].marks | renamed) | map({ key: .name, value: . }) | from_entries) as $marks
| def counted($name; $what): $marks["end-" + $name][$what] - $marks[$name][$what];
# To print a result is an exit for each letter, so what is around an empty loop is subtracted. The
# driver makes one call more than asked for, to warm up.
def per_call($name; $what):
	(counted($name; $what) - counted("nothing-empty"; $what)) / (cost("nothing"; "empty").samples + 1)
	| . * 100 | round / 100;
(cost("plain"; "empty") | .least / .batch) as $loop
| cost("nothing"; "empty").least as $nothing
| {
	loop: ($loop | round),
	hooks: [
		["direct", "plain"], ["trampoline", "session"], ["seen (local)", "seen"],
		["ftrace hook", "ftrace"], ["kprobe", "kprobe"], ["seen, with its line", "lines"]
		| . as [$how, $driver]
		| (cost($driver; "call") | .least / .batch) as $each
		| { how: $how, call: ($each - $loop | round), with_loop: ($each | round) }
	],
	back: [
		["direct", "plain"], ["inward entry", "session"]
		| . as [$how, $driver]
		| { how: $how, call: (cost($driver; "back") | .least / .batch - $loop | round) }
	],
	calls: [
		["plain", "cpuid", "cpuid, answered by KVM"], ["plain", "outb", "outb to port 0x80, by the VMM"],
		["plain", "open", "filp_open, plain driver"], ["counted", "open", "filp_open, in a session"],
		["session", "open", "filp_open, with its line"],
		["plain", "write", "kernel_write, plain driver"],
		["counted", "write", "kernel_write, in a session"],
		["session", "write", "kernel_write, with its line"],
		["witnessed", "call", "jiffies_to_msecs, witnessed"]
		| . as [$driver, $kind, $what]
		| {
			what: $what,
			instructions: (cost($driver; $kind).least - $nothing),
			exits: per_call($driver + "-" + $kind; "exits"),
			io_exits: per_call($driver + "-" + $kind; "io_exits")
		}
	],
	counters: { kvm_io_exits: $watch[0].marks[-1].io_exits, vmm: $vmm }
}
