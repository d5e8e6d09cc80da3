// Collateral in a folder, the same for agent, command line and mirror (docs/formats/bundle.md):
//   rim/<id>.xml  ocsp/*.der  crl/*.der  amd/*.der
//   <id>.xml and <id>.json directly below it: NVIDIA's file store and a mirror of its RIM service
#pragma once

#include <string>

#include "base/clock.h"
#include "collateral/document.h"

namespace ccgpu::collateral {

struct Folder {
  Documents documents;              // by kind, then by name
  std::vector<std::string> strays;  // files that are none of the above, relative to the folder
};

// Missing sub-folders are empty ones; a missing folder is an empty one too unless `must_exist` (then file.not-found).
// Errors: file.*, and collateral.* for a file under a known place that is not what its place says.
Result<Folder> ReadFolder(const std::string& path, bool must_exist = false);
// Adds to what is there; a document of the same name is replaced. Each file is written atomically.
Status WriteFolder(const std::string& path, const Documents& documents);
// The RIMs among them as a mirror of NVIDIA's RIM service: <id>.json, its answer, and <id>.xml
// (docs/formats/rim-service.md).
Status WriteMirror(const std::string& path, const Documents& documents, TimePoint now);

}  // namespace ccgpu::collateral
