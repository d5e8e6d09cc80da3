#include "trust/evidence/tpm_quote.h"

#include <algorithm>

#include "base/encoding.h"

namespace ccgpu::evidence {
namespace {

constexpr size_t kMaxQuote = 4096, kMaxSelections = 16, kMaxBitmap = 8;

Error Bad(size_t offset, const std::string& text) {
  return Err("tpm.quote-malformed", "TPM quote", "at byte " + std::to_string(offset) + ": " + text);
}

Bytes Sized(Reader& in) { return ToBytes(in.Take(in.BigU16())); }
void PutSized(Writer& out, ByteView bytes) { out.BigU16(bytes.size()).Raw(bytes); }

}  // namespace

std::vector<uint32_t> TpmPcrSelection::Indices() const {
  std::vector<uint32_t> out;
  for (uint32_t i = 0; i < bitmap.size() * 8; ++i) {
    if (bitmap[i / 8] >> (i % 8) & 1) out.push_back(i);
  }
  return out;
}

TpmPcrSelection TpmPcrSelection::Of(uint16_t hash, const std::vector<uint32_t>& indices) {
  TpmPcrSelection out{hash, Bytes(3)};
  for (uint32_t i : indices) {
    if (i / 8 >= out.bitmap.size()) out.bitmap.resize(i / 8 + 1);
    out.bitmap[i / 8] = static_cast<uint8_t>(out.bitmap[i / 8] | 1 << (i % 8));
  }
  return out;
}

Result<TpmQuote> ParseTpmQuote(ByteView attest) {
  if (attest.size() > kMaxQuote) return Bad(0, "it has " + std::to_string(attest.size()) + " bytes, at most 4096");
  Reader in(attest);
  TpmQuote q;
  q.magic = in.BigU32();
  q.type = in.BigU16();
  if (!in.ok()) return Bad(0, "it is cut off");
  if (!q.IsQuote()) return q;
  q.qualified_signer = Sized(in);
  q.extra_data_offset = in.offset() + 2;
  q.extra_data = Sized(in);
  q.clock = in.BigU64();
  q.reset_count = in.BigU32();
  q.restart_count = in.BigU32();
  const size_t safe_at = in.offset();
  const uint8_t safe = in.U8();
  q.firmware_version = in.BigU64();
  q.selection_offset = in.offset();
  const uint32_t count = in.BigU32();
  if (!in.ok()) return Bad(in.offset(), "it is cut off");
  if (safe > 1) return Bad(safe_at, "the clock's safe flag is " + std::to_string(safe));
  q.clock_safe = safe == 1;
  if (count > kMaxSelections) return Bad(q.selection_offset, std::to_string(count) + " banks, at most 16");
  for (uint32_t i = 0; i < count; ++i) {
    TpmPcrSelection selection;
    selection.hash = in.BigU16();
    const uint8_t size = in.U8();
    if (size > kMaxBitmap) return Bad(q.selection_offset, "a selection bitmap of " + std::to_string(size) + " bytes");
    selection.bitmap = ToBytes(in.Take(size));
    q.selections.push_back(std::move(selection));
  }
  q.digest_offset = in.offset() + 2;
  q.pcr_digest = Sized(in);
  if (!in.ok()) return Bad(in.offset(), "it is cut off");
  if (!in.AtEnd()) return Bad(in.offset(), std::to_string(in.remaining()) + " bytes follow the quote");
  return q;
}

Bytes EncodeTpmQuote(const TpmQuote& q) {
  Writer out;
  out.BigU32(q.magic).BigU16(q.type);
  PutSized(out, q.qualified_signer);
  PutSized(out, q.extra_data);
  out.BigU64(q.clock).BigU32(q.reset_count).BigU32(q.restart_count).U8(q.clock_safe ? 1 : 0);
  out.BigU64(q.firmware_version).BigU32(q.selections.size());
  for (const TpmPcrSelection& s : q.selections) out.BigU16(s.hash).U8(s.bitmap.size()).Raw(s.bitmap);
  PutSized(out, q.pcr_digest);
  return out.Finish();
}

Result<TpmSignature> ParseTpmSignature(ByteView bytes) {
  Reader in(bytes);
  TpmSignature out;
  out.algorithm = in.BigU16();
  out.hash = in.BigU16();
  if (out.algorithm == tpm_alg::kRsaSsa || out.algorithm == tpm_alg::kRsaPss) {
    out.rsa = Sized(in);
  } else if (out.algorithm == tpm_alg::kEcDsa) {
    out.r = Sized(in);
    out.s = Sized(in);
  } else {
    return Err("tpm.quote-malformed", "TPM signature",
               "is of algorithm 0x" + HexEncode(Writer().BigU16(out.algorithm).bytes()) +
                   ", expected RSASSA, RSAPSS or ECDSA");
  }
  if (!in.AtEnd()) return Err("tpm.quote-malformed", "TPM signature", "does not end where it says");
  return out;
}

Bytes EncodeTpmSignature(const TpmSignature& signature) {
  Writer out;
  out.BigU16(signature.algorithm).BigU16(signature.hash);
  if (signature.algorithm == tpm_alg::kEcDsa) {
    PutSized(out, signature.r);
    PutSized(out, signature.s);
  } else {
    PutSized(out, signature.rsa);
  }
  return out.Finish();
}

}  // namespace ccgpu::evidence
