#include "cli/completion.h"

#include <algorithm>

namespace ccgpu::cli {
namespace {

// The values that an option or argument may have, where they are a closed set: CLI11 describes it as "TEXT:{a,b}".
std::string ValuesOf(const CLI::Option& option) {
  const std::string type = option.get_type_name();
  const size_t from = type.find('{'), to = type.find('}');
  if (from == std::string::npos || to == std::string::npos) return "";
  std::string values = type.substr(from + 1, to - from - 1);
  for (char& c : values) {
    if (c == ',') c = ' ';
  }
  return values;
}

std::vector<const CLI::App*> SubcommandsOf(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App*) { return true; });
}

// One case of the script for each command, what may follow it; and one for each option with a closed set of values.
void AddCases(const CLI::App& app, const std::string& path, std::string& cases, std::string& values) {
  std::string words;
  for (const CLI::App* sub : SubcommandsOf(app)) words += sub->get_name() + " ";
  for (const CLI::Option* option : app.get_options()) {
    const std::string allowed = ValuesOf(*option);
    for (const std::string& name : option->get_lnames()) {
      words += "--" + name + " ";
      if (!allowed.empty()) values += "    \"" + path + " --" + name + "\") values=\"" + allowed + "\" ;;\n";
    }
    if (option->get_positional() && !allowed.empty()) words += allowed + " ";
  }
  cases += "    \"" + path + "\") words=\"" + words + "\" ;;\n";
  for (const CLI::App* sub : SubcommandsOf(app))
    AddCases(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), cases, values);
}

// The commands themselves, so that options and arguments between them are skipped.
void AddPaths(const CLI::App& app, const std::string& path, std::string& paths) {
  for (const CLI::App* sub : SubcommandsOf(app)) {
    const std::string next = path.empty() ? sub->get_name() : path + " " + sub->get_name();
    paths += (paths.empty() ? "\"" : "|\"") + next + "\"";
    AddPaths(*sub, next, paths);
  }
}

}  // namespace

std::string CompletionScript(const CLI::App& app, const std::string& shell) {
  std::string cases, values, paths, function = "_" + app.get_name();
  std::replace(function.begin(), function.end(), '-', '_');
  AddCases(app, "", cases, values);
  AddPaths(app, "", paths);
  std::string out = shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : "";
  out += function +
         "() {\n"
         "  local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\" path=\"\" words=\"\" "
         "values=\"\" word i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    word=\"${COMP_WORDS[i]}\"\n"
         "    case \"${path:+$path }$word\" in\n"
         "      " +
         paths +
         ") path=\"${path:+$path }$word\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$path $previous\" in\n" +
         (values.empty() ? "    *) ;;\n" : values) +
         "  esac\n"
         "  if [[ -n \"$values\" ]]; then\n"
         "    COMPREPLY=($(compgen -W \"$values\" -- \"$current\"))\n"
         "    return\n"
         "  fi\n"
         "  case \"$path\" in\n" +
         cases +
         "  esac\n"
         "  case \"$current\" in\n"
         "    -*) COMPREPLY=($(compgen -W \"$words --state --json --help\" -- \"$current\")) ;;\n"
         "    *) COMPREPLY=($(compgen -W \"$words\" -- \"$current\") $(compgen -f -- \"$current\")) ;;\n"
         "  esac\n"
         "}\n"
         "complete -o filenames -F " +
         function + " " + app.get_name() + "\n";
  return out;
}

}  // namespace ccgpu::cli
