#include "trust/spdm/session.h"

#include "base/crypto/digest.h"
#include "trust/spdm/constants.h"

namespace ccgpu::spdm {
namespace {

Bytes VerifyData(uint8_t version, ByteView direction_secret, ByteView transcript) {
  Bytes key = FinishedKey(version, direction_secret);
  Bytes out = crypto::Hmac(crypto::Hash::kSha384, key, crypto::Sha384(transcript));
  Wipe(key);
  return out;
}

RecordCipher MakeCipher(uint8_t version, ByteView secret) {
  RecordKey key = DeriveRecordKey(version, secret);
  RecordCipher cipher(key);
  Wipe(key.key);
  return cipher;
}

}  // namespace

Session::Session(Role role, uint8_t version, uint32_t id, ByteView dhe_secret, ByteView th1_hash)
    : role_(role),
      version_(version),
      id_(id),
      handshake_(DeriveHandshakeSecrets(version, dhe_secret, th1_hash)),
      outgoing_(MakeCipher(version, role == Role::kRequester ? handshake_.request : handshake_.response)),
      incoming_(MakeCipher(version, role == Role::kRequester ? handshake_.response : handshake_.request)) {}

Session::~Session() {
  for (Bytes* secret : {&handshake_.handshake, &handshake_.request, &handshake_.response, &data_.master, &data_.request,
                        &data_.response, &data_.export_master, &export_master_}) {
    Wipe(*secret);
  }
}

void Session::SetRequestCipher(ByteView secret) {
  (role_ == Role::kRequester ? outgoing_ : incoming_) = MakeCipher(version_, secret);
}

void Session::SetResponseCipher(ByteView secret) {
  (role_ == Role::kRequester ? incoming_ : outgoing_) = MakeCipher(version_, secret);
}

Bytes Session::ResponderVerifyData(ByteView covered) const {
  return VerifyData(version_, handshake_.response, covered);
}

Bytes Session::RequesterVerifyData(ByteView covered) const { return VerifyData(version_, handshake_.request, covered); }

void Session::Establish(ByteView th2_hash) {
  data_ = DeriveDataSecrets(version_, handshake_.handshake, th2_hash);
  export_master_ = data_.export_master;
  for (Bytes* secret : {&handshake_.handshake, &handshake_.request, &handshake_.response, &data_.master}) {
    Wipe(*secret);
    secret->clear();
  }
  SetRequestCipher(data_.request);
  SetResponseCipher(data_.response);
  transcript.clear();
  phase_ = Phase::kEstablished;
}

void Session::UpdateRequestKey() {
  Bytes next = UpdatedSecret(version_, data_.request);
  Wipe(data_.request);
  data_.request = std::move(next);
  SetRequestCipher(data_.request);
}

void Session::UpdateResponseKey() {
  Bytes next = UpdatedSecret(version_, data_.response);
  Wipe(data_.response);
  data_.response = std::move(next);
  SetResponseCipher(data_.response);
}

}  // namespace ccgpu::spdm
