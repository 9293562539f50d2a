/* Compression of layers: round trips, the format's own examples, and input that means harm. covers: DS-23 (codec) */

#include "fault_platform.h"

#include <stdlib.h>

#include "dimension/lz4.h"

/* Room that any input of that size needs at most. */
static uint64_t lz4_bound(uint64_t size)
{
    return size + size / 255 + 16;
}

static uint32_t random_state;

static uint32_t random_below(uint32_t bound)
{
    random_state = random_state * 1664525 + 1013904223;
    return (random_state >> 8) % bound;
}

/* Compresses into memory that ends where lz4_bound says, inflates into memory that ends where the input ended. */
static uint64_t round_trip(const uint8_t *bytes, uint64_t size)
{
    uint8_t *stored = malloc(lz4_bound(size)), *back = malloc(size ? size : 1);
    assert_non_null(stored);
    assert_non_null(back);
    uint64_t stored_bytes = lz4_compress(bytes, size, stored, lz4_bound(size));
    assert_true(stored_bytes > 0);
    stored = realloc(stored, stored_bytes);
    assert_non_null(stored);
    assert_ok(lz4_inflate(stored, stored_bytes, back, size));
    assert_memory_equal(back, bytes, size);
    for (uint64_t short_of = 0; short_of < stored_bytes && short_of < 40; short_of++) {
        assert_int_equal(lz4_compress(bytes, size, back, short_of < size ? short_of : 0), 0);
    }
    free(stored);
    free(back);
    return stored_bytes;
}

static void every_small_size_and_alphabet_round_trips(void **state)
{
    (void)state;
    uint8_t bytes[600];
    random_state = 1;
    for (uint32_t size = 0; size < sizeof bytes; size++) {
        for (uint32_t letters = 1; letters <= 256; letters *= 4) {
            for (uint32_t i = 0; i < size; i++) {
                bytes[i] = (uint8_t)random_below(letters);
            }
            round_trip(bytes, size);
        }
    }
}

static void text_shrinks_and_noise_hardly_grows(void **state)
{
    (void)state;
    enum { SIZE = 200000 };
    uint8_t *bytes = malloc(SIZE);
    assert_non_null(bytes);
    static const char *const words[] = {"matter, ", "field, ", "quantum, ", "orbit\n"};
    uint32_t at = 0;
    random_state = 2;
    while (at < SIZE) {
        for (const char *c = words[random_below(4)]; *c && at < SIZE; c++) {
            bytes[at++] = (uint8_t)*c;
        }
    }
    assert_true(round_trip(bytes, SIZE) < SIZE / 2);
    memset(bytes, 'x', SIZE);
    assert_true(round_trip(bytes, SIZE) < SIZE / 200);
    for (at = 0; at < SIZE; at++) {
        bytes[at] = (uint8_t)random_below(256);
    }
    assert_true(round_trip(bytes, SIZE) <= lz4_bound(SIZE));
    free(bytes);
}

/* Written by hand from the description of the format. */
static void sequences_written_by_hand_inflate(void **state)
{
    (void)state;
    static const uint8_t literals[] = {0x50, 'h', 'e', 'l', 'l', 'o'};
    static const uint8_t overlap[] = {0x1f, 'a', 1,   0,   3,  0x50,
                                      'b',  'b', 'b', 'b', 'b'}; /* 'a' x (1 + 15 + 3 + 4) */
    static const uint8_t empty[] = {0};
    uint8_t out[64];
    assert_ok(lz4_inflate(literals, sizeof literals, out, 5));
    assert_memory_equal(out, "hello", 5);
    assert_ok(lz4_inflate(overlap, sizeof overlap, out, 28));
    assert_memory_equal(out, "aaaaaaaaaaaaaaaaaaaaaaabbbbb", 28);
    assert_ok(lz4_inflate(empty, 1, out, 0));
}

static void damaged_blocks_are_refused(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[8];
        uint8_t size, out;
    } wrong[] = {
        {{0}, 0, 0},                             /* nothing at all */
        {{0x50, 'h', 'e'}, 3, 5},                /* literals end early */
        {{0x50, 'h', 'e', 'l', 'l', 'o'}, 6, 4}, /* more than asked for */
        {{0x50, 'h', 'e', 'l', 'l', 'o'}, 6, 6}, /* less */
        {{0xf0, 255, 255}, 3, 60},               /* length ends early */
        {{0x10, 'a', 1}, 3, 20},                 /* offset ends early */
        {{0x10, 'a', 0, 0, 0}, 5, 5},            /* distance 0 */
        {{0x10, 'a', 2, 0, 0}, 5, 5},            /* before the start */
        {{0x1f, 'a', 1, 0}, 4, 20},              /* match length ends early */
        {{0x10, 'a', 1, 0}, 4, 5},               /* a match at the end */
        {{0x10, 'a', 1, 0, 0x00}, 5, 4},         /* match beyond the end */
        {{0x13, 'a'}, 2, 1},                     /* a match announced, none there */
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        uint8_t *in = malloc(wrong[i].size + 1u), *out = malloc(wrong[i].out + 1u);
        assert_non_null(in);
        assert_non_null(out);
        memcpy(in + 1, wrong[i].bytes, wrong[i].size);
        assert_status(lz4_inflate(in + 1, wrong[i].size, out + 1, wrong[i].out), STATUS_ERR_DIM_STREAM);
        free(in);
        free(out);
    }
}

/* Blocks with flipped bits and pure noise: refused or accepted, never outside of either buffer (AddressSanitizer). */
static void hostile_blocks_stay_inside_their_buffers(void **state)
{
    (void)state;
    random_state = 3;
    unsigned accepted = 0, refused = 0;
    for (unsigned n = 0; n < 20000; n++) {
        uint8_t plain[200], block[256];
        uint32_t size = random_below(sizeof plain), stored;
        for (uint32_t i = 0; i < size; i++) {
            plain[i] = (uint8_t)random_below(3);
        }
        stored = (uint32_t)lz4_compress(plain, size, block, sizeof block);
        for (uint32_t flips = random_below(4); flips > 0; flips--) {
            block[random_below(stored)] ^= (uint8_t)(1u << random_below(8));
        }
        stored = random_below(8) ? stored : random_below(stored + 1);
        uint8_t *in = malloc(stored + 1), *out = malloc(size + 1);
        assert_non_null(in);
        assert_non_null(out);
        memcpy(in + 1, block, stored);
        status_t status = lz4_inflate(in + 1, stored, out + 1, size);
        assert_true(status == STATUS_OK || status == STATUS_ERR_DIM_STREAM);
        accepted += status == STATUS_OK;
        refused += status != STATUS_OK;
        free(in);
        free(out);
    }
    assert_true(accepted > 1000 && refused > 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_small_size_and_alphabet_round_trips),
        cmocka_unit_test(text_shrinks_and_noise_hardly_grows),
        cmocka_unit_test(sequences_written_by_hand_inflate),
        cmocka_unit_test(damaged_blocks_are_refused),
        cmocka_unit_test(hostile_blocks_stay_inside_their_buffers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
