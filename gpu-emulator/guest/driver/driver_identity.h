// The certificate with which the guest's driver answers an H100 that asks it to authenticate (MUT_AUTH).
#pragma once

#include "trust/spdm/requester.h"

namespace ccgpu::driver {

// One for all guests, with its private key in this source, as NVIDIA's driver has one in its own: the exchange happens
// as with real parts, and says nothing about who the guest is. Any thread.
const spdm::RequesterIdentity& DriverIdentity();

}  // namespace ccgpu::driver
