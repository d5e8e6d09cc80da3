// A folder of a test's own, which goes when the test does.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>

namespace ccgpu {

// Nobody else has it: any number of tests and runs of them make theirs at once. Mode 0700.
//
// Its path is 13 characters longer than the folder it is in: Unix sockets live in such folders, and a socket's path
// ends at 107 bytes.
//
// The destructor removes it with all that is in it, also when the test has failed; not when the program is killed.
// Folders and files without permissions are removed too, links are not followed, and what is mounted is not entered.
// Mounts and processes that still write there are the test's to end before: otherwise the folder stays and the test
// fails. A process that a test forked leaves its parent's folder alone.
//
// Owned by the one who makes it, used by any thread. Throws std::filesystem::filesystem_error where none can be made.
class TempDir {
 public:
  TempDir();                                    // in the system's folder for temporary files: TMPDIR, else /tmp
  explicit TempDir(const std::string& parent);  // in this folder
  ~TempDir();
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  // The path of the entry with this name, which need not be there.
  std::string operator/(std::string_view name) const { return path_ + "/" + std::string(name); }

 private:
  const std::string path_;
  const pid_t maker_;
};

}  // namespace ccgpu
