/* Framing: what was put comes back, in pieces and after damage; numbers are bounded. */

#include "gdb/packet.h"

#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct gdb_reader reader;

/* The last event of these bytes. */
static enum gdb_event feed(const char *bytes, size_t size)
{
    enum gdb_event last = GDB_NOTHING;
    for (size_t i = 0; i < size; i++) {
        enum gdb_event event = gdb_reader_take(&reader, (uint8_t)bytes[i]);
        last = event != GDB_NOTHING ? event : last;
    }
    return last;
}

static enum gdb_event feed_text(const char *text)
{
    return feed(text, strlen(text));
}

static void a_packet_that_was_written_is_read(void **state)
{
    (void)state;
    struct rng rng;
    gdb_reader_init(&reader);
    rng_init(&rng, 3, 0);
    for (unsigned round = 0; round < 2000; round++) {
        uint8_t bytes[300];
        size_t size = (size_t)rng_below(&rng, sizeof bytes);
        struct gdb_text data = {0}, packet = {0};
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)rng_below(&rng, 256);
        }
        gdb_put_binary(&data, bytes, size);
        gdb_put_packet(&packet, &data);
        assert_int_equal(feed(packet.bytes, packet.size), GDB_PACKET);
        assert_int_equal(reader.size, size);
        assert_memory_equal(reader.data, bytes, size);
        gdb_text_deinit(&data);
        gdb_text_deinit(&packet);
    }
}

static void what_is_damaged_is_told_and_the_next_one_is_read(void **state)
{
    static const char *const damaged[] = {"$m0,4#00", "$g#6", "$}#7d", "$g#zz", "$g#6z"};
    (void)state;
    gdb_reader_init(&reader);
    for (unsigned i = 0; i < sizeof damaged / sizeof damaged[0]; i++) {
        enum gdb_event event = feed_text(damaged[i]);
        assert_int_equal(event == GDB_NOTHING ? feed_text("x") : event, GDB_DAMAGED);
        assert_int_equal(feed_text("$g#67"), GDB_PACKET);
        assert_string_equal((const char *)reader.data, "g");
    }
    assert_int_equal(feed_text("$lost$?#3f"), GDB_PACKET);
    assert_int_equal(reader.size, 1);
}

static void too_long_a_packet_is_refused(void **state)
{
    (void)state;
    gdb_reader_init(&reader);
    for (unsigned more = 0; more < 2; more++) {
        struct gdb_text data = {0}, packet = {0};
        for (unsigned i = 0; i < GDB_PACKET_MAX + more; i++) {
            gdb_put(&data, "a");
        }
        gdb_put_packet(&packet, &data);
        assert_int_equal(feed(packet.bytes, packet.size), more ? GDB_DAMAGED : GDB_PACKET);
        gdb_text_deinit(&data);
        gdb_text_deinit(&packet);
    }
}

static void bytes_between_packets(void **state)
{
    (void)state;
    gdb_reader_init(&reader);
    assert_int_equal(feed_text("+"), GDB_NOTHING);
    assert_int_equal(feed_text("-"), GDB_AGAIN);
    assert_int_equal(feed_text("\003"), GDB_INTERRUPT);
    assert_int_equal(feed_text("$\003#03"), GDB_PACKET); /* inside it is data */
}

static void numbers_and_words_are_taken_one_after_another(void **state)
{
    (void)state;
    uint64_t number;
    uint8_t bytes[2];
    const char *at = "Cont1f,ffffffffffffffff:aB0c;";
    assert_true(gdb_take_word(&at, "Cont") && gdb_take_hex(&at, &number) && number == 0x1f);
    assert_false(gdb_take_char(&at, ';') || gdb_take_word(&at, ",0"));
    assert_true(gdb_take_char(&at, ',') && gdb_take_hex(&at, &number) && number == UINT64_MAX);
    assert_true(gdb_take_char(&at, ':') && gdb_take_bytes(&at, bytes, 2) && bytes[0] == 0xab &&
                bytes[1] == 0xc);
    assert_false(gdb_take_hex(&at, &number) || gdb_take_bytes(&at, bytes, 1));
    at = "10000000000000000";
    assert_false(gdb_take_hex(&at, &number));
    at = "";
    assert_false(gdb_take_char(&at, 0));
}

static void bytes_that_mean_something_are_escaped(void **state)
{
    (void)state;
    struct gdb_text t = {0};
    gdb_put_binary(&t, "a#$}*b", 6);
    assert_string_equal(t.bytes, "a}\003}\004}]}\nb");
    t.size = 0;
    gdb_put_hex(&t, "\x01\xfe", 2);
    gdb_putf(&t, "%u;", 7u);
    assert_string_equal(t.bytes, "01fe7;");
    gdb_text_deinit(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_packet_that_was_written_is_read),
        cmocka_unit_test(what_is_damaged_is_told_and_the_next_one_is_read),
        cmocka_unit_test(too_long_a_packet_is_refused),
        cmocka_unit_test(bytes_between_packets),
        cmocka_unit_test(numbers_and_words_are_taken_one_after_another),
        cmocka_unit_test(bytes_that_mean_something_are_escaped),
    };
    return cmocka_run_group_tests_name("packet", tests, NULL, NULL);
}
