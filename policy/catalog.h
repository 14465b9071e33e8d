/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Lists the functions that the host PVM can mediate, and how each takes its names: the catalogue.
 *
 * One row per critical function. A row says which argument carries a name, in which form, in which
 * name space, how a refusal looks to the caller, and which function undoes it. Offsets inside
 * structures are not here: they come from the guest kernel's BTF, by the names given. The shim in
 * the guest is driven by descriptors that vmm makes of these rows, so a new row needs no new guest
 * code.
 */
#ifndef UMBRA_POLICY_CATALOG_H
#define UMBRA_POLICY_CATALOG_H

#include "base/types.h"

/* Form of a name in an argument; which one it is decides how it is read and written back. */
enum name_form {
	NAME_NONE,
	NAME_STRING,	/* arg is const char * */
	NAME_FIELD_PTR, /* arg points to STRUCT; STRUCT.MEMBER is const char *, kept by reference */
	NAME_FIELD_ARRAY, /* arg points to STRUCT; STRUCT.MEMBER is char[n] */
	NAME_FORMAT,	  /* arg is a printf format, its varargs follow */
};

/* Kind of thing that a name is of: selects the table of names. */
enum name_space {
	SPACE_NONE,
	SPACE_FILE, /* a path */
	SPACE_MISC, /* misc device */
	SPACE_NET,  /* network interface, %d allowed */
	SPACE_LINK, /* rtnl_link_ops.kind */
	SPACE_THREAD,
	SPACE_PROGRAM, /* path of a user-mode helper */
	SPACE_EXPORT,  /* an exported symbol that is looked up by its name */
};

/* How a refusal looks to the caller. */
enum refusal {
	REFUSE_ERRNO,	/* int: -errno */
	REFUSE_ERR_PTR, /* pointer: ERR_PTR(-errno) */
	REFUSE_NULL,	/* pointer: NULL */
	REFUSE_NEVER,	/* void, or a function that undoes: always carried out */
};

/*
 * Upper bound of the number of rows, for tables indexed by catalog_index(). The gate's pages and
 * descriptors have room for so many, too: vmm/gate/info_page.c asserts it.
 */
#define CATALOG_MAX 256

#define CATALOG_ORIGINS 3

struct catalog_fn {
	const char *name;
	enum name_form form;
	u8 args;	   /* number of arguments; of a varargs function: the fixed ones */
	u8 name_arg;	   /* index from 0 */
	const char *strct; /* NAME_FIELD_*: struct and member, for BTF */
	const char *member;
	/* members of strct that tell whether a user of the guest chose the name; see call.c */
	const char *origin[CATALOG_ORIGINS];
	enum name_space space;
	enum refusal refusal;
	const char *undo; /* the function that undoes this one, or NULL */
	/* the argument that identifies the object; only of functions that undo or have an undo */
	u8 object_arg;
	u8 strvec_arg;	       /* with has_strvec: a char ** that is recorded with the call */
	bool object_is_result; /* the return value identifies the object, not an argument */
	bool has_strvec;
	bool undoes; /* undoes others: the ledger's entry of its object is dropped */
	/*
	 * The host is told the result of the real function when it has returned: for a
	 * registration, or a name that the kernel may go on reading after the return
	 * (runs_program).
	 */
	bool want_result;
	bool opens_path;   /* carried out by opening below a root (filp_open) */
	bool runs_program; /* carried out as call_usermodehelper() */
};

/* Returns the row of function @name, or NULL; or all rows, *count of them. */
const struct catalog_fn *catalog_find(const char *name);
const struct catalog_fn *catalog_all(size_t *count);
/* Returns the index of @fn in catalog_all(), the number that travels over the doorbell. */
unsigned catalog_index(const struct catalog_fn *fn);

#endif
