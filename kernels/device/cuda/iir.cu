// A cascade of biquads, direct form II transposed. One thread runs one channel through all its
// sections: coefficients and the float64 state stay in registers, and neighbouring threads read
// neighbouring channels. Four samples are read ahead, so that four loads are in flight while the
// recursion, which nothing can parallelise, goes on. 306 channels keep ten of 132 SMs busy: a
// device pays when the channels of many patients lie side by side.
#ifndef REAL
#define REAL float  // of the samples, in and out
#define SECTIONS 7
#endif
#define AHEAD 4

extern "C" __global__ void cascade(const REAL* __restrict__ x, const double* __restrict__ sos,
                                   double* __restrict__ state, REAL* __restrict__ out, int n,
                                   int channels) {
  const int c = blockIdx.x * blockDim.x + threadIdx.x;
  if (c >= channels) return;
  double b0[SECTIONS], b1[SECTIONS], b2[SECTIONS], a1[SECTIONS], a2[SECTIONS];
  double z1[SECTIONS], z2[SECTIONS];
#pragma unroll
  for (int s = 0; s < SECTIONS; s++) {
    b0[s] = sos[6 * s];
    b1[s] = sos[6 * s + 1];
    b2[s] = sos[6 * s + 2];
    a1[s] = sos[6 * s + 4];
    a2[s] = sos[6 * s + 5];
    z1[s] = state[(long long)(2 * s) * channels + c];
    z2[s] = state[(long long)(2 * s + 1) * channels + c];
  }
  for (int t = 0; t < n; t += AHEAD) {
    double u[AHEAD];
#pragma unroll
    for (int i = 0; i < AHEAD; i++)
      u[i] = t + i < n ? (double)x[(long long)(t + i) * channels + c] : 0.0;
#pragma unroll
    for (int i = 0; i < AHEAD; i++) {
      if (t + i >= n) break;
      double v = u[i];
#pragma unroll
      for (int s = 0; s < SECTIONS; s++) {
        const double y = b0[s] * v + z1[s];
        z1[s] = (z2[s] + b1[s] * v) - a1[s] * y;
        z2[s] = b2[s] * v - a2[s] * y;
        v = y;
      }
      out[(long long)(t + i) * channels + c] = (REAL)v;
    }
  }
#pragma unroll
  for (int s = 0; s < SECTIONS; s++) {
    state[(long long)(2 * s) * channels + c] = z1[s];
    state[(long long)(2 * s + 1) * channels + c] = z2[s];
  }
}
