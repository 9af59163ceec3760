// What the generated kernels are written in: numbers of one seed, and what is done to them.
//
// A thread block trains a seed; its arrays lie in the block's shared memory. A program says how
// many `THREADS` it has.

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
template <class T>
INLINE T from_lane(T x, int distance) { return __shfl_xor_sync(0xffffffffu, x, distance); }
template <class T>
INLINE T from_lane_of(T x, int lane) { return __shfl_sync(0xffffffffu, x, lane); }
// To the nearest, of a tensor core's factor, which has no last 13 bits.
INLINE uint32_t as_tf32(float x) {
  uint32_t y;
#if __CUDA_ARCH__ >= 900
  asm("cvt.rn.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
#else
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(y) : "f"(x));
#endif
  return y;
}
INLINE float greater_or_none(float a, float b) {
  float y;
  asm("max.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
  return y;
}
INLINE float lesser_or_none(float a, float b) {
  float y;
  asm("min.NaN.f32 %0, %1, %2;" : "=f"(y) : "f"(a), "f"(b));
  return y;
}
INLINE uint32_t as_bf16(float low, float high) {
  uint32_t y;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(y) : "f"(high), "f"(low));
  return y;
}
// Matrices of 8 x 4 words: a lane gives where a row of one begins, and gets an element of each.
template <class W>
INLINE void load_matrices(W (&x)[4], const W* row) {
  uint32_t y[4];
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(y[0]), "=r"(y[1]), "=r"(y[2]), "=r"(y[3])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row))) : "memory");
#pragma unroll
  for (int i = 0; i < 4; i++) x[i] = *reinterpret_cast<const W*>(&y[i]);
}
template <class W>
INLINE void load_matrices(W (&x)[2], const W* row) {
  uint32_t y[2];
  asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
               : "=r"(y[0]), "=r"(y[1])
               : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row))) : "memory");
#pragma unroll
  for (int i = 0; i < 2; i++) x[i] = *reinterpret_cast<const W*>(&y[i]);
}
#define MMA(name, shape, type) \
  INLINE void name(float(&d)[4], const uint32_t(&a)[4], const uint32_t(&b)[2]) { \
    asm volatile("mma.sync.aligned." shape ".row.col.f32." type "." type ".f32 " \
                 "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};" \
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3]) \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1])); \
  }
MMA(mma_tf32, "m16n8k8", "tf32")
MMA(mma_bf16, "m16n8k16", "bf16")
#else
#include "emulate.h"
#define INLINE static inline
#define INLINE_MEMBER inline
#endif

static constexpr int WARPS = THREADS / 32;
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

#ifdef __CUDACC__
INLINE b32 from_lane(b32 x, int distance) { return b32(from_lane(x.v, distance) != 0); }
INLINE b32 from_lane_of(b32 x, int lane) { return b32(from_lane_of(x.v, lane) != 0); }
#endif

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
#ifdef __CUDACC__
INLINE f32 maximum(f32 a, f32 b) { return greater_or_none(a, b); }
INLINE f32 minimum(f32 a, f32 b) { return lesser_or_none(a, b); }
#endif
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
#include "functions.h"
FLOAT1(hyperbolic_tangent, tanh)
FLOAT1(exponential, exp)
FLOAT1(logarithm, log)
FLOAT1(logarithm_one_plus, log1p)
template <class T>
INLINE T logistic(T x) { return T(1) / (T(1) + exponential(-x)); }

// number / (root of x + least), where least is far from the ends of float32.
INLINE f32 by_root(f32 number, f32 x, f32 least) {
#ifdef __CUDACC__
  f32 root, quotient;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(root) : "f"(x));
  asm("div.approx.ftz.f32 %0, %1, %2;" : "=f"(quotient) : "f"(number), "f"(root + least));
  return quotient;
#else
  return number / (square_root(x) + least);
#endif
}

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

// With an absolute error of 2^-22, of what is not tiny.
INLINE f32 logarithm_near_one(f32 x) {
#ifdef __CUDACC__
  f32 y;
  asm("lg2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y * 0.693147182f;
#else
  return logarithm(x);
#endif
}
// Keeps the compiler from computing a branch that is seldom taken, to choose its result afterwards.
INLINE void seldom() {
#ifdef __CUDACC__
  asm volatile("");
#endif
}

// Giles 2010, "Approximating the erfinv function".
INLINE f32 inverse_error_function(f32 x) {
  constexpr float center[9] = {
      2.81022636e-08f, 3.43273939e-07f, -3.5233877e-06f, -4.39150654e-06f, 0.00021858087f,
      -0.00125372503f, -0.00417768164f, 0.246640727f, 1.50140941f};
  constexpr float tail[9] = {
      -0.000200214257f, 0.000100950558f, 0.00134934322f, -0.00367342844f, 0.00573950773f,
      -0.0076224613f, 0.00943887047f, 1.00167406f, 2.83297682f};
  const f32 w = -logarithm_near_one(1.0f - x * x);
  if (w < 5.0f) return polynomial(w - 2.5f, center) * x;
  seldom();
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

// Products: out[m, n] = sum over k of a[m, k] * b[k, n]. A letter and an axis are how far apart
// elements of one are along the other; `L` says whether four that lie together are one read.

template <class T>
struct Is32 { static constexpr bool value = false; };
template <>
struct Is32<float> { static constexpr bool value = true; };

// T rows of four columns, from column k on.
template <int T, int ROW, int COLUMN, bool L, class V, class A>
INLINE void fetch(V (&x)[T][4], const A* a, const int (&row)[T], int k) {
  if constexpr (L && Is32<A>::value && COLUMN == 1) {
#pragma unroll
    for (int i = 0; i < T; i++) {
      const float4 four = *reinterpret_cast<const float4*>(a + row[i] * ROW + k);
      x[i][0] = four.x, x[i][1] = four.y, x[i][2] = four.z, x[i][3] = four.w;
    }
  } else if constexpr (L && Is32<A>::value && ROW == 1 && T % 4 == 0) {
#pragma unroll
    for (int kk = 0; kk < 4; kk++)
#pragma unroll
      for (int i = 0; i < T; i += 4) {
        const float4 four = *reinterpret_cast<const float4*>(a + row[i] + (k + kk) * COLUMN);
        x[i][kk] = four.x, x[i + 1][kk] = four.y, x[i + 2][kk] = four.z, x[i + 3][kk] = four.w;
      }
  } else {
#pragma unroll
    for (int i = 0; i < T; i++)
#pragma unroll
      for (int kk = 0; kk < 4; kk++) x[i][kk] = a[row[i] * ROW + (k + kk) * COLUMN];
  }
}

// A thread computes a tile of TM rows and TN columns; SPLIT lanes share its sums. Rows of a tile
// lie together, and columns do where that makes them one read; else they lie a tile's number
// apart, so that lanes read neighbors.
template <int M, int N, int K, int TM, int TN, int SPLIT, int OM, int ON, int AM, int AK, int BN,
          int BK, bool LA, bool LB, bool LO, class V, class A, class B>
INLINE void product(V* out, const A* a, const B* b) {
  constexpr int DOWN = (M + TM - 1) / TM, ACROSS = (N + TN - 1) / TN, TILES = DOWN * ACROSS;
  constexpr int TURNS = (TILES * SPLIT + THREADS - 1) / THREADS;
  constexpr bool EVEN = M % TM == 0 && N % TN == 0, TOGETHER = BN == 1 && N % TN == 0;
  // Every thread takes every turn, since lanes wait for each other at its end.
#pragma unroll 1
  for (int turn = 0; turn < TURNS; turn++) {
    const int f = THREAD + turn * THREADS, t = f / SPLIT, part = f % SPLIT;
    const int down = t / ACROSS * TM, across = t % ACROSS;
    V sum[TM][TN];
    int row[TM], column[TN];
#pragma unroll
    for (int i = 0; i < TM; i++) row[i] = down + i < M ? down + i : M - 1;
#pragma unroll
    for (int j = 0; j < TN; j++) {
      const int n = TOGETHER ? across * TN + j : across + j * ACROSS;
      column[j] = n < N ? n : N - 1;
    }
#pragma unroll
    for (int i = 0; i < TM; i++)
#pragma unroll
      for (int j = 0; j < TN; j++) sum[i][j] = V(0);
    if (t < TILES) {
      constexpr int FOURS = K / 4 * 4;
#pragma unroll 2
      for (int k = 4 * part; k < FOURS; k += 4 * SPLIT) {
        V left[TM][4], right[TN][4];
        fetch<TM, AM, AK, LA && M % TM == 0>(left, a, row, k);
        fetch<TN, BN, BK, LB && N % TN == 0>(right, b, column, k);
#pragma unroll
        for (int kk = 0; kk < 4; kk++)
#pragma unroll
          for (int i = 0; i < TM; i++)
#pragma unroll
            for (int j = 0; j < TN; j++) sum[i][j] += left[i][kk] * right[j][kk];
      }
      for (int k = FOURS + part; k < K; k += SPLIT)
#pragma unroll
        for (int i = 0; i < TM; i++)
#pragma unroll
          for (int j = 0; j < TN; j++)
            sum[i][j] += V(a[row[i] * AM + k * AK]) * V(b[column[j] * BN + k * BK]);
    }
#pragma unroll
    for (int distance = SPLIT / 2; distance; distance /= 2)
#pragma unroll
      for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++) sum[i][j] += from_lane(sum[i][j], distance);
    if (t >= TILES || part != 0) continue;
    if constexpr (EVEN && TOGETHER && LO && ON == 1 && TN % 4 == 0 && Is32<V>::value) {
#pragma unroll
      for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j += 4)
          *reinterpret_cast<float4*>(out + row[i] * OM + column[j]) =
              make_float4(sum[i][j], sum[i][j + 1], sum[i][j + 2], sum[i][j + 3]);
    } else {
#pragma unroll
      for (int i = 0; i < TM; i++)
#pragma unroll
        for (int j = 0; j < TN; j++)
          if (EVEN || (down + i < M && (TOGETHER || across + j * ACROSS < N)))
            out[row[i] * OM + column[j] * ON] = sum[i][j];
    }
  }
}

// How lanes hold the factors of a tile of a tensor core, 16 x 8 and DEPTH deep (PTX ISA, "Matrix
// fragments for mma.m16n8k8" and "mma.m16n8k16"): register r of lane 4 g + t, from where row
// g of the left, or column g of the right, begins; K is how far apart elements are along it.
struct Tf32 {
  static constexpr int DEPTH = 8;
  template <int K, class A>
  static INLINE_MEMBER u32 held(const A* a, int t, int half) { return as_tf32(a[(t + half * 4) * K]); }
  static INLINE_MEMBER void mma(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    mma_tf32(d, a, b);
  }
};
struct Bf16 {
  static constexpr int DEPTH = 16;
  template <int K, class A>
  static INLINE_MEMBER u32 held(const A* a, int t, int half) {
    return as_bf16(a[(2 * t + half * 8) * K], a[(2 * t + half * 8 + 1) * K]);
  }
  static INLINE_MEMBER void mma(float (&d)[4], const u32 (&a)[4], const u32 (&b)[2]) {
    mma_bf16(d, a, b);
  }
};

// By tensor cores, of factors that are rounded: a warp computes DOWN x ACROSS tiles.
template <class Kind, int M, int N, int K, int DOWN, int ACROSS, int OM, int ON, int AM, int AK,
          int BN, int BK, class V, class A, class B>
INLINE void product_rounded(V* out, const A* a, const B* b) {
  constexpr int COLUMNS = N / 8 / ACROSS, TILES = M / 16 / DOWN * COLUMNS;
  const int lane = THREAD % 32, g = lane / 4, t = lane % 4;
  for (int tile = THREAD / 32; tile < TILES; tile += WARPS) {
    const int m = tile / COLUMNS * DOWN * 16, n = tile % COLUMNS * ACROSS * 8;
    float sum[DOWN][ACROSS][4];
#pragma unroll
    for (int i = 0; i < DOWN; i++)
#pragma unroll
      for (int j = 0; j < ACROSS; j++)
#pragma unroll
        for (int r = 0; r < 4; r++) sum[i][j][r] = 0;
#pragma unroll 2
    for (int k = 0; k < K; k += Kind::DEPTH) {
      u32 left[DOWN][4], right[ACROSS][2];
#pragma unroll
      for (int i = 0; i < DOWN; i++)
#pragma unroll
        for (int r = 0; r < 4; r++)
          left[i][r] = Kind::template held<AK>(a + (m + 16 * i + g + r % 2 * 8) * AM + k * AK, t, r / 2);
#pragma unroll
      for (int j = 0; j < ACROSS; j++)
#pragma unroll
        for (int r = 0; r < 2; r++)
          right[j][r] = Kind::template held<BK>(b + (n + 8 * j + g) * BN + k * BK, t, r);
#pragma unroll
      for (int i = 0; i < DOWN; i++)
#pragma unroll
        for (int j = 0; j < ACROSS; j++) Kind::mma(sum[i][j], left[i], right[j]);
    }
#pragma unroll
    for (int i = 0; i < DOWN; i++)
#pragma unroll
      for (int j = 0; j < ACROSS; j++)
#pragma unroll
        for (int r = 0; r < 4; r++)
          out[(m + 16 * i + g + r / 2 * 8) * OM + (n + 8 * j + 2 * t + r % 2) * ON] = sum[i][j][r];
  }
}

// A seed's arrays are rows outside; here those of some matrices begin `pitch` elements apart.
template <class S, class V>
INLINE void load(V* to, const void* from, int size, int width, int pitch, long long seed) {
  const S* row = static_cast<const S*>(from) + seed * size;
  for (int e = THREAD; e < size; e += THREADS) to[e / width * pitch + e % width] = V(row[e]);
}

template <class S, class V>
INLINE void store(void* to, const V* from, int size, int width, int pitch, long long seed) {
  S* row = static_cast<S*>(to) + seed * size;
  for (int e = THREAD; e < size; e += THREADS) row[e] = S(from[e / width * pitch + e % width]);
}

#include "fragments.cuh"
