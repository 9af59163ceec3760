// What the generated programs are written in: vectors of a seed a lane, and what is done to them.
//
// Every value of a trial is an array whose elements are vectors, one seed in each lane. So
// arithmetic never crosses lanes, and a seed's bits depend on no other seed.

#include <cstdint>
#include <cstdlib>
#include <limits>
#include <type_traits>
#if defined(__AVX512F__)
#include <immintrin.h>
#endif

#include "ffi.h"

#if defined(__AVX512F__)
#define LANES 16
#elif defined(__AVX__)
#define LANES 8
#else
#define LANES 4
#endif
#define INLINE static inline __attribute__((always_inline))

#define VECTOR(name, scalar) \
  typedef scalar name __attribute__((vector_size(sizeof(scalar) * LANES))); \
  INLINE name K_##name(scalar x) { return name{} + x; }
VECTOR(f32, float)
VECTOR(f64, double)
VECTOR(i32, int32_t)
VECTOR(i64, int64_t)
VECTOR(u32, uint32_t)
VECTOR(u64, uint64_t)
// A truth value is a vector of 0 and -1, as comparisons of 32 bits give.
typedef i32 b32;
INLINE b32 K_b32(bool x) { return b32{} - int32_t(x); }

template <class T, class S>
INLINE T cast(S x) { return __builtin_convertvector(x, T); }
template <class T, class S>
INLINE T bits(S x) { return (T)x; }
template <class T>
INLINE T from_truth(b32 x) { return __builtin_convertvector(-x, T); }
template <class T>
INLINE b32 truth(T x) { return cast<b32>(x != T{}); }

INLINE i32 mask_of(b32 c, f32) { return c; }
INLINE i32 mask_of(b32 c, i32) { return c; }
INLINE i32 mask_of(b32 c, u32) { return c; }
INLINE i64 mask_of(b32 c, f64) { return cast<i64>(c); }
INLINE i64 mask_of(b32 c, i64) { return cast<i64>(c); }
INLINE i64 mask_of(b32 c, u64) { return cast<i64>(c); }
template <class T>
INLINE T select(b32 c, T a, T b) { return mask_of(c, a) ? a : b; }

// Of two values one of which is not a number, that one, as XLA has it.
template <class T>
INLINE T maximum(T a, T b) { return ((a <= b) | (b != b)) ? b : a; }
template <class T>
INLINE T minimum(T a, T b) { return ((a >= b) | (b != b)) ? b : a; }
template <class T>
INLINE T magnitude(T x) { return x < T{} ? -x : x + T{}; }  // -0 + 0 is 0
template <class T>
INLINE T sign(T x) { return x > T{} ? T{} + 1 : (x < T{} ? T{} - 1 : x); }

#define LANEWISE1(name, T, call) \
  INLINE T name(T x) { T y; for (int s = 0; s < LANES; s++) y[s] = call(x[s]); return y; }
#define LANEWISE2(name, T, call) \
  INLINE T name(T x, T z) { T y; for (int s = 0; s < LANES; s++) y[s] = call(x[s], z[s]); return y; }
#define FLOAT1(name, call) \
  LANEWISE1(name, f32, __builtin_##call##f) LANEWISE1(name, f64, __builtin_##call)
#define FLOAT2(name, call) \
  LANEWISE2(name, f32, __builtin_##call##f) LANEWISE2(name, f64, __builtin_##call)
#include "functions.h"
LANEWISE1(exponential, f64, __builtin_exp)
LANEWISE1(logarithm, f64, __builtin_log)
LANEWISE1(logarithm_one_plus, f64, __builtin_log1p)
LANEWISE1(hyperbolic_tangent, f64, __builtin_tanh)

// As XLA divides: by nothing gives -1 and leaves the whole, and nothing traps.
template <class T>
INLINE T divisor(T a, T b) {
  T least = T{} + std::numeric_limits<std::remove_reference_t<decltype(a[0])>>::min();
  auto overflows = (least < T{}) & (a == least) & (b == T{} - 1);
  return ((b == T{}) | overflows) ? T{} + 1 : b;
}
template <class T>
INLINE T quotient(T a, T b) { return b == T{} ? T{} - 1 : a / divisor(a, b); }
template <class T>
INLINE T remainder_of(T a, T b) { return b == T{} ? a : a % divisor(a, b); }

// As XLA makes whole numbers: what is too large becomes the largest, what is none becomes 0.
template <class T, class S>
INLINE T whole(S x) {
  using N = std::remove_reference_t<decltype(T{}[0])>;
  using F = std::remove_reference_t<decltype(x[0])>;
  constexpr N low = std::numeric_limits<N>::min(), high = std::numeric_limits<N>::max();
  b32 over = cast<b32>(x >= F(high)), under = cast<b32>(x <= F(low)), none = cast<b32>(x != x);
  T y = cast<T>(select(over | under | none, S{}, x));
  return select(over, T{} + high, select(under, T{} + low, y));
}

// 2^n for whole n of a normal result.
INLINE f32 power_of_two(i32 n) { return (f32)((n + 127) << 23); }

// Cephes' expf: |relative error| below 2 units in the last place.
INLINE f32 exponential(f32 x) {
  f32 t = minimum(maximum(x, K_f32(-104.0f)), K_f32(88.8f));
  f32 z = t * 1.44269504088896341f;
  i32 n = cast<i32>(z + select(z < 0.0f, K_f32(-0.5f), K_f32(0.5f)));
  f32 k = cast<f32>(n);
  f32 r = (t - k * 0.693359375f) - k * -2.12194440e-4f;
  f32 y = K_f32(1.9875691500E-4f);
  y = y * r + 1.3981999507E-3f;
  y = y * r + 8.3334519073E-3f;
  y = y * r + 4.1665795894E-2f;
  y = y * r + 1.6666665459E-1f;
  y = y * r + 5.0000001201E-1f;
  y = (y * r) * r + r + 1.0f;
  // In two factors, so that the ends of the range are met without a wrong exponent.
  i32 half = n >> 1;
  y = y * power_of_two(half) * power_of_two(n - half);
  y = select(x > 88.7228391f, K_f32(__builtin_inff()), y);
  return select(x != x, x, y);
}

// Cephes' logf, for normal numbers above 0.
INLINE f32 logarithm_of_normal(f32 x) {
  i32 bits = (i32)x;
  i32 e = (bits >> 23) - 126;
  f32 m = (f32)((bits & 0x007fffff) | 0x3f000000);
  b32 low = m < 0.707106781186547524f;
  e = e + low;
  m = m - 1.0f + select(low, m, K_f32(0.0f));
  f32 k = cast<f32>(e), z = m * m;
  f32 y = K_f32(7.0376836292E-2f);
  y = y * m - 1.1514610310E-1f;
  y = y * m + 1.1676998740E-1f;
  y = y * m - 1.2420140846E-1f;
  y = y * m + 1.4249322787E-1f;
  y = y * m - 1.6668057665E-1f;
  y = y * m + 2.0000714765E-1f;
  y = y * m - 2.4999993993E-1f;
  y = y * m + 3.3333331174E-1f;
  y = y * m * z + k * -2.12194440e-4f - 0.5f * z;
  return m + y + k * 0.693359375f;
}

INLINE f32 logarithm(f32 x) {
  b32 tiny = x < 1.17549435e-38f;
  f32 y = logarithm_of_normal(select(tiny, x * 8388608.0f, x));
  y = y - select(tiny, K_f32(15.9423847f), K_f32(0.0f));  // 23 log 2
  y = select(x == 0.0f, K_f32(-__builtin_inff()), y);
  y = select(x == __builtin_inff(), x, y);
  return select((x < 0.0f) | (x != x), K_f32(__builtin_nanf("")), y);
}

INLINE f32 logarithm_one_plus(f32 x) {
  f32 u = 1.0f + x;
  f32 y = logarithm(u) - ((u - 1.0f) - x) / u;  // what rounding of 1 + x has lost
  return select((u == __builtin_inff()) | (u == 0.0f), logarithm(u), y);
}

template <class T>
INLINE T logistic(T x) { return 1 / (1 + exponential(-x)); }

INLINE f32 hyperbolic_tangent(f32 x) {
  f32 a = magnitude(x), q = a * a;
  f32 small = K_f32(-5.70498872745E-3f);
  small = small * q + 2.06390887954E-2f;
  small = small * q - 5.37397155531E-2f;
  small = small * q + 1.33314422036E-1f;
  small = small * q - 3.33332819422E-1f;
  small = small * q * x + x;
  f32 large = 1.0f - 2.0f / (exponential(2.0f * a) + 1.0f);
  return select(a < 0.625f, small, select(x < 0.0f, -large, large));
}

INLINE bool any(b32 c) {
#if defined(__AVX512F__)
  return _mm512_test_epi32_mask((__m512i)c, (__m512i)c) != 0;
#else
  int32_t found = 0;
  for (int s = 0; s < LANES; s++) found |= c[s];
  return found != 0;
#endif
}

template <int N>
INLINE f32 polynomial(f32 x, const float (&coefficients)[N]) {
  f32 y = K_f32(coefficients[0]);
#pragma GCC unroll 16
  for (int i = 1; i < N; i++) y = y * x + coefficients[i];
  return y;
}

// Giles 2010, "Approximating the erfinv function". The tails are few, and have a branch.
INLINE f32 inverse_error_function(f32 x) {
  static constexpr float center[9] = {
      2.81022636e-08f, 3.43273939e-07f, -3.5233877e-06f, -4.39150654e-06f, 0.00021858087f,
      -0.00125372503f, -0.00417768164f, 0.246640727f, 1.50140941f};
  static constexpr float tail[9] = {
      -0.000200214257f, 0.000100950558f, 0.00134934322f, -0.00367342844f, 0.00573950773f,
      -0.0076224613f, 0.00943887047f, 1.00167406f, 2.83297682f};
  f32 w = -logarithm_of_normal(1.0f - x * x);
  f32 y = polynomial(w - 2.5f, center) * x;
  b32 outside = !(w < 5.0f);
  if (any(outside)) {
    w = -logarithm(1.0f - x * x);
    y = select(outside, polynomial(square_root(w) - 3.0f, tail) * x, y);
    y = select(magnitude(x) == 1.0f, x * __builtin_inff(), y);
    y = select(x != x, x, y);
  }
  return y;
}

// Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3": 20 rounds, as in JAX.
// Of several counters at once, since the rounds of one wait for each other.
#define EACH _Pragma("GCC unroll 16") for (int n = 0; n < N; n++)
template <int N>
INLINE void threefry(u32 k0, u32 k1, u32 (&x0)[N], u32 (&x1)[N]) {
  u32 key[3] = {k0, k1, k0 ^ k1 ^ 0x1BD11BDAu};
  static constexpr int turns[8] = {13, 15, 26, 6, 17, 29, 16, 24};
  EACH x0[n] += key[0];
  EACH x1[n] += key[1];
#pragma GCC unroll 5
  for (int group = 0; group < 5; group++) {
#pragma GCC unroll 4
    for (int round = 0; round < 4; round++) {
      int turn = turns[(group % 2) * 4 + round];
      EACH x0[n] += x1[n];
      EACH x1[n] = (x1[n] << turn) | (x1[n] >> (32 - turn));
      EACH x1[n] ^= x0[n];
    }
    EACH x0[n] += key[(group + 1) % 3];
    u32 next = key[(group + 2) % 3] + uint32_t(group + 1);
    EACH x1[n] += next;
  }
}

// Matrix products. An operand is an array of vectors, or of numbers that all seeds share.
template <int M, int N, int K, class A, class B, class V>
INLINE void tile(V* out, long om, long on, const A* a, long am, long ak, const B* b, long bn,
                 long bk) {
  V sum[M][N];
#pragma GCC unroll 32
  for (int m = 0; m < M; m++)
#pragma GCC unroll 32
    for (int n = 0; n < N; n++) sum[m][n] = V{};
  for (int k = 0; k < K; k++) {
    V right[N];
#pragma GCC unroll 32
    for (int n = 0; n < N; n++) right[n] = V{} + b[n * bn + k * bk];
#pragma GCC unroll 32
    for (int m = 0; m < M; m++) {
      V left = V{} + a[m * am + k * ak];
#pragma GCC unroll 32
      for (int n = 0; n < N; n++) sum[m][n] += left * right[n];
    }
  }
#pragma GCC unroll 32
  for (int m = 0; m < M; m++)
#pragma GCC unroll 32
    for (int n = 0; n < N; n++) out[m * om + n * on] = sum[m][n];
}

template <int M, int N, int K, int TN, class A, class B, class V>
INLINE void strip(V* out, long om, long on, const A* a, long am, long ak, const B* b, long bn,
                  long bk) {
  for (int n = 0; n + TN <= N; n += TN)
    tile<M, TN, K>(out + n * on, om, on, a, am, ak, b + n * bn, bn, bk);
  if constexpr (N % TN != 0) {
    constexpr int n = N - N % TN;
    tile<M, N % TN, K>(out + n * on, om, on, a, am, ak, b + n * bn, bn, bk);
  }
}

// out[m, n] = sum over k of a[m, k] * b[k, n], in tiles of TM x TN that stay in registers.
template <int M, int N, int K, int TM, int TN, class A, class B, class V>
INLINE void product(V* out, long om, long on, const A* a, long am, long ak, const B* b, long bn,
                    long bk) {
  for (int m = 0; m + TM <= M; m += TM)
    strip<TM, N, K, TN>(out + m * om, om, on, a + m * am, am, ak, b, bn, bk);
  if constexpr (M % TM != 0) {
    constexpr int m = M - M % TM;
    strip<M % TM, N, K, TN>(out + m * om, om, on, a + m * am, am, ak, b, bn, bk);
  }
}

// The same with sums along three axes, of which an operand's steps need not be those of one.
template <int TM, int TN, int K0, int K1, int K2, class A, class B, class V>
INLINE void tile_of_sums(V* out, long om, long on, const A* a, long am, const B* b, long bn,
                         long a0, long b0, long a1, long b1, long a2, long b2) {
  V sum[TM][TN];
#pragma GCC unroll 32
  for (int m = 0; m < TM; m++)
#pragma GCC unroll 32
    for (int n = 0; n < TN; n++) sum[m][n] = V{};
  for (int i = 0; i < K0; i++)
    for (int j = 0; j < K1; j++)
      for (int k = 0; k < K2; k++) {
        const A* from = a + i * a0 + j * a1 + k * a2;
        const B* by = b + i * b0 + j * b1 + k * b2;
        V right[TN];
#pragma GCC unroll 32
        for (int n = 0; n < TN; n++) right[n] = V{} + by[n * bn];
#pragma GCC unroll 32
        for (int m = 0; m < TM; m++) {
          V left = V{} + from[m * am];
#pragma GCC unroll 32
          for (int n = 0; n < TN; n++) sum[m][n] += left * right[n];
        }
      }
#pragma GCC unroll 32
  for (int m = 0; m < TM; m++)
#pragma GCC unroll 32
    for (int n = 0; n < TN; n++) out[m * om + n * on] = sum[m][n];
}

template <int TM, int N, int TN, int K0, int K1, int K2, class A, class B, class V, class... Steps>
INLINE void strip_of_sums(V* out, long om, long on, const A* a, long am, const B* b, long bn,
                          Steps... steps) {
  for (int n = 0; n + TN <= N; n += TN)
    tile_of_sums<TM, TN, K0, K1, K2>(out + n * on, om, on, a, am, b + n * bn, bn, steps...);
  if constexpr (N % TN != 0) {
    constexpr int n = N - N % TN;
    tile_of_sums<TM, N % TN, K0, K1, K2>(out + n * on, om, on, a, am, b + n * bn, bn, steps...);
  }
}

template <int M, int N, int TM, int TN, int K0, int K1, int K2, class A, class B, class V,
          class... Steps>
INLINE void contraction(V* out, long om, long on, const A* a, long am, const B* b, long bn,
                        Steps... steps) {
  for (int m = 0; m + TM <= M; m += TM)
    strip_of_sums<TM, N, TN, K0, K1, K2>(out + m * om, om, on, a + m * am, am, b, bn, steps...);
  if constexpr (M % TM != 0) {
    constexpr int m = M - M % TM;
    strip_of_sums<M % TM, N, TN, K0, K1, K2>(out + m * om, om, on, a + m * am, am, b, bn, steps...);
  }
}

// Seeds come and go as rows; what lanes have no seed repeat the last one. A cache holds a
// stretch of every row, but not all rows.
constexpr long STRETCH = 16;

template <class S, class V>
INLINE void load(V* to, const void* from, long size, long first, long seeds) {
  const S* rows = static_cast<const S*>(from);
  for (long begin = 0; begin < size; begin += STRETCH) {
    long end = begin + STRETCH < size ? begin + STRETCH : size;
    for (int s = 0; s < LANES; s++) {
      const S* row = rows + (first + s < seeds ? first + s : seeds - 1) * size;
      for (long e = begin; e < end; e++) to[e][s] = std::is_same_v<S, bool> ? -int(row[e]) : row[e];
    }
  }
}

template <class S, class V>
INLINE void store(void* to, const V* from, long size, long first, long seeds) {
  S* rows = static_cast<S*>(to);
  for (long begin = 0; begin < size; begin += STRETCH) {
    long end = begin + STRETCH < size ? begin + STRETCH : size;
    for (int s = 0; s < LANES && first + s < seeds; s++)
      for (long e = begin; e < end; e++) rows[(first + s) * size + e] = S(from[e][s]);
  }
}
