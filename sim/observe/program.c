/* Programs of a guest, known by their code. Source of the archive's format: cpio(5), "New ASCII Format". */

#include "observe/program.h"

#include "base/alloc.h"
#include "base/file.h"

#include <stdio.h>
#include <string.h>

#define HEADER_BYTES   110u
#define PAGE_BYTES     4096u
#define NAME_MAX_BYTES 256u
#define PATH_BYTES     4096u

/* ---- the archive ---- */

/* A number of eight hexadecimal digits. */
static bool parse_field(const uint8_t *at, uint64_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < 8; i++) {
        unsigned c = at[i] | 0x20u;
        unsigned digit = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
        if (digit == 16) {
            return false;
        }
        *out = *out << 4 | digit;
    }
    return true;
}

struct member {
    const char *name; /* ends with a zero byte */
    const uint8_t *bytes;
    size_t size;
};

/* The member at *at, which moves behind it. False: no more. */
static bool next_member(const struct guest_files *f, size_t *at, struct member *m)
{
    uint64_t name_bytes, file_bytes;
    const uint8_t *header = f->initrd + *at;
    if (f->initrd_size - *at < HEADER_BYTES || memcmp(header, "070701", 6) != 0 ||
        !parse_field(header + 94, &name_bytes) || !parse_field(header + 54, &file_bytes)) {
        return false;
    }
    uint64_t name = *at + HEADER_BYTES, data = (name + name_bytes + 3) & ~UINT64_C(3);
    uint64_t end = (data + file_bytes + 3) & ~UINT64_C(3);
    if (name_bytes == 0 || name_bytes > NAME_MAX_BYTES || data + file_bytes > f->initrd_size ||
        f->initrd[name + name_bytes - 1] != 0) {
        return false;
    }
    *m = (struct member){(const char *)f->initrd + name, f->initrd + data, (size_t)file_bytes};
    *at = end < f->initrd_size ? (size_t)end : f->initrd_size;
    return true;
}

/* ---- programs ---- */

static struct program *add_program(struct programs *p, const char *name, struct symbols *symbols)
{
    p->programs = index_grow(p->programs, p->count, sizeof *p->programs);
    struct program *q = &p->programs[p->count++];
    size_t size = strlen(name) + 1;
    *q = (struct program){.name = alloc_zeroed(size, 1), .symbols = symbols};
    memcpy(q->name, name, size);
    if (symbols != NULL && !symbols_code(symbols, &q->first, &q->code, &q->size_bytes)) {
        q->size_bytes = 0;
    }
    return q;
}

/* The same code with symbols; NULL: there is no such file. */
static struct symbols *find_symbols(const struct guest_files *f, const struct program *p)
{
    char path[PATH_BYTES];
    const char *slash = strrchr(f->initrd_name, '/');
    int folder = slash ? (int)(slash - f->initrd_name + 1) : 0;
    struct file_bytes file;
    int length = snprintf(path, sizeof path, "%.*sprograms/%s", folder, f->initrd_name, p->name);
    if (length < 0 || (size_t)length >= sizeof path || !file_exists(path) ||
        !file_read(path, FILE_MAX_BYTES, &file, NULL)) {
        return NULL;
    }
    struct symbols *s = symbols_open(path, file.bytes, file.size, NULL);
    file_free(&file);
    uint64_t first;
    const uint8_t *code;
    size_t size;
    if (s != NULL && symbols_code(s, &first, &code, &size) && first == p->first && size == p->size_bytes &&
        memcmp(code, p->code, size) == 0) {
        return s;
    }
    symbols_close(s);
    return NULL;
}

static void add_member(struct programs *p, const struct guest_files *f, const struct member *m)
{
    if (m->size < 4 || memcmp(m->bytes, "\177ELF", 4) != 0) {
        return;
    }
    struct symbols *own = symbols_open(m->name, m->bytes, m->size, NULL);
    const char *slash = strrchr(m->name, '/');
    struct program *q = add_program(p, slash ? slash + 1 : m->name, own);
    struct symbols *better = q->size_bytes != 0 ? find_symbols(f, q) : NULL;
    if (better != NULL && symbols_code(better, &q->first, &q->code, &q->size_bytes)) {
        symbols_close(own);
        q->symbols = better;
    }
}

void programs_open(struct programs *p, const struct guest_files *files)
{
    *p = (struct programs){0};
    add_program(p, "kernel", symbols_open(files->kernel_name, files->kernel, files->kernel_size, NULL));
    add_program(p, "user", NULL);
    struct member m;
    for (size_t at = 0; files->initrd != NULL && next_member(files, &at, &m);) {
        add_member(p, files, &m);
    }
}

void programs_close(struct programs *p)
{
    for (uint32_t i = 0; i < p->count; i++) {
        symbols_close(p->programs[i].symbols);
        free(p->programs[i].name);
    }
    index_free(&p->roots);
    free(p->programs);
    free(p->spaces);
}

/* ---- address spaces ---- */

/* Has the page of pc, as it lies in memory, the program's bytes? */
static bool has_page(const struct program *p, const uint8_t *page, uint64_t base)
{
    if (p->size_bytes == 0 || base + PAGE_BYTES <= p->first || base >= p->first + p->size_bytes) {
        return false;
    }
    uint64_t from = base > p->first ? base : p->first, end = p->first + p->size_bytes;
    end = end < base + PAGE_BYTES ? end : base + PAGE_BYTES;
    return memcmp(page + (from - base), p->code + (from - p->first), (size_t)(end - from)) == 0;
}

/* The program of a page; the one that it was before, if it fits. Code outside of every program's leaves it as it was. */
static uint32_t program_of(const struct programs *p, uint32_t before, const uint8_t *page, uint64_t base)
{
    if (has_page(&p->programs[before], page, base)) {
        return before;
    }
    bool inside = false;
    for (uint32_t i = PROGRAM_UNKNOWN + 1; i < p->count; i++) {
        const struct program *q = &p->programs[i];
        if (has_page(q, page, base)) {
            return i;
        }
        inside |= base + PAGE_BYTES > q->first && base < q->first + q->size_bytes;
    }
    return inside ? PROGRAM_UNKNOWN : before;
}

struct space programs_look(struct programs *p, const struct sim *s, unsigned cpu, uint64_t root, uint64_t pc)
{
    uint8_t page[PAGE_BYTES];
    uint64_t base = pc & ~(uint64_t)(PAGE_BYTES - 1);
    struct index_key key = {root, 0, 0};
    uint32_t found = index_find(&p->roots, key);
    if (found == INDEX_NONE) {
        p->spaces = index_grow(p->spaces, p->space_count, sizeof *p->spaces);
        found = (uint32_t)p->space_count++;
        p->spaces[found] = (struct space){PROGRAM_UNKNOWN, ++p->numbers};
        index_add(&p->roots, key, found);
    }
    struct space *space = &p->spaces[found];
    if (sim_read_linear(s, cpu, lin(base), page, sizeof page)) {
        uint32_t program = program_of(p, space->program, page, base);
        space->number = program != space->program ? ++p->numbers : space->number;
        space->program = program;
    }
    return *space;
}
