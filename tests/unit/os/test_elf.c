/*
 * Program images that are damaged in every way a seed comes up with: the parser reads nothing outside (AddressSanitizer
 * watches a copy of the image's exact size), and what it accepts obeys the rules of proc/elf.h. SEED=n replays one run,
 * CASES=n is how many images.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mm/layout.h"
#include "mm/vm.h"
#include "proc/elf.h"
#include "test/random.h"

#define IMAGE_BYTES   2048u
#define HEADERS_BYTES (64u + 5u * 56u)

static uint64_t state_of_random;

static void put(uint8_t *at, unsigned bytes, uint64_t value)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> 8 * i);
    }
}

static void put_segment(uint8_t *at, uint32_t type, uint32_t flags, uint64_t offset, uint64_t address,
                        uint64_t file_bytes, uint64_t memory_bytes)
{
    put(at, 4, type);
    put(at + 4, 4, flags);
    put(at + 8, 8, offset);
    put(at + 16, 8, address);
    put(at + 24, 8, address);
    put(at + 32, 8, file_bytes);
    put(at + 40, 8, memory_bytes);
    put(at + 48, 8, type == 7 ? 16 : 4096);
}

/* Text, read-only data, data with zeros behind, thread-local storage and a note. */
static void make_image(uint8_t *image)
{
    static const uint8_t identification[] = {0x7f, 'E', 'L', 'F', 2, 1, 1};
    memset(image, 0, IMAGE_BYTES);
    memcpy(image, identification, sizeof(identification));
    put(image + 16, 2, 2);
    put(image + 18, 2, 62);
    put(image + 20, 4, 1);
    put(image + 24, 8, 0x400010);
    put(image + 32, 8, 64);
    put(image + 52, 2, 64);
    put(image + 54, 2, 56);
    put(image + 56, 2, 5);
    put_segment(image + 64, 1, 5, 512, 0x400000, 256, 256);
    put_segment(image + 64 + 56, 1, 4, 768, 0x401000, 100, 100);
    put_segment(image + 64 + 112, 1, 6, 1024, 0x402000, 300, 9000);
    put_segment(image + 64 + 168, 7, 4, 1400, 0x402100, 16, 48);
    put_segment(image + 64 + 224, 4, 4, 1500, 0, 20, 20);
}

/* Parses a copy that is exactly so large. */
static status_t parse(const uint8_t *image, size_t bytes, struct elf_layout *out)
{
    uint8_t *copy = malloc(bytes != 0 ? bytes : 1);
    assert_non_null(copy);
    memcpy(copy, image, bytes);
    status_t status = elf_parse(bytes != 0 ? copy : copy + 1, bytes, out);
    free(copy);
    return status;
}

static void check_accepted(const struct elf_layout *layout, size_t bytes)
{
    bool code = false;
    assert_in_range(layout->count, 1, ELF_MAX_SEGMENTS);
    for (uint32_t i = 0; i < layout->count; i++) {
        const struct elf_segment *s = &layout->segments[i];
        assert_true(s->file_offset <= bytes && s->file_bytes <= bytes - s->file_offset);
        assert_true(s->file_bytes <= s->memory_bytes && s->address >= USER_BASE);
        assert_true(s->address < USER_END && s->memory_bytes <= USER_END - s->address);
        assert_true((s->protection & (VM_WRITE | VM_EXECUTE)) != (VM_WRITE | VM_EXECUTE));
        assert_true(i == 0 || s->address >> 12 > (s[-1].address + s[-1].memory_bytes - 1) >> 12);
        code |= (s->protection & VM_EXECUTE) != 0 && layout->entry - s->address < s->memory_bytes;
    }
    assert_true(code);
    if (layout->tls.memory_bytes != 0) {
        const struct elf_tls *tls = &layout->tls;
        assert_true(tls->file_offset <= bytes && tls->file_bytes <= bytes - tls->file_offset);
        assert_true(tls->file_bytes <= tls->memory_bytes && tls->memory_bytes <= ELF_TLS_MAX_BYTES);
        assert_true(tls->alignment <= ELF_TLS_MAX_ALIGNMENT && (tls->alignment & (tls->alignment - 1)) == 0);
    }
}

/* A value that is likely to be on an edge. */
static uint64_t edge(void)
{
    static const uint64_t bases[] = {0,          1,          64,        512,      IMAGE_BYTES,
                                     0x400000,   0x401000,   0x402000,  USER_END, 1ull << 31,
                                     1ull << 32, 1ull << 63, UINT64_MAX};
    return bases[random_next(&state_of_random) % (sizeof(bases) / sizeof(bases[0]))] +
           random_next(&state_of_random) % 5 - 2;
}

/* One to four wounds: bytes, bits, or whole fields of headers. */
static void wound(uint8_t *image)
{
    for (uint64_t left = 1 + random_next(&state_of_random) % 4; left != 0; left--) {
        uint64_t at = random_next(&state_of_random) % HEADERS_BYTES;
        switch (random_next(&state_of_random) % 3) {
        case 0:
            image[at] = (uint8_t)random_next(&state_of_random);
            break;
        case 1:
            image[at] ^= (uint8_t)(1u << random_next(&state_of_random) % 8);
            break;
        default:
            put(image + at / 8 * 8, 8, edge());
            break;
        }
    }
}

static uint64_t setting(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text != NULL ? strtoull(text, NULL, 0) : otherwise;
}

static void a_sound_image_is_taken_as_it_is(void **state)
{
    (void)state;
    uint8_t image[IMAGE_BYTES];
    struct elf_layout layout;
    make_image(image);
    assert_int_equal(parse(image, sizeof(image), &layout), STATUS_OK);
    check_accepted(&layout, sizeof(image));
    assert_int_equal(layout.count, 3);
    assert_int_equal(layout.entry, 0x400010);
    assert_int_equal(layout.segments[2].memory_bytes, 9000);
    assert_int_equal(layout.tls.memory_bytes, 48);
}

/* covers: PS-09 */
static void damaged_images_are_refused_or_obey_the_rules(void **state)
{
    (void)state;
    uint64_t seed = setting("SEED", 0x9e3779b97f4a7c15);
    uint64_t cases = setting("CASES", 200000);
    uint64_t accepted = 0;
    uint8_t image[IMAGE_BYTES];
    struct elf_layout layout;
    state_of_random = seed;
    print_message("SEED=%#llx\n", (unsigned long long)seed);
    for (uint64_t i = 0; i < cases; i++) {
        make_image(image);
        wound(image);
        size_t bytes = random_next(&state_of_random) % 4 == 0
                           ? random_next(&state_of_random) % (IMAGE_BYTES + 1)
                           : IMAGE_BYTES;
        status_t status = parse(image, bytes, &layout);
        if (status == STATUS_OK) {
            check_accepted(&layout, bytes);
            accepted++;
        } else {
            assert_true(status == STATUS_ERR_BAD_IMAGE || status == STATUS_ERR_UNSUPPORTED ||
                        status == STATUS_ERR_WRITE_EXECUTE || status == STATUS_ERR_LIMIT);
        }
    }
    print_message("%llu of %llu were taken\n", (unsigned long long)accepted, (unsigned long long)cases);
    assert_in_range(accepted, cases / 100, cases - cases / 100); /* both ways were gone */
}

/* covers: PS-09 (U: images that are cut) */
static void an_image_is_refused_at_every_length_that_lacks_something(void **state)
{
    (void)state;
    uint8_t image[IMAGE_BYTES];
    struct elf_layout layout;
    make_image(image);
    for (size_t bytes = 0; bytes < 1416; bytes++) { /* up to the end of the thread-local storage */
        assert_int_equal(parse(image, bytes, &layout), STATUS_ERR_BAD_IMAGE);
    }
    assert_int_equal(parse(image, 1416, &layout), STATUS_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_sound_image_is_taken_as_it_is),
        cmocka_unit_test(damaged_images_are_refused_or_obey_the_rules),
        cmocka_unit_test(an_image_is_refused_at_every_length_that_lacks_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
