# SPDX-License-Identifier: GPL-2.0-only
# What an installed Umbra consists of; included by the Makefile of the root.
#
# make man        manual pages              make install    into $(DESTDIR)$(prefix), all of it
# make uninstall  what install put there    make deb        a Debian package, in build/
#
# vmm finds its guest's parts by ../lib/umbra from where it lies itself, so that the whole of
# $(prefix) can be moved, and tried out of a DESTDIR.

prefix      ?= /usr/local
bindir      := $(prefix)/bin
umbradir    := $(prefix)/lib/umbra
mandir      := $(prefix)/share/man
examplesdir := $(prefix)/share/umbra/examples
compdir     := $(prefix)/share/bash-completion/completions
INSTALL     ?= install

# Rules for AppArmor's profile of libvirt's domains. They name programs below /usr.
apparmor    := $(if $(filter /usr,$(prefix)),$(DESTDIR)/etc/apparmor.d/abstractions/umbra-qemu)

.PHONY: man install uninstall deb

man: $(B)/man/vmm.1

$(B)/man/vmm.1: $(B)/vmm $(B)/umbra-qemu $(wildcard vmm/cli/man/*) policy/POLICY.md tools/umbra-shim tools/umbra-image
	@tools/check-tools man
	vmm/cli/man/pages $(B)/vmm $(B)/man

# Shims are installed for whatever kernels they were built for; umbra-shim makes others.
install: all man
	$(INSTALL) -d $(addprefix $(DESTDIR),$(bindir) $(umbradir)/guest-shim $(umbradir)/guest \
	    $(mandir)/man1 $(mandir)/man5 $(examplesdir) $(compdir))
	$(INSTALL) -m 755 $(B)/vmm $(B)/umbra-qemu $(DESTDIR)$(bindir)
	$(INSTALL) -m 755 $(B)/net-helper $(DESTDIR)$(umbradir)/net-helper
	$(INSTALL) -m 755 $(B)/guest/agent $(DESTDIR)$(umbradir)/guest/agent
	$(INSTALL) -m 755 tools/umbra-shim tools/umbra-image $(DESTDIR)$(bindir)
	$(INSTALL) -d $(DESTDIR)$(umbradir)/images
	$(INSTALL) -m 755 $(addprefix images/,fetch-kernel mkinitrd mkdisk mkdebian look-init) \
	    $(DESTDIR)$(umbradir)/images
	$(INSTALL) -m 644 images/where.sh $(DESTDIR)$(umbradir)/images
	$(INSTALL) -m 644 $(filter-out guest-shim/agent.c,$(SHIM_SRC)) $(DESTDIR)$(umbradir)/guest-shim
	set -e; for r in $(SHIM_RELEASES); do \
	    $(INSTALL) -D -m 644 $(B)/guest/$$r/umbra.ko $(DESTDIR)$(umbradir)/guest/$$r/umbra.ko; \
	done
	$(INSTALL) -m 644 $(B)/man/*.1 $(DESTDIR)$(mandir)/man1
	$(INSTALL) -m 644 $(B)/man/*.5 $(DESTDIR)$(mandir)/man5
	$(INSTALL) -m 644 $(wildcard policy/examples/*) $(DESTDIR)$(examplesdir)
	$(INSTALL) -m 644 tools/completion.bash $(DESTDIR)$(compdir)/vmm
	$(if $(apparmor),$(INSTALL) -D -m 644 tools/umbra-qemu/apparmor $(apparmor))

uninstall:
	rm -f $(apparmor) $(addprefix $(DESTDIR)$(bindir)/,vmm umbra-qemu umbra-shim umbra-image) $(DESTDIR)$(compdir)/vmm $(DESTDIR)$(mandir)/man1/vmm.1 \
	    $(DESTDIR)$(mandir)/man1/vmm-*.1 $(DESTDIR)$(mandir)/man1/umbra-*.1 $(DESTDIR)$(mandir)/man5/umbra-*.5
	rm -rf $(DESTDIR)$(umbradir) $(DESTDIR)$(prefix)/share/umbra

# A copy of the tree without what was built, so that the package is built from its sources alone.
deb:
	@tools/check-tools build man package
	rm -rf $(B)/deb
	mkdir -p $(B)/deb/umbra
	tar -c --exclude=./build --exclude=./.git . | tar -x -C $(B)/deb/umbra
	cd $(B)/deb/umbra && DEB_BUILD_OPTIONS="parallel=$$(nproc) $$DEB_BUILD_OPTIONS" \
	    dpkg-buildpackage -us -uc --no-check-builddeps
	rm -rf $(B)/deb/umbra
	lintian --fail-on error --tag-display-limit 0 $(B)/deb/*.changes
