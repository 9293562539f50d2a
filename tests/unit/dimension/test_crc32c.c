/* CRC-32C against its definition, bit by bit, and its promise: single bits, pairs and bursts are found. */

#include "fault_platform.h"

#include "dimension/crc32c.h"

/* The definition: polynomial division, one bit at a time. */
static uint32_t slow(uint32_t crc, const uint8_t *bytes, size_t size)
{
    crc = ~crc;
    for (size_t i = 0; i < 8 * size; i++) {
        uint32_t bit = (crc ^ (uint32_t)bytes[i / 8] >> i % 8) & 1;
        crc = crc >> 1 ^ (bit ? 0x82f63b78u : 0);
    }
    return ~crc;
}

static void fill(uint8_t *bytes, size_t size, uint32_t seed)
{
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(seed >> 24);
    }
}

/* RFC 3720, "CRC Examples", and the check value of the catalogue of CRCs. */
static void the_published_examples_come_out(void **state)
{
    (void)state;
    uint8_t bytes[32] = {0};
    assert_int_equal(crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(crc32c(0, bytes, 32), 0x8a9136aa);
    memset(bytes, 0xff, 32);
    assert_int_equal(crc32c(0, bytes, 32), 0x62a8ab43);
    for (unsigned i = 0; i < 32; i++) {
        bytes[i] = (uint8_t)i;
    }
    assert_int_equal(crc32c(0, bytes, 32), 0x46dd794e);
    assert_int_equal(crc32c(0, bytes, 0), 0);
}

static void every_length_and_alignment_agrees_with_the_definition(void **state)
{
    (void)state;
    uint8_t bytes[128];
    fill(bytes, sizeof bytes, 7);
    for (size_t from = 0; from < 9; from++) {
        for (size_t size = 0; from + size <= sizeof bytes; size++) {
            assert_int_equal(crc32c(0, bytes + from, size), slow(0, bytes + from, size));
        }
    }
}

static void pieces_give_the_crc_of_the_whole(void **state)
{
    (void)state;
    uint8_t bytes[100];
    fill(bytes, sizeof bytes, 9);
    for (size_t cut = 0; cut <= sizeof bytes; cut++) {
        uint32_t first = crc32c(0, bytes, cut);
        assert_int_equal(crc32c(first, bytes + cut, sizeof bytes - cut), crc32c(0, bytes, sizeof bytes));
    }
}

static void every_single_and_double_flip_of_a_block_changes_the_crc(void **state)
{
    (void)state;
    uint8_t bytes[48];
    fill(bytes, sizeof bytes, 11);
    uint32_t good = crc32c(0, bytes, sizeof bytes);
    for (size_t i = 0; i < 8 * sizeof bytes; i++) {
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        assert_int_not_equal(crc32c(0, bytes, sizeof bytes), good);
        for (size_t j = i + 1; j < 8 * sizeof bytes; j++) {
            bytes[j / 8] ^= (uint8_t)(1u << j % 8);
            assert_int_not_equal(crc32c(0, bytes, sizeof bytes), good);
            bytes[j / 8] ^= (uint8_t)(1u << j % 8);
        }
        bytes[i / 8] ^= (uint8_t)(1u << i % 8);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_examples_come_out),
        cmocka_unit_test(every_length_and_alignment_agrees_with_the_definition),
        cmocka_unit_test(pieces_give_the_crc_of_the_whole),
        cmocka_unit_test(every_single_and_double_flip_of_a_block_changes_the_crc),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
