/* SPDX-License-Identifier: GPL-2.0-only */
/* Declares the symbols of gate_blob.S for the VMM, which copies the page between them. */
#ifndef UMBRA_GUEST_SHIM_GATE_BLOB_H
#define UMBRA_GUEST_SHIM_GATE_BLOB_H

extern const char umbra_gate_blob[];	 /* start */
extern const char umbra_gate_doorbell[]; /* the C function that rings */
extern const char umbra_gate_out[];	 /* the OUT itself */
extern const char umbra_gate_common[];	 /* where gate entries jump to */
extern const char umbra_gate_patch[];	 /* rel32 of the jump to the shim */
extern const char umbra_gate_refuse[];	 /* where closed entries lead: returns -ENODEV */
extern const char umbra_gate_nothing[];	 /* returns 0 */
extern const char umbra_gate_blob_end[]; /* end */

#endif
