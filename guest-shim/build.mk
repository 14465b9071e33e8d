# SPDX-License-Identifier: GPL-2.0-only
# The guest's side: a static agent, and one shim for each kernel whose headers are installed.
MUSL_GCC ?= musl-gcc
SHIM_SRC := $(wildcard guest-shim/*.c guest-shim/*.h guest-shim/shim_*.S) guest-shim/Kbuild
SHIM_RELEASES := $(filter-out %-rt-amd64,$(filter %-amd64,$(patsubst /usr/src/linux-headers-%,%,$(wildcard /usr/src/linux-headers-6.*-amd64))))
SHIMS := $(patsubst %,$(B)/guest/%/umbra.ko,$(SHIM_RELEASES))

agent: $(B)/guest/agent
shim: $(SHIMS)

# The kernel's own headers, for linux/types.h: musl has none.
$(B)/guest/agent: guest-shim/agent.c guest-shim/abi.h
	@mkdir -p $(@D)
	$(MUSL_GCC) -std=c11 -Wall -Wextra -Werror -Os -static -s -idirafter /usr/include \
	    -idirafter /usr/include/x86_64-linux-gnu -o $@ $<

# Kbuild writes beside its sources, so each kernel gets its own copy of them.
$(B)/guest/%/umbra.ko: $(SHIM_SRC)
	@mkdir -p $(B)/guest/$*/src
	@cp $(filter-out guest-shim/agent.c,$(SHIM_SRC)) $(B)/guest/$*/src/
	$(MAKE) -s -C /usr/src/linux-headers-$* M=$(abspath $(B))/guest/$*/src modules \
	    $(if $(V),,>$(B)/guest/$*/build.log 2>&1 || { cat $(B)/guest/$*/build.log; exit 1; })
	@strip --strip-debug -o $@ $(B)/guest/$*/src/umbra.ko
