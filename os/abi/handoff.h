#ifndef OS_ABI_HANDOFF_H
#define OS_ABI_HANDOFF_H

/*
 * The versioned block that a boot loader (or the kernel's own entry code, translating another protocol) hands
 * to the kernel. Every address is physical. All fields are little-endian and naturally aligned; the block
 * itself is 8-byte aligned. The memory map is the raw UEFI one: an array of EFI_MEMORY_DESCRIPTOR whose
 * stride is told, not assumed (UEFI Specification, "EFI_BOOT_SERVICES.GetMemoryMap()").
 */

#include <stdint.h>

#define HANDOFF_MAGIC   0x46464f444e41484full /* "OHANDOFF" in memory order */
#define HANDOFF_VERSION 1u

#define HANDOFF_DESCRIPTOR_MIN_STRIDE 40u /* sizeof(struct efi_memory_descriptor) */
#define HANDOFF_DESCRIPTOR_MAX_STRIDE 4096u
#define HANDOFF_DESCRIPTOR_VERSION    1u /* EFI_MEMORY_DESCRIPTOR_VERSION */
#define HANDOFF_MAX_DESCRIPTORS       1024u
#define HANDOFF_MAX_CPUS              64u
#define HANDOFF_MAX_MODULES           16u
#define HANDOFF_MAX_AFFINITIES        64u
#define HANDOFF_MAX_COMMAND_LINE      4096u
#define HANDOFF_MAX_NODES             8u
#define HANDOFF_MIN_TEMPORARY_HEAP    (64u << 10)
#define HANDOFF_MAX_TEMPORARY_HEAP    (2u << 20)
#define HANDOFF_MAX_PHYSICAL          (1ull << 52) /* architectural limit of a physical address */

/*
 * Entry. An ELF note of this name and type in the kernel's image holds, in 32 bits, the physical address of its 64-bit
 * entry. The loader puts the image where its program headers say (p_paddr), zeroes what is not in the file, and
 * jumps there with
 *   - 64-bit mode at CPL 0, interrupts off, no NMI expected; the image mapped one to one, writable and executable
 *   - RDI = physical address of the block; nothing else: no stack, no segments, any GDT, IDT, CR3
 *   - block, memory map and command line below 4 GiB; image, temporary heap, block, memory map, command line and modules
 *     in memory that the map calls loader, boot-services, conventional or ACPI-reclaim memory, apart from each other
 * The kernel uses the processors and affinities of the block, not those of the ACPI tables.
 */
#define HANDOFF_NOTE_NAME  "Orrery"
#define HANDOFF_NOTE_ENTRY 1u

/* EFI_MEMORY_TYPE, UEFI Specification, "Memory Type Usage after ExitBootServices()". */
enum efi_memory_type {
    EFI_RESERVED_MEMORY = 0,
    EFI_LOADER_CODE = 1,
    EFI_LOADER_DATA = 2,
    EFI_BOOT_SERVICES_CODE = 3,
    EFI_BOOT_SERVICES_DATA = 4,
    EFI_RUNTIME_SERVICES_CODE = 5,
    EFI_RUNTIME_SERVICES_DATA = 6,
    EFI_CONVENTIONAL_MEMORY = 7,
    EFI_UNUSABLE_MEMORY = 8,
    EFI_ACPI_RECLAIM_MEMORY = 9,
    EFI_ACPI_MEMORY_NVS = 10,
    EFI_MEMORY_MAPPED_IO = 11,
    EFI_MEMORY_MAPPED_IO_PORT_SPACE = 12,
    EFI_PAL_CODE = 13,
    EFI_PERSISTENT_MEMORY = 14,
    EFI_MEMORY_TYPE_COUNT = 15
};

/* EFI_MEMORY_DESCRIPTOR; a firmware may append fields, hence the stride. */
struct efi_memory_descriptor {
    uint32_t type;
    uint32_t reserved;
    uint64_t physical_start;  /* bytes, 4 KiB aligned on real firmware; another is accepted and rounded */
    uint64_t virtual_start;   /* unused */
    uint64_t number_of_pages; /* of 4 KiB */
    uint64_t attribute;       /* EFI_MEMORY_*, recorded, not interpreted */
};

/* A physical byte range; size_bytes 0 means "absent". */
struct handoff_span {
    uint64_t base;
    uint64_t size_bytes;
};

struct handoff_memory_map {
    uint64_t address; /* of the first descriptor, 8-byte aligned */
    uint32_t stride;  /* bytes from one descriptor to the next, multiple of 8, >= 40 */
    uint32_t version; /* HANDOFF_DESCRIPTOR_VERSION */
    uint32_t count;   /* 1..HANDOFF_MAX_DESCRIPTORS */
    uint32_t reserved;
};

struct handoff_framebuffer {
    struct handoff_span span; /* size 0: no framebuffer */
    uint32_t width;           /* pixels */
    uint32_t height;
    uint32_t pitch_bytes;
    uint32_t format; /* 0: 32-bit xRGB */
};

#define HANDOFF_CPU_BOOT    1u /* the processor that runs the entry code */
#define HANDOFF_CPU_ENABLED 2u /* usable now */

struct handoff_cpu {
    uint32_t apic_id;
    uint32_t acpi_id;
    uint32_t node;
    uint32_t flags;
};

/* One memory range of a NUMA node (what SRAT says). No ranges: everything is node 0. */
struct handoff_affinity {
    struct handoff_span span;
    uint32_t node;
    uint32_t reserved;
};

struct handoff_module {
    struct handoff_span span;
    char name[48]; /* always zero terminated */
};

struct handoff {
    uint64_t magic;   /* HANDOFF_MAGIC */
    uint32_t size;    /* bytes of this block: exactly sizeof(struct handoff) for version 1 */
    uint32_t version; /* HANDOFF_VERSION */
    struct handoff_memory_map memory_map;
    struct handoff_span kernel_image;   /* required, 4 KiB aligned base */
    struct handoff_span temporary_heap; /* required, whole pages */
    struct handoff_framebuffer framebuffer;
    uint64_t acpi_rsdp;               /* physical address of the RSDP, 0: none */
    struct handoff_span command_line; /* bytes without a terminator */
    uint32_t cpu_count;               /* 1..HANDOFF_MAX_CPUS */
    uint32_t module_count;            /* 0..HANDOFF_MAX_MODULES */
    uint32_t affinity_count;          /* 0..HANDOFF_MAX_AFFINITIES */
    uint32_t reserved;
    struct handoff_cpu cpus[HANDOFF_MAX_CPUS];
    struct handoff_module modules[HANDOFF_MAX_MODULES];
    struct handoff_affinity affinities[HANDOFF_MAX_AFFINITIES];
};

_Static_assert(sizeof(struct efi_memory_descriptor) == 40, "EFI descriptor layout");
_Static_assert(sizeof(struct handoff_cpu) == 16, "no padding in the handoff block");
_Static_assert(sizeof(struct handoff_module) == 64, "no padding in the handoff block");
_Static_assert(sizeof(struct handoff) % 8 == 0, "the block is a whole number of words");

#endif
