#include "attestation-agent/tsm.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <atomic>

#include "base/fd.h"
#include "base/file.h"

namespace ccgpu::agent {
namespace {

constexpr char kCcelLog[] = "/sys/firmware/acpi/tables/data/CCEL";
constexpr long kConfigfsMagic = 0x62656570;
constexpr size_t kMaxCcelLog = 1u << 20;

// configfs takes the blob in one write(2); a temporary file and rename would not do.
Status WriteAttribute(const std::string& path, ByteView bytes) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return ErrnoError("tsm.failed", "cannot open", path);
  if (::write(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size()))
    return ErrnoError("tsm.failed", "cannot write", path);
  return Ok();
}

class Entry {
 public:
  explicit Entry(std::string path) : path_(std::move(path)) {}
  ~Entry() { ::rmdir(path_.c_str()); }
  Entry(const Entry&) = delete;
  std::string File(const char* name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

// The measurement log that firmware and kernel of a TDX guest wrote; a guest without one has measured nothing. Beside
// anything but the kernel's own configfs it would be another machine's: that of the host of an emulated sandbox.
std::optional<Bytes> EventLogBeside(const std::string& folder) {
  struct statfs where;
  if (::statfs(folder.c_str(), &where) != 0 || where.f_type != kConfigfsMagic) return std::nullopt;
  auto log = ReadFile(kCcelLog, kMaxCcelLog);
  if (!log.ok() || log->empty()) return std::nullopt;
  return ToBytes(AsBytes(*log));
}

Result<evidence::CpuEvidence> SnpOf(Bytes report, const std::string& table) {
  // Its JSON form names the report's fields; and who cannot be read would be refused anyway.
  RETURN_IF_ERROR(evidence::ParseSnpReport(report));
  evidence::SnpEvidence out;
  out.report = std::move(report);
  if (!table.empty()) {
    ASSIGN_OR_RETURN(out.certificates, evidence::ParseCertTable(AsBytes(table)));
  }
  return evidence::CpuEvidence(std::move(out));
}

Result<evidence::CpuEvidence> TdxOf(Bytes quote, const std::string&) {
  return evidence::CpuEvidence(evidence::TdxEvidence{std::move(quote), std::nullopt});
}

// Linux has no provider for TPMs; the emulator's says the whole evidence (docs/formats/tpm.md).
Result<evidence::CpuEvidence> TpmOf(Bytes json, const std::string&) {
  ASSIGN_OR_RETURN(evidence::TpmEvidence tpm, evidence::TpmEvidenceFromJson(AsText(json)));
  return evidence::CpuEvidence(std::move(tpm));
}

// What Linux calls its providers (drivers/virt/coco), and what their blobs are.
struct Provider {
  std::string_view name, tee;
  Result<evidence::CpuEvidence> (*evidence)(Bytes outblob, const std::string& auxblob);
};
constexpr Provider kProviders[] = {
    {"sev_guest", "snp", SnpOf},
    {"tdx_guest", "tdx", TdxOf},
    {"ccgpu_vtpm", "tpm", TpmOf},
};

Result<const Provider*> ProviderNamed(const std::string& name) {
  std::string known;
  for (const Provider& provider : kProviders) {
    if (provider.name == name) return &provider;
    known += (known.empty() ? "" : ", ") + std::string(provider.name);
  }
  return Err("tsm.provider", "provider", "\"" + name + "\" is none of " + known);
}

Result<std::string> ProviderOf(const Entry& entry) {
  ASSIGN_OR_RETURN(std::string name, ReadFile(entry.File("provider")));
  while (name.ends_with('\n') || name.ends_with('\0')) name.pop_back();
  return name;
}

Result<evidence::CpuEvidence> Read(const Entry& entry, ByteView report_data) {
  RETURN_IF_ERROR(WriteAttribute(entry.File("inblob"), report_data));
  ASSIGN_OR_RETURN(std::string before, ReadFile(entry.File("generation")));
  ASSIGN_OR_RETURN(const std::string provider, ProviderOf(entry));
  ASSIGN_OR_RETURN(std::string report, ReadFile(entry.File("outblob")));
  // Only providers that have one show it (TDX has none).
  std::string aux;
  if (Exists(entry.File("auxblob"))) {
    ASSIGN_OR_RETURN(aux, ReadFile(entry.File("auxblob")));
  }
  ASSIGN_OR_RETURN(std::string after, ReadFile(entry.File("generation")));
  if (before != after) return Err("tsm.raced", entry.File("generation"), "changed while the report was read");
  return EvidenceOfBlobs(provider, ToBytes(AsBytes(report)), aux);
}

Result<std::string> NewEntry(const std::string& folder) {
  static std::atomic<unsigned> counter{0};
  if (!Exists(folder)) return Err("tsm.missing", folder, "is not there: no TEE gives reports to this sandbox");
  std::string path = folder + "/ccgpu-agent-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
  if (::mkdir(path.c_str(), 0700) != 0) return ErrnoError("tsm.failed", "cannot make the entry", path);
  return path;
}

}  // namespace

Result<evidence::CpuEvidence> EvidenceOfBlobs(const std::string& provider, Bytes outblob, const std::string& auxblob) {
  ASSIGN_OR_RETURN(const Provider* known, ProviderNamed(provider));
  return known->evidence(std::move(outblob), auxblob);
}

Result<evidence::CpuEvidence> CollectCpu(const std::string& folder, ByteView report_data) {
  ASSIGN_OR_RETURN(std::string path, NewEntry(folder));
  ASSIGN_OR_RETURN(evidence::CpuEvidence evidence, Read(Entry(std::move(path)), report_data));
  if (auto* tdx = std::get_if<evidence::TdxEvidence>(&evidence)) tdx->event_log = EventLogBeside(folder);
  return evidence;
}

Result<std::string> TeeOfProvider(const std::string& folder) {
  ASSIGN_OR_RETURN(std::string path, NewEntry(folder));
  const Entry entry(std::move(path));
  ASSIGN_OR_RETURN(const std::string name, ProviderOf(entry));
  ASSIGN_OR_RETURN(const Provider* provider, ProviderNamed(name));
  return std::string(provider->tee);
}

}  // namespace ccgpu::agent
