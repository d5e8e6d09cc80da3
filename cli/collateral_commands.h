// `ccgpu collateral`: getting the signed documents that evidence is judged by, carrying them to where no network is,
// and saying what is there, for whom, until when, and what is missing.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "cli/context.h"

namespace ccgpu::cli {

struct FetchOptions {
  std::vector<std::string> files;                   // evidence, and what lies beside it
  std::vector<std::string> rims;                    // ids, besides what the evidence needs
  std::string output;                               // a folder
  std::string rim_url, ocsp_url, kds_url, pcs_url;  // empty: the vendors' own
  std::string mirror;                               // a folder; empty: none
  std::string cache_dir;                            // empty: no cache
  bool offline = false;
  long stale_seconds = 0;  // --stale-while-offline; 0: old answers are not used
  int attempts = 3;
};
int FetchCollateral(Context& context, const FetchOptions& options);

struct BundleOptions {
  std::vector<std::string> sources;  // folders, files, bundles
  std::string output, key_file, note, bundle_key_file;
};
int BundleCollateral(Context& context, const BundleOptions& options);

struct CheckOptions {
  std::string source;                 // folder or bundle
  std::vector<std::string> evidence;  // what must be judged with it; may be empty
  std::string bundle_key_file, at;
};
// Exit code: 0 everything readable and fresh, and nothing missing; 1 otherwise.
int CheckCollateral(Context& context, const CheckOptions& options);

}  // namespace ccgpu::cli
