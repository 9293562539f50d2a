/*
 * A version is a tree of three levels with 512 entries a node, as a page table is: pages hang on its leaves, one that is zero
 * is NULL. Whatever versions have in common has several owners and is never changed. A new version begins as the one that
 * RAM was last equal to and gets what was written since; two versions differ only where their nodes are not the same.
 */

#include "core/ram_version.h"

#include "base/alloc.h"

#define FANOUT      512u
#define FANOUT_BITS 9u
#define TOP         2u /* level of the topmost nodes: 512^3 pages of 4 KiB are 512 GiB */

struct page {
    uint64_t owners;
    uint8_t bytes[PAGE_SIZE_BYTES];
};

/* Nodes, or at level 0 pages; NULL: nothing but zeros. */
struct node {
    uint64_t owners;
    union child {
        struct node *node;
        struct page *page;
    } child[FANOUT];
};

/* Of all versions of a RAM, which they may outlive. */
struct ram_history {
    uint64_t owners; /* the versions */
    uint64_t bytes;
};

struct ram_version {
    uint64_t owners; /* who took it, and the RAM whose base it is */
    struct node *top;
    struct ram_history *history;
};

/* ---- owners ---- */

static void *own(struct ram_history *h, size_t size)
{
    h->bytes += size;
    return alloc_zeroed(1, size);
}

static void disown(struct ram_history *h, void *p, size_t size)
{
    h->bytes -= size;
    free(p);
}

static void page_release(struct ram_history *h, struct page *p)
{
    if (p && --p->owners == 0) {
        disown(h, p, sizeof *p);
    }
}

static void node_release(struct ram_history *h, struct node *n, unsigned level)
{
    if (!n || --n->owners > 0) {
        return;
    }
    for (unsigned i = 0; i < FANOUT; i++) {
        if (level > 0) {
            node_release(h, n->child[i].node, level - 1);
        } else {
            page_release(h, n->child[i].page);
        }
    }
    disown(h, n, sizeof *n);
}

static void child_share(union child c, unsigned level)
{
    if (level > 0 && c.node) {
        c.node->owners++;
    } else if (level == 0 && c.page) {
        c.page->owners++;
    }
}

/* The node, or a copy of it, with one owner, who may change it. */
static struct node *node_own(struct ram_history *h, struct node *n, unsigned level)
{
    if (n && n->owners == 1) {
        return n;
    }
    struct node *copy = own(h, sizeof *copy);
    copy->owners = 1;
    for (unsigned i = 0; n && i < FANOUT; i++) {
        copy->child[i] = n->child[i];
        child_share(copy->child[i], level);
    }
    node_release(h, n, level);
    return copy;
}

void ram_version_free(struct ram_version *v)
{
    if (!v || --v->owners > 0) {
        return;
    }
    struct ram_history *h = v->history;
    node_release(h, v->top, TOP);
    disown(h, v, sizeof *v);
    if (--h->owners == 0) {
        free(h);
    }
}

uint64_t ram_versions_bytes(const struct ram *r)
{
    return r->base_version ? r->base_version->history->bytes : 0;
}

/* ---- taking ---- */

static unsigned index_at(uint64_t page, unsigned level)
{
    return (unsigned)(page >> (FANOUT_BITS * level)) % FANOUT;
}

/* The leaf's entry of a page, all nodes above it the tree's own. */
static struct page **place_of(struct ram_version *v, uint64_t page)
{
    struct node **n = &v->top;
    for (unsigned level = TOP; level > 0; level--) {
        *n = node_own(v->history, *n, level);
        n = &(*n)->child[index_at(page, level)].node;
    }
    *n = node_own(v->history, *n, 0);
    return &(*n)->child[index_at(page, 0)].page;
}

static struct page *page_copy(struct ram_history *h, const uint8_t *bytes)
{
    if (ram_page_is_zero(bytes)) {
        return NULL;
    }
    struct page *p = own(h, sizeof *p);
    p->owners = 1;
    memcpy(p->bytes, bytes, PAGE_SIZE_BYTES);
    return p;
}

static void set_base(struct ram *r, struct ram_version *v)
{
    v->owners++;
    ram_version_free(r->base_version);
    r->base_version = v;
}

/* One more, equal to the base. */
static struct ram_version *version_new(const struct ram_version *base)
{
    struct ram_history *h = base ? base->history : alloc_zeroed(1, sizeof *h);
    struct ram_version *v = own(h, sizeof *v);
    *v = (struct ram_version){.owners = 1, .top = base ? base->top : NULL, .history = h};
    h->owners++;
    if (v->top) {
        v->top->owners++;
    }
    return v;
}

struct ram_version *ram_version_take(struct ram *r)
{
    struct ram_version *v = version_new(r->base_version);
    uint64_t count;
    const uint64_t *written = ram_written(r, &count);
    for (uint64_t i = 0; i < count; i++) {
        struct page **place = place_of(v, written[i]);
        page_release(v->history, *place);
        *place = page_copy(v->history, ram_at(r, phys(written[i] << PAGE_SHIFT)));
    }
    ram_forget_written(r);
    set_base(r, v);
    return v;
}

/* ---- putting back ---- */

struct put {
    struct ram *ram;
    ram_page_fn *changes;
    void *target;
};

static void put_page(const struct put *p, uint64_t number, const struct page *page)
{
    phys_t at = phys(number << PAGE_SHIFT);
    const uint8_t *now = ram_at(p->ram, at);
    if (page ? memcmp(now, page->bytes, PAGE_SIZE_BYTES) == 0 : ram_page_is_zero(now)) {
        return;
    }
    if (p->changes) {
        p->changes(p->target, at);
    }
    ram_note_write(p->ram, at);
    if (page) {
        memcpy(ram_at(p->ram, at), page->bytes, PAGE_SIZE_BYTES);
    } else {
        memset(ram_at(p->ram, at), 0, PAGE_SIZE_BYTES);
    }
}

/* Puts the pages of `to`, of which the first has this number, that are not those of `from`. */
static void put_differences(const struct put *p, const struct node *from, const struct node *to,
                            unsigned level, uint64_t first)
{
    for (unsigned i = 0; from != to && i < FANOUT; i++) {
        union child none = {NULL}, a = from ? from->child[i] : none, b = to ? to->child[i] : none;
        uint64_t number = first + ((uint64_t)i << (FANOUT_BITS * level));
        if (level > 0) {
            put_differences(p, a.node, b.node, level - 1, number);
        } else if (a.page != b.page) {
            put_page(p, number, b.page);
        }
    }
}

static const struct page *page_of(const struct ram_version *v, uint64_t number)
{
    const struct node *n = v->top;
    for (unsigned level = TOP; n && level > 0; level--) {
        n = n->child[index_at(number, level)].node;
    }
    return n ? n->child[index_at(number, 0)].page : NULL;
}

void ram_version_put(struct ram *r, struct ram_version *v, ram_page_fn *changes, void *target)
{
    const struct put p = {r, changes, target};
    const struct ram_version *base = r->base_version;
    uint64_t count;
    const uint64_t *written = ram_written(r, &count);
    for (uint64_t i = 0; i < count; i++) {
        put_page(&p, written[i], page_of(v, written[i]));
    }
    put_differences(&p, base ? base->top : NULL, v->top, TOP, 0);
    ram_forget_written(r);
    set_base(r, v);
}
