/*
 * Parsers of files and words: kernel images (PVH, Multiboot, plain ELF), initrds, command lines, --cpu words, and the
 * symbol and DWARF reader. Broken ones get a message or find nothing; what loads may run.
 */

#include "fuzz.h"

#include "base/bits.h"
#include "machine/sim.h"
#include "observe/symbols.h"

#include "cpu/cpuid.h"

#define KERNEL_FILE "build/os/orrery.elf"
#define SMALL_BYTES 0x300u
#define RUN_CYCLES  20000u

static struct fuzz_file kernel_file;

/* ---- small images made here ---- */

static void put_phdr64(uint8_t *p, uint32_t type, uint64_t offset, uint64_t at, uint64_t size,
                       uint64_t memory)
{
    store_le32(p, type);
    store_le32(p + 4, 7);
    store_le64(p + 8, offset);
    store_le64(p + 16, at);
    store_le64(p + 24, at);
    store_le64(p + 32, size);
    store_le64(p + 40, memory);
}

static void make_pvh(uint8_t *f)
{
    memset(f, 0, SMALL_BYTES);
    memcpy(f, "\177ELF\2\1\1", 7);
    store_le16(f + 16, 2);
    store_le16(f + 18, 62);
    store_le64(f + 24, 0x100000);
    store_le64(f + 32, 64);
    store_le16(f + 54, 56);
    store_le16(f + 56, 3);
    put_phdr64(f + 64, 1, 0x180, 0x100000, 32, 0x2000);
    put_phdr64(f + 120, 4, 0x140, 0, 20, 20);
    put_phdr64(f + 176, 1, 0x1a0, 0x200000, 32, 32);
    store_le32(f + 0x140, 4);
    store_le32(f + 0x144, 4);
    store_le32(f + 0x148, 18);
    memcpy(f + 0x14c, "Xen", 4);
    store_le32(f + 0x150, 0x100000);
    memset(f + 0x180, 0x90, 31);
    f[0x19f] = 0xf4;
}

static void make_multiboot(uint8_t *f)
{
    memset(f, 0x90, SMALL_BYTES);
    store_le32(f, 0x1badb002);
    store_le32(f + 4, 0x10003);
    store_le32(f + 8, 0u - 0x1badb002u - 0x10003u);
    store_le32(f + 12, 0x100000);
    store_le32(f + 16, 0x100000);
    store_le32(f + 20, 0x100000 + SMALL_BYTES);
    store_le32(f + 24, 0x103000);
    store_le32(f + 28, 0x100020);
    f[SMALL_BYTES - 1] = 0xf4;
}

static void make_elf32(uint8_t *f)
{
    memset(f, 0, SMALL_BYTES);
    memcpy(f, "\177ELF\1\1\1", 7);
    store_le16(f + 16, 2);
    store_le16(f + 18, 3);
    store_le32(f + 24, 0x100000);
    store_le32(f + 28, 52);
    store_le16(f + 42, 32);
    store_le16(f + 44, 1);
    store_le32(f + 52, 1);
    store_le32(f + 56, 0x100);
    store_le32(f + 60, 0x100000);
    store_le32(f + 64, 0x100000);
    store_le32(f + 68, 0x200);
    store_le32(f + 72, 0x1000);
    store_le32(f + 0x100, 0x1badb002);
    store_le32(f + 0x104, 3);
    store_le32(f + 0x108, 0u - 0x1badb002u - 3u);
}

/* An image to damage: the size of the copy; the damage goes to the first *span bytes mostly. */
static uint8_t *pick_image(struct rng *r, size_t *size, size_t *span)
{
    static uint8_t small[SMALL_BYTES];
    unsigned kind = fuzz_below(r, kernel_file.bytes ? 4 : 3);
    *size = kind < 3 ? SMALL_BYTES : kernel_file.size;
    *span = kind < 3 ? 0x180 : 0x400;
    if (kind == 0) {
        make_pvh(small);
    } else if (kind == 1) {
        make_multiboot(small);
    } else if (kind == 2) {
        make_elf32(small);
    }
    return fuzz_copy(kind < 3 ? small : kernel_file.bytes, *size);
}

static char *any_text(struct rng *r, size_t size)
{
    char *text = malloc(size + 1);
    assert_non_null(text);
    for (size_t i = 0; i < size; i++) {
        text[i] = (char)(1 + fuzz_below(r, 255));
    }
    text[size] = 0;
    return text;
}

static void image_case(struct rng *r, uint64_t seed, void *arg)
{
    size_t size, span;
    struct error e = {""};
    struct sim_config c;
    (void)seed;
    (void)arg;
    uint8_t *image = pick_image(r, &size, &span);
    size = fuzz_one_in(r, 10) ? size : fuzz_damage(r, image, size, 0, span);
    uint8_t *exact = fuzz_copy(image, size);
    free(image);
    size_t initrd_size = fuzz_one_in(r, 2)    ? 0
                         : fuzz_one_in(r, 20) ? UINT64_C(20) << 20
                                              : fuzz_below(r, 70000);
    uint8_t *initrd = initrd_size ? calloc(1, initrd_size) : NULL;
    char *command = fuzz_one_in(r, 2) ? NULL : any_text(r, fuzz_below(r, fuzz_one_in(r, 8) ? 10000 : 100));
    struct sim_image i = {"fuzz", exact, size, initrd, initrd_size, command};
    sim_config_init(&c);
    c.memory_bytes = SIM_MEMORY_MIN;
    struct sim *s = sim_create(&c, &e);
    assert_non_null(s);
    if (sim_load(s, &i, &e)) {
        sim_run(s, RUN_CYCLES);
    } else {
        assert_true(e.text[0] != 0);
        assert_null(strchr(e.text, '\n'));
    }
    sim_destroy(s);
    free(command);
    free(initrd);
    free(exact);
}

static void broken_images_load_or_get_a_message(void **state)
{
    (void)state;
    fuzz_run("image", 400, image_case, NULL);
}

/* ---- words ---- */

static void cpu_case(struct rng *r, uint64_t seed, void *arg)
{
    static const char *const words[] = {"orrery", "tcg72",        ",",      "+",     "-",      "x2apic",
                                        "pcid",   "TSC-deadline", "smap",   "xsave", "+avx,",  "-sse2",
                                        "fpu",    ",,",           "+pcid,", "-",     "long",   "\xff",
                                        " ",      "invpcid",      "1gib",   "+",     "x2apic", "."};
    char text[400] = "";
    struct cpuid_model m;
    struct error e = {""};
    (void)seed;
    (void)arg;
    for (unsigned n = fuzz_below(r, 12); n > 0; n--) {
        strcat(text, FUZZ_PICK(r, words));
    }
    char *exact = (char *)fuzz_copy((const uint8_t *)text, strlen(text) + 1);
    if (!cpuid_model_init(&m, exact, 1 + fuzz_below(r, 256), &e)) {
        assert_true(e.text[0] != 0);
    }
    free(exact);
}

static void cpu_words_are_taken_or_refused(void **state)
{
    (void)state;
    fuzz_run("cpu-words", 20000, cpu_case, NULL);
}

/* ---- symbols and DWARF ---- */

/* Walks what a place leads to, not for ever. */
static void walk_place(struct rng *r, struct symbols *s, const struct place *p, unsigned depth)
{
    struct place next;
    const char *name;
    if (depth == 0) {
        return;
    }
    place_count(p);
    if (place_element(p, rng_below(r, 4), &next)) {
        walk_place(r, s, &next, depth - 1);
    }
    if (place_target(s, p, fuzz_value(r), &next)) {
        walk_place(r, s, &next, depth - 1);
    }
    for (unsigned i = 0; i < 20 && (name = place_member_name(p, i)); i++) {
        if (place_member(p, name, &next)) {
            walk_place(r, s, &next, i < 3 ? depth - 1 : 0);
        }
    }
}

static void query_all(struct rng *r, struct symbols *s)
{
    static const char *const names[] = {"cpu_this",  "frame_table", "frame_manager", "panic_owner", "console",
                                        "thread",    "process",     "page_frame",    "kernel_main", "panic",
                                        "STATUS_OK", "sched",       "runqueue",      "nothing"};
    uint64_t address = 0, size, offset;
    int64_t value;
    const char *text, *file;
    int line;
    char description[200];
    struct inlined_function inlined[SYMBOLS_INLINED_MAX];
    struct place p;
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (symbols_find(s, names[i], &address, &size)) {
            symbols_describe(s, address + rng_below(r, 64), description, sizeof description);
        }
        if (symbols_variable(s, names[i], &p)) {
            walk_place(r, s, &p, 6);
        }
        if (symbols_type_at(s, names[i], address, &p)) {
            walk_place(r, s, &p, 6);
        }
        symbols_enumerator(s, names[i], &value);
    }
    symbols_inlined(s, "spin_lock", NULL, 0);
    for (unsigned i = 0; i < 20; i++) {
        address = fuzz_one_in(r, 3) ? fuzz_value(r) : UINT64_C(0xffffffff80000000) + fuzz_below(r, 0x200000);
        symbols_cover(s, address, &text, &offset);
        symbols_line(s, address, &file, &line);
        symbols_inlined_at(s, address, inlined);
        symbols_describe(s, address, description, 1 + fuzz_below(r, 199));
    }
}

/* Where the damage goes: the section headers, one section, or anywhere. */
static void pick_section(struct rng *r, size_t *first, size_t *span)
{
    const uint8_t *f = kernel_file.bytes;
    uint64_t table = load_le64(f + 40);
    unsigned count = load_le16(f + 60);
    if (fuzz_one_in(r, 6) || table + 64u * count > kernel_file.size || count == 0) {
        *first = table < kernel_file.size && fuzz_one_in(r, 2) ? table : 0;
        *span = *first ? kernel_file.size - *first : kernel_file.size;
        return;
    }
    const uint8_t *header = f + table + 64u * fuzz_below(r, count);
    *first = load_le64(header + 24);
    *span = load_le64(header + 32);
    if (*first + *span > kernel_file.size) {
        *first = 0;
        *span = kernel_file.size;
    }
}

static void symbols_case(struct rng *r, uint64_t seed, void *arg)
{
    size_t size = kernel_file.size, first, span;
    (void)seed;
    (void)arg;
    uint8_t *copy = fuzz_copy(kernel_file.bytes, size);
    for (unsigned n = 1 + fuzz_below(r, 4); n > 0; n--) {
        pick_section(r, &first, &span);
        size = fuzz_damage(r, copy, size, first < size ? first : 0, first < size ? span : size);
    }
    uint8_t *exact = fuzz_copy(copy, size);
    free(copy);
    struct error e = {""};
    struct symbols *s = symbols_open("fuzz", exact, size, &e);
    if (s) {
        query_all(r, s);
        symbols_close(s);
    }
    free(exact);
}

static void damaged_debug_information_finds_something_or_nothing(void **state)
{
    (void)state;
    if (!kernel_file.bytes) {
        print_message("%s is not there: skipped\n", KERNEL_FILE);
        skip();
    }
    fuzz_run("symbols", 40, symbols_case, NULL);
}

static int open_files(void **state)
{
    (void)state;
    kernel_file = fuzz_read(KERNEL_FILE);
    return 0;
}

static int close_files(void **state)
{
    (void)state;
    free(kernel_file.bytes);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(broken_images_load_or_get_a_message),
        cmocka_unit_test(cpu_words_are_taken_or_refused),
        cmocka_unit_test(damaged_debug_information_finds_something_or_nothing),
    };
    return cmocka_run_group_tests(tests, open_files, close_files);
}
