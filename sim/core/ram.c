/*
 * Sparse RAM in one reserved host range. The digest is a sum modulo 2^128 of a hash of (page number, contents)
 * over all pages that are not zero, so one page's change is a subtraction and an addition, and the order in
 * which pages were touched does not show.
 */

#define _GNU_SOURCE

#include "core/ram.h"

#include "base/bits.h"
#include "base/check.h"
#include "base/u128.h"
#include "core/ram_version.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SAVED_PAGE_BYTES (8 + (size_t)PAGE_SIZE_BYTES) /* number, contents */

static void *reserve(uint64_t size_bytes)
{
    void *p =
        mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static uint64_t ram_pages(const struct ram *r)
{
    return r->end >> PAGE_SHIFT;
}

bool ram_init(struct ram *r, const struct ram_range *ranges, unsigned count, struct error *e)
{
    *r = (struct ram){.range_count = count};
    CHECK(count > 0 && count <= RAM_RANGES_MAX, "%u RAM ranges", count);
    for (unsigned i = 0; i < count; i++) {
        CHECK(((ranges[i].base.v | ranges[i].size_bytes) & PAGE_MASK_BITS) == 0, "RAM range %u not aligned",
              i);
        CHECK(ranges[i].base.v >= r->end, "RAM range %u out of order", i);
        r->ranges[i] = ranges[i];
        r->end = ranges[i].base.v + ranges[i].size_bytes;
    }
    r->base = reserve(r->end);
    r->flags = reserve(ram_pages(r));
    r->page_digests = reserve(ram_pages(r) * sizeof *r->page_digests);
    r->digested = reserve(ram_pages(r));
    r->listed = reserve(ram_pages(r));
    if (!r->base || !r->flags || !r->page_digests || !r->digested || !r->listed) {
        error_set(e, "memory: the host refuses to reserve %llu MiB", (unsigned long long)(r->end >> 20));
        ram_deinit(r);
        return false;
    }
    madvise(r->base, r->end, MADV_NOHUGEPAGE); /* a huge page would charge 2 MiB for one touched byte */
    return true;
}

static void release(void *p, uint64_t size_bytes)
{
    if (p) {
        munmap(p, size_bytes);
    }
}

void ram_deinit(struct ram *r)
{
    release(r->base, r->end);
    release(r->flags, ram_pages(r));
    release(r->page_digests, ram_pages(r) * sizeof *r->page_digests);
    release(r->digested, ram_pages(r));
    release(r->listed, ram_pages(r));
    for (unsigned l = 0; l < PAGE_LISTS; l++) {
        free(r->lists[l].pages);
    }
    ram_version_free(r->base_version);
    *r = (struct ram){0};
}

bool ram_contains(const struct ram *r, phys_t a, uint64_t size_bytes)
{
    for (unsigned i = 0; i < r->range_count; i++) {
        uint64_t offset = a.v - r->ranges[i].base.v;
        if (a.v >= r->ranges[i].base.v && offset < r->ranges[i].size_bytes) {
            return size_bytes <= r->ranges[i].size_bytes - offset;
        }
    }
    return false;
}

static void list_add(struct page_list *list, uint64_t page)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity ? list->capacity * 2 : 1024;
        list->pages = realloc(list->pages, list->capacity * sizeof *list->pages);
        CHECK(list->pages, "out of memory");
    }
    list->pages[list->count++] = page;
}

void ram_mark_dirty(struct ram *r, uint64_t page)
{
    CHECK(page < ram_pages(r), "page %llx is not RAM", (unsigned long long)page);
    for (unsigned l = 0; l < PAGE_LISTS; l++) {
        if (!(r->listed[page] >> l & 1)) {
            r->listed[page] |= (uint8_t)(1u << l);
            list_add(&r->lists[l], page);
        }
    }
    r->flags[page] |= PAGE_DIRTY;
}

/* From here on a write to one of its pages is noted again. */
static void list_empty(struct ram *r, enum page_list_of since)
{
    struct page_list *list = &r->lists[since];
    for (uint64_t i = 0; i < list->count; i++) {
        r->listed[list->pages[i]] &= (uint8_t) ~(1u << since);
        r->flags[list->pages[i]] &= (uint8_t)~PAGE_DIRTY;
    }
    list->count = 0;
}

const uint64_t *ram_written(const struct ram *r, uint64_t *count)
{
    *count = r->lists[SINCE_VERSION].count;
    return r->lists[SINCE_VERSION].pages;
}

void ram_forget_written(struct ram *r)
{
    list_empty(r, SINCE_VERSION);
}

bool ram_page_is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, PAGE_SIZE_BYTES - 1) == 0;
}

static struct digest page_digest(const struct ram *r, uint64_t page)
{
    struct digest content = digest_bytes(r->base + (page << PAGE_SHIFT), PAGE_SIZE_BYTES);
    uint8_t bytes[24];
    store_le64(bytes, page);
    store_le64(bytes + 8, content.hi);
    store_le64(bytes + 16, content.lo);
    return digest_bytes(bytes, sizeof bytes);
}

static struct digest digest_from(u128_t v)
{
    return (struct digest){u128_hi(v), u128_lo(v)};
}

struct digest ram_digest(struct ram *r)
{
    u128_t sum = u128_make(r->sum.hi, r->sum.lo);
    const struct page_list *written = &r->lists[SINCE_DIGEST];
    for (uint64_t i = 0; i < written->count; i++) {
        uint64_t page = written->pages[i];
        if (r->digested[page]) {
            sum -= u128_make(r->page_digests[page].hi, r->page_digests[page].lo);
        }
        r->digested[page] = !ram_page_is_zero(r->base + (page << PAGE_SHIFT));
        if (r->digested[page]) {
            r->page_digests[page] = page_digest(r, page);
            sum += u128_make(r->page_digests[page].hi, r->page_digests[page].lo);
        }
    }
    list_empty(r, SINCE_DIGEST);
    r->sum = digest_from(sum);
    return r->sum;
}

static bool page_touched(const struct ram *r, uint64_t page)
{
    return r->digested[page] || (r->listed[page] >> SINCE_DIGEST & 1);
}

static bool page_saved(const struct ram *r, uint64_t page)
{
    return page_touched(r, page) && !ram_page_is_zero(r->base + (page << PAGE_SHIFT));
}

void ram_save(const struct ram *r, struct state_buffer *b)
{
    size_t count_at = b->size;
    uint64_t count = 0;
    state_buffer_extend(b, 8);
    for (uint64_t page = 0; page < ram_pages(r); page++) {
        if (page_saved(r, page)) {
            uint8_t *out = state_buffer_extend(b, SAVED_PAGE_BYTES);
            store_le64(out, page);
            memcpy(out + 8, r->base + (page << PAGE_SHIFT), PAGE_SIZE_BYTES);
            count++;
        }
    }
    store_le64(b->bytes + count_at, count);
}

/* The saved pages at the buffer's position, or NULL: each is RAM, and they ascend. */
static const uint8_t *saved_pages(const struct ram *r, struct state_buffer *b, uint64_t *count)
{
    const uint8_t *head = state_buffer_take(b, 8);
    *count = head ? load_le64(head) : 0;
    size_t left = b->size - b->position;
    bool fits = head && left % SAVED_PAGE_BYTES == 0 && *count == left / SAVED_PAGE_BYTES;
    const uint8_t *pages = fits ? state_buffer_take(b, left) : NULL;
    uint64_t next = 0;
    for (uint64_t i = 0; pages && i < *count; i++) {
        uint64_t page = load_le64(pages + i * SAVED_PAGE_BYTES);
        bool good =
            page >= next && page < ram_pages(r) && ram_contains(r, phys(page << PAGE_SHIFT), PAGE_SIZE_BYTES);
        if (!good) {
            return NULL;
        }
        next = page + 1;
    }
    return pages;
}

static void page_set(struct ram *r, uint64_t page, const uint8_t *contents)
{
    uint8_t *at = r->base + (page << PAGE_SHIFT);
    if (contents ? memcmp(at, contents, PAGE_SIZE_BYTES) == 0 : ram_page_is_zero(at)) {
        return;
    }
    ram_note_write(r, phys(page << PAGE_SHIFT));
    if (contents) {
        memcpy(at, contents, PAGE_SIZE_BYTES);
    } else {
        memset(at, 0, PAGE_SIZE_BYTES);
    }
}

bool ram_load(struct ram *r, struct state_buffer *b)
{
    uint64_t count, next = 0;
    const uint8_t *pages = saved_pages(r, b, &count);
    if (!pages) {
        return false;
    }
    for (uint64_t page = 0; page < ram_pages(r); page++) {
        const uint8_t *saved = pages + next * SAVED_PAGE_BYTES;
        if (next < count && load_le64(saved) == page) {
            page_set(r, page, saved + 8);
            next++;
        } else if (page_touched(r, page)) {
            page_set(r, page, NULL);
        }
    }
    return true;
}

uint64_t ram_touched_bytes(const struct ram *r)
{
    uint64_t pages = 0;
    for (uint64_t page = 0; page < ram_pages(r); page++) {
        pages += page_touched(r, page);
    }
    return pages << PAGE_SHIFT;
}
