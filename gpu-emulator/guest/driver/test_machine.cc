#include "gpu-emulator/guest/driver/test_machine.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>

#include "base/file.h"

namespace ccgpu::driver {
namespace {

crypto::Certificate Make(const std::string& name, bool ca, const crypto::PrivateKey& key,
                         const crypto::PrivateKey& signer, const crypto::Certificate* issuer) {
  crypto::CertificateSpec spec;
  spec.subject = {{"CN", name}};
  spec.key = key.public_key();
  spec.not_before = TimePoint(std::chrono::seconds(1577836800));
  spec.not_after = TimePoint(std::chrono::seconds(4102444800));
  spec.ca = ca;
  spec.key_cert_sign = ca;
  spec.digital_signature = !ca;
  return crypto::MakeCertificate(spec, signer, issuer).value();
}

class TestModule final : public ptx::Module {
 public:
  explicit TestModule(const std::vector<std::string>& texts) {
    for (const std::string& text : texts) {
      for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find('\n', at), text.size());
        if (const std::string name = text.substr(at, end - at); !name.empty()) Add(name);
        at = end + 1;
      }
    }
  }
  const ptx::KernelInfo* Find(std::string_view kernel) const override {
    for (const auto& info : infos_) {
      if (info.name == kernel) return &info;
    }
    return nullptr;
  }
  const ptx::GlobalInfo* FindGlobal(std::string_view) const override { return nullptr; }
  std::vector<std::string> kernels() const override { return {}; }

 private:
  void Add(const std::string& name) {
    ptx::KernelInfo info{name, {}, 0, 0, 0, 0};
    if (name == "add") {
      info.params = {{"a", 8, 8, 0}, {"b", 8, 8, 8}, {"c", 8, 8, 16}, {"n", 4, 4, 24}};
      info.params_size = 28;
    }
    if (name == "poke") {
      info.params = {{"address", 8, 8, 0}};
      info.params_size = 8;
    }
    infos_.push_back(info);
  }
  std::vector<ptx::KernelInfo> infos_;
};

class TestEngine final : public ptx::Engine {
 public:
  Result<std::unique_ptr<ptx::Module>> Load(const std::vector<std::string>& texts, ptx::Memory&) override {
    for (const std::string& text : texts) {
      if (text.starts_with("bad")) return Err("cuda.invalid-ptx", "line:7", "unknown instruction 'frobnicate.b32'");
    }
    return std::unique_ptr<ptx::Module>(new TestModule(texts));
  }
  Status Launch(ptx::Module&, std::string_view kernel, const ptx::LaunchSpec& spec, ptx::Memory& memory) override {
    Reader in(spec.params);
    if (kernel == "spin") {
      while (!*spec.cancel) std::this_thread::yield();
      return Err("cuda.launch-timeout", "spin", "was cancelled");
    }
    if (kernel == "poke") {
      uint8_t* at = memory.Translate(in.U64(), 1, true);
      if (!at) return Err("cuda.illegal-address", "poke", "write outside of any allocation");
      *at = 1;
      return Ok();
    }
    const uint64_t a = in.U64(), b = in.U64(), c = in.U64();
    const uint32_t n = in.U32();
    for (uint32_t i = 0; i < n; ++i) {
      const uint8_t* left = memory.Translate(a + 4 * i, 4, false);
      const uint8_t* right = memory.Translate(b + 4 * i, 4, false);
      uint8_t* sum = memory.Translate(c + 4 * i, 4, true);
      if (!left || !right || !sum) return Err("cuda.illegal-address", "add", "access outside of any allocation");
      uint32_t x, y;
      std::memcpy(&x, left, 4);
      std::memcpy(&y, right, 4);
      x += y;
      std::memcpy(sum, &x, 4);
    }
    return Ok();
  }
};

}  // namespace

TestIdentity::TestIdentity()
    : root_key(crypto::PrivateKey::Generate(crypto::KeyType::kP384)),
      leaf_key(crypto::PrivateKey::Generate(crypto::KeyType::kP384)) {
  root = Make("test root", true, root_key, root_key, nullptr);
  leaf = Make("test GPU", false, leaf_key, root_key, &root);
}

std::vector<spdm::MeasurementBlock> TestIdentity::Blocks() {
  return {{1, 1, Bytes(48, 0x11)}, {2, 1, Bytes(48, 0x22)}};
}

spdm::ResponderConfig TestIdentity::Config() {
  spdm::ResponderConfig config;
  config.chain_der = {root.Der(), leaf.Der()};
  config.key = leaf_key;
  config.measurements = this;
  config.random = &random;
  return config;
}

std::unique_ptr<ptx::Engine> MakeTestEngine() { return std::make_unique<TestEngine>(); }

TestMachine::TestMachine(Setup setup) : setup_(std::move(setup)) {
  device::GpuConfig config;
  config.uuid = "GPU-01234567-89ab-cdef-0123-456789abcdef";
  config.model = "NVIDIA H100 (TEST)";
  config.architecture = "HOPPER";
  config.memory_bytes = 1ull << 30;
  config.link_path = folder_ / "gpu0.link";
  config.driver_version = "550.90.07";
  config.vbios_version = "96.00.9F.00.01";
  config.serial = "1650522003820";
  if (setup_.test_engine) config.engine = MakeTestEngine;
  gpu = device::Gpu::Create(config, setup_.mode, identity.Config()).value();
  host_ = link::LinkMemory::Map(Fd(::open(config.link_path.c_str(), O_RDWR | O_CLOEXEC))).value();
  lock = gpu->Lock("sandbox").value();
  if (setup_.connect) {
    if (const Status connected = Connect(); !connected.ok()) {
      std::fprintf(stderr, "TestMachine: %s\n", connected.error().ToString().c_str());
      std::abort();
    }
  }
}

Status TestMachine::Connect() {
  Options options;
  options.accepted_modes = setup_.accepted;
  options.heartbeat_ms = setup_.heartbeat_ms;
  options.exchange_timeout_ms = setup_.exchange_timeout_ms;
  options.envelope = setup_.envelope;
  options.on_lost = [this](const Error&) { ++lost_calls; };
  LockedGpu locked{0, gpu->config().uuid, lock.nonce, lock.device_cert_sha384};
  ASSIGN_OR_RETURN(std::unique_ptr<GuestDriver> opened,
                   GuestDriver::Open(Fd(::fcntl(gpu->link_fd(), F_DUPFD_CLOEXEC, 0)), locked, options));
  driver = std::move(opened);
  if (setup_.ready && setup_.mode != link::Mode::kOff) RETURN_IF_ERROR(driver->SetReady(true));
  ASSIGN_OR_RETURN(
      server, DriverServer::Start({.path = socket_path(), .mode = 0600, .may_set_ready = false, .gpus = {driver}}));
  ASSIGN_OR_RETURN(
      agent_server,
      DriverServer::Start({.path = socket_path(true), .mode = 0600, .may_set_ready = true, .gpus = {driver}}));
  return Ok();
}

TestMachine::~TestMachine() {
  server.reset();
  agent_server.reset();
  driver.reset();
  gpu.reset();
}

size_t TestMachine::FindInLink(std::string_view text) const {
  // Only what has pages: the link is sparse, and reading holes would fill it.
  for (off_t at = 0; (at = ::lseek(host_.fd(), at, SEEK_DATA)) >= 0;) {
    const off_t end = ::lseek(host_.fd(), at, SEEK_HOLE);
    const std::string_view part(reinterpret_cast<const char*>(host_.at(static_cast<size_t>(at))),
                                static_cast<size_t>(end - at));
    if (const size_t found = part.find(text); found != std::string_view::npos) return static_cast<size_t>(at) + found;
    at = end;
  }
  return 0;
}

Library::Library(const std::string& name, const std::string& socket_path) {
  static int copies = 0;
  const std::string copy = std::filesystem::path(socket_path).parent_path() / (std::to_string(++copies) + "-" + name);
  std::filesystem::copy_file(std::string(CCGPU_BIN_DIR) + "/" + name, copy);
  ::setenv("CCGPU_DRIVER_SOCKET", socket_path.c_str(), 1);
  handle_ = ::dlopen(copy.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!handle_) {
    std::fprintf(stderr, "%s\n", ::dlerror());
    std::abort();
  }
}

// The library stays loaded, as in a program that never unloads it; its connection goes with the test's server.
Library::~Library() = default;

void* Library::Symbol(const char* name) const {
  void* symbol = ::dlsym(handle_, name);
  if (!symbol) {
    std::fprintf(stderr, "no symbol %s\n", name);
    std::abort();
  }
  return symbol;
}

CUresult Cuda::Begin() {
  if (const CUresult result = cuInit(0); result != CUDA_SUCCESS) return result;
  CUdevice device;
  if (const CUresult result = cuDeviceGet(&device, 0); result != CUDA_SUCCESS) return result;
  CUcontext context;
  if (const CUresult result = cuDevicePrimaryCtxRetain(&context, device); result != CUDA_SUCCESS) return result;
  return cuCtxSetCurrent(context);
}

bool Eventually(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

}  // namespace ccgpu::driver
