// What the project's CUDA sources use of CUDA, in plain C++: one block after another, each thread
// of a block a fiber that runs until the next barrier. The order of the fibers changes from
// barrier to barrier, so that a missing barrier shows as a wrong number.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <algorithm>
#include <memory>
#include <vector>
#include <ucontext.h>

struct Dim { unsigned x, y, z; };
static Dim threadIdx, blockIdx, blockDim, gridDim;

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline __attribute__((always_inline))
#define __launch_bounds__(...)
#define __shared__ static
#define __constant__ static const
#define __align__(n) __attribute__((aligned(n)))

struct float2 { float x, y; };
struct float4 { float x, y, z, w; };
struct double2 { double x, y; };
struct int2 { int x, y; };
struct short2 { short x, y; };
struct short4 { short x, y, z, w; };
struct int4 { int x, y, z, w; };
static inline float2 make_float2(float x, float y) { return {x, y}; }
static inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
static inline double2 make_double2(double x, double y) { return {x, y}; }
static inline int2 make_int2(int x, int y) { return {x, y}; }
template <class T> static inline T __ldg(const T* p) { return *p; }
template <class T> static inline T atomicAdd(T* p, T v) { T old = *p; *p = old + v; return old; }
template <class T> static inline T atomicMax(T* p, T v) { T old = *p; *p = std::max(old, v); return old; }
template <class T> static inline T atomicMin(T* p, T v) { T old = *p; *p = std::min(old, v); return old; }
template <class T> static inline T atomicOr(T* p, T v) { T old = *p; *p = old | v; return old; }
static inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
static inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
static inline float __fdividef(float a, float b) { return a / b; }
static inline float __fmaf_rn(float a, float b, float c) { return std::fma(a, b, c); }
using std::max;
using std::min;
using std::isfinite;
using std::isnan;

namespace emulator {
constexpr size_t STACK = 1 << 16;
struct Fiber { ucontext_t context; std::unique_ptr<char[]> stack; bool done, waiting; };
static std::vector<Fiber> fibers;
static ucontext_t scheduler;
static unsigned current;
static void (*body)();
static const char* failure;

static void enter() {
  body();
  fibers[current].done = true;
  swapcontext(&fibers[current].context, &scheduler);
}

static void place(unsigned t) {
  threadIdx = {t % blockDim.x, t / blockDim.x % blockDim.y, t / (blockDim.x * blockDim.y)};
}

// neither forward nor backward, and another order after each barrier
static unsigned shuffled(unsigned at, unsigned turn, unsigned n) {
  const unsigned step = n % 7 ? 7 : n % 11 ? 11 : 13;
  return (at * step + 5 * turn + n / 2) % n;
}

static void run_block(bool barriers) {
  const unsigned n = blockDim.x * blockDim.y * blockDim.z;
  if (!barriers) {
    for (unsigned at = 0; at < n; at++) { place(shuffled(at, 0, n)); body(); }
    return;
  }
  fibers.resize(std::max<size_t>(fibers.size(), n));
  for (unsigned t = 0; t < n; t++) {
    Fiber& fiber = fibers[t];
    if (!fiber.stack) fiber.stack.reset(new char[STACK]);
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.get();
    fiber.context.uc_stack.ss_size = STACK;
    fiber.context.uc_link = &scheduler;
    fiber.done = fiber.waiting = false;
    makecontext(&fiber.context, enter, 0);
  }
  for (unsigned turn = 0;; turn++) {
    unsigned running = 0, waiting = 0;
    for (unsigned at = 0; at < n; at++) {
      const unsigned t = shuffled(at, turn, n);
      if (fibers[t].done) continue;
      current = t;
      place(t);
      fibers[t].waiting = false;
      swapcontext(&scheduler, &fibers[t].context);
      running++;
      waiting += fibers[t].waiting;
    }
    if (!running) return;
    if (waiting && waiting != n) { failure = "a barrier was not reached by all threads"; return; }
  }
}

static const char* run(const unsigned* grid, const unsigned* block, bool barriers) {
  failure = nullptr;
  gridDim = {grid[0], grid[1], grid[2]};
  blockDim = {block[0], block[1], block[2]};
  for (unsigned z = grid[2]; z-- > 0;)
    for (unsigned y = grid[1]; y-- > 0;)
      for (unsigned x = grid[0]; x-- > 0;) {
        blockIdx = {x, y, z};
        run_block(barriers);
        if (failure) return failure;
      }
  return nullptr;
}
}  // namespace emulator

static inline void __syncthreads() {
  emulator::fibers[emulator::current].waiting = true;
  swapcontext(&emulator::fibers[emulator::current].context, &emulator::scheduler);
}
static inline void __syncwarp() { __syncthreads(); }
