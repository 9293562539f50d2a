/* Simulated contexts. Random numbers: splitmix64 (Steele, Lea and Flood, 2014). Deviations: none. */

#include "dimension/simulate.h"

#include "lib/string.h"

#define LEAST_WORDS 3u
#define MOST_WORDS  8u

static uint64_t next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

/* One line into line[], which has room for the longest; returns its bytes. */
static uint32_t make_line(const struct dim_layer_entry *layer, uint64_t *state, char *line)
{
    uint32_t words = LEAST_WORDS + (uint32_t)(next(state) % (MOST_WORDS - LEAST_WORDS + 1)), used = 0;
    for (uint32_t i = 0; i < words; i++) {
        const struct dim_keyword *word = &layer->keywords[next(state) % layer->keyword_count];
        memcpy(line + used, word->text, word->bytes);
        used += word->bytes;
        if (i + 1 < words) {
            line[used++] = ',';
        }
        line[used++] = i + 1 < words ? ' ' : '\n';
    }
    return used;
}

uint64_t dim_simulate(const struct dim_layer_entry *layer, dim_id_t id, uint64_t seed, uint8_t *to,
                      uint64_t size_bytes)
{
    char line[MOST_WORDS * (DIM_MAX_KEYWORD_BYTES + 2) + 2];
    uint64_t state = seed, used = 0;
    state = next(&state) ^ ((uint64_t)id.number << 16 | layer->number.number);
    for (;;) {
        uint32_t bytes = layer->keyword_count ? make_line(layer, &state, line) : 0;
        if (bytes == 0 || bytes > size_bytes - used) {
            return used;
        }
        memcpy(to + used, line, bytes);
        used += bytes;
    }
}

_Static_assert(MOST_WORDS *(DIM_MAX_KEYWORD_BYTES + 2) <= DIM_MAX_LINE_BYTES, "a simulated line is a line");
