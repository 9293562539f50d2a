#ifndef ORRERY_MACHINE_AML_H
#define ORRERY_MACHINE_AML_H

/* A writer of ACPI tables and of the little AML that the boards need. The buffer is bounded: overflowing it is a
 * CHECK. Source: ACPI Specification 6.4, "ACPI Machine Language (AML) Specification". */

#include <stddef.h>
#include <stdint.h>

#define AML_BYTES_MAX 16384u

struct aml {
    uint8_t bytes[AML_BYTES_MAX];
    size_t size;
};

void aml_u8(struct aml *a, unsigned v);
void aml_u16(struct aml *a, unsigned v);
void aml_u32(struct aml *a, uint64_t v);
void aml_u64(struct aml *a, uint64_t v);
void aml_bytes(struct aml *a, const void *p, size_t size);
void aml_zero(struct aml *a, size_t count);

/* A name segment or an absolute path of one segment ("\\_S5_"). */
void aml_name(struct aml *a, const char *name);
/* An integer constant in its shortest form. */
void aml_integer(struct aml *a, uint64_t v);
void aml_string(struct aml *a, const char *text);

/* Packages (device, scope, method, package, buffer): begin emits the opcode and returns a mark; end inserts the
 * package length before everything emitted since. */
size_t aml_begin(struct aml *a, unsigned opcode_prefix, unsigned opcode);
void aml_end(struct aml *a, size_t mark);

/* The byte that makes size bytes (with a zero in its place) sum to zero. */
uint8_t aml_checksum(const uint8_t *p, size_t size);

#define AML_NO_PREFIX 0u
#define AML_EXT       0x5bu
#define AML_NAME_OP   0x08u
#define AML_SCOPE     0x10u
#define AML_BUFFER    0x11u
#define AML_PACKAGE   0x12u
#define AML_METHOD    0x14u
#define AML_DEVICE    0x82u /* after AML_EXT */

#endif
