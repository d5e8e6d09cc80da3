#include "node/pods/pod_record.h"

#include <array>

#include "base/json.h"

namespace ccgpu::node {
namespace {

constexpr std::array<std::pair<PodOutcome, std::string_view>, 6> kOutcomes = {{{PodOutcome::kUndecided, "undecided"},
                                                                               {PodOutcome::kSucceeded, "succeeded"},
                                                                               {PodOutcome::kFailed, "failed"},
                                                                               {PodOutcome::kRefused, "refused"},
                                                                               {PodOutcome::kTimedOut, "timed-out"},
                                                                               {PodOutcome::kRemoved, "removed"}}};

}  // namespace

std::string_view OutcomeName(PodOutcome outcome) {
  for (const auto& [value, name] : kOutcomes) {
    if (value == outcome) return name;
  }
  return "undecided";
}

std::string RecordToJson(const PodRecord& record) {
  Json containers = Json::array();
  for (const auto& c : record.containers) {
    containers.push_back({{"name", c.name},
                          {"image", c.image},
                          {"id", c.id},
                          {"init", c.init},
                          {"state", c.state},
                          {"exit_code", c.exit_code},
                          {"reason", c.reason},
                          {"message", c.message},
                          {"attempt", c.attempt},
                          {"restarts", c.restarts},
                          {"ends_in_a_row", c.ends_in_a_row}});
  }
  const Json json = {
      {"version", 1},
      {"uid", record.uid},
      {"manifest", record.manifest},
      {"file_name", record.file_name},
      {"created_at", record.created_at},
      {"sandbox_id", record.sandbox_id},
      {"attempt", record.attempt},
      {"containers_ran", record.containers_ran},
      {"finished", record.finished},
      {"outcome", OutcomeName(record.outcome)},
      {"failure", {{"code", record.failure.code}, {"subject", record.failure.subject}, {"text", record.failure.text}}},
      {"attestation_status", record.attestation_status},
      {"containers", containers}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace);
}

Result<PodRecord> RecordFromJson(const std::string& text, const std::string& path) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(text, path));
  PodRecord out;
  ASSIGN_OR_RETURN(const int64_t version, JsonInt(json, "version", path));
  if (version != 1)
    return Err("node.bad-record", path, "has version " + std::to_string(version) + "; this program knows 1");
  try {
    out.uid = json.at("uid").get<std::string>();
    out.manifest = json.at("manifest").get<std::string>();
    out.file_name = json.at("file_name").get<std::string>();
    out.created_at = json.at("created_at").get<std::string>();
    out.sandbox_id = json.at("sandbox_id").get<std::string>();
    out.attempt = json.at("attempt").get<uint32_t>();
    out.containers_ran = json.at("containers_ran").get<bool>();
    out.finished = json.at("finished").get<bool>();
    const std::string outcome = json.at("outcome").get<std::string>();
    bool known = false;
    for (const auto& [value, name] : kOutcomes) {
      if (name == outcome) {
        out.outcome = value;
        known = true;
      }
    }
    if (!known) return Err("node.bad-record", path, "\"" + outcome + "\" is not an outcome");
    const Json& failure = json.at("failure");
    out.failure = Error::FromWire(failure.at("code").get<std::string>(), failure.at("subject").get<std::string>(),
                                  failure.at("text").get<std::string>());
    out.attestation_status = json.at("attestation_status").get<std::string>();
    for (const auto& item : json.at("containers")) {
      out.containers.push_back({item.at("name").get<std::string>(), item.at("image").get<std::string>(),
                                item.at("id").get<std::string>(), item.at("init").get<bool>(),
                                item.at("state").get<std::string>(), item.at("exit_code").get<int32_t>(),
                                item.at("reason").get<std::string>(), item.at("message").get<std::string>(),
                                item.at("attempt").get<uint32_t>(), item.at("restarts").get<uint32_t>(),
                                item.value("ends_in_a_row", 0u)});  // younger than the version
    }
  } catch (const Json::exception& e) {
    return Err("node.bad-record", path, std::string("is not a pod record: ") + e.what());
  }
  return out;
}

}  // namespace ccgpu::node
