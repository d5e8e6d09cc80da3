// Whose tokens count: algorithms, keys, certificates, times; and the known mistakes of token libraries, made on us.
#include <gmock/gmock.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#include <algorithm>

#include "base/crypto/rsa.h"
#include "trust/evidence/test_mutation.h"
#include "trust/verify/testing/tokens.h"

namespace ccgpu::verify {
namespace {

using crypto::Hash;
using crypto::KeyType;
using crypto::PrivateKey;
using evidence::JwsAlgorithm;

// One EAR, the smallest token that VerifyEar accepts.
struct Issuer {
  PrivateKey key = PrivateKey::Generate(KeyType::kP256);
  EarOptions options;
  TimePoint now = kTestNow;
  Json header = {{"alg", "ES256"}, {"typ", "JWT"}};
  Json claims;

  Issuer() {
    const int64_t at = now.time_since_epoch().count();
    options.token.keys = {PinnedKey(key.public_key()).value()};
    options.token.issuer = "verifier";
    options.environment_when_silent = "hardware";
    claims = {{"eat_profile", "tag:github.com,2023:veraison/ear"},
              {"iss", "verifier"},
              {"iat", at},
              {"exp", at + 300},
              {"ear.verifier-id", {{"developer", "d"}, {"build", "b"}}},
              {"submods", {{"cpu0", {{"ear.status", "affirming"}}}}}};
  }
  std::string Token() const { return evidence::MakeJwt(JwsAlgorithm::kEs256, key, header, claims.dump()); }
  std::string Judge(const std::string& token) const {
    return Outcome(VerifyEar(evidence::Unverified(token), options, now));
  }
  std::string Run() const { return Judge(Token()); }
  // What is signed by nobody: these bytes as signature.
  std::string With(const Json& other_header, ByteView signature) const {
    return Judge(RawToken(other_header.dump(), claims.dump(), signature));
  }
};

// The order of the curve's group, as many bytes as a coordinate.
Bytes Order(const char* curve, size_t width) {
  EC_GROUP* group = EC_GROUP_new_by_curve_name(EC_curve_nist2nid(curve));
  Bytes out(width);
  BN_bn2binpad(EC_GROUP_get0_order(group), out.data(), static_cast<int>(width));
  EC_GROUP_free(group);
  return out;
}

TEST(Token, Healthy) { EXPECT_EQ(Issuer().Run(), "accepted"); }

// rule 3: jwt
// advisory: CVE-2015-9235
TEST(Token, TheTokenDoesNotChooseItsAlgorithm) {
  const Issuer w;
  for (const char* none : {"none", "None", "NONE", "nOnE", ""}) {
    const std::string outcome = w.With({{"alg", none}}, {});
    EXPECT_NE(outcome, "accepted") << none;
    EXPECT_THAT(outcome, ::testing::AnyOf("token.algorithm", "token.malformed")) << none;
  }
  // HMAC with what everybody knows: the public key in each of its forms.
  const auto hmac = [&](const char* name, Hash hash, ByteView secret) {
    const Json header = {{"alg", name}};
    const std::string text = Base64UrlEncode(AsBytes(header.dump())) + "." + Base64UrlEncode(AsBytes(w.claims.dump()));
    return w.With(header, crypto::Hmac(hash, secret, AsBytes(text)));
  };
  const std::string pem = w.key.public_key().Pem();
  EXPECT_EQ(hmac("HS256", Hash::kSha256, AsBytes(pem)), "token.algorithm");
  EXPECT_EQ(hmac("HS256", Hash::kSha256, w.key.public_key().Der()), "token.algorithm");
  EXPECT_EQ(hmac("HS384", Hash::kSha384, w.key.public_key().Point()), "token.algorithm");
  // A good signature under another name, and the right name around another kind of signature.
  Issuer other = w;
  other.header["alg"] = "ES384";
  EXPECT_EQ(other.Run(), "token.algorithm");
  other.header["alg"] = "RS256";
  EXPECT_EQ(other.Run(), "token.algorithm");
  const PrivateKey rsa = PrivateKey::Generate(KeyType::kRsa2048);
  Issuer microsoft = w;
  microsoft.options.token.keys = {PinnedKey(rsa.public_key()).value()};
  const auto sign = [&](JwsAlgorithm algorithm, const char* name) {
    return microsoft.Judge(evidence::MakeJwt(algorithm, rsa, {{"alg", name}}, w.claims.dump()));
  };
  EXPECT_EQ(sign(JwsAlgorithm::kPs256, "PS256"), "accepted");
  EXPECT_EQ(sign(JwsAlgorithm::kRs256, "RS256"), "token.algorithm") << "only where configured";
  EXPECT_EQ(sign(JwsAlgorithm::kRs256, "PS256"), "token.signature-invalid");
  microsoft.options.token.keys[0].algorithm = JwsAlgorithm::kRs256;
  EXPECT_EQ(sign(JwsAlgorithm::kRs256, "RS256"), "accepted");
  EXPECT_EQ(sign(JwsAlgorithm::kPs256, "PS256"), "token.algorithm");
  EXPECT_EQ(sign(JwsAlgorithm::kPs256, "RS256"), "token.signature-invalid");
}

// rule 5: jwt
// advisory: CVE-2022-21449
TEST(Token, SignaturesOfZero) {
  for (const auto& [type, algorithm, curve, width] : {std::tuple(KeyType::kP256, "ES256", "P-256", size_t{32}),
                                                      std::tuple(KeyType::kP384, "ES384", "P-384", size_t{48}),
                                                      std::tuple(KeyType::kP521, "ES512", "P-521", size_t{66})}) {
    Issuer w;
    w.options.token.keys = {PinnedKey(PrivateKey::Generate(type).public_key()).value()};
    const Json header = {{"alg", algorithm}};
    const Bytes zero(width), order = Order(curve, width);
    Bytes one(width);
    one.back() = 1;
    for (const Bytes& r : {zero, order, one}) {
      for (const Bytes& s : {zero, order, one})
        EXPECT_EQ(w.With(header, Concat({r, s})), "token.signature-invalid") << algorithm;
    }
    EXPECT_EQ(w.With(header, {}), "token.signature-invalid");
    EXPECT_EQ(w.With(header, Bytes(2 * width + 1)), "token.signature-invalid");
    EXPECT_EQ(w.With(header, Bytes{0x30, 6, 2, 1, 0, 2, 1, 0}), "token.signature-invalid") << "DER";
  }
  // A good signature in DER is no JOSE signature, and neither is one with s + n.
  const Issuer w;
  const std::string text = Base64UrlEncode(AsBytes(w.header.dump())) + "." + Base64UrlEncode(AsBytes(w.claims.dump()));
  EXPECT_EQ(w.With(w.header, w.key.SignDer(Hash::kSha256, AsBytes(text))), "token.signature-invalid");
  EXPECT_EQ(w.With(w.header, w.key.SignRaw(Hash::kSha256, AsBytes(text))), "accepted");
}

// The same public point, with the curve spelled out. `forged`: with a base point that makes 1 the private key (only the
// point was compared with the known one).
crypto::PublicKey Explicit(const crypto::PublicKey& named, bool forged) {
  auto key = crypto::PublicKey::FromDer(named.Der());
  EXPECT_EQ(EVP_PKEY_set_utf8_string_param(key->raw(), OSSL_PKEY_PARAM_EC_ENCODING, OSSL_PKEY_EC_ENCODING_EXPLICIT), 1);
  Bytes der = key->Der();
  EXPECT_GT(der.size(), 300u) << "the whole curve is in it";
  // The only other point in the encoding is the base point.
  const Bytes base = HexDecode("046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296").value();
  const auto at = std::search(der.begin(), der.end(), base.begin(), base.end());
  EXPECT_NE(at, der.end());
  const Bytes point = Concat({Bytes{4}, named.Point()});
  if (forged && at != der.end()) std::copy(point.begin(), point.end(), at);
  auto out = crypto::PublicKey::FromDer(der);
  return out.ok() ? *out : crypto::PublicKey();
}

// rule 5: jwt
// advisory: CVE-2020-0601
TEST(Token, CurvesThatAreSpelledOut) {
  const Issuer w;
  for (bool forged : {false, true}) {
    const crypto::PublicKey key = Explicit(w.key.public_key(), forged);
    EXPECT_FALSE(PinnedKey(key).ok());
    Issuer other = w;
    other.options.token.keys = {{key, JwsAlgorithm::kEs256, ""}};  // someone pins it all the same
    EXPECT_EQ(other.Run(), "token.signature-invalid");
  }
  // A point that is on no curve never becomes a key.
  Json jwk = Json::parse(evidence::MakeJwks(w.key.public_key()));
  jwk["keys"][0]["y"] = jwk["keys"][0]["x"];
  EXPECT_FALSE(PinnedKeys(jwk.dump()).ok());
}

// rule 4: jwt
TEST(Token, OnlyPinnedKeysCount) {
  const Issuer w;
  const Issuer stranger;
  EXPECT_EQ(w.Judge(stranger.Token()), "token.signature-invalid");
  // The header may offer keys in each way there is: nobody looks.
  Issuer offering = stranger;
  offering.header["jwk"] = Json::parse(evidence::MakeJwks(stranger.key.public_key()))["keys"][0];
  offering.header["jku"] = "https://example.com/keys";
  offering.header["x5u"] = "https://example.com/chain";
  EXPECT_EQ(w.Judge(offering.Token()), "token.signature-invalid");
  Issuer named = w;
  named.options.token.keys[0].key_id = "k1";
  EXPECT_EQ(named.Run(), "accepted") << "a token without kid may be of any pinned key";
  named.header["kid"] = "k2";
  EXPECT_EQ(named.Run(), "token.unknown-key");
  named.header["kid"] = "k1";
  EXPECT_EQ(named.Run(), "accepted");
  Issuer none = w;
  none.options.token.keys.clear();
  EXPECT_EQ(none.Run(), "token.unknown-key");
  // The right key in a set with another one.
  Issuer two = w;
  two.options.token.keys.insert(two.options.token.keys.begin(), PinnedKey(stranger.key.public_key()).value());
  EXPECT_EQ(two.Run(), "accepted");
}

// A chain for tokens: leaf, intermediate, root; all of one curve.
struct ChainWorld {
  std::vector<Party> parties;
  Issuer issuer;

  crypto::KeyType curve;

  explicit ChainWorld(const SpecEdits& edits = {}, KeyType type = KeyType::kP384) : curve(type) {
    for (int level = 2; level >= 0; --level) {
      Party party{PrivateKey::Generate(type), {}};
      crypto::CertificateSpec spec;
      spec.subject = {{"CN", "token " + std::to_string(level)}};
      spec.key = party.key.public_key();
      spec.not_before = kTestNow - std::chrono::hours(24);
      spec.not_after = kTestNow + std::chrono::hours(24);
      spec.ca = spec.key_cert_sign = level > 0;
      spec.digital_signature = level == 0;
      if (const auto edit = edits.find("token" + std::to_string(level)); edit != edits.end()) edit->second(spec);
      const Party* above = parties.empty() ? nullptr : &parties.front();
      party.certificate =
          crypto::MakeCertificate(spec, above ? above->key : party.key, above ? &above->certificate : nullptr).value();
      parties.insert(parties.begin(), std::move(party));
    }
    issuer.options.token.keys.clear();
    issuer.options.token.x5c_roots = {parties[2].certificate};
  }
  std::string Run(size_t certificates = 3) const {
    const bool p384 = curve == KeyType::kP384;
    Json header = {{"alg", p384 ? "ES384" : "ES256"}, {"x5c", Json::array()}};
    for (size_t i = 0; i < certificates; ++i) header["x5c"].push_back(Base64Encode(parties[i].certificate.Der()));
    return issuer.Judge(evidence::MakeJwt(p384 ? JwsAlgorithm::kEs384 : JwsAlgorithm::kEs256, parties[0].key, header,
                                          issuer.claims.dump()));
  }
};

std::string WithChain(const SpecEdits& edits) { return ChainWorld(edits).Run(); }

// rule 4: jwt
// advisory: CVE-2021-3450
TEST(Token, CertificatesInTheHeaderEndInAPinnedRoot) {
  EXPECT_EQ(ChainWorld().Run(), "accepted");
  EXPECT_EQ(ChainWorld().Run(2), "accepted") << "without the root";
  EXPECT_EQ(ChainWorld().Run(1), "token.untrusted-root") << "without the intermediate";
  EXPECT_EQ(ChainWorld({}, KeyType::kP256).Run(), "accepted");
  ChainWorld weaker;  // a P-256 leaf below P-384 issuers
  weaker.parties[0].key = PrivateKey::Generate(KeyType::kP256);
  weaker.curve = KeyType::kP256;
  crypto::CertificateSpec leaf;
  leaf.subject = {{"CN", "token 0"}};
  leaf.key = weaker.parties[0].key.public_key();
  leaf.not_before = kTestNow - std::chrono::hours(1);
  leaf.not_after = kTestNow + std::chrono::hours(1);
  leaf.digital_signature = true;
  weaker.parties[0].certificate =
      crypto::MakeCertificate(leaf, weaker.parties[1].key, &weaker.parties[1].certificate).value();
  EXPECT_EQ(weaker.Run(), "token.chain-invalid");
  ChainWorld other;
  other.issuer.options.token.x5c_roots = {ChainWorld().parties[2].certificate};
  EXPECT_EQ(other.Run(), "token.untrusted-root") << "a root of the same name, with another key";
  EXPECT_EQ(WithChain({{"token1", [](auto& spec) { spec.ca = false; }}}), "token.chain-invalid");
  EXPECT_EQ(WithChain({{"token1", [](auto& spec) { spec.key_cert_sign = false, spec.digital_signature = true; }}}),
            "token.chain-invalid");
  EXPECT_EQ(WithChain({{"token0", [](auto& spec) { spec.ca = spec.key_cert_sign = true; }}}), "token.chain-invalid");
  EXPECT_EQ(WithChain({{"token0", [](auto& spec) { spec.digital_signature = false, spec.crl_sign = true; }}}),
            "token.chain-invalid");
  EXPECT_EQ(WithChain({{"token0", [](auto& spec) { spec.not_after = kTestNow - std::chrono::hours(1); }}}),
            "token.chain-expired");
  EXPECT_EQ(WithChain({{"token2", [](auto& spec) { spec.path_length = 0; }}}), "token.chain-invalid");
  ChainWorld emulated({{"token2", [](auto& spec) { spec.subject = {{"CN", "EMULATED root"}}; }}});
  EXPECT_EQ(emulated.Run(), "environment.emulated");
  emulated.issuer.options.token.insecure_accept_emulated = true;
  EXPECT_EQ(emulated.Run(), "accepted");
  // The leaf's certificate is public; its key is not.
  const ChainWorld w;
  Json header = {{"alg", "ES384"},
                 {"x5c", {Base64Encode(w.parties[0].certificate.Der()), Base64Encode(w.parties[1].certificate.Der())}}};
  EXPECT_EQ(w.issuer.Judge(evidence::MakeJwt(JwsAlgorithm::kEs384, PrivateKey::Generate(KeyType::kP384), header,
                                             w.issuer.claims.dump())),
            "token.signature-invalid");
  header["x5c"][0] = "AAAA";
  EXPECT_EQ(w.issuer.Judge(evidence::MakeJwt(JwsAlgorithm::kEs384, w.parties[0].key, header, w.issuer.claims.dump())),
            "token.chain-malformed");
}

// rule 14: jwt
TEST(Token, TimesAreJudgedAtTheGivenTime) {
  Issuer w;
  const TimePoint issued = w.now;
  const auto at = [&](std::chrono::seconds offset) {
    w.now = issued + offset;
    return w.Run();
  };
  using std::chrono::seconds;
  EXPECT_EQ(at(seconds(299)), "accepted");
  EXPECT_EQ(at(seconds(300)), "token.expired");
  EXPECT_EQ(at(seconds(-60)), "accepted") << "clocks differ a little";
  EXPECT_EQ(at(seconds(-61)), "token.not-yet");
  w.now = issued;
  const int64_t second = issued.time_since_epoch().count();
  const auto with = [&](const char* claim, const Json& value) {
    Issuer one = w;
    if (value.is_null()) one.claims.erase(claim);
    else one.claims[claim] = value;
    return one.Run();
  };
  EXPECT_EQ(with("exp", nullptr), "token.malformed");
  EXPECT_EQ(with("iat", nullptr), "token.malformed");
  EXPECT_EQ(with("exp", std::to_string(second + 300)), "token.malformed") << "a text is no time";
  EXPECT_EQ(with("exp", 1e300), "token.malformed");
  EXPECT_EQ(with("exp", static_cast<double>(second) + 0.5), "token.malformed");
  EXPECT_EQ(with("exp", std::numeric_limits<uint64_t>::max()), "token.malformed");
  EXPECT_EQ(with("iat", -1), "token.malformed");
  EXPECT_EQ(with("nbf", second + 61), "token.not-yet");
  EXPECT_EQ(with("nbf", second + 60), "accepted");
  EXPECT_EQ(with("iat", second - 24 * 3600 - 1), "token.expired") << "older than max_age";
  Issuer open = w;
  open.options.token.require_expiry = false;
  open.claims.erase("exp");
  EXPECT_EQ(open.Run(), "accepted");
  open.now = issued + std::chrono::hours(25);
  EXPECT_EQ(open.Run(), "token.expired");
}

TEST(Token, IssuerAndAudience) {
  Issuer w;
  w.options.token.issuer = "";
  EXPECT_EQ(w.Run(), "token.issuer-missing");
  w.options.token.issuer = "other";
  EXPECT_EQ(w.Run(), "token.issuer");
  Issuer silent;
  silent.claims.erase("iss");
  EXPECT_EQ(silent.Run(), "token.issuer");
  Issuer meant;
  meant.claims["aud"] = "somebody";
  EXPECT_EQ(meant.Run(), "token.audience") << "meant for somebody else";
  meant.options.token.audience = "us";
  EXPECT_EQ(meant.Run(), "token.audience");
  meant.claims["aud"] = {"somebody", "us"};
  EXPECT_EQ(meant.Run(), "accepted");
  meant.claims["aud"] = {{"us", 1}};
  EXPECT_EQ(meant.Run(), "token.audience");
  meant.claims.erase("aud");
  EXPECT_EQ(meant.Run(), "token.audience");
}

// rule 2: jwt
TEST(Token, EveryBitCounts) {
  const Issuer w;
  const Bytes token = ToBytes(AsBytes(w.Token()));
  const auto judge = [&](const Bytes& text) { return w.Judge(ToText(text)) == "accepted"; };
  EXPECT_TRUE(test::EveryFlipIsRefused("EAR token", token, judge));
  EXPECT_TRUE(test::EveryCutIsRefused("EAR token", token, judge));
}

// rule 15: jwt
TEST(Token, JsonThatCanBeReadInTwoWays) {
  const Issuer w;
  const auto sign = [&](const std::string& header, const std::string& claims) {
    const std::string text = Base64UrlEncode(AsBytes(header)) + "." + Base64UrlEncode(AsBytes(claims));
    return w.Judge(text + "." + Base64UrlEncode(w.key.SignRaw(Hash::kSha256, AsBytes(text))));
  };
  const std::string claims = w.claims.dump();
  EXPECT_EQ(sign(R"({"alg":"ES256"})", claims), "accepted");
  EXPECT_EQ(sign(R"({"alg":"none","alg":"ES256"})", claims), "token.malformed");
  EXPECT_EQ(sign(R"({"alg":"ES256"})", claims.substr(0, claims.size() - 1) + R"(,"exp":9999999999})"),
            "token.malformed");
  EXPECT_EQ(sign(R"({"alg":"ES256","crit":["exp"],"exp":1})", claims), "token.critical");
  EXPECT_EQ(sign(R"({"alg":"ES256","crit":[]})", claims), "token.critical");
  EXPECT_EQ(sign(R"({"alg":"ES256"})", "[" + claims + "]"), "token.malformed");
}

TEST(TokenKeys, Sets) {
  const PrivateKey ec = PrivateKey::Generate(KeyType::kP384), rsa = PrivateKey::Generate(KeyType::kRsa2048);
  const auto [n, e] = crypto::RsaNumbers(rsa.public_key());
  Json jwk = {{"kty", "RSA"}, {"kid", "r"}, {"n", Base64UrlEncode(n)}, {"e", Base64UrlEncode(e)}};
  Json set = Json::parse(evidence::MakeJwks(ec.public_key()));
  set["keys"].push_back(jwk);
  auto keys = PinnedKeys(set.dump());
  ASSERT_TRUE(keys.ok()) << keys.error().ToString();
  EXPECT_EQ((*keys)[0].algorithm, JwsAlgorithm::kEs384);
  EXPECT_EQ((*keys)[1].algorithm, JwsAlgorithm::kPs256);
  EXPECT_EQ((*PinnedKeys(set.dump(), true))[1].algorithm, JwsAlgorithm::kRs256);
  set["keys"][1]["alg"] = "RS256";
  EXPECT_EQ(PinnedKeys(set.dump()).error().code, "token.algorithm");
  set["keys"][1]["alg"] = "PS256";
  EXPECT_EQ((*PinnedKeys(set.dump(), true))[1].algorithm, JwsAlgorithm::kPs256);
  for (const char* bad : {"none", "HS256", "ES256", "ECDH-ES"}) {
    set["keys"][0]["alg"] = bad;
    EXPECT_EQ(PinnedKeys(set.dump()).error().code, "token.algorithm") << bad;
  }
}

}  // namespace
}  // namespace ccgpu::verify
