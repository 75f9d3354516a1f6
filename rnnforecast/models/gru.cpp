/* A GRU over batches of sequences, and its gradients through time, on one core.

   ROWS sequences pass through all their steps before the next ones do, so that their states stay in
   the nearest cache while the weights stay in the second. For LANES units at a time the products of
   all gates are summed in registers and made states of at once. Rows that are left over are the
   last ROWS of their range once more, whose results are merely written twice.

   Arrays are dense: gates r, z, n [row, step, gate, unit], states [row, step, unit]. Units are a
   multiple of 2 * LANES; a range has ROWS rows at least. `packed` are the weights as kernels.py
   lays them out: forward [block, state unit, gate, lane] in blocks of LANES units, backward
   [block, gate, unit, lane] in blocks of 2 * LANES state units. */

#include <cstdint>
#include <cstring>

#if defined(__AVX512F__)
#define LANES 16
#define ROWS 6
#else
#define LANES 8
#define ROWS 4
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

/* Add to sums[row][gate] the products of `size` numbers of each row of `state`, `stride` apart,
   with packed [number, gate, lane]. */
template <int GATES>
static inline void add_products(const float *state, int64_t stride, const float *packed,
                                int64_t size, vector (&sums)[ROWS][GATES])
{
    for (int64_t k = 0; k < size; k++)
        UNROLLED for (int g = 0; g < GATES; g++) {
            vector weight = load(packed + (k * GATES + g) * LANES);
            UNROLLED for (int r = 0; r < ROWS; r++)
                sums[r][g] += state[r * stride + k] * weight;
        }
}

/* kept: r, z, n and the product that r lets through, [row, step, 4, unit]. */
static void forward_rows(const float *packed, const float *gates, const float *bias,
                         const float *first, float *states, float *kept, int64_t steps,
                         int64_t size)
{
    for (int64_t t = 0; t < steps; t++) {
        const float *before = t ? states + (t - 1) * size : first;
        int64_t stride = t ? steps * size : size;
        for (int64_t j = 0; j < size; j += LANES) {
            vector sums[ROWS][3];
            UNROLLED for (int r = 0; r < ROWS; r++) {
                sums[r][0] = sums[r][1] = (vector){};
                sums[r][2] = load(bias + j);
            }
            add_products(before, stride, packed + j * size * 3, size, sums);
            UNROLLED for (int r = 0; r < ROWS; r++) {
                const float *a = gates + (r * steps + t) * 3 * size + j;
                float *k = kept + (r * steps + t) * 4 * size + j;
                vector reset = sigmoid(load(a) + sums[r][0]);
                vector z = sigmoid(load(a + size) + sums[r][1]);
                vector n = tanh_of(load(a + 2 * size) + reset * sums[r][2]);
                store(k, reset);
                store(k + size, z);
                store(k + 2 * size, n);
                store(k + 3 * size, sums[r][2]);
                vector h = load(before + r * stride + j);
                store(states + (r * steps + t) * size + j, n + z * (h - n));
            }
        }
    }
}

/* From the gradients of `states` to those of `gates`, of the products that r lets through and of
   the first states. `grad_state` holds the gradient that has come back to each row's state. */
static void backward_rows(const float *packed, const float *first, const float *states,
                          const float *kept, const float *grad_output, float *gates,
                          float *product, float *grad_state, int64_t steps, int64_t size)
{
    for (int64_t t = steps - 1; t >= 0; t--) {
        const float *before = t ? states + (t - 1) * size : first;
        int64_t stride = t ? steps * size : size;
        UNROLLED for (int r = 0; r < ROWS; r++)
            for (int64_t j = 0; j < size; j += LANES) {
                const float *k = kept + (r * steps + t) * 4 * size + j;
                float *a = gates + (r * steps + t) * 3 * size + j;
                vector reset = load(k), z = load(k + size), n = load(k + 2 * size);
                vector m = load(k + 3 * size), h = load(before + r * stride + j);
                vector d = load(grad_output + (r * steps + t) * size + j);
                d += load(grad_state + r * size + j);
                vector dn = d * (1.0f - z) * (1.0f - n * n);
                store(a, dn * m * reset * (1.0f - reset));
                store(a + size, d * (h - n) * z * (1.0f - z));
                store(a + 2 * size, dn);
                store(product + (r * steps + t) * size + j, dn * reset);
                store(grad_state + r * size + j, d * z);
            }
        for (int64_t j = 0; j < size; j += 2 * LANES) {
            vector sums[ROWS][2];
            UNROLLED for (int r = 0; r < ROWS; r++) {
                sums[r][0] = load(grad_state + r * size + j);
                sums[r][1] = load(grad_state + r * size + j + LANES);
            }
            const float *weights = packed + j * 3 * size;
            add_products(gates + t * 3 * size, steps * 3 * size, weights, 2 * size, sums);
            add_products(product + t * size, steps * size, weights + 4 * size * LANES, size, sums);
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

void gru_forward(const float *packed, const float *gates, const float *bias, const float *first,
                 float *states, float *kept, int64_t steps, int64_t size, int64_t begin,
                 int64_t end)
{
    for (int64_t next = begin; next < end; next += ROWS) {
        int64_t row = within(next, end), place = row * steps * size;
        forward_rows(packed, gates + 3 * place, bias, first + row * size, states + place,
                     kept + 4 * place, steps, size);
    }
}

void gru_backward(const float *packed, const float *first, const float *states, const float *kept,
                  const float *grad_output, float *gates, float *product, float *grad_state,
                  int64_t steps, int64_t size, int64_t begin, int64_t end)
{
    for (int64_t next = begin; next < end; next += ROWS) {
        int64_t row = within(next, end), place = row * steps * size;
        std::memset(grad_state + row * size, 0, ROWS * size * sizeof(float));
        backward_rows(packed, first + row * size, states + place, kept + 4 * place,
                      grad_output + place, gates + 3 * place, product + place,
                      grad_state + row * size, steps, size);
    }
}

}
