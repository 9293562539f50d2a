/* ELF symbol table and DWARF line table. Source: System V ABI, "Symbol Table"; DWARF 5 through libdw. */

#include "observe/symbols_internal.h"

#include "base/check.h"

#include <gelf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void add_symbol(struct symbols *s, const GElf_Sym *sym, const char *name)
{
    unsigned type = GELF_ST_TYPE(sym->st_info);
    bool wanted = type == STT_FUNC || type == STT_OBJECT || type == STT_NOTYPE;
    if (!wanted || sym->st_shndx == SHN_UNDEF || !name || !name[0]) {
        return;
    }
    if (s->count == s->capacity) {
        s->capacity = s->capacity ? s->capacity * 2 : 1024;
        s->by_address = realloc(s->by_address, s->capacity * sizeof *s->by_address);
        CHECK(s->by_address, "out of memory");
    }
    s->by_address[s->count++] =
        (struct symbol){sym->st_value, sym->st_size, name, type == STT_NOTYPE, sym->st_shndx == SHN_ABS};
}

static void read_symbol_table(struct symbols *s)
{
    Elf_Scn *section = NULL;
    while ((section = elf_nextscn(s->elf, section))) {
        GElf_Shdr header;
        if (!gelf_getshdr(section, &header) || header.sh_type != SHT_SYMTAB || header.sh_entsize == 0) {
            continue;
        }
        Elf_Data *data = elf_getdata(section, NULL);
        uint64_t count = data ? data->d_size / header.sh_entsize : 0;
        for (uint64_t i = 0; i < count && i < INT32_MAX; i++) {
            GElf_Sym sym;
            if (gelf_getsym(data, (int)i, &sym)) {
                add_symbol(s, &sym, elf_strptr(s->elf, header.sh_link, sym.st_name));
            }
        }
    }
}

/* Total order: address, sized before unsized, larger first, name. */
static int order_by_address(const void *a, const void *b)
{
    const struct symbol *x = a, *y = b;
    if (x->address != y->address) {
        return x->address < y->address ? -1 : 1;
    }
    if (x->untyped != y->untyped) {
        return x->untyped ? 1 : -1;
    }
    if (x->size_bytes != y->size_bytes) {
        return x->size_bytes > y->size_bytes ? -1 : 1;
    }
    return strcmp(x->name, y->name);
}

static int order_by_name(const void *a, const void *b)
{
    const struct symbol *x = *(const struct symbol *const *)a, *y = *(const struct symbol *const *)b;
    int names = strcmp(x->name, y->name);
    return names ? names : order_by_address(x, y);
}

static void sort_symbols(struct symbols *s)
{
    if (s->count == 0) {
        return;
    }
    qsort(s->by_address, s->count, sizeof *s->by_address, order_by_address);
    s->by_name = malloc(s->count * sizeof(const struct symbol *));
    CHECK(s->by_name, "out of memory");
    for (size_t i = 0; i < s->count; i++) {
        s->by_name[i] = &s->by_address[i];
    }
    qsort(s->by_name, s->count, sizeof(const struct symbol *), order_by_name);
}

struct symbols *symbols_open(const char *name, const uint8_t *file, size_t size, struct error *e)
{
    elf_version(EV_CURRENT);
    struct symbols *s = calloc(1, sizeof *s);
    CHECK(s, "out of memory");
    s->bytes = malloc(size ? size : 1);
    CHECK(s->bytes, "out of memory: %zu bytes", size);
    memcpy(s->bytes, file, size);
    s->elf = elf_memory((char *)s->bytes, size);
    if (!s->elf || elf_kind(s->elf) != ELF_K_ELF) {
        symbols_close(s);
        error_set(e, "%s: not an ELF file", name);
        return NULL;
    }
    read_symbol_table(s);
    sort_symbols(s);
    s->dwarf = dwarf_begin_elf(s->elf, DWARF_C_READ, NULL);
    return s;
}

void symbols_close(struct symbols *s)
{
    if (!s) {
        return;
    }
    if (s->dwarf) {
        dwarf_end(s->dwarf);
    }
    if (s->elf) {
        elf_end(s->elf);
    }
    inlined_index_free(&s->inlined);
    free(s->variables);
    free(s->by_name);
    free(s->by_address);
    free(s->bytes);
    free(s);
}

bool symbols_code(const struct symbols *s, uint64_t *address, const uint8_t **bytes, size_t *size)
{
    size_t count, file_size;
    GElf_Phdr h;
    if (elf_getphdrnum(s->elf, &count) != 0 || !elf_rawfile(s->elf, &file_size)) {
        return false;
    }
    for (size_t i = 0; i < count && gelf_getphdr(s->elf, (int)i, &h); i++) {
        bool inside = h.p_offset <= file_size && h.p_filesz <= file_size - h.p_offset;
        if (h.p_type == PT_LOAD && (h.p_flags & PF_X) && inside && h.p_filesz != 0) {
            *address = h.p_vaddr;
            *bytes = s->bytes + h.p_offset;
            *size = h.p_filesz;
            return true;
        }
    }
    return false;
}

bool symbols_find(const struct symbols *s, const char *name, uint64_t *address, uint64_t *size_bytes)
{
    size_t low = 0, high = s->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(s->by_name[middle]->name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == s->count || strcmp(s->by_name[low]->name, name) != 0) {
        return false;
    }
    *address = s->by_name[low]->address;
    *size_bytes = s->by_name[low]->size_bytes;
    return true;
}

bool symbols_cover(const struct symbols *s, uint64_t address, const char **name, uint64_t *offset)
{
    size_t low = 0, high = s->count;
    while (low < high) { /* the first symbol above address */
        size_t middle = (low + high) / 2;
        if (s->by_address[middle].address <= address) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    while (low-- > 0) {
        const struct symbol *sym = &s->by_address[low];
        uint64_t reach = sym->size_bytes ? sym->size_bytes : sym->untyped ? SYMBOL_REACH_BYTES : 0;
        if (!sym->absolute && address - sym->address < reach) {
            while (low > 0 && s->by_address[low - 1].address == sym->address &&
                   !s->by_address[low - 1].untyped) {
                sym = &s->by_address[--low]; /* of several at one address the first in the total order */
            }
            *name = sym->name;
            *offset = address - sym->address;
            return true;
        }
        if (address - sym->address > SYMBOL_REACH_BYTES) {
            return false;
        }
    }
    return false;
}

bool symbols_line(const struct symbols *s, uint64_t address, const char **file, int *line)
{
    Dwarf_Die unit;
    if (!s->dwarf || !dwarf_addrdie(s->dwarf, address, &unit)) {
        return false;
    }
    Dwarf_Line *found = dwarf_getsrc_die(&unit, address);
    *file = found ? dwarf_linesrc(found, NULL, NULL) : NULL;
    return *file && dwarf_lineno(found, line) == 0;
}

void symbols_describe(const struct symbols *s, uint64_t address, char *text, size_t size)
{
    const char *name, *file;
    uint64_t offset;
    int line, used;
    if (!s || !symbols_cover(s, address, &name, &offset)) {
        snprintf(text, size, "0x%llx", (unsigned long long)address);
        return;
    }
    used = snprintf(text, size, "%s+0x%llx", name, (unsigned long long)offset);
    if (used > 0 && (size_t)used < size && symbols_line(s, address, &file, &line)) {
        snprintf(text + used, size - (size_t)used, " (%s:%d)", file, line);
    }
}
