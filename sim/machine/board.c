/*
 * The two boards.
 *
 *   pc       8259 pair, PIT, HPET, ACPI PM block, i8042, RTC, two 16550s, local APICs, I/O APIC
 *   microvm  RTC, two 16550s, local APICs, I/O APIC, hardware-reduced ACPI registers
 *
 *   both     virtio disks and entropy source, as far as the configuration names them
 *
 * ISA interrupt n goes to input n of the 8259 pair and to pin n of the I/O APIC (the PIT to pin 2); the pair's INTR
 * goes to LINT0 of the bootstrap processor. Source: Intel MultiProcessor Specification 1.4, "Virtual Wire Mode".
 */

#include "machine/board.h"

#include "machine/machine.h"

#define HPET_TIMERS    3u
#define CMOS_EQUIPMENT 0x14u
#define CMOS_BASE_KIB  0x15u
#define CMOS_EXT_KIB   0x17u
#define CMOS_ABOVE_16M 0x34u
#define SECONDS_A_DAY  INT64_C(86400)
#define STREAM_ENTROPY 2u /* random stream of the seed */

_Static_assert(SIM_DISKS_MAX <= VIRTIO_SLOT_ENTROPY && VIRTIO_SLOT_ENTROPY < VIRTIO_SLOTS,
               "a slot for each virtio device");
_Static_assert(((((1u << VIRTIO_SLOTS) - 1) << GSI_VIRTIO) & GSI_HPET) == 0,
               "pins of the HPET are no slot's");

/* ---- interrupt lines ---- */

static void set_isa(void *target, unsigned irq, bool level, uint64_t now_cycles)
{
    struct sim *s = target;
    if (s->config.board == BOARD_PC) {
        pic_set_irq(&s->board.pic, irq, level, now_cycles);
    }
    ioapic_set_pin(&s->ioapic, irq == IRQ_PIT ? GSI_PIT : irq, level, now_cycles);
}

/* PIT and RTC lose their inputs while the HPET replaces them. */
static void set_isa_timer(void *target, unsigned irq, bool level, uint64_t now_cycles)
{
    struct sim *s = target;
    if (!s->board.hpet_legacy) {
        set_isa(s, irq, level, now_cycles);
    }
}

static void set_hpet_legacy(void *target, unsigned line, bool level, uint64_t now_cycles)
{
    struct sim *s = target;
    (void)line;
    (void)now_cycles;
    s->board.hpet_legacy = level;
}

static void set_pic_intr(void *target, unsigned line, bool level, uint64_t now_cycles)
{
    struct sim *s = target;
    (void)line;
    lapic_set_lint(&s->lapics[0], 0, level, now_cycles);
}

static uint8_t acknowledge_pic(void *target, uint64_t now_cycles)
{
    return pic_acknowledge(&((struct sim *)target)->board.pic, now_cycles);
}

static struct irq_line isa(struct sim *s, unsigned irq)
{
    return (struct irq_line){set_isa, s, irq};
}

/* ---- output ---- */

static void put_byte(void *target, uint8_t byte, uint64_t now_cycles)
{
    struct board_output *o = target;
    if (o->sim->on_output) {
        o->sim->on_output(o->sim->on_output_arg, o->port, byte, now_cycles);
    }
}

static struct byte_sink output(struct sim *s, unsigned port)
{
    s->board.outputs[port] = (struct board_output){s, port};
    return (struct byte_sink){put_byte, &s->board.outputs[port]};
}

static void init_uart(struct sim *s, unsigned port, uint16_t base, unsigned irq)
{
    struct uart16550_config config = {
        .base_port = base,
        .rate = s->config.instant_serial ? UART_INSTANT : UART_BAUD,
        .out2_gates_irq = true,
    };
    struct irq_line line = isa(s, irq);
    struct byte_sink out = output(s, port);
    uart16550_init(&s->board.uarts[port], &config, s->events, &line, &out);
    bus_add_ports(&s->bus, base, UART_PORTS, &uart16550_ops, &s->board.uarts[port]);
}

/* ---- the clock on the wall ---- */

/* Civil date of a day counted from 1970-01-01, proleptic Gregorian (years in eras of 400 starting in March). */
static struct rtc_date date_of(int64_t seconds)
{
    int64_t days = seconds / SECONDS_A_DAY, rest = seconds % SECONDS_A_DAY;
    int64_t z = days + 719468;
    int64_t era = z / 146097, day_of_era = z % 146097;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    int64_t year = year_of_era + era * 400 + (month <= 2);
    return (struct rtc_date){
        (uint16_t)year,      (uint8_t)month, (uint8_t)day, (uint8_t)(rest / 3600), (uint8_t)(rest / 60 % 60),
        (uint8_t)(rest % 60)};
}

/* What a PC's firmware leaves in CMOS about memory. */
static void fill_cmos(struct sim *s)
{
    uint64_t extended_kib = (s->map.low_ram_end - BIOS_END) >> 10;
    uint64_t above_16m =
        s->map.low_ram_end > (UINT64_C(16) << 20) ? (s->map.low_ram_end - (UINT64_C(16) << 20)) >> 16 : 0;
    if (extended_kib > 0xffff) {
        extended_kib = 0xffff;
    }
    rtc_set_cmos(&s->board.rtc, CMOS_EQUIPMENT, 0x02); /* a coprocessor */
    rtc_set_cmos(&s->board.rtc, CMOS_BASE_KIB, 640 & 0xff);
    rtc_set_cmos(&s->board.rtc, CMOS_BASE_KIB + 1, 640 >> 8);
    rtc_set_cmos(&s->board.rtc, CMOS_EXT_KIB, (uint8_t)extended_kib);
    rtc_set_cmos(&s->board.rtc, CMOS_EXT_KIB + 1, (uint8_t)(extended_kib >> 8));
    rtc_set_cmos(&s->board.rtc, CMOS_ABOVE_16M, (uint8_t)above_16m);
    rtc_set_cmos(&s->board.rtc, CMOS_ABOVE_16M + 1, (uint8_t)(above_16m >> 8));
}

static void init_rtc(struct sim *s)
{
    struct rtc_date start = date_of(s->config.rtc_start);
    struct irq_line line = {set_isa_timer, s, IRQ_RTC};
    rtc_init(&s->board.rtc, &start, s->events, &line);
    fill_cmos(s);
    bus_add_ports(&s->bus, RTC_PORT, 2, &rtc_ops, &s->board.rtc);
}

/* ---- virtio ---- */

bool board_open_disks(struct sim *s, struct error *e)
{
    for (unsigned i = 0; i < s->config.disk_count; i++) {
        const struct sim_config *c = &s->config;
        struct disk *d = &s->board.disks[i].disk;
        if (!(c->disk_bytes[i] ? disk_init_from(d, c->disks[i], c->disk_bytes[i], c->disk_sizes[i], e)
                               : disk_init(d, c->disks[i], e))) {
            return false;
        }
    }
    return true;
}

static struct virtio_mmio_config virtio_transport(struct sim *s, unsigned slot)
{
    return (struct virtio_mmio_config){
        .bus = &s->bus,
        .events = s->events,
        .irq = {ioapic_set_pin, &s->ioapic, GSI_VIRTIO + slot},
        .fetch_cycles = VIRTIO_FETCH_CYCLES,
    };
}

static void init_disk(struct sim *s, unsigned number)
{
    struct virtio_blk *d = &s->board.disks[number];
    struct virtio_blk_config config = {number, DISK_REQUEST_CYCLES, DISK_SECTOR_CYCLES};
    struct virtio_mmio_config transport = virtio_transport(s, number);
    virtio_blk_init(d, &config, &transport);
    bus_add_mmio(&s->bus, phys(virtio_slot_base(number)), VIRTIO_MMIO_SIZE_BYTES, &virtio_mmio_ops, &d->mmio);
}

static void init_entropy(struct sim *s)
{
    struct virtio_rng *r = &s->board.entropy;
    struct virtio_rng_config config = {.request_cycles = ENTROPY_REQUEST_CYCLES,
                                       .byte_cycles = ENTROPY_BYTE_CYCLES};
    struct virtio_mmio_config transport = virtio_transport(s, VIRTIO_SLOT_ENTROPY);
    rng_init(&config.numbers, s->config.seed, STREAM_ENTROPY);
    virtio_rng_init(r, &config, &transport);
    bus_add_mmio(&s->bus, phys(virtio_slot_base(VIRTIO_SLOT_ENTROPY)), VIRTIO_MMIO_SIZE_BYTES,
                 &virtio_mmio_ops, &r->mmio);
}

static void init_virtio(struct sim *s)
{
    for (unsigned i = 0; i < s->config.disk_count; i++) {
        init_disk(s, i);
    }
    if (s->config.entropy) {
        init_entropy(s);
    }
}

/* ---- the boards ---- */

static struct request_line requests(struct sim *s)
{
    return (struct request_line){machine_request_raised, s};
}

static void init_common(struct sim *s)
{
    struct board *b = &s->board;
    struct request_line request = requests(s);
    struct byte_sink console = output(s, SIM_SERIAL_PORTS);
    init_uart(s, 0, COM1_PORT, IRQ_COM1);
    init_uart(s, 1, COM2_PORT, IRQ_COM2);
    init_rtc(s);
    debug_exit_init(&b->debug_exit, &request);
    debug_console_init(&b->debug_console, &console);
    legacy_ports_init(&b->legacy);
    bus_add_ports(&s->bus, DEBUG_EXIT_PORT, DEBUG_EXIT_PORTS, &debug_exit_ops, &b->debug_exit);
    bus_add_ports(&s->bus, DEBUG_CONSOLE_PORT, 1, &debug_console_ops, &b->debug_console);
    bus_add_ports(&s->bus, LEGACY_PAGE_PORT, LEGACY_PAGE_PORTS, &legacy_ports_ops, &b->legacy);
    bus_add_ports(&s->bus, PCI_CONFIG_ADDRESS_PORT, 1, &legacy_ports_ops, &b->legacy);
    bus_add_ports(&s->bus, PCI_CONFIG_DATA_PORT, PCI_CONFIG_DATA_PORTS, &legacy_ports_ops, &b->legacy);
    bus_add_mmio(&s->bus, phys(LAPIC_BASE), PAGE_SIZE_BYTES, &apic_bus_mmio_ops, &s->apic_bus);
    bus_add_mmio(&s->bus, phys(IOAPIC_BASE), IOAPIC_SIZE_BYTES, &ioapic_ops, &s->ioapic);
}

static void init_i8042(struct sim *s)
{
    struct i8042_wiring wiring = {
        .keyboard = isa(s, IRQ_KEYBOARD),
        .mouse = isa(s, IRQ_MOUSE),
        .request = requests(s), /* A20 is always open: no line */
    };
    i8042_init(&s->board.i8042, &wiring);
    bus_add_ports(&s->bus, I8042_DATA_PORT, 1, &i8042_ops, &s->board.i8042);
    bus_add_ports(&s->bus, I8042_COMMAND_PORT, 1, &i8042_ops, &s->board.i8042);
    bus_add_ports(&s->bus, I8042_PORT_A, 1, &i8042_ops, &s->board.i8042);
}

static void init_hpet(struct sim *s)
{
    struct hpet_config config = {HPET_TIMERS, HPET_HZ_10M, GSI_HPET};
    struct hpet_wiring wiring = {
        .ioapic = {ioapic_set_pin, &s->ioapic, 0},
        .legacy = {isa(s, IRQ_PIT), isa(s, IRQ_RTC)},
        .legacy_on = {set_hpet_legacy, s, 0},
    };
    hpet_init(&s->board.hpet, &config, &wiring, s->events);
    bus_add_mmio(&s->bus, phys(HPET_BASE), HPET_SIZE_BYTES, &hpet_ops, &s->board.hpet);
}

static void init_pm(struct sim *s)
{
    struct acpi_pm_config config = {PM1A_EVENT_PORT, GPE0_PORT, true, SLP_TYP_S5};
    struct irq_line sci = isa(s, IRQ_SCI);
    struct request_line request = requests(s);
    acpi_pm_init(&s->board.pm, &config, s->events, &sci, &request);
    bus_add_ports(&s->bus, PM1A_EVENT_PORT, ACPI_PM_PORTS, &acpi_pm_ops, &s->board.pm);
    bus_add_ports(&s->bus, GPE0_PORT, ACPI_GPE0_PORTS, &acpi_pm_ops, &s->board.pm);
    bus_add_ports(&s->bus, RESET_PORT, 1, &acpi_pm_ops, &s->board.pm);
}

static void init_pc(struct sim *s)
{
    struct irq_line intr = {set_pic_intr, s, 0};
    struct irq_line pit = {set_isa_timer, s, IRQ_PIT};
    pic_init(&s->board.pic, &intr);
    bus_add_ports(&s->bus, PIC_MASTER_PORT, 2, &pic_ops, &s->board.pic);
    bus_add_ports(&s->bus, PIC_SLAVE_PORT, 2, &pic_ops, &s->board.pic);
    bus_add_ports(&s->bus, PIC_ELCR_PORT, 2, &pic_ops, &s->board.pic);
    pit_init(&s->board.pit, s->events, &pit);
    bus_add_ports(&s->bus, PIT_PORT, 4, &pit_ops, &s->board.pit);
    bus_add_ports(&s->bus, PIT_CONTROL_PORT, 1, &pit_ops, &s->board.pit);
    init_hpet(s);
    init_i8042(s);
    init_pm(s);
    for (unsigned i = 0; i < s->config.cpus; i++) {
        s->cpus[i].pic_acknowledge = acknowledge_pic;
        s->cpus[i].pic_target = s;
    }
}

static void init_microvm(struct sim *s)
{
    struct request_line request = requests(s);
    acpi_ged_init(&s->board.ged, &request);
    bus_add_mmio(&s->bus, phys(GED_SLEEP_BASE), ACPI_GED_SIZE_BYTES, &acpi_ged_ops, &s->board.ged);
}

void board_init(struct sim *s)
{
    init_common(s);
    if (s->config.board == BOARD_PC) {
        init_pc(s);
    } else {
        init_microvm(s);
    }
    init_virtio(s);
}

void board_deinit(struct sim *s)
{
    for (unsigned i = 0; i < SIM_DISKS_MAX; i++) {
        disk_deinit(&s->board.disks[i].disk);
    }
}

/* What is the board's own; its devices are on the bus. */
void board_visit(struct sim *s, struct visitor *v)
{
    visit_bool(v, "hpet_legacy", &s->board.hpet_legacy);
}
