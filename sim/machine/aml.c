/* AML and table bytes. Source: ACPI Specification 6.4, "AML Grammar Definition", "Package Length Encoding". */

#include "machine/aml.h"

#include "base/bits.h"
#include "base/check.h"

#include <string.h>

static uint8_t *grow(struct aml *a, size_t size)
{
    CHECK(size <= AML_BYTES_MAX - a->size, "ACPI tables do not fit %u bytes", AML_BYTES_MAX);
    uint8_t *at = a->bytes + a->size;
    a->size += size;
    return at;
}

void aml_u8(struct aml *a, unsigned v)
{
    *grow(a, 1) = (uint8_t)v;
}

void aml_u16(struct aml *a, unsigned v)
{
    store_le16(grow(a, 2), (uint16_t)v);
}

void aml_u32(struct aml *a, uint64_t v)
{
    store_le32(grow(a, 4), (uint32_t)v);
}

void aml_u64(struct aml *a, uint64_t v)
{
    store_le64(grow(a, 8), v);
}

void aml_bytes(struct aml *a, const void *p, size_t size)
{
    memcpy(grow(a, size), p, size);
}

void aml_zero(struct aml *a, size_t count)
{
    memset(grow(a, count), 0, count);
}

void aml_name(struct aml *a, const char *name)
{
    aml_bytes(a, name, strlen(name));
}

void aml_integer(struct aml *a, uint64_t v)
{
    if (v <= 1) {
        aml_u8(a, (unsigned)v); /* ZeroOp, OneOp */
    } else if (v <= 0xff) {
        aml_u8(a, 0x0a);
        aml_u8(a, (unsigned)v);
    } else if (v <= 0xffff) {
        aml_u8(a, 0x0b);
        aml_u16(a, (unsigned)v);
    } else {
        aml_u8(a, 0x0c);
        aml_u32(a, v);
    }
}

void aml_string(struct aml *a, const char *text)
{
    aml_u8(a, 0x0d);
    aml_bytes(a, text, strlen(text) + 1);
}

size_t aml_begin(struct aml *a, unsigned opcode_prefix, unsigned opcode)
{
    if (opcode_prefix != AML_NO_PREFIX) {
        aml_u8(a, opcode_prefix);
    }
    aml_u8(a, opcode);
    return a->size;
}

void aml_end(struct aml *a, size_t mark)
{
    size_t body = a->size - mark;
    unsigned length_bytes = body + 1 < 64 ? 1 : 2; /* two bytes reach 4095, enough here */
    size_t length = body + length_bytes;
    CHECK(length < 4096, "an AML package of %zu bytes", length);
    grow(a, length_bytes);
    memmove(a->bytes + mark + length_bytes, a->bytes + mark, body);
    if (length_bytes == 1) {
        a->bytes[mark] = (uint8_t)length;
    } else {
        a->bytes[mark] = (uint8_t)(0x40 | (length & 0xf));
        a->bytes[mark + 1] = (uint8_t)(length >> 4);
    }
}

uint8_t aml_checksum(const uint8_t *p, size_t size)
{
    unsigned sum = 0;
    for (size_t i = 0; i < size; i++) {
        sum += p[i];
    }
    return (uint8_t)(0 - sum);
}
