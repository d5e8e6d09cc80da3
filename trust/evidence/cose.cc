#include "trust/evidence/cose.h"

#include <algorithm>

namespace ccgpu::evidence {
namespace {

using cbor::Kind;
using cbor::Value;

constexpr int64_t kAlg = 1, kCrit = 2, kContentType = 3, kKid = 4, kCorimMeta = 8, kX5Chain = 33;
constexpr size_t kMaxChain = 8;

Error Bad(const Value& at, std::string text) {
  return Err("cose.malformed", "byte " + std::to_string(at.offset), std::move(text));
}

Status ReadChain(const Value& value, CoseSign1& out) {
  const auto add = [&](const Value& item) {
    if (!item.Is(Kind::kBytes)) return false;
    out.x5chain.push_back(ToBytes(item.content));
    return true;
  };
  if (value.Is(Kind::kBytes)) return add(value) ? Ok() : Status(Bad(value, "x5chain cannot be read"));
  // A single certificate must not be an array (RFC 9360 2).
  if (!value.Is(Kind::kArray) || value.items.size() < 2 || value.items.size() > kMaxChain ||
      !std::all_of(value.items.begin(), value.items.end(), add)) {
    return Bad(value, "x5chain is neither a certificate nor an array of 2 to 8 certificates");
  }
  return Ok();
}

// Everything that a receiver does not understand and that the sender calls critical must stop it (RFC 9052 3.1).
Status ReadCritical(const Value& value, const Value& map) {
  if (!value.Is(Kind::kArray) || value.items.empty()) return Bad(value, "crit is not a list of labels");
  for (const Value& label : value.items) {
    const auto number = label.Integer();
    if (!number || (*number != kAlg && *number != kContentType && *number != kKid && *number != kCorimMeta &&
                    *number != kX5Chain)) {
      return Err("cose.critical", "byte " + std::to_string(label.offset),
                 "a header that this program does not know is marked as critical");
    }
    if (!map.Find(*number)) return Bad(label, "crit names a header that the protected part does not have");
  }
  return Ok();
}

Status ReadProtected(const Value& map, CoseSign1& out) {
  const Value* alg = map.Find(kAlg);
  const auto number = alg ? alg->Integer() : std::nullopt;
  if (!number) {
    return Err("cose.algorithm", "protected header",
               alg ? "alg is not a number of the IANA registry" : "does not name the algorithm (alg, label 1)");
  }
  out.algorithm = *number;
  if (const Value* crit = map.Find(kCrit)) RETURN_IF_ERROR(ReadCritical(*crit, map));
  if (const Value* type = map.Find(kContentType)) {
    if (type->Is(Kind::kText)) out.content_type = type->Text();
    else if (type->Is(Kind::kUnsigned)) out.content_type = "#" + std::to_string(type->number);
    else return Bad(*type, "the content type is neither text nor a number");
  }
  if (const Value* meta = map.Find(kCorimMeta)) {
    if (!meta->Is(Kind::kBytes)) return Bad(*meta, "header 8 is not a byte string");
    out.corim_meta = ToBytes(meta->content);
  }
  return Ok();
}

}  // namespace

Result<CoseSign1> ParseCoseSign1(ByteView document) {
  ASSIGN_OR_RETURN(const Value whole, cbor::Decode(document));
  CoseSign1 out;
  const Value* message = &whole;
  if (whole.Is(Kind::kTag)) {
    if (whole.number != kCoseSign1Tag)
      return Bad(whole, "has the tag " + std::to_string(whole.number) + ", a COSE_Sign1 has 18");
    out.tagged = true;
    message = &whole.items[0];
  }
  if (!message->Is(Kind::kArray) || message->items.size() != 4) return Bad(*message, "is not an array of four");
  const Value &header = message->items[0], &unprotected = message->items[1], &payload = message->items[2],
              &signature = message->items[3];
  if (!header.Is(Kind::kBytes)) return Bad(header, "the protected header is not a byte string");
  if (!unprotected.Is(Kind::kMap)) return Bad(unprotected, "the unprotected header is not a map");
  if (!payload.Is(Kind::kBytes) && !payload.Is(Kind::kNull)) return Bad(payload, "the payload is not a byte string");
  if (!signature.Is(Kind::kBytes)) return Bad(signature, "the signature is not a byte string");
  out.protected_header = ToBytes(header.content);
  // No bytes stand for the empty map.
  static constexpr uint8_t kEmptyMap[] = {0xa0};
  const ByteView header_bytes = header.content.empty() ? ByteView(kEmptyMap) : header.content;
  auto protected_map = cbor::Decode(header_bytes);
  if (!protected_map.ok()) return protected_map.error().In("protected header");
  if (!protected_map->Is(Kind::kMap)) return Bad(header, "the protected header does not hold a map");
  for (size_t i = 0; i < unprotected.items.size(); i += 2) {
    const Value& label = unprotected.items[i];
    const bool both = label.Is(Kind::kText) ? protected_map->Find(label.Text()) != nullptr
                                            : label.Integer() && protected_map->Find(*label.Integer()) != nullptr;
    if (both) return Bad(label, "a header stands in the protected and in the unprotected part");
    if (label.Integer() == kCrit) return Bad(label, "crit stands in the unprotected part");
  }
  RETURN_IF_ERROR(ReadProtected(*protected_map, out));
  for (const Value* map : {static_cast<const Value*>(&*protected_map), &unprotected}) {
    if (const Value* kid = map->Find(kKid)) {
      if (!kid->Is(Kind::kBytes)) return Bad(*kid, "kid is not a byte string");
      out.key_id = ToBytes(kid->content);
    }
    if (const Value* chain = map->Find(kX5Chain)) RETURN_IF_ERROR(ReadChain(*chain, out));
  }
  if (payload.Is(Kind::kBytes)) out.payload = ToBytes(payload.content);
  out.signature = ToBytes(signature.content);
  out.payload_offset = payload.offset + payload.length - payload.content.size();
  out.signature_offset = signature.offset + signature.length - signature.content.size();
  return out;
}

Bytes CoseSigStructure(ByteView protected_header, ByteView external_aad, ByteView payload) {
  // An empty map is signed as no bytes, however it was sent (RFC 9052 4.4).
  const bool empty = protected_header.size() == 1 && protected_header[0] == 0xa0;
  return cbor::Writer()
      .Array(4)
      .Text("Signature1")
      .ByteString(empty ? ByteView() : protected_header)
      .ByteString(external_aad)
      .ByteString(payload)
      .Finish();
}

Bytes SignCoseSign1(const CoseSpec& spec, ByteView payload, const crypto::PrivateKey& key) {
  const crypto::KeyType type = key.public_key().type();
  int64_t algorithm = 0;
  crypto::Hash hash = crypto::Hash::kSha256;
  if (type == crypto::KeyType::kP256) algorithm = cose_alg::kEs256, hash = crypto::Hash::kSha256;
  else if (type == crypto::KeyType::kP384) algorithm = cose_alg::kEs384, hash = crypto::Hash::kSha384;
  else if (type == crypto::KeyType::kP521) algorithm = cose_alg::kEs512, hash = crypto::Hash::kSha512;
  else return {};
  cbor::Writer header;
  header.Map(1u + !spec.content_type.empty() + !spec.key_id.empty() + spec.corim_meta.has_value() +
             !spec.x5chain.empty());
  header.Integer(kAlg).Integer(algorithm);
  if (!spec.content_type.empty()) header.Integer(kContentType).Text(spec.content_type);
  if (!spec.key_id.empty()) header.Integer(kKid).ByteString(spec.key_id);
  if (spec.corim_meta) header.Integer(kCorimMeta).ByteString(*spec.corim_meta);
  if (!spec.x5chain.empty()) {
    header.Integer(kX5Chain);
    if (spec.x5chain.size() > 1) header.Array(spec.x5chain.size());
    for (const Bytes& certificate : spec.x5chain) header.ByteString(certificate);
  }
  const Bytes protected_header = header.Finish();
  const Bytes signature = key.SignRaw(hash, CoseSigStructure(protected_header, {}, payload));
  cbor::Writer out;
  out.Tag(kCoseSign1Tag).Array(4).ByteString(protected_header).Map(0);
  if (spec.detached) out.Null();
  else out.ByteString(payload);
  return out.ByteString(signature).Finish();
}

}  // namespace ccgpu::evidence
