/*
 * Host tests of the UEFI loader with a pretended firmware: memory below 2 GiB, one volume, ACPI tables, a screen. The
 * machine that enters the kernel or dies is the test.
 */

#include "fake/fake_arch.h"

#include "boot/block.h"
#include "uefi/loader.h"

#define KERNEL_BASE  0x100000u
#define KERNEL_BYTES 0x5000u
#define FILE_BYTES   0x3000u
#define ENTRY        (KERNEL_BASE + 0x1234u)
#define MEMORY_BASE  0x10000000u
#define MEMORY_BYTES (8u << 20)
#define STRIDE       48u
#define MAP_MAX      1100u

struct fake_file {
    struct efi_file file; /* first: the loader's pointer is ours */
    const char *name;
    const char *bytes;
    uint64_t size;
    uint64_t position;
};

/* What the firmware does wrong in a test; all zero is a good one. */
struct trouble {
    bool no_volume, no_acpi, bad_acpi, no_root, kernel_place_taken;
    unsigned no_memory_at;  /* the n-th allocation fails */
    unsigned stale_exits;   /* attempts that meet a stale map */
    unsigned map_grows_by;  /* descriptors that come with each stale attempt */
    efi_status exit_status; /* other than stale */
    efi_status map_status;
    uint32_t stride, version;
    unsigned descriptors;
    bool read_fails;
    size_t read_at_most;
};

static struct trouble trouble;
static struct fake_file files[3];
static char said[1024];
static unsigned lines, allocations, exits, map_count, map_reads, last_key;
static uint64_t memory_next;
static struct efi_memory_descriptor firmware_map[MAP_MAX];
static jmp_buf left; /* the loader does not come back */
static uint64_t entered, entered_block;
static char death[128];
static char kernel_file[FILE_BYTES];
static char acpi_root[36 + 56 + 8 + 64];
static struct efi_graphics_mode_info mode_info;
static struct efi_graphics_mode mode;
static struct efi_graphics_output screen = {.mode = &mode};
static bool has_screen;

static status_t guid_is(const void *a, struct efi_guid b)
{
    return memcmp(a, &b, sizeof b) == 0 ? STATUS_OK : STATUS_ERR_NOT_FOUND;
}

static efi_status EFIAPI put_text(struct efi_text_output *self, const efi_char *text)
{
    (void)self;
    size_t length = strlen(said);
    for (; *text && length < sizeof said - 1; text++) {
        said[length++] = (char)*text;
        lines += *text == '\n';
    }
    said[length] = 0;
    return EFI_SUCCESS;
}

static void map_add(uint32_t type, uint64_t base, uint64_t pages)
{
    firmware_map[map_count++] =
        (struct efi_memory_descriptor){.type = type, .physical_start = base, .number_of_pages = pages};
    last_key++;
}

static efi_status EFIAPI allocate_pages(uint32_t how, uint32_t type, size_t pages, uint64_t *address)
{
    if (++allocations == trouble.no_memory_at) {
        return EFI_OUT_OF_RESOURCES;
    }
    if (how == EFI_ALLOCATE_ADDRESS) {
        if (trouble.kernel_place_taken || *address != KERNEL_BASE || pages * PAGE_SIZE > KERNEL_BYTES) {
            return EFI_NOT_FOUND;
        }
    } else {
        assert_int_equal(how, EFI_ALLOCATE_MAX_ADDRESS);
        assert_true(*address >= UINT32_MAX);
        *address = memory_next;
        memory_next += pages * PAGE_SIZE;
        assert_true(memory_next <= MEMORY_BASE + MEMORY_BYTES);
    }
    memset((void *)(uintptr_t)*address, 0xcc, pages * PAGE_SIZE);
    map_add(type, *address, pages);
    return EFI_SUCCESS;
}

static efi_status EFIAPI get_memory_map(size_t *size, struct efi_memory_descriptor *map, size_t *key,
                                        size_t *stride, uint32_t *version)
{
    size_t needed = (size_t)map_count * trouble.stride;
    bool fits = *size >= needed;
    map_reads++;
    *size = needed;
    *stride = trouble.stride;
    *version = trouble.version;
    *key = last_key;
    if (trouble.map_status != EFI_SUCCESS) {
        return trouble.map_status;
    }
    for (unsigned i = 0; fits && i < map_count; i++) {
        memcpy((char *)map + (size_t)i * trouble.stride, &firmware_map[i], sizeof firmware_map[i]);
    }
    return fits ? EFI_SUCCESS : EFI_BUFFER_TOO_SMALL;
}

static efi_status EFIAPI exit_boot_services(efi_handle image, size_t key)
{
    assert_ptr_equal(image, &files);
    exits++;
    if (exits <= trouble.stale_exits) {
        for (unsigned i = 0; i < trouble.map_grows_by; i++) {
            map_add(EFI_BOOT_SERVICES_DATA, 0x40000000u + map_count * 0x10000ull, 1);
        }
        last_key++;
        return EFI_INVALID_PARAMETER;
    }
    assert_int_equal(key, last_key);
    return trouble.exit_status;
}

static efi_status EFIAPI file_close(struct efi_file *self)
{
    (void)self;
    return EFI_SUCCESS;
}

static efi_status EFIAPI file_read_bytes(struct efi_file *self, size_t *bytes, void *buffer)
{
    struct fake_file *f = (struct fake_file *)self;
    if (trouble.read_fails) {
        return EFI_LOAD_ERROR;
    }
    size_t n = f->size - f->position < *bytes ? (size_t)(f->size - f->position) : *bytes;
    n = trouble.read_at_most && trouble.read_at_most < n ? trouble.read_at_most : n;
    memcpy(buffer, f->bytes + f->position, n);
    f->position += n;
    *bytes = n;
    return EFI_SUCCESS;
}

static efi_status EFIAPI get_position(struct efi_file *self, uint64_t *position)
{
    *position = ((struct fake_file *)self)->position;
    return EFI_SUCCESS;
}

static efi_status EFIAPI set_position(struct efi_file *self, uint64_t position)
{
    struct fake_file *f = (struct fake_file *)self;
    f->position = position == ~0ull ? f->size : position;
    return EFI_SUCCESS;
}

static efi_status EFIAPI open_file(struct efi_file *self, struct efi_file **out, const efi_char *name,
                                   uint64_t how, uint64_t attributes)
{
    (void)self;
    assert_int_equal(how, EFI_FILE_MODE_READ);
    assert_int_equal(attributes, 0);
    for (unsigned i = 0; i < 3; i++) {
        size_t c = 0;
        while (files[i].name && files[i].name[c] && (efi_char)files[i].name[c] == name[c]) {
            c++;
        }
        if (files[i].name && !files[i].name[c] && !name[c]) {
            *out = &files[i].file;
            return EFI_SUCCESS;
        }
    }
    return EFI_NOT_FOUND;
}

static struct efi_file root = {.open = open_file};

static efi_status EFIAPI open_volume(struct efi_simple_file_system *self, struct efi_file **out)
{
    (void)self;
    *out = &root;
    return trouble.no_root ? EFI_LOAD_ERROR : EFI_SUCCESS;
}

static struct efi_simple_file_system volume = {.open_volume = open_volume};
static struct efi_loaded_image loaded_image = {.device = &volume};

static efi_status EFIAPI handle_protocol(efi_handle handle, const struct efi_guid *guid, void **out)
{
    if (handle == &files && guid_is(guid, (struct efi_guid)EFI_LOADED_IMAGE_GUID) == STATUS_OK) {
        *out = &loaded_image;
    } else if (handle == &volume &&
               guid_is(guid, (struct efi_guid)EFI_SIMPLE_FILE_SYSTEM_GUID) == STATUS_OK &&
               !trouble.no_volume) {
        *out = &volume;
    } else {
        return EFI_NOT_FOUND;
    }
    return EFI_SUCCESS;
}

static efi_status EFIAPI locate_protocol(const struct efi_guid *guid, void *registration, void **out)
{
    assert_null(registration);
    assert_int_equal(guid_is(guid, (struct efi_guid)EFI_GRAPHICS_OUTPUT_GUID), STATUS_OK);
    *out = &screen;
    return has_screen ? EFI_SUCCESS : EFI_NOT_FOUND;
}

static struct efi_text_output console = {.output_string = put_text};
static struct efi_boot_services boot_services = {.allocate_pages = allocate_pages,
                                                 .get_memory_map = get_memory_map,
                                                 .handle_protocol = handle_protocol,
                                                 .exit_boot_services = exit_boot_services,
                                                 .locate_protocol = locate_protocol};
static struct efi_configuration_table tables[2] = {{.guid = EFI_ACPI_10_TABLE_GUID},
                                                   {.guid = EFI_ACPI_20_TABLE_GUID}};
static struct efi_system_table firmware = {
    .console_out = &console, .boot_services = &boot_services, .table_count = 2, .tables = tables};

/* ---- the CPU ---- */

uint32_t cpu_apic_id(void)
{
    return 5;
}

_Noreturn void cpu_enter_kernel(uint64_t entry, uint64_t block)
{
    entered = entry;
    entered_block = block;
    longjmp(left, 1);
}

_Noreturn void cpu_die(const char *text)
{
    snprintf(death, sizeof death, "%s", text);
    longjmp(left, 1);
}

/* ---- the machine of these tests ---- */

static void put32(char *at, uint32_t value)
{
    memcpy(at, &value, sizeof value);
}

static void put64(char *at, uint64_t value)
{
    memcpy(at, &value, sizeof value);
}

static void make_sum(char *at, size_t bytes, size_t where)
{
    uint8_t sum = 0;
    at[where] = 0;
    for (size_t i = 0; i < bytes; i++) {
        sum = (uint8_t)(sum + (uint8_t)at[i]);
    }
    at[where] = (char)(0x100 - sum);
}

/* RSDP, XSDT and a MADT with the processors 4 and 5. */
static void make_acpi(void)
{
    char *rsdp = acpi_root;
    char *xsdt = acpi_root + 36;
    char *madt = xsdt + 44;
    memset(acpi_root, 0, sizeof acpi_root);
    memcpy(rsdp, "RSD PTR ", 8);
    rsdp[15] = 2;
    put64(rsdp + 24, (uint64_t)(uintptr_t)xsdt);
    make_sum(rsdp, 20, 8);
    memcpy(xsdt, "XSDT", 4);
    put32(xsdt + 4, 44);
    put64(xsdt + 36, (uint64_t)(uintptr_t)madt);
    make_sum(xsdt, 44, 9);
    memcpy(madt, "APIC", 4);
    put32(madt + 4, 60);
    for (int i = 0; i < 2; i++) {
        char *entry = madt + 44 + 8 * i;
        entry[1] = 8;
        entry[2] = (char)i;
        entry[3] = (char)(4 + i);
        entry[4] = 1;
    }
    make_sum(madt, 60, 9);
    xsdt[9] = (char)(xsdt[9] + trouble.bad_acpi);
    tables[0].table = NULL;
    tables[1].table = rsdp;
    firmware.table_count = trouble.no_acpi ? 0 : 2;
}

static void make_kernel(void)
{
    static const struct {
        uint32_t type;
        uint64_t offset, physical, in_file, in_memory;
    } segments[3] = {{1, 0x1000, KERNEL_BASE, 0x1800, 0x1800},
                     {1, 0x2800, KERNEL_BASE + 0x2000, 0x400, 0x2800},
                     {4, 0x200, KERNEL_BASE, 0x40, 0x40}};
    char *f = kernel_file;
    memset(f, 0, sizeof kernel_file);
    memcpy(f, "\177ELF\2\1\1", 7);
    f[16] = 2;
    f[18] = 62;
    put64(f + 32, 64);
    f[54] = 56;
    f[56] = 3;
    for (int i = 0; i < 3; i++) {
        char *s = f + 64 + 56 * i;
        put32(s, segments[i].type);
        put64(s + 8, segments[i].offset);
        put64(s + 24, segments[i].physical);
        put64(s + 32, segments[i].in_file);
        put64(s + 40, segments[i].in_memory);
    }
    char *note = f + 0x200; /* another note first */
    put32(note, 4);
    put32(note + 4, 4);
    put32(note + 8, 18);
    memcpy(note + 12, "Xen\0abcd", 8);
    put32(note + 20, 7);
    put32(note + 24, 4);
    put32(note + 28, HANDOFF_NOTE_ENTRY);
    memcpy(note + 32, HANDOFF_NOTE_NAME, 7);
    put32(note + 40, ENTRY);
    memset(f + 0x1000, 'k', 0x1800);
    memset(f + 0x2800, 'd', 0x400);
}

static void put_file(unsigned i, const char *name, const char *bytes, uint64_t size)
{
    files[i] = (struct fake_file){{.close = file_close,
                                   .read = file_read_bytes,
                                   .get_position = get_position,
                                   .set_position = set_position},
                                  name,
                                  bytes,
                                  size,
                                  0};
}

static int make_memory(void **state)
{
    (void)state;
    const uint64_t places[2][2] = {{KERNEL_BASE, KERNEL_BYTES}, {MEMORY_BASE, MEMORY_BYTES}};
    for (int i = 0; i < 2; i++) {
        void *at = mmap((void *)(uintptr_t)places[i][0], places[i][1], PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
        assert_ptr_equal(at, (void *)(uintptr_t)places[i][0]);
    }
    return 0;
}

static int start(void **state)
{
    (void)state;
    trouble = (struct trouble){.stride = STRIDE, .version = 1};
    said[0] = death[0] = 0;
    lines = allocations = exits = map_count = map_reads = last_key = 0;
    memory_next = MEMORY_BASE;
    entered = entered_block = 0;
    has_screen = false;
    mode_info = (struct efi_graphics_mode_info){
        .width = 1024, .height = 768, .pixel_format = EFI_PIXEL_BLUE_GREEN_RED, .pixels_per_line = 1088};
    mode = (struct efi_graphics_mode){
        .info = &mode_info, .framebuffer = 0xe0000000, .framebuffer_bytes = 0x400000};
    put_file(0, "\\orrery\\kernel.elf", kernel_file, sizeof kernel_file);
    put_file(1, "\\orrery\\initrd.cpio", "an initrd", 9);
    put_file(2, "\\orrery\\cmdline.txt", "init=x -- y\r\n", 13);
    make_kernel();
    return 0;
}

/* Runs the loader: true when it entered the kernel. */
static bool run(void)
{
    make_acpi();
    map_add(EFI_CONVENTIONAL_MEMORY, 0x1000, 0x9e);
    map_add(EFI_BOOT_SERVICES_CODE, 0x20000000, 64);
    for (unsigned i = 0; i < trouble.descriptors; i++) {
        map_add(EFI_BOOT_SERVICES_DATA, 0x50000000u + i * 0x10000ull, 1);
    }
    if (setjmp(left) == 0) {
        efi_status status = efi_main(&files, &firmware);
        assert_int_equal(status, EFI_LOAD_ERROR);
        return false;
    }
    return entered != 0;
}

static const struct handoff *block(void)
{
    return (const struct handoff *)(uintptr_t)entered_block;
}

static const void *reach(void *context, uint64_t base, uint64_t size)
{
    (void)context;
    bool known = (base >= MEMORY_BASE && base + size <= MEMORY_BASE + MEMORY_BYTES) || size == 0;
    return known ? (const void *)(uintptr_t)base : NULL;
}

static const struct handoff_reader reader = {reach, NULL};
static struct region_list list;

/* What every block that the loader makes must be. */
static void check_block(void)
{
    const struct handoff *b = block();
    assert_int_equal(entered, ENTRY);
    assert_int_equal(entered_block % PAGE_SIZE, 0);
    assert_ok(handoff_validate(b, sizeof *b, &reader));
    assert_ok(handoff_check_places(&list, b, entered_block, &reader));
    assert_ok(region_list_build(&list, b, entered_block, &reader));
    assert_int_equal(region_list_bytes(&list, REGION_HANDOFF) % PAGE_SIZE, 0);
    assert_int_equal(b->memory_map.stride, STRIDE);
    assert_true(b->memory_map.count >= map_count);
    const char *map = reach(NULL, b->memory_map.address, b->memory_map.count * (uint64_t)STRIDE);
    for (unsigned i = 0; i < map_count; i++) {
        assert_memory_equal(map + i * STRIDE, &firmware_map[i], sizeof firmware_map[i]);
    }
    for (unsigned i = map_count; i < b->memory_map.count; i++) {
        struct efi_memory_descriptor d;
        memcpy(&d, map + i * STRIDE, sizeof d);
        assert_int_equal(d.number_of_pages, 0);
    }
}

/* covers: BT-01 */
static void loader_hands_over_everything_that_the_firmware_and_the_volume_have(void **state)
{
    (void)state;
    has_screen = true;
    trouble.read_at_most = 1000;
    assert_true(run());
    check_block();
    const struct handoff *b = block();
    assert_int_equal(b->kernel_image.base, KERNEL_BASE);
    assert_int_equal(b->kernel_image.size_bytes, KERNEL_BYTES);
    assert_int_equal(b->acpi_rsdp, (uintptr_t)acpi_root);
    assert_int_equal(b->cpu_count, 2);
    assert_int_equal(b->cpus[0].flags, HANDOFF_CPU_ENABLED);
    assert_int_equal(b->cpus[1].apic_id, 5);
    assert_int_equal(b->cpus[1].flags, HANDOFF_CPU_ENABLED | HANDOFF_CPU_BOOT);
    assert_int_equal(b->framebuffer.span.base, 0xe0000000);
    assert_int_equal(b->framebuffer.pitch_bytes, 1088 * 4);
    assert_int_equal(b->framebuffer.height, 768);
    assert_int_equal(b->module_count, 1);
    assert_string_equal(b->modules[0].name, "initrd");
    assert_int_equal(b->modules[0].span.size_bytes, 9);
    assert_memory_equal((void *)(uintptr_t)b->modules[0].span.base, "an initrd", 9);
    const char *line = (const char *)(uintptr_t)b->command_line.base;
    assert_memory_equal(line, "init=x -- y ", 12);
    assert_int_equal(line[b->command_line.size_bytes - 1], ' ');
    const char *image = (const char *)(uintptr_t)KERNEL_BASE;
    assert_int_equal(image[0], 'k');
    assert_int_equal(image[0x17ff], 'k');
    assert_int_equal(image[0x1800], 0);
    assert_int_equal(image[0x23ff], 'd');
    assert_int_equal(image[0x2400], 0);
    assert_int_equal(image[0x4fff], 0);
    assert_int_equal(lines, 0);
}

static void initrd_command_line_and_screen_may_be_absent(void **state)
{
    (void)state;
    files[1].name = files[2].name = NULL;
    assert_true(run());
    check_block();
    assert_int_equal(block()->module_count, 0);
    assert_int_equal(block()->framebuffer.span.size_bytes, 0);
}

static void screen_that_is_not_xrgb_is_not_handed_over(void **state)
{
    has_screen = true;
    mode_info.pixel_format = 0;
    assert_true(run());
    assert_int_equal(block()->framebuffer.span.size_bytes, 0);
    start(state);
    has_screen = true;
    mode.framebuffer_bytes = 1088 * 4 * 768 - 1;
    assert_true(run());
    assert_int_equal(block()->framebuffer.span.size_bytes, 0);
}

/* covers: BT-01 */
static void stale_map_is_fetched_again(void **state)
{
    (void)state;
    trouble.stale_exits = 7;
    trouble.map_grows_by = 1;
    assert_true(run());
    assert_int_equal(exits, 8);
    check_block();
}

static void map_that_outgrows_its_room_gets_more(void **state)
{
    (void)state;
    trouble.stale_exits = 2;
    trouble.map_grows_by = 60;
    assert_true(run());
    assert_int_equal(exits, 3);
    check_block();
    assert_true(block()->memory_map.count > 120);
}

static void firmware_that_cannot_be_left_ends_without_its_console(void **state)
{
    trouble.stale_exits = 100;
    assert_false(run());
    assert_int_equal(exits, 8);
    assert_non_null(strstr(death, "orrery: the firmware cannot be left\r\n"));
    assert_int_equal(lines, 0);
    start(state);
    trouble.exit_status = EFI_LOAD_ERROR;
    assert_false(run());
    assert_int_equal(exits, 1);
    assert_non_null(strstr(death, "cannot be left"));
    start(state);
    trouble.stale_exits = 8;
    trouble.map_grows_by = 1000;
    assert_false(run());
    assert_non_null(strstr(death, "last memory map cannot be used"));
}

static void expect_line(const char *wanted)
{
    assert_false(run());
    if (strncmp(said, "orrery: ", 8) != 0 || strstr(said, wanted) == NULL) {
        fail_msg("said '%s', wanted '%s'", said, wanted);
    }
    assert_int_equal(lines, 1);
    assert_int_equal(exits, 0);
    assert_int_equal(death[0], 0);
}

static void each_failure_is_one_line_on_the_console(void **state)
{
#define SAYS(change, wanted) (start(state), (void)(change), expect_line(wanted))
    SAYS(trouble.no_volume = true, "the volume that the loader came from cannot be opened (EFI error 14)");
    SAYS(trouble.no_root = true, "the volume that the loader came from cannot be opened (EFI error 1)");
    SAYS(files[0].name = NULL, "\\orrery\\kernel.elf: not found");
    SAYS(trouble.read_fails = true, "\\orrery\\kernel.elf: cannot be read (EFI error 1)");
    SAYS(files[1].size = 2ull << 30, "\\orrery\\initrd.cpio: more than 1 GiB");
    SAYS(files[0].size = 63, "\\orrery\\kernel.elf: not an ELF file");
    SAYS(kernel_file[18] = 3, "\\orrery\\kernel.elf: not an x86-64 ELF executable");
    SAYS(kernel_file[56] = 0, "\\orrery\\kernel.elf: no usable program headers");
    SAYS(put64(kernel_file + 32, FILE_BYTES - 100), "no usable program headers");
    SAYS(put64(kernel_file + 64 + 8, FILE_BYTES), "\\orrery\\kernel.elf: segment 0 is impossible");
    SAYS(put64(kernel_file + 64 + 24, 1ull << 32), "segment 0 is impossible");
    SAYS(put64(kernel_file + 64 + 56 + 40, 0x3ff), "segment 1 is impossible");
    SAYS(kernel_file[0x220] = 'X', "no handoff entry: not a kernel of this system");
    SAYS(put32(kernel_file + 0x200 + 40, KERNEL_BASE - 1), "no handoff entry");
    SAYS(trouble.kernel_place_taken = true,
         "the kernel's place, 20 KiB at 0x100000, is taken (EFI error 14)");
    SAYS(trouble.no_acpi = true, "the firmware has no ACPI tables");
    SAYS(trouble.bad_acpi = true, ": bad program image");
    SAYS(trouble.stride = 36, "the firmware's memory map: its descriptors are unknown");
    SAYS(trouble.version = 2, "the firmware's memory map: its descriptors are unknown");
    SAYS(trouble.descriptors = 1000, "the firmware's memory map: it has too many descriptors");
    SAYS(trouble.map_status = EFI_LOAD_ERROR, "the firmware's memory map cannot be read (EFI error 1)");
    static const char *const rooms[] = {"kernel.elf: ",      "initrd.cpio",        "cmdline.txt",
                                        "the handoff block", "the temporary heap", "the kernel's place",
                                        "the memory map"};
    for (unsigned i = 0; i < sizeof rooms / sizeof rooms[0]; i++) {
        start(state);
        trouble.no_memory_at = i + 1;
        expect_line(i == 0 ? "no memory for \\orrery\\kernel.elf: 12 KiB (EFI error 9)" : rooms[i]);
    }
}

static void command_line_has_a_bound(void **state)
{
    static char line[BLOCK_COMMAND_LINE_MAX + 1];
    memset(line, 'a', sizeof line);
    put_file(2, "\\orrery\\cmdline.txt", line, sizeof line);
    expect_line("\\orrery\\cmdline.txt: more than 2048 characters");
    for (uint64_t length = 0; length < sizeof line; length += 89) {
        start(state);
        put_file(2, "\\orrery\\cmdline.txt", line, length);
        assert_true(run());
        check_block();
        assert_true(block()->command_line.size_bytes >= length);
    }
}

static void no_corrupt_kernel_file_breaks_the_loader(void **state)
{
    uint64_t seed = 7;
    unsigned refused = 0;
    for (unsigned round = 0; round < 3000; round++) {
        start(state);
        for (unsigned i = 0; i < 1 + round % 3; i++) {
            uint64_t at = fake_random(&seed) % (round % 2 ? 0x240 : 232);
            kernel_file[at] =
                (char)(fake_random(&seed) % 3 ? fake_random(&seed) : (uint64_t)(0xff * (round & 1)));
        }
        if (run()) {
            assert_true(entered >= KERNEL_BASE && entered < KERNEL_BASE + KERNEL_BYTES);
        } else {
            assert_int_equal(lines, 1);
            refused++;
        }
    }
    assert_true(refused > 500 && refused < 3000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(loader_hands_over_everything_that_the_firmware_and_the_volume_have, start),
        cmocka_unit_test_setup(initrd_command_line_and_screen_may_be_absent, start),
        cmocka_unit_test_setup(screen_that_is_not_xrgb_is_not_handed_over, start),
        cmocka_unit_test_setup(stale_map_is_fetched_again, start),
        cmocka_unit_test_setup(map_that_outgrows_its_room_gets_more, start),
        cmocka_unit_test_setup(firmware_that_cannot_be_left_ends_without_its_console, start),
        cmocka_unit_test_setup(each_failure_is_one_line_on_the_console, start),
        cmocka_unit_test_setup(command_line_has_a_bound, start),
        cmocka_unit_test_setup(no_corrupt_kernel_file_breaks_the_loader, start),
    };
    return cmocka_run_group_tests(tests, make_memory, NULL);
}
