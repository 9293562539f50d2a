/* Tier 4: programs that move between places of memory. */
#include "programs.h"

static void sort(uint32_t *a, long low, long high)
{
    while (high - low > 12) {
        uint32_t pivot = a[(low + high) / 2];
        long i = low, j = high;
        while (i <= j) {
            while (a[i] < pivot) {
                i++;
            }
            while (a[j] > pivot) {
                j--;
            }
            if (i <= j) {
                uint32_t kept = a[i];
                a[i++] = a[j];
                a[j--] = kept;
            }
        }
        if (j - low < high - i) {
            sort(a, low, j);
            low = i;
        } else {
            sort(a, i, high);
            high = j;
        }
    }
    for (long i = low + 1; i <= high; i++) {
        uint32_t value = a[i];
        long k = i;
        for (; k > low && a[k - 1] > value; k--) {
            a[k] = a[k - 1];
        }
        a[k] = value;
    }
}

uint64_t program_sort(uint64_t seed, void *memory)
{
    uint32_t *a = memory;
    uint64_t random = 7 + seed, check = seed;
    for (long i = 0; i < 4096; i++) {
        a[i] = program_random(&random);
    }
    sort(a, 0, 4095);
    for (long i = 0; i < 4096; i += 64) {
        check = check * 31 + a[i];
    }
    return check;
}

struct node {
    struct node *less, *more;
    uint64_t key, value;
};

/* A search tree as it grows from random keys, then searches for keys that are there and for some that are not. */
uint64_t program_tree(uint64_t seed, void *memory)
{
    struct node *nodes = memory, *root = NULL;
    uint64_t random = 11 + seed, sum = seed;
    for (uint32_t i = 0; i < 3000; i++) {
        struct node **at = &root;
        uint64_t key = program_random(&random);
        while (*at) {
            at = key < (*at)->key ? &(*at)->less : &(*at)->more;
        }
        nodes[i] = (struct node){NULL, NULL, key, i};
        *at = &nodes[i];
    }
    random = 11 + seed;
    for (uint32_t i = 0; i < 6000; i++) {
        uint64_t key = program_random(&random);
        const struct node *n = root;
        while (n && n->key != key) {
            n = key < n->key ? n->less : n->more;
        }
        sum += n ? n->value : 1;
    }
    return sum;
}

/* Open addressing in 512 KiB, a third full: inserts, look-ups, removals that leave marks. */
uint64_t program_table(uint64_t seed, void *memory)
{
    struct {
        uint64_t key, value;
    } *slots = memory;
    const uint32_t mask = 32767;
    uint64_t random = 13 + seed, sum = seed;
    for (uint32_t i = 0; i <= mask; i++) {
        slots[i].key = 0;
    }
    for (uint32_t i = 0; i < 30000; i++) {
        uint64_t key = 1 + program_random(&random) % 12000;
        uint32_t at = (uint32_t)(key * 0x9e3779b97f4a7c15 >> 40) & mask;
        while (slots[at].key && slots[at].key != key) {
            at = (at + 1) & mask;
        }
        if (!slots[at].key) {
            slots[at].key = key;
            slots[at].value = i;
        } else if (i % 16 == 0) {
            slots[at].value = 0;
        } else {
            sum += slots[at].value;
        }
    }
    return sum;
}

static void sift_down(uint64_t *heap, size_t size, size_t at)
{
    uint64_t value = heap[at];
    for (size_t child; (child = 2 * at + 1) < size; at = child) {
        child += child + 1 < size && heap[child + 1] < heap[child];
        if (heap[child] >= value) {
            break;
        }
        heap[at] = heap[child];
    }
    heap[at] = value;
}

/* Events in order of time, each of which makes another, as in a simulator. */
uint64_t program_heap(uint64_t seed, void *memory)
{
    uint64_t *heap = memory, random = 17 + seed, sum = seed;
    size_t size = 2000;
    for (size_t i = 0; i < size; i++) {
        heap[i] = program_random(&random);
    }
    for (size_t i = size / 2; i--;) {
        sift_down(heap, size, i);
    }
    for (int i = 0; i < 4000; i++) {
        sum = sum * 3 + heap[0];
        heap[0] += program_random(&random);
        sift_down(heap, size, 0);
    }
    return sum;
}

struct link {
    struct link *next;
    uint64_t value[3];
};

/* A list in scattered order: walked, reversed, every second one taken out and put back. */
uint64_t program_list(uint64_t seed, void *memory)
{
    struct link *links = memory, *head = NULL;
    uint64_t sum = seed;
    for (uint32_t i = 0; i < 8192; i++) {
        struct link *l = &links[(i * 4099u) & 8191];
        l->value[0] = i;
        l->next = head;
        head = l;
    }
    for (int pass = 0; pass < 4; pass++) {
        struct link *back = NULL, *out = NULL;
        for (struct link *l = head, *next; l; l = next) {
            next = l->next;
            sum += l->value[0] ^ (uint64_t)pass;
            struct link **to = l->value[0] & 1 ? &out : &back;
            l->next = *to;
            *to = l;
        }
        head = back;
        while (out) {
            struct link *l = out;
            out = l->next;
            l->next = head;
            head = l;
        }
    }
    return sum + head->value[0];
}

/* Messages of changing length through a ring of 4 KiB, byte counts and contents checked. */
uint64_t program_ring(uint64_t seed, void *memory)
{
    unsigned char *ring = memory;
    uint32_t head = 0, tail = 0;
    uint64_t random = 19 + seed, sum = seed;
    for (int i = 0; i < 6000; i++) {
        uint32_t length = program_random(&random) % 24 + 1;
        while (4096 - (head - tail) < length + 1) {
            uint32_t n = ring[tail++ & 4095];
            for (; n; n--) {
                sum = sum * 5 + ring[tail++ & 4095];
            }
        }
        ring[head++ & 4095] = (unsigned char)length;
        for (uint32_t k = 0; k < length; k++) {
            ring[head++ & 4095] = (unsigned char)(k * length + (uint32_t)i);
        }
    }
    return sum + head - tail;
}

struct piece {
    struct piece *next;
    uint64_t size;
};

/* Free lists by powers of two over 256 KiB; a trace of requests and frees in random order. */
uint64_t program_allocator(uint64_t seed, void *memory)
{
    struct piece *lists[10] = {NULL}, **held = memory;
    char *fresh = (char *)memory + 16384;
    uint64_t random = 23 + seed, sum = seed;
    for (int i = 0; i < 1024; i++) {
        held[i] = NULL;
    }
    for (int i = 0; i < 12000; i++) {
        uint32_t r = program_random(&random), slot = r & 1023;
        if (held[slot]) {
            struct piece *p = held[slot];
            int order = 63 - __builtin_clzll(p->size);
            p->next = lists[order];
            lists[order] = p;
            held[slot] = NULL;
        } else {
            int order = 5 + (int)(r >> 12 & 3) - (r >> 16 & 15 ? 0 : -1);
            struct piece *p = lists[order];
            if (p) {
                lists[order] = p->next;
            } else {
                p = (void *)fresh;
                fresh += 1ul << order;
            }
            p->size = 1ul << order;
            p->next = NULL;
            held[slot] = p;
            sum += (uint64_t)((char *)p - (char *)memory);
        }
    }
    return sum;
}

/* Pieces of 1 to 600 bytes copied to odd places, by words and then bytes. */
uint64_t program_copy(uint64_t seed, void *memory)
{
    unsigned char *from = memory, *to = from + 65536;
    uint64_t random = 29 + seed, sum = seed;
    for (uint32_t i = 0; i < 16384; i++) {
        from[i] = (unsigned char)(i * 7);
    }
    for (int i = 0; i < 3000; i++) {
        uint32_t r = program_random(&random), n = r % 600 + 1, k = 0;
        const unsigned char *source = from + (r >> 10) % 15000;
        unsigned char *target = to + (r >> 7) % 15000;
        for (; k + 16 <= n; k += 16) {
            uint64_t a, b;
            __builtin_memcpy(&a, source + k, 8);
            __builtin_memcpy(&b, source + k + 8, 8);
            __builtin_memcpy(target + k, &a, 8);
            __builtin_memcpy(target + k + 8, &b, 8);
        }
        for (; k < n; k++) {
            target[k] = source[k];
        }
        sum = sum * 3 + target[n / 2];
    }
    return sum;
}
