#include "trust/evidence/hcl_report.h"

#include <algorithm>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/json.h"
#include "trust/evidence/tpm_quote.h"

namespace ccgpu::evidence {
namespace {

constexpr std::string_view kSignature = "HCLA";
constexpr size_t kMaxReport = 65536, kRuntimeHeader = 20, kMinimumRsa = 256, kMaximumRsa = 512;

Error Bad(size_t offset, const std::string& text) {
  return Err("azure.hcl-malformed", "HCL report", "at byte " + std::to_string(offset) + ": " + text);
}
Error BadRuntime(const std::string& text) { return Err("azure.runtime-malformed", "HCL runtime data", text); }

bool AllZero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
}

Result<crypto::PublicKey> AkOf(const Json& jwk) {
  const auto kty = jwk.find("kty"), n = jwk.find("n"), e = jwk.find("e"), ops = jwk.find("key_ops");
  if (kty == jwk.end() || *kty != "RSA" || n == jwk.end() || !n->is_string() || e == jwk.end() || *e != "AQAB")
    return BadRuntime("HCLAkPub is not an RSA key with exponent 65537");
  if (ops == jwk.end() || !ops->is_array() || ops->size() != 1 || (*ops)[0] != "sign")
    return BadRuntime("HCLAkPub is not a key for signing only");
  auto modulus = Base64UrlDecode(n->get<std::string>());
  if (!modulus.ok() || modulus->size() < kMinimumRsa || modulus->size() > kMaximumRsa)
    return BadRuntime("HCLAkPub has a modulus that is not of 2048 to 4096 bits");
  TpmPublic area;
  area.rsa_modulus = *modulus;
  area.rsa_bits = static_cast<uint16_t>(modulus->size() * 8);
  auto key = area.Key();
  if (!key.ok()) return BadRuntime("HCLAkPub: " + key.error().text);
  return key;
}

Result<bool> Flag(const Json& object, const char* key) {
  const auto it = object.find(key);
  if (it == object.end()) return false;
  if (!it->is_boolean()) return BadRuntime(std::string("vm-configuration.") + key + " is neither true nor false");
  return it->get<bool>();
}

}  // namespace

Bytes HclReport::RuntimeDigest() const {
  const crypto::Hash algorithm = hash == HclHash::kSha256   ? crypto::Hash::kSha256
                                 : hash == HclHash::kSha384 ? crypto::Hash::kSha384
                                                            : crypto::Hash::kSha512;
  return crypto::Digest(algorithm, AsBytes(runtime_json));
}

Result<HclReport> ParseHclReport(ByteView bytes) {
  if (bytes.size() > kMaxReport) return Bad(0, "it has " + std::to_string(bytes.size()) + " bytes, at most 65536");
  Reader in(bytes);
  if (AsText(in.Take(kSignature.size())) != kSignature) return Bad(0, "it does not begin with HCLA");
  HclReport out;
  out.version = in.U32();
  in.Skip(4);  // the size that the paravisor's buffer had; the runtime data has its own
  out.request_type = in.U32();
  out.status = in.U32();
  if (!AllZero(in.Take(12))) return Bad(20, "reserved bytes that are not zero");
  out.hardware = ToBytes(in.Take(kHclHardwareSize));
  const uint32_t size = in.U32();
  out.runtime_version = in.U32();
  const uint32_t type = in.U32(), hash = in.U32(), json_size = in.U32();
  out.runtime_json = ToText(in.Take(json_size));
  if (!in.ok()) return Bad(in.offset(), "it is cut off");
  if (out.version < 1 || out.version > 2)
    return Bad(4, "version " + std::to_string(out.version) + ", known are 1 and 2");
  if (out.runtime_version != 1) return Bad(kHclRuntimeOffset + 4, "runtime data that are not of version 1");
  if (type != static_cast<uint32_t>(HclReportType::kSnp) && type != static_cast<uint32_t>(HclReportType::kTdx))
    return Bad(kHclRuntimeOffset + 8, "report type " + std::to_string(type) + ", known are 2 (SNP) and 4 (TDX)");
  if (hash < 1 || hash > 3)
    return Bad(kHclRuntimeOffset + 12, "hash type " + std::to_string(hash) + ", known are 1 to 3");
  if (size != kRuntimeHeader + json_size) return Bad(kHclRuntimeOffset, "sizes that do not add up");
  out.type = static_cast<HclReportType>(type);
  out.hash = static_cast<HclHash>(hash);
  if (out.type == HclReportType::kTdx && !AllZero(ByteView(out.hardware).subspan(kTdReportSize)))
    return Bad(kHclHardwareOffset + kTdReportSize, "bytes after the TDREPORT that are not zero");
  if (!AllZero(in.Rest())) return Bad(kHclJsonOffset + json_size, "bytes after the runtime data that are not zero");
  return out;
}

Bytes EncodeHclReport(const HclReport& r) {
  Writer out;
  out.Text(kSignature).U32(r.version).U32(kHclHardwareSize + kRuntimeHeader + r.runtime_json.size());
  out.U32(r.request_type).U32(r.status).Zeros(12).Raw(r.hardware).Zeros(kHclHardwareSize - r.hardware.size());
  out.U32(kRuntimeHeader + r.runtime_json.size()).U32(r.runtime_version).U32(static_cast<uint32_t>(r.type));
  out.U32(static_cast<uint32_t>(r.hash)).U32(r.runtime_json.size()).Text(r.runtime_json);
  return out.Finish();
}

Result<HclRuntime> ParseHclRuntime(std::string_view text) {
  auto parsed = ParseJson(text, "HCL runtime data");
  if (!parsed.ok()) return BadRuntime(parsed.error().text);
  const Json& json = *parsed;
  const auto keys = json.is_object() ? json.find("keys") : json.end();
  if (!json.is_object() || keys == json.end() || !keys->is_array()) return BadRuntime("there is no list of keys");
  HclRuntime out;
  for (const Json& key : *keys) {
    const auto kid = key.is_object() ? key.find("kid") : key.end();
    if (!key.is_object() || kid == key.end() || *kid != "HCLAkPub") continue;
    if (out.ak.valid()) return BadRuntime("there are two keys named HCLAkPub");
    ASSIGN_OR_RETURN(out.ak, AkOf(key));
  }
  if (!out.ak.valid()) return BadRuntime("there is no key named HCLAkPub");
  if (const auto user = json.find("user-data"); user != json.end()) {
    auto bytes = user->is_string() ? HexDecode(user->get<std::string>()) : Result<Bytes>(BadRuntime("user-data"));
    if (!bytes.ok() || bytes->size() > 64)
      return BadRuntime("user-data is not the hexadecimal text of at most 64 bytes");
    out.user_data = std::move(*bytes);
  }
  if (const auto vm = json.find("vm-configuration"); vm != json.end()) {
    if (!vm->is_object()) return BadRuntime("vm-configuration is not an object");
    ASSIGN_OR_RETURN(out.secure_boot, Flag(*vm, "secure-boot"));
    ASSIGN_OR_RETURN(out.console_enabled, Flag(*vm, "console-enabled"));
    ASSIGN_OR_RETURN(out.tpm_enabled, Flag(*vm, "tpm-enabled"));
    ASSIGN_OR_RETURN(out.tpm_persisted, Flag(*vm, "tpm-persisted"));
    const auto id = vm->find("vmUniqueId");
    if (id != vm->end() && id->is_string()) out.vm_id = id->get<std::string>();
    out.vm_configuration = vm->dump();
  }
  return out;
}

}  // namespace ccgpu::evidence
