// The SPDM certificate chain, which DIGESTS hashes and CERTIFICATE carries in portions, as either end needs it:
//
//   length u16 | reserved u16 | SHA-384 of the root | certificates, DER, root (which may be left out) to leaf
#pragma once

#include "base/crypto/x509.h"
#include "trust/spdm/messages.h"

namespace ccgpu::spdm {

// Precondition: at least one certificate, under 64 KiB in all; anything else ends the program.
Bytes EncodeChain(const std::vector<Bytes>& chain_der);
// 1 to 16 certificates; a first one that is self-issued must be the root that the hash names. Nothing is said about
// signatures, dates or trust. Code: spdm.certificate.
Result<std::vector<crypto::Certificate>> DecodeChain(ByteView structure);

// The portion of `chain` that `request` asks for, in a CERTIFICATE of at most `most` bytes. Nothing when the request
// asks for another slot than 0, for no byte or for what lies behind the end.
std::optional<CertificatePortion> PortionOf(ByteView chain, const GetCertificate& request, size_t most);

// Collects the portions of slot 0.
class ChainReader {
 public:
  // `portion`: the most bytes to ask for at once.
  ChainReader(uint8_t version, size_t portion) : version_(version), portion_(portion) {}
  GetCertificate Next() const;                    // the request for what is still missing
  Status Add(const CertificatePortion& portion);  // spdm.certificate: not what Next() asked for
  bool done() const { return !chain_.empty() && chain_.size() == total_; }
  const Bytes& chain() const { return chain_; }

 private:
  uint8_t version_;
  size_t portion_;
  size_t total_ = 0;
  Bytes chain_;
};

}  // namespace ccgpu::spdm
