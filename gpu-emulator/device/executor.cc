#include "gpu-emulator/device/executor.h"

#include <algorithm>
#include <cstring>

#include "gpu-emulator/link/rpc.h"

namespace ccgpu::device {
namespace {

using link::Command;
using link::RecordKind;

constexpr int kSliceMs = 500;
constexpr size_t kMaxCommand = 64 * 1024;

Error BadAddress(uint64_t address, uint64_t size) {
  char text[80];
  std::snprintf(text, sizeof text, "%llu bytes at 0x%llx are not inside one allocation",
                static_cast<unsigned long long>(size), static_cast<unsigned long long>(address));
  return Err("cuda.invalid-address", "device address", text);
}

Error BadCommand(std::string_view what) { return Err("link.bad-command", "command", std::string(what)); }

Bytes Words(std::initializer_list<uint64_t> words) {
  Writer out;
  for (const uint64_t word : words) out.U64(word);
  return std::move(out).Finish();
}

}  // namespace

Executor::Executor(DeviceMemory& memory, std::unique_ptr<ptx::Engine> engine, link::RingReader& reader,
                   link::RingWriter& writer, const std::atomic<bool>& stop)
    : memory_(memory), engine_(std::move(engine)), reader_(reader), writer_(writer), stop_(stop) {}

Status Executor::RunOne() {
  ASSIGN_OR_RETURN(const link::RecordHeader header, reader_.Peek());
  if (header.kind != static_cast<uint32_t>(RecordKind::kCommand) || header.length > kMaxCommand) {
    return Err("link.bad-command", "record", "is not a command where one was expected");
  }
  command_.resize(header.length);
  RETURN_IF_ERROR(reader_.Take(header, command_.data()));
  Reader in(command_);
  const auto op = static_cast<Command>(in.U16());
  in.Skip(2);
  const uint32_t sequence = in.U32();
  if (!in.ok()) return BadCommand("is shorter than its header");

  copy_out_size_ = 0;
  Status fatal;
  const Result<Bytes> answer = Dispatch(op, in, fatal);
  RETURN_IF_ERROR(std::move(fatal));
  if (Stopped())
    return Err("link.stopped", "channel", "was closed during a command");  // a cancelled kernel has no result
  if (!answer.ok() && answer.error().code == "link.bad-command") return answer.error();
  RETURN_IF_ERROR(Complete(sequence, answer));
  if (!answer.ok()) return Ok();
  for (uint64_t done = 0; done < copy_out_size_;) {
    const uint64_t part = std::min<uint64_t>(link::kSlotPayload, copy_out_size_ - done);
    RETURN_IF_ERROR(Send(RecordKind::kData, ByteView(memory_.Translate(copy_out_address_ + done, part, false), part)));
    done += part;
  }
  return Ok();
}

Result<Bytes> Executor::Dispatch(Command op, Reader& in, Status& fatal) {
  switch (op) {
    case Command::kSync: return Bytes();
    case Command::kMemAlloc: {
      const uint64_t size = in.U64();
      if (!in.AtEnd()) return BadCommand("allocation is malformed");
      ASSIGN_OR_RETURN(const uint64_t address, memory_.Allocate(size, kGranule));
      return Words({address});
    }
    case Command::kMemFree: {
      const uint64_t address = in.U64();
      if (!in.AtEnd()) return BadCommand("free is malformed");
      if (!memory_.Owns(address)) return BadAddress(address, 0);
      memory_.Free(address);
      return Bytes();
    }
    case Command::kMemset: return MemSet(in);
    case Command::kCopyIn: return CopyIn(in, fatal);
    case Command::kCopyOut: {
      const uint64_t address = in.U64(), size = in.U64();
      if (!in.AtEnd() || size == 0) return BadCommand("copy is malformed");
      if (!memory_.Translate(address, size, false)) return BadAddress(address, size);
      copy_out_address_ = address;
      copy_out_size_ = size;
      return Bytes();
    }
    case Command::kCopyDevice: return CopyDevice(in);
    case Command::kModuleLoad: return ModuleLoad(in, fatal);
    case Command::kModuleUnload: {
      const uint32_t id = in.U32();
      if (!in.AtEnd()) return BadCommand("unload is malformed");
      if (modules_.erase(id) == 0) return Err("cuda.invalid-handle", "module", "is not loaded");
      return Bytes();
    }
    case Command::kFunction: return Function(in);
    case Command::kGlobal: return Global(in);
    case Command::kLaunch: return Launch(in);
    case Command::kMemInfo:
      return Words({memory_.device().total() - memory_.device().used(), memory_.device().total()});
    case Command::kFreeAll:
      modules_.clear();
      memory_.FreeAll();
      return Bytes();
  }
  return BadCommand("has an unknown operation");
}

Result<Bytes> Executor::MemSet(Reader& in) {
  const uint64_t address = in.U64(), count = in.U64();
  const uint32_t value = in.U32();
  const uint8_t width = in.U8();
  if (!in.AtEnd() || (width != 1 && width != 2 && width != 4) || count > (1ull << 48))
    return BadCommand("memset is malformed");
  if (count == 0) return Bytes();
  uint8_t* at = memory_.Translate(address, count * width, true);
  if (!at) return BadAddress(address, count * width);
  if (width == 1) {
    std::memset(at, static_cast<int>(value), count);
  } else {
    for (uint64_t i = 0; i < count; ++i) std::memcpy(at + i * width, &value, width);
  }
  return Bytes();
}

Result<Bytes> Executor::CopyDevice(Reader& in) {
  const uint64_t to = in.U64(), from = in.U64(), size = in.U64();
  if (!in.AtEnd()) return BadCommand("copy is malformed");
  if (size == 0) return Bytes();
  uint8_t* target = memory_.Translate(to, size, true);
  if (!target) return BadAddress(to, size);
  const uint8_t* source = memory_.Translate(from, size, false);
  if (!source) return BadAddress(from, size);
  std::memmove(target, source, size);
  return Bytes();
}

Status Executor::TakeRecord(RecordKind kind, size_t length, uint8_t* out) {
  RETURN_IF_ERROR(reader_.WaitRecord([this] { return Stopped(); }, kSliceMs));
  ASSIGN_OR_RETURN(const link::RecordHeader header, reader_.Peek());
  if (header.kind != static_cast<uint32_t>(kind) || header.length != length)
    return BadCommand("is followed by another record than announced");
  if (!out) {
    scratch_.resize(link::kSlotPayload);
    out = scratch_.data();
  }
  return reader_.Take(header, out);
}

Result<Bytes> Executor::CopyIn(Reader& in, Status& fatal) {
  const uint64_t address = in.U64(), size = in.U64();
  if (!in.AtEnd() || size == 0 || size > (1ull << 48)) return BadCommand("copy is malformed");
  uint8_t* target = memory_.Translate(address, size, true);
  for (uint64_t done = 0; done < size && fatal.ok();) {
    const uint64_t part = std::min<uint64_t>(link::kSlotPayload, size - done);
    fatal = TakeRecord(RecordKind::kData, part, target ? target + done : nullptr);
    done += part;
  }
  if (!target) return BadAddress(address, size);
  return Bytes();
}

Result<Bytes> Executor::ModuleLoad(Reader& in, Status& fatal) {
  const uint32_t count = in.U32();
  if (count == 0 || count > link::kMaxTexts) return BadCommand("module has a bad number of texts");
  std::vector<std::string> texts(count);
  std::vector<uint64_t> sizes(count);
  uint64_t total = 0;
  for (uint64_t& size : sizes) {
    size = in.U64();
    if (size > link::kMaxCode) return BadCommand("module is too large");
    total += size;
  }
  if (!in.AtEnd() || total > link::kMaxCode) return BadCommand("module is malformed");
  for (uint32_t i = 0; i < count; ++i) {
    for (uint64_t done = 0; done < sizes[i];) {
      const uint64_t part = std::min<uint64_t>(link::kSlotPayload, sizes[i] - done);
      texts[i].resize(done + part);  // grows with what really comes, not with what was announced
      fatal = TakeRecord(RecordKind::kCode, part, reinterpret_cast<uint8_t*>(texts[i].data()) + done);
      if (!fatal.ok()) return Bytes();
      done += part;
    }
  }
  if (!engine_) return Err("cuda.no-engine", "module", "this build has no engine for kernels");
  ASSIGN_OR_RETURN(std::unique_ptr<ptx::Module> module, engine_->Load(texts, memory_));
  const uint32_t id = next_module_++;
  modules_[id] = std::move(module);
  Writer out;
  out.U32(id);
  return std::move(out).Finish();
}

Result<ptx::Module*> Executor::FindModule(uint32_t id) {
  const auto it = modules_.find(id);
  if (it == modules_.end()) return Err("cuda.invalid-handle", "module", "is not loaded");
  return it->second.get();
}

Result<Bytes> Executor::Function(Reader& in) {
  const uint32_t id = in.U32();
  const std::string name = link::TakeText(in);
  if (!in.AtEnd()) return BadCommand("function query is malformed");
  ASSIGN_OR_RETURN(ptx::Module * module, FindModule(id));
  const ptx::KernelInfo* kernel = module->Find(name);
  if (!kernel) return Err("cuda.not-found", name, "is not a kernel of this module");
  Writer out;
  out.U32(kernel->params_size)
      .U32(kernel->static_shared)
      .U32(kernel->local_bytes)
      .U32(kernel->max_threads)
      .U32(kernel->params.size());
  for (const ptx::ParamInfo& param : kernel->params) out.U32(param.offset).U32(param.size);
  return std::move(out).Finish();
}

Result<Bytes> Executor::Global(Reader& in) {
  const uint32_t id = in.U32();
  const std::string name = link::TakeText(in);
  if (!in.AtEnd()) return BadCommand("global query is malformed");
  ASSIGN_OR_RETURN(ptx::Module * module, FindModule(id));
  const ptx::GlobalInfo* global = module->FindGlobal(name);
  if (!global) return Err("cuda.not-found", name, "is not a variable of this module");
  return Words({global->address, global->size});
}

Result<Bytes> Executor::Launch(Reader& in) {
  const uint32_t id = in.U32();
  const std::string name = link::TakeText(in);
  ptx::LaunchSpec spec;
  for (uint32_t* part : {&spec.grid.x, &spec.grid.y, &spec.grid.z, &spec.block.x, &spec.block.y, &spec.block.z})
    *part = in.U32();
  spec.dynamic_shared = in.U32();
  const uint32_t size = in.U32();
  const ByteView params = in.Take(size);
  if (!in.AtEnd() || size > link::kMaxParams) return BadCommand("launch is malformed");
  const uint64_t threads = uint64_t{spec.block.x} * spec.block.y * spec.block.z;
  const bool grid_good = spec.grid.x && spec.grid.y && spec.grid.z && spec.grid.x <= 0x7fffffff &&
                         spec.grid.y <= 65535 && spec.grid.z <= 65535;
  const bool block_good =
      spec.block.x <= 1024 && spec.block.y <= 1024 && spec.block.z <= 64 && threads >= 1 && threads <= 1024;
  if (!grid_good || !block_good || spec.dynamic_shared > 227 * 1024) {
    return Err("cuda.invalid-launch", name, "grid, block or shared memory exceed the device's limits");
  }
  ASSIGN_OR_RETURN(ptx::Module * module, FindModule(id));
  const ptx::KernelInfo* kernel = module->Find(name);
  if (!kernel) return Err("cuda.not-found", name, "is not a kernel of this module");
  if (size != kernel->params_size)
    return Err("cuda.invalid-launch", name, "got parameters of another size than the kernel declares");
  spec.params = params;
  spec.cancel = &stop_;
  RETURN_IF_ERROR(engine_->Launch(*module, name, spec, memory_));
  return Bytes();
}

Status Executor::Send(RecordKind kind, ByteView payload) {
  RETURN_IF_ERROR(writer_.WaitSpace([this] { return Stopped(); }, kSliceMs));
  writer_.Write(kind, payload);
  return Ok();
}

Status Executor::Complete(uint32_t sequence, const Result<Bytes>& answer) {
  const auto now = std::chrono::steady_clock::now() - start_;
  Writer out;
  out.U32(sequence).U64(static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count()));
  out.Raw(link::EncodeAnswer(answer));
  if (out.size() > kMaxCommand) out.bytes().resize(kMaxCommand);
  return Send(RecordKind::kCommand, out.bytes());
}

}  // namespace ccgpu::device
