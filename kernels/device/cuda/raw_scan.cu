// One look at stretches of counts: a block takes a stretch. First pass, coalesced: extremes, sums,
// squared differences, non-finite samples. Second pass, from cache: samples at the extremes and
// the longest run of equal samples, each thread over a part of its own, joined in order.
#ifndef RAW
#define RAW short
#define THREADS 256
#endif

struct Run { long long length, head, tail, best; RAW first, last; };

__device__ Run joined(const Run& a, const Run& b) {
  if (a.length == 0) return b;
  if (b.length == 0) return a;
  const bool meet = a.last == b.first;
  Run out;
  out.length = a.length + b.length;
  out.first = a.first;
  out.last = b.last;
  out.head = meet && a.head == a.length ? a.length + b.head : a.head;
  out.tail = meet && b.tail == b.length ? b.length + a.tail : b.tail;
  out.best = a.best > b.best ? a.best : b.best;
  if (meet && a.tail + b.head > out.best) out.best = a.tail + b.head;
  return out;
}

// found: lowest, highest, total, squared differences, at lowest, at highest, longest flat run,
// non-finite samples; for a stretch with non-finite samples only their number is meant
extern "C" __global__ void scan(const RAW* __restrict__ data, long long n_samples,
                                const long long* __restrict__ pieces, double* found) {
  __shared__ double low[THREADS], high[THREADS], total[THREADS], squares[THREADS];
  __shared__ long long wrong[THREADS], at_low[THREADS], at_high[THREADS];
  __shared__ Run runs[THREADS];
  const long long* piece = pieces + 3 * (long long)blockIdx.x;
  const RAW* row = data + piece[0] * n_samples + piece[1];
  const long long n = piece[2] - piece[1];
  const int t = threadIdx.x;
  double lo = (double)row[0], hi = lo, sum = 0, square = 0;
  long long bad = 0;
  for (long long i = t; i < n; i += THREADS) {
    const double x = (double)row[i];
    bad += !(x - x == 0);
    sum += x;
    lo = x < lo ? x : lo;
    hi = x > hi ? x : hi;
    if (i > 0) {
      const double step = x - (double)row[i - 1];
      square += step * step;
    }
  }
  low[t] = lo; high[t] = hi; total[t] = sum; squares[t] = square; wrong[t] = bad;
  __syncthreads();
  for (int half = THREADS / 2; half > 0; half /= 2) {
    if (t < half) {
      low[t] = low[t + half] < low[t] ? low[t + half] : low[t];
      high[t] = high[t + half] > high[t] ? high[t + half] : high[t];
      total[t] += total[t + half];
      squares[t] += squares[t + half];
      wrong[t] += wrong[t + half];
    }
    __syncthreads();
  }
  const RAW lowest = (RAW)low[0], highest = (RAW)high[0];
  const long long part = (n + THREADS - 1) / THREADS;
  const long long begin = t * part, end = begin + part < n ? begin + part : n;
  Run run = {0, 0, 0, 0, lowest, lowest};
  long long n_low = 0, n_high = 0, same = 0;
  for (long long i = begin; i < end; i++) {
    const RAW x = row[i];
    n_low += x == lowest;
    n_high += x == highest;
    same = i > begin && x == run.last ? same + 1 : 1;
    if (same == i - begin + 1) run.head = same;
    run.best = same > run.best ? same : run.best;
    run.last = x;
  }
  if (begin < end) {
    run.length = end - begin;
    run.tail = same;
    run.first = row[begin];
  }
  at_low[t] = n_low; at_high[t] = n_high; runs[t] = run;
  __syncthreads();
  if (t == 0) {
    Run whole = runs[0];
    long long lows = at_low[0], highs = at_high[0];
    for (int i = 1; i < THREADS; i++) {
      whole = joined(whole, runs[i]);
      lows += at_low[i];
      highs += at_high[i];
    }
    double* out = found + 8 * (long long)blockIdx.x;
    out[0] = low[0]; out[1] = high[0]; out[2] = total[0]; out[3] = squares[0];
    out[4] = (double)lows; out[5] = (double)highs; out[6] = (double)whole.best;
    out[7] = (double)wrong[0];
  }
}
