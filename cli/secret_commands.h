// `ccgpu secret`: resources of the broker and who may have them.
#pragma once

#include <optional>
#include <string>

#include "cli/broker_client.h"
#include "cli/context.h"

namespace ccgpu::cli {

// Where the broker is; empty fields come from the deployment's config.json.
struct BrokerOptions {
  std::string url, ca_file, token_file;
  std::optional<BrokerAccess> access;  // instead of all of them: what a caller has found out already
};

// `file` "-" is standard input. The policy goes up before the secret: at no moment does a new secret lie under an old
// policy.
int PutSecret(Context& context, const BrokerOptions& broker, const std::string& resource, const std::string& file,
              const std::string& release_file);
int ListSecrets(Context& context, const BrokerOptions& broker);
int DeleteSecret(Context& context, const BrokerOptions& broker, const std::string& resource);
// The broker's record of decisions, newest last.
int ListDecisions(Context& context, const BrokerOptions& broker, int limit, bool verify);

}  // namespace ccgpu::cli
