// A thread block on a CPU: its threads run one after the other, each up to a barrier.
//
// For tests where there is no GPU. Between two barriers threads may run in any order, so a
// kernel whose result depends on `backwards` lacks one.

#include <setjmp.h>
#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

// What a lane gives to the others of its warp.
struct Given {
  uint64_t value;
  const void* row;  // of a matrix
  uint32_t left[4], right[2];  // its part of the factors of a tensor core
};
struct Fiber {
  ucontext_t context;  // where it begins
  jmp_buf place;       // where it waits
  char* stack;
  enum { NEW, READY, AT_WARP, AT_BLOCK, DONE } state;
  Given given[2];  // in turns: some may still read the one before
  int turn;
};
struct Block {
  jmp_buf home;
  Fiber* fibers;
  int thread;
  long long seed;
  char* memory;
  void (*body)(const void*);
  const void* arrays;
};
static thread_local Block* block;
static int backwards = 0;
static constexpr int WARP = 32, STACK = 1 << 16;

#define THREAD (block->thread)

// Jumps save no signals, as contexts do: that would take ten times as long.
static void __attribute__((noinline)) wait(decltype(Fiber::state) where) {
  Fiber& own = block->fibers[block->thread];
  own.state = where;
  if (!_setjmp(own.place)) _longjmp(block->home, 1);
}
static void __attribute__((noinline)) resume(Fiber& fiber) {
  if (_setjmp(block->home)) return;
  if (fiber.state != Fiber::NEW) _longjmp(fiber.place, 1);
  setcontext(&fiber.context);
}
static void __syncthreads() { wait(Fiber::AT_BLOCK); }

// Let all lanes give something, and return what the first lane of the warp has given.
template <class Give>
static const Fiber* exchange(Give give) {
  Fiber& own = block->fibers[block->thread];
  own.turn ^= 1;
  give(own.given[own.turn]);
  wait(Fiber::AT_WARP);
  return block->fibers + block->thread / WARP * WARP;
}
static const Given& given(const Fiber* warp, int lane) {
  return warp[lane].given[block->fibers[block->thread].turn];
}

template <class T>
static T from_lane_of(T x, int lane) {
  const Fiber* warp = exchange([&](Given& own) { std::memcpy(&own.value, &x, sizeof x); });
  T other;
  std::memcpy(&other, &given(warp, lane).value, sizeof other);
  return other;
}
template <class T>
static T from_lane(T x, int distance) { return from_lane_of(x, block->thread % WARP ^ distance); }

struct alignas(16) float4 { float x, y, z, w; };
static float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
struct alignas(8) float2 { float x, y; };
static float2 make_float2(float x, float y) { return {x, y}; }

// Lane 8 m + r gives where row r of matrix m begins.
template <class W, int N>
static void load_matrices(W (&x)[N], const W* row) {
  const Fiber* warp = exchange([&](Given& own) { own.row = row; });
  const int lane = block->thread % WARP;
  for (int m = 0; m < N; m++)
    x[m] = static_cast<const W*>(given(warp, 8 * m + lane / 4).row)[lane % 4];
}

static float number_of(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}
static uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
// To the nearest, and where two are as near, to the even one.
static uint32_t as_tf32(float x) {
  const uint32_t bits = bits_of(x);
  return std::isfinite(x) ? (bits + 0xfffu + ((bits >> 13) & 1u)) & ~0x1fffu : bits;
}
// To the nearest, and where two are as near, to the even one.
static uint32_t half_of(float x) {
  uint32_t bits = bits_of(x);
  return (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
}
static uint32_t as_bf16(float low, float high) { return half_of(high) << 16 | half_of(low); }

// A tile's product: each lane gives its part of the factors, and adds to its part of the sums.
template <class Left, class Right>
static void mma(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2], int depth, Left left,
                Right right) {
  const Fiber* warp = exchange([&](Given& own) {
    std::memcpy(own.left, a, sizeof own.left);
    std::memcpy(own.right, b, sizeof own.right);
  });
  const int g = block->thread % WARP / 4, t = block->thread % 4;
  for (int r = 0; r < 4; r++)
    for (int k = 0; k < depth; k++) d[r] += left(warp, g + r / 2 * 8, k) * right(warp, k, 2 * t + r % 2);
}
static void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  auto left = [](const Fiber* warp, int m, int k) {
    return number_of(given(warp, m % 8 * 4 + k % 4).left[m / 8 + k / 4 * 2] & ~0x1fffu);
  };
  auto right = [](const Fiber* warp, int k, int n) {
    return number_of(given(warp, n * 4 + k % 4).right[k / 4] & ~0x1fffu);
  };
  mma(d, a, b, 8, left, right);
}
static float half(uint32_t two, int which) { return number_of(which ? two & 0xffff0000u : two << 16); }
static void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  auto left = [](const Fiber* warp, int m, int k) {
    return half(given(warp, m % 8 * 4 + k % 8 / 2).left[m / 8 + k / 8 * 2], k % 2);
  };
  auto right = [](const Fiber* warp, int k, int n) {
    return half(given(warp, n * 4 + k % 8 / 2).right[k / 8], k % 2);
  };
  mma(d, a, b, 16, left, right);
}

static void enter() {
  block->body(block->arrays);
  wait(Fiber::DONE);
}

// Run a warp until all of its threads are at the block's barrier, or done.
static void run_warp(int first) {
  for (bool again = true; again;) {
    again = false;
    for (int i = 0; i < WARP; i++) {
      block->thread = first + (backwards ? WARP - 1 - i : i);
      Fiber& fiber = block->fibers[block->thread];
      if (fiber.state == Fiber::AT_BLOCK || fiber.state == Fiber::DONE) continue;
      resume(fiber);
      again = true;
    }
  }
}

static void run_block(void (*body)(const void*), const void* arrays, int threads, long long seed,
                      long memory) {
  Block own = {};
  own.fibers = new Fiber[threads]();
  own.seed = seed;
  own.memory = static_cast<char*>(std::aligned_alloc(64, (memory + 63) / 64 * 64));
  std::memset(own.memory, 0xff, memory);  // what is not a number, as nothing is there before
  own.body = body;
  own.arrays = arrays;
  block = &own;
  for (int t = 0; t < threads; t++) {
    Fiber& fiber = own.fibers[t];
    fiber.stack = static_cast<char*>(std::malloc(STACK));
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack;
    fiber.context.uc_stack.ss_size = STACK;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, enter, 0);
  }
  for (bool again = true; again;) {
    again = false;
    for (int w = 0; w < threads / WARP; w++) run_warp((backwards ? threads / WARP - 1 - w : w) * WARP);
    for (int t = 0; t < threads; t++)
      if (own.fibers[t].state == Fiber::AT_BLOCK) {
        own.fibers[t].state = Fiber::READY;
        again = true;
      }
  }
  for (int t = 0; t < threads; t++) std::free(own.fibers[t].stack);
  delete[] own.fibers;
  std::free(own.memory);
  block = nullptr;
}
