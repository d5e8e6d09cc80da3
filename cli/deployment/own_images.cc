#include "cli/deployment/own_images.h"

#include <sys/stat.h>

#include <cstdio>
#include <filesystem>
#include <memory>
#include <sstream>

#include "base/file.h"
#include "cli/deployment/daemon.h"
#include "node/images/archive.h"

namespace ccgpu::deployment {
namespace {

constexpr char kPasswd[] = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/bin/false\n";
constexpr char kGroup[] = "root:x:0:\nnogroup:x:65534:\n";

images::FileSpec FromFile(std::string path, std::string source, uint32_t mode) {
  images::FileSpec out;
  out.path = std::move(path);
  out.source = std::move(source);
  out.mode = mode;
  return out;
}
images::FileSpec Text(std::string path, std::string content) {
  images::FileSpec out;
  out.path = std::move(path);
  out.content = std::move(content);
  return out;
}
images::FileSpec Link(std::string path, std::string target) {
  images::FileSpec out;
  out.path = std::move(path);
  out.type = 'l';
  out.mode = 0777;
  out.target = std::move(target);
  return out;
}
images::FileSpec Folder(std::string path, uint32_t mode) {
  images::FileSpec out;
  out.path = std::move(path);
  out.type = 'd';
  out.mode = mode;
  return out;
}

// What a command prints; its arguments are ours, never a user's.
Result<std::string> Output(const std::string& command) {
  std::unique_ptr<FILE, int (*)(FILE*)> pipe(::popen(command.c_str(), "re"), ::pclose);
  if (!pipe) return ErrnoError("deployment.command", "cannot run", command);
  std::string out;
  char chunk[4096];
  for (size_t got; (got = std::fread(chunk, 1, sizeof chunk, pipe.get())) > 0;) out.append(chunk, got);
  if (::pclose(pipe.release()) != 0) return Err("deployment.command", command, "failed");
  return out;
}

Result<images::ImageSpec> Busybox() {
  images::ImageSpec spec;
  spec.reference = "localhost/ccgpu/busybox:latest";
  spec.cmd = {"sh"};
  spec.env = {"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"};
  std::vector<images::FileSpec> files = {FromFile("/bin/busybox", "/bin/busybox", 0755), Text("/etc/passwd", kPasswd),
                                         Text("/etc/group", kGroup), Folder("/tmp", 01777), Folder("/root", 0700)};
  ASSIGN_OR_RETURN(std::string applets, Output("/bin/busybox --list"));
  std::istringstream lines(applets);
  for (std::string name; std::getline(lines, name);) {
    if (name != "busybox") files.push_back(Link("/bin/" + name, "busybox"));
  }
  spec.layers = {files};
  return spec;
}

Result<images::ImageSpec> Pause() {
  images::ImageSpec spec;
  spec.reference = "localhost/ccgpu/pause:latest";
  spec.layers = {{FromFile("/bin/busybox", "/bin/busybox", 0755)}};
  spec.entrypoint = {"/bin/busybox", "sleep", "2147483647"};
  return spec;
}

// The program, the libraries that ldd names for it, its data, and the sealed model.
Result<images::ImageSpec> Digits(const std::string& folder) {
  const std::string bin = BinFolder(), share = bin + "/../share/digits";
  Command seal{
      "digits-seal", {bin + "/digits-seal", share + "/model.txt", folder + "/model.key", folder + "/model.enc"}, {}};
  if (!Exists(folder + "/model.enc")) RETURN_IF_ERROR(RunToEnd(seal, folder + "/seal.log"));

  images::ImageSpec spec;
  spec.reference = "localhost/ccgpu/digits:latest";
  spec.entrypoint = {"/app/digits", "--data", "/app"};
  spec.working_dir = "/app";
  spec.env = {"PATH=/usr/bin:/bin"};
  std::vector<images::FileSpec> libraries;
  ASSIGN_OR_RETURN(std::string needed, Output("ldd " + bin + "/digits"));
  std::istringstream lines(needed);
  for (std::string line; std::getline(lines, line);) {
    const size_t slash = line.find('/');
    if (slash == std::string::npos) continue;
    const std::string path = line.substr(slash, line.find(' ', slash) - slash);
    // The loader finds them by the name that the program asks for, wherever Debian keeps them.
    libraries.push_back(FromFile(path.starts_with("/lib64/")
                                     ? path
                                     : "/usr/lib/x86_64-linux-gnu/" + std::filesystem::path(path).filename().string(),
                                 std::filesystem::canonical(path), 0755));
  }
  libraries.push_back(Link("/lib", "usr/lib"));
  libraries.push_back(Text("/etc/passwd", kPasswd));
  libraries.push_back(Text("/etc/group", kGroup));
  spec.layers = {
      libraries,
      {FromFile("/app/digits", bin + "/digits", 0755), FromFile("/app/digits.ptx", bin + "/digits.ptx", 0644),
       FromFile("/app/optdigits-test.csv", share + "/optdigits-test.csv", 0644),
       FromFile("/app/model.enc", folder + "/model.enc", 0644)}};
  return spec;
}

// Whether the archive is younger than everything it is made of.
bool UpToDate(const std::string& archive, const images::ImageSpec& spec) {
  struct stat made {};
  if (::stat(archive.c_str(), &made) != 0) return false;
  for (const auto& layer : spec.layers) {
    for (const auto& file : layer) {
      struct stat source {};
      if (!file.source.empty() && (::stat(file.source.c_str(), &source) != 0 || source.st_mtime > made.st_mtime))
        return false;
    }
  }
  return true;
}

}  // namespace

Result<std::vector<std::string>> MakeOwnImages(const Layout& layout,
                                               const std::function<void(const std::string&)>& progress) {
  const std::string folder = layout.state + "/images";
  RETURN_IF_ERROR(MakeDirs(folder + "/digits", 0700));
  std::vector<std::string> out;
  auto add = [&](const std::string& name, Result<images::ImageSpec> spec) -> Status {
    if (!spec.ok()) return spec.error();
    const std::string archive = folder + "/" + name + ".tar";
    if (!UpToDate(archive, *spec)) {
      progress("making the image " + spec->reference);
      ASSIGN_OR_RETURN(std::string digest, images::WriteOciArchive(*spec, archive));
      (void)digest;
    }
    out.push_back(archive);
    return Ok();
  };
  RETURN_IF_ERROR(add("pause", Pause()));
  RETURN_IF_ERROR(add("busybox", Busybox()));
  if (Exists(BinFolder() + "/digits")) RETURN_IF_ERROR(add("digits", Digits(folder + "/digits")));
  return out;
}

}  // namespace ccgpu::deployment
