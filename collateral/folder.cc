#include "collateral/folder.h"

#include <algorithm>
#include <filesystem>

#include "base/crypto/digest.h"
#include "base/encoding.h"
#include "base/file.h"
#include "base/json.h"

namespace ccgpu::collateral {
namespace {

namespace fs = std::filesystem;

Result<std::vector<fs::path>> FilesOf(const std::string& folder) {
  std::vector<fs::path> out;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    std::error_code ignored;
    if (!entry.is_directory(ignored)) out.push_back(entry.path());
    if (out.size() > kMaxDocuments)
      return Err("collateral.too-many", folder, "holds more than " + std::to_string(kMaxDocuments) + " files");
  }
  if (error && error != std::errc::no_such_file_or_directory)
    return Err("collateral.unreadable", folder, error.message());
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace

Result<Folder> ReadFolder(const std::string& path, bool must_exist) {
  if (must_exist && !fs::is_directory(path))
    return Err("file.not-found", path, "is no folder (expected rim/, ocsp/, crl/ and amd/ below it)");
  Folder out;
  for (const KindRow& row : Kinds()) {
    ASSIGN_OR_RETURN(const auto files, FilesOf(path + "/" + std::string(row.folder)));
    for (const fs::path& file : files) {
      if (file.extension() != row.extension) {
        out.strays.push_back(std::string(row.folder) + "/" + file.filename().string());
        continue;
      }
      ASSIGN_OR_RETURN(std::string content, ReadFile(file, kMaxDocument));
      // What is unreadable inside is handed on: the verification says what is wrong with it.
      out.documents.push_back({row.kind, file.stem().string(), std::move(content)});
    }
  }
  ASSIGN_OR_RETURN(const auto loose, FilesOf(path));
  for (const fs::path& file : loose) {
    const bool mirror = file.extension() == ".json";
    if ((file.extension() != ".xml" && !mirror) || !IsName(file.stem().string())) {
      out.strays.push_back(file.filename().string());
      continue;
    }
    ASSIGN_OR_RETURN(std::string content, ReadFile(file, 2 * kMaxDocument));
    if (mirror) {
      auto rim = RimOfAnswer(content, file.stem().string());
      if (!rim.ok()) return rim.error().In(file.string());
      out.documents.push_back(std::move(*rim));
    } else {
      out.documents.push_back({Kind::kRim, file.stem().string(), std::move(content)});
    }
  }
  Deduplicate(out.documents);
  return out;
}

Status WriteFolder(const std::string& path, const Documents& documents) {
  for (const Document& document : documents) {
    const KindRow& row = RowOf(document.kind);
    const std::string name = document.name.empty() ? NameOfContent(document) : document.name;
    if (!IsName(name)) return Err("collateral.bad-name", name, "cannot be a file's name");
    const std::string folder = path + "/" + std::string(row.folder);
    RETURN_IF_ERROR(MakeDirs(folder));
    RETURN_IF_ERROR(WriteFileAtomic(folder + "/" + name + std::string(row.extension), document.content));
  }
  return Ok();
}

Status WriteMirror(const std::string& path, const Documents& documents, TimePoint now) {
  RETURN_IF_ERROR(MakeDirs(path));
  for (const Document& document : documents) {
    if (document.kind != Kind::kRim) continue;
    if (!IsName(document.name)) return Err("collateral.bad-name", document.name, "cannot be a file's name");
    const ByteView xml = AsBytes(document.content);
    const Json answer = {{"id", document.name},
                         {"rim", Base64Encode(xml)},
                         {"sha256", HexEncode(crypto::Sha256(xml))},
                         {"last_updated", FormatTime(now)},
                         {"rim_format", "TCG_RIM_SWID"}};
    RETURN_IF_ERROR(WriteFileAtomic(path + "/" + document.name + ".json", answer.dump() + "\n"));
    RETURN_IF_ERROR(WriteFileAtomic(path + "/" + document.name + ".xml", document.content));
  }
  return Ok();
}

}  // namespace ccgpu::collateral
