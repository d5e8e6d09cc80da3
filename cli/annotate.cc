// Putting one annotation into a manifest as text, so that comments, order and quoting of everything else stay as people
// wrote them.
#include <sstream>

#include "base/yaml.h"
#include "cli/seal.h"
#include "trust/kbs/initdata.h"

namespace ccgpu::cli {
namespace {

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> out;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) out.push_back(line);
  return out;
}

Error CannotAnnotate(const std::string& file, const YAML::Node& at, const std::string& what) {
  return Err("cli.cannot-annotate",
             file + ":" + std::to_string(at.Mark().line + 1) + ":" + std::to_string(at.Mark().column + 1),
             what + " must be written in block style (one \"key: value\" a line) so that the annotation can be put in");
}

// The first key of a block mapping: everything before it on its line is blank.
bool StartsBlock(const std::vector<std::string>& lines, const YAML::Node& key) {
  const auto line = static_cast<size_t>(key.Mark().line), column = static_cast<size_t>(key.Mark().column);
  return line < lines.size() && column <= lines[line].size() && lines[line].find_first_not_of(' ') == column;
}

}  // namespace

Result<std::string> Annotate(const std::string& manifest, const std::string& file, const std::string& annotation) {
  ASSIGN_OR_RETURN(const std::vector<YAML::Node> documents, ParseYaml(manifest, file));
  const YAML::Node metadata = documents.size() == 1 && documents[0].IsMap() ? documents[0]["metadata"] : YAML::Node();
  if (!metadata.IsMap() || metadata.size() == 0)
    return Err("cli.cannot-annotate", file, "must hold one document with metadata");
  std::vector<std::string> lines = LinesOf(manifest);
  const YAML::Node first = metadata.begin()->first;
  if (!StartsBlock(lines, first)) return CannotAnnotate(file, first, "metadata");
  const std::string key(kbs::kInitDataAnnotation);
  const std::string entry = key + ": " + annotation;
  const YAML::Node annotations = metadata["annotations"];
  if (!annotations.IsDefined()) {
    const std::string indent(static_cast<size_t>(first.Mark().column), ' ');
    lines.insert(lines.begin() + first.Mark().line, {indent + "annotations:", indent + "  " + entry});
  } else {
    if (!annotations.IsMap() || annotations.size() == 0)
      return CannotAnnotate(file, annotations, "metadata.annotations");
    const YAML::Node head = annotations.begin()->first;
    if (!StartsBlock(lines, head)) return CannotAnnotate(file, head, "metadata.annotations");
    const std::string line = std::string(static_cast<size_t>(head.Mark().column), ' ') + entry;
    long replaced = -1;
    for (const auto& one : annotations) {
      if (one.first.Scalar() != key) continue;
      if (one.second.Mark().line != one.first.Mark().line || !StartsBlock(lines, one.first))
        return CannotAnnotate(file, one.first, key);
      replaced = one.first.Mark().line;
    }
    if (replaced >= 0) lines[static_cast<size_t>(replaced)] = line;
    else lines.insert(lines.begin() + head.Mark().line, line);
  }
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  // Whatever the text looked like: it must now say exactly this.
  ASSIGN_OR_RETURN(const std::vector<YAML::Node> again, ParseYaml(out, file));
  if (again.size() != 1 || again[0]["metadata"]["annotations"][key].as<std::string>("") != annotation)
    return CannotAnnotate(file, first, "metadata");
  return out;
}

}  // namespace ccgpu::cli
