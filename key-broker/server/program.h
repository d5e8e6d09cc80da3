// The broker as a program: makes the objects, serves until a signal, ends cleanly.
#pragma once

#include <string>

#include "base/result.h"
#include "key-broker/server/config.h"

namespace ccgpu::broker {

// Returns when SIGTERM or SIGINT came (which it blocks for the whole process), or with why it could not start.
Status RunBroker(const BrokerConfig& config, const std::string& version);

}  // namespace ccgpu::broker
