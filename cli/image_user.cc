#include "cli/image_user.h"

#include <algorithm>
#include <set>
#include <sstream>

namespace ccgpu::cli {
namespace {

std::vector<std::string> Split(const std::string& line, char by) {
  std::vector<std::string> out;
  std::istringstream stream(line);
  for (std::string part; std::getline(stream, part, by);) out.push_back(part);
  return out;
}

std::optional<uint32_t> Id(const std::string& text) {
  if (text.empty() || text.size() > 9 || text.find_first_not_of("0123456789") != std::string::npos) return std::nullopt;
  return static_cast<uint32_t>(std::stoul(text));
}

// name, id and a third field: gid of users, members of groups.
struct Line {
  std::string name;
  uint32_t id = 0;
  std::string third;
};

std::vector<Line> Lines(const std::string& file) {
  std::vector<Line> out;
  std::istringstream stream(file);
  for (std::string line; std::getline(stream, line);) {
    const std::vector<std::string> fields = Split(line, ':');
    if (fields.size() < 3 || fields[0].empty() || fields[0][0] == '#') continue;
    if (auto id = Id(fields[2])) out.push_back({fields[0], *id, fields.size() > 3 ? fields[3] : ""});
  }
  return out;
}

const Line* ByName(const std::vector<Line>& lines, const std::string& name) {
  const auto it = std::find_if(lines.begin(), lines.end(), [&](const Line& line) { return line.name == name; });
  return it == lines.end() ? nullptr : &*it;
}

const Line* ById(const std::vector<Line>& lines, uint32_t id) {
  const auto it = std::find_if(lines.begin(), lines.end(), [&](const Line& line) { return line.id == id; });
  return it == lines.end() ? nullptr : &*it;
}

Error Unknown(const std::string& name, const char* file) {
  return Err("cli.unknown-user", name, std::string("is named by the image, but not in its ") + file);
}

}  // namespace

Result<ProcessUser> ResolveUser(const UserRequest& request, const std::string& etc_passwd,
                                const std::string& etc_group) {
  const std::vector<Line> users = Lines(etc_passwd), groups = Lines(etc_group);
  std::string text = request.kubelet ? request.image_user.substr(0, request.image_user.find(':')) : request.image_user;
  if (request.run_as_user) {
    text = std::to_string(*request.run_as_user);
    if (request.run_as_group) text += ":" + std::to_string(*request.run_as_group);
  }
  ProcessUser out;
  const Line* member = nullptr;
  if (!text.empty()) {
    const size_t colon = text.find(':');
    const std::string user = text.substr(0, colon);
    const Line* entry = nullptr;
    if (auto id = Id(user)) {
      out.uid = *id;
      entry = ById(users, *id);
    } else {
      entry = ByName(users, user);
      if (entry == nullptr) return Unknown(user, "/etc/passwd");
      out.uid = entry->id;
    }
    member = entry;
    if (entry != nullptr) out.gid = Id(entry->third).value_or(0);
    if (colon != std::string::npos) {
      const std::string group = text.substr(colon + 1);
      if (auto id = Id(group)) {
        out.gid = *id;
      } else {
        const Line* line = ByName(groups, group);
        if (line == nullptr) return Unknown(group, "/etc/group");
        out.gid = line->id;
      }
    }
  }
  // containerd looks the supplementary groups up for runAsUser, or for root when the client names no user, even if the
  // image does. What runs must be described as it is.
  std::set<uint32_t> all;
  if (!request.kubelet || text.empty()) member = ById(users, static_cast<uint32_t>(request.run_as_user.value_or(0)));
  for (const Line& group : groups) {
    if (member == nullptr || group.name == member->name) continue;
    const std::vector<std::string> members = Split(group.third, ',');
    if (std::find(members.begin(), members.end(), member->name) != members.end()) all.insert(group.id);
  }
  for (const int64_t group : request.supplemental_groups) all.insert(static_cast<uint32_t>(group));
  all.erase(out.gid);
  out.additional_gids.assign(all.begin(), all.end());
  return out;
}

}  // namespace ccgpu::cli
