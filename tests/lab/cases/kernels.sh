# SPDX-License-Identifier: GPL-2.0-only
# timeout: 600
# Other forms of kernel than Debian's vmlinuz as it is.
. tests/lab/lib_sessions.sh

setup()
{
	local sectors offset length

	sectors=$(od -An -tu1 -j $((0x1f1)) -N 1 "$CLOUD/vmlinuz")
	offset=$(od -An -tu4 -j $((0x248)) -N 4 "$CLOUD/vmlinuz")
	length=$(od -An -tu4 -j $((0x24c)) -N 4 "$CLOUD/vmlinuz")
	# the payload, less the size behind it
	tail -c +$(((sectors + 1) * 512 + offset + 1)) "$CLOUD/vmlinuz" | head -c $((length - 4)) |
		lz4 -d -q -c >"$WORK/vmlinux"
	policy "$WORK/policy" a
}

# boot INITRAMFS VMM-OPTION...: it is one of the ready images of tests/lab/prepare.
boot()
{
	local image=$1

	shift
	guest_run --initrd "$BASE/hello-$image.img" --memory 256M "$@"
	expect_exit 0
	expect_console "^@@ hello $RELEASE pid 1 "
}

# By the lab's own initramfs, which needs no modules: the release is not the cloud kernel's.
test_real_time_flavour()
{
	[ -s "$IMAGES/rt/release" ] || skip "no real-time kernel: images/fetch-kernel rt"
	guest_run --initrd "$BASE/hello-gzip.img" --memory 256M --kernel "$IMAGES/rt/vmlinuz"
	expect_exit 0
	expect_console "^@@ hello $(<"$IMAGES/rt/release") pid 1 "
}

# Debian's are LZ4 and XZ. Each form of kernel comes with another form of initramfs.
test_zstd_payload_and_uncompressed_initramfs()
{
	images/repack-kernel zstd "$CLOUD/vmlinuz" "$WORK/zstd"
	boot none --no-cache --kernel "$WORK/zstd"
}

test_gzip_payload_and_lz4_initramfs()
{
	images/repack-kernel gzip "$CLOUD/vmlinuz" "$WORK/gzip"
	boot lz4 --no-cache --kernel "$WORK/gzip"
}

test_bzip2_payload_and_microcode_and_zstd_initramfs()
{
	images/repack-kernel bzip2 "$CLOUD/vmlinuz" "$WORK/bzip2"
	boot microcode --no-cache --kernel "$WORK/bzip2"
}

# With the relocations that Debian's payload has behind it.
test_elf_with_relocations()
{
	boot gzip --kernel "$WORK/vmlinux"
	expect_equal "$(wc -c <"$WORK/errors")" 0
}

test_elf_without_relocations_says_that_it_has_no_kaslr()
{
	objcopy "$WORK/vmlinux" "$WORK/plain"
	boot gzip --kernel "$WORK/plain"
	expect_one_line_error 'plain: runs without KASLR: '
	expect_console '^@@ text ffffffff81000000 '
}

# What the host cannot decompress the kernel does itself. The header is made to point past the magic.
test_unknown_payload_boots_by_its_own_decompressor()
{
	local offset

	offset=$(od -An -tu4 -j $((0x248)) -N 4 "$CLOUD/vmlinuz")
	cp "$CLOUD/vmlinuz" "$WORK/opaque"
	# shellcheck disable=SC2059
	printf "$(printf '\\%03o\\%03o' $(((offset + 3) & 255)) $(((offset + 3) >> 8)))" |
		dd of="$WORK/opaque" bs=1 seek=$((0x248)) conv=notrunc status=none
	boot gzip --kernel "$WORK/opaque"
	expect_one_line_error 'opaque: .*the kernel decompresses itself'
}

test_unknown_payload_has_no_sessions()
{
	[ -e "$WORK/opaque" ] || skip "no such kernel"
	guest_run --kernel "$WORK/opaque" --initrd "$BASE/hello-gzip.img" --policy "$WORK/policy" --timeout 30
	expect_exit 1
	expect_one_line_error 'opaque: '
	expect_no_console '^@@'
}

test_kernel_without_types_has_no_sessions()
{
	local shoff shnum

	objcopy -R .BTF "$WORK/vmlinux" "$WORK/nobtf"
	# with its relocations, so that this is all there is to say
	shoff=$(od -An -tu8 -j 40 -N 8 "$WORK/vmlinux")
	shnum=$(od -An -tu2 -j 60 -N 2 "$WORK/vmlinux")
	tail -c +$((shoff + shnum * 64 + 1)) "$WORK/vmlinux" >>"$WORK/nobtf"
	guest_run --kernel "$WORK/nobtf" --initrd "$BASE/hello-gzip.img" --policy "$WORK/policy" \
		--driver "a:$DUMMY" --timeout 30
	expect_exit 1
	expect_one_line_error 'nobtf: .*BTF'
	expect_no_console '^@@'
}
