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
def ratio($to): if $to == 0 or $to == null then "-" else (. / $to | fixed(if . < 10 * $to then 2 else 1 end)) + "x" end;
def mib: . / 1024 | fixed(1);

if $part == "calls" then
	.hooks[0].call as $direct | (.calls[] | select(.what | startswith("outb"))) as $exit
	| "",
	"One call of jiffies_to_msecs, in instructions (lab, counted; the same driver file)",
	"  " + ("" | text(30)) + ("call" | pad(12)) + ("x direct" | pad(12)) + ("with loop" | pad(12)),
	(.hooks[] | "  " + (.how | text(30)) + (.call | pad(12)) + (.call | ratio($direct) | pad(12)) + (.with_loop | pad(12))),
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
	(.vmms[] | "  " + (.vmm | text(22)) + (.system_calls | pad(14)) + (.system_calls | ratio($vmm.system_calls) | pad(9))
		+ (.ms | fixed(1) | pad(9)) + (.ms | ratio($vmm.ms) | pad(9)) + (.least_ms | fixed(1) | pad(9))
		+ (.own_kib | mib | pad(9)) + (.resident_kib | mib | pad(10)))
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
