/*
 * Code of which blocks of tier 3 are cut (scripts/fidelity/cut.py): the arithmetic of numbers, samples and pictures that
 * neither the kernel nor the simulator does. Never run as it stands.
 */
#include "corpus.h"

double corpus_dot(const double *a, const double *b, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += a[i] * b[i];
    }
    return sum;
}

void corpus_scale_add(float *restrict y, const float *restrict x, float a, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        y[i] += a * x[i];
    }
}

double corpus_polynomial(const double *c, double x, int n)
{
    double sum = c[n];
    while (n--) {
        sum = sum * x + c[n];
    }
    return sum;
}

double corpus_polynomial_5(double x)
{
    return 1.0 + x * (0.5 + x * (0.25 + x * (0.125 - x * (0.0625 + x * 0.03125)))) / (1.0 + x * x);
}

void corpus_butterfly(double *re, double *im, const double *wr, const double *wi, size_t half)
{
    for (size_t i = 0; i < half; i++) {
        double tr = re[i + half] * wr[i] - im[i + half] * wi[i];
        double ti = re[i + half] * wi[i] + im[i + half] * wr[i];
        re[i + half] = re[i] - tr;
        im[i + half] = im[i] - ti;
        re[i] += tr;
        im[i] += ti;
    }
}

int corpus_mandelbrot(double cr, double ci, int limit)
{
    double r = 0.0, i = 0.0;
    int n = 0;
    while (n < limit && r * r + i * i < 4.0) {
        double t = r * r - i * i + cr;
        i = 2.0 * r * i + ci;
        r = t;
        n++;
    }
    return n;
}

void corpus_rotate(float *v, const float *q, size_t n)
{
    for (size_t k = 0; k < n; k++, v += 3) {
        float x = q[1] * v[2] - q[2] * v[1] + q[3] * v[0];
        float y = q[2] * v[0] - q[0] * v[2] + q[3] * v[1];
        float z = q[0] * v[1] - q[1] * v[0] + q[3] * v[2];
        float w = -(q[0] * v[0] + q[1] * v[1] + q[2] * v[2]);
        v[0] = x * q[3] - w * q[0] - y * q[2] + z * q[1];
        v[1] = y * q[3] - w * q[1] - z * q[0] + x * q[2];
        v[2] = z * q[3] - w * q[2] - x * q[1] + y * q[0];
    }
}

void corpus_filter(int16_t *restrict out, const int16_t *restrict in, const int16_t *restrict taps, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        int32_t sum = 1 << 14;
        for (size_t k = 0; k < 16; k++) {
            sum += in[i + k] * taps[k];
        }
        out[i] = (int16_t)(sum >> 15);
    }
}

void corpus_blend(uint8_t *restrict to, const uint8_t *restrict from, uint8_t alpha, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = (uint8_t)((to[i] * (255 - alpha) + from[i] * alpha + 127) / 255);
    }
}

uint32_t corpus_differences(const uint8_t *a, const uint8_t *b, size_t n)
{
    uint32_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (uint32_t)(a[i] > b[i] ? a[i] - b[i] : b[i] - a[i]);
    }
    return sum;
}

void corpus_gray(uint8_t *restrict gray, const uint8_t *restrict rgb, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        gray[i] = (uint8_t)((77 * rgb[3 * i] + 150 * rgb[3 * i + 1] + 29 * rgb[3 * i + 2]) >> 8);
    }
}

void corpus_limits(const float *x, size_t n, float *least, float *most)
{
    float low = x[0], high = x[0];
    for (size_t i = 1; i < n; i++) {
        low = x[i] < low ? x[i] : low;
        high = x[i] > high ? x[i] : high;
    }
    *least = low;
    *most = high;
}

void corpus_to_integers(int32_t *restrict to, const float *restrict from, float scale, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float v = from[i] * scale;
        v = v < -32768.0f ? -32768.0f : v > 32767.0f ? 32767.0f : v;
        to[i] = (int32_t)v;
    }
}

void corpus_to_doubles(double *restrict to, const int32_t *restrict from, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = (double)from[i] / 65536.0;
    }
}

void corpus_multiply(double *restrict c, const double *restrict a, const double *restrict b, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < n; k++) {
            double sum = 0.0;
            for (size_t j = 0; j < n; j++) {
                sum += a[i * n + j] * b[j * n + k];
            }
            c[i * n + k] = sum;
        }
    }
}

void corpus_transform(float *m, const float *a, const float *b)
{
    for (int i = 0; i < 4; i++) {
        for (int k = 0; k < 4; k++) {
            m[4 * i + k] = a[4 * i] * b[k] + a[4 * i + 1] * b[4 + k] + a[4 * i + 2] * b[8 + k] +
                           a[4 * i + 3] * b[12 + k];
        }
    }
}

void corpus_cosines(float *d)
{
    float s07 = d[0] + d[7], d07 = d[0] - d[7], s16 = d[1] + d[6], d16 = d[1] - d[6];
    float s25 = d[2] + d[5], d25 = d[2] - d[5], s34 = d[3] + d[4], d34 = d[3] - d[4];
    float a = s07 + s34, b = s16 + s25, c = s07 - s34, e = s16 - s25;
    d[0] = a + b;
    d[4] = a - b;
    d[2] = c + 0.7071068f * (c + e);
    d[6] = c - 0.7071068f * (c + e);
    float f = d34 + d25, g = d25 + d16, h = d16 + d07, k = 0.3826834f * (f - h);
    float p = 0.5411961f * f + k, q = 1.3065630f * h + k, r = 0.7071068f * g;
    d[5] = d07 - r + p;
    d[3] = d07 - r - p;
    d[1] = d07 + r + q;
    d[7] = d07 + r - q;
}

void corpus_neighbours(float *restrict to, const float *restrict from, size_t width, size_t height)
{
    for (size_t y = 1; y + 1 < height; y++) {
        for (size_t x = 1; x + 1 < width; x++) {
            const float *p = from + y * width + x;
            to[y * width + x] = 0.5f * p[0] + 0.125f * (p[-1] + p[1] + p[-(ptrdiff_t)width] + p[width]);
        }
    }
}

void corpus_eliminate(double *m, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        for (size_t k = i + 1; k < n; k++) {
            double f = m[k * n + i] / m[i * n + i];
            for (size_t j = i; j < n; j++) {
                m[k * n + j] -= f * m[i * n + j];
            }
        }
    }
}

void corpus_sums(uint64_t *sums, const uint32_t *in, size_t n)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += in[i];
        sums[i] = sum;
    }
}

uint32_t corpus_adler(const uint8_t *in, size_t n)
{
    uint32_t a = 1, b = 0;
    for (size_t i = 0; i < n; i++) {
        a += in[i];
        b += a;
    }
    return (b % 65521) << 16 | a % 65521;
}

void corpus_quarter(uint32_t *s)
{
    for (int i = 0; i < 10; i++) {
        s[0] += s[4];
        s[12] = (s[12] ^ s[0]) << 16 | (s[12] ^ s[0]) >> 16;
        s[8] += s[12];
        s[4] = (s[4] ^ s[8]) << 12 | (s[4] ^ s[8]) >> 20;
        s[1] += s[5];
        s[13] = (s[13] ^ s[1]) << 16 | (s[13] ^ s[1]) >> 16;
        s[9] += s[13];
        s[5] = (s[5] ^ s[9]) << 12 | (s[5] ^ s[9]) >> 20;
        s[2] += s[6];
        s[14] = (s[14] ^ s[2]) << 16 | (s[14] ^ s[2]) >> 16;
        s[10] += s[14];
        s[6] = (s[6] ^ s[10]) << 12 | (s[6] ^ s[10]) >> 20;
    }
}

void corpus_digest(uint32_t *h, const uint32_t *w, const uint32_t *k)
{
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4], f = h[5], g = h[6], z = h[7];
    for (int i = 0; i < 64; i++) {
        uint32_t t = z + ((e >> 6 | e << 26) ^ (e >> 11 | e << 21) ^ (e >> 25 | e << 7)) +
                     ((e & f) ^ (~e & g)) + k[i] + w[i];
        uint32_t u =
            ((a >> 2 | a << 30) ^ (a >> 13 | a << 19) ^ (a >> 22 | a << 10)) + ((a & b) ^ (a & c) ^ (b & c));
        z = g;
        g = f;
        f = e;
        e = d + t;
        d = c;
        c = b;
        b = a;
        a = t + u;
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
    h[4] += e;
    h[5] += f;
    h[6] += g;
    h[7] += z;
}

double corpus_norm(const double *x, size_t n, double (*root)(double))
{
    double sum = 0.0, most = 0.0;
    for (size_t i = 0; i < n; i++) {
        double v = x[i] < 0.0 ? -x[i] : x[i];
        most = v > most ? v : most;
        sum += v * v;
    }
    return most > 0.0 ? most * root(sum / (most * most)) : 0.0;
}

void corpus_particles(struct particle *p, size_t n, float dt)
{
    for (size_t i = 0; i < n; i++) {
        p[i].vy -= 9.81f * dt;
        p[i].x += p[i].vx * dt;
        p[i].y += p[i].vy * dt;
        p[i].z += p[i].vz * dt;
        if (p[i].y < 0.0f) {
            p[i].y = -p[i].y;
            p[i].vy *= -0.8f;
        }
        p[i].age += dt;
    }
}

uint32_t corpus_count(const uint8_t *text, size_t n, uint8_t wanted)
{
    uint32_t count = 0;
    for (size_t i = 0; i < n; i++) {
        count += text[i] == wanted;
    }
    return count;
}

void corpus_lower(char *text, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        text[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
    }
}

void corpus_swap(uint32_t *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        words[i] = words[i] >> 24 | (words[i] >> 8 & 0xff00) | (words[i] << 8 & 0xff0000) | words[i] << 24;
    }
}
