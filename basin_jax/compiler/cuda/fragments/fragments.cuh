// Rows and tiles: how the lanes of a warp hold arrays, and what is done to them in registers.
//
// An array of rows gives tile `i` of a warp, sixteen rows, to it as a tensor core leaves a product
// (PTX ISA, "Matrix fragments for mma.m16n8k8"): of columns 8 j to 8 j + 7, element x of lane
// 4 g + t is row g + 8 (x / 2) and column 2 t + x % 2. Without columns, the four lanes of a row
// hold the same number.

INLINE int lane() { return THREAD % 32; }
INLINE int warp() { return THREAD / 32; }
INLINE int lane_row() { return lane() / 4; }
INLINE int lane_pair() { return lane() % 4; }

INLINE constexpr int least(int a, int b) { return a < b ? a : b; }

// The row of an element, and whether there is one: a batch is filled up to whole tiles.
INLINE int row_at(int i, int x) { return 16 * (warp() + WARPS * i) + lane_row() + x / 2 * 8; }
template <int COUNT>
INLINE int row_of(int i, int x) {
  return COUNT % (16 * WARPS) ? least(row_at(i, x), COUNT - 1) : row_at(i, x);
}
template <int COUNT>
INLINE b32 is_row(int i, int x) { return COUNT % (16 * WARPS) == 0 || row_at(i, x) < COUNT; }
INLINE int column_at(int j, int x) { return 8 * j + 2 * lane_pair() + x % 2; }
template <int WIDTH>
INLINE int column_of(int j, int x) {
  return WIDTH % 8 ? least(column_at(j, x), WIDTH - 1) : column_at(j, x);
}
template <int WIDTH>
INLINE b32 is_column(int j, int x) { return WIDTH % 8 == 0 || column_at(j, x) < WIDTH; }

// What the lanes of a row that hold a column have.
template <class V>
INLINE V of_column(V x, int column) { return from_lane_of(x, lane() / 4 * 4 + column % 8 / 2); }

// How factors are rounded, and multiplied. `DEPTH` is how many tiles of eight a product sums over.
struct AsTf32 {
  static constexpr int DEPTH = 1;
  u32 left[4], right[2];
  template <bool READY>
  static INLINE_MEMBER u32 rounded(f32 x) { return READY ? bits<u32>(x) : as_tf32(x); }
  // The order of what is summed over is free: slots t and t + 4 are columns 2 t and 2 t + 1.
  INLINE_MEMBER void take_left(const f32 (&a)[DEPTH][4]) {
    left[0] = as_tf32(a[0][0]), left[1] = as_tf32(a[0][2]);
    left[2] = as_tf32(a[0][1]), left[3] = as_tf32(a[0][3]);
  }
  template <bool READY>
  INLINE_MEMBER void take_right(const f32 (&b)[DEPTH][2]) {
    right[0] = rounded<READY>(b[0][0]), right[1] = rounded<READY>(b[0][1]);
  }
  template <bool READY>
  INLINE_MEMBER void stage_left(int r, f32 x) { left[r] = rounded<READY>(x); }
  template <bool READY>
  INLINE_MEMBER void stage_right(int r, f32 x) { right[r] = rounded<READY>(x); }
  static INLINE_MEMBER void multiply(f32 (&d)[4], const AsTf32& a, const AsTf32& b) {
    mma_tf32(d, a.left, b.right);
  }
};
struct AsBf16 {
  static constexpr int DEPTH = 2;
  u32 left[4], right[2];
  INLINE_MEMBER void take_left(const f32 (&a)[DEPTH][4]) {
#pragma unroll
    for (int r = 0; r < 4; r++) left[r] = as_bf16(a[r / 2][r % 2 * 2], a[r / 2][r % 2 * 2 + 1]);
  }
  template <bool READY>
  INLINE_MEMBER void take_right(const f32 (&b)[DEPTH][2]) {
    right[0] = as_bf16(b[0][0], b[0][1]), right[1] = as_bf16(b[1][0], b[1][1]);
  }
  template <bool READY>
  INLINE_MEMBER void stage_left(int r, u32 two) { left[r] = two; }
  template <bool READY>
  INLINE_MEMBER void stage_right(int r, u32 two) { right[r] = two; }
  static INLINE_MEMBER void multiply(f32 (&d)[4], const AsBf16& a, const AsBf16& b) {
    mma_bf16(d, a.left, b.right);
  }
};
// Float32 by three products: each factor is a rounded head and the rest, of which the tensor core
// ignores the last bits. Rest times rest is below float32's own rounding.
struct AsFloat32 {
  static constexpr int DEPTH = 1;
  u32 left[4], right[2], left_rest[4], right_rest[2];
  static INLINE_MEMBER void split(f32 x, u32& head, u32& rest) {
    head = as_tf32(x);
    rest = bits<u32>(x - bits<f32>(head));
  }
  INLINE_MEMBER void take_left(const f32 (&a)[DEPTH][4]) {
#pragma unroll
    for (int r = 0; r < 4; r++) split(a[0][r % 2 * 2 + r / 2], left[r], left_rest[r]);
  }
  template <bool READY>
  INLINE_MEMBER void take_right(const f32 (&b)[DEPTH][2]) {
#pragma unroll
    for (int r = 0; r < 2; r++) split(b[0][r], right[r], right_rest[r]);
  }
  template <bool READY>
  INLINE_MEMBER void stage_left(int r, f32 x) { split(x, left[r], left_rest[r]); }
  template <bool READY>
  INLINE_MEMBER void stage_right(int r, f32 x) { split(x, right[r], right_rest[r]); }
  static INLINE_MEMBER void multiply(f32 (&d)[4], const AsFloat32& a, const AsFloat32& b) {
    mma_tf32(d, a.left_rest, b.right);
    mma_tf32(d, a.left, b.right_rest);
    mma_tf32(d, a.left, b.right);
  }
};

// Two elements of a matrix [K, N] that follow each other along K: nothing beyond its end.
template <int K, int N, int BK, int BN, bool PAIRS>
INLINE void fetch_pair(f32 (&x)[2], const f32* b, int tile, int j) {
  // What a lane adds comes first, so that all else is a constant of the instruction.
  const int own = 8 * j + 8 > N ? least(lane_row(), N - 8 * j - 1) : lane_row();
  const f32* from = b + 2 * lane_pair() * BK + own * BN;
  const int k = 8 * tile * BK + 8 * j * BN;
  if constexpr (PAIRS && K % 8 == 0) {
    const float2 two = *reinterpret_cast<const float2*>(from + k);
    x[0] = two.x, x[1] = two.y;
  } else {
#pragma unroll
    for (int c = 0; c < 2; c++)
      x[c] = 8 * tile + 8 <= K || 8 * tile + 2 * lane_pair() + c < K ? from[k + c * BK] : 0.0f;
  }
}

// Rows times a matrix [K, N] in shared memory.
template <class Kind, bool READY, int K, int N, int BK, int BN, bool PAIRS, int I, int JK, int JN>
INLINE void times(f32 (&out)[I][JN][4], const f32 (&a)[I][JK][4], const f32* b) {
#pragma unroll
  for (int i = 0; i < I; i++)
#pragma unroll
    for (int j = 0; j < JN; j++)
#pragma unroll
      for (int x = 0; x < 4; x++) out[i][j][x] = 0;
#pragma unroll
  for (int k = 0; k < JK; k += Kind::DEPTH) {
    Kind left[I];
#pragma unroll
    for (int i = 0; i < I; i++) {
      f32 tile[Kind::DEPTH][4];
#pragma unroll
      for (int d = 0; d < Kind::DEPTH; d++)
#pragma unroll
        for (int x = 0; x < 4; x++) tile[d][x] = k + d < JK ? a[i][least(k + d, JK - 1)][x] : 0.0f;
      left[i].take_left(tile);
    }
#pragma unroll
    for (int j = 0; j < JN; j++) {
      f32 pairs[Kind::DEPTH][2];
#pragma unroll
      for (int d = 0; d < Kind::DEPTH; d++) {
        if (k + d < JK) fetch_pair<K, N, BK, BN, PAIRS>(pairs[d], b, k + d, j);
        else pairs[d][0] = pairs[d][1] = 0;
      }
      Kind right;
      right.template take_right<READY>(pairs);
#pragma unroll
      for (int i = 0; i < I; i++) Kind::multiply(out[i][j], left[i], right);
    }
  }
}

// Rows are staged for the products that sum over them: column by column, PITCH apart, rows g and
// g + 8 of a tile side by side, as they are held, or as the two halves of a word of bf16.
template <int COUNT, int PITCH, bool ROUND, int I, int J>
INLINE void stage(f32* to, const f32 (&v)[I][J][4]) {
#pragma unroll
  for (int i = 0; i < I; i++) {
    const int tile = warp() + WARPS * i;
    if (COUNT % (16 * WARPS) && tile >= (COUNT + 15) / 16) continue;
    const b32 low = is_row<COUNT>(i, 0), high = is_row<COUNT>(i, 2);
    f32* own = to + 2 * lane_pair() * PITCH + 16 * tile + 2 * lane_row();
#pragma unroll
    for (int j = 0; j < J; j++)
#pragma unroll
      for (int c = 0; c < 2; c++) {
        f32 a = select(low, v[i][j][c], 0.0f), b = select(high, v[i][j][2 + c], 0.0f);
        if (ROUND) a = bits<f32>(as_tf32(a)), b = bits<f32>(as_tf32(b));
        *reinterpret_cast<float2*>(own + (8 * j + c) * PITCH) = make_float2(a, b);
      }
  }
}
template <int COUNT, int PITCH, int I, int J>
INLINE void stage_bf16(u32* to, const f32 (&v)[I][J][4]) {
#pragma unroll
  for (int i = 0; i < I; i++) {
    const int tile = warp() + WARPS * i;
    if (COUNT % (16 * WARPS) && tile >= (COUNT + 15) / 16) continue;
    const b32 low = is_row<COUNT>(i, 0), high = is_row<COUNT>(i, 2);
    u32* own = to + 2 * lane_pair() * PITCH + 8 * tile + lane_row();
#pragma unroll
    for (int j = 0; j < J; j++)
#pragma unroll
      for (int c = 0; c < 2; c++)
        own[(8 * j + c) * PITCH] =
            as_bf16(select(low, v[i][j][c], 0.0f), select(high, v[i][j][2 + c], 0.0f));
  }
}

// Where a warp's tiles of a gradient [M, N] lie: blocks of DOWN x ACROSS tiles, from a warp on.
template <int DOWN_SIZE, int ACROSS_SIZE, int DOWN, int ACROSS, int FIRST>
struct Spread {
  static constexpr int M = DOWN_SIZE, N = ACROSS_SIZE;
  static constexpr int WIDE = (N + 7) / 8 / ACROSS, BLOCKS = (M + 15) / 16 / DOWN * WIDE;
  static constexpr int TURNS = (BLOCKS + WARPS - 1) / WARPS;
  static INLINE_MEMBER int block(int turn) { return (warp() + FIRST) % WARPS + turn * WARPS; }
  static INLINE_MEMBER bool has(int turn) { return BLOCKS % WARPS == 0 || block(turn) < BLOCKS; }
  static INLINE_MEMBER int tile_down(int turn, int tile) {
    return 16 * (block(turn) / WIDE * DOWN + tile / ACROSS);
  }
  static INLINE_MEMBER int tile_across(int turn, int tile) {
    return 8 * (block(turn) % WIDE * ACROSS + tile % ACROSS);
  }
  static INLINE_MEMBER int down(int turn, int tile, int x) {
    return tile_down(turn, tile) + lane_row() + x / 2 * 8;
  }
  static INLINE_MEMBER int across(int turn, int tile, int x) {
    return tile_across(turn, tile) + 2 * lane_pair() + x % 2;
  }
  static INLINE_MEMBER bool inside(int turn, int tile, int x) {
    return (M % 16 == 0 || down(turn, tile, x) < M) && (N % 8 == 0 || across(turn, tile, x) < N);
  }
};

// The product of two staged arrays that sums over their rows: a warp's tiles of a gradient. A step
// takes eight words of each column, by four lanes' words of eight columns at once.
template <class Kind, bool READY, class Where, int DOWN, int ACROSS, int STEPS, int PA, int PB, class W>
INLINE void over_rows(f32 (&out)[Where::TURNS][DOWN * ACROSS][4], const W* a, const W* b) {
  const int own = lane() % 8, second = lane() / 8 % 2, third = lane() / 16;
#pragma unroll
  for (int turn = 0; turn < Where::TURNS; turn++) {
#pragma unroll
    for (int tile = 0; tile < DOWN * ACROSS; tile++)
#pragma unroll
      for (int x = 0; x < 4; x++) out[turn][tile][x] = 0;
    if (!Where::has(turn)) continue;
    const W* lefts = a + (Where::tile_down(turn, 0) + own + 8 * second) * PA + 4 * third;
    const W* rights = b + (Where::tile_across(turn, 0) + own + 8 * (ACROSS > 1 ? third : 0)) * PB + 4 * second;
#pragma unroll 4
    for (int k = 0; k < STEPS; k++) {
      Kind left[DOWN], right[ACROSS];
#pragma unroll
      for (int d = 0; d < DOWN; d++) {
        W four[4];
        load_matrices(four, lefts + 16 * d * PA + 8 * k);
#pragma unroll
        for (int r = 0; r < 4; r++) left[d].template stage_left<READY>(r, four[r]);
      }
#pragma unroll
      for (int n = 0; n < ACROSS; n += 2) {
        W four[ACROSS > 1 ? 4 : 2];
        load_matrices(four, rights + 8 * n * PB + 8 * k);
#pragma unroll
        for (int r = 0; r < (ACROSS > 1 ? 4 : 2); r++)
          right[n + r / 2].template stage_right<READY>(r % 2, four[r]);
      }
#pragma unroll
      for (int d = 0; d < DOWN; d++)
#pragma unroll
        for (int n = 0; n < ACROSS; n++) Kind::multiply(out[turn][d * ACROSS + n], left[d], right[n]);
    }
  }
}

template <int A, int B, class V>
INLINE void replace(V (&old)[A][B][4], const V (&by)[A][B][4]) {
#pragma unroll
  for (int a = 0; a < A; a++)
#pragma unroll
    for (int b = 0; b < B; b++)
#pragma unroll
      for (int x = 0; x < 4; x++) old[a][b][x] = by[a][b][x];
}

// Over the four lanes of a row.
template <class V, class Both>
INLINE V over_columns(V x, Both both) {
  x = both(x, from_lane(x, 1));
  return both(x, from_lane(x, 2));
}

// Over the rows of a warp, of lanes that hold N numbers each: halves are given away, until a lane
// has its own part of them. They are COLUMNS of the lane's own, or a number of the row.
template <int DISTANCE, int N, bool COLUMNS, class V, class Both>
INLINE void over_lanes(V* x, int first, V* part, int width, Both both) {
  if constexpr (DISTANCE < 4) {
#pragma unroll
    for (int k = 0; k < N; k++) {
      const int column = COLUMNS ? column_at((first + k) / 2, (first + k) % 2) : lane_pair();
      if (column < width) part[column] = x[k];
    }
  } else if constexpr (N % 2 == 0) {
    const bool upper = (lane() & DISTANCE) != 0;
#pragma unroll
    for (int k = 0; k < N / 2; k++) {
      const V kept = upper ? x[k + N / 2] : x[k], given = upper ? x[k] : x[k + N / 2];
      x[k] = both(kept, from_lane(given, DISTANCE));
    }
    over_lanes<DISTANCE / 2, N / 2, COLUMNS>(x, first + (upper ? N / 2 : 0), part, width, both);
  } else {
#pragma unroll
    for (int k = 0; k < N; k++) x[k] = both(x[k], from_lane(x[k], DISTANCE));
    over_lanes<DISTANCE / 2, N, COLUMNS>(x, first, part, width, both);
  }
}

// What all warps have of a sum over rows.
template <class V, class Both>
INLINE V over_warps(const V* part, int pitch, Both both) {
  V x = part[0];
#pragma unroll
  for (int w = 1; w < WARPS; w++) x = both(x, part[w * pitch]);
  return x;
}
