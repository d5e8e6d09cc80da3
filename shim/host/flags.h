// The command line that containerd gives a shim: Go's flag style, flags before the action word.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace ccgpu::shim {

struct Flags {
  std::string ns;              // -namespace
  std::string address;         // containerd's own socket
  std::string publish_binary;  // not used: events go over ttrpc
  std::string id;
  std::string bundle;
  std::string socket;
  bool debug = false;
  bool version = false;
  bool help = false;
  bool info = false;   // containerd 2.x asks what the runtime can do
  std::string action;  // start | delete | serve | ""
};

// "-flag value", "-flag=value", "--flag" as well. "shim.usage" for a flag nobody knows, a missing value, more than one
// action.
Result<Flags> ParseFlags(const std::vector<std::string>& arguments);
std::string UsageText();

}  // namespace ccgpu::shim
