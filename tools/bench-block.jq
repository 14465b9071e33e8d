# SPDX-License-Identifier: GPL-2.0-only
# Input: the lines of tools/bench-vmms.sh for tools/bench-block. Of each job fio ran several for the speed,
# of which the median is taken, and count-JOB between two marks for what a request costs; the marks' own
# cost is taken off.

def median: sort | .[((length - 1) / 2) | floor];

map(
	(.watch.marks | map({ key: .name, value: . }) | from_entries) as $marks
	| [.lines[] | select(.[0] == "fio") | {
		name: .[1], error: (.[2] | tonumber), kib: ((.[3] | tonumber) + (.[7] | tonumber)),
		kib_per_second: ((.[4] | tonumber) + (.[8] | tonumber)),
		iops: ((.[5] | tonumber) + (.[9] | tonumber))
	}] as $jobs
	| {
		vmm,
		jobs: [[$jobs[] | select(.name | startswith("count-") | not)] | group_by(.name)[]
			| { name: .[0].name, error: (map(.error) | add), iops: (map(.iops) | median),
				kib_per_second: (map(.kib_per_second) | median) } as $job
			| $job
			| ($jobs[] | select(.name == "count-" + $job.name)) as $counted
			| $marks["count-" + $job.name] as $from | $marks["end-" + $job.name] as $to
			| ($counted.kib / (if $job.name | startswith("s") then 128 else 4 end)) as $ios
			| def each($what): if $from[$what] == null or $ios == 0 then null
				else [$to[$what] - $from[$what] - $marks["end-nothing"][$what]
					+ $marks["count-nothing"][$what], 0] | max / $ios end;
			{
				name, error: ($job.error + $counted.error), iops, mib_per_second: (.kib_per_second / 1024),
				exits: each("exits"), to_vmm: (each("io_exits") + each("mmio_exits")),
				bells: each("insn_emulation"), interrupts: (each("irq_exits") + each("signal_exits")),
				halts: each("halt_exits"), calls: each("calls"), ios: $ios
			}]
	})
