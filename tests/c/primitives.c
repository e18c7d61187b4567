/* The runtime's inline primitives applied to arrays, for a test to call. */
#include "es_fixed.h"
#include "es_tanh.h"

void mulw_of(const int32_t *a, const int32_t *m, int32_t *result, int count);
void shift_right_of(const int32_t *a, const int32_t *n, int32_t *result, int count);
void round_shift_of(const int32_t *a, const int32_t *n, int32_t *result, int count);
void saturate16_of(const int32_t *a, int32_t *result, int count);
void tanh_of(const int32_t *a, int32_t *result, int count);
void sigmoid_of(const int32_t *a, int32_t *result, int count);

void mulw_of(const int32_t *a, const int32_t *m, int32_t *result, int count)
{
    int index;
    for (index = 0; index < count; index++) {
        result[index] = es_mulw(a[index], (int16_t)m[index]);
    }
}

void shift_right_of(const int32_t *a, const int32_t *n, int32_t *result, int count)
{
    int index;
    for (index = 0; index < count; index++) {
        result[index] = es_shift_right(a[index], (unsigned)n[index]);
    }
}

void round_shift_of(const int32_t *a, const int32_t *n, int32_t *result, int count)
{
    int index;
    for (index = 0; index < count; index++) {
        result[index] = es_round_shift(a[index], (unsigned)n[index]);
    }
}

void saturate16_of(const int32_t *a, int32_t *result, int count)
{
    int index;
    for (index = 0; index < count; index++) {
        result[index] = es_saturate16(a[index]);
    }
}

void tanh_of(const int32_t *a, int32_t *result, int count)
{
    int index;
    for (index = 0; index < count; index++) {
        result[index] = es_tanh(a[index]);
    }
}

void sigmoid_of(const int32_t *a, int32_t *result, int count)
{
    int index;
    for (index = 0; index < count; index++) {
        result[index] = es_sigmoid(a[index]);
    }
}
