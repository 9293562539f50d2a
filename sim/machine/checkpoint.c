/*
 * Checkpoints: the state as a snapshot has it, in this process and unchecked, and RAM as a version that shares its pages with
 * others. Code of pages that do not change stays decoded and translated.
 */

#include "machine/machine.h"

#include "base/alloc.h"
#include "core/ram_version.h"

struct checkpoint {
    struct state_buffer state;
    struct ram_version *ram;
};

struct checkpoint *sim_checkpoint(struct sim *s)
{
    CHECK(!s->running, "a checkpoint inside an instruction");
    struct checkpoint *c = alloc_zeroed(1, sizeof *c);
    machine_save_all(s, &c->state);
    c->ram = ram_version_take(&s->bus.ram);
    machine_drop_write_pointers(s);
    return c;
}

/* No code of what the page had. */
static void forget_code(void *sim, phys_t page)
{
    struct sim *s = sim;
    if (s->bus.ram.flags[page.v >> PAGE_SHIFT] & PAGE_CODE) {
        block_cache_invalidate(s->blocks, page, PAGE_SIZE_BYTES);
    }
}

void sim_go_back(struct sim *s, const struct checkpoint *c)
{
    CHECK(!s->running, "back to a checkpoint from inside an instruction");
    ram_version_put(&s->bus.ram, c->ram, forget_code, s);
    machine_load_all(s, &c->state);
    machine_drop_write_pointers(s);
    s->log.count = 0;
}

uint64_t checkpoint_bytes(const struct checkpoint *c)
{
    return sizeof *c + c->state.capacity;
}

uint64_t sim_checkpoint_pages_bytes(const struct sim *s)
{
    return ram_versions_bytes(&s->bus.ram);
}

void checkpoint_free(struct checkpoint *c)
{
    if (c) {
        state_buffer_deinit(&c->state);
        ram_version_free(c->ram);
        free(c);
    }
}
