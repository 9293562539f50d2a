/* Which of the watched ranges an access meets. */

#include "cpu/access_watch.h"

static bool meets(const struct access_watch *e, uint64_t first, uint64_t size_bytes)
{
    return first - e->first.v < e->size_bytes || e->first.v - first < size_bytes;
}

bool access_watched_in_page(const struct access_watches *w, uint64_t lin_page)
{
    for (unsigned i = 0; i < w->count; i++) {
        if (w->entries[i].size_bytes && meets(&w->entries[i], lin_page, PAGE_SIZE_BYTES)) {
            return true;
        }
    }
    return false;
}

void access_watches_note(const struct access_watches *w, unsigned cpu, lin_t a, unsigned size_bytes,
                         bool write)
{
    for (unsigned i = 0; i < w->count; i++) {
        const struct access_watch *e = &w->entries[i];
        if ((write ? e->writes : e->reads) && e->size_bytes && meets(e, a.v, size_bytes)) {
            w->fn(w->target, i, cpu, write);
        }
    }
}
