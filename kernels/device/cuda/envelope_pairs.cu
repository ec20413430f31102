// Orthogonalised envelope correlation. A block makes the five sums of TILE x TILE pairs of one
// epoch: STEP samples of both sides come to shared memory, coalesced along time and turned, with
// 1 / |z| made on the way; a thread keeps 4 x 4 pairs, 80 sums, in registers. Per sample and pair
// ten float32 instructions, of shared memory 24 words for 16 pairs. Bound by arithmetic: five
// bands of 30 minutes and 306 channels at four samples a hertz are 1.3e10 pair samples, a fifth
// more with the tiles' corners, so 1.6e11 instructions, 6 ms at 2.9e13 a second; every sample at
// 250 Hz 40 ms. Float32 sums are added to float64 ones every SPAN samples.
#ifndef TILE
#define TILE 32
#define STEP 32
#define SPAN 256
#define THREADS 64  // (TILE / 4) squared
#endif
#define SIDE (TILE / 4)

__device__ void fill(float (*into)[STEP][TILE + 1], const float2* z, const float* scale, int first,
                     int n, int begin, int n_times) {
#pragma unroll 2
  for (int k = threadIdx.x; k < TILE * STEP; k += THREADS) {
    const int t = k % STEP, c = k / STEP;
    float x = 0.0f, y = 0.0f, inverse = 0.0f;
    if (first + c < n && begin + t < n_times) {
      const float2 v = z[(long long)(first + c) * n_times + begin + t];
      x = v.x * scale[first + c];
      y = v.y * scale[first + c];
      const float size = sqrtf(x * x + y * y);
      inverse = size > 0.0f ? 1.0f / size : 0.0f;
    }
    into[0][t][c] = x;
    into[1][t][c] = y;
    into[2][t][c] = inverse;
  }
}

// sums: c, o, o squared, h, h squared, axes (epoch, sum, pair); zeros before
// eight blocks share a multiprocessor with 128 registers a thread, of which ptxas for sm_90 spills
// 272 bytes; four blocks would have 217 and spill none. Which is faster has not been measured
extern "C" __global__ void __launch_bounds__(THREADS, 8)
    pair_sums(const float2* __restrict__ signal, const float* __restrict__ scales, int n,
              int n_times, double* sums) {
  __shared__ float left[3][STEP][TILE + 1], right[3][STEP][TILE + 1];
  const long long n_pairs = (long long)n * (n - 1) / 2;
  int row = 0, column = blockIdx.x;  // tiles on and above the diagonal, row by row
  for (int wide = (n + TILE - 1) / TILE; column >= wide; wide--) {
    column -= wide;
    row++;
  }
  column += row;
  const float2* z = signal + (long long)blockIdx.y * n * n_times;
  const float* scale = scales + (long long)blockIdx.y * n;
  double* out = sums + (long long)blockIdx.y * 5 * n_pairs;
  const int tx = threadIdx.x % SIDE, ty = threadIdx.x / SIDE;
  for (int span = 0; span < n_times; span += SPAN) {
    float five[4][4][5] = {};
    const int stop = span + SPAN < n_times ? span + SPAN : n_times;
    for (int begin = span; begin < stop; begin += STEP) {
      fill(left, z, scale, row * TILE, n, begin, n_times);
      fill(right, z, scale, column * TILE, n, begin, n_times);
      __syncthreads();
      for (int t = 0; t < STEP; t++) {
        float cr[4], ci[4], cw[4];
#pragma unroll
        for (int b = 0; b < 4; b++) {
          cr[b] = right[0][t][tx + SIDE * b];
          ci[b] = right[1][t][tx + SIDE * b];
          cw[b] = right[2][t][tx + SIDE * b];
        }
#pragma unroll
        for (int a = 0; a < 4; a++) {
          const float ar = left[0][t][ty + SIDE * a], ai = left[1][t][ty + SIDE * a];
          const float aw = left[2][t][ty + SIDE * a];
#pragma unroll
          for (int b = 0; b < 4; b++) {
            const float c = fabsf(ai * cr[b] - ar * ci[b]), o = c * cw[b], h = c * aw;
            five[a][b][0] += c;
            five[a][b][1] += o;
            five[a][b][2] += o * o;
            five[a][b][3] += h;
            five[a][b][4] += h * h;
          }
        }
      }
      __syncthreads();
    }
#pragma unroll
    for (int a = 0; a < 4; a++) {
#pragma unroll
      for (int b = 0; b < 4; b++) {
        const int i = row * TILE + ty + SIDE * a, j = column * TILE + tx + SIDE * b;
        if (i >= j || j >= n) continue;
        const long long pair = (long long)i * n - (long long)i * (i + 1) / 2 + j - i - 1;
#pragma unroll
        for (int s = 0; s < 5; s++) out[s * n_pairs + pair] += (double)five[a][b][s];
      }
    }
  }
}

__device__ double correlation(double product, double total, double squares, double mean,
                              double variance, int n_times) {
  const double spread = squares - total * total / n_times;
  // what is left of a constant envelope is rounding
  const double square = spread > 1e-6 * squares ? spread * variance : 0.0;
  return square > 0.0 ? (product - total * mean) / sqrt(square) : 0.0;
}

// out: axes (epoch, pair); a thread finishes one pair of one epoch
extern "C" __global__ void finish(const double* __restrict__ sums,
                                  const double* __restrict__ means,
                                  const double* __restrict__ variances, int n, int n_times,
                                  int absolute, double* out) {
  const int i = blockIdx.y, j = i + 1 + blockIdx.x * blockDim.x + threadIdx.x;
  if (j >= n) return;
  const long long n_pairs = (long long)n * (n - 1) / 2;
  const long long pair = (long long)i * n - (long long)i * (i + 1) / 2 + j - i - 1;
  const double* five = sums + (long long)blockIdx.z * 5 * n_pairs + pair;
  const double* mean = means + (long long)blockIdx.z * n;
  const double* variance = variances + (long long)blockIdx.z * n;
  const double c = five[0];
  double one = correlation(c, five[n_pairs], five[2 * n_pairs], mean[j], variance[j], n_times);
  double two = correlation(c, five[3 * n_pairs], five[4 * n_pairs], mean[i], variance[i], n_times);
  if (absolute) {
    one = fabs(one);
    two = fabs(two);
  }
  out[blockIdx.z * n_pairs + pair] = 0.5 * (one + two);
}
