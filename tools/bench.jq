# SPDX-License-Identifier: GPL-2.0-only
# Tables of tools/bench from the JSON of its parts; $part says which.

def pad($n): tostring | if length < $n then " " * ($n - length) + . else . end;
def text($n): tostring | if length < $n then . + " " * ($n - length) else . end;
def fixed($digits):
	if $digits == 0 then round | tostring
	else (. * pow(10; $digits) | round | tostring) as $s
		| ($s | ltrimstr("-") | "0" * ([0, $digits + 1 - length] | max) + .) as $d
		| (if . < 0 and ($s | test("[1-9]")) then "-" else "" end) + $d[:-$digits] + "." + $d[-$digits:]
	end;
def ratio($to): if . == null or $to == 0 or $to == null then "-" else (. / $to | fixed(if . < 10 * $to then 2 else 1 end)) + "x" end;
def known($digits): if . == null then "-" else fixed($digits) end;
def mib: . / 1024 | fixed(1);

if $part == "calls" then
	.hooks[0].call as $direct | (.calls[] | select(.what | startswith("outb"))) as $exit
	| "",
	"One call of jiffies_to_msecs, in instructions (lab, counted; the same driver file)",
	"  " + ("" | text(30)) + ("call" | pad(12)) + ("x direct" | pad(12)) + ("with loop" | pad(12)),
	(.hooks[] | "  " + (.how | text(30)) + (.call | pad(12)) + (.call | ratio($direct) | pad(12)) + (.with_loop | pad(12))),
	"",
	"One call of the driver by an address that it handed out, in instructions (lab, counted)",
	(.back[] | "  " + (.how | text(30)) + (.call | pad(12))),
	"",
	"One call, guest and KVM and VMM together (lab, counted)",
	"  " + ("" | text(30)) + ("instructions" | pad(12)) + ("x exit" | pad(12)) + ("exits" | pad(12)) + ("to the VMM" | pad(12)),
	(.calls[] | "  " + (.what | text(30)) + (.instructions | pad(12)) + (.instructions | ratio($exit.instructions) | pad(12))
		+ (.exits | fixed(1) | pad(12)) + (.io_exits | fixed(1) | pad(12))),
	"  Exits to the VMM in that guest's life: \(.counters.kvm_io_exits) by KVM's counter shortly before its end; by the VMM's own at the end: \(.counters.vmm)"
elif $part == "boot" then
	(.[] | select(.vmm == "vmm")) as $vmm
	| "",
	"From exec to the guest's init (stock kernel, same initramfs and command line, 256 MiB, 1 vCPU; median of \($vmm.runs))",
	"  " + ("" | text(22)) + ("exits" | pad(9)) + ("x vmm" | pad(9)) + ("to the VMM" | pad(12)) + ("mmio" | pad(7)) + ("seconds" | pad(9))
		+ ("x vmm" | pad(9)) + ("counted" | pad(9)) + ("x vmm" | pad(9)) + ("own MiB" | pad(9)) + ("resident" | pad(10)),
	(.[] | "  " + (.vmm | text(22)) + (.exits | pad(9)) + (.exits | ratio($vmm.exits) | pad(9)) + (.io_exits | pad(12))
		+ (.mmio_exits | pad(7)) + (.ms / 1000 | fixed(1) | pad(9)) + (.ms | ratio($vmm.ms) | pad(9))
		+ (.counted_ms / 1000 | fixed(2) | pad(9)) + (.counted_ms | ratio($vmm.counted_ms) | pad(9))
		+ (.own_kib | mib | pad(9)) + (.resident_kib | mib | pad(10))),
	"  counted: seconds of one CPU that takes 1 ns for an instruction, all of the machine's included.",
	"  MiB are those outside guest RAM; own: pages that no other process can share."
elif $part == "start" then
	(.vmms[] | select(.vmm == "vmm")) as $vmm
	| "",
	"From exec to the first KVM_RUN (median of \($vmm.runs) runs without tracing; QEMU with -cpu \(.cpu))",
	"  " + ("" | text(22)) + ("system calls" | pad(14)) + ("x vmm" | pad(9)) + ("ms" | pad(9)) + ("x vmm" | pad(9)) + ("least" | pad(9))
		+ ("own MiB" | pad(9)) + ("resident" | pad(10)),
	(.vmms[] | "  " + (.vmm | text(22)) + (.system_calls // "-" | pad(14)) + (.system_calls | ratio($vmm.system_calls) | pad(9))
		+ (.ms | fixed(1) | pad(9)) + (.ms | ratio($vmm.ms) | pad(9)) + (.least_ms | fixed(1) | pad(9))
		+ (.own_kib | mib | pad(9)) + (.resident_kib | mib | pad(10))),
	"  Goals for vmm: 120 system calls, 10 ms with a prepared kernel, 60 ms with nothing prepared; 1.5 MiB own, 4 MiB resident.",
	"",
	"The program itself",
	"  " + ("" | text(22)) + ("MiB" | pad(14)) + ("libraries" | pad(12)),
	(.programs[] | "  " + (.vmm | text(22)) + (.bytes / 1048576 | fixed(2) | pad(14)) + (.libraries | pad(12)))
elif $part == "block" then
	def row($j; $what; $digits): (.jobs[] | select(.name == $j) | .[$what]
		| if . == null then "-" else fixed($digits) end) // "-" | pad(10);
	def table($title; $what; $digits): "", $title,
		"  " + ("" | text(34)) + (["read 1", "read 32", "write 1", "write 32", "seq read", "seq write"] | map(pad(10)) | add),
		(.[] | . as $v | "  " + (.vmm | text(34)) + (["rr1", "rr32", "rw1", "rw32", "sr", "sw"] | map(. as $j | $v | row($j; $what; $digits)) | add));
	table("Disk, I/Os per second (fio, 4 KiB at random, 1 or 32 deep; 128 KiB in sequence, 8 deep; median of \(.[0].guests) guests)"; "iops"; 0),
	table("Disk, the same, the slowest guest"; "least"; 0),
	table("Disk, the same, the fastest guest"; "most"; 0),
	table("Disk, MiB per second"; "mib_per_second"; 1),
	table("Disk, exits for each I/O"; "exits"; 2),
	table("Disk, exits to the VMM for each I/O"; "to_vmm"; 2),
	table("Disk, system calls of the VMM for each I/O"; "calls"; 2),
	# Each as its user gets it who says nothing, through the page cache and past it.
	(. as $all | ("vmm", "vmm, auto, direct") as $name | first(.[] | select(.vmm == $name)) as $vmm
		| ["rr1", "rr32", "rw1", "rw32"] | map(. as $j
			| ($vmm.jobs[] | select(.name == $j)) as $a
			| ([$all[] | select((.vmm | startswith("QEMU")) and ((.vmm | endswith("direct")) == ($name | endswith("direct"))))
				| .jobs[] | select(.name == $j)] | max_by(.iops)) as $b
			| { iops: ($a.iops / ([$b.iops, 1] | max)), fewer: ($a.exits != null and $b.exits != null and $a.exits < $b.exits) })
		| "  Goal: at least QEMU\u0027s IOPS with fewer exits. \($name) / the QEMU that is best at it: "
			+ (map(.iops | fixed(2) + "x") | join(", "))
			+ "; fewer exits in \(map(select(.fewer)) | length) of \(length) jobs")
elif $part == "beside" then
	.guests[0].instructions as $none
	| "", "The same work of a guest beside \(.drivers) stock drivers that it does not use (lab, counted; the least of \(.guests[0].turns | length) turns)",
	"  " + ("" | text(26)) + ("modules" | pad(9)) + ("instructions" | pad(15)) + ("x none" | pad(10)),
	(.guests[] | "  " + (.how | text(26)) + (.loaded | pad(9)) + (.instructions | pad(15)) + (.instructions / $none | fixed(4) | pad(9)) + "x"),
	"  Goal in sessions: 1.01"
elif $part == "aio" then
	"", "Disk on an ext4, I/Os per second (fio, 4 KiB at random, 32 deep; median, least and most of \(.[0].turns) turns)",
	"  " + ("" | text(26)) + ("read" | pad(8)) + ("" | text(18)) + ("write" | pad(8)),
	(.[] | "  " + (.vmm | text(26)) + ([.jobs.rr32, .jobs.rw32]
		| map((.iops | fixed(0) | pad(8)) + (", \(.least | fixed(0)) to \(.most | fixed(0))" | text(18))) | add))
elif $part == "console" then
	"", "What a guest prints, 4 KiB at a time",
	"  " + ("" | text(30)) + ("KiB/s" | pad(12)) + ("exits/KiB" | pad(12)) + ("to the VMM" | pad(12)) + ("calls/KiB" | pad(12)),
	(sort_by({ serial: 0, hvc: 1, port: 2 }[.sink])[] | "  " + (.sink + ", " + .vmm | text(30)) + (.kib_per_second | known(1) | pad(12))
		+ (.exits | fixed(3) | pad(12)) + (.to_vmm | fixed(3) | pad(12))
		+ (.calls | known(3) | pad(12)))
elif $part == "memory" then
	"", "Memory outside guest RAM, of the process with the guest (goal of a plain vmm: 1.5 MiB own, 4 MiB resident)",
	"  " + ("" | text(26)) + ("own MiB" | pad(10)) + ("resident" | pad(10)),
	(.[] | "  " + (.vmm | text(26)) + (.own_kib | mib | pad(10)) + (.resident_kib | mib | pad(10)))
elif $part == "net" then
	"", "TCP with the host (median of \(.[0].guests // 1) guests)",
	"  " + ("" | text(16)) + ("out MiB/s" | pad(11)) + ("exits/MiB" | pad(11)) + ("calls/MiB" | pad(11)) + ("in MiB/s" | pad(11)) + ("exits/MiB" | pad(11)) + ("calls/MiB" | pad(11)),
	(.[] | "  " + (.vmm | text(16)) + ([.out, ."in"] | map((.mib_per_second | fixed(1) | pad(11)) + (.exits | fixed(1) | pad(11))
		+ (if .calls == null then "-" else .calls | fixed(1) end | pad(11))) | add)),
	"  The slowest and the fastest guest, MiB/s:",
	(.[] | select(.out.least) | "  " + (.vmm | text(16))
		+ ([.out, ."in"] | map("\(.least | fixed(1)) to \(.most | fixed(1))" | text(33)) | add)),
	"  To QEMU\u0027s of the same round: median, least to most (goal 1.0):",
	(.[] | select((.out.ratios // []) != [] and (.vmm | startswith("QEMU") | not)) | "  " + (.vmm | text(16))
		+ ([.out, ."in"] | map(.ratios | (length / 2 | floor) as $half
			| "\(if length % 2 == 1 then .[$half] else (.[$half - 1] + .[$half]) / 2 end | fixed(2)), "
				+ "\(.[0] | fixed(2)) to \(.[-1] | fixed(2)) (\(length))" | text(33)) | add))
elif $part == "libvirt" and has("missing") then
	"", "Domains of libvirt: not measured: \(.missing)"
elif $part == "libvirt" then
	(first(.vmms[] | select(.vmm == "Umbra").ms) // null) as $umbra
	| "",
	"From virsh start to the guest\u0027s init, under one libvirtd (same kernel, initramfs, command line, 256 MiB, 1 vCPU; \(.vmms | map(.runs) | max) of each in turn)",
	"  " + ("" | text(26)) + ("seconds" | pad(9)) + ("x Umbra" | pad(9)) + ("least" | pad(9)) + ("most" | pad(9)) + ("started" | pad(9))
		+ ("PSS MiB" | pad(10)) + ("private" | pad(9)) + ("own" | pad(9)) + ("resident" | pad(10)),
	(.vmms[] | "  " + (.vmm | text(26)) + (.ms / 1000 | fixed(2) | pad(9)) + (.ms | ratio($umbra) | pad(9))
		+ (.least_ms / 1000 | fixed(2) | pad(9)) + (.most_ms / 1000 | fixed(2) | pad(9)) + (.started_ms / 1000 | fixed(2) | pad(9))
		+ (.pss_kib | mib | pad(10)) + (.private_kib | mib | pad(9)) + (.own_kib | mib | pad(9)) + (.resident_kib | mib | pad(10))),
	(.refused[] | "  not measured: \(.vmm): \(.why)"),
	"  seconds: the median; started: until virsh start has returned, of which the guest runs at the end already.",
	"  MiB are those of the process that libvirt started, outside guest RAM."
else
	"",
	"Modules of a package whose imports link completely (vmm inspect --all)",
	"  " + ("" | text(24)) + ("modules" | pad(9)) + ("link" | pad(9)) + ("share" | pad(9)) + ("branches" | pad(11)) + ("read s" | pad(9))
		+ ("link s" | pad(9)) + ("ms each" | pad(9)),
	(.[] | "  " + (.release | text(24)) + (.modules | pad(9)) + (.links | pad(9)) + ((.share * 100 | fixed(1)) + " %" | pad(9))
		+ (.branches | pad(11)) + (.read_seconds | fixed(2) | pad(9)) + (.link_seconds | fixed(2) | pad(9))
		+ (.link_seconds * 1000 / .modules | fixed(2) | pad(9))),
	(.[] | .refused[]? | "  refused: " + .reason)
end
