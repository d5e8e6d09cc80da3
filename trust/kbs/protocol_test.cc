#include "trust/kbs/protocol.h"

#include <gtest/gtest.h>

#include "trust/kbs/resource_path.h"
#include "trust/kbs/test_vectors.h"

namespace ccgpu::kbs {
namespace {

constexpr char kKey[] = R"({"kty":"EC","crv":"P-256","alg":"ECDH-ES+A256KW","x":"AQ","y":"Ag"})";

TEST(ResourcePathTest, Table) {
  NEEDS_VECTOR("tables/resource_path.json");
  const Json table = VectorJson("tables/resource_path.json");
  for (const Json& row : table["cases"]) {
    auto path = ParseResourcePath(row[0].get<std::string>());
    ASSERT_EQ(path.ok(), !row[1].is_null()) << row.dump();
    if (path.ok()) {
      EXPECT_EQ((Json{path->repository, path->type, path->tag}), row[1]);
      EXPECT_EQ(path->ToString(), row[0].get<std::string>());
    }
  }
}

TEST(ResourcePathTest, Refuses) {
  for (const char* bad : {"a/b/c/d", "a/b/", "a/b/..", "a/b/%2e", "a/b/c\n", "a//c", "", "a/b/\xc3\xa4"})
    EXPECT_FALSE(ParseResourcePath(bad).ok()) << bad;
  EXPECT_FALSE(ParseResourcePath("a/b/" + std::string(600, 'x')).ok());
}

TEST(ResourceUriTest, Table) {
  NEEDS_VECTOR("tables/resource_uri.json");
  const Json table = VectorJson("tables/resource_uri.json");
  for (const Json& row : table["ok"]) {
    auto uri = ParseResourceUri(row["uri"].get<std::string>());
    ASSERT_TRUE(uri.ok()) << row.dump() << uri.error().ToString();
    EXPECT_EQ(uri->plugin, row["plugin"].get<std::string>());
    EXPECT_EQ(uri->host, row["host"].get<std::string>());
    EXPECT_EQ(Json(uri->path), row["path"]);
    EXPECT_EQ(uri->query, row["query"].is_null() ? "" : row["query"].get<std::string>());
    EXPECT_EQ(uri->ToString(), row["uri"].get<std::string>());
  }
  for (const Json& row : table["equivalent"]) {
    EXPECT_EQ(ParseResourceUri(row[1].get<std::string>())->ToString(), row[0].get<std::string>());
  }
  for (const Json& row : table["bad"]) {
    auto uri = ParseResourceUri(row[0].get<std::string>());
    ASSERT_FALSE(uri.ok()) << row.dump();
    EXPECT_NE(uri.error().text.find(row[1].get<std::string>()), std::string::npos) << uri.error().text;
  }
}

TEST(ProtocolTest, MessagesRoundTrip) {
  auto auth = ParseAuthRequest(AuthRequest{}.ToJson());
  ASSERT_TRUE(auth.ok());
  EXPECT_EQ(auth->version, "0.4.0");
  EXPECT_EQ(auth->tee, "snp");
  auto challenge = ParseChallenge(Challenge{"bm9uY2U=", "\"\""}.ToJson());
  ASSERT_TRUE(challenge.ok());
  EXPECT_EQ(challenge->nonce, "bm9uY2U=");
  AttestRequest request;
  request.init_data = "version = \"0.1.0\"\n";
  request.nonce = "bm9uY2U=";
  request.tee_pubkey = *ParseJwk(kKey);
  request.primary_evidence_json = R"({"a":1})";
  request.additional_evidence = MakeAdditionalEvidence({{"nvidia", R"({"device_evidence_list":[]})"}});
  auto back = ParseAttestRequest(request.ToJson());
  ASSERT_TRUE(back.ok()) << back.error().ToString();
  EXPECT_EQ(back->init_data, request.init_data);
  EXPECT_EQ(back->tee_pubkey, request.tee_pubkey);
  EXPECT_EQ(back->primary_evidence_json, request.primary_evidence_json);
  EXPECT_EQ(back->additional_evidence, R"({"nvidia":{"device_evidence_list":[]}})");
  auto map = ParseAdditionalEvidence(back->additional_evidence);
  ASSERT_TRUE(map.ok());
  EXPECT_EQ(map->at("nvidia"), R"({"device_evidence_list":[]})");
  EXPECT_TRUE(ParseAdditionalEvidence("")->empty());
  EXPECT_EQ(*ParseTokenResponse(MakeTokenResponse("a.b.c")), "a.b.c");
}

TEST(ProtocolTest, Refuses) {
  EXPECT_TRUE(ParseAuthRequest(R"({"version":"0.4.0","tee":"snp","extra-params":""})").ok());
  EXPECT_FALSE(ParseAuthRequest(R"({"version":"0.4.0","tee":"snp"})").ok());
  EXPECT_FALSE(ParseAuthRequest(R"({"version":"0.4.0","tee":"SNP","extra-params":{}})").ok());
  EXPECT_FALSE(ParseAuthRequest(R"({"version":4,"tee":"snp","extra-params":{}})").ok());
  const std::string runtime = std::string(R"("runtime-data":{"nonce":"n","tee-pubkey":)") + kKey + "}";
  const std::string evidence = R"("tee-evidence":{"primary_evidence":{},"additional_evidence":""})";
  EXPECT_TRUE(ParseAttestRequest("{" + runtime + "," + evidence + "}").ok());
  EXPECT_TRUE(ParseAttestRequest("{\"init-data\":null," + runtime + "," + evidence + "}").ok());
  EXPECT_FALSE(ParseAttestRequest("{" + runtime + "}").ok());
  EXPECT_FALSE(ParseAttestRequest("{" + evidence + "}").ok());
  EXPECT_FALSE(
      ParseAttestRequest("{\"init-data\":{\"format\":\"json\",\"body\":\"\"}," + runtime + "," + evidence + "}").ok());
  EXPECT_FALSE(ParseAttestRequest("{\"init-data\":\"x\"," + runtime + "," + evidence + "}").ok());
  EXPECT_FALSE(
      ParseAttestRequest("{" + runtime + R"(,"tee-evidence":{"primary_evidence":{},"additional_evidence":{}}})").ok());
  EXPECT_FALSE(ParseAdditionalEvidence("[]").ok());
  EXPECT_FALSE(ParseAdditionalEvidence(R"({"gpu":{}})").ok());
  EXPECT_FALSE(ParseAdditionalEvidence(R"({"nvidia":{},"nvidia":{}})").ok());
}

TEST(ProtocolTest, ErrorBodies) {
  ErrorBody plain{"PolicyDeny", "Access denied by policy", std::nullopt, ""};
  EXPECT_EQ(
      plain.ToJson(),
      R"({"detail":"Access denied by policy","type":"https://github.com/confidential-containers/kbs/errors/PolicyDeny"})");
  ErrorBody rich = plain;
  rich.why = Error::FromWire("release.no-policy", "a/b/c", "say\xff");
  rich.checks_json = R"([{"name":"x"}])";
  auto back = ParseErrorBody(rich.ToJson());
  ASSERT_TRUE(back.ok()) << back.error().ToString();
  EXPECT_EQ(back->variant, "PolicyDeny");
  EXPECT_EQ(back->why->code, "release.no-policy");
  EXPECT_EQ(back->checks_json, R"([{"name":"x"}])");
  EXPECT_FALSE(ParseErrorBody(R"({"type":"x"})").ok());
}

}  // namespace
}  // namespace ccgpu::kbs
