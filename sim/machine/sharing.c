/* Bytes of lines by who touched them last. */

#include "machine/sharing.h"

#include "base/alloc.h"
#include "base/types.h"
#include "machine/machine.h"

#define LINE_BYTES     64u
#define LINES_PER_PAGE (PAGE_SIZE_BYTES / LINE_BYTES)

/* What others have done to a line, as bits of its bytes. */
struct since {
    uint64_t written; /* since this vCPU accessed it last */
    uint64_t touched; /* since it stored to it last */
    bool had;         /* it has accessed it before */
};

/* LINES_PER_PAGE times cpus, or NULL: never accessed. */
struct page {
    struct since *lines;
};

struct sharing {
    unsigned cpus;
    struct page *pages; /* by page of RAM */
    uint64_t page_count;
    uint64_t counts[SIM_CPUS_MAX];
};

struct sharing *sharing_create(unsigned cpus)
{
    struct sharing *h = alloc_zeroed(1, sizeof *h);
    h->cpus = cpus;
    return h;
}

void sharing_destroy(struct sharing *h)
{
    if (h == NULL) {
        return;
    }
    for (uint64_t i = 0; i < h->page_count; i++) {
        free(h->pages[i].lines);
    }
    free(h->pages);
    free(h);
}

/* What is known of a line: an element for each vCPU. */
static struct since *line_of(struct sharing *h, uint64_t at)
{
    uint64_t page = at >> PAGE_SHIFT;
    if (page >= h->page_count) {
        uint64_t count = page + page / 2 + 64;
        struct page *pages = alloc_zeroed(count, sizeof *pages);
        for (uint64_t i = 0; i < h->page_count; i++) {
            pages[i] = h->pages[i];
        }
        free(h->pages);
        h->pages = pages;
        h->page_count = count;
    }
    struct page *p = &h->pages[page];
    if (p->lines == NULL) {
        p->lines = alloc_zeroed((size_t)LINES_PER_PAGE * h->cpus, sizeof *p->lines);
    }
    return p->lines + (at / LINE_BYTES % LINES_PER_PAGE) * h->cpus;
}

static void note_line(struct sharing *h, unsigned cpu, uint64_t at, unsigned size_bytes, bool store)
{
    uint64_t bytes = (size_bytes >= 64 ? ~UINT64_C(0) : BIT(size_bytes) - 1) << at % LINE_BYTES;
    struct since *line = line_of(h, at), *own = &line[cpu];
    uint64_t theirs = store ? own->touched : own->written;
    h->counts[cpu] += own->had && theirs != 0 && (theirs & bytes) == 0;
    own->had = true;
    own->written = 0;
    own->touched = store ? 0 : own->touched;
    for (unsigned i = 0; i < h->cpus; i++) {
        if (i != cpu) {
            line[i].touched |= bytes;
            line[i].written |= store ? bytes : 0;
        }
    }
}

void sharing_note(struct sharing *h, unsigned cpu, uint64_t at, unsigned size_bytes, bool store)
{
    while (size_bytes != 0) {
        unsigned room = LINE_BYTES - (unsigned)(at % LINE_BYTES);
        unsigned here = size_bytes < room ? size_bytes : room;
        note_line(h, cpu, at, here, store);
        at += here;
        size_bytes -= here;
    }
}

uint64_t sharing_count(const struct sharing *h, unsigned cpu)
{
    return h->counts[cpu];
}

/* ---- of a machine ---- */

static void on_record(void *target, const struct timing_record *r)
{
    for (unsigned i = 0; i < r->access_count; i++) {
        const struct timing_access *a = &r->accesses[i];
        if (a->kind == TIMING_LOAD || a->kind == TIMING_STORE) {
            sharing_note(target, r->cpu, a->at, a->size_bytes, a->kind == TIMING_STORE);
        }
    }
}

bool sim_count_sharing(struct sim *s, struct error *e)
{
    if (s->model == NULL) {
        return error_set(e, "false sharing is counted on machines with a timing model only");
    }
    if (s->sharing == NULL) {
        s->sharing = sharing_create(s->config.cpus);
        sim_watch_steps(s, on_record, s->sharing);
    }
    return true;
}

bool sim_counts(const struct sim *s, enum sim_counter c)
{
    return c != COUNTER_FALSE_SHARING || s->sharing != NULL;
}
