#include "collateral/bundle.h"

#include <map>
#include <set>

#include "base/encoding.h"
#include "base/json.h"

namespace ccgpu::collateral {
namespace {

Error Bad(std::string text) { return Err("collateral.bundle-malformed", "bundle", std::move(text)); }

Status Exactly(const Json& object, const std::set<std::string>& members, const std::string& where) {
  if (!object.is_object()) return Bad(where + " is not an object");
  for (const auto& [key, value] : object.items()) {
    if (!members.contains(key)) return Bad(where + " has the unknown member \"" + key + "\"");
  }
  for (const std::string& member : members) {
    if (!object.contains(member)) return Bad(where + " lacks \"" + member + "\"");
  }
  return Ok();
}

Bytes Signed(std::string_view manifest) { return Concat({AsBytes(kBundleContext), AsBytes(manifest)}); }

Status CheckKey(crypto::KeyType type) {
  if (type == crypto::KeyType::kP384) return Ok();
  return Err("collateral.bad-key", "bundle key",
             "must be an EC key on P-384 (openssl ecparam -name secp384r1 -genkey)");
}

}  // namespace

bool LooksLikeBundle(std::string_view bytes) {
  return bytes.substr(0, 4096).find(kBundleFormat) != std::string_view::npos &&
         bytes.find_first_not_of(" \t\r\n") == bytes.find('{');
}

Result<std::string> WriteBundle(const Bundle& bundle, const crypto::PrivateKey& key) {
  RETURN_IF_ERROR(CheckKey(key.public_key().type()));
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  std::map<std::string, std::string> contents;
  Documents documents = bundle.documents;
  Deduplicate(documents);
  for (const Document& document : documents) {
    const std::string name = document.name.empty() ? NameOfContent(document) : document.name;
    if (!IsName(name)) return Err("collateral.bad-name", name, "cannot be a document's name");
    const std::string digest = HexEncode(crypto::Sha256(AsBytes(document.content)));
    list.push_back(
        {{"kind", RowOf(document.kind).word}, {"name", name}, {"size", document.content.size()}, {"sha256", digest}});
    contents[digest] = Base64Encode(AsBytes(document.content));
  }
  const nlohmann::ordered_json manifest = {
      {"created", FormatTime(bundle.created)}, {"note", bundle.note}, {"documents", list}};
  const std::string text = manifest.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
  const nlohmann::ordered_json out = {{"format", kBundleFormat},
                                      {"manifest", text},
                                      {"signature", Base64Encode(key.SignRaw(crypto::Hash::kSha384, Signed(text)))},
                                      {"documents", contents}};
  return out.dump(1) + "\n";
}

Result<Bundle> ReadBundle(std::string_view text, const crypto::PublicKey& pinned) {
  RETURN_IF_ERROR(CheckKey(pinned.valid() ? pinned.type() : crypto::KeyType::kOther));
  if (text.size() > kMaxBundle) return Bad("is larger than 128 MiB");
  ASSIGN_OR_RETURN(const Json outer, ParseJson(text, "bundle", 8));
  RETURN_IF_ERROR(Exactly(outer, {"format", "manifest", "signature", "documents"}, "the bundle"));
  ASSIGN_OR_RETURN(const std::string format, JsonString(outer, "format", "bundle"));
  if (format != kBundleFormat) return Bad("is of format \"" + format + "\", expected " + std::string(kBundleFormat));
  ASSIGN_OR_RETURN(const std::string manifest_text, JsonString(outer, "manifest", "bundle"));
  ASSIGN_OR_RETURN(const std::string signature_text, JsonString(outer, "signature", "bundle"));
  auto signature = Base64Decode(signature_text);
  if (!signature.ok() || signature->size() != 96) return Bad("signature is not base64 of 96 bytes");
  if (!pinned.VerifyRaw(crypto::Hash::kSha384, Signed(manifest_text), *signature)) {
    return Err("collateral.bundle-signature", "bundle",
               "is not signed by the pinned key, or was changed after that: get it again from who made it");
  }

  ASSIGN_OR_RETURN(const Json manifest, ParseJson(manifest_text, "bundle.manifest", 8));
  RETURN_IF_ERROR(Exactly(manifest, {"created", "note", "documents"}, "the manifest"));
  Bundle out;
  ASSIGN_OR_RETURN(const std::string created, JsonString(manifest, "created", "bundle.manifest"));
  ASSIGN_OR_RETURN(out.created, ParseTime(created));
  ASSIGN_OR_RETURN(out.note, JsonString(manifest, "note", "bundle.manifest"));
  const Json& list = manifest["documents"];
  if (!list.is_array() || list.size() > kMaxDocuments) return Bad("the manifest's documents are no list, or too many");
  if (!outer["documents"].is_object()) return Bad("documents is not an object");
  std::set<std::string> used;
  std::set<std::pair<Kind, std::string>> names;
  for (const Json& item : list) {
    RETURN_IF_ERROR(Exactly(item, {"kind", "name", "size", "sha256"}, "a document of the manifest"));
    Document document;
    ASSIGN_OR_RETURN(const std::string kind, JsonString(item, "kind", "bundle.manifest"));
    ASSIGN_OR_RETURN(document.kind, KindOfWord(kind));
    ASSIGN_OR_RETURN(document.name, JsonString(item, "name", "bundle.manifest"));
    if (!IsName(document.name)) return Bad("\"" + document.name + "\" cannot be a document's name");
    if (!names.insert({document.kind, document.name}).second) return Bad(document.name + " stands there twice");
    ASSIGN_OR_RETURN(const std::string digest, JsonString(item, "sha256", "bundle.manifest"));
    ASSIGN_OR_RETURN(const int64_t size, JsonInt(item, "size", "bundle.manifest"));
    if (!outer["documents"].contains(digest)) return Bad(document.name + " is in the manifest, but not in the bundle");
    ASSIGN_OR_RETURN(const std::string encoded, JsonString(outer["documents"], digest, "bundle.documents"));
    auto content = Base64Decode(encoded);
    if (!content.ok()) return Bad(document.name + " is not base64");
    if (std::cmp_not_equal(content->size(), size) || HexEncode(crypto::Sha256(*content)) != digest)
      return Bad(document.name + " is not the document that the manifest means: its SHA-256 or size differs");
    document.content = ToText(*content);
    used.insert(digest);
    out.documents.push_back(std::move(document));
  }
  for (const auto& [digest, value] : outer["documents"].items()) {
    if (!used.contains(digest)) return Bad("holds a document that its manifest does not name: " + digest);
  }
  return out;
}

}  // namespace ccgpu::collateral
