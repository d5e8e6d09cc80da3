#include <algorithm>
#include <cstdio>
#include <cstring>

#include "base/file.h"
#include "gpu-emulator/guest/libcuda/runtime.h"
#include "gpu-emulator/link/rpc.h"

using namespace ccgpu::cuda;  // NOLINT
using ccgpu::AsBytes;
using ccgpu::ByteView;
using ccgpu::Reader;
using ccgpu::Writer;

namespace {

// What cuLinkComplete hands out as a "cubin": the linked texts, to be compiled by the device when they are loaded.
constexpr char kLinkedMagic[] = "CCGPULNK";
constexpr size_t kMagicSize = 8;

// The caller's log buffers among its JIT options.
class JitLog {
 public:
  JitLog(unsigned count, const CUjit_option* options, void** values)
      : count_(count), options_(options), values_(values) {}

  void Fail(const ccgpu::Error& error) const {
    const std::string text = "ptxas error : " + error.ToString() + "\n";
    std::fprintf(stderr, "ccgpu: libcuda: %s", text.c_str());
    Put(CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, text);
  }
  void Clear() const {
    Put(CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES, "");
    Put(CU_JIT_INFO_LOG_BUFFER, CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES, "");
  }

 private:
  void Put(CUjit_option buffer, CUjit_option size, std::string_view text) const {
    char* to = nullptr;
    void** room = nullptr;
    for (unsigned i = 0; i < count_; ++i) {
      if (options_[i] == buffer) to = static_cast<char*>(values_[i]);
      if (options_[i] == size) room = &values_[i];
    }
    if (!to || !room) return;
    const size_t capacity = reinterpret_cast<uintptr_t>(*room) & 0xffffffff;  // an unsigned int passed as a pointer
    if (capacity == 0) return;
    text = text.substr(0, capacity - 1);
    std::memcpy(to, text.data(), text.size());
    to[text.size()] = 0;
    *room = reinterpret_cast<void*>(static_cast<uintptr_t>(text.empty() ? 0 : text.size() + 1));  // what was written
  }
  unsigned count_;
  const CUjit_option* options_;
  void** values_;
};

CUresult Texts(const void* image, std::vector<std::string>* texts) {
  const auto* bytes = static_cast<const uint8_t*>(image);
  // PTX comes without a length: nothing past its terminating zero may be read.
  if (std::strncmp(static_cast<const char*>(image), kLinkedMagic, kMagicSize) == 0) {
    uint64_t total = 0;
    std::memcpy(&total, bytes + kMagicSize, sizeof total);
    Reader in(ByteView(bytes, total));
    in.Skip(kMagicSize + 8);
    for (uint32_t count = in.U32(); count > 0 && in.ok(); --count) {
      const uint64_t size = in.U64();
      texts->push_back(ccgpu::ToText(in.Take(size)));
    }
    return in.AtEnd() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_IMAGE;
  }
  uint32_t magic = 0;
  std::memcpy(&magic, bytes, std::min<size_t>(sizeof magic, ::strnlen(static_cast<const char*>(image), sizeof magic)));
  constexpr uint32_t kElf = 0x464c457f, kFatbin = 0xba55ed50, kFatbinWrapper = 0x466243b1;
  if (magic == kElf || magic == kFatbin || magic == kFatbinWrapper) return CUDA_ERROR_NO_BINARY_FOR_GPU;
  texts->push_back(static_cast<const char*>(image));
  return texts->back().empty() ? CUDA_ERROR_INVALID_IMAGE : CUDA_SUCCESS;
}

CUresult LoadTexts(Scope& scope, const std::vector<std::string>& texts, const JitLog& log, uint32_t* id) {
  Writer arguments;
  arguments.U32(texts.size());
  Channel::Command command{.op = ccgpu::link::Command::kModuleLoad};
  command.kind = ccgpu::link::RecordKind::kCode;
  uint64_t total = 0;
  for (const std::string& text : texts) {
    arguments.U64(text.size());
    command.more.push_back(AsBytes(text));
    total += text.size();
  }
  if (texts.empty() || texts.size() > ccgpu::link::kMaxTexts || total > ccgpu::link::kMaxCode)
    return CUDA_ERROR_INVALID_IMAGE;
  command.arguments = arguments.bytes();
  const Completion answer = scope.context->channel->Call(std::move(command));
  if (answer.status != CUDA_SUCCESS) {
    if (answer.status == CUDA_ERROR_INVALID_PTX) log.Fail(answer.error);
    return answer.status;
  }
  log.Clear();
  Reader in(answer.payload);
  *id = in.U32();
  return in.AtEnd() ? CUDA_SUCCESS : CUDA_ERROR_UNKNOWN;
}

void UnloadId(Scope& scope, uint32_t id) {
  Writer arguments;
  arguments.U32(id);
  scope.context->channel->Call({.op = ccgpu::link::Command::kModuleUnload, .arguments = arguments.bytes()});
}

CUresult AddText(CUlinkState state, CUjitInputType type, std::string text) {
  if (type == CU_JIT_INPUT_CUBIN && text.compare(0, kMagicSize, kLinkedMagic) == 0) {
    return Texts(text.data(), &state->texts);
  }
  if (type != CU_JIT_INPUT_PTX) return CUDA_ERROR_NO_BINARY_FOR_GPU;
  while (!text.empty() && text.back() == '\0') text.pop_back();
  state->texts.push_back(std::move(text));
  return CUDA_SUCCESS;
}

}  // namespace

CUresult cuModuleLoadDataEx(CUmodule* module, const void* image, unsigned count, CUjit_option* options, void** values) {
  if (!module || !image || (count > 0 && (!options || !values))) return CUDA_ERROR_INVALID_VALUE;
  Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  std::vector<std::string> texts;
  if (const CUresult read = Texts(image, &texts); read != CUDA_SUCCESS) return read;
  uint32_t id = 0;
  if (const CUresult loaded = LoadTexts(scope, texts, JitLog(count, options, values), &id); loaded != CUDA_SUCCESS)
    return loaded;
  auto* made = new CUmod_st;
  made->context = scope.context;
  made->id = id;
  scope.runtime.modules.insert(made);
  *module = made;
  return CUDA_SUCCESS;
}
CUresult cuModuleLoadData(CUmodule* module, const void* image) {
  return cuModuleLoadDataEx(module, image, 0, nullptr, nullptr);
}

CUresult cuModuleLoad(CUmodule* module, const char* path) {
  if (!module || !path) return CUDA_ERROR_INVALID_VALUE;
  const auto text = ccgpu::ReadFile(path);
  return text.ok() ? cuModuleLoadData(module, text->c_str()) : CUDA_ERROR_FILE_NOT_FOUND;
}

CUresult cuModuleUnload(CUmodule module) {
  Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (scope.runtime.modules.erase(module) == 0) return CUDA_ERROR_INVALID_HANDLE;
  for (const auto& [name, function] : module->functions) scope.runtime.functions.erase(function.get());
  for (const CUdeviceptr global : module->globals) module->context->device->allocations.erase(global);
  scope.context = module->context;
  UnloadId(scope, module->id);
  delete module;
  return CUDA_SUCCESS;
}

CUresult cuModuleGetFunction(CUfunction* function, CUmodule module, const char* name) {
  if (!function || !name) return CUDA_ERROR_INVALID_VALUE;
  Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (!scope.runtime.modules.contains(module)) return CUDA_ERROR_INVALID_HANDLE;
  if (const auto known = module->functions.find(name); known != module->functions.end()) {
    *function = known->second.get();
    return CUDA_SUCCESS;
  }
  Writer arguments;
  arguments.U32(module->id);
  ccgpu::link::PutText(arguments, name);
  const Completion answer =
      module->context->channel->Call({.op = ccgpu::link::Command::kFunction, .arguments = arguments.bytes()});
  if (answer.status != CUDA_SUCCESS) return answer.status;
  auto made = std::make_unique<CUfunc_st>();
  made->module = module;
  made->name = name;
  Reader in(answer.payload);
  made->params_size = in.U32();
  made->static_shared = in.U32();
  made->local_bytes = in.U32();
  made->max_threads = in.U32();
  for (uint32_t count = in.U32(); count > 0 && in.ok(); --count) {
    const uint32_t offset = in.U32(), size = in.U32();
    made->params.emplace_back(offset, size);
    if (offset > made->params_size || size > made->params_size - offset) return CUDA_ERROR_UNKNOWN;
  }
  if (!in.AtEnd() || made->params_size > ccgpu::link::kMaxParams) return CUDA_ERROR_UNKNOWN;
  *function = made.get();
  scope.runtime.functions.insert(made.get());
  module->functions[name] = std::move(made);
  return CUDA_SUCCESS;
}

CUresult cuModuleGetGlobal_v2(CUdeviceptr* address, size_t* bytes, CUmodule module, const char* name) {
  if (!name) return CUDA_ERROR_INVALID_VALUE;
  Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (!scope.runtime.modules.contains(module)) return CUDA_ERROR_INVALID_HANDLE;
  Writer arguments;
  arguments.U32(module->id);
  ccgpu::link::PutText(arguments, name);
  const Completion answer =
      module->context->channel->Call({.op = ccgpu::link::Command::kGlobal, .arguments = arguments.bytes()});
  if (answer.status != CUDA_SUCCESS) return answer.status;
  Reader in(answer.payload);
  const uint64_t at = in.U64(), size = in.U64();
  if (address) *address = at;
  if (bytes) *bytes = size;
  // Copies to and from it are checked against the known allocations like all others.
  if (module->context->device->allocations.try_emplace(at, Allocation{size, nullptr}).second)
    module->globals.push_back(at);
  return CUDA_SUCCESS;
}

CUresult cuLinkCreate_v2(unsigned count, CUjit_option* options, void** values, CUlinkState* state) {
  if (!state || (count > 0 && (!options || !values))) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  auto* made = new CUlinkState_st;
  made->options.assign(options, options + count);
  made->values.assign(values, values + count);
  scope.runtime.links.insert(made);
  *state = made;
  return CUDA_SUCCESS;
}

CUresult cuLinkAddData_v2(CUlinkState state, CUjitInputType type, void* data, size_t size, const char*, unsigned,
                          CUjit_option*, void**) {
  if (!data || size == 0) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (!scope.runtime.links.contains(state)) return CUDA_ERROR_INVALID_HANDLE;
  return AddText(state, type, std::string(static_cast<const char*>(data), size));
}

CUresult cuLinkAddFile_v2(CUlinkState state, CUjitInputType type, const char* path, unsigned, CUjit_option*, void**) {
  if (!path) return CUDA_ERROR_INVALID_VALUE;
  const Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (!scope.runtime.links.contains(state)) return CUDA_ERROR_INVALID_HANDLE;
  auto text = ccgpu::ReadFile(path);
  return text.ok() ? AddText(state, type, std::move(*text)) : CUDA_ERROR_FILE_NOT_FOUND;
}

CUresult cuLinkComplete(CUlinkState state, void** cubin, size_t* size) {
  if (!cubin) return CUDA_ERROR_INVALID_VALUE;
  Scope scope;
  if (scope.status != CUDA_SUCCESS) return scope.status;
  if (!scope.runtime.links.contains(state)) return CUDA_ERROR_INVALID_HANDLE;
  // Compile once here, so that errors come from the call that programs expect them from.
  uint32_t id = 0;
  const JitLog log(static_cast<unsigned>(state->options.size()), state->options.data(), state->values.data());
  if (const CUresult loaded = LoadTexts(scope, state->texts, log, &id); loaded != CUDA_SUCCESS) return loaded;
  UnloadId(scope, id);
  uint64_t total = kMagicSize + 8 + 4;
  for (const std::string& text : state->texts) total += 8 + text.size();
  Writer image;
  image.Text(kLinkedMagic).U64(total).U32(state->texts.size());
  for (const std::string& text : state->texts) image.U64(text.size()).Text(text);
  state->image.assign(ccgpu::AsText(image.bytes()));
  *cubin = state->image.data();
  if (size) *size = state->image.size();
  return CUDA_SUCCESS;
}

CUresult cuLinkDestroy(CUlinkState state) {
  Runtime& runtime = Runtime::Get();
  const std::scoped_lock lock(runtime.mutex);
  if (runtime.links.erase(state) == 0) return CUDA_ERROR_INVALID_HANDLE;
  delete state;
  return CUDA_SUCCESS;
}
