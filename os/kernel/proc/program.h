#ifndef OS_KERNEL_PROC_PROGRAM_H
#define OS_KERNEL_PROC_PROGRAM_H

/* Programs of the boot image made ready to run: what exec, spawn and the start of init share. */

#include "arch/x86_64/switch.h"
#include "proc/process.h"
#include "proc/user_stack.h"

struct program_strings {
    uint32_t argc;
    uint32_t count; /* argv and envp together */
    uint32_t bytes;
    uint32_t offsets[EXEC_MAX_STRINGS]; /* of each string in text */
    char text[EXEC_MAX_BYTES];
};

struct program {
    struct address_space *space;
    uint64_t entry;
    uint64_t stack;
    uint64_t fs_base;
    struct tls_image tls;
};

/* Room for the strings of a program that is being made: frames of owner PROC, not cleared. Null when out. */
struct program_strings *program_strings_make(void);
void program_strings_free(struct program_strings *strings);

/* Copies argv and envp (0: none) from the current process; *out is to be freed. STATUS_ERR_NO_MEMORY, _LIMIT, and as user_read. */
MUST_CHECK status_t program_strings_read(vaddr_t argv, vaddr_t envp, struct program_strings **out);

/* A new space with the program in it. Fails as initrd_find, elf_parse and vm_map; then there is no space. */
MUST_CHECK status_t program_load(const char *path, const struct program_strings *strings, pid_t pid,
                                 struct program *out);

/* Where a program begins. */
struct user_start program_start(const struct program *program);

/* The last part of a path is the process's name. */
void process_name_set(struct process *process, const char *path);

#endif
