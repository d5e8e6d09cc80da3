#include "cli/evidence/diff.h"

#include <algorithm>
#include <charconv>

#include "trust/evidence/h100_components.h"

namespace ccgpu::cli {
namespace {

using Weight = Change::Weight;

struct Word {
  std::string_view member, words;
  Weight weight = Weight::kNotable;
};
constexpr Word kWords[] = {
    {"nonce", "nonce", Weight::kExpected},
    {"responder_nonce", "the device's own random number", Weight::kExpected},
    {"report_data", "REPORT_DATA (nonce, key and GPU evidence)", Weight::kExpected},
    {"report_id", "report id", Weight::kExpected},
    {"agent_key_sha256", "the agent's key"},
    {"driver_version", "driver version"},
    {"vbios_version", "VBIOS version"},
    {"bios_version", "BIOS version"},
    {"fwid", "firmware id that the attestation key is for"},
    {"mode", "confidential computing mode"},
    {"multi_gpu", "multi-GPU mode"},
    {"linked_to", "devices at its NVLinks"},
    {"nvdec0", "video decoder state"},
    {"uuid", "UUID"},
    {"ueid", "device identity (ueid)"},
    {"pdi", "device identity (PDI)"},
    {"arch", "architecture"},
    {"report_bytes", "length of the report"},
    {"opaque_form", "form of the opaque data"},
    {"measurement", "launch measurement"},
    {"host_data", "HOST_DATA (the pod's policy)"},
    {"debug", "debugging allowed"},
    {"migration_agent", "migration agent"},
    {"smt_allowed", "SMT allowed"},
    {"vmpl", "privilege level (VMPL)"},
    {"reported_tcb", "reported TCB"},
    {"committed_tcb", "committed TCB"},
    {"current_tcb", "current TCB"},
    {"launch_tcb", "TCB at launch"},
    {"firmware", "secure processor firmware"},
    {"committed_firmware", "committed secure processor firmware"},
    {"chip_id", "the chip"},
    {"guest_svn", "guest security version"},
    {"platform_info", "platform configuration"},
    {"signing_key", "kind of signing key"},
    {"tee", "kind of CPU protection"},
    {"format", "format"},
    {"mrtd", "initial memory (MRTD)"},
    {"mrconfigid", "MRCONFIGID (the pod's policy)"},
    {"version", "version"},
    {"subject", "subject"},
    {"issuer", "issuer"},
    {"serial", "serial number"},
    {"not_before", "start of validity"},
    {"not_after", "end of validity"},
    {"key_sha256", "key"},
    {"digest", "digest"},
};

const Word* FindWord(std::string_view member) {
  const auto it = std::find_if(std::begin(kWords), std::end(kWords), [&](const Word& w) { return w.member == member; });
  return it == std::end(kWords) ? nullptr : it;
}

std::vector<std::string> Split(const std::string& path) {
  std::vector<std::string> out;
  size_t at = 0;
  while (at <= path.size()) {
    const size_t end = std::min(path.find('/', at), path.size());
    out.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  return out;
}

std::string Leaf(const OrderedJson& value) { return value.is_string() ? value.get<std::string>() : value.dump(); }

void Walk(const OrderedJson* before, const OrderedJson* after, const std::string& path, std::vector<Change>& out) {
  const auto structured = [](const OrderedJson* v) { return v && v->is_structured(); };
  if (structured(before) || structured(after)) {
    std::vector<std::string> keys;
    for (const OrderedJson* side : {before, after}) {
      if (!structured(side)) continue;
      for (const auto& item : side->items()) {
        if (std::find(keys.begin(), keys.end(), item.key()) == keys.end()) keys.push_back(item.key());
      }
    }
    const auto child = [&](const OrderedJson* side, const std::string& key) -> const OrderedJson* {
      if (!structured(side)) return nullptr;
      if (side->is_object()) return side->contains(key) ? &(*side)[key] : nullptr;
      const size_t index = std::stoul(key);
      return index < side->size() ? &(*side)[index] : nullptr;
    };
    for (const std::string& key : keys)
      Walk(child(before, key), child(after, key), path.empty() ? key : path + "/" + key, out);
    return;
  }
  if (before && after && *before == *after) return;
  Change change;
  change.path = path;
  change.subject = WordsFor(path);
  if (before) change.before = Leaf(*before);
  if (after) change.after = Leaf(*after);
  const Word* word = FindWord(Split(path).back());
  if (word) change.weight = word->weight;
  out.push_back(std::move(change));
}

// Digests are cut, words are not.
std::string Short(const std::string& value) {
  const bool words = value.find(' ') != std::string::npos;
  return value.size() <= (words ? 160 : 40) ? value : value.substr(0, words ? 150 : 24) + "..";
}

}  // namespace

std::string WordsFor(const std::string& path) {
  const std::vector<std::string> parts = Split(path);
  std::string prefix, rest;
  for (size_t i = 0; i < parts.size(); ++i) {
    const bool has_next = i + 1 < parts.size();
    if (parts[i] == "gpus" && has_next) prefix += "GPU " + parts[++i] + ": ";
    else if (parts[i] == "switches" && has_next) prefix += "switch " + parts[++i] + ": ";
    else if (parts[i] == "snp" && has_next) prefix += "CPU: ";
    else if (parts[i] == "tdx" && has_next) prefix += "CPU: ";
    else if (parts[i] == "certificates" && has_next) prefix += "certificate " + parts[++i] + ", ";
    else if (parts[i] == "entries" && has_next) return prefix + "entry " + parts[i + 1] + " of the initdata document";
    else if (parts[i] == "init_data" && has_next) rest = "initdata document, ";
    else if (parts[i] == "measurements" && has_next) {
      unsigned index = 0;
      const std::string& number = parts[i + 1];
      std::from_chars(number.data(), number.data() + number.size(), index);
      return prefix + "measurement " + evidence::H100ComponentName(static_cast<uint8_t>(index));
    } else if (parts[i] == "rims" && has_next) {
      return prefix + "reference manifest needed";
    } else if (const Word* word = FindWord(parts[i])) {
      rest += word->words;
    } else {
      rest += (rest.empty() || rest.ends_with(' ') ? "" : " ") + parts[i];
    }
  }
  return prefix + rest;
}

std::string Change::Sentence() const {
  if (before.empty()) return subject + " is new: " + Short(after);
  if (after.empty()) return subject + " is gone (was " + Short(before) + ")";
  return subject + " changed from " + Short(before) + " to " + Short(after);
}

std::vector<Change> Diff(const OrderedJson& before, const OrderedJson& after) {
  std::vector<Change> out;
  Walk(&before, &after, "", out);
  return out;
}

}  // namespace ccgpu::cli
