#include "trust/spdm/certificate_chain.h"

#include <algorithm>
#include <cstdlib>

#include "base/crypto/digest.h"
#include "base/log.h"

namespace ccgpu::spdm {
namespace {

constexpr size_t kMaxCertificates = 16;
constexpr size_t kMaxChain = 0xFFFF;
constexpr size_t kPortionHeader = 8;

Error Bad(std::string text) { return Err("spdm.certificate", "certificate chain", std::move(text)); }

// The length of the first DER element of `bytes`, which must be a SEQUENCE; 0 when it is not one or does not fit.
size_t DerSequenceSize(ByteView bytes) {
  Reader in(bytes);
  if (in.U8() != 0x30) return 0;
  size_t length = in.U8();
  if (length & 0x80) {
    const size_t count = length & 0x7F;
    if (count == 0 || count > 3) return 0;
    length = 0;
    for (size_t i = 0; i < count; ++i) length = length << 8 | in.U8();
  }
  return in.ok() && length <= in.remaining() ? in.offset() + length : 0;
}

}  // namespace

Bytes EncodeChain(const std::vector<Bytes>& chain_der) {
  Writer body;
  for (const Bytes& certificate : chain_der) body.Raw(certificate);
  const size_t size = 4 + kHashSize + body.size();
  if (chain_der.empty() || size > kMaxChain) {
    log::Error("an SPDM certificate chain must have 1 byte to 64 KiB");
    std::abort();
  }
  Writer out;
  out.U16(size).U16(0).Raw(crypto::Sha384(chain_der.front())).Raw(body.bytes());
  return std::move(out).Finish();
}

Result<std::vector<crypto::Certificate>> DecodeChain(ByteView structure) {
  Reader in(structure);
  const size_t length = in.U16();
  in.Skip(2);
  const ByteView root_hash = in.Take(kHashSize);
  if (!in.ok() || length != structure.size()) {
    return Bad("its length field says " + std::to_string(length) + " bytes, it has " +
               std::to_string(structure.size()));
  }
  std::vector<crypto::Certificate> chain;
  while (in.remaining() > 0) {
    const size_t size = DerSequenceSize(structure.subspan(in.offset()));
    if (size == 0 || chain.size() == kMaxCertificates) return Bad("it is not a row of 1 to 16 DER certificates");
    const ByteView der = in.Take(size);
    Result<crypto::Certificate> certificate = crypto::Certificate::FromDer(der);
    if (!certificate.ok()) {
      return Bad("certificate " + std::to_string(chain.size() + 1) + " does not parse: " + certificate.error().text);
    }
    // A chain may leave its root out and only name it; when it begins with one, the hash must be that root's.
    if (chain.empty() && certificate->SubjectName() == certificate->IssuerName() &&
        !EqualConstantTime(crypto::Sha384(der), root_hash)) {
      return Bad("its root hash is not the hash of its root");
    }
    chain.push_back(*std::move(certificate));
  }
  if (chain.empty()) return Bad("it holds no certificate");
  return chain;
}

std::optional<CertificatePortion> PortionOf(ByteView chain, const GetCertificate& request, size_t most) {
  if (request.slot != 0 || request.length == 0 || request.offset >= chain.size() || most <= kPortionHeader) {
    return std::nullopt;
  }
  const size_t left = chain.size() - request.offset;
  const size_t size = std::min({left, size_t{request.length}, most - kPortionHeader});
  CertificatePortion portion;
  portion.version = request.version;
  portion.portion = ToBytes(chain.subspan(request.offset, size));
  portion.remainder = static_cast<uint16_t>(left - size);
  return portion;
}

GetCertificate ChainReader::Next() const {
  GetCertificate request;
  request.version = version_;
  request.offset = static_cast<uint16_t>(chain_.size());
  request.length = static_cast<uint16_t>(std::min(portion_, kMaxChain));
  return request;
}

Status ChainReader::Add(const CertificatePortion& portion) {
  if (portion.slot != 0 || portion.portion.empty() || portion.portion.size() > Next().length) {
    return Bad("GET_CERTIFICATE was answered with a portion that was not asked for");
  }
  const size_t says = chain_.size() + portion.portion.size() + portion.remainder;
  if (says > kMaxChain) return Bad("it is longer than 64 KiB");
  if (total_ != 0 && says != total_) return Bad("its length changed while it was read");
  total_ = says;
  Append(chain_, portion.portion);
  return Ok();
}

}  // namespace ccgpu::spdm
