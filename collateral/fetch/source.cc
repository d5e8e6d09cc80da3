#include "collateral/fetch/source.h"

#include <algorithm>

#include "base/encoding.h"
#include "collateral/fetch/nvidia.h"
#include "trust/evidence/crl.h"
#include "trust/evidence/ocsp.h"
#include "trust/evidence/rim.h"

namespace ccgpu::collateral {
namespace {

std::string Hours(std::chrono::seconds age) {
  return std::to_string(std::chrono::duration_cast<std::chrono::minutes>(age).count()) + " minutes";
}

std::string Two(unsigned value) { return (value < 10 ? "0" : "") + std::to_string(value); }

}  // namespace

Result<FetchAnswer> Source::Ask(const FetchRequest& request, std::chrono::seconds lifetime, const std::string& what,
                                const std::function<Status(const std::string&)>& check) {
  const std::optional<CachedAnswer> cached = cache_ ? cache_->Find(request) : std::nullopt;
  const std::chrono::seconds age = cached ? now_ - cached->fetched_at : std::chrono::seconds(0);
  if (cached && age >= std::chrono::seconds(0) && age <= lifetime) {
    ++found_.from_cache;
    return cached->answer;
  }
  if (progress_) progress_(what, found_.fetched + found_.from_cache);
  Result<FetchAnswer> answer =
      policy_.offline ? Result<FetchAnswer>(Err("collateral.offline", request.url, "was not asked: --offline"))
                      : fetcher_.Fetch(request);
  // An answer that is not what was asked for is as good as none, and must not replace a good one in the cache.
  if (answer.ok()) {
    if (Status good = check(answer->body); !good.ok()) answer = Result<FetchAnswer>(good.error());
  }
  if (answer.ok()) {
    ++found_.fetched;
    if (cache_) {
      if (Status kept = cache_->Keep(request, *answer, now_); !kept.ok()) Fail(kept.error());
    }
    return answer;
  }
  const bool away = answer.error().code == "collateral.unreachable" || answer.error().code == "collateral.offline";
  if (cached && away && age >= std::chrono::seconds(0) && age <= policy_.stale_while_offline) {
    ++found_.from_cache;
    Fail(Err("collateral.stale", what,
             "an answer of " + Hours(age) + " ago is used: " + answer.error().subject + " " + answer.error().text),
         true);
    return cached->answer;
  }
  Error error = answer.error();
  if (cached && away) {
    error.text += "; the cache has an answer of " + Hours(age) +
                  " ago, which --stale-while-offline would allow for at most " + Hours(policy_.stale_while_offline);
  }
  return error;
}

Result<std::string> Source::Get(const FetchRequest& request, std::chrono::seconds lifetime, const std::string& what,
                                const std::function<Status(const std::string&)>& check) {
  ASSIGN_OR_RETURN(FetchAnswer answer, Ask(request, lifetime, what, check));
  return std::move(answer.body);
}

void Source::AddChain(const std::vector<crypto::Certificate>& leaf_first) {
  for (size_t i = 0; i + 1 < leaf_first.size(); ++i) {
    const crypto::Certificate &subject = leaf_first[i], &issuer = leaf_first[i + 1];
    const std::string key = OcspKey(subject, issuer);
    if (std::find(asked_.begin(), asked_.end(), key) != asked_.end()) continue;
    asked_.push_back(key);
    const auto is_about = [&](const std::string& body) -> Status {
      auto response = evidence::ParseOcspResponse(AsBytes(body));
      if (!response.ok()) return response.error();
      for (const auto& single : response->singles) {
        if (single.IsAbout(subject, issuer)) return Ok();
      }
      return Err("collateral.wrong-answer", urls_.ocsp, "answers about another certificate");
    };
    auto answer = Get(OcspRequest(urls_.ocsp, subject, issuer), policy_.ocsp_lifetime,
                      "revocation of " + subject.SubjectCommonName(), is_about);
    if (!answer.ok()) {
      Fail(Err("collateral.ocsp-unavailable", subject.SubjectName(), answer.error().ToString()));
      continue;
    }
    Document document{Kind::kOcsp, "ocsp-" + HexEncode(subject.SerialNumber()).substr(0, 40), std::move(*answer)};
    found_.documents.push_back(std::move(document));
  }
}

void Source::ForRim(const std::string& id) {
  if (std::find(asked_.begin(), asked_.end(), id) != asked_.end()) return;
  asked_.push_back(id);
  const auto request = RimRequest(urls_.rim, id);
  if (!request.ok()) return Fail(request.error());
  const auto is_rim = [&](const std::string& body) -> Status {
    auto rim = RimOfAnswer(body, id);
    return rim.ok() ? Ok() : Status(rim.error());
  };
  auto answer = Get(*request, policy_.rim_lifetime, "RIM " + id, is_rim);
  auto rim = answer.ok() ? RimOfAnswer(*answer, id) : Result<Document>(answer.error());
  if (!rim.ok()) {
    Fail(Err("collateral.rim-unavailable", id, rim.error().ToString()));
    return;
  }
  auto parsed = evidence::ParseRim(rim->content);
  found_.documents.push_back(std::move(*rim));
  if (parsed.ok()) AddChain(parsed->chain);
}

void Source::ForGpu(const evidence::GpuEvidence& gpu) {
  AddChain(CheckableChain(gpu));
  const auto rims = RimIdsOf(gpu);
  if (!rims.ok()) return Fail(rims.error());
  for (const std::string& id : *rims) ForRim(id);
}

std::string KdsProduct(const evidence::SnpReport& report) {
  const bool short_id = std::all_of(report.chip_id.begin() + 8, report.chip_id.end(), [](uint8_t b) { return b == 0; });
  if (report.version < 3) return short_id ? "" : "Milan";
  if (report.cpuid_family == 0x19) return report.cpuid_model <= 0x0f ? "Milan" : "Genoa";
  if (report.cpuid_family == 0x1a) return "Turin";
  return "";
}

std::string VcekUrl(const std::string& kds, const evidence::SnpReport& report) {
  const evidence::TcbParts tcb = evidence::SplitTcb(report.reported_tcb, report.IsTurin());
  const std::string chip = HexEncode(ByteView(report.chip_id).first(report.IsTurin() ? 8 : 64));
  std::string out = kds + "/vcek/v1/" + KdsProduct(report) + "/" + chip + "?";
  if (tcb.fmc) out += "fmcSPL=" + Two(*tcb.fmc) + "&";
  return out + "blSPL=" + Two(tcb.bootloader) + "&teeSPL=" + Two(tcb.tee) + "&snpSPL=" + Two(tcb.snp) +
         "&ucodeSPL=" + Two(tcb.microcode);
}

void Source::ForSnp(const evidence::SnpEvidence& snp) {
  auto report = evidence::ParseSnpReport(snp.report);
  if (!report.ok()) return Fail(report.error());
  std::string product = KdsProduct(*report);
  bool have_leaf = false;
  for (const evidence::SnpCertificate& certificate : snp.certificates) {
    if (certificate.type != "VCEK" && certificate.type != "VLEK") continue;
    have_leaf = true;
    if (auto parsed = crypto::Certificate::FromDer(certificate.der); product.empty() && parsed.ok()) {
      if (auto facts = evidence::ReadVcekExtensions(*parsed); facts.ok())
        product = facts->product.substr(0, facts->product.find('-'));
    }
  }
  if (product.empty())
    return Fail(Err("collateral.unknown-product", "snp/report",
                    "no AMD product can be told from it, so that no URL of AMD's key service can be made"));
  const bool vlek = report->SigningKey() == 1;
  const std::string base = urls_.kds + (vlek ? "/vlek/v1/" : "/vcek/v1/") + product;
  const auto add_certificates = [&](const FetchRequest& request, const std::string& what) {
    const auto check = [&](const std::string& body) -> Status {
      auto list = Recognise(body, "amd");
      return list.ok() ? Ok() : Status(list.error());
    };
    auto answer = Get(request, policy_.certificate_lifetime, what, check);
    if (!answer.ok()) return Fail(Err("collateral.kds-unavailable", what, answer.error().ToString()));
    auto list = Recognise(*answer, "amd");
    if (list.ok()) found_.documents.insert(found_.documents.end(), list->begin(), list->end());
  };
  if (!have_leaf) {
    if (vlek) {
      Fail(Err(
          "collateral.no-vlek", "snp/report",
          "was signed by a VLEK, which only the cloud provider hands out: take it from the guest's certificate table"));
    } else if (std::all_of(report->chip_id.begin(), report->chip_id.end(), [](uint8_t b) { return b == 0; })) {
      Fail(Err("collateral.masked-chip", "snp/report", "masks its CHIP_ID: AMD's key service cannot find its VCEK"));
    } else {
      add_certificates({VcekUrl(urls_.kds, *report), "", ""}, "VCEK of this chip");
    }
  }
  add_certificates({base + "/cert_chain", "", ""}, product + " certificate chain");
  AddCrl(base + "/crl", "amd-" + product, product + " revocation list", "collateral.kds-unavailable");
}

void Source::AddCrl(const std::string& url, const std::string& name, const std::string& what, Reason unavailable) {
  const auto is_crl = [](const std::string& body) -> Status {
    auto parsed = evidence::ParseCrl(AsBytes(body));
    return parsed.ok() ? Ok() : Status(parsed.error());
  };
  auto answer = Get({url, "", ""}, policy_.list_lifetime, what, is_crl);
  if (!answer.ok()) return Fail(Err(unavailable, what, answer.error().ToString()));
  found_.documents.push_back({Kind::kCrl, name, std::move(*answer)});
}

void Source::ForTdx(const evidence::TdxEvidence& tdx) {
  const auto requests = PcsRequestsFor(tdx, urls_.pcs, urls_.intel_root_crl);
  if (!requests.ok()) return Fail(requests.error());
  constexpr Reason kUnavailable = "collateral.pcs-unavailable";
  for (const PcsRequest& request : *requests) {
    switch (request.kind) {
      case PcsRequest::Kind::kTcbInfo:
        AddIntel(request, Kind::kIntelTcbInfo, kUnavailable, [](const std::string& body) -> Status {
          auto parsed = evidence::ParseTcbInfo(body);
          return parsed.ok() ? Ok() : Status(parsed.error());
        });
        break;
      case PcsRequest::Kind::kQeIdentity:
        AddIntel(request, Kind::kIntelQeIdentity, kUnavailable, [](const std::string& body) -> Status {
          auto parsed = evidence::ParseQeIdentity(body);
          return parsed.ok() ? Ok() : Status(parsed.error());
        });
        break;
      case PcsRequest::Kind::kPckCrl: AddCrl(request.url, "intel-pck", request.what, kUnavailable); break;
      case PcsRequest::Kind::kRootCrl: AddCrl(request.url, "intel-root", request.what, kUnavailable); break;
    }
  }
}

void Source::AddIntel(const PcsRequest& request, Kind kind, Reason unavailable,
                      const std::function<Status(const std::string&)>& check) {
  auto answer = Ask({request.url, "", ""}, policy_.list_lifetime, request.what, check);
  if (!answer.ok()) return Fail(Err(unavailable, request.what, answer.error().ToString()));
  Document document{kind, "", IntelText({answer->body, IssuerChainOf(request, *answer)})};
  document.name = NameOfContent(document);
  found_.documents.push_back(std::move(document));
}

Found Source::Take() {
  Deduplicate(found_.documents);
  return std::move(found_);
}

}  // namespace ccgpu::collateral
