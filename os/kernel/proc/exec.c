/*
 * exec: path, argv and envp are copied from the old program, the new address space is built whole, and only
 * then the process changes over. Until that point every failure leaves the old program as it was.
 *
 * Initial stack of a program, from its stack pointer up: argc, argv pointers, 0, envp pointers, 0, strings, thread-local
 * storage, thread block. Other threads of the process end once nothing else can fail.
 */
#include "proc/program.h"

#include "arch/x86_64/switch.h"
#include "ipc/ipc.h"
#include "lib/string.h"
#include "mm/kheap.h"
#include "mm/layout.h"
#include "proc/elf.h"
#include "proc/initrd.h"
#include "proc/threads.h"
#include "proc/usercopy.h"
#include "sched/sched.h"

#define STRINGS_ORDER 3u

static status_t strings_add_user(struct program_strings *strings, vaddr_t from)
{
    if (strings->count == EXEC_MAX_STRINGS) {
        return STATUS_ERR_LIMIT;
    }
    uint64_t length;
    status_t status =
        user_read_string(strings->text + strings->bytes, from, EXEC_MAX_BYTES - strings->bytes, &length);
    if (status == STATUS_OK) {
        strings->offsets[strings->count++] = strings->bytes;
        strings->bytes += (uint32_t)length + 1;
    }
    return status;
}

static status_t strings_read(struct program_strings *strings, vaddr_t array)
{
    for (uint64_t i = 0; vaddr_number(array) != 0; i++) {
        uint64_t pointer;
        status_t status = user_read(&pointer, vaddr_add(array, i * sizeof(pointer)), sizeof(pointer));
        if (status != STATUS_OK || pointer == 0) {
            return status;
        }
        status = strings_add_user(strings, vaddr_make(pointer));
        if (status != STATUS_OK) {
            return status;
        }
    }
    return STATUS_OK;
}

static status_t load_segment(struct address_space *space, const void *image,
                             const struct elf_segment *segment)
{
    uint64_t start = align_down(segment->address, PAGE_SIZE);
    uint64_t end = align_up(segment->address + segment->memory_bytes, PAGE_SIZE);
    vaddr_t at;
    status_t status = vm_map(space, vaddr_make(start), end - start, segment->protection | VM_FIXED, &at);
    if (status == STATUS_OK && segment->file_bytes != 0) {
        status = vm_write_image(space, vaddr_make(segment->address),
                                (const char *)image + segment->file_offset, segment->file_bytes);
    }
    return status;
}

/* Writes strings and vectors below `bottom`; *pointer is the initial stack pointer. */
static status_t build_vectors(struct address_space *space, const struct program_strings *strings,
                              uint64_t bottom, uint64_t *pointer)
{
    uint64_t vector[EXEC_MAX_STRINGS + 3];
    uint64_t text = bottom - align_up(strings->bytes, 16);
    uint32_t words = 0;
    vector[words++] = strings->argc;
    for (uint32_t i = 0; i < strings->count; i++) {
        if (i == strings->argc) {
            vector[words++] = 0;
        }
        vector[words++] = text + strings->offsets[i];
    }
    if (strings->count == strings->argc) {
        vector[words++] = 0;
    }
    vector[words++] = 0;
    *pointer = align_down(text - words * sizeof(uint64_t), 16);
    status_t status = vm_copy_out(space, vaddr_make(text), strings->text, strings->bytes, NULL);
    if (status == STATUS_OK) {
        status = vm_copy_out(space, vaddr_make(*pointer), vector, words * sizeof(uint64_t), NULL);
    }
    return status;
}

static status_t build_stack(struct program *program, const struct program_strings *strings)
{
    const uint64_t top = USER_MAIN_STACK_TOP;
    uint64_t bytes = USER_STACK_BYTES + align_up(tls_room(&program->tls), PAGE_SIZE);
    struct tls_place tls;
    status_t status = vm_map_stack(program->space, vaddr_make(top), bytes);
    if (status == STATUS_OK) {
        status = tls_build(program->space, &program->tls, top - bytes, top, &tls);
    }
    if (status == STATUS_OK) {
        program->fs_base = tls.pointer;
        status = build_vectors(program->space, strings, tls.bottom, &program->stack);
    }
    return status;
}

static status_t load_segments(struct program *program, const struct initrd_file *file,
                              const struct elf_layout *layout)
{
    status_t status = STATUS_OK;
    for (uint32_t i = 0; status == STATUS_OK && i < layout->count; i++) {
        status = load_segment(program->space, file->data, &layout->segments[i]);
    }
    return status;
}

status_t program_load(const char *path, const struct program_strings *strings, pid_t pid, struct program *out)
{
    struct initrd_file file;
    struct elf_layout layout;
    status_t status = initrd_find(path, &file);
    if (status == STATUS_OK) {
        status = elf_parse(file.data, file.bytes, &layout);
    }
    if (status != STATUS_OK) {
        return status;
    }
    *out = (struct program){.entry = layout.entry,
                            .space = space_make(pid, &status),
                            .tls = {.data = (const char *)file.data + layout.tls.file_offset,
                                    .file_bytes = (uint32_t)layout.tls.file_bytes,
                                    .memory_bytes = (uint32_t)layout.tls.memory_bytes,
                                    .alignment = (uint32_t)layout.tls.alignment}};
    if (status == STATUS_OK) {
        status = load_segments(out, &file, &layout);
    }
    if (status == STATUS_OK) {
        status = build_stack(out, strings);
    }
    if (status != STATUS_OK && out->space != NULL) {
        space_destroy(out->space);
    }
    return status;
}

struct user_start program_start(const struct program *program)
{
    return (struct user_start){.entry = program->entry, .stack = program->stack, .fs_base = program->fs_base};
}

void process_name_set(struct process *process, const char *path)
{
    const char *name = path;
    for (const char *at = path; *at != '\0'; at++) {
        name = *at == '/' ? at + 1 : name;
    }
    size_t length = strnlen(name, PROCESS_NAME_BYTES - 1);
    memcpy(process->name, name, length);
    process->name[length] = '\0';
}

_Static_assert(sizeof(struct program_strings) <= PAGE_SIZE << STRINGS_ORDER &&
                   sizeof(struct program_strings) > PAGE_SIZE << (STRINGS_ORDER - 1),
               "the block that holds them");

struct program_strings *program_strings_make(void)
{
    return kheap_pages_alloc(STRINGS_ORDER, FRAME_OWNER_PROC, 0);
}

void program_strings_free(struct program_strings *strings)
{
    kheap_pages_free(strings, STRINGS_ORDER);
}

status_t program_strings_read(vaddr_t argv, vaddr_t envp, struct program_strings **out)
{
    struct program_strings *strings = program_strings_make();
    if (strings == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    strings->argc = 0;
    strings->count = 0;
    strings->bytes = 0;
    status_t status = strings_read(strings, argv);
    strings->argc = strings->count;
    if (status == STATUS_OK) {
        status = strings_read(strings, envp);
    }
    if (status != STATUS_OK) {
        program_strings_free(strings);
        return status;
    }
    *out = strings;
    return STATUS_OK;
}

static status_t exec_with(struct frame *frame, const char *path, const struct program_strings *strings)
{
    struct process *process = process_current();
    struct program program;
    status_t status = program_load(path, strings, process->pid, &program);
    if (status != STATUS_OK) {
        return status;
    }
    status = process_end_others();
    if (status != STATUS_OK) {
        space_destroy(program.space);
        return status;
    }
    process_become_single();
    ipc_thread_end(thread_current()); /* the call that the old program owed an answer */
    struct address_space *old = process_swap_space(process, program.space);
    sched_adopt_space(program.space);
    space_destroy(old);
    cap_space_exec(process->caps);
    process_name_set(process, path);
    process->tls = program.tls;
    struct user_start start = program_start(&program);
    arch_thread_restart_user(thread_current(), frame, &start);
    return STATUS_OK;
}

status_t process_exec(struct frame *frame, vaddr_t path, vaddr_t argv, vaddr_t envp)
{
    char name[PATH_MAX_BYTES];
    uint64_t length;
    status_t status = user_read_string(name, path, sizeof(name), &length);
    if (status != STATUS_OK) {
        return status;
    }
    struct program_strings *strings;
    status = program_strings_read(argv, envp, &strings);
    if (status == STATUS_OK) {
        status = exec_with(frame, name, strings);
        program_strings_free(strings);
    }
    return status;
}

static status_t init_build(struct process *process, const char *path, const char *argument,
                           struct thread **thread)
{
    struct program_strings *strings = program_strings_make();
    if (strings == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    memset(strings, 0, sizeof(*strings));
    const char *const arguments[] = {path, argument};
    for (unsigned i = 0; i < 2 && arguments[i] != NULL; i++) {
        size_t length = strnlen(arguments[i], PATH_MAX_BYTES - 1);
        memcpy(strings->text + strings->bytes, arguments[i], length);
        strings->offsets[strings->count++] = strings->bytes;
        strings->bytes += (uint32_t)length + 1;
    }
    strings->argc = strings->count;
    struct program program;
    status_t status = program_load(path, strings, process->pid, &program);
    program_strings_free(strings);
    if (status != STATUS_OK) {
        return status;
    }
    process->space = program.space;
    process->tls = program.tls;
    status = thread_create(thread, &sched_normal, NULL, NULL);
    if (status == STATUS_OK) {
        struct user_start start = program_start(&program);
        arch_thread_first_user(*thread, &start);
    }
    return status;
}

status_t process_start_init(const char *path, const char *argument)
{
    struct process *process = process_make();
    if (process == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    process->caps = cap_space_create(process->pid);
    process->quota = kzalloc(sizeof(*process->quota));
    if (process->caps == NULL || process->quota == NULL) {
        return STATUS_ERR_NO_MEMORY;
    }
    *process->quota = (struct process_quota){.references = 1, .limit = PROCESS_TREE_QUOTA, .used = 1};
    struct thread *thread = NULL;
    status_t status = cap_insert_boot_set(process->caps);
    if (status == STATUS_OK) {
        status = init_build(process, path, argument, &thread);
    }
    if (status != STATUS_OK) {
        return status; /* the caller panics: there is no system without init */
    }
    process_name_set(process, path);
    thread->process = process;
    thread->space = process->space;
    process->main_thread = thread;
    uint64_t flags = spin_lock_irqsave(&process_tree_lock);
    process_link_locked(process, NULL);
    process_add_thread_locked(process, thread);
    spin_unlock_irqrestore(&process_tree_lock, flags);
    sched_start(thread);
    return STATUS_OK;
}
