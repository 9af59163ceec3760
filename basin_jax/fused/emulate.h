// A thread block on a CPU: its threads run one after the other, each up to a barrier.
//
// For tests where there is no GPU. Between two barriers threads may run in any order, so a
// kernel whose result depends on `backwards` lacks one.

#include <ucontext.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>

#define __global__
#define __shared__
#define __launch_bounds__(threads)

struct Fiber {
  ucontext_t context;
  char* stack;
  enum { READY, AT_WARP, AT_BLOCK, DONE } state;
  uint64_t given;  // to the other lanes of its warp
};
struct Block {
  ucontext_t home;
  Fiber* fibers;
  int threads, thread;
  long long seed;
  char* memory;
  void (*body)(const void*);
  const void* arrays;
};
static thread_local Block* block;
static int backwards = 0;
static constexpr int WARP = 32, STACK = 1 << 16;

#define THREAD (block->thread)
#define THREADS (block->threads)

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
  own.threads = threads;
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
