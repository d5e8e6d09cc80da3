#include "trust/evidence/snp_report.h"

#include <algorithm>

namespace ccgpu::evidence {
namespace {

constexpr ptrdiff_t kTurinHardwareIdSize = 8;

Error Bad(size_t offset, std::string text) {
  return Err("snp.report-malformed", "SNP report", "at byte " + std::to_string(offset) + ": " + std::move(text));
}

SnpVersion TakeVersion(Reader& in) {
  SnpVersion out;
  out.build = in.U8();
  out.minor = in.U8();
  out.major = in.U8();
  return out;
}

// Takes `count` bytes that must be zero.
Status Zero(Reader& in, size_t count) {
  const size_t at = in.offset();
  const ByteView bytes = in.Take(count);
  const auto found = std::find_if(bytes.begin(), bytes.end(), [](uint8_t b) { return b != 0; });
  if (found != bytes.end()) return Bad(at + static_cast<size_t>(found - bytes.begin()), "a reserved byte is not zero");
  return Ok();
}

// A TCB whose reserved bytes are not zero has a layout that we do not know.
Status CheckTcb(uint64_t tcb, bool turin, size_t offset) {
  if (JoinTcb(SplitTcb(tcb, turin)) != tcb) return Bad(offset, "a reserved byte of a TCB version is not zero");
  return Ok();
}

Bytes Padded(ByteView bytes, size_t size) {
  Bytes out = ToBytes(bytes);
  out.resize(size);
  return out;
}

}  // namespace

bool TcbParts::AtLeast(const TcbParts& floor) const {
  if (floor.fmc && (!fmc || *fmc < *floor.fmc)) return false;
  return bootloader >= floor.bootloader && tee >= floor.tee && snp >= floor.snp && microcode >= floor.microcode;
}

std::string TcbParts::ToString() const {
  return (fmc ? "FMC " + std::to_string(*fmc) + ", " : "") + "bootloader " + std::to_string(bootloader) + ", tee " +
         std::to_string(tee) + ", snp " + std::to_string(snp) + ", microcode " + std::to_string(microcode);
}

TcbParts SplitTcb(uint64_t tcb, bool turin) {
  const auto part = [&](int byte) { return static_cast<uint8_t>(tcb >> (8 * byte)); };
  if (turin) return {part(0), part(1), part(2), part(3), part(7)};
  return {std::nullopt, part(0), part(1), part(6), part(7)};
}

uint64_t JoinTcb(const TcbParts& parts) {
  const auto at = [](uint8_t value, int byte) { return static_cast<uint64_t>(value) << (8 * byte); };
  if (parts.fmc)
    return at(*parts.fmc, 0) | at(parts.bootloader, 1) | at(parts.tee, 2) | at(parts.snp, 3) | at(parts.microcode, 7);
  return at(parts.bootloader, 0) | at(parts.tee, 1) | at(parts.snp, 6) | at(parts.microcode, 7);
}

bool SnpReport::IsTurin() const {
  if (version >= 3) return cpuid_family >= 0x1a;
  const auto zero = [](uint8_t b) { return b == 0; };
  return chip_id.size() == 64 && std::all_of(chip_id.begin() + kTurinHardwareIdSize, chip_id.end(), zero) &&
         !std::all_of(chip_id.begin(), chip_id.begin() + kTurinHardwareIdSize, zero);
}

Bytes SnpReport::RawSignature() const {
  Bytes out;
  for (const Bytes* number : {&signature_r, &signature_s}) {
    if (number->size() != 72 || std::any_of(number->begin() + 48, number->end(), [](uint8_t b) { return b != 0; }))
      return {};
    out.insert(out.end(), number->rend() - 48, number->rend());
  }
  return out;
}

Result<SnpReport> ParseSnpReport(ByteView bytes) {
  if (bytes.size() != kSnpReportSize) return Bad(0, "a report has 1184 bytes, found " + std::to_string(bytes.size()));
  SnpReport out;
  Reader in(bytes);
  out.version = in.U32();
  if (out.version != 2 && out.version != 3 && out.version != 5)
    return Bad(0, "version " + std::to_string(out.version) + " is unknown, expected 2, 3 or 5");
  out.guest_svn = in.U32();
  out.policy = in.U64();
  out.family_id = ToBytes(in.Take(16));
  out.image_id = ToBytes(in.Take(16));
  out.vmpl = in.U32();
  out.signature_algorithm = in.U32();
  out.current_tcb = in.U64();
  out.platform_info = in.U64();
  out.key_info = in.U32();
  RETURN_IF_ERROR(Zero(in, 4));
  out.report_data = ToBytes(in.Take(64));
  out.measurement = ToBytes(in.Take(48));
  out.host_data = ToBytes(in.Take(32));
  out.id_key_digest = ToBytes(in.Take(48));
  out.author_key_digest = ToBytes(in.Take(48));
  out.report_id = ToBytes(in.Take(32));
  out.report_id_ma = ToBytes(in.Take(32));
  out.reported_tcb = in.U64();
  if (out.version >= 3) {
    out.cpuid_family = in.U8();
    out.cpuid_model = in.U8();
    out.cpuid_stepping = in.U8();
    RETURN_IF_ERROR(Zero(in, 21));
  } else {
    RETURN_IF_ERROR(Zero(in, 24));
  }
  out.chip_id = ToBytes(in.Take(64));
  out.committed_tcb = in.U64();
  out.current_version = TakeVersion(in);
  RETURN_IF_ERROR(Zero(in, 1));
  out.committed_version = TakeVersion(in);
  RETURN_IF_ERROR(Zero(in, 1));
  out.launch_tcb = in.U64();
  if (out.version >= 5) {
    out.launch_mit_vector = in.U64();
    out.current_mit_vector = in.U64();
  } else {
    RETURN_IF_ERROR(Zero(in, 16));
  }
  RETURN_IF_ERROR(Zero(in, 152));
  out.signature_r = ToBytes(in.Take(72));
  out.signature_s = ToBytes(in.Take(72));
  RETURN_IF_ERROR(Zero(in, in.remaining()));
  RETURN_IF_ERROR(CheckTcb(out.current_tcb, out.IsTurin(), snp_offset::kCurrentTcb));
  RETURN_IF_ERROR(CheckTcb(out.reported_tcb, out.IsTurin(), snp_offset::kReportedTcb));
  RETURN_IF_ERROR(CheckTcb(out.committed_tcb, out.IsTurin(), snp_offset::kCommittedTcb));
  RETURN_IF_ERROR(CheckTcb(out.launch_tcb, out.IsTurin(), snp_offset::kLaunchTcb));
  return out;
}

Bytes EncodeSnpReport(const SnpReport& r) {
  Writer out;
  const auto version = [&](const SnpVersion& v) { out.U8(v.build).U8(v.minor).U8(v.major).U8(0); };
  out.U32(r.version).U32(r.guest_svn).U64(r.policy).Raw(Padded(r.family_id, 16)).Raw(Padded(r.image_id, 16));
  out.U32(r.vmpl).U32(r.signature_algorithm).U64(r.current_tcb).U64(r.platform_info).U32(r.key_info).U32(0);
  out.Raw(Padded(r.report_data, 64)).Raw(Padded(r.measurement, 48)).Raw(Padded(r.host_data, 32));
  out.Raw(Padded(r.id_key_digest, 48))
      .Raw(Padded(r.author_key_digest, 48))
      .Raw(Padded(r.report_id, 32))
      .Raw(Padded(r.report_id_ma, 32));
  out.U64(r.reported_tcb).U8(r.cpuid_family).U8(r.cpuid_model).U8(r.cpuid_stepping).Zeros(21);
  out.Raw(Padded(r.chip_id, 64)).U64(r.committed_tcb);
  version(r.current_version);
  version(r.committed_version);
  out.U64(r.launch_tcb).U64(r.launch_mit_vector).U64(r.current_mit_vector).Zeros(152);
  out.Raw(Padded(r.signature_r, 72)).Raw(Padded(r.signature_s, 72));
  return Padded(std::move(out).Finish(), kSnpReportSize);
}

Bytes SignSnpReport(SnpReport& report, const crypto::PrivateKey& vcek) {
  const Bytes body = EncodeSnpReport(report);
  Bytes raw = vcek.SignRaw(crypto::Hash::kSha384, ByteView(body).first(kSnpSignedSize));
  std::reverse(raw.begin(), raw.begin() + 48);
  std::reverse(raw.begin() + 48, raw.end());
  report.signature_r = Padded(ByteView(raw).first(48), 72);
  report.signature_s = Padded(ByteView(raw).subspan(48), 72);
  return EncodeSnpReport(report);
}

}  // namespace ccgpu::evidence
