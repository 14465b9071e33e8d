/* SPDX-License-Identifier: GPL-2.0-only */
/* Holds the version of Umbra, which all of its programs say. */
#ifndef UMBRA_BASE_VERSION_H
#define UMBRA_BASE_VERSION_H

#define VMM_VERSION "0.1.0" /* debian/changelog has it, too */

#endif
