// The model of /sys/kernel/config/tsm/report (Linux Documentation/ABI/testing/configfs-tsm-report), without a file
// system around it. Errors are negative errno values, because that is what a reader of the files sees.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "base/bytes.h"

namespace ccgpu::emulator {

struct TsmBlobs {
  Bytes report;     // outblob
  Bytes auxiliary;  // auxblob: certificate table; empty on TDX
};

// Any number of report instances, each with its own request and its own answer. Not for several threads.
class TsmTree {
 public:
  enum class Attribute : uint8_t {
    kInblob = 1,
    kOutblob,
    kAuxblob,
    kProvider,
    kGeneration,
    kPrivlevel,
    kPrivlevelFloor
  };
  struct AttributeInfo {
    Attribute attribute;
    const char* name;
    bool readable, writable;
  };
  static const std::vector<AttributeInfo>& Attributes();

  static constexpr size_t kInblobSize = 64;
  static constexpr size_t kMaxInstances = 64;
  static constexpr int kMaxPrivlevel = 3;

  // Makes a report of 64 bytes of report data at a privilege level (VMPL); nothing when the processor refuses.
  using Reporter = std::function<Result<TsmBlobs>(ByteView report_data, uint32_t privlevel)>;
  // `provider`: what the attribute of that name says, "sev_guest" or "tdx_guest".
  explicit TsmTree(Reporter reporter, std::string provider = "sev_guest")
      : reporter_(std::move(reporter)), provider_(std::move(provider)) {}

  // An instance's id, never used twice; or -EEXIST, -ENOSPC, -EINVAL.
  int64_t Make(const std::string& name);
  int Remove(const std::string& name);          // 0 or -ENOENT
  int64_t Find(const std::string& name) const;  // id or -ENOENT
  bool Exists(uint64_t id) const { return instances_.contains(id); }
  std::vector<std::pair<std::string, uint64_t>> List() const;

  // One complete write, as configfs commits it when the file is closed (inblob) or at write(2) (privlevel). Each
  // accepted write advances the generation. -EBUSY when the generation would come round to the last one that was read.
  int Write(uint64_t id, Attribute attribute, ByteView value);
  // The whole content. outblob and auxblob make a report when anything was written since the last one, so that both
  // always belong to one generation; -EINVAL before inblob holds 64 bytes, -EIO when the secure processor refuses. A
  // reader that wants to know whether another writer came between compares `generation` before and after.
  int Read(uint64_t id, Attribute attribute, Bytes& out);

 private:
  struct Instance {
    std::string name;
    Bytes inblob;
    uint32_t privlevel = 0;
    uint64_t write_generation = 0, read_generation = 0;
    bool have_report = false;
    TsmBlobs blobs;
  };
  int Refresh(Instance& instance);
  Reporter reporter_;
  std::string provider_;
  std::map<uint64_t, Instance> instances_;
  uint64_t next_id_ = 1;
};

}  // namespace ccgpu::emulator
