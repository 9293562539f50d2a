/* Tier 4: programs that read and write bytes. */
#include "programs.h"

static const char words[16][10] = {"kernel", "the", "of",      "address", "a",   "page",  "in",   "which",
                                   "thread", "is",  "message", "to",      "and", "cycle", "that", "store"};

/* Words with blanks between them, some with a comma; not terminated. */
static void make_text(char *text, size_t size, uint64_t seed)
{
    uint64_t random = 88172645463325252 + seed;
    for (size_t i = 0; i < size;) {
        uint32_t r = program_random(&random);
        for (const char *w = words[r % 16]; *w && i < size; w++) {
            text[i++] = *w;
        }
        if (i < size && r >> 8 & 8) {
            text[i++] = r >> 16 & 7 ? ' ' : ',';
        }
    }
}

/* Eight bytes at a time, multiplied and rotated. */
uint64_t program_hash(uint64_t seed, void *memory)
{
    char *text = memory;
    uint64_t h = seed;
    make_text(text, 16384, seed);
    for (int pass = 0; pass < 12; pass++) {
        for (size_t i = 0; i < 16384; i += 8) {
            uint64_t word;
            __builtin_memcpy(&word, text + i, 8);
            h = (h ^ word * 0x9e3779b185ebca87) * 0xc2b2ae3d27d4eb4f;
            h = h << 31 | h >> 33;
        }
    }
    return h;
}

uint64_t program_crc(uint64_t seed, void *memory)
{
    uint32_t *table = memory;
    char *text = (char *)memory + 4096;
    uint32_t crc = (uint32_t)~seed;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (int k = 0; k < 8; k++) {
            c = c & 1 ? 0xedb88320 ^ c >> 1 : c >> 1;
        }
        table[i] = c;
    }
    make_text(text, 32768, seed);
    for (size_t i = 0; i < 32768; i++) {
        crc = table[(crc ^ (unsigned char)text[i]) & 255] ^ crc >> 8;
    }
    return crc;
}

/* Horspool's search for every word, one after another. */
uint64_t program_search(uint64_t seed, void *memory)
{
    unsigned char *text = memory;
    uint64_t found = seed;
    make_text(memory, 16384, seed);
    for (int w = 0; w < 16; w++) {
        size_t length = 0, skip[256];
        while (words[w][length]) {
            length++;
        }
        for (int c = 0; c < 256; c++) {
            skip[c] = length;
        }
        for (size_t i = 0; i + 1 < length; i++) {
            skip[(unsigned char)words[w][i]] = length - 1 - i;
        }
        for (size_t at = 0; at + length <= 16384; at += skip[text[at + length - 1]]) {
            size_t k = length;
            while (k && text[at + k - 1] == (unsigned char)words[w][k - 1]) {
                k--;
            }
            found = found * 3 + (k == 0 ? at : 0);
        }
    }
    return found;
}

static size_t make_json(char *out, size_t size, uint64_t seed)
{
    uint64_t random = 0x123456789 + seed;
    size_t n = 0;
    out[n++] = '[';
    while (n + 96 < size) {
        uint32_t r = program_random(&random);
        static const char head[] = "{\"name\": \"", middle[] = "\", \"list\": [",
                          tail[] = "], \"good\": true},\n";
        for (const char *c = head; *c; c++) {
            out[n++] = *c;
        }
        for (const char *c = words[r % 16]; *c; c++) {
            out[n++] = *c;
        }
        for (const char *c = middle; *c; c++) {
            out[n++] = *c;
        }
        for (uint32_t i = 0; i < 1 + r % 5; i++) {
            uint32_t number = program_random(&random) >> (r % 24);
            char digits[10];
            int d = 0;
            do {
                digits[d++] = (char)('0' + number % 10);
                number /= 10;
            } while (number);
            if (i) {
                out[n++] = ',';
            }
            while (d && n + 40 < size) {
                out[n++] = digits[--d];
            }
        }
        for (const char *c = tail; *c; c++) {
            out[n++] = *c;
        }
    }
    out[n++] = ']';
    return n;
}

/* Numbers summed, strings hashed, the nesting checked. */
uint64_t program_json(uint64_t seed, void *memory)
{
    const char *text = memory;
    size_t size = make_json(memory, 16384, seed);
    uint64_t sum = seed, hash = 5381, depth = 0;
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        switch (c) {
        case '{':
        case '[':
            depth++;
            break;
        case '}':
        case ']':
            depth--;
            break;
        case '"':
            while (text[++i] != '"') {
                hash = hash * 33 ^ (unsigned char)text[i];
            }
            break;
        case 't':
            i += 3;
            sum++;
            break;
        default:
            if (c >= '0' && c <= '9') {
                uint64_t number = 0;
                for (; text[i] >= '0' && text[i] <= '9'; i++) {
                    number = number * 10 + (uint64_t)(text[i] - '0');
                }
                i--;
                sum += number;
            }
        }
    }
    return sum ^ hash ^ depth;
}

/* (a|b)*a(a|b){6}|th(e|a).* as sets of positions, a state a bit, and beside it a table of states for words. */
uint64_t program_automaton(uint64_t seed, void *memory)
{
    unsigned char *text = memory;
    uint64_t accepted = seed;
    uint32_t set = 1;
    unsigned state = 0;
    unsigned char(*table)[256] = (void *)((char *)memory + 32768);
    make_text(memory, 24576, seed);
    for (int s = 0; s < 4; s++) {
        for (int c = 0; c < 256; c++) {
            table[s][c] = (unsigned char)(c == ' '               ? 0
                                          : c >= 'a' && c <= 'm' ? (s + 1) & 3
                                          : c == ','             ? 3
                                                                 : s);
        }
    }
    for (size_t i = 0; i < 24576; i++) {
        unsigned char c = text[i];
        uint32_t follow = set << 1;
        set = 1 | (c & 1 ? follow & 0x7e : follow & 0x7c) | (c == 't' ? 0x100 : 0) |
              (c == 'h' ? follow & 0x200 : 0);
        if (c == 'e' || c == 'a') {
            set |= follow & 0x400;
        }
        if (set & 0x480) {
            accepted += i;
        }
        state = table[state][c];
        accepted += state == 3;
    }
    return accepted;
}

static uint32_t hash_of(const unsigned char *p)
{
    uint32_t v;
    __builtin_memcpy(&v, p, 4);
    return v * 2654435761u >> 20;
}

/* Greedy matches by a table of the last place of four bytes: (literals, length, distance) ..., then back again. */
static size_t compress(const unsigned char *in, size_t size, unsigned char *out, uint32_t *last)
{
    size_t literals = 0, n = 0;
    for (int i = 0; i < 4096; i++) {
        last[i] = 0;
    }
    for (size_t i = 0; i + 4 < size;) {
        uint32_t h = hash_of(in + i);
        size_t from = last[h], length = 0;
        last[h] = (uint32_t)i;
        if (from < i && i - from < 65536) {
            while (length < 255 && i + length < size && in[from + length] == in[i + length]) {
                length++;
            }
        }
        if (length < 4) {
            literals++;
            i++;
        } else if (literals > 255) {
            literals = 0;
        }
        if (length >= 4 || literals == 255) {
            out[n++] = (unsigned char)literals;
            for (size_t k = i - literals; k < i; k++) {
                out[n++] = in[k];
            }
            literals = 0;
            length = length < 4 ? 0 : length;
            out[n++] = (unsigned char)length;
            out[n++] = (unsigned char)((i - from) & 255);
            out[n++] = (unsigned char)((i - from) >> 8);
            i += length;
        }
    }
    return n;
}

static size_t expand(const unsigned char *in, size_t size, unsigned char *out)
{
    size_t n = 0;
    for (size_t i = 0; i < size;) {
        for (unsigned literals = in [i++]; literals; literals--) {
            out[n++] = in[i++];
        }
        size_t length = in[i], distance = in[i + 1] + 256u * in[i + 2];
        i += 3;
        for (; length; length--, n++) {
            out[n] = out[n - distance];
        }
    }
    return n;
}

uint64_t program_lz(uint64_t seed, void *memory)
{
    unsigned char *text = memory, *packed = text + 65536, *again = packed + 65536;
    make_text(memory, 32768, seed);
    size_t small = compress(text, 32768, packed, (uint32_t *)(void *)(again + 65536));
    size_t size = expand(packed, small, again);
    uint64_t check = seed + small;
    for (size_t i = 0; i < size; i++) {
        check += (uint64_t)(text[i] != again[i]) << 32;
    }
    return check * 65536 + size;
}

uint64_t program_varint(uint64_t seed, void *memory)
{
    unsigned char *out = memory;
    uint64_t random = 99 + seed, sum = seed;
    size_t n = 0;
    for (int i = 0; i < 6000; i++) {
        uint32_t r = program_random(&random);
        uint64_t value = (uint64_t)r * r >> (r % 60);
        while (value >= 128) {
            out[n++] = (unsigned char)(value | 128);
            value >>= 7;
        }
        out[n++] = (unsigned char)value;
    }
    for (size_t i = 0; i < n;) {
        uint64_t value = 0;
        int shift = 0;
        do {
            value |= (uint64_t)(out[i] & 127) << shift;
            shift += 7;
        } while (out[i++] & 128);
        sum = sum * 31 + value;
    }
    return sum;
}

static int compare(const unsigned char *a, const unsigned char *b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (a[i] != b[i]) {
            return a[i] < b[i] ? -1 : 1;
        }
    }
    return 0;
}

/* Strings of 24 bytes, many with a common beginning: sorted by insertion where binary search says, then looked at. */
uint64_t program_compare(uint64_t seed, void *memory)
{
    unsigned char *text = memory;
    uint32_t *order = (uint32_t *)(void *)(text + 65536);
    uint64_t check = seed;
    make_text(memory, 24 * 640, seed);
    for (uint32_t i = 0; i < 640; i++) {
        uint32_t low = 0, high = i;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (compare(text + 24 * (size_t)order[middle], text + 24 * (size_t)i, 24) < 0) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        for (uint32_t k = i; k > low; k--) {
            order[k] = order[k - 1];
        }
        order[low] = i;
    }
    for (uint32_t i = 1; i < 640; i++) {
        check = check * 7 + order[i] +
                (uint64_t)(compare(text + 24 * (size_t)order[i - 1], text + 24 * (size_t)order[i], 24) > 0);
    }
    return check;
}
