// The writing side of intel_documents.h, for the emulator and for tests.
#include "base/encoding.h"
#include "base/json.h"
#include "trust/evidence/intel_documents.h"

namespace ccgpu::evidence {
namespace {

using OrderedJson = nlohmann::ordered_json;

std::string Upper(std::string hex) {
  for (char& c : hex) c = static_cast<char>(c >= 'a' && c <= 'f' ? c - 'a' + 'A' : c);
  return hex;
}
std::string Hex(ByteView bytes) { return Upper(HexEncode(bytes)); }

void AddVerdict(OrderedJson& level, const TcbVerdict& verdict) {
  level["tcbDate"] = verdict.date;
  level["tcbStatus"] = TcbStatusName(verdict.status);
  if (!verdict.advisories.empty()) level["advisoryIDs"] = verdict.advisories;
}

OrderedJson LevelsJson(const std::vector<EnclaveTcbLevel>& levels) {
  OrderedJson out = OrderedJson::array();
  for (const EnclaveTcbLevel& level : levels) {
    OrderedJson one;
    one["tcb"]["isvsvn"] = level.isv_svn;
    AddVerdict(one, level.verdict);
    out.push_back(std::move(one));
  }
  return out;
}

OrderedJson ComponentsJson(const std::array<uint8_t, 16>& components) {
  OrderedJson out = OrderedJson::array();
  for (const uint8_t svn : components) out.push_back({{"svn", svn}});
  return out;
}

OrderedJson ModuleJson(const TdxModuleIdentity& module) {
  OrderedJson out;
  if (!module.id.empty()) out["id"] = module.id;
  out["mrsigner"] = Hex(module.mr_signer);
  out["attributes"] = Hex(module.attributes);
  out["attributesMask"] = Hex(module.attributes_mask);
  if (!module.id.empty()) out["tcbLevels"] = LevelsJson(module.levels);
  return out;
}

std::string Signed(const char* name, const OrderedJson& inner, const crypto::PrivateKey& key) {
  const std::string text = inner.dump();
  const Bytes signature = key.SignRaw(crypto::Hash::kSha256, AsBytes(text));
  return std::string("{\"") + name + "\":" + text + ",\"signature\":\"" + HexEncode(signature) + "\"}";
}

}  // namespace

std::string MakeTcbInfo(const TcbInfo& info, const crypto::PrivateKey& key) {
  OrderedJson out;
  out["id"] = "TDX";
  out["version"] = 3;
  out["issueDate"] = FormatTime(info.issue_date);
  out["nextUpdate"] = FormatTime(info.next_update);
  out["fmspc"] = Hex(info.fmspc);
  out["pceId"] = Hex(info.pce_id);
  out["tcbType"] = info.tcb_type;
  out["tcbEvaluationDataNumber"] = info.evaluation_number;
  out["tdxModule"] = ModuleJson(info.module);
  if (!info.modules.empty()) out["tdxModuleIdentities"] = OrderedJson::array();
  for (const TdxModuleIdentity& module : info.modules) out["tdxModuleIdentities"].push_back(ModuleJson(module));
  out["tcbLevels"] = OrderedJson::array();
  for (const PlatformTcbLevel& level : info.levels) {
    OrderedJson one;
    one["tcb"]["sgxtcbcomponents"] = ComponentsJson(level.sgx);
    one["tcb"]["pcesvn"] = level.pce_svn;
    one["tcb"]["tdxtcbcomponents"] = ComponentsJson(level.tdx);
    AddVerdict(one, level.verdict);
    out["tcbLevels"].push_back(std::move(one));
  }
  return Signed("tcbInfo", out, key);
}

std::string MakeQeIdentity(const QeIdentity& identity, const crypto::PrivateKey& key) {
  OrderedJson out;
  out["id"] = "TD_QE";
  out["version"] = 2;
  out["issueDate"] = FormatTime(identity.issue_date);
  out["nextUpdate"] = FormatTime(identity.next_update);
  out["tcbEvaluationDataNumber"] = identity.evaluation_number;
  out["miscselect"] = Hex(identity.misc_select);
  out["miscselectMask"] = Hex(identity.misc_select_mask);
  out["attributes"] = Hex(identity.attributes);
  out["attributesMask"] = Hex(identity.attributes_mask);
  out["mrsigner"] = Hex(identity.mr_signer);
  out["isvprodid"] = identity.isv_prod_id;
  out["tcbLevels"] = LevelsJson(identity.levels);
  return Signed("enclaveIdentity", out, key);
}

}  // namespace ccgpu::evidence
