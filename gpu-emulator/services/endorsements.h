// Everything that the emulator's authorities say about boards and firmware: RIMs and certificate status (OCSP).
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "gpu-emulator/faults/fault.h"
#include "gpu-emulator/identity/collateral_item.h"
#include "gpu-emulator/identity/device_pki.h"
#include "trust/evidence/ocsp.h"

namespace ccgpu::emulator {

// Any thread. `pki` and `clock` must outlive it.
class Endorsements {
 public:
  static constexpr std::chrono::hours kValidity{1};  // nextUpdate - thisUpdate of OCSP responses

  Endorsements(const DevicePki& pki, std::map<std::string, std::string> rims, const Clock& clock);

  // A board that the provisioner vouches for. Of those never announced, OCSP says "good" about the boards that another
  // emulator made under the same authorities (IsBoardSerial), and "unknown" about all else.
  void Announce(const BoardIdentity& board);
  // Revokes a board's identity certificate or the RIM signer's, puts it on hold, or restores it (kNone).
  void SetRevocation(const BoardIdentity& board, Revocation revocation);
  void SetRimSignerRevocation(Revocation revocation);

  std::vector<std::string> RimIds() const;
  std::optional<std::string> Rim(const std::string& id) const;

  // DER in, DER out: each request gets an answer, "malformedRequest" included.
  Bytes AnswerOcsp(ByteView request_der) const;
  // RIMs and fresh OCSP responses for the boards' chains (leaf and root excepted: nobody issues status for these) and
  // for the RIM signer's chain.
  std::vector<CollateralItem> CollateralFor(const std::vector<const BoardIdentity*>& boards) const;

 private:
  struct Subject {
    const Issuer* issuer;
    crypto::Certificate certificate;
  };
  const Issuer* FindIssuer(ByteView request_der) const;
  evidence::OcspAnswer StatusOf(const Issuer& issuer, ByteView serial) const;
  evidence::OcspSigner SignerOf(const Issuer& issuer) const;
  void AddStatus(const Issuer& issuer, const crypto::Certificate& certificate,
                 std::vector<CollateralItem>& items) const;

  const DevicePki& pki_;
  const std::map<std::string, std::string> rims_;
  const Clock& clock_;
  const std::vector<const Issuer*> issuers_;
  mutable std::mutex mutex_;
  std::map<const Issuer*, std::set<Bytes>> issued_;
  struct Revoked {
    Revocation reason;
    TimePoint since;
  };
  void SetRevocation(const Issuer& issuer, ByteView serial, Revocation revocation);
  std::map<std::pair<const Issuer*, Bytes>, Revoked> revoked_;  // by issuer and serial number
};

}  // namespace ccgpu::emulator
