/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The catalog: the functions that the host PVM can mediate, and how each takes its names.
 *
 * One row per critical function. A row says which argument carries a name, in which form, in which
 * name space, how a refusal looks to the caller, and which function undoes it. Offsets inside
 * structures are not here: they come from the guest kernel's BTF, by the names given. The shim in
 * the guest is driven by what vmm derives from these rows, so a new row needs no new guest code.
 */
#ifndef UMBRA_POLICY_CATALOG_H
#define UMBRA_POLICY_CATALOG_H

#include "base/types.h"

/* Form of a name in an argument; which one it is decides how it is read and written back. */
enum name_form {
	NAME_NONE,
	NAME_STRING,	/* arg is const char * */
	NAME_FIELD_PTR, /* arg points to STRUCT; STRUCT.MEMBER is const char * and stays referenced */
	NAME_FIELD_ARRAY, /* arg points to STRUCT; STRUCT.MEMBER is char[n] */
	NAME_FORMAT,	  /* arg is a printf format, its varargs follow */
};

/* What the name names: selects the namespace table. */
enum name_space {
	SPACE_NONE,
	SPACE_FILE, /* a path */
	SPACE_MISC, /* misc device */
	SPACE_NET,  /* network interface, %d allowed */
	SPACE_LINK, /* rtnl_link_ops.kind */
	SPACE_THREAD,
	SPACE_PROGRAM, /* path of a user-mode helper */
};

/* How a refusal looks to the caller. */
enum refusal {
	REFUSE_ERRNO,	/* int: -errno */
	REFUSE_ERR_PTR, /* pointer: ERR_PTR(-errno) */
	REFUSE_NULL,	/* pointer: NULL */
	REFUSE_NEVER,	/* void, or a function that undoes: always carried out */
};

#define CATALOG_STRVEC_NONE 0xff
/* Upper bound of the number of rows, for tables indexed by catalog_index(). */
#define CATALOG_MAX 512

struct catalog_fn {
	const char *name;
	enum name_form form;
	u8 args;	   /* number of arguments; of a varargs function: the fixed ones */
	u8 name_arg;	   /* index from 0 */
	const char *strct; /* NAME_FIELD_*: struct and member, for BTF */
	const char *member;
	enum name_space space;
	enum refusal refusal;
	const char *undo; /* what undoes this function, or NULL */
	/*
	 * The argument that identifies the object for do/undo pairing, 0xff: the return value. Only
	 * of functions that undo or have an undo.
	 */
	u8 object_arg;
	/* a NULL-terminated char ** recorded with the call (argv), or CATALOG_STRVEC_NONE */
	u8 strvec_arg;
	bool undoes;	  /* this function undoes others: its object's ledger entry is dropped */
	bool want_result; /* the host needs the real function's return value (registrations) */
	bool may_sleep;	  /* never called in atomic context */
	bool opens_path;  /* carried out by opening below a root (filp_open) */
	bool long_lived;  /* the kernel may use the string after the call returns */
};

const struct catalog_fn *catalog_find(const char *name);
const struct catalog_fn *catalog_all(size_t *count);
/* Index of @fn in catalog_all(), the number that travels over the doorbell. */
unsigned catalog_index(const struct catalog_fn *fn);

#endif
