// All measures of a band from its sums: a thread takes a pair and goes through the band's bins, so
// that neighbours read neighbouring pairs. Bound by memory: 87 bins of seven float64 sums of 46,665
// pairs are 230 MB, 54 us at 4.3 TB/s; 230,000 threads fill the device.
#ifndef WANTED
#define WANTED 127    // bits of the sums there are, as in pairs.cu
#define MEASURES 2047  // bits of the measures, in the order of finish_rows.MEASURES
#endif

__device__ constexpr int before(int mask, int bit) {
  int n = 0;
  for (int b = 0; b < bit; b++) n += (mask >> b) & 1;
  return n;
}

__device__ double sum_of(const double* sums, int bit, long long n_pairs) {
  return (WANTED >> bit) & 1 ? sums[before(WANTED, bit) * n_pairs] : 0.0;
}

extern "C" __global__ void finish_pairs(const double* __restrict__ sums,
                                        const double* __restrict__ power,
                                        const int* __restrict__ first,
                                        const int* __restrict__ second,
                                        const int* __restrict__ bins,
                                        const int* __restrict__ begin, int n_channels,
                                        long long n_pairs, int n_epochs, float* means) {
  const long long pair = blockIdx.x * (long long)blockDim.x + threadIdx.x;
  const int band = blockIdx.y;
  if (pair >= n_pairs) return;
  const int i = first[pair], j = second[pair];
  const double n = n_epochs > 1 ? n_epochs : 1, pairs_of_epochs = n_epochs > 1 ? n * (n - 1) : 1;
  double total[11] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
  for (int b = begin[band]; b < begin[band + 1]; b++) {
    const double* of = sums + bins[b] * before(WANTED, 7) * n_pairs + pair;
    const double im = sum_of(of, 0, n_pairs), size = sum_of(of, 1, n_pairs);
    const double sign = (2 * sum_of(of, 2, n_pairs) - n_epochs) / n;
    const double square = sum_of(of, 3, n_pairs), re = sum_of(of, 4, n_pairs);
    const double u = sum_of(of, 5, n_pairs), v = sum_of(of, 6, n_pairs), unit = u * u + v * v;
    const double both = power[bins[b] * n_channels + i] * power[bins[b] * n_channels + j];
    const double scale = both > 0 ? 1 / sqrt(both) : 0, rest = 1 - u / n * (u / n);
    const double weight = size * size - square;
    if (MEASURES & 1) total[0] += sqrt(re * re + im * im) * scale;
    if (MEASURES & 2) total[1] += re * scale;
    if (MEASURES & 4) total[2] += im * scale;
    if (MEASURES & 8) total[3] += sqrt(unit) / n;
    // where the real part is 1 to rounding, nothing lagged is left
    if (MEASURES & 16 && rest > 1e-6) total[4] += fmin(fabs(v) / n / sqrt(rest), 1.0);
    if (n_epochs > 1) {
      if (MEASURES & 32) total[5] += (unit - n) / pairs_of_epochs;
      if (MEASURES & 128) total[7] += (n * sign * sign - 1) / (n - 1);
      // with a single live epoch the weight is 0 but for rounding
      if (MEASURES & 1024 && weight > 1e-6 * square) total[10] += (im * im - square) / weight;
    }
    if (MEASURES & 64) total[6] += fabs(sign);
    if (MEASURES & 256) total[8] += n_epochs > 0 ? 0.5 + 0.5 * sign : 0.5;
    if (MEASURES & 512 && size > 0) total[9] += fmin(fabs(im) / size, 1.0);
  }
  const double n_bins = begin[band + 1] - begin[band];
#pragma unroll
  for (int m = 0; m < 11; m++)
    if ((MEASURES >> m) & 1)
      means[(band * before(MEASURES, 11) + before(MEASURES, m)) * n_pairs + pair] =
          (float)(total[m] / n_bins);
}
