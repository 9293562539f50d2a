/*
 * Copies from kernel memory to user memory of any address space, loaded or not, through the physmap. Each
 * page is found, and faulted in as the user's own access would, under the gate; so no user address can make
 * the kernel fault and an unmapping CPU waits. Deviations: the accessed and dirty bits of the user's entry
 * are not set by these copies.
 */

#include "lib/string.h"
#include "mm/vm_internal.h"

struct copy {
    struct address_space *space;
    bool image;       /* into areas that the user cannot write as well */
    uint64_t address; /* in the space */
    const uint8_t *kernel;
    uint64_t left;
    uint64_t done;
};

/* Physmap address of a user byte, ready for the access. Gated. */
static status_t reach(const struct copy *copy, uint8_t **out)
{
    uint64_t page = align_down(copy->address, PAGE_SIZE);
    const struct vm_area *area = vm_area_find(copy->space, page);
    bool writable = area != NULL && (area->protection & VM_WRITE) != 0;
    if (area == NULL) {
        return STATUS_ERR_BAD_ADDRESS;
    }
    if (area->kind == VM_GUARD || area->kind == VM_DEVICE) {
        return area->kind == VM_GUARD ? STATUS_ERR_GUARD : STATUS_ERR_PROTECTION;
    }
    if (!writable && !copy->image) {
        return STATUS_ERR_PROTECTION;
    }
    status_t status = vm_page_in(copy->space, area, page, writable, NULL);
    paddr_t physical = {0};
    if (status == STATUS_OK) {
        status = pt_translate(&copy->space->table, vaddr_make(copy->address), &physical);
    }
    if (status == STATUS_OK && copy->image && frame_refs(paddr_pfn(physical)) != 1) {
        return STATUS_ERR_SHARED; /* an image is written before its pages can be shared */
    }
    *out = status == STATUS_OK ? arch_phys_to_virt(physical) : NULL;
    return status;
}

static void move(struct copy *copy, uint8_t *user, uint64_t step)
{
    memcpy(user, copy->kernel + copy->done, step);
    copy->done += step;
    copy->address += step;
    copy->left -= step;
}

static status_t run(struct copy *copy)
{
    if (copy->address >= USER_END || copy->left > USER_END - copy->address) {
        return copy->left == 0 ? STATUS_OK : STATUS_ERR_BAD_ADDRESS;
    }
    status_t status = STATUS_OK;
    while (copy->left > 0 && status == STATUS_OK) {
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
    return copy_whole((struct copy){space, false, to.number, from, bytes, 0}, done);
}

status_t vm_write_image(struct address_space *space, vaddr_t to, const void *from, uint64_t bytes)
{
    return copy_whole((struct copy){space, true, to.number, from, bytes, 0}, NULL);
}
