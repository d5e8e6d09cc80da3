#include "shim/oci/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <set>

#include "base/fd.h"
#include "base/file.h"

namespace ccgpu::shim {
namespace {

constexpr long kCgroup2Magic = 0x63677270;
constexpr long kCgroup1Magic = 0x27e0eb;
constexpr size_t kMaxStatFile = 1 << 20;

bool IsFs(const std::string& path, long magic) {
  struct statfs info {};
  return ::statfs(path.c_str(), &info) == 0 && static_cast<long>(info.f_type) == magic;
}

std::vector<std::string> Subfolders(const std::string& path) {
  std::vector<std::string> out;
  DIR* dir = ::opendir(path.c_str());
  if (!dir) return out;
  while (dirent* entry = ::readdir(dir)) {
    // Links stand for hierarchies that hold several controllers; each hierarchy counts once.
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') out.emplace_back(entry->d_name);
  }
  ::closedir(dir);
  std::sort(out.begin(), out.end());
  return out;
}

// "a-b.slice" lies in "a.slice/a-b.slice".
std::string ExpandSlice(const std::string& slice) {
  std::string name = slice.substr(0, slice.size() - 6), out, prefix;
  size_t at = 0;
  while (at <= name.size()) {
    size_t dash = std::min(name.find('-', at), name.size());
    prefix += (prefix.empty() ? "" : "-") + name.substr(at, dash - at);
    out += "/" + prefix + ".slice";
    at = dash + 1;
  }
  return out;
}

bool WriteText(const std::string& path, const std::string& text) {
  Fd fd(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
  return fd.valid() && ::write(fd.get(), text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

std::string ReadText(const std::string& path) {
  auto text = ReadFile(path, kMaxStatFile);
  return text.ok() ? std::move(*text) : "";
}

// A v1 cpuset takes no process before it has cpus and memory nodes, which it does not inherit.
void FillCpuset(const std::string& folder, const std::string& stop) {
  if (folder.size() <= stop.size()) return;
  std::string parent = folder.substr(0, folder.rfind('/'));
  FillCpuset(parent, stop);
  for (const char* file : {"/cpuset.cpus", "/cpuset.mems"}) {
    std::string mine = ReadText(folder + file);
    if (mine.find_first_not_of("\n ") == std::string::npos) WriteText(folder + file, ReadText(parent + file));
  }
}

uint64_t Number(const std::string& text) {
  if (text.rfind("max", 0) == 0) return UINT64_MAX;
  return std::strtoull(text.c_str(), nullptr, 10);
}

// "key value" lines.
uint64_t Field(const std::string& text, const std::string& key) {
  size_t at = text.rfind(key + " ", 0) == 0 ? 0 : text.find("\n" + key + " ");
  if (at == std::string::npos) return 0;
  return std::strtoull(text.c_str() + at + key.size() + (at ? 2 : 1), nullptr, 10);
}

void CollectPids(const std::string& folder, std::set<pid_t>& out) {
  std::string text = ReadText(folder + "/cgroup.procs");
  for (const char* at = text.c_str(); *at;) {
    char* end;
    long pid = std::strtol(at, &end, 10);
    if (end == at) break;
    if (pid > 0) out.insert(static_cast<pid_t>(pid));
    at = *end ? end + 1 : end;
  }
  for (const auto& name : Subfolders(folder)) CollectPids(folder + "/" + name, out);
}

void RemoveTree(const std::string& folder) {
  for (const auto& name : Subfolders(folder)) RemoveTree(folder + "/" + name);
  ::rmdir(folder.c_str());
}

}  // namespace

std::string CgroupFolder(const std::string& cgroups_path) {
  if (cgroups_path.empty()) return "";
  size_t first = cgroups_path.find(':');
  size_t second = first == std::string::npos ? first : cgroups_path.find(':', first + 1);
  if (second == std::string::npos) return cgroups_path.front() == '/' ? cgroups_path : "/" + cgroups_path;
  std::string slice = cgroups_path.substr(0, first);
  std::string unit =
      cgroups_path.substr(first + 1, second - first - 1) + "-" + cgroups_path.substr(second + 1) + ".scope";
  if (slice.empty() || slice == "-.slice") return "/system.slice/" + unit;
  return ExpandSlice(slice) + "/" + unit;
}

Cgroup::Cgroup(const std::string& cgroups_path, const std::string& root) {
  if (cgroups_path.empty()) return;
  std::string relative = CgroupFolder(cgroups_path);
  if (relative.find("/../") != std::string::npos || relative == "/" || relative.ends_with("/.."))
    return;  // never the root
  unified_ = IsFs(root, kCgroup2Magic);
  if (unified_) {
    folders_.push_back(root + relative);
    return;
  }
  // On a hybrid machine one of them is the v2 hierarchy, without controllers; runc makes a folder there as well.
  for (const auto& name : Subfolders(root))
    if (IsFs(root + "/" + name, kCgroup1Magic) || IsFs(root + "/" + name, kCgroup2Magic))
      folders_.push_back(root + "/" + name + relative);
}

std::string Cgroup::Folder(const std::string& controller) const {
  if (unified_) return folders_.front();
  for (const auto& folder : folders_) {
    size_t begin = std::strlen("/sys/fs/cgroup/");
    std::string hierarchy = "," + folder.substr(begin, folder.find('/', begin) - begin) + ",";
    if (hierarchy.find("," + controller + ",") != std::string::npos) return folder;
  }
  return "";
}

Status Cgroup::Join(pid_t pid) const {
  for (const auto& folder : folders_) {
    RETURN_IF_ERROR(MakeDirs(folder));
    if (folder.find("/cpuset") != std::string::npos) FillCpuset(folder, folder.substr(0, folder.find('/', 15)));
    if (!WriteText(folder + "/cgroup.procs", std::to_string(pid)))
      return ErrnoError("cgroup.join", "move the sandbox into", folder);
  }
  return Ok();
}

std::vector<pid_t> Cgroup::Pids() const {
  std::set<pid_t> pids;
  std::string folder = Folder("pids");
  if (folder.empty() && !folders_.empty()) folder = folders_.front();
  if (!folder.empty()) CollectPids(folder, pids);
  return {pids.begin(), pids.end()};
}

Result<containerd::Any> Cgroup::Stats() const {
  containerd::Any any;
  if (folders_.empty()) return Err("cgroup.gone", "", "the container has no control group");
  if (unified_) {
    const std::string& dir = folders_.front();
    if (!Exists(dir)) return Err("cgroup.gone", dir, "the container's control group is gone");
    containerd::V2Metrics metrics;
    metrics.mutable_pids()->set_current(Number(ReadText(dir + "/pids.current")));
    metrics.mutable_pids()->set_limit(Number(ReadText(dir + "/pids.max")));
    std::string cpu = ReadText(dir + "/cpu.stat"), memory = ReadText(dir + "/memory.stat");
    auto* c = metrics.mutable_cpu();
    c->set_usage_usec(Field(cpu, "usage_usec"));
    c->set_user_usec(Field(cpu, "user_usec"));
    c->set_system_usec(Field(cpu, "system_usec"));
    c->set_nr_periods(Field(cpu, "nr_periods"));
    c->set_nr_throttled(Field(cpu, "nr_throttled"));
    c->set_throttled_usec(Field(cpu, "throttled_usec"));
    auto* m = metrics.mutable_memory();
    m->set_anon(Field(memory, "anon"));
    m->set_file(Field(memory, "file"));
    m->set_inactive_file(Field(memory, "inactive_file"));
    m->set_pgfault(Field(memory, "pgfault"));
    m->set_pgmajfault(Field(memory, "pgmajfault"));
    m->set_usage(Number(ReadText(dir + "/memory.current")));
    m->set_usage_limit(Number(ReadText(dir + "/memory.max")));
    m->set_swap_usage(Number(ReadText(dir + "/memory.swap.current")));
    m->set_swap_limit(Number(ReadText(dir + "/memory.swap.max")));
    std::string events = ReadText(dir + "/memory.events");
    auto* e = metrics.mutable_memory_events();
    e->set_low(Field(events, "low"));
    e->set_high(Field(events, "high"));
    e->set_max(Field(events, "max"));
    e->set_oom(Field(events, "oom"));
    e->set_oom_kill(Field(events, "oom_kill"));
    any.set_type_url("io.containerd.cgroups.v2.Metrics");
    any.set_value(metrics.SerializeAsString());
    return any;
  }
  containerd::V1Metrics metrics;
  std::string pids = Folder("pids"), account = Folder("cpuacct"), cpu = Folder("cpu"), memory = Folder("memory");
  if (!Exists(pids.empty() ? folders_.front() : pids))
    return Err("cgroup.gone", folders_.front(), "the container's control group is gone");
  metrics.mutable_pids()->set_current(Number(ReadText(pids + "/pids.current")));
  uint64_t limit = Number(ReadText(pids + "/pids.max"));
  metrics.mutable_pids()->set_limit(limit == UINT64_MAX ? 0 : limit);
  auto* usage = metrics.mutable_cpu()->mutable_usage();
  usage->set_total(Number(ReadText(account + "/cpuacct.usage")));
  std::string stat = ReadText(account + "/cpuacct.stat");
  constexpr uint64_t kNanosPerTick = 10'000'000;  // USER_HZ is 100 on every Linux port we run on
  usage->set_user(Field(stat, "user") * kNanosPerTick);
  usage->set_kernel(Field(stat, "system") * kNanosPerTick);
  std::string throttle = ReadText(cpu + "/cpu.stat");
  metrics.mutable_cpu()->mutable_throttling()->set_periods(Field(throttle, "nr_periods"));
  metrics.mutable_cpu()->mutable_throttling()->set_throttled_periods(Field(throttle, "nr_throttled"));
  metrics.mutable_cpu()->mutable_throttling()->set_throttled_time(Field(throttle, "throttled_time"));
  std::string mem = ReadText(memory + "/memory.stat");
  auto* m = metrics.mutable_memory();
  m->set_cache(Field(mem, "cache"));
  m->set_rss(Field(mem, "rss"));
  m->set_total_rss(Field(mem, "total_rss"));
  m->set_total_pg_fault(Field(mem, "total_pgfault"));
  m->set_total_pg_maj_fault(Field(mem, "total_pgmajfault"));
  m->set_total_inactive_file(Field(mem, "total_inactive_file"));
  m->mutable_usage()->set_usage(Number(ReadText(memory + "/memory.usage_in_bytes")));
  m->mutable_usage()->set_limit(Number(ReadText(memory + "/memory.limit_in_bytes")));
  m->mutable_usage()->set_max(Number(ReadText(memory + "/memory.max_usage_in_bytes")));
  m->mutable_usage()->set_failcnt(Number(ReadText(memory + "/memory.failcnt")));
  any.set_type_url("io.containerd.cgroups.v1.Metrics");
  any.set_value(metrics.SerializeAsString());
  return any;
}

bool Cgroup::KillAll() const {
  auto pids = Pids();
  for (pid_t pid : pids) ::kill(pid, SIGKILL);
  return pids.empty();
}

void Cgroup::Remove() const {
  for (const auto& folder : folders_) RemoveTree(folder);
}

std::string Cgroup::OomFile() const {
  std::string folder = folders_.empty() ? "" : Folder("memory");
  if (folder.empty()) return "";
  return folder + (unified_ ? "/memory.events" : "/memory.oom_control");
}

}  // namespace ccgpu::shim
