#include "trust/spdm/test_support.h"

#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/encoding.h"
#include "base/file.h"

namespace ccgpu::spdm::test {
namespace {

Chain MakeChain(const std::string& name) {
  const TimePoint from = std::chrono::sys_days{std::chrono::year{2024} / 1 / 1};
  const TimePoint to = std::chrono::sys_days{std::chrono::year{2044} / 1 / 1};
  Chain chain;
  std::optional<crypto::Certificate> issuer;
  crypto::PrivateKey issuer_key;
  for (const std::string role : {"root", "intermediate", "leaf"}) {
    const crypto::PrivateKey key = crypto::PrivateKey::Generate(crypto::KeyType::kP384);
    crypto::CertificateSpec spec;
    spec.subject = {{"CN", name + " " + role}};
    spec.key = key.public_key();
    spec.not_before = from;
    spec.not_after = to;
    spec.ca = role != "leaf";
    spec.key_cert_sign = spec.ca;
    spec.digital_signature = !spec.ca;
    auto made = crypto::MakeCertificate(spec, issuer ? issuer_key : key, issuer ? &*issuer : nullptr);
    if (!made.ok()) std::abort();
    issuer = *made;
    issuer_key = key;
    chain.der.push_back(issuer->Der());
    chain.leaf_key = key;
  }
  return chain;
}

Bytes HexLine(std::string text) {
  std::erase_if(text, [](char c) { return c == ' ' || c == '\r'; });
  auto bytes = HexDecode(text);
  return bytes.ok() ? *bytes : Bytes{};
}

}  // namespace

void CountingRandom::Fill(std::span<uint8_t> out) {
  size_t at = 0;
  while (at < out.size()) {
    Writer block;
    block.U64(seed_).U64(count_++);
    const Bytes hash = crypto::Sha256(block.bytes());
    const size_t size = std::min(hash.size(), out.size() - at);
    std::copy_n(hash.begin(), size, out.begin() + at);
    at += size;
  }
}

const Chain& TestChain() {
  static const Chain chain = MakeChain("EMULATED, NOT NVIDIA: test");
  return chain;
}

const Chain& OtherTestChain() {
  static const Chain chain = MakeChain("EMULATED, NOT NVIDIA: other");
  return chain;
}

const RequesterIdentity& TestIdentity() {
  static const RequesterIdentity identity = [] {
    const TimePoint from = std::chrono::sys_days{std::chrono::year{2024} / 1 / 1};
    const crypto::PrivateKey key = crypto::PrivateKey::Generate(crypto::KeyType::kRsa3072);
    crypto::CertificateSpec spec;
    spec.subject = {{"CN", "EMULATED, NOT NVIDIA: test driver"}};
    spec.key = key.public_key();
    spec.not_before = from;
    spec.not_after = from + std::chrono::years{20};
    spec.digital_signature = true;
    const auto made = crypto::MakeCertificate(spec, key, nullptr);
    if (!made.ok()) std::abort();
    return RequesterIdentity{{made->Der()}, key};
  }();
  return identity;
}

const RequesterIdentity& OtherTestIdentity() {
  static const RequesterIdentity identity = {TestIdentity().chain_der,
                                             crypto::PrivateKey::Generate(crypto::KeyType::kRsa3072)};
  return identity;
}

Device::Device(uint64_t seed, const Chain& chain, const std::function<void(ResponderConfig&)>& change) : random(seed) {
  for (uint8_t i = 1; i <= 64; ++i) {
    measurements.blocks.push_back({i, static_cast<uint8_t>(i % 2), crypto::Sha384(Bytes{i})});
  }
  ResponderConfig config;
  config.chain_der = chain.der;
  config.key = chain.leaf_key;
  config.measurements = &measurements;
  config.random = &random;
  config.vendor_in_session = [this](ByteView in) { return vendor(in); };
  config.on_session = [this](const Bytes& secret) { session_secrets.push_back(secret); };
  config.on_session_end = [this](std::string_view why) { session_ends.emplace_back(why); };
  if (change) change(config);
  responder = std::make_unique<Responder>(std::move(config));
}

Result<Packet> Device::Exchange(const Packet& request) {
  Packet sent = request;
  if (on_request) on_request(sent);
  requests.push_back(sent);
  if (bypass_doe) {
    Packet response = responder->Handle(sent, now);
    responses.push_back(response);
    return response;
  }
  ASSIGN_OR_RETURN(const Bytes answer, HandleDoe(*responder, EncodeDoe(sent), now));
  ASSIGN_OR_RETURN(Packet response, DecodeDoe(answer));
  if (on_response) on_response(response);
  responses.push_back(response);
  return response;
}

std::vector<LoggedMessage> Log::All(std::string_view name) const {
  std::vector<LoggedMessage> out;
  for (const LoggedMessage& message : messages) {
    if (message.name == name) out.push_back(message);
  }
  return out;
}

std::optional<std::filesystem::path> Vectors() {
  const char* from_env = std::getenv("CCGPU_VECTORS");
  const std::filesystem::path base = from_env ? from_env : std::string(CCGPU_SOURCE_DIR) + "/../shared/vectors";
  std::error_code error;
  if (!std::filesystem::exists(base / "spdm", error)) return std::nullopt;
  return base / "spdm";
}

Log ReadLog(const std::filesystem::path& path) {
  Log log;
  const bool responders = path.filename().string().ends_with(".rsp.log");
  const std::string request_line = responders ? "SpdmReceiveRequest[" : "libspdm_send_spdm_request[";
  const std::string response_line = responders ? "SpdmSendResponse[" : "libspdm_receive_spdm_response[";
  std::ifstream file(path);
  std::string line;
  bool in_dump = false;
  size_t wanted = 0;
  while (std::getline(file, line)) {
    if (in_dump && wanted > 0 && line.size() > 6 && line[4] == ':') {
      Append(log.messages.back().bytes, HexLine(line.substr(5)));
      const size_t have = log.messages.back().bytes.size();
      in_dump = have < wanted;
      continue;
    }
    in_dump = false;
    const bool request = line.starts_with(request_line);
    const size_t name = line.find("msg SPDM_");
    if ((request || line.starts_with(response_line)) && name != std::string::npos) {
      LoggedMessage message;
      message.request = request;
      message.session_id = static_cast<uint32_t>(std::stoul(line.substr(line.find('[') + 1), nullptr, 16));
      message.name = line.substr(name + 9, line.find('(', name) - name - 9);
      wanted = std::stoul(line.substr(line.find("size (") + 6), nullptr, 16);
      log.messages.push_back(std::move(message));
      in_dump = true;
    } else if (line == "Platform port Transmit buffer:" || line == "Platform port Receive buffer:") {
      const bool transmitted = line.find("Transmit") != std::string::npos;
      std::getline(file, line);
      log.objects.push_back({transmitted != responders, HexLine(line)});
    }
  }
  return log;
}

std::vector<Bytes> ReadPcap(const std::filesystem::path& path) {
  const Result<std::string> text = ReadFile(path);
  if (!text.ok()) return {};
  Reader in(AsBytes(*text));
  in.Skip(24);  // magic, version, zone, accuracy, longest, link type
  std::vector<Bytes> objects;
  while (in.ok() && in.remaining() > 0) {
    in.Skip(8);  // time
    const size_t size = in.U32();
    in.Skip(4);
    objects.push_back(ToBytes(in.Take(size)));
  }
  return objects;
}

std::vector<std::map<std::string, Bytes>> ReadKats(const std::filesystem::path& path) {
  std::ifstream file(path);
  const nlohmann::json json = nlohmann::json::parse(file);
  std::vector<std::map<std::string, Bytes>> out;
  for (const auto& session : json) {
    std::map<std::string, Bytes> secrets;
    for (const auto& [key, value] : session.items()) secrets[key] = HexDecode(value.get<std::string>()).value();
    out.push_back(std::move(secrets));
  }
  return out;
}

}  // namespace ccgpu::spdm::test
