/*
 * Decoding: Zydis's description of an instruction, reduced to struct insn.
 *
 * Source: Zydis 4.0; APM vol. 3, "Instruction Encoding". What Zydis knows and this CPU does not report by
 * CPUID (AVX, 3DNow!, virtualisation, ...) is no instruction here; what CPUID does report and no row names is
 * "not modelled". AMD's ruling on the operand-size prefix of near branches in 64-bit mode holds: the operand
 * is 16 bits. A few encodings mean something else to the processor than to Zydis: decode_reserved, decode_again.
 */

#include "cpu/insn.h"
#include "cpu/uop.h"

#include <Zydis/Zydis.h>

/* Register number within its class, and the kind of operand. */
static void decode_register(struct operand *op, ZydisRegister reg)
{
    ZyanI8 id = ZydisRegisterGetId(reg);
    op->reg = (uint8_t)id;
    switch ((unsigned)ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_GPR8:
        /* AL CL DL BL AH CH DH BH SPL BPL SIL DIL R8B ...: ids 4..7 are the high halves. */
        op->kind = id >= 4 && id < 8 ? OPERAND_HIGH8 : OPERAND_GPR;
        op->reg = (uint8_t)(id >= 4 ? id - 4 : id);
        break;
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        op->kind = OPERAND_GPR;
        break;
    case ZYDIS_REGCLASS_XMM:
        op->kind = OPERAND_XMM;
        break;
    case ZYDIS_REGCLASS_MMX:
        op->kind = OPERAND_MM;
        break;
    case ZYDIS_REGCLASS_X87:
        op->kind = OPERAND_ST;
        break;
    case ZYDIS_REGCLASS_SEGMENT:
        op->kind = OPERAND_SEG;
        break;
    case ZYDIS_REGCLASS_CONTROL:
        op->kind = OPERAND_CR;
        break;
    case ZYDIS_REGCLASS_DEBUG:
        op->kind = OPERAND_DR;
        break;
    default:
        op->kind = OPERAND_NONE;
        break;
    }
}

static uint8_t address_register(ZydisRegister reg)
{
    if (reg == ZYDIS_REGISTER_NONE) {
        return REG_NONE;
    }
    if (reg == ZYDIS_REGISTER_RIP || reg == ZYDIS_REGISTER_EIP) {
        return REG_RIP;
    }
    return (uint8_t)ZydisRegisterGetId(reg);
}

static void decode_memory(struct insn *out, const ZydisDecodedOperandMem *m)
{
    out->mem_base = address_register(m->base);
    out->mem_index = address_register(m->index);
    out->mem_scale = m->scale ? m->scale : 1;
    out->disp = m->disp.value;
    if (m->segment != ZYDIS_REGISTER_NONE) {
        out->mem_seg = (uint8_t)ZydisRegisterGetId(m->segment);
    }
}

static uint8_t operand_bytes(unsigned size_bits)
{
    return (uint8_t)(size_bits <= 128 ? size_bits / 8 : 0);
}

static void decode_operand(struct insn *out, unsigned n, const ZydisDecodedOperand *z)
{
    struct operand *op = &out->op[n];
    op->size_bytes = operand_bytes(z->size);
    switch (z->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
        decode_register(op, z->reg.value);
        break;
    case ZYDIS_OPERAND_TYPE_MEMORY:
        op->kind = OPERAND_MEM;
        if (z->mem.type == ZYDIS_MEMOP_TYPE_AGEN) {
            op->size_bytes = 0;
        }
        decode_memory(out, &z->mem);
        break;
    case ZYDIS_OPERAND_TYPE_POINTER:
        op->kind = OPERAND_FAR;
        out->imm = z->ptr.offset;
        out->imm2 = z->ptr.segment;
        break;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        op->kind = z->imm.is_relative ? OPERAND_REL : OPERAND_IMM;
        op->size_bytes = out->operand_size_bytes;
        if (n > 0 && out->op[n - 1].kind == OPERAND_IMM) {
            out->imm2 = z->imm.value.u;
        } else {
            out->imm = z->imm.value.u;
        }
        break;
    case ZYDIS_OPERAND_TYPE_UNUSED:
    default:
        op->kind = OPERAND_NONE;
        break;
    }
}

/* Prefixes from the raw bytes, because Zydis reports only those that mean something to it. The last of F2 and
 * F3 rules; in 64-bit mode overrides by ES, CS, SS and DS do not exist. */
static void decode_prefixes(struct insn *out, const ZydisDecodedInstruction *z, bool long_mode)
{
    for (unsigned i = 0; i < z->raw.prefix_count; i++) {
        switch (z->raw.prefixes[i].value) {
        case 0xf0:
            out->prefixes |= PREFIX_LOCK;
            break;
        case 0xf2:
            out->prefixes = (uint8_t)((out->prefixes & ~PREFIX_REP) | PREFIX_REPNE);
            break;
        case 0xf3:
            out->prefixes = (uint8_t)((out->prefixes & ~PREFIX_REPNE) | PREFIX_REP);
            break;
        case 0x26:
            out->mem_seg = long_mode ? out->mem_seg : (uint8_t)SEG_ES;
            break;
        case 0x2e:
            out->mem_seg = long_mode ? out->mem_seg : (uint8_t)SEG_CS;
            break;
        case 0x36:
            out->mem_seg = long_mode ? out->mem_seg : (uint8_t)SEG_SS;
            break;
        case 0x3e:
            out->mem_seg = long_mode ? out->mem_seg : (uint8_t)SEG_DS;
            break;
        case 0x64:
            out->mem_seg = SEG_FS;
            break;
        case 0x65:
            out->mem_seg = SEG_GS;
            break;
        default:
            break;
        }
    }
    if (z->raw.rex.W) {
        out->prefixes |= PREFIX_REX_W;
    }
}

/* Near branches under AMD's ruling (see the head of the file). REX.W overrules the prefix. */
static void decode_amd_branch(struct insn *out, const ZydisDecodedInstruction *z)
{
    bool near =
        z->meta.branch_type == ZYDIS_BRANCH_TYPE_SHORT || z->meta.branch_type == ZYDIS_BRANCH_TYPE_NEAR;
    if (near && z->machine_mode == ZYDIS_MACHINE_MODE_LONG_64 &&
        (z->attributes & ZYDIS_ATTRIB_HAS_OPERANDSIZE) && !z->raw.rex.W) {
        out->operand_size_bytes = 2;
        out->op[0].size_bytes = 2;
    }
}

static uint8_t opcode_map(ZydisOpcodeMap map)
{
    switch ((unsigned)map) {
    case ZYDIS_OPCODE_MAP_0F:
        return 0x0f;
    case ZYDIS_OPCODE_MAP_0F38:
        return 0x38;
    case ZYDIS_OPCODE_MAP_0F3A:
        return 0x3a;
    default:
        return 0;
    }
}

static enum insn_form decode_form(const struct insn *in, const ZydisDecodedInstruction *z)
{
    if (z->meta.category == ZYDIS_CATEGORY_STRINGOP || z->meta.category == ZYDIS_CATEGORY_IOSTRINGOP) {
        return FORM_STRING;
    }
    if (z->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR) {
        return FORM_FAR;
    }
    for (unsigned i = 0; i < in->operand_count; i++) {
        if (in->op[i].kind == OPERAND_CR) {
            return FORM_CONTROL;
        }
        if (in->op[i].kind == OPERAND_DR) {
            return FORM_DEBUG;
        }
    }
    bool loads_segment = in->op[0].kind == OPERAND_SEG && z->mnemonic != ZYDIS_MNEMONIC_PUSH;
    return loads_segment ? FORM_SEGMENT : FORM_PLAIN;
}

/* VEX encodings are BMI1's and BMI2's only, and protected mode's. (Zydis also knows the POPCNT, LZCNT and TZCNT of
 * another processor's vector extension.) */
static bool encoding_is_present(const ZydisDecodedInstruction *z, unsigned mode)
{
    return z->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY ||
           (mode != MODE_REAL &&
            (z->meta.isa_ext == ZYDIS_ISA_EXT_BMI1 || z->meta.isa_ext == ZYDIS_ISA_EXT_BMI2));
}

/* True for extensions that CPUID reports, so that an instruction of theirs without a row is legal and
 * unbuilt. */
static bool extension_is_present(const ZydisDecodedInstruction *z)
{
    if (z->encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) {
        return true; /* encoding_is_present */
    }
    switch ((unsigned)z->meta.isa_ext) {
    case ZYDIS_ISA_EXT_BASE:
    case ZYDIS_ISA_EXT_LONGMODE:
    case ZYDIS_ISA_EXT_X87:
    case ZYDIS_ISA_EXT_MMX:
    case ZYDIS_ISA_EXT_SSE:
    case ZYDIS_ISA_EXT_SSE2:
    case ZYDIS_ISA_EXT_SSE3:
    case ZYDIS_ISA_EXT_SSSE3:
    case ZYDIS_ISA_EXT_SSE4:
    case ZYDIS_ISA_EXT_SSE4A:
    case ZYDIS_ISA_EXT_XSAVE:
    case ZYDIS_ISA_EXT_XSAVEOPT:
    case ZYDIS_ISA_EXT_RDTSCP:
    case ZYDIS_ISA_EXT_RDRAND:
    case ZYDIS_ISA_EXT_RDSEED:
    case ZYDIS_ISA_EXT_INVPCID:
    case ZYDIS_ISA_EXT_RDWRFSGS:
    case ZYDIS_ISA_EXT_SMAP:
    case ZYDIS_ISA_EXT_CLFSH:
    case ZYDIS_ISA_EXT_CLFLUSHOPT:
    case ZYDIS_ISA_EXT_CLWB:
    case ZYDIS_ISA_EXT_RDPID:
    case ZYDIS_ISA_EXT_PAUSE:
    case ZYDIS_ISA_EXT_LZCNT:
    case ZYDIS_ISA_EXT_ADOX_ADCX:
    case ZYDIS_ISA_EXT_MOVBE:
        return true;
    default:
        return false;
    }
}

static ZydisDecoder decoder_for(unsigned mode)
{
    ZydisDecoder d;
    if (mode == MODE_LONG64) {
        ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
    } else if (mode == MODE_PROT32) {
        ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
    } else {
        /* Real mode decodes as 16-bit protected mode: LAR, ARPL and the like get their #UD from
         * INSN_PROTECTED. */
        ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
    }
    ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_AMD_BRANCHES, ZYAN_TRUE);
    ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
    ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
    ZydisDecoderEnableMode(&d, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
    return d;
}

static void decode_fill(struct insn *out, const ZydisDecodedInstruction *z,
                        const ZydisDecodedOperand *operands)
{
    out->mnemonic = (uint16_t)z->mnemonic;
    out->length = z->length;
    out->opcode = z->opcode;
    out->opcode_map = opcode_map(z->opcode_map);
    if (z->attributes & ZYDIS_ATTRIB_HAS_MODRM) {
        out->modrm = (uint8_t)(z->raw.modrm.mod << 6 | z->raw.modrm.reg << 3 | z->raw.modrm.rm);
    }
    out->operand_size_bytes = (uint8_t)(z->operand_width / 8);
    out->address_size_bytes = (uint8_t)(z->address_width / 8);
    out->mem_base = REG_NONE;
    out->mem_index = REG_NONE;
    out->mem_scale = 1;
    out->mem_seg = SEG_DS;
    decode_prefixes(out, z, z->machine_mode == ZYDIS_MACHINE_MODE_LONG_64);
    unsigned count = z->operand_count_visible;
    out->operand_count = (uint8_t)(count < INSN_OPERANDS_MAX ? count : INSN_OPERANDS_MAX);
    for (unsigned i = 0; i < out->operand_count; i++) {
        decode_operand(out, i, &operands[i]);
    }
    decode_amd_branch(out, z);
}

static enum decode_result decode_failure(ZyanStatus status)
{
    if (status == ZYDIS_STATUS_NO_MORE_DATA) {
        return DECODE_SHORT;
    }
    return status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG ? DECODE_LONG : DECODE_UD;
}

static bool is_legacy_prefix(uint8_t byte)
{
    return (byte & 0xe7) == 0x26 || (byte >= 0x64 && byte <= 0x67) || byte == 0xf0 || byte == 0xf2 ||
           byte == 0xf3;
}

/* Where the immediate is, when it is the only one, at the end, and an operand as it stands (insn_immediate). */
static void decode_immediate(struct insn *out, const ZydisDecodedInstruction *z)
{
    bool operand = false;
    for (unsigned i = 0; i < out->operand_count; i++) {
        operand = operand || out->op[i].kind == OPERAND_IMM || out->op[i].kind == OPERAND_REL;
    }
    unsigned size_bytes = z->raw.imm[0].size / 8u;
    if (operand && size_bytes != 0 && z->raw.imm[1].size == 0 &&
        z->raw.imm[0].offset + size_bytes == z->length) {
        out->imm_bytes = (uint8_t)size_bytes;
        out->imm_signed = z->raw.imm[0].is_signed;
        out->imm_bytes = insn_immediate(out, out->bytes) == out->imm ? out->imm_bytes : 0;
    }
}

/* Encodings that the processor does not read as Zydis does, before decoding: bytes of the same length that Zydis reads
 * the right way. 0F 0D with a memory operand is PREFETCH whatever its reg field (APM vol. 3, "PREFETCH": reserved
 * encodings are aliases), with a register it is undefined. 0F B9 and 0F FF (UD1, UD0) have no
 * operands. F3 REX.B 90 is an exchange with R8, not PAUSE. */
static bool decode_reserved(unsigned mode, uint8_t *bytes, unsigned size_bytes)
{
    unsigned n = 0;
    while (n < size_bytes && is_legacy_prefix(bytes[n])) {
        n++;
    }
    unsigned prefixes = n;
    bool rex = mode == MODE_LONG64 && n < size_bytes && (bytes[n] & 0xf0) == 0x40;
    bool rex_b = rex && (bytes[n] & 1);
    n += rex;
    if (n < size_bytes && bytes[n] == 0x90 && rex_b) {
        for (unsigned i = 0; i < prefixes; i++) {
            bytes[i] = bytes[i] == 0xf3 ? 0x3e : bytes[i]; /* a segment override, which means nothing here */
        }
    }
    if (n + 1 < size_bytes && bytes[n] == 0x0f && (bytes[n + 1] == 0xff || bytes[n + 1] == 0xb9)) {
        return false;
    }
    if (n + 2 >= size_bytes || bytes[n] != 0x0f || bytes[n + 1] != 0x0d) {
        return true;
    }
    if (bytes[n + 2] >> 6 == 3) {
        return false;
    }
    if ((bytes[n + 2] >> 3 & 7) > 1) {
        bytes[n + 2] &= 0xc7;
    }
    return true;
}

/* Zydis takes an address of 32 bits that has no base, only a displacement, for one with the base R13 when REX.B or
 * VEX.B is set. The bit counts for the length of the instruction nowhere: true when it was cleared, decode again. */
static bool decode_again(const ZydisDecodedInstruction *z, uint8_t *bytes)
{
    bool no_base =
        z->raw.modrm.mod == 0 && (z->raw.modrm.rm == 5 || (z->raw.modrm.rm == 4 && z->raw.sib.base == 5));
    if (z->machine_mode != ZYDIS_MACHINE_MODE_LONG_64 || z->address_width != 32 || !no_base ||
        !(z->attributes & ZYDIS_ATTRIB_HAS_MODRM)) {
        return false;
    }
    if (z->encoding == ZYDIS_INSTRUCTION_ENCODING_VEX) { /* the bit is inverted */
        bool vex_b = z->raw.vex.size == 3 && !z->raw.vex.B;
        bytes[z->raw.vex.offset + 1] |= vex_b ? 0x20 : 0;
        return vex_b;
    }
    bool rex_b = z->encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY && z->raw.rex.B;
    bytes[z->raw.rex.offset] &= rex_b ? 0xfe : 0xff;
    return rex_b;
}

enum decode_result insn_decode(unsigned mode, const uint8_t *bytes, unsigned size_bytes, struct insn *out)
{
    ZydisDecoder decoder = decoder_for(mode);
    ZydisDecodedInstruction z;
    ZydisDecodedOperand operands[ZYDIS_MAX_OPERAND_COUNT];
    uint8_t copy[ZYDIS_MAX_INSTRUCTION_LENGTH];
    size_bytes = size_bytes < sizeof copy ? size_bytes : (unsigned)sizeof copy;
    memcpy(copy, bytes, size_bytes);
    if (!decode_reserved(mode, copy, size_bytes)) {
        return DECODE_UD;
    }
    ZyanStatus status = ZydisDecoderDecodeFull(&decoder, copy, size_bytes, &z, operands);
    if (ZYAN_SUCCESS(status) && decode_again(&z, copy)) {
        status = ZydisDecoderDecodeFull(&decoder, copy, size_bytes, &z, operands);
    }
    if (ZYAN_FAILED(status)) {
        return decode_failure(status);
    }
    if (!encoding_is_present(&z, mode)) {
        return DECODE_UD;
    }
    memset(out, 0, sizeof *out);
    decode_fill(out, &z, operands);
    memcpy(out->bytes, bytes, z.length);
    decode_immediate(out, &z);
    out->row = (uint16_t)insn_row_find(out->mnemonic, decode_form(out, &z));
    if (out->row == INSN_ROW_NONE && !extension_is_present(&z)) {
        return DECODE_UD;
    }
    uop_fill(out, &z, operands);
    return DECODE_OK;
}
