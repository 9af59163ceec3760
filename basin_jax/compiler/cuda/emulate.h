// A thread block on a CPU: its threads run one after the other, each up to a barrier.
//
// For tests where there is no GPU. Between two barriers threads may run in any order, so a
// kernel whose result depends on `backwards` lacks one.

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

struct Fiber {
  ucontext_t context;
  char* stack;
  enum { READY, AT_WARP, AT_BLOCK, DONE } state;
  uint64_t given;  // to the other lanes of its warp
  uint32_t left[4], right[2];  // its part of the factors of a tensor core
};
struct Block {
  ucontext_t home;
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

static void wait(decltype(Fiber::state) where) {
  Fiber& own = block->fibers[block->thread];
  own.state = where;
  swapcontext(&own.context, &block->home);
}
static void __syncthreads() { wait(Fiber::AT_BLOCK); }

template <class T>
static T from_lane(T x, int distance) {
  std::memcpy(&block->fibers[block->thread].given, &x, sizeof x);
  wait(Fiber::AT_WARP);
  T other;
  std::memcpy(&other, &block->fibers[block->thread ^ distance].given, sizeof other);
  wait(Fiber::AT_WARP);
  return other;
}

struct alignas(16) float4 { float x, y, z, w; };
static float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }

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
// To the nearest, and where two are as near, away from 0.
static uint32_t as_tf32(float x) { return (bits_of(x) + 0x1000u) & ~0x1fffu; }
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
  Fiber& own = block->fibers[block->thread];
  std::memcpy(own.left, a, sizeof own.left);
  std::memcpy(own.right, b, sizeof own.right);
  wait(Fiber::AT_WARP);
  const Fiber* warp = block->fibers + block->thread / WARP * WARP;
  const int g = block->thread % WARP / 4, t = block->thread % 4;
  for (int r = 0; r < 4; r++)
    for (int k = 0; k < depth; k++) d[r] += left(warp, g + r / 2 * 8, k) * right(warp, k, 2 * t + r % 2);
  wait(Fiber::AT_WARP);
}
static void mma_tf32(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  auto left = [](const Fiber* warp, int m, int k) {
    return number_of(warp[m % 8 * 4 + k % 4].left[m / 8 + k / 4 * 2]);
  };
  auto right = [](const Fiber* warp, int k, int n) {
    return number_of(warp[n * 4 + k % 4].right[k / 4]);
  };
  mma(d, a, b, 8, left, right);
}
static float half(uint32_t two, int which) { return number_of(which ? two & 0xffff0000u : two << 16); }
static void mma_bf16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  auto left = [](const Fiber* warp, int m, int k) {
    return half(warp[m % 8 * 4 + k % 8 / 2].left[m / 8 + k / 8 * 2], k % 2);
  };
  auto right = [](const Fiber* warp, int k, int n) {
    return half(warp[n * 4 + k % 8 / 2].right[k / 8], k % 2);
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
      if (fiber.state == Fiber::READY || fiber.state == Fiber::AT_WARP) {
        swapcontext(&block->home, &fiber.context);
        again = true;
      }
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
