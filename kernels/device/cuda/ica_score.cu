// The score of sources in one look: psi = tanh(y), and where CURVATURE psi' and y^2; a block takes
// a stretch of one source and leaves the sums of its log-likelihood and of psi'. The same
// approximations as on the CPU, so that both agree to float32 rounding.
#ifndef THREADS
#define THREADS 256
#define PER_THREAD 16
#define CURVATURE 1
#endif

// tanh(x) / x: numerator and denominator in powers of x^2
#define P0 0.9999999938714389f
#define P1 0.1367633663638354f
#define P2 0.0038639206879242244f
#define P3 2.7923123282322044e-05f
#define P4 3.0400334459912065e-08f
#define P5 -1.2082623407805211e-11f
#define Q1 0.47009667313610703f
#define Q2 0.027229511918859566f
#define Q3 0.000393102489751294f
#define Q4 1.2817167522087853e-06f
// log(1 + t) / t in powers of t
#define L1 0.9999964230396307f
#define L2 -0.4998740308061203f
#define L3 0.33179812348341337f
#define L4 -0.24073018092346604f
#define L5 0.1676465043703174f
#define L6 -0.09532074955841281f
#define L7 0.03608335916729519f
#define L8 -0.0064523002150836395f

extern "C" __global__ void score(const float* __restrict__ y, long long n_samples, float* psi,
                                 float* dpsi, float* square, double* sums) {
  __shared__ double likelihood[THREADS], slope[THREADS];
  const long long row = blockIdx.y, base = row * n_samples;
  const long long first = (long long)blockIdx.x * (THREADS * PER_THREAD);
  const int t = threadIdx.x;
  float total = 0.0f, slopes = 0.0f;
  for (int turn = 0; turn < PER_THREAD; turn++) {
    const long long at = first + turn * THREADS + t;
    if (at >= n_samples) break;
    const float v = y[base + at];
    const float whole = v < 0.0f ? -v : v;
    const float a = whole < 9.0f ? whole : 9.0f;
    const float u = a * a;
    const float top = P0 + u * (P1 + u * (P2 + u * (P3 + u * (P4 + u * P5))));
    const float low = 1.0f + u * (Q1 + u * (Q2 + u * (Q3 + u * Q4)));
    const float ratio = a * top / low;
    const float th = ratio < 1.0f ? ratio : 1.0f;
    const float d = 1.0f - th * th;
    float log = L5 + th * (L6 + th * (L7 + th * L8));
    log = th * (L1 + th * (L2 + th * (L3 + th * (L4 + th * log))));
    psi[base + at] = v < 0.0f ? -th : th;
#if CURVATURE
    dpsi[base + at] = d;
    square[base + at] = v * v;
#endif
    total += whole + 0.6931471805599453f - log;
    slopes += d;
  }
  likelihood[t] = (double)total;
  slope[t] = (double)slopes;
  __syncthreads();
  for (int half = THREADS / 2; half > 0; half /= 2) {
    if (t < half) {
      likelihood[t] += likelihood[t + half];
      slope[t] += slope[t + half];
    }
    __syncthreads();
  }
  if (t == 0) {
    double* out = sums + 2 * (row * gridDim.x + blockIdx.x);
    out[0] = likelihood[0];
    out[1] = slope[0];
  }
}
