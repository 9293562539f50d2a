#ifndef ORRERY_GDB_PACKET_H
#define ORRERY_GDB_PACKET_H

/*
 * Packets of the remote serial protocol: $data#checksum, bytes behind '}' with bit 5 inverted.
 *
 * Source: the GDB manual, "Remote Protocol", "Overview". Run-length encoding is for stubs; hosts do not send it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GDB_PACKET_MAX 16384u /* bytes of data, which the server tells the host */

/* What a byte from the host has completed. */
enum gdb_event {
    GDB_NOTHING,
    GDB_PACKET,   /* reader.data has size bytes, and a 0 behind them */
    GDB_DAMAGED,  /* a packet that is to be sent again: its checksum differs, or it is too long */
    GDB_AGAIN,    /* '-': the host wants the last answer again */
    GDB_INTERRUPT /* 0x03 between packets: stop */
};

struct gdb_reader {
    uint8_t data[GDB_PACKET_MAX + 1];
    size_t size;
    uint8_t state, sum, wanted; /* of the packet so far */
    bool escaped, too_long;
};

void gdb_reader_init(struct gdb_reader *r);
enum gdb_event gdb_reader_take(struct gdb_reader *r, uint8_t byte);

/* A growing text: the data of an answer. */
struct gdb_text {
    char *bytes;
    size_t size, capacity;
};

void gdb_text_deinit(struct gdb_text *t);
void gdb_put(struct gdb_text *t, const char *text);
void gdb_putf(struct gdb_text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Two digits a byte; and bytes as they are, escaped where they must be. */
void gdb_put_hex(struct gdb_text *t, const void *bytes, size_t size);
void gdb_put_binary(struct gdb_text *t, const void *bytes, size_t size);
/* The whole packet with this data. */
void gdb_put_packet(struct gdb_text *t, const struct gdb_text *data);

/* Numbers in a packet's data, from *at on, which moves behind what was read. False: there is none, or it has more than 64 bits. */
bool gdb_take_hex(const char **at, uint64_t *out);
/* Exactly size bytes of two digits each. */
bool gdb_take_bytes(const char **at, uint8_t *out, size_t size);
bool gdb_take_char(const char **at, char c);
/* The rest begins so; then *at is behind it. */
bool gdb_take_word(const char **at, const char *word);

#endif
