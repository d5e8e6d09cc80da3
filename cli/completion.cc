#include "cli/completion.h"

namespace ccgpu::cli {
namespace {

// One case of the script for each command: what may follow it.
void AddCases(const CLI::App& app, const std::string& path, std::string& cases) {
  std::string words;
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) words += sub->get_name() + " ";
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) words += "--" + name + " ";
  }
  cases += "    \"" + path + "\") words=\"" + words + "\" ;;\n";
  for (const CLI::App* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
    AddCases(*sub, path.empty() ? sub->get_name() : path + " " + sub->get_name(), cases);
  }
}

}  // namespace

std::string CompletionScript(const CLI::App& app, const std::string& shell) {
  std::string cases;
  AddCases(app, "", cases);
  std::string out = shell == "zsh" ? "autoload -U +X bashcompinit && bashcompinit\n" : "";
  out +=
      "_ccgpu() {\n"
      "  local current=\"${COMP_WORDS[COMP_CWORD]}\" path=\"\" words=\"\" word i\n"
      "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
      "    word=\"${COMP_WORDS[i]}\"\n"
      "    case \"${path:+$path }$word\" in\n"
      "      ";
  // The commands themselves, so that options and arguments between them are skipped.
  std::string paths;
  const std::function<void(const CLI::App&, const std::string&)> walk = [&](const CLI::App& at,
                                                                            const std::string& path) {
    for (const CLI::App* sub : at.get_subcommands([](const CLI::App*) { return true; })) {
      const std::string next = path.empty() ? sub->get_name() : path + " " + sub->get_name();
      paths += (paths.empty() ? "\"" : "|\"") + next + "\"";
      walk(*sub, next);
    }
  };
  walk(app, "");
  out += paths +
         ") path=\"${path:+$path }$word\" ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$path\" in\n" +
         cases +
         "  esac\n"
         "  case \"$current\" in\n"
         "    -*) COMPREPLY=($(compgen -W \"$words --state --json --help\" -- \"$current\")) ;;\n"
         "    *) COMPREPLY=($(compgen -W \"$words\" -- \"$current\") $(compgen -f -- \"$current\")) ;;\n"
         "  esac\n"
         "}\n"
         "complete -o filenames -F _ccgpu ccgpu\n";
  return out;
}

}  // namespace ccgpu::cli
