// Our tokens for other people's libraries, and theirs for our verifier.
//   foreign-tokens make            JSON of fresh tokens about a healthy emulated GPU, with the sets of their keys
//   foreign-tokens judge           JSON {"token","jwks","issuer"} on stdin; prints "accepted" or the first reason code
#include <iostream>
#include <iterator>

#include "base/encoding.h"
#include "trust/verify/testing/world.h"
#include "trust/verify/token/result.h"
#include "trust/verify/token/token.h"

namespace ccgpu {
namespace {

Json Make(TimePoint now) {
  using crypto::KeyType;
  using crypto::PrivateKey;
  const verify::Verdict verdict = verify::GpuWorld().Run();
  const PrivateKey p256 = PrivateKey::Generate(KeyType::kP256), p384 = PrivateKey::Generate(KeyType::kP384);
  const verify::ResultToken spec{now, std::chrono::minutes(5), "ccgpu", "foreign-tokens", "test-1", ""};
  verify::ResultToken old = spec;
  old.issued = now - std::chrono::hours(1);
  return {{"accepted", verdict.accepted},
          {"nonce", HexEncode(verify::GpuWorld().options.nonce)},
          {"ear_es256", verify::MakeEarToken(verdict, spec, p256).value()},
          {"ear_es384", verify::MakeEarToken(verdict, spec, p384).value()},
          {"ear_expired", verify::MakeEarToken(verdict, old, p384).value()},
          {"bundle", verify::MakeEatBundle(verdict, spec, p384).value()},
          {"jwks_es256", evidence::MakeJwks(p256.public_key())},
          {"jwks_es384", evidence::MakeJwks(p384.public_key())},
          {"jwks_other", evidence::MakeJwks(PrivateKey::Generate(KeyType::kP384).public_key())}};
}

std::string Judge(const std::string& text, TimePoint now) {
  const auto input = ParseJson(text, "stdin");
  if (!input.ok()) return input.error().ToString();
  const auto token = JsonString(*input, "token", ""), jwks = JsonString(*input, "jwks", ""),
             issuer = JsonString(*input, "issuer", "");
  if (!token.ok() || !jwks.ok() || !issuer.ok()) return "input lacks token, jwks or issuer";
  auto keys = verify::PinnedKeys(*jwks);
  if (!keys.ok()) return keys.error().code;
  verify::EarOptions options;
  options.token.keys = std::move(*keys);
  options.token.issuer = *issuer;
  options.environment_when_silent = "hardware";
  const verify::Verdict verdict = verify::VerifyEar(evidence::Unverified(*token), options, now);
  return verdict.accepted ? "accepted" : verdict.ToStatus().error().code;
}

}  // namespace
}  // namespace ccgpu

int main(int argc, char** argv) {
  using namespace ccgpu;
  const std::string command = argc == 2 ? argv[1] : "";
  const TimePoint now = SystemClock().Now();
  if (command == "make") {
    std::cout << Make(now).dump() << "\n";
    return 0;
  }
  if (command == "judge") {
    std::cout << Judge(std::string(std::istreambuf_iterator<char>(std::cin), {}), now) << "\n";
    return 0;
  }
  std::cerr << "usage: foreign-tokens make|judge\n";
  return 2;
}
