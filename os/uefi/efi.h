#ifndef OS_UEFI_EFI_H
#define OS_UEFI_EFI_H

/*
 * The part of the firmware's tables that the loader uses. Source: UEFI Specification 2.10, "EFI System Table", "EFI
 * Boot Services Table", "EFI Configuration Table & Properties Table", "Simple Text Output Protocol", "Loaded Image
 * Protocol", "Simple File System Protocol", "File Protocol", "Graphics Output Protocol". Members that are not used are
 * untyped pointers, there for their place only.
 */

#include <stddef.h>
#include <stdint.h>

#include "abi/handoff.h" /* struct efi_memory_descriptor, enum efi_memory_type */

#define EFIAPI __attribute__((ms_abi))

typedef uint64_t efi_status;
typedef void *efi_handle;
typedef uint16_t efi_char; /* UCS-2: u"text" */

#define EFI_ERROR_BIT         (1ull << 63)
#define EFI_SUCCESS           0ull
#define EFI_LOAD_ERROR        (EFI_ERROR_BIT | 1)
#define EFI_INVALID_PARAMETER (EFI_ERROR_BIT | 2)
#define EFI_BUFFER_TOO_SMALL  (EFI_ERROR_BIT | 5)
#define EFI_OUT_OF_RESOURCES  (EFI_ERROR_BIT | 9)
#define EFI_NOT_FOUND         (EFI_ERROR_BIT | 14)

struct efi_guid {
    uint32_t a;
    uint16_t b;
    uint16_t c;
    uint8_t d[8];
};

#define EFI_LOADED_IMAGE_GUID                              \
    {                                                      \
        0x5b1b31a1, 0x9562, 0x11d2,                        \
        {                                                  \
            0x8e, 0x3f, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b \
        }                                                  \
    }
#define EFI_SIMPLE_FILE_SYSTEM_GUID                        \
    {                                                      \
        0x964e5b22, 0x6459, 0x11d2,                        \
        {                                                  \
            0x8e, 0x39, 0x00, 0xa0, 0xc9, 0x69, 0x72, 0x3b \
        }                                                  \
    }
#define EFI_GRAPHICS_OUTPUT_GUID                           \
    {                                                      \
        0x9042a9de, 0x23dc, 0x4a38,                        \
        {                                                  \
            0x96, 0xfb, 0x7a, 0xde, 0xd0, 0x80, 0x51, 0x6a \
        }                                                  \
    }
#define EFI_ACPI_20_TABLE_GUID                             \
    {                                                      \
        0x8868e871, 0xe4f1, 0x11d3,                        \
        {                                                  \
            0xbc, 0x22, 0x00, 0x80, 0xc7, 0x3c, 0x88, 0x81 \
        }                                                  \
    }
#define EFI_ACPI_10_TABLE_GUID                             \
    {                                                      \
        0xeb9d2d30, 0x2d88, 0x11d3,                        \
        {                                                  \
            0x9a, 0x16, 0x00, 0x90, 0x27, 0x3f, 0xc1, 0x4d \
        }                                                  \
    }

struct efi_table_header {
    uint64_t signature;
    uint32_t revision;
    uint32_t header_size;
    uint32_t crc32;
    uint32_t reserved;
};

struct efi_text_output {
    void *reset;
    efi_status(EFIAPI *output_string)(struct efi_text_output *self, const efi_char *text);
};

enum efi_allocate_type { EFI_ALLOCATE_ANY_PAGES = 0, EFI_ALLOCATE_MAX_ADDRESS = 1, EFI_ALLOCATE_ADDRESS = 2 };

struct efi_boot_services {
    struct efi_table_header header;
    void *raise_tpl;
    void *restore_tpl;
    efi_status(EFIAPI *allocate_pages)(uint32_t how, uint32_t memory_type, size_t pages, uint64_t *address);
    void *free_pages;
    efi_status(EFIAPI *get_memory_map)(size_t *size_bytes, struct efi_memory_descriptor *map, size_t *key,
                                       size_t *descriptor_bytes, uint32_t *descriptor_version);
    void *allocate_pool;
    void *free_pool;
    void *events[6];
    void *install_protocol[3];
    efi_status(EFIAPI *handle_protocol)(efi_handle handle, const struct efi_guid *protocol, void **out);
    void *reserved;
    void *register_protocol_notify;
    void *locate_handle;
    void *locate_device_path;
    void *install_configuration_table;
    void *images[4];
    efi_status(EFIAPI *exit_boot_services)(efi_handle image, size_t map_key);
    void *get_next_monotonic_count;
    void *stall;
    void *set_watchdog_timer;
    void *controllers[2];
    void *open_protocol[3];
    void *protocols_per_handle;
    void *locate_handle_buffer;
    efi_status(EFIAPI *locate_protocol)(const struct efi_guid *protocol, void *registration, void **out);
};

struct efi_configuration_table {
    struct efi_guid guid;
    void *table;
};

struct efi_system_table {
    struct efi_table_header header;
    const efi_char *firmware_vendor;
    uint32_t firmware_revision;
    uint32_t padding;
    efi_handle console_in_handle;
    void *console_in;
    efi_handle console_out_handle;
    struct efi_text_output *console_out;
    efi_handle standard_error_handle;
    struct efi_text_output *standard_error;
    void *runtime_services;
    struct efi_boot_services *boot_services;
    size_t table_count;
    const struct efi_configuration_table *tables;
};

struct efi_loaded_image {
    uint32_t revision;
    uint32_t padding;
    efi_handle parent;
    struct efi_system_table *system_table;
    efi_handle device; /* the volume that the loader came from */
};

#define EFI_FILE_MODE_READ 1ull

struct efi_file {
    uint64_t revision;
    efi_status(EFIAPI *open)(struct efi_file *self, struct efi_file **out, const efi_char *name,
                             uint64_t mode, uint64_t attributes);
    efi_status(EFIAPI *close)(struct efi_file *self);
    void *delete_file;
    efi_status(EFIAPI *read)(struct efi_file *self, size_t *bytes, void *buffer);
    void *write;
    efi_status(EFIAPI *get_position)(struct efi_file *self, uint64_t *position);
    efi_status(EFIAPI *set_position)(struct efi_file *self, uint64_t position); /* ~0: the end */
};

struct efi_simple_file_system {
    uint64_t revision;
    efi_status(EFIAPI *open_volume)(struct efi_simple_file_system *self, struct efi_file **root);
};

#define EFI_PIXEL_BLUE_GREEN_RED 1u /* a little-endian word is xRGB */

struct efi_graphics_mode_info {
    uint32_t version;
    uint32_t width; /* pixels */
    uint32_t height;
    uint32_t pixel_format;
    uint32_t pixel_masks[4];
    uint32_t pixels_per_line;
};

struct efi_graphics_mode {
    uint32_t mode_count;
    uint32_t mode;
    const struct efi_graphics_mode_info *info;
    size_t info_bytes;
    uint64_t framebuffer;
    size_t framebuffer_bytes;
};

struct efi_graphics_output {
    void *query_mode;
    void *set_mode;
    void *blt;
    const struct efi_graphics_mode *mode;
};

_Static_assert(offsetof(struct efi_boot_services, get_memory_map) == 56, "boot services table");
_Static_assert(offsetof(struct efi_boot_services, handle_protocol) == 152, "boot services table");
_Static_assert(offsetof(struct efi_boot_services, exit_boot_services) == 232, "boot services table");
_Static_assert(offsetof(struct efi_boot_services, locate_protocol) == 320, "boot services table");
_Static_assert(offsetof(struct efi_system_table, boot_services) == 96, "system table");
_Static_assert(offsetof(struct efi_graphics_mode, framebuffer) == 24, "graphics mode");

#endif
