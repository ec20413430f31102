// Epochs without their means, tapered and differenced: a block takes one channel of one epoch. The
// differences are taken in float64 and rounded once. Bound by memory: 138 million samples in and,
// with seven tapers, 966 million out are 4.4 GB, 1.0 ms at 4.3 TB/s (float64: 4e9, far below).
#ifndef THREADS
#define THREADS 128
#endif

extern "C" __global__ void taper_rows(const float* __restrict__ epochs, int n_channels, int n_times,
                                      const double* __restrict__ tapers,
                                      const double* __restrict__ before, int n_tapers,
                                      const double* __restrict__ scale, float* out, int* bad) {
  __shared__ double total[THREADS], moved[THREADS];
  const long long r = blockIdx.x;
  const float* x = epochs + r * n_times;
  const int id = threadIdx.x;
  const double start = x[0];
  double sum = 0, way = 0;
  bool wrong = false;
  for (int t = id; t < n_times; t += THREADS) {
    const double y = x[t] - start;
    wrong = wrong || !(x[t] - x[t] == 0.0f);
    sum += y;
    way += fabs(y);
  }
  if (wrong) atomicMax(bad, 1);
  total[id] = sum;
  moved[id] = way;
  __syncthreads();
  for (int half = THREADS / 2; half > 0; half /= 2) {
    if (id < half) {
      total[id] += total[id + half];
      moved[id] += moved[id + half];
    }
    __syncthreads();
  }
  const double mean = start + total[0] / n_times;
  // a flat epoch has no phase: rounding of its mean must not give it one
  const double gain = moved[0] > 0 ? scale[r % n_channels] : 0.0;
  for (int k = 0; k < n_tapers; k++) {
    const double *w = tapers + (long long)k * n_times, *v = before + (long long)k * n_times;
    float* y = out + (r * n_tapers + k) * n_times;
    for (int t = id; t < n_times; t += THREADS) {
      const double now = x[t] - mean, last = x[t > 0 ? t - 1 : n_times - 1] - mean;
      y[t] = (float)(gain * (now * w[t] - last * v[t]));
    }
  }
}
