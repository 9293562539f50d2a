/*
 * Two 8259A programmable interrupt controllers, the second on IR2 of the first, and the ELCR.
 *
 * Source: Intel 8259A data sheet, "Programming the 8259A", "Operation Command Words"; for the ELCR the
 * register description of Intel's I/O controller hubs, "Edge/Level Control Register".
 *
 * Deviations: 8080 mode (ICW4 bit 0 clear) acknowledges as 8086 mode. Buffered mode has no effect. The edge
 * inputs latch without the minimal high time. Levels of ELCR for IR0, 1, 2, 8 and 13 read as zero.
 */

#include "dev/pic.h"

#include "dev/byte_ports.h"

#define NO_IRQ 8u

#define ICW1_INIT 0x10u
#define ICW1_LTIM 0x08u
#define ICW1_SNGL 0x02u
#define ICW1_IC4  0x01u

#define ICW4_AEOI 0x02u
#define ICW4_SFNM 0x10u

#define OCW3_SELECT 0x08u
#define OCW3_ESMM   0x40u
#define OCW3_SMM    0x20u
#define OCW3_POLL   0x04u
#define OCW3_RR     0x02u
#define OCW3_RIS    0x01u

#define ELCR_MASTER 0xf8u
#define ELCR_SLAVE  0xdeu

static uint8_t bit(unsigned irq)
{
    return (uint8_t)(1u << irq);
}

static bool is_level(const struct pic_chip *c, unsigned irq)
{
    return c->ltim || (c->elcr & bit(irq));
}

/* The input of the highest priority in set, or NO_IRQ. */
static unsigned highest(const struct pic_chip *c, uint8_t set)
{
    for (unsigned i = 1; i <= 8; i++) {
        unsigned irq = (c->lowest + i) & 7;
        if (set & bit(irq)) {
            return irq;
        }
    }
    return NO_IRQ;
}

static unsigned rank(const struct pic_chip *c, unsigned irq)
{
    return (irq - c->lowest - 1) & 7;
}

/* The input whose service blocks those of its rank and below, or NO_IRQ. In special mask mode a masked one
 * does not. */
static unsigned blocking(const struct pic_chip *c)
{
    return highest(c, c->special_mask ? (uint8_t)(c->isr & ~c->imr) : c->isr);
}

/* The request that the chip would raise now, or NO_IRQ. */
static unsigned pending(const struct pic_chip *c, bool is_master)
{
    unsigned irq = highest(c, (uint8_t)(c->irr & ~c->imr));
    if (!c->initialised || irq == NO_IRQ) {
        return NO_IRQ;
    }
    unsigned in_service = blocking(c);
    if (in_service == NO_IRQ || rank(c, irq) < rank(c, in_service)) {
        return irq;
    }
    /* Special fully nested mode: a higher request of the slave being served gets through. */
    bool nested = is_master && (c->icw4 & ICW4_SFNM) && irq == IRQ_CASCADE && in_service == IRQ_CASCADE;
    return nested ? irq : NO_IRQ;
}

static void set_line(struct pic_chip *c, unsigned irq, bool level)
{
    bool rising = level && !(c->lines & bit(irq));
    c->lines = level ? c->lines | bit(irq) : c->lines & (uint8_t)~bit(irq);
    if (!level) {
        c->irr &= (uint8_t)~bit(irq); /* a request must stay until it is acknowledged */
    } else if (rising || is_level(c, irq)) {
        c->irr |= bit(irq);
    }
}

static void update(struct pic *p, uint64_t now_cycles)
{
    set_line(&p->master, IRQ_CASCADE, pending(&p->slave, false) != NO_IRQ);
    bool level = pending(&p->master, true) != NO_IRQ;
    if (level != p->intr_level) {
        p->intr_level = level;
        irq_set(&p->intr, level, now_cycles);
    }
}

void pic_set_irq(void *pic, unsigned irq, bool level, uint64_t now_cycles)
{
    struct pic *p = pic;
    if (irq >= ISA_INTERRUPTS || irq == IRQ_CASCADE) {
        return;
    }
    set_line(irq < 8 ? &p->master : &p->slave, irq & 7, level);
    update(p, now_cycles);
}

/* Second half of an acknowledge: the request goes into service, or straight out with automatic EOI. */
static void take(struct pic_chip *c, unsigned irq)
{
    if (!is_level(c, irq)) {
        c->irr &= (uint8_t)~bit(irq);
    }
    if (!(c->icw4 & ICW4_AEOI)) {
        c->isr |= bit(irq);
    } else if (c->rotate_on_auto_eoi) {
        c->lowest = (uint8_t)irq;
    }
}

/* Acknowledges one chip; its answer is the input, 7 without a service bit when the request is gone. */
static unsigned acknowledge_chip(struct pic_chip *c, bool is_master)
{
    unsigned irq = pending(c, is_master);
    if (irq == NO_IRQ) {
        return 7;
    }
    take(c, irq);
    return irq;
}

/* The INTR line drops during an acknowledge, so that the next request makes an edge. */
static void drop_intr(struct pic *p, uint64_t now_cycles)
{
    if (p->intr_level) {
        p->intr_level = false;
        irq_set(&p->intr, false, now_cycles);
    }
}

/* The slave is no longer asked: its request line to the master falls, and rises again if it has another. */
static void pulse_cascade(struct pic *p)
{
    set_line(&p->master, IRQ_CASCADE, false);
}

uint8_t pic_acknowledge(struct pic *p, uint64_t now_cycles)
{
    drop_intr(p, now_cycles);
    bool cascaded = pending(&p->master, true) == IRQ_CASCADE;
    unsigned irq = acknowledge_chip(&p->master, true);
    unsigned vector = p->master.base + irq;
    if (cascaded) {
        vector = p->slave.base + acknowledge_chip(&p->slave, false);
        pulse_cascade(p);
    }
    update(p, now_cycles);
    return (uint8_t)vector;
}

/* OCW2: R, SL, EOI and a level. */
static void write_ocw2(struct pic_chip *c, uint8_t value)
{
    unsigned level = value & 7;
    unsigned in_service = blocking(c);
    switch (value >> 5) {
    case 0: /* clear rotate in automatic EOI mode */
        c->rotate_on_auto_eoi = false;
        break;
    case 1: /* non-specific EOI */
    case 5: /* and rotate */
        if (in_service != NO_IRQ) {
            c->isr &= (uint8_t)~bit(in_service);
            c->lowest = value >> 5 == 5 ? (uint8_t)in_service : c->lowest;
        }
        break;
    case 2: /* no operation */
        break;
    case 3: /* specific EOI */
        c->isr &= (uint8_t)~bit(level);
        break;
    case 4: /* set rotate in automatic EOI mode */
        c->rotate_on_auto_eoi = true;
        break;
    case 6: /* set priority */
        c->lowest = (uint8_t)level;
        break;
    default: /* rotate on specific EOI */
        c->isr &= (uint8_t)~bit(level);
        c->lowest = (uint8_t)level;
        break;
    }
}

static void write_ocw3(struct pic_chip *c, uint8_t value)
{
    if (value & OCW3_ESMM) {
        c->special_mask = value & OCW3_SMM;
    }
    if (value & OCW3_POLL) {
        c->poll = true;
    } else if (value & OCW3_RR) {
        c->read_isr = value & OCW3_RIS;
    }
}

static void write_icw1(struct pic_chip *c, uint8_t value)
{
    uint8_t lines = c->lines, elcr = c->elcr;
    *c = (struct pic_chip){.lines = lines, .elcr = elcr, .lowest = 7, .init_step = 2};
    c->ltim = value & ICW1_LTIM;
    c->single = value & ICW1_SNGL;
    c->needs_icw4 = value & ICW1_IC4;
    for (unsigned irq = 0; irq < 8; irq++) { /* edges must come anew, levels persist */
        c->irr |= is_level(c, irq) ? lines & bit(irq) : 0;
    }
}

/* ICW2, ICW3, ICW4 in turn; after the last the chip works. */
static void write_icw(struct pic_chip *c, uint8_t value)
{
    unsigned next = 0;
    if (c->init_step == 2) {
        c->base = value & 0xf8;
        next = c->single ? 4 : 3;
    } else if (c->init_step == 3) {
        c->icw3 = value;
        next = 4;
    } else {
        c->icw4 = value;
    }
    c->init_step = (uint8_t)(next == 4 && !c->needs_icw4 ? 0 : next);
    c->initialised = c->init_step == 0;
}

static void write_chip(struct pic_chip *c, bool second_port, uint8_t value)
{
    if (second_port) {
        if (c->init_step) {
            write_icw(c, value);
        } else {
            c->imr = value;
        }
    } else if (value & ICW1_INIT) {
        write_icw1(c, value);
    } else if (value & OCW3_SELECT) {
        write_ocw3(c, value);
    } else {
        write_ocw2(c, value);
    }
}

/* A poll is an acknowledge without a vector: bit 7 and the input, or 0. */
static uint8_t poll_chip(struct pic *p, struct pic_chip *c)
{
    bool is_master = c == &p->master;
    unsigned irq = pending(c, is_master);
    c->poll = false;
    if (irq == NO_IRQ) {
        return 0;
    }
    take(c, irq);
    if (!is_master) {
        pulse_cascade(p);
    }
    return (uint8_t)(0x80 | irq);
}

static uint8_t read_chip(struct pic *p, struct pic_chip *c, bool second_port)
{
    if (c->poll) {
        return poll_chip(p, c);
    }
    if (second_port) {
        return c->imr;
    }
    return c->read_isr ? c->isr : c->irr;
}

static struct pic_chip *chip_at(struct pic *p, uint16_t port)
{
    if ((port & ~1u) == PIC_MASTER_PORT) {
        return &p->master;
    }
    return (port & ~1u) == PIC_SLAVE_PORT ? &p->slave : NULL;
}

static uint8_t read_byte(void *dev, const struct bus_cx *cx, uint16_t port)
{
    struct pic *p = dev;
    struct pic_chip *c = chip_at(p, port);
    uint8_t value = 0xff;
    if (c) {
        value = read_chip(p, c, port & 1);
        update(p, cx->now_cycles);
    } else if ((port & ~1u) == PIC_ELCR_PORT) {
        value = port & 1 ? p->slave.elcr : p->master.elcr;
    }
    return value;
}

static void write_elcr(struct pic_chip *c, uint8_t value)
{
    c->elcr = value;
    for (unsigned irq = 0; irq < 8; irq++) {
        if (value & c->lines & bit(irq)) {
            c->irr |= bit(irq);
        }
    }
}

static void write_byte(void *dev, const struct bus_cx *cx, uint16_t port, uint8_t value)
{
    struct pic *p = dev;
    struct pic_chip *c = chip_at(p, port);
    if (c) {
        write_chip(c, port & 1, value);
    } else if (port == PIC_ELCR_PORT) {
        write_elcr(&p->master, value & ELCR_MASTER);
    } else if (port == PIC_ELCR_PORT + 1) {
        write_elcr(&p->slave, value & ELCR_SLAVE);
    }
    update(p, cx->now_cycles);
}

static void reset_chip(struct pic_chip *c)
{
    *c = (struct pic_chip){.lines = c->lines, .imr = 0xff, .lowest = 7};
}

void pic_reset(struct pic *p, uint64_t now_cycles)
{
    reset_chip(&p->master);
    reset_chip(&p->slave);
    update(p, now_cycles);
}

void pic_init(struct pic *p, const struct irq_line *intr)
{
    *p = (struct pic){.intr = *intr};
    pic_reset(p, 0);
}

static void visit_chip(struct pic_chip *c, struct visitor *v)
{
    visit_u8(v, "irr", &c->irr);
    visit_u8(v, "isr", &c->isr);
    visit_u8(v, "imr", &c->imr);
    visit_u8(v, "lines", &c->lines);
    visit_u8(v, "elcr", &c->elcr);
    visit_u8(v, "base", &c->base);
    visit_u8(v, "icw3", &c->icw3);
    visit_u8(v, "icw4", &c->icw4);
    visit_choice(v, "init_step", &c->init_step, 4);
    visit_choice(v, "lowest", &c->lowest, 7);
    visit_bool(v, "ltim", &c->ltim);
    visit_bool(v, "single", &c->single);
    visit_bool(v, "needs_icw4", &c->needs_icw4);
    visit_bool(v, "read_isr", &c->read_isr);
    visit_bool(v, "special_mask", &c->special_mask);
    visit_bool(v, "poll", &c->poll);
    visit_bool(v, "rotate_on_auto_eoi", &c->rotate_on_auto_eoi);
    visit_bool(v, "initialised", &c->initialised);
}

void pic_visit(struct pic *p, struct visitor *v)
{
    visit_enter(v, "chip", 0);
    visit_chip(&p->master, v);
    visit_leave(v);
    visit_enter(v, "chip", 1);
    visit_chip(&p->slave, v);
    visit_leave(v);
    visit_bool(v, "intr_level", &p->intr_level);
}

static uint64_t pic_port_read(void *dev, const struct bus_cx *cx, uint16_t port, unsigned size_bytes)
{
    return byte_ports_read(read_byte, dev, cx, port, size_bytes);
}

static void pic_port_write(void *dev, const struct bus_cx *cx, uint16_t port, uint64_t value,
                           unsigned size_bytes)
{
    byte_ports_write(write_byte, dev, cx, port, value, size_bytes);
}

static void visit_op(void *dev, struct visitor *v)
{
    pic_visit(dev, v);
}

const struct device_ops pic_ops = {
    .name = "pic",
    .port_read = pic_port_read,
    .port_write = pic_port_write,
    .visit = visit_op,
};
