# SPDX-License-Identifier: GPL-2.0-only
# Input: the lines of tools/bench-vmms.sh for tools/bench-block, one for each guest. Of the guests of one
# configuration the median of a job's speed is taken, and least and most are kept; the first of them ran
# count-JOB between two marks for what a request costs, too, from which the marks' own cost is taken off.

def median: sort | .[((length - 1) / 2) | floor];

# The configurations as they came first.
def by_configuration: reduce .[] as $guest ([];
	(map(.[0].vmm) | index($guest.vmm)) as $at
	| if $at == null then . + [[$guest]] else .[$at] += [$guest] end);

def jobs: [.lines[] | select(.[0] == "fio") | {
	name: .[1], error: (.[2] | tonumber), kib: ((.[3] | tonumber) + (.[7] | tonumber)),
	kib_per_second: ((.[4] | tonumber) + (.[8] | tonumber)),
	iops: ((.[5] | tonumber) + (.[9] | tonumber))
}];

# What one request cost in job $name, of the guest that counted it.
def counted($name):
	(.watch.marks | map({ key: .name, value: . }) | from_entries) as $marks
	| (jobs[] | select(.name == "count-" + $name)) as $counted
	| $marks["count-" + $name] as $from | $marks["end-" + $name] as $to
	| ($counted.kib / (if $name | startswith("s") then 128 else 4 end)) as $ios
	| def each($what): if $from[$what] == null or $ios == 0 then null
		else [$to[$what] - $from[$what] - $marks["end-nothing"][$what]
			+ $marks["count-nothing"][$what], 0] | max / $ios end;
	{
		count_error: $counted.error, exits: each("exits"), to_vmm: (each("io_exits") + each("mmio_exits")),
		bells: each("insn_emulation"), interrupts: (each("irq_exits") + each("signal_exits")),
		halts: each("halt_exits"), calls: each("calls"), ios: $ios
	};

by_configuration | map(. as $guests | {
	vmm: .[0].vmm,
	guests: length,
	jobs: [[.[] | jobs[] | select(.name | startswith("count-") | not)] | group_by(.name)[]
		| .[0].name as $name
		| {
			$name, error: (map(.error) | add), iops: (map(.iops) | median),
			least: (map(.iops) | min), most: (map(.iops) | max),
			mib_per_second: ((map(.kib_per_second) | median) / 1024)
		}
		+ (first($guests[] | counted($name)) // { count_error: 0 })
		| .error += .count_error | del(.count_error)]
})
