# SPDX-License-Identifier: GPL-2.0-only
#
# make          build/vmm, the guest's agent, and a shim for each installed set of kernel headers
# make setup    install every Debian package that the targets below need (root); without make: tools/setup
# make test     all tests; make unit: only those that need no KVM
# make demo     LiME twice in two sessions, from nothing to the result
# make lint     clang-format, clang-tidy, cppcheck, the rule of the rooms
# make bench    figures, side by side with QEMU
# make install  into $(DESTDIR)$(prefix), /usr/local if not given; make uninstall; make deb
# make help     this text (V=1: show the commands)

B       := build
# A line for each file that is made; make V=1 shows the commands.
Q        = $(if $(V),,@printf '  %-8s %s\n' $(if $(filter %.o,$@),CC,$(if $(filter %.a,$@),AR,LINK)) $@;)
CC      ?= gcc
WARN    := -std=c11 -Wall -Wextra -Werror -Wshadow -Wmissing-prototypes -Wstrict-prototypes \
           -Wcast-qual -Wformat=2 -Wimplicit-fallthrough -Wswitch-default -Wvla
CFLAGS  ?= -O2 -g
DEFS    := -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -I.
HARDEN  := -fstack-protector-strong -fPIE
ALLC     = $(WARN) $(CFLAGS) $(DEFS) $(HARDEN) $(EXTRA)
# Libraries that one feature needs would be mapped and relocated at every start; as archives they
# cost nothing until they are used. LIBS_STATIC=0 links Debian's shared ones instead.
LIBS_STATIC ?= 1
# So is the C library: the loader's work would be 20 of vmm's system calls. A sanitizer needs it shared.
LINK    := $(if $(findstring -fsanitize,$(EXTRA))$(filter 0,$(LIBS_STATIC)),-pie,-static-pie)
LDFLAGS_ALL := -Wl,-z,relro,-z,now,-z,pack-relative-relocs -Wl,--as-needed
ifeq ($(LIBS_STATIC),1)
LDLIBS  := -l:libconfig.a -l:libjansson.a -l:libbpf.a -l:libelf.a -l:liblz4.a -l:liblzma.a \
           -l:libzstd.a -l:libbz2.a -l:libz.a -l:liburing.a -l:libxxhash.a \
           -l:libb2.a -lpthread
else
LDLIBS  := -lconfig -ljansson -lbpf -lelf -llz4 -llzma -lzstd -lbz2 -lz -luring -lxxhash -lb2 -lpthread
endif

# The rooms of vmm/, see vmm/rooms; the command is linked from all of them.
VMM_ROOMS := $(addprefix vmm/,cli guest session monitor gate control backend boot machine spec confine)
# Under obj/, because build/vmm is the command.
objs     = $(patsubst %.c,$(B)/obj/%.o,$(wildcard $(addsuffix /*.c,$(1)))) \
           $(patsubst %.S,$(B)/obj/%.o,$(wildcard $(addsuffix /*.S,$(1))))

all: check-tools $(B)/vmm $(B)/net-helper $(B)/umbra-qemu guest
.PHONY: all guest check-tools setup unit test demo lint bench help clean fuzz shim agent

help:
	@sed -n '3,10s/^# //p' Makefile

check-tools:
	@tools/check-tools build

$(B)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLC) -MMD -MP -c $< -o $@

$(B)/obj/%.o: %.S
	@mkdir -p $(@D)
	$(Q)$(CC) $(DEFS) -MMD -MP -c $< -o $@

# Each start waits for it, and -O2 leaves its loops as they are.
$(B)/obj/shadow/kernel/prepared_sum.o: ALLC += -O3

# The catalogue of critical functions is data.
$(B)/policy/catalog_rows.c: policy/catalog.awk policy/catalog.txt
	@mkdir -p $(@D)
	awk -f policy/catalog.awk policy/catalog.txt >$@.new && mv $@.new $@

$(B)/obj/policy/catalog_rows.o: $(B)/policy/catalog_rows.c policy/catalog_int.h policy/catalog.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLC) -c $< -o $@

$(B)/libpolicy.a: $(B)/obj/policy/catalog_rows.o

# The rooms at the top as archives: they build and are tested without KVM.
define archive
$(B)/lib$(1).a: $(call objs,$(2))
	@rm -f $$@
	$$(Q)ar rcs $$@ $$^
endef
$(foreach r,base policy devices,$(eval $(call archive,$(r),$(r))))
$(eval $(call archive,shadow,shadow/kernel shadow/link))
ARCH := $(B)/libdevices.a $(B)/libpolicy.a $(B)/libshadow.a $(B)/libbase.a

# The gate page is guest code that the VMM carries as data; shim_gate.c beside it is the shim's.
$(B)/obj/guest-shim/gate_blob.o: guest-shim/gate_blob.S
	@mkdir -p $(@D)
	$(Q)$(CC) $(DEFS) -MMD -MP -c $< -o $@

# The system call filters are compiled by a program of the build: libseccomp is no part of vmm.
SECCOMP := vmm/confine/seccomp/rules.c vmm/confine/seccomp/compile_filters.c
$(B)/seccomp/compile: $(SECCOMP) vmm/confine/seccomp/rules.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(WARN) -O1 $(DEFS) -o $@ $(SECCOMP) -lseccomp

$(B)/seccomp/filters.c: $(B)/seccomp/compile
	$< >$@.new && mv $@.new $@

$(B)/obj/vmm/confine/filters.o: $(B)/seccomp/filters.c vmm/confine/filter.h
	@mkdir -p $(@D)
	$(Q)$(CC) $(ALLC) -c $< -o $@

VMM_OBJS := $(call objs,$(VMM_ROOMS)) $(B)/obj/guest-shim/gate_blob.o $(B)/obj/vmm/confine/filters.o

$(B)/vmm: $(VMM_OBJS) $(ARCH)
	$(Q)$(CC) $(CFLAGS) $(EXTRA) $(LINK) $(LDFLAGS_ALL) -o $@ $(VMM_OBJS) $(ARCH) $(LDLIBS)

# All of the command but its main(), for what else is linked from the rooms.
VMM_REST := $(filter-out $(B)/obj/vmm/cli/main.o,$(VMM_OBJS))

# libslirp has no archive, so it has a program. An archive of vmm/, of which it takes what it needs.
$(B)/libvmm.a: $(VMM_REST)
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/net-helper: $(call objs,vmm/backend/net-helper) $(B)/libvmm.a $(ARCH)
	$(Q)$(CC) $(CFLAGS) $(EXTRA) -pie $(LDFLAGS_ALL) -o $@ $(call objs,vmm/backend/net-helper) $(B)/libvmm.a $(ARCH) $(LDLIBS) -lslirp

# The emulator for libvirt, which becomes vmm. All but its main() is an archive, for its tests.
QEMU_OBJS := $(call objs,tools/umbra-qemu)
$(B)/libumbra-qemu.a: $(filter-out %/umbra_qemu.o,$(QEMU_OBJS))
	@rm -f $@
	$(Q)ar rcs $@ $^

$(B)/umbra-qemu: $(B)/obj/tools/umbra-qemu/umbra_qemu.o $(B)/libumbra-qemu.a $(B)/libbase.a
	$(Q)$(CC) $(CFLAGS) $(EXTRA) $(LINK) $(LDFLAGS_ALL) -o $@ $^ $(LDLIBS)

# --- guest side -----------------------------------------------------------------------------
guest: agent shim
include guest-shim/build.mk

# --- what users have ------------------------------------------------------------------------
include tools/install.mk

# --- tests ----------------------------------------------------------------------------------
include tests/tests.mk

setup:
	tools/setup

clean:
	rm -rf $(B)

-include $(shell find $(B) \( $(foreach d,images asan fuzz tsan deb,-path $(B)/$d -o) -false \) -prune -o -type f -name '*.d' -print 2>/dev/null)
