// Add stretches of data to sums of groups: a thread takes one lag of one row and goes through the
// events in order, so that the sums do not depend on the launch. Reads are coalesced over lags.
extern "C" __global__ void add_stretches(const float* __restrict__ data, long long n_samples,
                                         const long long* __restrict__ rows,
                                         const long long* __restrict__ begins,
                                         const long long* __restrict__ groups, int n_events,
                                         int n_rows, int n_lags, double* sums) {
  const int lag = blockIdx.x * blockDim.x + threadIdx.x;
  const int row = blockIdx.y;
  if (lag >= n_lags) return;
  const float* course = data + rows[row] * n_samples + lag;
  double* out = sums + (long long)row * n_lags + lag;
  const long long group = (long long)n_rows * n_lags;
  for (int event = 0; event < n_events; event++) {
    out[groups[event] * group] += (double)course[begins[event]];
  }
}
