#ifndef ORRERY_DEV_PIC_H
#define ORRERY_DEV_PIC_H

/* The two cascaded 8259A interrupt controllers of a PC, with their edge/level control registers. */

#include "core/device.h"
#include "core/pc_map.h"

struct pic_chip {
    uint8_t irr, isr, imr;
    uint8_t lines; /* levels of IR7..IR0 */
    uint8_t elcr;  /* 1: level-triggered */
    uint8_t base;  /* vector of IR0: ICW2 bits 7..3 */
    uint8_t icw3, icw4;
    uint8_t init_step; /* 0: ready; else the ICW expected next: 2, 3, 4 */
    uint8_t lowest;    /* the input with the lowest priority */
    bool ltim;         /* ICW1: all inputs level-triggered */
    bool single, needs_icw4;
    bool read_isr; /* OCW3: a read of the first port gives ISR */
    bool special_mask;
    bool poll; /* the next read is a poll */
    bool rotate_on_auto_eoi;
    bool initialised;
};

struct pic {
    struct irq_line intr;

    /* state */
    struct pic_chip master, slave;
    bool intr_level;
};

void pic_init(struct pic *p, const struct irq_line *intr);
void pic_reset(struct pic *p, uint64_t now_cycles);
void pic_visit(struct pic *p, struct visitor *v);
extern const struct device_ops pic_ops; /* the six ports above */

/* Inputs 0..15 (2 is the cascade and ignored); the shape of irq_line.set, target is the pic. */
void pic_set_irq(void *pic, unsigned irq, bool level, uint64_t now_cycles);

/* The CPU's interrupt acknowledge: returns the vector (the spurious one, IR7 of a chip, if the request is
 * gone). */
uint8_t pic_acknowledge(struct pic *p, uint64_t now_cycles);

#endif
