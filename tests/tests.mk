# SPDX-License-Identifier: GPL-2.0-only
# Tests and lint; included by the Makefile of the root.
#
# make unit   unit tests (no KVM of stock kernels needed)   make asan   the same under ASan and UBSan
# make tsan   the same under ThreadSanitizer, but for those that TSAN_LEFT_OUT names; not part of make test
# make lab    the cases of tests/lab, in the lab            make fuzz   fuzzers, FUZZ_SECONDS (60) each
#             LONG=1: more boots, kills and bindings than fit in make test
# make test   all of these, fuzzers 5 s each                T='*link*'  only those whose name matches
# make soak   disks under random load whose VMM is killed, stopped and reset, for SOAK_SECONDS (3600):
#             the device by itself, and guests in the lab
# make test-dump  crash and makedumpfile read dumps of a guest; downloads them and the kernel's debug symbols,
#             283 MB, at its first run (docs/dumps.md)
# make lab-modules  every module of the cloud kernel in a session, second copies, and drivers of -dkms packages,
#             which it downloads; takes up where it was ended (tests/lab/modules); the tables of tests/lab are its
#             results
# make lab-soak  guests in the lab that boot, are killed, reset, paused: how many hang; LAB_SOAK="plain":
#             a variant of the lab, see tools/lab-soak --help

T            ?= *
LONG         ?=
FUZZ_SECONDS ?=
# In the lab the tests find their kernels by this.
export UMBRA_TEST_IMAGES := $(CURDIR)/build/images

UNIT_SRC := $(wildcard tests/unit/*/*_test.c)
UNIT_SH  := $(wildcard tests/cli/*_test.sh)
UNIT     := $(UNIT_SRC:%.c=$(B)/%) $(UNIT_SH:%.sh=$(B)/%)

# A test of the VMM sees all of vmm/ but main(); each other room is tested without it.
$(B)/tests/unit/vmm/%: $(B)/obj/tests/unit/vmm/%.o $(VMM_REST) $(ARCH)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(EXTRA) -pie -o $@ $(filter $(B)/obj/tests/%,$^) $(VMM_REST) $(ARCH) $(LDLIBS) -lcmocka

# So is the emulator for libvirt.
$(B)/tests/unit/tools/%: $(B)/obj/tests/unit/tools/%.o $(B)/libumbra-qemu.a $(B)/libbase.a
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(EXTRA) -pie -o $@ $^ $(LDLIBS) -lcmocka

# It decides how long the device polls.
$(B)/tests/unit/devices/blk_wake_test: private LDLIBS += -Wl,--wrap=vq_pace_poll,--wrap=vq_pace_init

# It decides what file system the image is on, and sees which requests go past the ring.
$(B)/tests/unit/devices/blk_aio_test: private LDLIBS += -Wl,--wrap=blk_request_run,--wrap=fstatfs64,--wrap=blk_ring_open

# They decide when the host's kernel gives a request back.
HELD := $(addprefix $(B)/tests/unit/vmm/,held_close_test held_end_test held_read_test held_release_test \
	held_write_test)
$(HELD): $(B)/obj/tests/unit/vmm/held_fixture.o
$(HELD): private LDLIBS += \
	-Wl,--wrap=virtio_blk_held_ms,--wrap=write,--wrap=close,--wrap=pread64,--wrap=fsync,--wrap=ftruncate64
$(B)/tests/unit/vmm/run_notes_test: private LDLIBS += -Wl,--wrap=write
$(B)/tests/unit/vmm/endpoint_held_test: private LDLIBS += -Wl,--wrap=write,--wrap=read

# It decides how long the kernel's file is read for its symbols.
$(B)/tests/unit/vmm/panic_watch_test: private LDLIBS += -Wl,--wrap=symbolize_phys

# It counts how often the output of a client grows.
$(B)/tests/unit/vmm/peer_test: private LDLIBS += -Wl,--wrap=realloc

# It has no gate, and counts what a gate would be told.
$(B)/tests/unit/vmm/presence_test: private LDLIBS += -Wl,--wrap=gate_exports_dead,--wrap=gate_command

# It has no kernel and no driver.
$(B)/tests/unit/vmm/sessions_anew_test: private LDLIBS += \
	-Wl,--wrap=driver_add,--wrap=kernel_release,--wrap=kernel_text,--wrap=inject_archive

# It decides what a reset turns out to be, and holds an end up.
$(B)/tests/unit/vmm/no_shutdown_test: private LDLIBS += -Wl,--wrap=platform_await_disks,--wrap=monitor_rests

# It sees what the loop is asked for.
$(B)/tests/unit/vmm/file_job_test: private LDLIBS += -Wl,--wrap=loop_call

# It takes a name while one is removed.
$(B)/tests/unit/vmm/ended_lock_test: private LDLIBS += -Wl,--wrap=unlinkat

# It looks at what is freed.
# Looks what is locked while the guest's list of modules is walked.
$(B)/tests/unit/vmm/placement_test: private LDLIBS += -Wl,--wrap=guest_module_find
$(B)/tests/unit/vmm/policy_reload_test: private LDLIBS += -Wl,--wrap=policy_free

# It decides when a dump's file is given back, and how fast the loop's clock is.
$(B)/tests/unit/vmm/dump_end_test: private LDLIBS += -Wl,--wrap=write,--wrap=close,--wrap=clock_gettime

$(B)/tests/unit/vmm/kernel_cache_test: private LDLIBS += -Wl,--wrap=kernel_cache_shared_path
$(B)/tests/unit/vmm/client_files_test: private LDLIBS += -Wl,--wrap=pread64
$(B)/tests/unit/devices/blk_held_test: private LDLIBS += -Wl,--wrap=blk_image_flush,--wrap=ftruncate64
$(B)/tests/unit/policy/record_held_test: private LDLIBS += -Wl,--wrap=write,--wrap=fsync
$(B)/tests/unit/policy/record_queue_test: private LDLIBS += -Wl,--wrap=write
$(B)/tests/unit/vmm/gate_held_test: private LDLIBS += -Wl,--wrap=write,--wrap=calloc,--wrap=free

# It counts system calls.
$(B)/tests/unit/vmm/page_walk_test: private LDLIBS += -Wl,--wrap=ioctl

# The kernel is an older one for it, which does not know all flags of a memfd.
$(B)/tests/unit/base/sealed_file_test: private LDLIBS += -Wl,--wrap=memfd_create

# They start the command.
$(HELD) $(addprefix $(B)/tests/unit/vmm/,confine_live_test confine_parse_test monitor_test no_shutdown_test \
	terminal_live_test): | $(B)/vmm $(B)/net-helper

$(B)/tests/unit/%: $(B)/obj/tests/unit/%.o $(ARCH)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(EXTRA) -pie -o $@ $(filter %.o,$^) $(ARCH) $(LDLIBS) -lcmocka

# They kill the VMM of a disk.
$(B)/tests/unit/devices/blk_crash_test $(B)/tests/soak/soak_disk: $(B)/obj/tests/unit/devices/crash_fixture.o

# They start the program of a network.
$(B)/tests/unit/vmm/net_helper_test $(B)/tests/unit/vmm/monitor_test: | $(B)/net-helper

# Scripts try the command itself, as a user would.
$(B)/tests/cli/%: tests/cli/%.sh $(B)/vmm $(B)/umbra-qemu
	@mkdir -p $(@D)
	install -m 755 $< $@

.PHONY: test-dump soak lab-soak lab-modules unit-build unit asan asan-build tsan lab fuzz fuzz-build images debian-disk drivers test lint
.SECONDARY:

unit-build: $(UNIT)

unit: check-tools images unit-build
	@tests/run --only '$(T)' $(UNIT)

# --- the same tests with the compiler watching ----------------------------------------------
# Recursive, so that one set of rules serves: only the build directory and the flags differ.
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer
ASAN_MAKE = $(MAKE) --no-print-directory B=build/asan CFLAGS='-O1 -g' EXTRA='$(SANITIZE)'
ASAN_UNIT = $(UNIT_SRC:%.c=build/asan/%)

asan-build:
	+@$(ASAN_MAKE) unit-build

asan: check-tools images asan-build
	@tests/run --label asan/ --only '$(T)' $(ASAN_UNIT)

# --- data races ------------------------------------------------------------------------------
# The compiler warns that the sanitizer does not see fences. Those here order accesses to guest
# memory, for a guest, and no access of one thread to what another one wrote.
TSAN_FLAGS := -fsanitize=thread -Wno-tsan -fno-omit-frame-pointer
TSAN_MAKE   = $(MAKE) --no-print-directory B=build/tsan CFLAGS='-O1 -g' EXTRA='$(TSAN_FLAGS)'
# What is left out, and why:
#   all_modules_test   one thread, and all modules of a kernel: too slow
#   cost_test, gate_cost_test  one thread, whose instructions it counts step by step: too slow
#   kernel_test        one thread but for the payload, which bzimage_test decompresses: too slow
#   confine_live_test, confine_parse_test  the command under its filters, which are off under the
#                      sanitizer, because they forbid its own calls
#   net_helper_test    one thread; and what plays a user's VMM in it makes a user namespace, which a
#                      process with the sanitizer's thread cannot
TSAN_LEFT_OUT := all_modules_test cost_test gate_cost_test kernel_test confine_live_test confine_parse_test \
                 net_helper_test
TSAN_UNIT   = $(filter-out $(addprefix %/,$(TSAN_LEFT_OUT)),$(UNIT_SRC:%.c=build/tsan/%))
# The sanitizer's shadow memory has fixed places, which a host may randomise too far.
TSAN_RUN   := $(shell setarch -R true 2>/dev/null && echo setarch -R)

tsan: check-tools images
	+@$(TSAN_MAKE) $(TSAN_UNIT)
	@TSAN_OPTIONS="halt_on_error=1 $$TSAN_OPTIONS" $(TSAN_RUN) \
		tests/run --label tsan/ --only '$(T)' $(TSAN_UNIT)

# --- fuzzers ---------------------------------------------------------------------------------
# libFuzzer is clang's, and the rooms must be built with its coverage, hence again a directory.
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ     := $(FUZZ_SRC:tests/fuzz/%.c=build/fuzz/%)
FUZZ_MAKE = $(MAKE) --no-print-directory B=build/fuzz CC=clang CFLAGS='-O1 -g' \
            EXTRA='-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined'

$(B)/fuzz_vmm_%: $(B)/obj/tests/fuzz/fuzz_vmm_%.o $(VMM_REST) $(ARCH)
	$(Q)$(CC) $(CFLAGS) $(EXTRA) -fsanitize=fuzzer -o $@ $< $(VMM_REST) $(ARCH) $(LDLIBS)

$(B)/fuzz_tools_%: $(B)/obj/tests/fuzz/fuzz_tools_%.o $(B)/libumbra-qemu.a $(B)/libbase.a
	$(Q)$(CC) $(CFLAGS) $(EXTRA) -fsanitize=fuzzer -o $@ $^ $(LDLIBS)

$(B)/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $(ARCH)
	$(Q)$(CC) $(CFLAGS) $(EXTRA) -fsanitize=fuzzer -o $@ $< $(ARCH) $(LDLIBS)

# An image in memory passes for one on a device.
$(B)/fuzz_dev_blk: private LDLIBS += -Wl,--wrap=blk_image_storage

fuzz-build:
	@tools/check-tools lint
	+@$(if $(FUZZ),$(FUZZ_MAKE) $(FUZZ),:)

fuzz: check-tools fuzz-build
	@tests/run --only '$(T)' --fuzz $(or $(FUZZ_SECONDS),60) $(FUZZ)

# --- disks, for long --------------------------------------------------------------------------
SOAK_SECONDS ?= 3600

$(B)/tests/soak/%: $(B)/obj/tests/soak/%.o $(ARCH)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(EXTRA) -pie -o $@ $(filter %.o,$^) $(ARCH) $(LDLIBS)

soak: check-tools images all drivers $(B)/tests/soak/soak_disk
	@tests/soak/run $(SOAK_SECONDS)

# Not a test: it counts, for docs/lab.md.
LAB_SOAK ?=

lab-modules: check-tools images all drivers
	@tests/lab/prepare
	@tests/lab/foreign-build
	@for mode in session plain copy foreign; do tests/lab/modules $$mode || exit 1; done
	@for kind in session copy; do tests/lab/modules update $$kind || exit 1; done

lab-soak: check-tools images all
	@tools/lab-soak $(LAB_SOAK)

# --- guests ----------------------------------------------------------------------------------
images:
	@images/fetch-kernel cloud
	@images/fetch-kernel generic
	@images/fetch-kernel rt

# Only root can install a system; without it the cases about a whole distribution are skipped.
debian-disk: images
	@[ "$$(id -u)" != 0 ] || images/mkdebian --force

drivers: $(B)/images/holder $(B)/images/kexec $(B)/tests/lab/blocks $(B)/tools/limecheck
	@tests/drivers/build
	@images/build-lime "$$(cat $(B)/images/cloud/release)"

# These run in guests, which have no libraries.
$(B)/images/%: images/%.c images/byte_pattern.h
	@mkdir -p $(@D)
	musl-gcc -static -std=c11 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -I. -o $@ $<

$(B)/tests/lab/blocks: tests/lab/blocks.c
	@mkdir -p $(@D)
	musl-gcc -static -std=c11 -O2 -Wall -Wextra -Werror -D_GNU_SOURCE -o $@ $<

$(B)/tools/%: $(B)/obj/tools/%.o
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(EXTRA) -pie -o $@ $<

lab: check-tools images debian-disk all drivers
	@UMBRA_LAB_LONG=$(LONG) UMBRA_LAB_TIMEOUT=$(if $(LONG),6000,3000) \
		tests/run --only '$(T)' --timeout 900 --unit tests/lab/stall_test.sh --lab

# Dumps of a guest, and what crash, makedumpfile and drgn read of them.
test-dump: check-tools images all
	@tests/run --timeout 1800 --unit tests/dump/read-dumps

# --- everything ------------------------------------------------------------------------------
# One run of tests/run, so that one count comes last. What the compilers watch is built while the unit tests
# run, which wait for the most part. Its make shares no job server with this one: each test would inherit the
# descriptors of it.
SANITIZED_BUILD = MAKEFLAGS= $(MAKE) --no-print-directory -j$(shell nproc) CC='$(CC)' asan-build fuzz-build

test:
	@tools/check-tools all 2>/dev/null || tools/setup
	@$(MAKE) --no-print-directory debian-disk all unit-build
	@$(MAKE) --no-print-directory drivers
	@tests/run --only '$(T)' --make "$(SANITIZED_BUILD)" --unit $(UNIT) --made \
		--timeout 900 --aside tests/package/test_package.sh \
		--timeout 300 --label asan/ --unit $(ASAN_UNIT) \
		--label '' --timeout 900 --unit tests/lab/stall_test.sh \
		--fuzz $(or $(FUZZ_SECONDS),5) $(FUZZ) --lab

# --- lint ------------------------------------------------------------------------------------
lint:
	@tools/check-tools lint
	@LINT_FLAGS='$(WARN) $(DEFS)' tools/lint
	@$(MAKE) --no-print-directory $(B)/vmm $(B)/net-helper $(B)/umbra-qemu
	@tools/check-rooms
	@tools/check-tour

demo:
	@tools/demo

# --- figures ---------------------------------------------------------------------------------
# BENCH="--json calls": options and parts, see tools/bench --help
BENCH ?=

bench:
	@tools/check-tools all 2>/dev/null || tools/setup >&2
	@$(MAKE) --no-print-directory images >&2
	@$(MAKE) --no-print-directory all drivers $(B)/tools/bench_watch >&2
	@tools/bench $(BENCH)
