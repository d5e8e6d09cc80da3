#include "trust/kbs/initdata.h"

#include <algorithm>
#include <cctype>
#include <optional>
#include <sstream>
#include <toml.hpp>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/toml_text.h"
#include "trust/kbs/gzip.h"

namespace ccgpu::kbs {
namespace {

constexpr std::string_view kVersion = "0.1.0";
constexpr size_t kHostDataSize = 32;

using Table = toml::value;

std::optional<crypto::Hash> HashNamed(std::string_view name) {
  if (name == "sha256") return crypto::Hash::kSha256;
  if (name == "sha384") return crypto::Hash::kSha384;
  if (name == "sha512") return crypto::Hash::kSha512;
  return std::nullopt;
}

std::string At(std::string_view file, const Table& value) {
  const auto location = value.location();
  return std::string(file) + ":" + std::to_string(location.line()) + ":" + std::to_string(location.column());
}

// The library's message is a drawing of several lines; the first says what is wrong and the arrow line where.
Error ParseError(std::string_view file, const std::string& what) {
  std::string first = what.substr(0, what.find('\n'));
  if (first.starts_with("[error] ")) first.erase(0, 8);
  std::string subject(file);
  const size_t bar = what.find(" | ");
  if (bar != std::string::npos) {
    size_t start = bar;
    while (start > 0 && std::isdigit(static_cast<unsigned char>(what[start - 1]))) --start;
    if (start < bar) subject += ":" + what.substr(start, bar - start);
  }
  return Err("initdata.bad-toml", subject, first);
}

Result<Table> ParseToml(std::string_view text, std::string_view file) {
  if (text.size() > kMaxInitDataDocument) {
    return Err("initdata.too-large", std::string(file),
               "has " + std::to_string(text.size()) + " bytes; at most 1 MiB is read");
  }
  if (const char* fault = TomlFault(text)) return Err("initdata.bad-toml", std::string(file), fault);
  try {
    std::istringstream in{std::string(text)};
    Table value = toml::parse(in, std::string(file));
    return value;
  } catch (const std::exception& e) {
    return ParseError(file, e.what());
  }
}

Result<std::string> StringOf(const Table& table, const std::string& key, std::string_view file, bool required) {
  if (!table.contains(key)) {
    if (!required) return std::string();
    return Err("initdata.missing-field", std::string(file), "has no \"" + key + "\"");
  }
  const Table& value = table.as_table().at(key);
  if (!value.is_string()) return Err("initdata.bad-value", At(file, value), "\"" + key + "\" must be a string");
  return value.as_string().str;
}

std::string Escaped(char c) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  const auto byte = static_cast<unsigned char>(c);
  return std::string("\\u00") + kDigits[byte >> 4] + kDigits[byte & 15];
}

bool IsControl(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte < 0x20 && c != '\n' && c != '\t') || byte == 0x7f;
}

// A one-line text as a basic string; one with line ends as a multi-line literal string, which people can read, unless
// it holds what such a string cannot.
std::string TomlString(std::string_view text) {
  const bool lines = text.find('\n') != std::string_view::npos;
  bool literal = lines && text.find("'''") == std::string_view::npos && !text.ends_with('\'');
  for (char c : text) literal = literal && !IsControl(c);
  if (literal) return "'''\n" + std::string(text) + "'''";
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') (out += '\\') += c;
    else if (c == '\n') out += "\\n";
    else if (c == '\t') out += "\\t";
    else if (IsControl(c)) out += Escaped(c);
    else out += c;
  }
  return out + "\"";
}

Result<BrokerAddress> ReadAddress(const Table& section, std::string_view file, const std::string& cert_key,
                                  const std::vector<std::string>& other_keys) {
  if (!section.is_table()) return Err("initdata.bad-value", At(file, section), "must be a table");
  for (const auto& [key, value] : section.as_table()) {
    if (key == "url" || key == cert_key) continue;
    if (std::find(other_keys.begin(), other_keys.end(), key) == other_keys.end()) {
      return Err("initdata.unknown-field", At(file, value), "\"" + key + "\" is not a known key of this section");
    }
  }
  BrokerAddress out;
  ASSIGN_OR_RETURN(out.url, StringOf(section, "url", file, true));
  ASSIGN_OR_RETURN(out.cert_pem, StringOf(section, cert_key, file, false));
  return out;
}

}  // namespace

Bytes InitData::HostData() const {
  Bytes out = digest;
  out.resize(kHostDataSize);
  return out;
}

Result<InitData> ParseInitData(std::string_view text) {
  static constexpr std::string_view kFile = "initdata";
  ASSIGN_OR_RETURN(const Table root, ParseToml(text, kFile));
  for (const auto& [key, value] : root.as_table()) {
    if (key != "version" && key != "algorithm" && key != "data") {
      return Err("initdata.unknown-field", At(kFile, value),
                 "\"" + key + "\" is not a field of initdata (version, algorithm, data)");
    }
  }
  InitData out;
  ASSIGN_OR_RETURN(out.version, StringOf(root, "version", kFile, true));
  if (out.version != kVersion) {
    return Err("initdata.unknown-version", std::string(kFile),
               "version is \"" + out.version + "\"; this program reads 0.1.0");
  }
  ASSIGN_OR_RETURN(out.algorithm, StringOf(root, "algorithm", kFile, true));
  const auto hash = HashNamed(out.algorithm);
  if (!hash) {
    return Err("initdata.unknown-algorithm", std::string(kFile),
               "algorithm is \"" + out.algorithm + "\"; it must be sha256, sha384 or sha512");
  }
  if (!root.contains("data")) return Err("initdata.missing-field", std::string(kFile), "has no [data]");
  const Table& data = root.as_table().at("data");
  if (!data.is_table()) return Err("initdata.bad-value", At(kFile, data), "\"data\" must be a table");
  for (const auto& [key, value] : data.as_table()) {
    if (!value.is_string())
      return Err("initdata.bad-value", At(kFile, value), "data entry \"" + key + "\" must be a string");
    out.data[key] = value.as_string().str;
  }
  out.digest = crypto::Digest(*hash, AsBytes(text));
  return out;
}

std::string WriteInitData(const InitData& init) {
  std::string out =
      "version = " + TomlString(init.version) + "\nalgorithm = " + TomlString(init.algorithm) + "\n\n[data]\n";
  for (const auto& [key, value] : init.data) {
    std::string quoted = "\"";
    for (char c : key) {
      if (c == '"' || c == '\\') (quoted += '\\') += c;
      else if (IsControl(c) || c == '\n' || c == '\t') quoted += Escaped(c);
      else quoted += c;
    }
    out += quoted + "\" = " + TomlString(value) + "\n";
  }
  return out;
}

Result<std::string> DecodeInitDataAnnotation(std::string_view annotation) {
  if (annotation.size() > kMaxInitDataAnnotation) {
    return Err("initdata.too-large", "initdata annotation",
               "has " + std::to_string(annotation.size()) + " characters; at most 256 Ki are read");
  }
  auto packed = Base64Decode(annotation);
  if (!packed.ok()) return Err("initdata.bad-base64", "initdata annotation", packed.error().text);
  return GzipDecompress(AsText(*packed), kMaxInitDataDocument);
}

std::string EncodeInitDataAnnotation(std::string_view text) { return Base64Encode(AsBytes(GzipCompress(text))); }

Result<BrokerAddress> ParseAaToml(std::string_view text) {
  static constexpr std::string_view kFile = "aa.toml";
  ASSIGN_OR_RETURN(const Table root, ParseToml(text, kFile));
  if (!root.contains("token_configs") || !root.as_table().at("token_configs").is_table() ||
      !root.as_table().at("token_configs").contains("kbs")) {
    return Err("initdata.missing-field", std::string(kFile), "has no [token_configs.kbs]");
  }
  return ReadAddress(root.as_table().at("token_configs").as_table().at("kbs"), kFile, "cert", {"tee_key_algorithm"});
}

std::string WriteAaToml(const BrokerAddress& broker) {
  std::string out = "[token_configs.kbs]\nurl = " + TomlString(broker.url) + "\n";
  if (!broker.cert_pem.empty()) out += "cert = " + TomlString(broker.cert_pem) + "\n";
  return out;
}

Result<BrokerAddress> ParseCdhToml(std::string_view text) {
  static constexpr std::string_view kFile = "cdh.toml";
  ASSIGN_OR_RETURN(const Table root, ParseToml(text, kFile));
  if (!root.contains("kbc")) return Err("initdata.missing-field", std::string(kFile), "has no [kbc]");
  return ReadAddress(root.as_table().at("kbc"), kFile, "kbs_cert", {"name"});
}

std::string WriteCdhToml(const BrokerAddress& broker) {
  std::string out = "[kbc]\nname = \"cc_kbc\"\nurl = " + TomlString(broker.url) + "\n";
  if (!broker.cert_pem.empty()) out += "kbs_cert = " + TomlString(broker.cert_pem) + "\n";
  return out;
}

}  // namespace ccgpu::kbs
