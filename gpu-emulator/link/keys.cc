// Apart from rpc.cc, so that libnvidia-ml, which only passes words along, links no cryptography.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "base/crypto/digest.h"
#include "gpu-emulator/link/cipher.h"
#include "gpu-emulator/link/rpc.h"

namespace ccgpu::link {
namespace {

template <size_t N>
std::array<uint8_t, N> ToArray(const Bytes& bytes) {
  std::array<uint8_t, N> out{};
  if (bytes.size() != N) std::abort();
  std::memcpy(out.data(), bytes.data(), N);
  return out;
}

}  // namespace

std::string KeyLabel(uint32_t channel, bool d2h) {
  char label[24];
  std::snprintf(label, sizeof label, "Lce%02u_%s_user", channel % 100, d2h ? "d2h" : "h2d");
  return label;
}

std::array<uint8_t, 32> DeriveKey(ByteView emk, std::string_view label) {
  return ToArray<32>(crypto::HkdfExpand(crypto::Hash::kSha256, emk, AsBytes(label), 32));
}

std::array<uint8_t, 32> RotateKey(const std::array<uint8_t, 32>& key, std::string_view label) {
  return ToArray<32>(crypto::HkdfExpand(crypto::Hash::kSha256, crypto::Sha256(key), AsBytes(label), 32));
}

CipherKey KeyOf(const ChannelOffer& offer, bool d2h, ByteView emk) {
  CipherKey key;
  key.label = KeyLabel(offer.channel, d2h);
  key.channel_counter = offer.channel_counter;
  key.iv_mask = d2h ? offer.d2h_mask : offer.h2d_mask;
  if (emk.empty()) return key;
  key.key = DeriveKey(emk, key.label);
  for (uint32_t i = 0; i < offer.generation; ++i) key.key = RotateKey(key.key, key.label);
  return key;
}

}  // namespace ccgpu::link
