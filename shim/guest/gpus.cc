#include "shim/guest/gpus.h"

#include <optional>
#include <thread>

namespace ccgpu::shim {

Status Gpus::Open(std::vector<GuestGpu> gpus, const std::string& mode, HostLink& host) {
  auto accepted = link::ParseMode(mode);
  if (!accepted) return Err("policy.gpu-mode", mode, "not a GPU mode that this guest knows");
  std::vector<Status> results(gpus.size());
  std::vector<std::unique_ptr<driver::GuestDriver>> opened(gpus.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < gpus.size(); ++i) {
    threads.emplace_back([&, i] {
      driver::LockedGpu lock{gpus[i].index, gpus[i].uuid, gpus[i].lock_nonce, gpus[i].device_cert_sha384};
      driver::Options options;
      options.accepted_modes = {*accepted};
      options.on_lost = [&host](const Error& error) { host.EventOf(error); };
      auto driver = driver::GuestDriver::Open(std::move(gpus[i].link), lock, std::move(options));
      if (driver.ok()) opened[i] = std::move(*driver);
      else results[i] = driver.error().In(gpus[i].uuid);
    });
  }
  for (auto& thread : threads) thread.join();
  for (auto& result : results) RETURN_IF_ERROR(result);
  for (size_t i = 0; i < gpus.size(); ++i) {
    order_.push_back(gpus[i].uuid);
    drivers_[gpus[i].uuid] = std::move(opened[i]);
    host.Event("ccgpu-guestd", "gpu.session", "session open, device in RUN, mode " + mode, gpus[i].uuid);
  }
  return Ok();
}

std::vector<policy::AttachedGpu> Gpus::Attached() const {
  std::vector<policy::AttachedGpu> out;
  for (const auto& uuid : order_) out.push_back({uuid, std::string(link::ModeName(drivers_.at(uuid)->mode()))});
  return out;
}

Status Gpus::ServeAgent(const std::string& socket) {
  driver::ServerOptions options;
  options.path = socket;
  options.may_set_ready = true;
  for (const auto& uuid : order_) options.gpus.push_back(drivers_.at(uuid));
  ASSIGN_OR_RETURN(agent_, driver::DriverServer::Start(std::move(options)));
  return Ok();
}

Status Gpus::Lend(const std::string& container, const std::vector<std::string>& uuids, const std::string& socket,
                  bool may_set_ready) {
  std::lock_guard lock(mutex_);
  driver::ServerOptions options;
  options.path = socket;
  options.mode = 0666;  // the container's user need not be root; only the container has the folder
  options.may_set_ready = may_set_ready;
  for (const auto& uuid : uuids) {
    auto it = drivers_.find(uuid);
    if (it == drivers_.end())
      return Err("gpu.not-locked", uuid,
                 "container " + container + " is to get a GPU that is not locked to this sandbox");
    if (auto user = lent_.find(uuid); user != lent_.end())
      return Err("gpu.in-use", uuid, "container " + user->second + " of this pod already holds it");
    options.gpus.push_back(it->second);
  }
  ASSIGN_OR_RETURN(servers_[container], driver::DriverServer::Start(std::move(options)));
  for (const auto& uuid : uuids) lent_[uuid] = container;
  return Ok();
}

void Gpus::TakeBack(const std::string& container) {
  std::unique_ptr<driver::DriverServer> server;  // ends outside the lock
  std::lock_guard lock(mutex_);
  if (auto it = servers_.find(container); it != servers_.end()) {
    server = std::move(it->second);
    servers_.erase(it);
  }
  std::erase_if(lent_, [&](const auto& entry) { return entry.second == container; });
}

}  // namespace ccgpu::shim
