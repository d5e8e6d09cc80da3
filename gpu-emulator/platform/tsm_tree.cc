#include "gpu-emulator/platform/tsm_tree.h"

#include <cerrno>
#include <charconv>

namespace ccgpu::emulator {

const std::vector<TsmTree::AttributeInfo>& TsmTree::Attributes() {
  static const std::vector<AttributeInfo> kAttributes = {
      {Attribute::kInblob, "inblob", false, true},
      {Attribute::kOutblob, "outblob", true, false},
      {Attribute::kAuxblob, "auxblob", true, false},
      {Attribute::kProvider, "provider", true, false},
      {Attribute::kGeneration, "generation", true, false},
      {Attribute::kPrivlevel, "privlevel", false, true},
      {Attribute::kPrivlevelFloor, "privlevel_floor", true, false},
  };
  return kAttributes;
}

int64_t TsmTree::Make(const std::string& name) {
  if (name.empty() || name.size() > 255 || name == "." || name == "..") return -EINVAL;
  if (Find(name) >= 0) return -EEXIST;
  if (instances_.size() >= kMaxInstances) return -ENOSPC;
  instances_[next_id_].name = name;
  return static_cast<int64_t>(next_id_++);
}

int TsmTree::Remove(const std::string& name) {
  int64_t id = Find(name);
  if (id < 0) return static_cast<int>(id);
  instances_.erase(static_cast<uint64_t>(id));
  return 0;
}

int64_t TsmTree::Find(const std::string& name) const {
  for (const auto& [id, instance] : instances_) {
    if (instance.name == name) return static_cast<int64_t>(id);
  }
  return -ENOENT;
}

std::vector<std::pair<std::string, uint64_t>> TsmTree::List() const {
  std::vector<std::pair<std::string, uint64_t>> list;
  for (const auto& [id, instance] : instances_) list.emplace_back(instance.name, id);
  return list;
}

int TsmTree::Write(uint64_t id, Attribute attribute, ByteView value) {
  auto found = instances_.find(id);
  if (found == instances_.end()) return -ENOENT;
  Instance& instance = found->second;
  uint32_t privlevel = instance.privlevel;
  switch (attribute) {
    case Attribute::kInblob:
      if (value.size() > kInblobSize) return -EFBIG;
      break;
    case Attribute::kPrivlevel: {
      std::string_view text = AsText(value);
      if (text.ends_with('\n')) text.remove_suffix(1);
      auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), privlevel);
      if (error != std::errc() || end != text.data() + text.size() || privlevel > kMaxPrivlevel) return -EINVAL;
      break;
    }
    case Attribute::kOutblob:
    case Attribute::kAuxblob:
    case Attribute::kProvider:
    case Attribute::kGeneration:
    case Attribute::kPrivlevelFloor: return -EACCES;
  }
  // As the kernel does it: a writer may never bring the generation round to the one that a reader has seen.
  if (instance.write_generation == instance.read_generation - 1) return -EBUSY;
  ++instance.write_generation;
  if (attribute == Attribute::kInblob) instance.inblob = ToBytes(value);
  instance.privlevel = privlevel;
  return 0;
}

int TsmTree::Refresh(Instance& instance) {
  if (instance.inblob.size() != kInblobSize) return -EINVAL;
  if (instance.have_report && instance.read_generation == instance.write_generation) return 0;
  auto blobs = reporter_(instance.inblob, instance.privlevel);
  if (!blobs.ok()) return -EIO;
  instance.blobs = std::move(*blobs);
  instance.have_report = true;
  instance.read_generation = instance.write_generation;
  return 0;
}

int TsmTree::Read(uint64_t id, Attribute attribute, Bytes& out) {
  auto found = instances_.find(id);
  if (found == instances_.end()) return -ENOENT;
  Instance& instance = found->second;
  auto text = [&](const std::string& value) {
    out = ToBytes(AsBytes(value + "\n"));
    return 0;
  };
  switch (attribute) {
    case Attribute::kOutblob:
    case Attribute::kAuxblob: {
      int rc = Refresh(instance);
      if (rc == 0) out = attribute == Attribute::kOutblob ? instance.blobs.report : instance.blobs.auxiliary;
      return rc;
    }
    case Attribute::kProvider: return text(provider_);
    case Attribute::kGeneration: return text(std::to_string(instance.write_generation));
    case Attribute::kPrivlevelFloor: return text("0");
    case Attribute::kInblob:
    case Attribute::kPrivlevel: return -EACCES;
  }
  return -EACCES;
}

}  // namespace ccgpu::emulator
