/* A GRU over batches of sequences, and its gradients through time, on one core.

   ROWS sequences pass through all their steps before the next ones do, so that their states stay in
   the nearest cache while the weights stay in the second. For LANES units at a time the products of
   all gates are summed in registers and made states of at once. Rows that are left over are the
   last ROWS of their range once more, whose results are merely written twice.

   The gradients of gates, and the weights that take them back, are bfloat16 where the processor
   multiplies pairs of those and sums in single precision: they keep eight bits and come in half the
   time. The way ahead is in single precision throughout.

   Arrays are dense: x [row, step, input], states [row, step, unit]. Units are a multiple of
   2 * LANES; a range has ROWS rows at least. Weights are as kernels.py lays them out: forward
   [block, input or state unit, gate, lane] in blocks of LANES units, backward [block, pair of gate
   units, lane, one of the pair] in blocks of 2 * LANES state units, or each gate unit by itself;
   gates are r, z, n, biases those and that of the product that r lets through. */

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#define LANES 16
#define ROWS 6
#else
#define LANES 8
#define ROWS 4
#endif

#if defined(__AVX512BF16__)
#include <immintrin.h>
#define PAIRED 2
typedef uint16_t gradient; /* The bits of a bfloat16. */
#else
#define PAIRED 1
typedef float gradient;
#endif

// Without it, sums would not stay in registers.
#define UNROLLED _Pragma("GCC unroll 8")

typedef float vector __attribute__((vector_size(4 * LANES), aligned(4), may_alias));
typedef int32_t int_vector __attribute__((vector_size(4 * LANES)));

static inline vector load(const float *place) { return *(const vector *)place; }
static inline void store(float *place, vector x) { *(vector *)place = x; }

/* e^x - 1: with x = k log 2 + f, 2^k (e^f - 1) + 2^k - 1, by Taylor's polynomial of degree 7. */
static inline vector expm1_of(vector x)
{
    x = x < -87.0f ? (vector){} - 87.0f : x;
    x = x > 87.0f ? (vector){} + 87.0f : x;
    vector shifted = x * 1.44269504f + 12582912.0f;   /* 1.5 * 2^23: rounds to a whole number. */
    vector k = shifted - 12582912.0f;
    vector f = x - k * 0.693145752f - k * 1.42860677e-6f;
    vector p = f * (1.0f / 5040) + 1.0f / 720;
    p = p * f + 1.0f / 120;
    p = p * f + 1.0f / 24;
    p = p * f + 1.0f / 6;
    p = p * f + 0.5f;
    p = p * f * f + f;
    vector power = (vector)((__builtin_convertvector(k, int_vector) + 127) << 23);
    return power * p + (power - 1.0f);
}

static inline vector sigmoid(vector x) { return 1.0f / (2.0f + expm1_of(-x)); }

static inline vector tanh_of(vector x)
{
    vector e = expm1_of(-2.0f * x);
    return -e / (2.0f + e);
}

/* The sum, and the product of a number with LANES weights, or of a pair with as many pairs. */
static inline vector plus_product(vector sum, const float *read, const float *weights)
{
    return sum + *read * load(weights);
}

#if PAIRED == 2
static inline vector plus_product(vector sum, const gradient *read, const gradient *weights)
{
    int32_t pair;
    std::memcpy(&pair, read, sizeof pair);
    return (vector)_mm512_dpbf16_ps((__m512)sum, (__m512bh)_mm512_loadu_si512(weights),
                                    (__m512bh)_mm512_set1_epi32(pair));
}

static inline void store(gradient *place, vector x)
{
    _mm256_storeu_si256((__m256i *)place, (__m256i)_mm512_cvtneps_pbh((__m512)x));
}
#endif

/* Add to sums[row][gate] the products of `size` numbers of each row of `read`, `stride` apart, with
   packed [number / TOGETHER, gate, lane, TOGETHER]. */
template <int TOGETHER, int GATES, typename number>
static inline void add_products(const number *read, int64_t stride, const number *packed,
                                int64_t size, vector (&sums)[ROWS][GATES])
{
    for (int64_t k = 0; k < size; k += TOGETHER)
        UNROLLED for (int g = 0; g < GATES; g++)
            UNROLLED for (int r = 0; r < ROWS; r++)
                sums[r][g] = plus_product(sums[r][g], read + r * stride + k,
                                          packed + k * GATES * LANES + g * TOGETHER * LANES);
}

/* kept: r, z, n and the product that r lets through, [row, step, 4, unit]; null keeps none. */
static void forward_rows(const float *by_input, const float *by_state, const float *bias,
                         const float *x, const float *first, float *states, float *kept,
                         int64_t steps, int64_t inputs, int64_t size)
{
    for (int64_t t = 0; t < steps; t++) {
        const float *before = t ? states + (t - 1) * size : first;
        int64_t stride = t ? steps * size : size;
        for (int64_t j = 0; j < size; j += LANES) {
            vector sums[ROWS][3], read[ROWS];
            UNROLLED for (int r = 0; r < ROWS; r++)
                UNROLLED for (int g = 0; g < 3; g++)
                    sums[r][g] = load(bias + g * size + j);
            add_products<1>(x + t * inputs, steps * inputs, by_input + j * inputs * 3, inputs,
                            sums);
            UNROLLED for (int r = 0; r < ROWS; r++) {
                read[r] = sums[r][2];
                sums[r][2] = load(bias + 3 * size + j);
            }
            add_products<1>(before, stride, by_state + j * size * 3, size, sums);
            UNROLLED for (int r = 0; r < ROWS; r++) {
                vector reset = sigmoid(sums[r][0]);
                vector z = sigmoid(sums[r][1]);
                vector n = tanh_of(read[r] + reset * sums[r][2]);
                if (kept) {
                    float *k = kept + (r * steps + t) * 4 * size + j;
                    store(k, reset);
                    store(k + size, z);
                    store(k + 2 * size, n);
                    store(k + 3 * size, sums[r][2]);
                }
                vector h = load(before + r * stride + j);
                store(states + (r * steps + t) * size + j, n + z * (h - n));
            }
        }
    }
}

/* From the gradients of `states` to those of n, r, z and of the product that r lets through, before
   their functions [row, step, 4, unit], and of the first states. `grad_state` holds the gradient
   that has come back to each row's state. */
static void backward_rows(const gradient *by_state, const float *first, const float *states,
                          const float *kept, const float *grad_output, gradient *grads,
                          float *grad_state, int64_t steps, int64_t size)
{
    for (int64_t t = steps - 1; t >= 0; t--) {
        const float *before = t ? states + (t - 1) * size : first;
        int64_t stride = t ? steps * size : size;
        UNROLLED for (int r = 0; r < ROWS; r++)
            for (int64_t j = 0; j < size; j += LANES) {
                const float *k = kept + (r * steps + t) * 4 * size + j;
                gradient *a = grads + (r * steps + t) * 4 * size + j;
                vector reset = load(k), z = load(k + size), n = load(k + 2 * size);
                vector m = load(k + 3 * size), h = load(before + r * stride + j);
                vector d = load(grad_output + (r * steps + t) * size + j);
                d += load(grad_state + r * size + j);
                vector dn = d * (1.0f - z) * (1.0f - n * n);
                store(a, dn);
                store(a + size, dn * m * reset * (1.0f - reset));
                store(a + 2 * size, d * (h - n) * z * (1.0f - z));
                store(a + 3 * size, dn * reset);
                store(grad_state + r * size + j, d * z);
            }
        for (int64_t j = 0; j < size; j += 2 * LANES) {
            vector sums[ROWS][2];
            UNROLLED for (int r = 0; r < ROWS; r++) {
                sums[r][0] = load(grad_state + r * size + j);
                sums[r][1] = load(grad_state + r * size + j + LANES);
            }
            add_products<PAIRED>(grads + (4 * t + 1) * size, 4 * steps * size,
                                 by_state + j * 3 * size, 3 * size, sums);
            UNROLLED for (int r = 0; r < ROWS; r++) {
                store(grad_state + r * size + j, sums[r][0]);
                store(grad_state + r * size + j + LANES, sums[r][1]);
            }
        }
    }
}

/* The first of the next ROWS rows, of which `end` ends the last. */
static inline int64_t within(int64_t next, int64_t end)
{
    return next + ROWS <= end ? next : end - ROWS;
}

extern "C" {

int lanes(void) { return LANES; }
int rows(void) { return ROWS; }
int paired(void) { return PAIRED; }

void gru_forward(const float *by_input, const float *by_state, const float *bias, const float *x,
                 const float *first, float *states, float *kept, int64_t steps, int64_t inputs,
                 int64_t size, int64_t begin, int64_t end)
{
    for (int64_t next = begin; next < end; next += ROWS) {
        int64_t row = within(next, end), place = row * steps * size;
        forward_rows(by_input, by_state, bias, x + row * steps * inputs, first + row * size,
                     states + place, kept ? kept + 4 * place : nullptr, steps, inputs, size);
    }
}

void gru_backward(const gradient *by_state, const float *first, const float *states,
                  const float *kept, const float *grad_output, gradient *grads,
                  float *grad_state, int64_t steps, int64_t size, int64_t begin, int64_t end)
{
    for (int64_t next = begin; next < end; next += ROWS) {
        int64_t row = within(next, end), place = row * steps * size;
        std::memset(grad_state + row * size, 0, ROWS * size * sizeof(float));
        backward_rows(by_state, first + row * size, states + place, kept + 4 * place,
                      grad_output + place, grads + 4 * place, grad_state + row * size, steps,
                      size);
    }
}

}
