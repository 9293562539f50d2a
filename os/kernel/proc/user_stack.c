/*
 * Thread-local storage. Source: System V ABI, AMD64 supplement, and "ELF Handling For Thread-Local Storage", "Thread-Local
 * Storage Structures" (variant II). Deviations: no dynamic thread vector, as there are no shared objects.
 */
#include "proc/user_stack.h"

#include "abi/thread.h"
#include "mm/layout.h"

#define BLOCK_ALIGNMENT 64u

static uint64_t alignment_of(const struct tls_image *image)
{
    return image->alignment > BLOCK_ALIGNMENT ? image->alignment : BLOCK_ALIGNMENT;
}

uint64_t tls_room(const struct tls_image *image)
{
    uint64_t alignment = alignment_of(image);
    return align_up(image->memory_bytes, alignment) + align_up(sizeof(struct thread_block), alignment);
}

status_t tls_build(struct address_space *space, const struct tls_image *image, uint64_t low, uint64_t top,
                   struct tls_place *out)
{
    uint64_t pointer = align_down(top - sizeof(struct thread_block), alignment_of(image));
    uint64_t start =
        image->memory_bytes != 0 ? pointer - align_up(image->memory_bytes, image->alignment) : pointer;
    struct thread_block block = {.self = pointer, .stack_low = low, .stack_bytes = top - low};
    *out = (struct tls_place){.pointer = pointer, .bottom = align_down(start, 16)};
    status_t status = vm_copy_out(space, vaddr_make(pointer), &block, sizeof(block), NULL);
    if (status == STATUS_OK && image->file_bytes != 0) {
        status = vm_copy_out(space, vaddr_make(start), image->data, image->file_bytes, NULL);
    }
    return status;
}
