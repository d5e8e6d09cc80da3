// digits: classifies handwritten digits on a GPU with a model that is only readable with a key that the broker
// releases.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/file.h"
#include "examples/digits/cuda_driver.h"
#include "examples/digits/model.h"
#include "examples/digits/sealed_model.h"

namespace {

constexpr size_t kTrainingImages = 898;  // train.py: the first images made the model, the others test it

struct Options {
  std::string data = ".";
  int repeat = 1;
};

[[noreturn]] void Usage(int code) {
  std::fprintf(
      code ? stderr : stdout,
      "usage: digits [--data DIR] [--repeat N] | --help | --version\n"
      "  DIR holds model.enc, optdigits-test.csv and digits.ptx (default: the current folder)\n"
      "  the key comes from the pod's agent: kbs:///default/digits/model-key, or $DIGITS_KEY_RESOURCE\n"
      "exit: 0 GPU and CPU agree on every image, 1 they differ, 2 usage, 3 no key or no model, 4 a CUDA error\n");
  std::exit(code);
}

Options Parse(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string arg = argv[i];
    if (arg == "--help") Usage(0);
    if (arg == "--version") {
      std::printf("digits %s\n", CCGPU_VERSION);
      std::exit(0);
    }
    if (i + 1 == argc) Usage(2);
    if (arg == "--data") options.data = argv[++i];
    else if (arg == "--repeat") options.repeat = std::atoi(argv[++i]);
    else Usage(2);
  }
  if (options.repeat < 1) Usage(2);
  return options;
}

template <class T>
T Need(ccgpu::Result<T> result) {
  if (result.ok()) return std::move(result).value();
  std::fprintf(stderr, "digits: %s\n", result.error().ToString().c_str());
  std::exit(3);
}

// Uploads model and images, runs the three kernels, and brings the predictions back.
std::vector<int> ClassifyOnGpu(digits::Cuda& cuda, const digits::Model& model, const digits::Images& images) {
  int count = static_cast<int>(images.labels.size());
  auto upload = [&](const std::vector<float>& values) {
    const uint64_t address = cuda.Allocate(values.size() * sizeof(float));
    cuda.ToDevice(address, values.data(), values.size() * sizeof(float));
    return address;
  };
  uint64_t pixels = upload(images.pixels), weight1 = upload(model.weight1), bias1 = upload(model.bias1),
           weight2 = upload(model.weight2), bias2 = upload(model.bias2);
  uint64_t hidden = cuda.Allocate(sizeof(float) * static_cast<size_t>(count * model.hidden)),
           scores = cuda.Allocate(sizeof(float) * static_cast<size_t>(count * model.classes));
  uint64_t found = cuda.Allocate(sizeof(int) * static_cast<size_t>(count));
  int inputs = model.inputs, units = model.hidden, classes = model.classes, relu = 1, plain = 0;
  void* first[] = {&pixels, &weight1, &bias1, &hidden, &count, &inputs, &units, &relu};
  void* second[] = {&hidden, &weight2, &bias2, &scores, &count, &units, &classes, &plain};
  void* third[] = {&scores, &found, &count, &classes};
  cuda.Launch("dense", count * units, first);
  cuda.Launch("dense", count * classes, second);
  cuda.Launch("best", count, third);
  cuda.Synchronize();
  std::vector<int> out(static_cast<size_t>(count));
  cuda.ToHost(out.data(), found, out.size() * sizeof(int));
  for (uint64_t address : {pixels, weight1, bias1, weight2, bias2, hidden, scores, found}) cuda.Free(address);
  return out;
}

}  // namespace

int main(int argc, char** argv) {
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  const Options options = Parse(argc, argv);
  const char* resource_override = std::getenv("DIGITS_KEY_RESOURCE");
  const std::string resource = resource_override ? resource_override : "default/digits/model-key";

  const std::string sealed = Need(ccgpu::ReadFile(options.data + "/model.enc"));
  ccgpu::Bytes key = Need(digits::FetchResource(resource));
  const digits::Model model = digits::ParseModel(Need(digits::Open(key, ccgpu::AsBytes(sealed))));
  ccgpu::Wipe(key);
  const digits::Images images = digits::LoadImages(options.data + "/optdigits-test.csv", kTrainingImages);
  std::printf("key              released for kbs:///%s, model decrypted\n", resource.c_str());

  digits::Cuda cuda;
  std::printf("device           %s\n", cuda.DeviceName().c_str());
  cuda.LoadModule(Need(ccgpu::ReadFile(options.data + "/digits.ptx")));
  const std::vector<int> on_cpu = digits::ClassifyOnCpu(model, images);
  const auto start = std::chrono::steady_clock::now();
  std::vector<int> on_gpu;
  for (int round = 0; round < options.repeat; ++round) {
    on_gpu = ClassifyOnGpu(cuda, model, images);
    if (on_gpu != on_cpu) break;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();

  size_t equal = 0;
  for (size_t i = 0; i < on_cpu.size(); ++i) equal += on_cpu[i] == on_gpu[i];
  std::printf("images           %zu\n", on_cpu.size());
  std::printf("gpu accuracy     %.2f %%\n", digits::Accuracy(on_gpu, images.labels));
  std::printf("cpu accuracy     %.2f %%\n", digits::Accuracy(on_cpu, images.labels));
  std::printf("same predictions %zu of %zu\n", equal, on_cpu.size());
  std::printf("kernel launches  %d in %.3f s\n", cuda.launches(), seconds);
  return equal == on_cpu.size() ? 0 : 1;
}
