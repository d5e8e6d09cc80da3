#include "trust/evidence/tdx_quote.h"

#include <algorithm>

namespace ccgpu::evidence {
namespace {

constexpr uint16_t kBodyTdx10 = 2, kBodyTdx15 = 3;
constexpr uint16_t kCertQeReport = 6, kCertPckChain = 5;

Error Bad(const Reader& at, std::string text) {
  return Err("tdx.quote-malformed", "", "at byte " + std::to_string(at.offset()) + ": " + std::move(text));
}

bool AllZero(ByteView bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](uint8_t b) { return b == 0; });
}

TdReport ReadBody(Reader& in, bool tdx15) {
  TdReport out;
  const auto take = [&](size_t size) { return ToBytes(in.Take(size)); };
  out.tee_tcb_svn = take(16);
  out.mr_seam = take(48);
  out.mr_signer_seam = take(48);
  out.seam_attributes = in.U64();
  out.td_attributes = in.U64();
  out.xfam = in.U64();
  out.mr_td = take(48);
  out.mr_config_id = take(48);
  out.mr_owner = take(48);
  out.mr_owner_config = take(48);
  for (Bytes& rtmr : out.rtmrs) rtmr = take(48);
  out.report_data = take(64);
  if (tdx15) {
    out.tee_tcb_svn2 = take(16);
    out.mr_service_td = take(48);
  }
  return out;
}

void WriteBody(Writer& out, const TdReport& body) {
  out.Raw(body.tee_tcb_svn).Raw(body.mr_seam).Raw(body.mr_signer_seam);
  out.U64(body.seam_attributes).U64(body.td_attributes).U64(body.xfam);
  out.Raw(body.mr_td).Raw(body.mr_config_id).Raw(body.mr_owner).Raw(body.mr_owner_config);
  for (const Bytes& rtmr : body.rtmrs) out.Raw(rtmr);
  out.Raw(body.report_data);
  if (body.tee_tcb_svn2) out.Raw(*body.tee_tcb_svn2).Raw(*body.mr_service_td);
}

// Header and body.
Writer WriteSigned(const TdxQuote& quote) {
  Writer out;
  out.U16(quote.version).U16(quote.key_type).U32(quote.tee_type).U16(quote.qe_svn).U16(quote.pce_svn);
  out.Raw(quote.vendor).Raw(quote.user_data);
  const bool tdx15 = quote.body.tee_tcb_svn2.has_value();
  if (quote.version == 5) {
    out.U16(tdx15 ? kBodyTdx15 : kBodyTdx10).U32(tdx15 ? kTdxBody15Size : kTdxBody10Size);
  }
  WriteBody(out, quote.body);
  return out;
}

// Which body follows the header, by its declared type and size.
Result<bool> IsTdx15(Reader& in, uint16_t version) {
  if (version == 4) return false;
  const uint16_t type = in.U16();
  const uint32_t size = in.U32();
  if (type == kBodyTdx10 && size == kTdxBody10Size) return false;
  if (type == kBodyTdx15 && size == kTdxBody15Size) return true;
  return Bad(in, "body type " + std::to_string(type) + " of " + std::to_string(size) +
                     " bytes; known are type 2 of 584 (TDX 1.0) and type 3 of 648 (TDX 1.5)");
}

// `in` is the QE's certification data: report, signature, authentication data, PCK chain, and nothing else.
Status ReadCertification(Reader& in, TdxQuote& out) {
  out.qe_report_bytes = ToBytes(in.Take(kQeReportSize));
  out.qe_signature = ToBytes(in.Take(64));
  const uint16_t auth_size = in.U16();
  out.qe_auth_data = ToBytes(in.Take(auth_size));
  const uint16_t type = in.U16();
  const uint32_t size = in.U32();
  if (in.ok() && type != kCertPckChain)
    return Bad(in, "inner certification data of type " + std::to_string(type) + ", expected 5 (PCK chain)");
  if (!in.ok() || size != in.remaining())
    return Bad(in, "the PCK chain's length does not end where the certification data ends");
  out.pck_chain = ToText(in.Rest());
  return Ok();
}

}  // namespace

Result<QeReport> ParseQeReport(ByteView bytes) {
  Reader in(bytes);
  QeReport out;
  const auto take = [&](size_t size) { return ToBytes(in.Take(size)); };
  const auto zeros = [&](size_t size) { return AllZero(in.Take(size)); };
  bool clean = true;
  out.cpu_svn = take(16);
  out.misc_select = in.U32();
  clean = zeros(12) && clean;
  out.isv_ext_prod_id = take(16);
  out.attributes = take(16);
  out.mr_enclave = take(32);
  clean = zeros(32) && clean;
  out.mr_signer = take(32);
  clean = zeros(32) && clean;
  out.config_id = take(64);
  out.isv_prod_id = in.U16();
  out.isv_svn = in.U16();
  out.config_svn = in.U16();
  clean = zeros(42) && clean;
  out.isv_family_id = take(16);
  out.report_data = take(64);
  if (!in.AtEnd()) return Bad(in, "a QE report has 384 bytes, not " + std::to_string(bytes.size()));
  if (!clean) return Bad(in, "reserved bytes of the QE report are not zero");
  return out;
}

Bytes EncodeQeReport(const QeReport& r) {
  Writer out;
  out.Raw(r.cpu_svn).U32(r.misc_select).Zeros(12).Raw(r.isv_ext_prod_id).Raw(r.attributes).Raw(r.mr_enclave).Zeros(32);
  out.Raw(r.mr_signer).Zeros(32).Raw(r.config_id).U16(r.isv_prod_id).U16(r.isv_svn).U16(r.config_svn).Zeros(42);
  out.Raw(r.isv_family_id).Raw(r.report_data);
  return out.Finish();
}

Result<TdxHeader> ParseTdxHeader(ByteView quote) {
  Reader in(quote);
  TdxHeader out;
  out.version = in.U16();
  out.key_type = in.U16();
  out.tee_type = in.U32();
  if (quote.size() < kTdxHeaderSize)
    return Bad(in, "a quote's header has 48 bytes, these are " + std::to_string(quote.size()));
  return out;
}

Result<TdxQuote> ParseTdxQuote(ByteView bytes) {
  if (bytes.size() > kMaxTdxQuoteSize)
    return Err("tdx.quote-malformed", "", std::to_string(bytes.size()) + " bytes; at most 65536 are read");
  ASSIGN_OR_RETURN(const TdxHeader header, ParseTdxHeader(bytes));
  Reader in(bytes);
  TdxQuote out;
  in.Skip(8);
  out.version = header.version;
  out.key_type = header.key_type;
  out.tee_type = header.tee_type;
  if (out.version != 4 && out.version != 5)
    return Bad(in, "version " + std::to_string(out.version) + "; known are 4 and 5");
  if (out.key_type != kTdxKeyEcdsaP256)
    return Bad(in, "attestation key type " + std::to_string(out.key_type) + "; known is 2 (ECDSA P-256)");
  out.qe_svn = in.U16();
  out.pce_svn = in.U16();
  out.vendor = ToBytes(in.Take(16));
  out.user_data = ToBytes(in.Take(20));
  ASSIGN_OR_RETURN(const bool tdx15, IsTdx15(in, out.version));
  out.body_offset = in.offset();
  out.body = ReadBody(in, tdx15);
  out.signed_size = in.offset();
  const uint32_t signature_size = in.U32();
  if (!in.ok()) return Bad(in, "the quote ends inside its body");
  if (signature_size > in.remaining()) {
    return Bad(in, "the signature data has " + std::to_string(signature_size) + " bytes, " +
                       std::to_string(in.remaining()) + " are left");
  }
  Reader data(in.Take(signature_size));
  out.size = in.offset();
  out.signature = ToBytes(data.Take(64));
  out.attestation_key = ToBytes(data.Take(64));
  const uint16_t type = data.U16();
  const uint32_t size = data.U32();
  if (!data.ok()) return Bad(in, "the signature data ends too early");
  if (type != kCertQeReport)
    return Bad(in, "certification data of type " + std::to_string(type) + ", expected 6 (QE report)");
  if (size != data.remaining()) return Bad(in, "the certification data's length does not end where the quote ends");
  RETURN_IF_ERROR(ReadCertification(data, out));
  return out;
}

Bytes EncodeTdxQuote(const TdxQuote& quote) {
  Writer inner;
  inner.Raw(quote.qe_report_bytes).Raw(quote.qe_signature).U16(quote.qe_auth_data.size()).Raw(quote.qe_auth_data);
  inner.U16(kCertPckChain).U32(quote.pck_chain.size()).Text(quote.pck_chain);
  Writer data;
  data.Raw(quote.signature).Raw(quote.attestation_key).U16(kCertQeReport).U32(inner.size()).Raw(inner.bytes());
  Writer out = WriteSigned(quote);
  out.U32(data.size()).Raw(data.bytes());
  return out.Finish();
}

Bytes AttestationKeyBinding(ByteView attestation_key, ByteView auth_data) {
  Bytes out = crypto::Sha256(Concat({attestation_key, auth_data}));
  out.resize(64);
  return out;
}

Bytes SignTdxQuote(TdxQuote& quote, const crypto::PrivateKey& attestation_key, QeReport qe,
                   const crypto::PrivateKey& pck) {
  quote.attestation_key = attestation_key.public_key().Point();
  qe.report_data = AttestationKeyBinding(quote.attestation_key, quote.qe_auth_data);
  quote.qe_report_bytes = EncodeQeReport(qe);
  quote.qe_signature = pck.SignRaw(crypto::Hash::kSha256, quote.qe_report_bytes);
  Writer body = WriteSigned(quote);
  quote.signature = attestation_key.SignRaw(crypto::Hash::kSha256, body.bytes());
  Bytes out = EncodeTdxQuote(quote);
  quote.body_offset = quote.version == 5 ? kTdxHeaderSize + 6 : kTdxHeaderSize;
  quote.signed_size = body.size();
  quote.size = out.size();
  return out;
}

}  // namespace ccgpu::evidence
