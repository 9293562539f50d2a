#ifndef ORRERY_TESTS_GUEST_IMAGE_H
#define ORRERY_TESTS_GUEST_IMAGE_H

/* Machines for tests that run a few instructions: code assembled into the test program itself (GUEST_CODE), wrapped
 * as a Multiboot image at GUEST_BASE, entered in 32-bit protected mode at its first byte. */

#include "machine/sim.h"

#define GUEST_BASE 0x200000u

/* Defines `name` and `name_end`: position-dependent code must be written relative to GUEST_BASE itself. */
#define GUEST_CODE(name, text)                                                                           \
    extern const uint8_t name[], name##_end[];                                                           \
    __asm__(".pushsection .rodata\n.globl " #name "\n.globl " #name "_end\n" #name ":\n" text "\n" #name \
            "_end:\n.popsection\n")

/* The image of code; free() ends it. */
uint8_t *guest_image(const uint8_t *code, const uint8_t *end, size_t *bytes);

/* A machine with the code loaded; c may be NULL for defaults. Fails the test when it cannot be made. */
struct sim *guest_create(const struct sim_config *c, const uint8_t *code, const uint8_t *end);

/* As guest_create with a file's bytes as the image. */
struct sim *guest_create_image(const struct sim_config *c, const uint8_t *image, size_t size);

#endif
