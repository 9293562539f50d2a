/*
 * Copies between kernel memory and user memory of any address space, loaded or not, through the physmap. Each
 * page is found, and faulted in as the user's own access would, under the gate; so no user address can make
 * the kernel fault and an unmapping CPU waits. Deviations: the accessed and dirty bits of the user's entry
 * are not set by these copies.
 */

#include "lib/string.h"
#include "mm/vm_internal.h"

enum copy_kind { COPY_IN, COPY_OUT, COPY_IMAGE, COPY_STRING };

struct copy {
    struct address_space *space;
    enum copy_kind kind;
    uint64_t address; /* in the space */
    uint8_t *kernel;
    uint64_t left;
    uint64_t done;
    bool ended; /* COPY_STRING: the terminator was copied */
};

static bool allowed(const struct vm_area *area, enum copy_kind kind)
{
    if (kind == COPY_OUT) {
        return (area->protection & VM_WRITE) != 0;
    }
    return kind == COPY_IMAGE || area->protection != 0;
}

/* Physmap address of a user byte, ready for the access. Gated. */
static status_t reach(const struct copy *copy, uint8_t **out)
{
    uint64_t page = align_down(copy->address, PAGE_SIZE);
    const struct vm_area *area = vm_area_find(copy->space, page);
    bool write = copy->kind == COPY_OUT || copy->kind == COPY_IMAGE;
    if (area == NULL) {
        return STATUS_ERR_BAD_ADDRESS;
    }
    if (area->kind == VM_GUARD || area->kind == VM_DEVICE) {
        return area->kind == VM_GUARD ? STATUS_ERR_GUARD : STATUS_ERR_PROTECTION;
    }
    if (!allowed(area, copy->kind)) {
        return STATUS_ERR_PROTECTION;
    }
    status_t status = vm_page_in(copy->space, area, page, write && (area->protection & VM_WRITE) != 0, NULL);
    paddr_t physical = {0};
    if (status == STATUS_OK) {
        status = pt_translate(&copy->space->table, vaddr_make(copy->address), &physical);
    }
    if (status == STATUS_OK && copy->kind == COPY_IMAGE && frame_refs(paddr_pfn(physical)) != 1) {
        return STATUS_ERR_SHARED; /* an image is written before its pages can be shared */
    }
    *out = status == STATUS_OK ? arch_phys_to_virt(physical) : NULL;
    return status;
}

static void move(struct copy *copy, uint8_t *user, uint64_t step)
{
    if (copy->kind == COPY_OUT || copy->kind == COPY_IMAGE) {
        memcpy(user, copy->kernel + copy->done, step);
    } else if (copy->kind == COPY_IN) {
        memcpy(copy->kernel + copy->done, user, step);
    } else {
        uint64_t length = strnlen((const char *)user, step);
        copy->ended = length < step;
        memcpy(copy->kernel + copy->done, user, copy->ended ? length + 1 : length);
        step = copy->ended ? length : step;
    }
    copy->done += step;
    copy->address += step;
    copy->left -= step;
}

static status_t run(struct copy *copy)
{
    if (copy->address >= USER_END || (copy->left > USER_END - copy->address && copy->kind != COPY_STRING)) {
        return copy->left == 0 ? STATUS_OK : STATUS_ERR_BAD_ADDRESS;
    }
    status_t status = STATUS_OK;
    while (copy->left > 0 && !copy->ended && status == STATUS_OK) {
        uint64_t room = PAGE_SIZE - copy->address % PAGE_SIZE;
        uint8_t *user;
        /* The gate is held for a page at a time, so that long copies do not keep others out. */
        vm_gate_enter(copy->space);
        status = copy->address < USER_END ? reach(copy, &user) : STATUS_ERR_BAD_ADDRESS;
        if (status == STATUS_OK) {
            move(copy, user, copy->left < room ? copy->left : room);
        }
        copy->space->stats.table_frames = copy->space->table.tables;
        vm_gate_leave(copy->space);
    }
    return status;
}

static status_t copy_whole(struct copy copy, uint64_t *done)
{
    status_t status = run(&copy);
    if (done) {
        *done = copy.done;
    }
    return status;
}

status_t vm_copy_out(struct address_space *space, vaddr_t to, const void *from, uint64_t bytes,
                     uint64_t *done)
{
    return copy_whole((struct copy){space, COPY_OUT, to.number, (uint8_t *)(uintptr_t)from, bytes, 0, false},
                      done);
}

status_t vm_copy_in(struct address_space *space, void *to, vaddr_t from, uint64_t bytes, uint64_t *done)
{
    return copy_whole((struct copy){space, COPY_IN, from.number, to, bytes, 0, false}, done);
}

status_t vm_write_image(struct address_space *space, vaddr_t to, const void *from, uint64_t bytes)
{
    return copy_whole(
        (struct copy){space, COPY_IMAGE, to.number, (uint8_t *)(uintptr_t)from, bytes, 0, false}, NULL);
}

status_t vm_copy_string(struct address_space *space, char *to, vaddr_t from, uint64_t limit, uint64_t *length)
{
    struct copy copy = {space, COPY_STRING, from.number, (uint8_t *)to, limit, 0, false};
    status_t status = run(&copy);
    *length = copy.done;
    return status == STATUS_OK && !copy.ended ? STATUS_ERR_LIMIT : status;
}
