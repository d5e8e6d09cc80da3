#include "trust/evidence/intel_documents.h"

#include <set>

#include "base/encoding.h"
#include "base/json.h"

namespace ccgpu::evidence {
namespace {

constexpr size_t kMaxLevels = 256, kMaxModules = 64, kMaxAdvisories = 256;

struct StatusWord {
  TcbStatus status;
  const char* name;
};
constexpr StatusWord kStatuses[] = {
    {TcbStatus::kUpToDate, "UpToDate"},
    {TcbStatus::kSwHardeningNeeded, "SWHardeningNeeded"},
    {TcbStatus::kConfigurationNeeded, "ConfigurationNeeded"},
    {TcbStatus::kConfigurationAndSwHardeningNeeded, "ConfigurationAndSWHardeningNeeded"},
    {TcbStatus::kOutOfDate, "OutOfDate"},
    {TcbStatus::kOutOfDateConfigurationNeeded, "OutOfDateConfigurationNeeded"},
    {TcbStatus::kRevoked, "Revoked"},
};

// Reads one object member by member. The first error sticks; Done() gives it, or names members that nobody asked for.
class Members {
 public:
  Members(const Json& json, std::string where) : where_(std::move(where)) {
    if (json.is_object()) json_ = &json;
    else Fail("", "is not an object");
  }
  const Json* Find(const char* key, bool required = true) {
    seen_.insert(key);
    if (json_ == nullptr) return nullptr;
    const auto it = json_->find(key);
    if (it != json_->end()) return &*it;
    if (required) Fail(key, "is missing");
    return nullptr;
  }
  std::string Text(const char* key, bool required = true) {
    const Json* value = Find(key, required);
    if (value == nullptr) return "";
    if (!value->is_string()) return Fail(key, "is not a string"), "";
    return value->get<std::string>();
  }
  void Word(const char* key, const std::string& expected) {
    if (Text(key) != expected) Fail(key, "is not \"" + expected + "\"");
  }
  uint32_t Number(const char* key, uint32_t most) {
    const Json* value = Find(key);
    if (value == nullptr) return 0;
    if (!value->is_number_unsigned() || value->get<uint64_t>() > most)
      return Fail(key, "is not a number from 0 to " + std::to_string(most)), 0;
    return value->get<uint32_t>();
  }
  Bytes Hex(const char* key, size_t size) {
    auto bytes = HexDecode(Text(key));
    if (!bytes.ok() || bytes->size() != size) {
      Fail(key, "is not " + std::to_string(2 * size) + " hexadecimal digits");
      return Bytes(size);
    }
    return *bytes;
  }
  TimePoint Time(const char* key) {
    auto time = ParseTime(Text(key));
    if (!time.ok()) return Fail(key, "is not a time"), TimePoint{};
    return *time;
  }
  template <class Item>
  void List(const char* key, size_t most, bool required, const Item& item) {
    const Json* value = Find(key, required);
    if (value == nullptr) return;
    if (!value->is_array() || value->size() > most)
      return Fail(key, "is not a list of at most " + std::to_string(most));
    for (size_t i = 0; i < value->size(); ++i) {
      Status status = item((*value)[i], where_ + "." + key + "[" + std::to_string(i) + "]");
      if (!status.ok() && status_.ok()) status_ = std::move(status);
    }
  }
  const std::string& where() const { return where_; }
  void Fail(const std::string& key, const std::string& text) {
    if (status_.ok())
      status_ = Err("intel.document-malformed", where_ + (key.empty() ? "" : "." + key), std::string(text));
  }
  Status Done() {
    if (status_.ok() && json_ != nullptr) {
      for (const auto& [key, value] : json_->items()) {
        if (!seen_.contains(key)) Fail(key, "is not a known member");
      }
    }
    return status_;
  }

 private:
  const Json* json_ = nullptr;
  std::string where_;
  std::set<std::string> seen_;
  Status status_ = Ok();
};

// The bytes of member `key` of a top-level object that ParseJson has accepted: so its syntax is right, its keys are
// distinct and its strings are closed. Keys with escapes in them are none of ours.
std::string_view RawMember(std::string_view text, std::string_view key) {
  size_t depth = 0, start = 0;
  std::string_view current;
  bool value = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '"') {
      const size_t open = i + 1;
      for (++i; text[i] != '"'; ++i) i += text[i] == '\\' ? 1 : 0;
      if (depth == 1 && !value) current = text.substr(open, i - open);
    } else if (c == '{' || c == '[') {
      ++depth;
    } else if (c == ':' && depth == 1) {
      value = true;
      start = i + 1;
    } else if ((c == ',' && depth == 1) || c == '}' || c == ']') {
      if (c != ',') --depth;
      if (value && ((c == ',' && depth == 1) || depth == 0)) {
        value = false;
        if (current == key) return text.substr(start, i - start);
      }
    }
  }
  return {};
}

std::string_view Trim(std::string_view text) {
  static constexpr std::string_view kSpace = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// {"<name>":{..},"signature":".."} -> the inner object; `out` gets its bytes and the signature.
Result<Json> ReadSigned(std::string_view body, const char* name, SignedText& out) {
  auto json = ParseJson(body, name, 16);
  if (!json.ok()) return Err("intel.document-malformed", name, json.error().text);
  Members top(*json, name);
  const Json* inner = top.Find(name);
  out.signature = top.Hex("signature", 64);
  RETURN_IF_ERROR(top.Done());
  out.text = std::string(Trim(RawMember(body, name)));
  return *inner;
}

TcbVerdict ReadVerdict(Members& level) {
  TcbVerdict out;
  out.date = level.Text("tcbDate");
  const auto status = ParseTcbStatus(level.Text("tcbStatus"));
  if (status) out.status = *status;
  else level.Fail("tcbStatus", "is no TCB status that is known here");
  level.List("advisoryIDs", kMaxAdvisories, false, [&](const Json& item, const std::string& where) -> Status {
    if (!item.is_string()) return Err("intel.document-malformed", where, "is not a string");
    out.advisories.push_back(item.get<std::string>());
    return Ok();
  });
  return out;
}

Status ReadEnclaveLevel(const Json& json, const std::string& where, EnclaveTcbLevel& out) {
  Members level(json, where);
  if (const Json* tcb = level.Find("tcb")) {
    Members members(*tcb, where + ".tcb");
    out.isv_svn = static_cast<uint16_t>(members.Number("isvsvn", 0xffff));
    RETURN_IF_ERROR(members.Done());
  }
  out.verdict = ReadVerdict(level);
  return level.Done();
}

Status ReadEnclaveLevels(Members& from, std::vector<EnclaveTcbLevel>& out) {
  from.List("tcbLevels", kMaxLevels, true, [&](const Json& item, const std::string& where) {
    return ReadEnclaveLevel(item, where, out.emplace_back());
  });
  return Ok();
}

void ReadComponents(Members& tcb, const char* key, std::array<uint8_t, 16>& out) {
  size_t count = 0;
  tcb.List(key, 16, true, [&](const Json& item, const std::string& where) -> Status {
    Members component(item, where);
    out[count++] = static_cast<uint8_t>(component.Number("svn", 255));
    component.Text("category", false);
    component.Text("type", false);
    return component.Done();
  });
  if (count != 16) tcb.Fail(key, "does not hold 16 components");
}

Status ReadPlatformLevel(const Json& json, const std::string& where, PlatformTcbLevel& out) {
  Members level(json, where);
  if (const Json* tcb = level.Find("tcb")) {
    Members members(*tcb, where + ".tcb");
    ReadComponents(members, "sgxtcbcomponents", out.sgx);
    ReadComponents(members, "tdxtcbcomponents", out.tdx);
    out.pce_svn = static_cast<uint16_t>(members.Number("pcesvn", 0xffff));
    RETURN_IF_ERROR(members.Done());
  }
  out.verdict = ReadVerdict(level);
  return level.Done();
}

Status ReadModule(const Json& json, const std::string& where, bool listed, TdxModuleIdentity& out) {
  Members module(json, where);
  out.mr_signer = module.Hex("mrsigner", 48);
  out.attributes = module.Hex("attributes", 8);
  out.attributes_mask = module.Hex("attributesMask", 8);
  if (listed) {
    out.id = module.Text("id");
    RETURN_IF_ERROR(ReadEnclaveLevels(module, out.levels));
  }
  return module.Done();
}

}  // namespace

const char* TcbStatusName(TcbStatus status) {
  for (const StatusWord& word : kStatuses) {
    if (word.status == status) return word.name;
  }
  return "unknown";
}

std::optional<TcbStatus> ParseTcbStatus(std::string_view name) {
  for (const StatusWord& word : kStatuses) {
    if (name == word.name) return word.status;
  }
  return std::nullopt;
}

Result<TcbInfo> ParseTcbInfo(std::string_view body) {
  TcbInfo out;
  ASSIGN_OR_RETURN(const Json json, ReadSigned(body, "tcbInfo", out.signature));
  Members info(json, "tcbInfo");
  info.Word("id", "TDX");
  if (info.Number("version", 0xffff) != 3) info.Fail("version", "is not 3");
  out.issue_date = info.Time("issueDate");
  out.next_update = info.Time("nextUpdate");
  out.fmspc = info.Hex("fmspc", 6);
  out.pce_id = info.Hex("pceId", 2);
  out.tcb_type = info.Number("tcbType", 0xffff);
  out.evaluation_number = info.Number("tcbEvaluationDataNumber", 0xffffffff);
  if (const Json* module = info.Find("tdxModule"))
    RETURN_IF_ERROR(ReadModule(*module, "tcbInfo.tdxModule", false, out.module));
  std::set<std::string> ids;
  info.List("tdxModuleIdentities", kMaxModules, false, [&](const Json& item, const std::string& where) -> Status {
    RETURN_IF_ERROR(ReadModule(item, where, true, out.modules.emplace_back()));
    if (!ids.insert(out.modules.back().id).second)
      return Err("intel.document-malformed", where + ".id", "is there twice");
    return Ok();
  });
  info.List("tcbLevels", kMaxLevels, true, [&](const Json& item, const std::string& where) {
    return ReadPlatformLevel(item, where, out.levels.emplace_back());
  });
  RETURN_IF_ERROR(info.Done());
  return out;
}

Result<QeIdentity> ParseQeIdentity(std::string_view body) {
  QeIdentity out;
  ASSIGN_OR_RETURN(const Json json, ReadSigned(body, "enclaveIdentity", out.signature));
  Members identity(json, "enclaveIdentity");
  identity.Word("id", "TD_QE");
  if (identity.Number("version", 0xffff) != 2) identity.Fail("version", "is not 2");
  out.issue_date = identity.Time("issueDate");
  out.next_update = identity.Time("nextUpdate");
  out.evaluation_number = identity.Number("tcbEvaluationDataNumber", 0xffffffff);
  out.misc_select = identity.Hex("miscselect", 4);
  out.misc_select_mask = identity.Hex("miscselectMask", 4);
  out.attributes = identity.Hex("attributes", 16);
  out.attributes_mask = identity.Hex("attributesMask", 16);
  out.mr_signer = identity.Hex("mrsigner", 32);
  out.isv_prod_id = static_cast<uint16_t>(identity.Number("isvprodid", 0xffff));
  RETURN_IF_ERROR(ReadEnclaveLevels(identity, out.levels));
  RETURN_IF_ERROR(identity.Done());
  return out;
}

}  // namespace ccgpu::evidence
