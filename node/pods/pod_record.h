// What must survive a restart of ccgpu-node for one pod, as a JSON file; the rest is asked at the runtime.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace ccgpu::node {

enum class PodOutcome { kUndecided, kSucceeded, kFailed, kRefused, kTimedOut, kRemoved };
std::string_view OutcomeName(PodOutcome outcome);

struct ContainerRecord {
  std::string name, image, id;
  bool init = false;
  std::string state = "waiting";  // waiting | created | running | exited
  int32_t exit_code = 0;
  std::string reason, message;
  uint32_t attempt = 0;  // of the instance `id`
  uint32_t restarts = 0;
  uint32_t ends_in_a_row = 0;  // backoff.h
};

struct PodRecord {
  std::string uid, manifest, file_name, created_at;
  std::string sandbox_id;
  uint32_t attempt = 0;                         // of the sandbox
  bool containers_ran = false;                  // from now on a lost sandbox is the end of the pod
  bool finished = false;                        // everything is taken down
  PodOutcome outcome = PodOutcome::kUndecided;  // decided before it is finished
  Error failure;                                // code empty: none
  std::string attestation_status;               // the agent's last words, JSON
  std::vector<ContainerRecord> containers;
};

std::string RecordToJson(const PodRecord& record);
Result<PodRecord> RecordFromJson(const std::string& text, const std::string& path);

}  // namespace ccgpu::node
