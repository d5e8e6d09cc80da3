#include "attestation-agent/tsm.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <atomic>

#include "base/fd.h"
#include "base/file.h"

namespace ccgpu::agent {
namespace {

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

Result<evidence::SnpEvidence> Read(const Entry& entry, ByteView report_data) {
  RETURN_IF_ERROR(WriteAttribute(entry.File("inblob"), report_data));
  ASSIGN_OR_RETURN(std::string before, ReadFile(entry.File("generation")));
  ASSIGN_OR_RETURN(std::string provider, ReadFile(entry.File("provider")));
  if (!provider.starts_with("sev_guest"))
    return Err("tsm.provider", entry.File("provider"),
               "\"" + provider + "\" is not sev_guest: only SNP evidence is collected here");
  ASSIGN_OR_RETURN(std::string report, ReadFile(entry.File("outblob")));
  ASSIGN_OR_RETURN(std::string table, ReadFile(entry.File("auxblob")));
  ASSIGN_OR_RETURN(std::string after, ReadFile(entry.File("generation")));
  if (before != after) return Err("tsm.raced", entry.File("generation"), "changed while the report was read");
  evidence::SnpEvidence out;
  out.report = ToBytes(AsBytes(report));
  if (!table.empty()) {
    ASSIGN_OR_RETURN(out.certificates, evidence::ParseCertTable(AsBytes(table)));
  }
  return out;
}

}  // namespace

Result<evidence::SnpEvidence> CollectSnp(const std::string& folder, ByteView report_data) {
  static std::atomic<unsigned> counter{0};
  if (!Exists(folder)) return Err("tsm.missing", folder, "is not there: no TEE gives reports to this sandbox");
  const std::string path = folder + "/ccgpu-agent-" + std::to_string(::getpid()) + "-" + std::to_string(counter++);
  if (::mkdir(path.c_str(), 0700) != 0) return ErrnoError("tsm.failed", "cannot make the entry", path);
  return Read(Entry(path), report_data);
}

}  // namespace ccgpu::agent
