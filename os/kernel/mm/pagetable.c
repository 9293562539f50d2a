/*
 * 4-level page tables (AMD64 APM volume 2, "Long-Mode Page Translation"). The number of used entries of a
 * table lives in bits 62..52 of the entry that points to it, where the hardware ignores it; so a table that
 * loses its last entry is freed at once, without a scan. Changes to entries that the hardware may mark (A, D)
 * are compare-and-exchange loops. Deviations: 1 GiB leaves and 5-level paging are not built; 2 MiB leaves are
 * not split.
 */

#include "mm/pagetable.h"

#include "arch/arch_pt.h"
#include "lib/string.h"
#include "mm/frame_cache.h"
#include "mm/tlb.h"
#include "panic.h"

#define ADDRESS_MASK 0x000ffffffffff000ull
#define PAT_BIT_4K   (1ull << 7)
#define PAT_BIT_2M   (1ull << 12)
#define LIVE_SHIFT   52
#define LIVE_MASK    (0x7ffull << LIVE_SHIFT)
#define ENTRIES      512u
#define ROOT_LEVEL   4u

static const char *const flag_names[64] = {
#define PAGE_FLAG(id, bit) [(bit)] = #id,
#include "mm/page_flag.def"
#undef PAGE_FLAG
};

#define PAGE_FLAG(id, bit) | (1ull << (bit))
static const uint64_t all_flags = 0ull
#include "mm/page_flag.def"
    ;
#undef PAGE_FLAG

/* The entries on the way to an address: entry[level] lies in the table of that level. */
struct path {
    uint64_t *entry[ROOT_LEVEL + 1];
};

status_t page_flags_from_raw(uint64_t raw, page_flags_t *out)
{
    if ((raw & ~all_flags) != 0) {
        return STATUS_ERR_UNKNOWN_BITS;
    }
    *out = PAGE_FLAGS(raw);
    return STATUS_OK;
}

const char *page_flag_name(unsigned bit)
{
    return bit < 64 ? flag_names[bit] : NULL;
}

page_flags_t cache_policy_flags(enum cache_policy policy)
{
    uint64_t bits = ((unsigned)policy & 1 ? PAGE_WRITE_THROUGH : 0) |
                    ((unsigned)policy & 2 ? PAGE_CACHE_DISABLE : 0) | ((unsigned)policy & 4 ? PAGE_PAT : 0);
    return PAGE_FLAGS(bits);
}

/* ---- entries ---- */

static uint64_t encode_leaf(paddr_t pa, enum page_size size, page_flags_t flags)
{
    uint64_t bits = (flags.bits & ~(PAGE_PAT | PAGE_HUGE | PAGE_PRESENT)) | pa.number;
    if ((flags.bits & PAGE_NO_ACCESS) == 0) {
        bits |= PAGE_PRESENT;
    }
    if ((flags.bits & PAGE_PAT) != 0) {
        bits |= size == PAGE_2M ? PAT_BIT_2M : PAT_BIT_4K;
    }
    return size == PAGE_2M ? bits | PAGE_HUGE : bits;
}

static struct pt_leaf decode_leaf(uint64_t entry, enum page_size size)
{
    uint64_t pat = size == PAGE_2M ? PAT_BIT_2M : PAT_BIT_4K;
    uint64_t flags = entry & all_flags & ~(PAGE_HUGE | PAGE_PAT);
    flags |= (entry & pat) != 0 ? PAGE_PAT : 0;
    uint64_t offset_mask = page_size_bytes(size) - 1;
    return (struct pt_leaf){paddr_make(entry & ADDRESS_MASK & ~offset_mask), size, PAGE_FLAGS(flags)};
}

/* An unused entry is 0; in use but not present is only a leaf of the lowest level (PAGE_NO_ACCESS). */
static bool is_leaf(uint64_t entry, unsigned level)
{
    return level == 1 ? entry != 0 : (entry & PAGE_PRESENT) != 0 && (entry & PAGE_HUGE) != 0;
}

static uint64_t *table_at(paddr_t table)
{
    return arch_phys_to_virt(table);
}

static uint64_t *slot(paddr_t table, unsigned level, vaddr_t va)
{
    return &table_at(table)[(va.number >> (PAGE_SHIFT + 9 * (level - 1))) & (ENTRIES - 1)];
}

static paddr_t lower_table(uint64_t entry)
{
    return paddr_make(entry & ADDRESS_MASK);
}

/* Changes the live count of the table of a level, which entry[level + 1] points to. The root is not counted.
 */
static void add_live(const struct path *path, unsigned level, int change)
{
    if (level == ROOT_LEVEL) {
        return;
    }
    uint64_t *parent = path->entry[level + 1];
    uint64_t old = arch_pt_load(parent);
    while (!arch_pt_cmpxchg(parent, &old, old + ((uint64_t)(int64_t)change << LIVE_SHIFT))) {
    }
}

/* Frees empty tables upwards from the one of `level`. Level-3 tables of a kernel page table stay. */
static void prune(struct page_table *pt, const struct path *path, unsigned level, struct tlb_gather *gather)
{
    for (; level < (pt->kernel ? ROOT_LEVEL - 1 : ROOT_LEVEL); level++) {
        uint64_t parent = arch_pt_load(path->entry[level + 1]);
        if ((parent & LIVE_MASK) != 0) {
            return;
        }
        arch_pt_store(path->entry[level + 1], 0);
        add_live(path, level + 1, -1);
        pt->tables--;
        if (gather) {
            tlb_gather_table(gather, lower_table(parent));
        } else {
            pt->allocator->free(pt->allocator->context, lower_table(parent));
        }
    }
}

/* Takes `count` tables from the allocator, or none. */
static status_t take_tables(const struct page_table *pt, unsigned count, paddr_t *tables)
{
    bool many = count > 1 && pt->allocator->some != NULL;
    unsigned i = many ? pt->allocator->some(pt->allocator->context, count, tables) : 0;
    for (; i < count; i++) {
        status_t status = pt->allocator->alloc(pt->allocator->context, &tables[i]);
        if (status != STATUS_OK) {
            while (i > 0) {
                pt->allocator->free(pt->allocator->context, tables[--i]);
            }
            return status;
        }
    }
    return STATUS_OK;
}

/*
 * Fills path down to `level`, making tables. All of them are there before the first one is linked: a table that a walk
 * may have seen is never taken back.
 */
static status_t descend(struct page_table *pt, vaddr_t va, unsigned level, struct path *path)
{
    paddr_t table = pt->root;
    paddr_t fresh[ROOT_LEVEL];
    unsigned at = ROOT_LEVEL;
    for (; at > level; at--) {
        path->entry[at] = slot(table, at, va);
        uint64_t entry = arch_pt_load(path->entry[at]);
        if (is_leaf(entry, at)) {
            return STATUS_ERR_EXISTS;
        }
        if ((entry & PAGE_PRESENT) == 0) {
            break;
        }
        table = lower_table(entry);
    }
    unsigned last = at;
    status_t status = take_tables(pt, at - level, fresh);
    for (; status == STATUS_OK && at > level; at--) {
        table = fresh[at - level - 1];
        uint64_t live =
            at - 1 > level ? 1ull << LIVE_SHIFT : 0; /* the next one of these; the lowest is empty */
        arch_pt_store(path->entry[at],
                      table.number | PAGE_PRESENT | PAGE_WRITABLE | (pt->kernel ? 0 : PAGE_USER) | live);
        pt->tables++;
        path->entry[at - 1] = slot(table, at - 1, va);
    }
    if (status == STATUS_OK && last > level) {
        add_live(path, last, 1);
    }
    path->entry[level] = slot(table, level, va);
    return status;
}

/* Fills path to the leaf of va and returns its level, 0 when there is none. */
static unsigned find_leaf(const struct page_table *pt, vaddr_t va, struct path *path)
{
    paddr_t table = pt->root;
    for (unsigned level = ROOT_LEVEL; level > 0; level--) {
        path->entry[level] = slot(table, level, va);
        uint64_t entry = arch_pt_load(path->entry[level]);
        if (entry == 0) {
            return 0;
        }
        if (is_leaf(entry, level)) {
            return level;
        }
        table = lower_table(entry);
    }
    return 0;
}

/* ---- making and ending ---- */

static status_t frame_table_alloc(void *context, paddr_t *table)
{
    pfn_t pfn;
    status_t status =
        frame_cache_alloc(FRAME_CACHE_PAGE_TABLE, 1, FRAME_ZERO, (uint32_t)(uintptr_t)context, &pfn);
    *table = paddr_from_pfn(pfn);
    return status;
}

static unsigned frame_table_some(void *context, unsigned n, paddr_t *tables)
{
    pfn_t frames[ROOT_LEVEL];
    unsigned got =
        frame_cache_alloc_some(FRAME_CACHE_PAGE_TABLE, n, FRAME_ZERO, (uint32_t)(uintptr_t)context, frames);
    for (unsigned i = 0; i < got; i++) {
        tables[i] = paddr_from_pfn(frames[i]);
    }
    return got;
}

static void frame_table_free_some(void *context, unsigned n, const paddr_t *tables)
{
    (void)context;
    unsigned given = frame_cache_free_zeroed(FRAME_CACHE_PAGE_TABLE, n, tables);
    if (given != n) {
        panic("page table at 0x%llx could not be freed", (unsigned long long)tables[given].number);
    }
}

static void frame_table_free(void *context, paddr_t table)
{
    frame_table_free_some(context, 1, &table);
}

const struct pt_allocator pt_frame_allocator = {
    .alloc = frame_table_alloc,
    .free = frame_table_free,
    .some = frame_table_some,
    .free_some = frame_table_free_some,
};

static status_t make_root(struct page_table *pt, const struct pt_allocator *allocator)
{
    *pt = (struct page_table){.allocator = allocator};
    status_t status = allocator->alloc(allocator->context, &pt->root);
    pt->tables = status == STATUS_OK ? 1 : 0;
    return status;
}

status_t pt_init_kernel(struct page_table *pt, const struct pt_allocator *allocator)
{
    status_t status = make_root(pt, allocator);
    pt->kernel = true;
    for (unsigned i = ENTRIES / 2; i < ENTRIES && status == STATUS_OK; i++) {
        paddr_t table;
        status = allocator->alloc(allocator->context, &table);
        if (status == STATUS_OK) {
            arch_pt_store(&table_at(pt->root)[i], table.number | PAGE_PRESENT | PAGE_WRITABLE);
            pt->tables++;
        }
    }
    return status;
}

status_t pt_init_user(struct page_table *pt, const struct pt_allocator *allocator,
                      const struct page_table *kernel)
{
    status_t status = make_root(pt, allocator);
    if (status == STATUS_OK && kernel) { /* no CPU uses the one, and nothing changes the other */
        memcpy(&table_at(pt->root)[ENTRIES / 2], &table_at(kernel->root)[ENTRIES / 2], PAGE_SIZE / 2);
    }
    return status;
}

void pt_deinit(struct page_table *pt)
{
    if (pt->kernel || pt->leaves_4k != 0 || pt->leaves_2m != 0 || pt->tables != 1) {
        panic("page table ended with %llu tables, %llu and %llu leaves", (unsigned long long)pt->tables,
              (unsigned long long)pt->leaves_4k, (unsigned long long)pt->leaves_2m);
    }
    memset(&table_at(pt->root)[ENTRIES / 2], 0, PAGE_SIZE / 2);
    pt->allocator->free(pt->allocator->context, pt->root);
    pt->tables = 0;
}

/* ---- changes ---- */

static status_t check_flags(page_flags_t flags, enum page_size size)
{
    if ((flags.bits & ~(all_flags & ~PAGE_HUGE)) != 0 ||
        (size != PAGE_4K && (flags.bits & PAGE_NO_ACCESS) != 0)) {
        return STATUS_ERR_UNKNOWN_BITS;
    }
    if ((flags.bits & PAGE_WRITABLE) != 0 && page_flags_executable(flags)) {
        return STATUS_ERR_WRITE_EXECUTE;
    }
    bool both = page_flags_contain(flags, PAGE_FLAGS(PAGE_WRITABLE | PAGE_COPY_ON_WRITE));
    return both ? STATUS_ERR_ARGUMENT : STATUS_OK;
}

static status_t check_address(const struct page_table *pt, vaddr_t va)
{
    if (!vaddr_canonical(va)) {
        return STATUS_ERR_NON_CANONICAL;
    }
    return (va.number >> 63 != 0) == pt->kernel ? STATUS_OK : STATUS_ERR_BAD_ADDRESS;
}

static void count_leaf(struct page_table *pt, unsigned level, int change)
{
    *(level == 2 ? &pt->leaves_2m : &pt->leaves_4k) += (uint64_t)(int64_t)change;
}

status_t pt_map(struct page_table *pt, vaddr_t va, paddr_t pa, enum page_size size, page_flags_t flags)
{
    uint64_t bytes = page_size_bytes(size);
    status_t status = check_address(pt, va);
    if (status == STATUS_OK && (!vaddr_aligned(va, bytes) || !paddr_aligned(pa, bytes))) {
        status = STATUS_ERR_UNALIGNED;
    }
    if (status == STATUS_OK && (pa.number & ~ADDRESS_MASK) != 0) {
        status = STATUS_ERR_BAD_ADDRESS;
    }
    if (status == STATUS_OK) {
        status = check_flags(flags, size);
    }
    struct path path;
    unsigned level = size == PAGE_2M ? 2 : 1;
    if (status == STATUS_OK) {
        status = descend(pt, va, level, &path);
    }
    if (status != STATUS_OK) {
        return status;
    }
    if (arch_pt_load(path.entry[level]) != 0) {
        return STATUS_ERR_EXISTS; /* a leaf, or for 2 MiB a table of small pages: never empty, so nothing to
                                     undo */
    }
    arch_pt_store(path.entry[level], encode_leaf(pa, size, flags));
    add_live(&path, level, 1);
    count_leaf(pt, level, 1);
    return STATUS_OK;
}

unsigned pt_absent(const struct page_table *pt, vaddr_t va, unsigned most)
{
    unsigned first = (unsigned)(va.number >> PAGE_SHIFT) & (ENTRIES - 1);
    unsigned limit = most < ENTRIES - first ? most : ENTRIES - first;
    paddr_t table = pt->root;
    for (unsigned level = ROOT_LEVEL; level > 1; level--) {
        uint64_t entry = arch_pt_load(slot(table, level, va));
        if (is_leaf(entry, level)) {
            return 0;
        }
        if ((entry & PAGE_PRESENT) == 0) {
            return limit;
        }
        table = lower_table(entry);
    }
    const uint64_t *entries = slot(table, 1, va);
    unsigned absent = 0;
    while (absent < limit && arch_pt_load(&entries[absent]) == 0) {
        absent++;
    }
    return absent;
}

status_t pt_map_frames(struct page_table *pt, vaddr_t va, const pfn_t *frames, unsigned count,
                       page_flags_t flags)
{
    struct path path;
    status_t status = check_address(pt, va);
    if (status == STATUS_OK && !vaddr_aligned(va, PAGE_SIZE)) {
        status = STATUS_ERR_UNALIGNED;
    }
    if (status == STATUS_OK && pt_absent(pt, va, count) != count) {
        status = STATUS_ERR_EXISTS;
    }
    if (status == STATUS_OK) {
        status = check_flags(flags, PAGE_4K);
    }
    if (status == STATUS_OK) {
        status = descend(pt, va, 1, &path);
    }
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t bits = encode_leaf(paddr_make(0), PAGE_4K, flags);
    for (unsigned i = 0; i < count; i++) {
        arch_pt_store(&path.entry[1][i], bits | frames[i] << PAGE_SHIFT);
    }
    add_live(&path, 1, (int)count);
    count_leaf(pt, 1, (int)count);
    return STATUS_OK;
}

status_t pt_map_range(struct page_table *pt, vaddr_t va, paddr_t pa, uint64_t bytes, page_flags_t flags,
                      bool huge)
{
    if ((bytes & PAGE_MASK) != 0) {
        return STATUS_ERR_UNALIGNED;
    }
    if (bytes > (1ull << 47) || va.number + (bytes - 1) < va.number) {
        return STATUS_ERR_RANGE;
    }
    status_t status = STATUS_OK;
    uint64_t done = 0;
    while (done < bytes && status == STATUS_OK) {
        bool big = huge && vaddr_aligned(vaddr_add(va, done), HUGE_PAGE_SIZE) &&
                   paddr_aligned(paddr_add(pa, done), HUGE_PAGE_SIZE) && bytes - done >= HUGE_PAGE_SIZE;
        enum page_size size = big ? PAGE_2M : PAGE_4K;
        status = pt_map(pt, vaddr_add(va, done), paddr_add(pa, done), size, flags);
        done += status == STATUS_OK ? page_size_bytes(size) : 0;
    }
    return status;
}

/* Leaf that starts at va, for changing. */
static status_t find_for_change(const struct page_table *pt, vaddr_t va, struct path *path, unsigned *level)
{
    status_t status = check_address(pt, va);
    if (status != STATUS_OK) {
        return status;
    }
    *level = find_leaf(pt, va, path);
    if (*level == 0) {
        return STATUS_ERR_NOT_MAPPED;
    }
    return vaddr_aligned(va, *level == 2 ? HUGE_PAGE_SIZE : PAGE_SIZE) ? STATUS_OK : STATUS_ERR_UNALIGNED;
}

/* Swaps an entry, returning what the hardware last left in it. */
static uint64_t exchange(uint64_t *entry, uint64_t value, uint64_t keep)
{
    uint64_t old = arch_pt_load(entry);
    while (!arch_pt_cmpxchg(entry, &old, value | (old & keep))) {
    }
    return old;
}

status_t pt_unmap(struct page_table *pt, vaddr_t va, struct tlb_gather *gather, struct pt_leaf *old)
{
    struct path path;
    unsigned level;
    status_t status = find_for_change(pt, va, &path, &level);
    if (status != STATUS_OK) {
        return status;
    }
    uint64_t entry = exchange(path.entry[level], 0, 0);
    add_live(&path, level, -1);
    count_leaf(pt, level, -1);
    if (gather) {
        tlb_gather_page(gather, va);
    }
    if (old) {
        *old = decode_leaf(entry, level == 2 ? PAGE_2M : PAGE_4K);
    }
    prune(pt, &path, level, gather);
    return STATUS_OK;
}

/* The table of level 1 that va lies in, with its path, null when there is none: *va goes on behind what is missing. */
static uint64_t *leaf_table(const struct page_table *pt, uint64_t *va, struct path *path)
{
    paddr_t table = pt->root;
    for (unsigned level = ROOT_LEVEL; level > 1; level--) {
        path->entry[level] = slot(table, level, vaddr_make(*va));
        uint64_t entry = arch_pt_load(path->entry[level]);
        if ((entry & PAGE_PRESENT) == 0) {
            uint64_t span = 1ull << (PAGE_SHIFT + 9 * (level - 1));
            *va = align_down(*va, span) + span;
            return NULL;
        }
        if (is_leaf(entry, level)) {
            panic("page table: a huge page at 0x%llx", (unsigned long long)*va);
        }
        table = lower_table(entry);
    }
    return table_at(table);
}

unsigned pt_take(struct page_table *pt, uint64_t *va, uint64_t end, unsigned most, struct tlb_gather *gather,
                 struct pt_taken *out)
{
    struct path path;
    uint64_t *entries = leaf_table(pt, va, &path);
    if (entries == NULL) {
        *va = *va < end ? *va : end;
        return 0;
    }
    unsigned first = (unsigned)(*va >> PAGE_SHIFT) & (ENTRIES - 1);
    uint64_t room = (end - *va) >> PAGE_SHIFT;
    unsigned last = room < ENTRIES - first ? first + (unsigned)room : ENTRIES;
    uint64_t base = *va - ((uint64_t)first << PAGE_SHIFT);
    unsigned taken = 0;
    unsigned i = first;
    for (; i < last && taken < most; i++) {
        if (arch_pt_load(&entries[i]) != 0) {
            struct pt_leaf leaf = decode_leaf(exchange(&entries[i], 0, 0), PAGE_4K);
            out[taken++] = (struct pt_taken){paddr_pfn(leaf.address), leaf.flags};
            tlb_gather_page(gather, vaddr_make(base + ((uint64_t)i << PAGE_SHIFT)));
        }
    }
    *va = base + ((uint64_t)i << PAGE_SHIFT);
    if (taken != 0) {
        path.entry[1] = entries;
        add_live(&path, 1, -(int)taken);
        count_leaf(pt, 1, -(int)taken);
        prune(pt, &path, 1, gather);
    }
    return taken;
}

status_t pt_protect(struct page_table *pt, vaddr_t va, page_flags_t flags, struct tlb_gather *gather)
{
    struct path path;
    unsigned level = 0;
    status_t status = find_for_change(pt, va, &path, &level);
    enum page_size size = level == 2 ? PAGE_2M : PAGE_4K;
    if (status == STATUS_OK) {
        status = check_flags(flags, size);
    }
    if (status != STATUS_OK) {
        return status;
    }
    paddr_t address = decode_leaf(arch_pt_load(path.entry[level]), size).address;
    exchange(path.entry[level], encode_leaf(address, size, flags), PAGE_ACCESSED | PAGE_DIRTY);
    if (gather) {
        tlb_gather_page(gather, va);
    }
    return STATUS_OK;
}

unsigned pt_run(const struct page_table *pt, uint64_t *va, uint64_t end, unsigned most, pfn_t *frames,
                page_flags_t *flags)
{
    const uint64_t marks = PAGE_ACCESSED | PAGE_DIRTY;
    while (*va < end) {
        struct path path;
        const uint64_t *entries = leaf_table(pt, va, &path);
        if (entries == NULL) {
            continue;
        }
        unsigned i = (unsigned)(*va >> PAGE_SHIFT) & (ENTRIES - 1);
        uint64_t base = *va - ((uint64_t)i << PAGE_SHIFT);
        uint64_t room = (end - base) >> PAGE_SHIFT;
        unsigned last = room < ENTRIES ? (unsigned)room : ENTRIES;
        while (i < last && arch_pt_load(&entries[i]) == 0) {
            i++;
        }
        *va = base + ((uint64_t)i << PAGE_SHIFT);
        if (i == last) {
            continue;
        }
        uint64_t first = arch_pt_load(&entries[i]);
        unsigned count = 0;
        for (; i < last && count < most; i++) {
            uint64_t entry = arch_pt_load(&entries[i]);
            if (((entry ^ first) & ~(ADDRESS_MASK | marks)) != 0) {
                break;
            }
            frames[count++] = (entry & ADDRESS_MASK) >> PAGE_SHIFT;
        }
        *flags = PAGE_FLAGS(decode_leaf(first, PAGE_4K).flags.bits & ~marks);
        return count;
    }
    *va = end;
    return 0;
}

status_t pt_protect_run(struct page_table *pt, vaddr_t va, unsigned count, page_flags_t flags,
                        struct tlb_gather *gather)
{
    struct path path;
    uint64_t at = va.number;
    status_t status = check_flags(flags, PAGE_4K);
    uint64_t *entries = status == STATUS_OK ? leaf_table(pt, &at, &path) : NULL;
    if (entries == NULL) {
        return status != STATUS_OK ? status : STATUS_ERR_NOT_MAPPED;
    }
    uint64_t *entry = slot(lower_table(arch_pt_load(path.entry[2])), 1, va);
    uint64_t bits = encode_leaf(paddr_make(0), PAGE_4K, flags);
    for (unsigned i = 0; i < count; i++) {
        uint64_t address = arch_pt_load(&entry[i]) & ADDRESS_MASK;
        exchange(&entry[i], bits | address, PAGE_ACCESSED | PAGE_DIRTY);
        tlb_gather_page(gather, vaddr_add(va, (uint64_t)i << PAGE_SHIFT));
    }
    return STATUS_OK;
}

status_t pt_replace(struct page_table *pt, vaddr_t va, paddr_t pa, page_flags_t flags,
                    struct tlb_gather *gather)
{
    struct path path;
    unsigned level;
    status_t status = find_for_change(pt, va, &path, &level);
    if (status == STATUS_OK && (level != 1 || !paddr_aligned(pa, PAGE_SIZE))) {
        status = STATUS_ERR_UNALIGNED;
    }
    if (status == STATUS_OK && (pa.number & ~ADDRESS_MASK) != 0) {
        status = STATUS_ERR_BAD_ADDRESS;
    }
    if (status == STATUS_OK) {
        status = check_flags(flags, PAGE_4K);
    }
    if (status != STATUS_OK) {
        return status;
    }
    exchange(path.entry[level], encode_leaf(pa, PAGE_4K, flags), 0);
    if (gather) {
        tlb_gather_page(gather, va);
    }
    return STATUS_OK;
}

/* ---- questions ---- */

status_t pt_query(const struct page_table *pt, vaddr_t va, struct pt_leaf *out)
{
    if (!vaddr_canonical(va)) {
        return STATUS_ERR_NON_CANONICAL;
    }
    struct path path;
    unsigned level = find_leaf(pt, va, &path);
    if (level == 0) {
        return STATUS_ERR_NOT_MAPPED;
    }
    *out = decode_leaf(arch_pt_load(path.entry[level]), level == 2 ? PAGE_2M : PAGE_4K);
    return STATUS_OK;
}

status_t pt_translate(const struct page_table *pt, vaddr_t va, paddr_t *out)
{
    struct pt_leaf leaf;
    status_t status = pt_query(pt, va, &leaf);
    if (status == STATUS_OK) {
        *out = paddr_add(leaf.address, va.number & (page_size_bytes(leaf.size) - 1));
    }
    return status;
}

struct walk {
    uint64_t start;
    uint64_t last; /* inclusive */
    status_t (*visit)(void *context, vaddr_t va, const struct pt_leaf *leaf);
    void *context;
};

static status_t walk_table(const struct walk *walk, paddr_t table, unsigned level, uint64_t base)
{
    unsigned shift = PAGE_SHIFT + 9 * (level - 1);
    uint64_t span = 1ull << shift;
    uint64_t first = walk->start > base ? (walk->start - base) >> shift : 0;
    for (uint64_t i = first; i < ENTRIES; i++) {
        uint64_t va = base + i * span;
        if (va > walk->last) {
            break;
        }
        uint64_t entry = arch_pt_load(&table_at(table)[i]);
        status_t status = STATUS_OK;
        if (is_leaf(entry, level)) {
            struct pt_leaf leaf = decode_leaf(entry, level == 2 ? PAGE_2M : PAGE_4K);
            status = walk->visit(walk->context, vaddr_make(va), &leaf);
        } else if ((entry & PAGE_PRESENT) != 0) {
            status = walk_table(walk, lower_table(entry), level - 1, va);
        }
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

status_t pt_walk(const struct page_table *pt, vaddr_t start, vaddr_t end,
                 status_t (*visit)(void *context, vaddr_t va, const struct pt_leaf *leaf), void *context)
{
    if (start.number >= end.number) {
        return STATUS_OK;
    }
    struct walk walk = {start.number, end.number - 1, visit, context};
    if ((start.number >> 63) == 0) {
        return walk_table(&walk, pt->root, ROOT_LEVEL, 0);
    }
    /* The upper half: root slots 256 and up, whose addresses are sign-extended. */
    status_t status = STATUS_OK;
    for (uint64_t i = (start.number >> 39) & (ENTRIES - 1); i < ENTRIES && status == STATUS_OK; i++) {
        uint64_t va = 0xffff000000000000ull | (i << 39);
        uint64_t entry = arch_pt_load(&table_at(pt->root)[i]);
        if (va <= walk.last && (entry & PAGE_PRESENT) != 0) {
            status = walk_table(&walk, lower_table(entry), ROOT_LEVEL - 1, va);
        }
    }
    return status;
}

/* Tables below and including this one; its used entries in *used. */
static uint64_t count_tables(paddr_t table, unsigned level, unsigned first, unsigned end, uint64_t *used,
                             uint64_t *wrong)
{
    uint64_t total = 1;
    *used = 0;
    for (unsigned i = first; i < end; i++) {
        uint64_t entry = arch_pt_load(&table_at(table)[i]);
        *used += entry != 0 ? 1 : 0;
        if (entry != 0 && !is_leaf(entry, level)) {
            uint64_t below;
            total += count_tables(lower_table(entry), level - 1, 0, ENTRIES, &below, wrong);
            bool kept = level == ROOT_LEVEL && first != 0;
            *wrong += below != (entry & LIVE_MASK) >> LIVE_SHIFT || (below == 0 && !kept) ? 1 : 0;
        }
    }
    return total;
}

uint64_t pt_count_tables(const struct page_table *pt, uint64_t *wrong)
{
    uint64_t used;
    *wrong = 0;
    return count_tables(pt->root, ROOT_LEVEL, pt->kernel ? ENTRIES / 2 : 0,
                        pt->kernel ? ENTRIES : ENTRIES / 2, &used, wrong);
}
