/* Tier 4: programs that compute. */
#include "programs.h"

#define SIDE 40

static uint64_t bits_of(double value)
{
    uint64_t bits;
    __builtin_memcpy(&bits, &value, 8);
    return bits;
}

uint64_t program_matrix(uint64_t seed, void *memory)
{
    double(*a)[SIDE] = memory, (*b)[SIDE] = a + SIDE, (*c)[SIDE] = b + SIDE;
    for (int i = 0; i < SIDE; i++) {
        for (int k = 0; k < SIDE; k++) {
            a[i][k] = 1.0 + 0.125 * (double)(i - k);
            b[i][k] = 2.0 - 0.0625 * (double)(i * k % 17) + (double)(seed & 1);
        }
    }
    for (int i = 0; i < SIDE; i++) {
        for (int k = 0; k < SIDE; k++) {
            double sum = 0.0;
            for (int j = 0; j < SIDE; j++) {
                sum += a[i][j] * b[j][k];
            }
            c[i][k] = sum;
        }
    }
    double trace = 0.0;
    for (int i = 0; i < SIDE; i++) {
        trace += c[i][i];
    }
    return bits_of(trace);
}

struct body {
    double place[3], speed[3], mass;
};

static double root(double x)
{
    __asm__("sqrtsd %0, %0" : "+x"(x));
    return x;
}

/* Five bodies that attract each other. */
uint64_t program_bodies(uint64_t seed, void *memory)
{
    struct body *b = memory;
    for (int i = 0; i < 5; i++) {
        for (int d = 0; d < 3; d++) {
            b[i].place[d] = (double)((i * 7 + d * 3) % 11) + 0.25 * (double)i;
            b[i].speed[d] = 0.01 * (double)((i + d) % 3);
        }
        b[i].mass = 1.0 + 0.5 * (double)i + (double)(seed & 1);
    }
    for (int step = 0; step < 600; step++) {
        for (int i = 0; i < 5; i++) {
            for (int k = i + 1; k < 5; k++) {
                double d[3], square = 0.01;
                for (int c = 0; c < 3; c++) {
                    d[c] = b[i].place[c] - b[k].place[c];
                    square += d[c] * d[c];
                }
                double pull = 0.001 / (square * root(square));
                for (int c = 0; c < 3; c++) {
                    b[i].speed[c] -= d[c] * b[k].mass * pull;
                    b[k].speed[c] += d[c] * b[i].mass * pull;
                }
            }
        }
        for (int i = 0; i < 5; i++) {
            for (int c = 0; c < 3; c++) {
                b[i].place[c] += 0.001 * b[i].speed[c];
            }
        }
    }
    return bits_of(b[0].place[0]) ^ bits_of(b[4].place[2]);
}

uint64_t program_sieve(uint64_t seed, void *memory)
{
    unsigned char *composite = memory;
    const uint32_t limit = 60000;
    uint64_t sum = seed;
    for (uint32_t i = 0; i < limit; i++) {
        composite[i] = 0;
    }
    for (uint32_t i = 2; i < limit; i++) {
        if (!composite[i]) {
            sum += i;
            for (uint64_t k = (uint64_t)i * i; k < limit; k += i) {
                composite[k] = 1;
            }
        }
    }
    return sum;
}

/* Products of numbers of 48 words by the method of schools, and a remainder by a word. */
uint64_t program_bignum(uint64_t seed, void *memory)
{
    uint64_t *a = memory, *b = a + 48, *p = b + 48, random = 31 + seed, rest = seed;
    for (int i = 0; i < 48; i++) {
        a[i] = (uint64_t)program_random(&random) << 32 | program_random(&random);
        b[i] = a[i] * 0x9e3779b97f4a7c15;
    }
    for (int pass = 0; pass < 8; pass++) {
        for (int i = 0; i < 96; i++) {
            p[i] = 0;
        }
        for (int i = 0; i < 48; i++) {
            uint64_t carry = 0;
            for (int k = 0; k < 48; k++) {
                __extension__ unsigned __int128 t = (unsigned __int128)a[i] * b[k] + p[i + k] + carry;
                p[i + k] = (uint64_t)t;
                carry = (uint64_t)(t >> 64);
            }
            p[i + 48] = carry;
        }
        for (int i = 96; i--;) {
            rest = ((rest << 32) | (p[i] >> 32)) % 1000003;
            rest = ((rest << 32) | (p[i] & 0xffffffff)) % 1000003;
        }
        a[pass] ^= rest;
    }
    return rest;
}

/* Bits counted, mirrored, and taken in the order of Gray's code. */
uint64_t program_bits(uint64_t seed, void *memory)
{
    uint64_t *words = memory, random = 37 + seed, sum = seed;
    for (int i = 0; i < 512; i++) {
        words[i] = (uint64_t)program_random(&random) << 32 | program_random(&random);
    }
    for (int pass = 0; pass < 16; pass++) {
        for (int i = 0; i < 512; i++) {
            uint64_t x = words[i], c = x - (x >> 1 & 0x5555555555555555);
            c = (c & 0x3333333333333333) + (c >> 2 & 0x3333333333333333);
            c = (c + (c >> 4)) & 0x0f0f0f0f0f0f0f0f;
            sum += c * 0x0101010101010101 >> 56;
            x = (x >> 1 & 0x5555555555555555) | (x & 0x5555555555555555) << 1;
            x = (x >> 2 & 0x3333333333333333) | (x & 0x3333333333333333) << 2;
            words[i] = (x ^ x >> 1) + (uint64_t)pass;
            for (uint64_t y = x & 0xfff; y; y &= y - 1) {
                sum ^= (uint64_t)__builtin_ctzll(y);
            }
        }
    }
    return sum;
}

enum { PUSH, ADD, SUB, MUL, DUP, SWAP, JNZ, STORE, LOAD, HALT };

/* A machine with a stack that computes a sum of squares modulo a number, an operation at a time. */
uint64_t program_interpreter(uint64_t seed, void *memory)
{
    static const signed char code[] = {
        PUSH, 0, STORE, 0,   PUSH,  120, STORE, 1, LOAD, 1, DUP, MUL, LOAD,  0, ADD, STORE, 0,   PUSH, 3,
        LOAD, 0, SWAP,  SUB, STORE, 2,   LOAD,  1, PUSH, 1, SUB, DUP, STORE, 1, JNZ, -26,   HALT};
    int64_t *stack = memory, *cells = stack + 64, top = 0;
    uint64_t sum = seed;
    for (int pass = 0; pass < 60; pass++) {
        top = 0;
        for (const signed char *at = code; *at != HALT;) {
            int64_t kept;
            switch (*at++) {
            case PUSH:
                stack[top++] = *at++;
                break;
            case ADD:
                top--;
                stack[top - 1] += stack[top];
                break;
            case SUB:
                top--;
                stack[top - 1] -= stack[top];
                break;
            case MUL:
                top--;
                stack[top - 1] *= stack[top];
                break;
            case DUP:
                stack[top] = stack[top - 1];
                top++;
                break;
            case SWAP:
                kept = stack[top - 1];
                stack[top - 1] = stack[top - 2];
                stack[top - 2] = kept;
                break;
            case JNZ:
                at += stack[--top] ? *at : 1;
                break;
            case STORE:
                cells[*at++] = stack[--top];
                break;
            default:
                stack[top++] = cells[*at++];
                break;
            }
        }
        sum = sum * 31 + (uint64_t)cells[0] + (uint64_t)cells[2];
    }
    return sum;
}
