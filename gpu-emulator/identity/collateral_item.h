// One signed document that helps to judge a GPU: kind and id as platform.proto's Collateral says.
#pragma once

#include <string>

#include "base/bytes.h"

namespace ccgpu::emulator {

struct CollateralItem {
  std::string kind;  // rim | ocsp | crl
  std::string id;    // RIM id; hex SHA-256 of the certificate for ocsp; issuer common name for crl
  Bytes data;        // RIM XML; OCSP response DER; CRL DER
};

}  // namespace ccgpu::emulator
