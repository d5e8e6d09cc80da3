// The files of a machine whose root folder is mounted somewhere else than at "/", as a node's is for a pod.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace ccgpu::installer {

// The folder that a file lies in; "/" for what lies there.
std::string ParentOf(const std::string& path);

// A file that may not be there.
struct FileText {
  bool exists = false;
  std::string text;
  FileText() = default;
  FileText(std::string content) : exists(true), text(std::move(content)) {}  // NOLINT: implicit on purpose
};

// All paths are absolute and mean the machine's: links on the way are followed inside its root, also those that begin
// with '/' (openat2's RESOLVE_IN_ROOT). Any thread.
//
// Errors: "installer.host-file", subject the path.
class HostFiles {
 public:
  // `root`: "/proc/1/root", "/host", a test's folder.
  static Result<HostFiles> Open(const std::string& root);
  // The part of a file's name that a write in progress has. A killed write leaves such a file; the next one takes it.
  static constexpr char kTemporary[] = ".ccgpu-new";

  const std::string& root() const { return root_; }
  Result<FileText> Read(const std::string& path) const;
  // Readers and a power loss see the old content or the new. A program that runs from the old file keeps it. Owner and
  // mode of a file that is there stay when `mode` is 0; else it is `mode` and root's. A link is not followed but an
  // error: what it points to belongs to somebody else.
  Status Write(const std::string& path, std::string_view content, mode_t mode = 0) const;
  Status Link(const std::string& target, const std::string& path) const;  // symbolic; atomic as Write is
  Result<std::string> LinkTarget(const std::string& path) const;          // empty when it is no link
  bool Exists(const std::string& path) const;                             // also a link to nothing
  mode_t Mode(const std::string& path) const;                             // 07777 part; 0 when there is none
  // Changes whenever the file does (inode, size, times); empty when there is none.
  std::string Stamp(const std::string& path) const;
  // Fine if it is gone already; a write's leftover goes too.
  Status Remove(const std::string& path) const;
  Status RemoveLeftover(const std::string& path) const;
  // Makes what is missing (0755, whatever the umask) and names what it made, outermost first.
  Result<std::vector<std::string>> MissingFolders(const std::string& path) const;
  Status MakeFolder(const std::string& path) const;  // fine if it is there
  // Folder or file with all that is in it; follows no links and stays on the file system. Fine if it is gone.
  Status RemoveTree(const std::string& path) const;
  bool IsLocked(const std::string& path) const;                  // somebody holds an flock on the file
  bool IsListening(const std::string& path) const;               // a program accepts connections on the socket
  Status RemoveFolderIfEmpty(const std::string& path) const;     // fine if it is not empty or gone
  std::vector<std::string> List(const std::string& path) const;  // names, sorted; empty when there is no such folder
  // One installer at a time on a machine; held as long as the Fd lives. "installer.busy" when another one holds it for
  // longer than ten seconds. It is a lock on /etc itself, so that nothing is left behind.
  Result<Fd> Lock() const;

 private:
  HostFiles(Fd fd, std::string root) : root_fd_(std::move(fd)), root_(std::move(root)) {}
  Fd OpenIn(const std::string& path, int flags) const;
  Fd Folder(const std::string& path) const;  // of the file
  Fd root_fd_;
  std::string root_;
};

}  // namespace ccgpu::installer
