// The classifier's kernels. Compiled to PTX by clang without a CUDA SDK, hence the few declarations by hand.
#define __global__ __attribute__((global))

static __attribute__((device)) int Index() { return __nvvm_read_ptx_sreg_ctaid_x() * __nvvm_read_ptx_sreg_ntid_x() + __nvvm_read_ptx_sreg_tid_x(); }

// out[image][unit] = bias[unit] + sum over i of in[image][i] * weight[i][unit], cut at zero when relu is set. One thread each.
extern "C" __global__ void dense(const float* in, const float* weight, const float* bias, float* out, int images, int inputs, int units, int relu) {
  const int at = Index();
  if (at >= images * units) return;
  const int image = at / units, unit = at % units;
  float sum = bias[unit];
  for (int i = 0; i < inputs; ++i) sum = __builtin_fmaf(in[image * inputs + i], weight[i * units + unit], sum);
  out[at] = relu && sum < 0.0f ? 0.0f : sum;
}

// The class with the highest score; the first of equals.
extern "C" __global__ void best(const float* scores, int* out, int images, int classes) {
  const int image = Index();
  if (image >= images) return;
  int found = 0;
  for (int c = 1; c < classes; ++c) {
    if (scores[image * classes + c] > scores[image * classes + found]) found = c;
  }
  out[image] = found;
}
