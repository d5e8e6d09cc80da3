// Putting one field into a manifest as text, so that comments, order and quoting of everything else stay as people
// wrote them.
#include <sstream>

#include "base/yaml.h"
#include "cli/seal.h"
#include "trust/kbs/initdata.h"

namespace ccgpu::cli {
namespace {

using Lines = std::vector<std::string>;

Lines LinesOf(const std::string& text) {
  Lines out;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) out.push_back(line);
  return out;
}

Error CannotAnnotate(const std::string& file, const YAML::Node& at, const std::string& what) {
  const bool known = at.IsDefined() && at.Mark().line >= 0;
  return Err(
      "cli.cannot-annotate",
      known ? file + ":" + std::to_string(at.Mark().line + 1) + ":" + std::to_string(at.Mark().column + 1) : file,
      what + " is written in a way that no field can be put into: write one \"key: value\" a line");
}

// The first key of a block mapping: everything before it on its line is blank.
bool StartsBlock(const Lines& lines, const YAML::Node& key) {
  const auto line = static_cast<size_t>(key.Mark().line), column = static_cast<size_t>(key.Mark().column);
  return line < lines.size() && column <= lines[line].size() && lines[line].find_first_not_of(' ') == column;
}

// Before the mapping's first entry: keys[0]: {keys[1]: ... value}, in the style of the mapping.
bool Insert(Lines& lines, const YAML::Node& map, const std::vector<std::string>& keys, const std::string& value) {
  const YAML::Node first = map.begin()->first;
  const auto line = static_cast<size_t>(first.Mark().line), column = static_cast<size_t>(first.Mark().column);
  if (line >= lines.size() || column >= lines[line].size()) return false;
  if (map.Style() == YAML::EmitterStyle::Flow) {
    // JSON stays JSON.
    const bool json = lines[line][column] == '"';
    const auto quoted = [&](const std::string& text) { return json ? '"' + text + '"' : text; };
    std::string entry = value == "true" || value == "false" ? value : quoted(value);
    for (size_t i = keys.size(); i-- > 0;)
      entry = (i == 0 ? "" : "{") + quoted(keys[i]) + ": " + entry + (i == 0 ? "" : "}");
    lines[line].insert(column, entry + ", ");
    return true;
  }
  if (!StartsBlock(lines, first)) return false;
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string indent(column + 2 * i, ' ');
    lines.insert(lines.begin() + static_cast<ptrdiff_t>(line + i),
                 indent + keys[i] + ":" + (i + 1 == keys.size() ? " " + value : ""));
  }
  return true;
}

// The line of an entry that is there with another value. One line only: what goes over several cannot be replaced.
bool Replace(Lines& lines, const YAML::Node& map, const std::string& key, const std::string& value) {
  for (const auto& one : map) {
    if (!one.first.IsScalar() || one.first.Scalar() != key) continue;
    if (map.Style() == YAML::EmitterStyle::Flow || !one.second.IsScalar() ||
        one.second.Mark().line != one.first.Mark().line || !StartsBlock(lines, one.first))
      return false;
    const auto line = static_cast<size_t>(one.first.Mark().line);
    lines[line] = std::string(static_cast<size_t>(one.first.Mark().column), ' ') + key + ": " + value;
    return true;
  }
  return false;
}

std::string ValueAt(const std::vector<YAML::Node>& documents, const FieldPlace& place) {
  if (place.document >= documents.size()) return "";
  YAML::Node node;
  node.reset(documents[place.document]);
  for (const std::string& key : place.path) {
    if (!node.IsMap()) return "";
    node.reset(node[key]);
  }
  return node.IsMap() && node[place.key].IsDefined() && node[place.key].IsScalar() ? node[place.key].Scalar() : "";
}

}  // namespace

Result<std::string> SetField(const std::string& manifest, const std::string& file, const FieldPlace& place,
                             const std::string& value) {
  ASSIGN_OR_RETURN(const std::vector<YAML::Node> documents, ParseYaml(manifest, file));
  if (place.document >= documents.size() || !documents[place.document].IsMap())
    return CannotAnnotate(file, YAML::Node(), "the document");
  Lines lines = LinesOf(manifest);
  YAML::Node map;
  map.reset(documents[place.document]);
  size_t depth = 0;
  std::string name = "the document";
  for (; depth < place.path.size() && map[place.path[depth]].IsDefined(); ++depth) {
    map.reset(map[place.path[depth]]);
    name += "." + place.path[depth];
    if (!map.IsMap() || map.size() == 0) return CannotAnnotate(file, map, name);
  }
  std::vector<std::string> keys(place.path.begin() + static_cast<ptrdiff_t>(depth), place.path.end());
  keys.push_back(place.key);
  const bool there = keys.size() == 1 && map[place.key].IsDefined();
  const bool done = there ? Replace(lines, map, place.key, value) : Insert(lines, map, keys, value);
  if (!done) return CannotAnnotate(file, map.begin()->first, name);
  std::string out;
  for (const std::string& line : lines) out += line + "\n";
  // Whatever the text looked like: it must now say exactly this.
  ASSIGN_OR_RETURN(const std::vector<YAML::Node> again, ParseYaml(out, file));
  if (again.size() != documents.size() || ValueAt(again, place) != value)
    return CannotAnnotate(file, map.begin()->first, name);
  return out;
}

Result<std::string> Annotate(const std::string& manifest, const std::string& file, const std::string& annotation) {
  ASSIGN_OR_RETURN(const std::vector<YAML::Node> documents, ParseYaml(manifest, file));
  if (documents.size() != 1 || !documents[0].IsMap() || !documents[0]["metadata"].IsMap())
    return Err("cli.cannot-annotate", file, "must hold one document with metadata");
  return SetField(manifest, file, {0, {"metadata", "annotations"}, std::string(kbs::kInitDataAnnotation)}, annotation);
}

}  // namespace ccgpu::cli
