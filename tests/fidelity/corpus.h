#ifndef CORPUS_H
#define CORPUS_H

/* Code of which blocks are cut (corpus.c). */

#include <stddef.h>
#include <stdint.h>

struct particle {
    float x, y, z, vx, vy, vz, age;
};

double corpus_dot(const double *a, const double *b, size_t n);
void corpus_scale_add(float *restrict y, const float *restrict x, float a, size_t n);
double corpus_polynomial(const double *c, double x, int n);
double corpus_polynomial_5(double x);
void corpus_butterfly(double *re, double *im, const double *wr, const double *wi, size_t half);
int corpus_mandelbrot(double cr, double ci, int limit);
void corpus_rotate(float *v, const float *q, size_t n);
void corpus_filter(int16_t *restrict out, const int16_t *restrict in, const int16_t *restrict taps, size_t n);
void corpus_blend(uint8_t *restrict to, const uint8_t *restrict from, uint8_t alpha, size_t n);
uint32_t corpus_differences(const uint8_t *a, const uint8_t *b, size_t n);
void corpus_gray(uint8_t *restrict gray, const uint8_t *restrict rgb, size_t n);
void corpus_limits(const float *x, size_t n, float *least, float *most);
void corpus_to_integers(int32_t *restrict to, const float *restrict from, float scale, size_t n);
void corpus_to_doubles(double *restrict to, const int32_t *restrict from, size_t n);
void corpus_multiply(double *restrict c, const double *restrict a, const double *restrict b, size_t n);
void corpus_transform(float *m, const float *a, const float *b);
void corpus_cosines(float *d);
void corpus_neighbours(float *restrict to, const float *restrict from, size_t width, size_t height);
void corpus_eliminate(double *m, size_t n);
void corpus_sums(uint64_t *sums, const uint32_t *in, size_t n);
uint32_t corpus_adler(const uint8_t *in, size_t n);
void corpus_quarter(uint32_t *s);
void corpus_digest(uint32_t *h, const uint32_t *w, const uint32_t *k);
double corpus_norm(const double *x, size_t n, double (*root)(double));
void corpus_particles(struct particle *p, size_t n, float dt);
uint32_t corpus_count(const uint8_t *text, size_t n, uint8_t wanted);
void corpus_lower(char *text, size_t n);
void corpus_swap(uint32_t *words, size_t n);
#endif
