/*
 * A disk over a host file, copy-on-write by pages.
 *
 * The whole file is in memory from the start on: it is read for its digest anyway, and what happens to it afterwards cannot
 * reach the run.
 */

#include "core/disk.h"

#include "base/alloc.h"
#include "base/file.h"

#include <string.h>

static uint32_t page_count(const struct disk *d)
{
    return (uint32_t)((d->size_bytes + DISK_PAGE_BYTES - 1) / DISK_PAGE_BYTES);
}

/* The last page may be a part of one. */
static size_t page_bytes(const struct disk *d, uint32_t page)
{
    uint64_t left = d->size_bytes - (uint64_t)page * DISK_PAGE_BYTES;
    return left < DISK_PAGE_BYTES ? (size_t)left : DISK_PAGE_BYTES;
}

static const uint8_t *base_page(const struct disk *d, uint32_t page)
{
    return d->base + (uint64_t)page * DISK_PAGE_BYTES;
}

/* Of bytes that become the disk's, also when it fails. */
static bool init_own(struct disk *d, const char *name, uint8_t *bytes, size_t size, struct error *e)
{
    if (size == 0 || size % DISK_SECTOR_BYTES != 0) {
        free(bytes);
        return error_set(e, "%s: a disk of %zu bytes: whole sectors of %u, at least one", name, size,
                         DISK_SECTOR_BYTES);
    }
    d->base = bytes;
    d->size_bytes = size;
    d->base_digest = digest_bytes(bytes, size);
    d->changed = alloc_zeroed(page_count(d), sizeof *d->changed);
    return true;
}

bool disk_init(struct disk *d, const char *name, struct error *e)
{
    struct file_bytes file;
    *d = (struct disk){0};
    return file_read(name, DISK_MAX_BYTES, &file, e) && init_own(d, name, file.bytes, file.size, e);
}

bool disk_init_from(struct disk *d, const char *name, const uint8_t *bytes, size_t size, struct error *e)
{
    *d = (struct disk){0};
    uint8_t *own = alloc_zeroed(size + 1, 1);
    memcpy(own, bytes, size);
    return init_own(d, name, own, size, e);
}

static void drop_changes(struct disk *d)
{
    for (uint32_t page = 0; page < page_count(d); page++) {
        free(d->changed[page]);
        d->changed[page] = NULL;
    }
}

void disk_deinit(struct disk *d)
{
    drop_changes(d);
    free(d->changed);
    free(d->base);
    *d = (struct disk){0};
}

/* The page's own copy, made when it has none. */
static uint8_t *own_page(struct disk *d, uint32_t page)
{
    if (!d->changed[page]) {
        d->changed[page] = alloc_zeroed(1, DISK_PAGE_BYTES);
        memcpy(d->changed[page], base_page(d, page), page_bytes(d, page));
    }
    return d->changed[page];
}

/* The part of offset .. offset + size that lies in the first page it touches. */
struct piece {
    uint32_t page;
    size_t at, size;
};

static struct piece piece_at(const struct disk *d, uint64_t offset, uint64_t size)
{
    CHECK(offset <= d->size_bytes && size <= d->size_bytes - offset, "beyond the disk's %llu bytes",
          (unsigned long long)d->size_bytes);
    size_t at = offset % DISK_PAGE_BYTES, room = DISK_PAGE_BYTES - at;
    return (struct piece){(uint32_t)(offset / DISK_PAGE_BYTES), at, size < room ? (size_t)size : room};
}

void disk_read(const struct disk *d, uint64_t offset, void *bytes, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        struct piece p = piece_at(d, offset + done, size - done);
        const uint8_t *page = d->changed[p.page] ? d->changed[p.page] : base_page(d, p.page);
        memcpy((uint8_t *)bytes + done, page + p.at, p.size);
        done += p.size;
    }
}

void disk_write(struct disk *d, uint64_t offset, const void *bytes, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        struct piece p = piece_at(d, offset + done, size - done);
        memcpy(own_page(d, p.page) + p.at, (const uint8_t *)bytes + done, p.size);
        done += p.size;
    }
}

void disk_write_zeroes(struct disk *d, uint64_t offset, uint64_t size)
{
    for (uint64_t done = 0; done < size;) {
        struct piece p = piece_at(d, offset + done, size - done);
        memset(own_page(d, p.page) + p.at, 0, p.size);
        done += p.size;
    }
}

/* ---- state ---- */

static bool differs_from_base(const struct disk *d, uint32_t page)
{
    return d->changed[page] && memcmp(d->changed[page], base_page(d, page), page_bytes(d, page)) != 0;
}

static void look_at_pages(struct disk *d, struct visitor *v)
{
    uint32_t count = 0;
    for (uint32_t page = 0; page < page_count(d); page++) {
        count += differs_from_base(d, page);
    }
    visit_count(v, "changed pages", &count, page_count(d));
    for (uint32_t page = 0; page < page_count(d); page++) {
        if (differs_from_base(d, page)) {
            uint32_t number = page;
            visit_count(v, "page", &number, page_count(d) - 1);
            visit_array(v, "contents", d->changed[page], 1, page_bytes(d, page));
        }
    }
}

static void load_pages(struct disk *d, struct visitor *v)
{
    uint32_t count = 0, next = 0;
    drop_changes(d);
    visit_count(v, "changed pages", &count, page_count(d));
    for (uint32_t i = 0; i < count && !v->failed; i++) {
        uint32_t page = 0;
        visit_count(v, "page", &page, page_count(d) - 1);
        visit_require(v, "page", page >= next);
        visit_array(v, "contents", own_page(d, page), 1, page_bytes(d, page));
        next = page + 1;
    }
}

void disk_visit(struct disk *d, struct visitor *v)
{
    struct digest base = d->base_digest;
    visit_u64(v, "file", &base.hi);
    visit_u64(v, "file", &base.lo);
    visit_require(v, "file", digest_equal(base, d->base_digest));
    if (v->loading) {
        load_pages(d, v);
    } else {
        look_at_pages(d, v);
    }
}
