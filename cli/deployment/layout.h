// Where everything of one deployment lies: the state directory of `ccgpu up`, and the folder of installed programs.
#pragma once

#include <string>

namespace ccgpu::deployment {

struct Layout {
  std::string state;  // absolute; default /var/lib/ccgpu, $CCGPU_STATE, or --state

  std::string Run(const std::string& name) const { return state + "/run/" + name; }
  std::string Log(const std::string& program) const { return state + "/logs/" + program + ".log"; }
  std::string ConfigFile() const { return state + "/config.json"; }
  std::string DaemonsFile() const { return Run("daemons.json"); }
  std::string ContainerdSocket() const { return Run("containerd.sock"); }
  std::string EmulatorSocket() const { return Run("emulator.sock"); }
  std::string NodeSocket() const { return Run("node.sock"); }
  std::string AdminTokenFile() const { return state + "/broker/admin-token"; }
};

// The folder of this executable: the other programs lie beside it, the guest image in ../guest.
std::string BinFolder();

}  // namespace ccgpu::deployment
