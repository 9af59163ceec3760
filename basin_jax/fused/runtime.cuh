// What the generated kernels are written in: numbers of one seed, and what is done to them.
//
// A thread block trains a seed; its arrays lie in the block's shared memory.

#ifdef __CUDACC__
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long long int64_t;
typedef unsigned long long uint64_t;
#define INFINITY_OF(T) T(__int_as_float(0x7f800000))
#define NONE_OF(T) T(__int_as_float(0x7fc00000))
#define __builtin_inff() INFINITY_OF(float)
#define __builtin_inf() INFINITY_OF(double)
#define __builtin_nanf(text) NONE_OF(float)
#define __builtin_nan(text) NONE_OF(double)
#define INLINE static __device__ __forceinline__
#define INLINE_MEMBER __device__ __forceinline__
#define THREAD int(threadIdx.x)
#define THREADS int(blockDim.x)
template <class T>
INLINE T from_lane(T x, int distance) { return __shfl_xor_sync(0xffffffffu, x, distance); }
#else
#include "emulate.h"
#define INLINE static inline
#define INLINE_MEMBER inline
#endif

typedef float f32;
typedef double f64;
typedef int32_t i32;
typedef int64_t i64;
typedef uint32_t u32;
typedef uint64_t u64;
// A truth value takes the place of a number, and is no number.
struct b32 {
  int32_t v;
  b32() = default;
  INLINE_MEMBER b32(bool x) : v(x) {}
  INLINE_MEMBER explicit operator bool() const { return v != 0; }
};
INLINE b32 operator&(b32 a, b32 b) { return b32((a.v & b.v) != 0); }
INLINE b32 operator|(b32 a, b32 b) { return b32((a.v | b.v) != 0); }
INLINE b32 operator^(b32 a, b32 b) { return b32(a.v != b.v); }
INLINE b32 operator~(b32 a) { return b32(a.v == 0); }
INLINE b32 operator==(b32 a, b32 b) { return b32(a.v == b.v); }
INLINE b32 operator!=(b32 a, b32 b) { return b32(a.v != b.v); }

#define NUMBER(name) INLINE name K_##name(name x) { return x; }
NUMBER(f32) NUMBER(f64) NUMBER(i32) NUMBER(i64) NUMBER(u32) NUMBER(u64)
INLINE b32 K_b32(bool x) { return b32(x); }
INLINE bool any(b32 x) { return x.v != 0; }

template <class T, class S>
INLINE T cast(S x) { return T(x); }
template <class T>
INLINE T from_truth(b32 x) { return T(x.v); }
template <class T>
INLINE b32 truth(T x) { return b32(x != T(0)); }
template <class T, class S>
INLINE T bits(S x) {
  static_assert(sizeof(T) == sizeof(S), "of one size");
  union { S from; T to; } both;
  both.from = x;
  return both.to;
}
template <class T>
INLINE T select(b32 c, T a, T b) { return c.v ? a : b; }

// Of two values one of which is not a number, that one, as XLA has it.
template <class T>
INLINE T maximum(T a, T b) { return (a <= b || b != b) ? b : a; }
template <class T>
INLINE T minimum(T a, T b) { return (a >= b || b != b) ? b : a; }
template <class T>
INLINE T magnitude(T x) { return x < T(0) ? -x : x + T(0); }  // -0 + 0 is 0
template <class T>
INLINE T sign(T x) { return x > T(0) ? T(1) : (x < T(0) ? T(-1) : x); }

#define FLOAT1(name, call) \
  INLINE f32 name(f32 x) { return call##f(x); } \
  INLINE f64 name(f64 x) { return call(x); }
#define FLOAT2(name, call) \
  INLINE f32 name(f32 x, f32 y) { return call##f(x, y); } \
  INLINE f64 name(f64 x, f64 y) { return call(x, y); }
FLOAT1(square_root, sqrt)
FLOAT1(floor_of, floor)
FLOAT1(ceiling, ceil)
FLOAT1(nearest_even, rint)
FLOAT1(nearest_away, round)
FLOAT1(sine, sin)
FLOAT1(cosine, cos)
FLOAT1(tangent, tan)
FLOAT1(arc_sine, asin)
FLOAT1(arc_cosine, acos)
FLOAT1(arc_tangent, atan)
FLOAT1(hyperbolic_sine, sinh)
FLOAT1(hyperbolic_cosine, cosh)
FLOAT1(hyperbolic_tangent, tanh)
FLOAT1(error_function, erf)
FLOAT1(cube_root, cbrt)
FLOAT1(exponential, exp)
FLOAT1(exponential_less_one, expm1)
FLOAT1(logarithm, log)
FLOAT1(logarithm_one_plus, log1p)
FLOAT2(power, pow)
FLOAT2(remainder_of, fmod)
FLOAT2(angle, atan2)
template <class T>
INLINE T logistic(T x) { return T(1) / (T(1) + exponential(-x)); }

template <class T>
struct Whole;
#define WHOLE(T, least, most) \
  template <> struct Whole<T> { static constexpr T low = least, high = most; };
WHOLE(i32, -2147483647 - 1, 2147483647)
WHOLE(u32, 0u, 4294967295u)
WHOLE(i64, -9223372036854775807ll - 1, 9223372036854775807ll)
WHOLE(u64, 0ull, 18446744073709551615ull)

// As XLA divides: by nothing gives -1 and leaves the whole, and nothing traps.
template <class T>
INLINE bool overflows(T a, T b) { return Whole<T>::low < 0 && a == Whole<T>::low && b == T(-1); }
template <class T>
INLINE T quotient(T a, T b) { return b == 0 ? T(-1) : (overflows(a, b) ? a : a / b); }
#define REMAINDER(T) \
  INLINE T remainder_of(T a, T b) { return b == 0 ? a : (overflows(a, b) ? T(0) : a % b); }
REMAINDER(i32) REMAINDER(i64) REMAINDER(u32) REMAINDER(u64)

// As XLA makes whole numbers: what is too large becomes the largest, what is none becomes 0.
template <class T, class S>
INLINE T whole(S x) {
  if (x != x) return T(0);
  if (x >= S(Whole<T>::high)) return Whole<T>::high;
  if (x <= S(Whole<T>::low)) return Whole<T>::low;
  return T(x);
}

template <int N>
INLINE f32 polynomial(f32 x, const float (&coefficients)[N]) {
  f32 y = coefficients[0];
#pragma unroll
  for (int i = 1; i < N; i++) y = y * x + coefficients[i];
  return y;
}

// Giles 2010, "Approximating the erfinv function".
INLINE f32 inverse_error_function(f32 x) {
  constexpr float center[9] = {
      2.81022636e-08f, 3.43273939e-07f, -3.5233877e-06f, -4.39150654e-06f, 0.00021858087f,
      -0.00125372503f, -0.00417768164f, 0.246640727f, 1.50140941f};
  constexpr float tail[9] = {
      -0.000200214257f, 0.000100950558f, 0.00134934322f, -0.00367342844f, 0.00573950773f,
      -0.0076224613f, 0.00943887047f, 1.00167406f, 2.83297682f};
  f32 w = -logarithm(1.0f - x * x);
  if (w < 5.0f) return polynomial(w - 2.5f, center) * x;
  if (magnitude(x) == 1.0f) return x * __builtin_inff();
  return polynomial(square_root(w) - 3.0f, tail) * x;
}

// Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3": 20 rounds, as in JAX.
template <int N>
INLINE void threefry(u32 k0, u32 k1, u32 (&x0)[N], u32 (&x1)[N]) {
  const u32 key[3] = {k0, k1, k0 ^ k1 ^ 0x1BD11BDAu};
  constexpr int turns[8] = {13, 15, 26, 6, 17, 29, 16, 24};
#pragma unroll
  for (int n = 0; n < N; n++) {
    u32 a = x0[n] + key[0], b = x1[n] + key[1];
#pragma unroll
    for (int group = 0; group < 5; group++) {
#pragma unroll
      for (int round = 0; round < 4; round++) {
        const int turn = turns[(group % 2) * 4 + round];
        a += b;
        b = ((b << turn) | (b >> (32 - turn))) ^ a;
      }
      a += key[(group + 1) % 3];
      b += key[(group + 2) % 3] + u32(group + 1);
    }
    x0[n] = a;
    x1[n] = b;
  }
}

// out[m, n] = sum over k of a[m, k] * b[k, n]; a letter and an axis are how far apart elements
// of one are along the other. A thread computes a tile of rows that lie together and of columns
// that lie a tile's width apart, so that a warp reads neighbors.
template <int M, int N, int K, int OM, int ON, int AM, int AK, int BN, int BK, class V, class A,
          class B>
INLINE void product(V* out, const A* a, const B* b) {
  constexpr int TM = M < 4 ? M : 4, TN = N < 4 ? N : 4;
  constexpr int DOWN = (M + TM - 1) / TM, ACROSS = (N + TN - 1) / TN;
  for (int t = THREAD; t < DOWN * ACROSS; t += THREADS) {
    const int down = t / ACROSS * TM, across = t % ACROSS;
    V sum[TM][TN];
    int row[TM], column[TN];
#pragma unroll
    for (int i = 0; i < TM; i++) row[i] = down + i < M ? down + i : M - 1;
#pragma unroll
    for (int j = 0; j < TN; j++) column[j] = across + j * ACROSS < N ? across + j * ACROSS : N - 1;
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
      for (int j = 0; j < TN; j++) sum[i][j] = V(0);
#pragma unroll 4
    for (int k = 0; k < K; k++) {
      V left[TM], right[TN];
#pragma unroll
      for (int i = 0; i < TM; i++) left[i] = a[row[i] * AM + k * AK];
#pragma unroll
      for (int j = 0; j < TN; j++) right[j] = b[column[j] * BN + k * BK];
#pragma unroll
      for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++) sum[i][j] += left[i] * right[j];
    }
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
      for (int j = 0; j < TN; j++)
        if (down + i < M && across + j * ACROSS < N)
          out[(down + i) * OM + (across + j * ACROSS) * ON] = sum[i][j];
  }
}

template <class S, class V>
INLINE void load(V* to, const void* from, int size, long long seed) {
  const S* row = static_cast<const S*>(from) + seed * size;
  for (int e = THREAD; e < size; e += THREADS) to[e] = V(row[e]);
}

template <class S, class V>
INLINE void store(void* to, const V* from, int size, long long seed) {
  S* row = static_cast<S*>(to) + seed * size;
  for (int e = THREAD; e < size; e += THREADS) row[e] = S(from[e]);
}
