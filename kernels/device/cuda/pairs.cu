// The sums over epochs of all pairs of channels at all bins, one pass for all of them.
//
// A block of 16 x 16 threads takes 32 channels i and 64 channels j of one bin; a thread takes 2 x 4
// pairs, whose sums stay in registers (8 pairs of 7 sums: 56). Epochs pass through shared memory in
// groups of EPOCHS; 16 channels of one row are 64 bytes, and the epochs of such a block follow each
// other, so reads are whole lines. A warp reads 16 float4 and 2 float2 a row: 3 wavefronts.
//
// Work of 30 minutes (306 channels, 87 bins, 900 epochs): 52,000 pairs with those computed in vain,
// 4.1e9 pairs of one epoch. One taper: 15 instructions each, 61e9 in all, 1.9 ms at 33.5e12 a
// second (132 SMs x 128 lanes x 1.98 GHz); seven: 28 + 15 + 6, 200e9, 6.0 ms. Bytes: spectra of
// 200 MB are read about seven times, mostly from the second-level cache, and the float64 sums
// (230 MB) twice a chunk: 0.1 ms. ptxas for sm_90 gives a thread 110 registers with one taper and
// 128 with seven, none spilled: two blocks, 16 warps, an SM; eight independent chains a thread
// hide the latency of four cycles. Not measured: it has not run on hardware.
#ifndef N_TAPERS
#define N_TAPERS 1
#define EPOCHS 16
#define WANTED 127  // bits: im, |im|, positive, im squared, re, unit re, unit im
#endif
#define ROWS (N_TAPERS == 1 ? 3 : 2 * N_TAPERS)
#define TILE_I 32
#define TILE_J 64

// which row of the output a sum has: as many as are wanted before it
__device__ constexpr int slot(int bit) {
  int n = 0;
  for (int b = 0; b < bit; b++) n += (WANTED >> b) & 1;
  return n;
}

__device__ void fetch(const float* spectra, int from, int n_channels, long long n_room, int first,
                      int count, int width, float* to) {
  // to[(epoch * ROWS + row) * width + channel]; what there is not becomes zero
  const int id = threadIdx.y * 16 + threadIdx.x;
  for (int at = id; at < EPOCHS * N_TAPERS * width; at += 256) {
    const int lane = at % 16, k = at / 16 % N_TAPERS, e = at / 16 / N_TAPERS % EPOCHS;
    const int block = at / 16 / N_TAPERS / EPOCHS, c = from + 16 * block + lane;
    float re = 0.0f, im = 0.0f;
    if (e < count && c < n_channels) {
      const float* z =
          spectra + (((from / 16 + block) * n_room + first + e) * 2 * N_TAPERS + 2 * k) * 16 + lane;
      re = z[0];
      im = z[16];
    }
    float* out = to + (e * ROWS + 2 * k) * width + 16 * block + lane;
    out[0] = re;
    out[width] = im;
    if (N_TAPERS == 1) {
      const float power = re * re + im * im;
      out[2 * width] = power > 0.0f ? rsqrtf(power) : 0.0f;
    }
  }
}

extern "C" __global__ void __launch_bounds__(256, 2)
    pair_sums(const float* __restrict__ spectra, int n_channels, long long n_blocks,
              long long n_room, int n_epochs, double* sums, long long n_pairs) {
  __shared__ __align__(16) float zi[EPOCHS * ROWS * TILE_I];
  __shared__ __align__(16) float zj[EPOCHS * ROWS * TILE_J];
  const int from_i = blockIdx.x * TILE_I, from_j = blockIdx.y * TILE_J, bin = blockIdx.z;
  if (from_j + TILE_J - 1 <= from_i) return;  // below the diagonal
  const float* mine = spectra + bin * n_blocks * n_room * 2 * N_TAPERS * 16;
  float s[8], a[8], p[8], q[8], r[8], u[8], v[8];
#pragma unroll
  for (int k = 0; k < 8; k++) s[k] = a[k] = p[k] = q[k] = r[k] = u[k] = v[k] = 0.0f;
  for (int first = 0; first < n_epochs; first += EPOCHS) {
    const int count = n_epochs - first < EPOCHS ? n_epochs - first : EPOCHS;
    __syncthreads();
    fetch(mine, from_i, n_channels, n_room, first, count, TILE_I, zi);
    fetch(mine, from_j, n_channels, n_room, first, count, TILE_J, zj);
    __syncthreads();
    for (int e = 0; e < count; e++) {
      float re[8], im[8];
#pragma unroll
      for (int k = 0; k < 8; k++) re[k] = im[k] = 0.0f;
#pragma unroll
      for (int k = 0; k < N_TAPERS; k++) {
        const float* row_i = zi + (e * ROWS + 2 * k) * TILE_I + 2 * threadIdx.y;
        const float* row_j = zj + (e * ROWS + 2 * k) * TILE_J + 4 * threadIdx.x;
        const float2 ar = *(const float2*)row_i, ai = *(const float2*)(row_i + TILE_I);
        const float4 br = *(const float4*)row_j, bi = *(const float4*)(row_j + TILE_J);
        const float xr[2] = {ar.x, ar.y}, xi[2] = {ai.x, ai.y};
        const float yr[4] = {br.x, br.y, br.z, br.w}, yi[4] = {bi.x, bi.y, bi.z, bi.w};
#pragma unroll
        for (int m = 0; m < 8; m++) {
          re[m] += xr[m / 4] * yr[m % 4] + xi[m / 4] * yi[m % 4];
          im[m] += xi[m / 4] * yr[m % 4] - xr[m / 4] * yi[m % 4];
        }
      }
      float wi[2] = {0, 0}, wj[4] = {0, 0, 0, 0};
      if (N_TAPERS == 1) {
        for (int m = 0; m < 2; m++) wi[m] = zi[(e * ROWS + 2) * TILE_I + 2 * threadIdx.y + m];
        for (int m = 0; m < 4; m++) wj[m] = zj[(e * ROWS + 2) * TILE_J + 4 * threadIdx.x + m];
      }
#pragma unroll
      for (int m = 0; m < 8; m++) {
        if (WANTED & 1) s[m] += im[m];
        if (WANTED & 2) a[m] += fabsf(im[m]);
        if (WANTED & 4) p[m] += (im[m] > 0.0f ? 0.5f : 0.0f) + (im[m] >= 0.0f ? 0.5f : 0.0f);
        if (WANTED & 8) q[m] += im[m] * im[m];
        if (WANTED & 16) r[m] += re[m];
        if (WANTED & 96) {
          const float power = re[m] * re[m] + im[m] * im[m];
          const float inverse = N_TAPERS == 1  ? wi[m / 4] * wj[m % 4]
                                : power > 0.0f ? rsqrtf(power)
                                               : 0.0f;
          u[m] += re[m] * inverse;
          v[m] += im[m] * inverse;
        }
      }
    }
  }
#pragma unroll
  for (int m = 0; m < 8; m++) {
    const long long i = from_i + 2 * threadIdx.y + m / 4, j = from_j + 4 * threadIdx.x + m % 4;
    if (i >= j || j >= n_channels) continue;
    double* out = sums + bin * slot(7) * n_pairs + i * n_channels - i * (i + 1) / 2 - i - 1 + j;
    if (WANTED & 1) out[slot(0) * n_pairs] += s[m];
    if (WANTED & 2) out[slot(1) * n_pairs] += a[m];
    if (WANTED & 4) out[slot(2) * n_pairs] += p[m];
    if (WANTED & 8) out[slot(3) * n_pairs] += q[m];
    if (WANTED & 16) out[slot(4) * n_pairs] += r[m];
    if (WANTED & 32) out[slot(5) * n_pairs] += u[m];
    if (WANTED & 64) out[slot(6) * n_pairs] += v[m];
  }
}
