// One kind of CPU evidence as VerifyComposite sees it. Included by trust/verify's own sources only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "trust/verify/gpu/context.h"

namespace ccgpu::verify {

// Where the evidence says which initdata document the sandbox was started with.
struct InitDataField {
  Bytes value;
  std::string document;
  size_t offset = 0;
};

class CpuCase {
 public:
  virtual ~CpuCase() = default;
  // Runs the kind's list of checks, once; true when nothing stands against acceptance.
  virtual bool Run(std::vector<Check>& checks) = 0;
  // The rest is asked after Run.
  virtual nlohmann::ordered_json Claims() const = 0;
  virtual CpuFacts Facts() const = 0;
  virtual std::optional<InitDataField> InitData() const = 0;  // nothing when the evidence could not be parsed
  // How this hardware holds the digest of an initdata document (cut, filled, extended).
  virtual Bytes InitDataForm(ByteView digest) const = 0;
};

// The field is `size` bytes wide: cut, or filled with zeros (CoCo's initdata.md).
inline Bytes CutOrFill(ByteView digest, size_t size) {
  Bytes out = ToBytes(digest.first(std::min(digest.size(), size)));
  out.resize(size);
  return out;
}

// One for each alternative of evidence::CpuEvidence. Evidence, options and shared must outlive it.
std::unique_ptr<CpuCase> MakeCpuCase(const evidence::SnpEvidence& evidence, const CompositeOptions& options,
                                     SharedContext& shared);
std::unique_ptr<CpuCase> MakeCpuCase(const evidence::TdxEvidence& evidence, const CompositeOptions& options,
                                     SharedContext& shared);
std::unique_ptr<CpuCase> MakeCpuCase(const evidence::TpmEvidence& evidence, const CompositeOptions& options,
                                     SharedContext& shared);
std::unique_ptr<CpuCase> MakeCpuCase(const evidence::AzureEvidence& evidence, const CompositeOptions& options,
                                     SharedContext& shared);

}  // namespace ccgpu::verify
