/* Steps of the start-up that cannot fail without ending it. */
#include "must.h"

#include "mm/boot_alloc.h"
#include "mm/frame.h"
#include "panic.h"

static _Noreturn void out_of_memory(const char *what)
{
    if (boot_alloc_sealed()) {
        panic("start-up: %s: no memory: %llu KiB left, in pieces too small or kept in reserve", what,
              (unsigned long long)(frame_free_count() * (PAGE_SIZE / 1024)));
    }
    struct boot_alloc_shortage short_of;
    boot_alloc_shortage(&short_of);
    panic("start-up: %s: no memory: %llu KiB wanted beyond %llu KiB in use, %llu KiB left", what,
          (unsigned long long)(short_of.wanted_frames * (PAGE_SIZE / 1024)),
          (unsigned long long)(short_of.used_frames * (PAGE_SIZE / 1024)),
          (unsigned long long)(short_of.left_frames * (PAGE_SIZE / 1024)));
}

void must(status_t status, const char *what)
{
    if (status == STATUS_ERR_NO_MEMORY) {
        out_of_memory(what);
    }
    if (status != STATUS_OK) {
        panic("start-up: %s: %s", what, status_text(status));
    }
}
