// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a .ko, as the guest's own loader will read it (kernel/module/main.c), and nothing more
 * liberal: libelf would accept extended section numbers and compressed or overlapping sections, and
 * a file that two readers understand in two ways could show us one import table and the kernel
 * another. For the same reason sections must not overlap: an edit of one would change the other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "shadow/link/module_int.h"

#define MODULE_MAX ((size_t)256 << 20)
/* struct module begins with an enum and a list_head in every version; link.c checks it by BTF. */
#define NAME_OFFSET 24

static const char signature_marker[] = "~Module signature appended~\n";

#define MARKER_LEN    (sizeof(signature_marker) - 1)
#define SIGNATURE_LEN 12 /* struct module_signature, which ends with the size as big-endian u32 */

/*
 * Returns where the file ends without the signatures that were appended to it; 0 if they are
 * damaged.
 */
static size_t unsigned_len(const u8 *d, size_t len)
{
	while (len >= MARKER_LEN && !memcmp(d + len - MARKER_LEN, signature_marker, MARKER_LEN)) {
		const u8 *p;
		size_t size;

		len -= MARKER_LEN;
		if (len < SIGNATURE_LEN)
			return 0;
		len -= SIGNATURE_LEN;
		p = d + len;
		size = (size_t)p[8] << 24 | (size_t)p[9] << 16 | (size_t)p[10] << 8 | p[11];
		size += (size_t)p[3] + p[4]; /* signer_len, key_id_len */
		if (size > len)
			return 0;
		len -= size;
	}
	return len;
}

const char *module_info(const struct module *m, const char *tag)
{
	const Elf64_Shdr *h = &m->sections[m->idx.modinfo].h;
	size_t tag_len = strlen(tag);
	const char *p, *end;

	if (!m->idx.modinfo)
		return NULL;
	p = (const char *)m->data + h->sh_offset;
	end = p + h->sh_size;
	while (p < end) {
		size_t n = strlen(p); /* the section was checked to end with a NUL */

		if (n > tag_len && !memcmp(p, tag, tag_len) && p[tag_len] == '=')
			return p + tag_len + 1;
		p += n + 1;
	}
	return NULL;
}

static int file_damaged(const struct module *m, struct err *e, const char *what)
{
	return err_set(e, -EINVAL, "%s: damaged driver file: %s", m->label, what);
}

struct extent {
	u64 start, end;
};

static int extents_by_start(const void *pa, const void *pb)
{
	const struct extent *a = pa, *b = pb;

	if (a->start != b->start)
		return a->start < b->start ? -1 : 1;
	return a->end < b->end ? -1 : a->end > b->end;
}

static bool section_has_bytes(const Elf64_Shdr *h)
{
	return h->sh_type != SHT_NOBITS && h->sh_type != SHT_NULL && h->sh_size;
}

/* Checks that no byte of the file belongs to two of: ELF header, section table, sections. */
static int check_overlap(const struct module *m, const Elf64_Ehdr *eh, struct err *e)
{
	struct extent *x = calloc(m->n_sections + 2, sizeof(*x));
	size_t n = 0;
	int ret = 0;

	if (!x)
		return err_set(e, -ENOMEM, "%s: out of memory", m->label);
	x[n++] = (struct extent){ 0, sizeof(*eh) };
	x[n++] = (struct extent){ eh->e_shoff, eh->e_shoff + m->n_sections * sizeof(Elf64_Shdr) };
	for (u32 i = 1; i < m->n_sections; i++) {
		const Elf64_Shdr *h = &m->sections[i].h;

		if (section_has_bytes(h))
			x[n++] = (struct extent){ h->sh_offset, h->sh_offset + h->sh_size };
	}
	qsort(x, n, sizeof(*x), extents_by_start);
	for (size_t i = 1; !ret && i < n; i++)
		if (x[i].start < x[i - 1].end)
			ret = file_damaged(m, e, "its sections overlap");
	free(x);
	return ret;
}

static int name_sections(struct module *m, u32 strndx, struct err *e)
{
	const Elf64_Shdr *h = &m->sections[strndx].h;
	const char *names = (const char *)m->data + h->sh_offset;

	if (!strndx || h->sh_type != SHT_STRTAB || !h->sh_size || names[h->sh_size - 1])
		return file_damaged(m, e, "its section names do not end");
	for (u32 i = 0; i < m->n_sections; i++) {
		if (m->sections[i].h.sh_name >= h->sh_size)
			return file_damaged(m, e, "a section has no name");
		m->sections[i].name = names + m->sections[i].h.sh_name;
	}
	return 0;
}

static int read_sections(struct module *m, struct err *e)
{
	Elf64_Ehdr eh;
	int ret;

	memcpy(&eh, m->data, sizeof(eh)); /* elf_check() saw that it is there */
	if (eh.e_shentsize != sizeof(Elf64_Shdr) || eh.e_shoff > m->len ||
	    eh.e_shnum > (m->len - eh.e_shoff) / sizeof(Elf64_Shdr))
		return err_set(e, -EINVAL, "%s: truncated (the section table ends behind the file)",
			       m->label);
	if (eh.e_shnum < 2 || eh.e_shnum >= SHN_LORESERVE || eh.e_shstrndx >= eh.e_shnum)
		return file_damaged(m, e, "it has no section table");
	m->sections = calloc(eh.e_shnum, sizeof(*m->sections));
	if (!m->sections)
		return err_set(e, -ENOMEM, "%s: out of memory", m->label);
	m->n_sections = eh.e_shnum;
	for (u32 i = 0; i < m->n_sections; i++) {
		Elf64_Shdr *h = &m->sections[i].h;

		memcpy(h, m->data + eh.e_shoff + i * sizeof(*h), sizeof(*h));
		if (i && section_has_bytes(h) &&
		    (h->sh_offset > m->len || h->sh_size > m->len - h->sh_offset))
			return err_set(e, -EINVAL,
				       "%s: truncated (section %u ends behind the file)", m->label,
				       i);
		if (h->sh_flags & SHF_COMPRESSED && h->sh_flags & SHF_ALLOC)
			return file_damaged(m, e, "a section that the kernel loads is compressed");
	}
	/*
	 * Index 0, which stands for "none", and sections without bytes become empty, so that the
	 * code below need not tell them apart.
	 */
	memset(&m->sections[0].h, 0, sizeof(m->sections[0].h));
	for (u32 i = 0; i < m->n_sections; i++)
		if (!section_has_bytes(&m->sections[i].h))
			m->sections[i].h.sh_offset = 0;
	if (m->sections[eh.e_shstrndx].h.sh_type == SHT_NOBITS)
		return file_damaged(m, e, "its section names do not end");
	ret = name_sections(m, eh.e_shstrndx, e);
	return ret ? ret : check_overlap(m, &eh, e);
}

static int note_section(struct module *m, u32 i, struct err *e)
{
	struct module_special *x = &m->idx;
	const struct {
		const char *name;
		u32 *idx;
	} known[] = {
		{ ".gnu.linkonce.this_module", &x->this_module },
		{ ".modinfo", &x->modinfo },
		{ "__versions", &x->versions },
		{ "__ksymtab_strings", &x->strings },
		{ "__ksymtab", &x->ksymtab[0] },
		{ "__ksymtab_gpl", &x->ksymtab[1] },
		{ "__kcrctab", &x->kcrctab[0] },
		{ "__kcrctab_gpl", &x->kcrctab[1] },
	};
	const struct module_section *s = &m->sections[i];

	for (size_t j = 0; s->name && j < ARRAY_SIZE(known); j++) {
		if (strcmp(s->name, known[j].name) != 0)
			continue;
		if (*known[j].idx || !(s->h.sh_flags & SHF_ALLOC) || s->h.sh_type != SHT_PROGBITS)
			return err_set(
				e, -EINVAL,
				"%s: damaged driver file: section %s is there twice or not as the kernel expects it",
				m->label, s->name);
		*known[j].idx = i;
	}
	if (s->h.sh_type == SHT_SYMTAB) {
		if (x->symtab)
			return file_damaged(m, e, "it has two symbol tables");
		x->symtab = i;
	}
	return 0;
}

static int check_symbols(struct module *m, struct err *e)
{
	const struct module_section *sym, *str;

	if (!m->idx.symtab)
		return file_damaged(m, e, "it has no symbol table");
	sym = &m->sections[m->idx.symtab];
	if (sym->h.sh_link >= m->n_sections ||
	    m->sections[sym->h.sh_link].h.sh_type != SHT_STRTAB ||
	    sym->h.sh_entsize != sizeof(Elf64_Sym) || sym->h.sh_size % sizeof(Elf64_Sym) ||
	    sym->h.sh_size / sizeof(Elf64_Sym) > UINT32_MAX)
		return file_damaged(m, e, "its symbol table is not whole");
	m->idx.strtab = sym->h.sh_link;
	str = &m->sections[m->idx.strtab];
	if (!str->h.sh_size || m->data[str->h.sh_offset + str->h.sh_size - 1])
		return file_damaged(m, e, "its symbol names do not end");
	m->n_symbols = (u32)(sym->h.sh_size / sizeof(Elf64_Sym));
	m->symbols = m->data + sym->h.sh_offset;
	m->symbol_names = (const char *)m->data + str->h.sh_offset;
	/*
	 * The loader passes over symbol 0, and a relocation by it takes its value as it stands in
	 * the file (simplify_symbols() in kernel/module/main.c). The ABI has it empty, and no
	 * compiler fills it.
	 */
	if (m->n_symbols) {
		static const u8 empty[sizeof(Elf64_Sym)];

		if (memcmp(m->symbols, empty, sizeof(empty)) != 0)
			return file_damaged(m, e, "its symbol 0 is not empty");
	}
	for (u32 i = 1; i < m->n_symbols; i++) {
		Elf64_Sym s;

		module_symbol(m, i, &s);
		if (s.st_name >= str->h.sh_size ||
		    (s.st_shndx >= m->n_sections && s.st_shndx != SHN_ABS))
			return file_damaged(m, e, "a symbol lies in no section of it");
		/* The loader adds the section's address to the value, whatever that is. */
		if (s.st_shndx != SHN_UNDEF && s.st_shndx < m->n_sections &&
		    s.st_value > m->sections[s.st_shndx].h.sh_size)
			return file_damaged(m, e, "a symbol lies outside of its section");
	}
	return 0;
}

/*
 * Checks that the places that the SHT_RELA section @i changes lie in @to, and notes there whether
 * they are in order.
 */
static int check_places(const struct module *m, u32 i, struct module_section *to, struct err *e)
{
	const struct module_section *s = &m->sections[i];
	u64 before = 0, count = module_rela_count(s), size = to->h.sh_size;
	bool unordered = to->rela;
	u32 width = 0;

	for (u64 j = 0; j < count; j++) {
		Elf64_Rela r;

		module_rela(m, s, j, &r);
		if (ELF64_R_SYM(r.r_info) >= m->n_symbols || r.r_offset >= size)
			return err_set(
				e, -EINVAL,
				"%s: damaged driver file: relocation %llu of %.64s is outside of it",
				m->label, (unsigned long long)j, to->name);
		unordered |= r.r_offset < before || r.r_offset - before < width;
		before = r.r_offset;
		width = module_rela_width((u32)ELF64_R_TYPE(r.r_info));
	}
	to->rela = i;
	to->unordered |= unordered;
	return 0;
}

static int check_relocations(const struct module *m, struct err *e)
{
	int ret = 0;

	for (u32 i = 1; !ret && i < m->n_sections; i++) {
		const struct module_section *s = &m->sections[i];
		struct module_section *to;

		if ((s->h.sh_type != SHT_RELA && s->h.sh_type != SHT_REL) ||
		    s->h.sh_info >= m->n_sections)
			continue;
		to = &m->sections[s->h.sh_info];
		if (!(to->h.sh_flags & SHF_ALLOC))
			continue;
		if (s->h.sh_type == SHT_REL)
			return file_damaged(m, e, "it has relocations without addends (SHT_REL)");
		if (s->h.sh_entsize != sizeof(Elf64_Rela) || s->h.sh_size % sizeof(Elf64_Rela) ||
		    s->h.sh_link != m->idx.symtab)
			return file_damaged(m, e, "a relocation section is not whole");
		ret = check_places(m, i, to, e);
	}
	return ret;
}

static int module_read_info(struct module *m, struct err *e)
{
	const struct module_section *s = &m->sections[m->idx.this_module];
	const char *name;
	size_t n;

	if (!m->idx.this_module || s->h.sh_size < NAME_OFFSET + MODULE_NAME_LEN)
		return err_set(
			e, -EINVAL,
			"%s: not a kernel module (it has no .gnu.linkonce.this_module; an object file before modpost?)",
			m->label);
	name = (const char *)m->data + s->h.sh_offset + NAME_OFFSET;
	n = strnlen(name, MODULE_NAME_LEN);
	if (!n || n == MODULE_NAME_LEN)
		return file_damaged(m, e, "the module has no name");
	memcpy(m->name, name, n + 1);
	if (m->idx.modinfo) {
		s = &m->sections[m->idx.modinfo];
		if (s->h.sh_size && m->data[s->h.sh_offset + s->h.sh_size - 1])
			return file_damaged(m, e, ".modinfo does not end");
	}
	if (m->idx.versions && m->sections[m->idx.versions].h.sh_size % VERSION_SIZE)
		return file_damaged(m, e, "__versions is not whole");
	m->vermagic = module_info(m, "vermagic");
	m->depends = module_info(m, "depends");
	m->livepatch = module_info(m, "livepatch") != NULL;
	return 0;
}

static int module_file_parse(struct module *m, struct err *e)
{
	size_t full = m->len;
	int ret;

	ret = elf_check(m->data, m->len, ET_REL, "a kernel module (.ko)", m->label, e);
	if (ret)
		return ret;
	m->len = unsigned_len(m->data, full);
	if (!m->len)
		return file_damaged(m, e, "its signature is cut off");
	if (m->len < sizeof(Elf64_Ehdr))
		return file_damaged(m, e, "its signature is longer than the rest of it");
	ret = read_sections(m, e);
	for (u32 i = 1; !ret && i < m->n_sections; i++)
		ret = note_section(m, i, e);
	if (!ret)
		ret = check_symbols(m, e);
	if (!ret)
		ret = check_relocations(m, e);
	if (!ret)
		ret = module_read_info(m, e);
	if (!ret)
		ret = module_parse_exports(m, e);
	return ret;
}

/* Takes @data over, also if it fails; unpacked, it has @max bytes at most. */
static int module_of_bytes(struct module **out, const char *label, u8 *data, size_t len, size_t max,
			   struct err *e)
{
	struct module *m = calloc(1, sizeof(*m));
	int ret;

	if (!m) {
		free(data);
		return err_set(e, -ENOMEM, "%s: out of memory", label);
	}
	ret = module_unpack(&data, &len, max, label, e);
	if (ret) {
		free(data);
		free(m);
		return ret;
	}
	m->data = data;
	m->len = len;
	m->label = strdup(label);
	ret = m->label ? module_file_parse(m, e) : err_set(e, -ENOMEM, "%s: out of memory", label);
	if (ret) {
		module_close(m);
		return ret;
	}
	*out = m;
	return 0;
}

int module_open(struct module **out, const char *path, struct err *e)
{
	size_t len;
	u8 *data;
	int ret;

	ret = file_read(path, MODULE_MAX, &data, &len, e);
	if (ret)
		return ret;
	return module_of_bytes(out, path, data, len, MODULE_MAX, e);
}

int module_open_fd(struct module **out, int fd, const char *path, size_t max, struct err *e)
{
	size_t len;
	u8 *data;
	int ret;

	ret = file_read_fd(fd, path, max, &data, &len, e);
	if (ret)
		return ret;
	return module_of_bytes(out, path, data, len, max, e);
}

int module_open_bytes(struct module **out, const char *path, const void *data, size_t len,
		      size_t max, struct err *e)
{
	u8 *copy;

	if (!len)
		return err_set(e, -EINVAL, "%s: the file is empty", path);
	if (len > max)
		return err_set(e, -EFBIG, "%s: too large (%zu bytes; at most %zu are read)", path,
			       len, max);
	copy = malloc(len);
	if (!copy)
		return err_set(e, -ENOMEM, "%s: out of memory", path);
	memcpy(copy, data, len);
	return module_of_bytes(out, path, copy, len, max, e);
}

int module_parse(struct module **out, const char *label, const void *data, size_t len,
		 struct err *e)
{
	return module_open_bytes(out, label, data, len, MODULE_MAX, e);
}

void module_close(struct module *m)
{
	if (!m)
		return;
	strmap_free(&m->export_map);
	free(m->exports);
	free(m->sections);
	free(m->data);
	free(m->label);
	free(m);
}

const char *module_name(const struct module *m)
{
	return m->name;
}

const char *module_vermagic(const struct module *m)
{
	return m->vermagic;
}

const char *module_depends(const struct module *m)
{
	return m->depends ? m->depends : "";
}

u32 module_symbol_count(const struct module *m)
{
	return m->n_symbols;
}

size_t module_export_count(const struct module *m)
{
	return m->n_exports;
}

const char *module_export_name(const struct module *m, size_t i)
{
	return m->exports[i].name;
}

bool module_find_export(const struct module *m, const char *name, size_t *i)
{
	u32 v;

	if (!strmap_find(&m->export_map, name, &v))
		return false;
	*i = v;
	return true;
}
