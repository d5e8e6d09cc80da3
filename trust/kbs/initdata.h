// The initdata document: what the sandbox trusts, in one TOML text whose digest the hardware measures (HOST_DATA on
// SNP). CoCo's format (kata-containers' initdata.md): version, algorithm, and [data] with one text per file. Everything
// here is pure: bytes in, values out, any thread.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "base/bytes.h"

namespace ccgpu::kbs {

// The annotation of a pod that carries the document: base64(gzip(TOML)).
inline constexpr std::string_view kInitDataAnnotation = "io.katacontainers.config.hypervisor.cc_init_data";
inline constexpr size_t kMaxInitDataAnnotation = 256u
                                                 << 10;   // Kubernetes allows no more for all annotations of an object
inline constexpr size_t kMaxInitDataDocument = 1u << 20;  // after gzip; a bomb stops here

struct InitData {
  std::string version = "0.1.0";
  std::string algorithm = "sha256";         // of the digest: sha256, sha384 or sha512
  std::map<std::string, std::string> data;  // "aa.toml", "cdh.toml", "ccgpu-policy.yaml", "ccgpu-trust.yaml", ...
  // Filled by ParseInitData only: the digest, under `algorithm`, of the document's bytes exactly as they came.
  Bytes digest;

  // The digest as SNP's HOST_DATA holds it: cut or filled with zeros to 32 bytes.
  Bytes HostData() const;
};

// Refuses other versions, algorithms, unknown fields, entries that are no strings, and anything over the size limit
// ("initdata.*" codes; the subject names line and column where TOML has them).
Result<InitData> ParseInitData(std::string_view text);
// The document's text for these entries; the same entries give the same bytes. Any text may be in an entry.
std::string WriteInitData(const InitData& init);

// Between the annotation's value and the document's text. Decoding refuses what is no base64, no single gzip member, or
// too large; it does not parse the document.
Result<std::string> DecodeInitDataAnnotation(std::string_view annotation);
std::string EncodeInitDataAnnotation(std::string_view text);  // the same text gives the same annotation

// The entry "aa.toml" (and "cdh.toml"): where the broker is and which certificate it must show.
struct BrokerAddress {
  std::string url;       // "https://10.1.2.1:8080"
  std::string cert_pem;  // CA or server certificate to pin; empty when the document has none
};
// Reads [token_configs.kbs]; sections of other CoCo parts are allowed and not read, unknown keys of this one are
// refused.
Result<BrokerAddress> ParseAaToml(std::string_view text);
std::string WriteAaToml(const BrokerAddress& broker);
// Reads [kbc] url and kbs_cert, as CoCo's confidential data hub wants them.
Result<BrokerAddress> ParseCdhToml(std::string_view text);
std::string WriteCdhToml(const BrokerAddress& broker);

}  // namespace ccgpu::kbs
