#include "gpu-emulator/platform/tsm_fuse.h"

#define FUSE_USE_VERSION 312
#include <fcntl.h>
#include <fuse_lowlevel.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cerrno>
#include <ctime>
#include <optional>

#include "base/file.h"

namespace ccgpu::emulator {
namespace {

using Attribute = TsmTree::Attribute;

constexpr fuse_ino_t kRoot = FUSE_ROOT_ID, kReport = 2;
constexpr fuse_ino_t kPerInstance = 16;  // instance n: folder n * 16, its attributes after it
constexpr size_t kMaxHandles = 256;
constexpr unsigned kFuseMajor = 10, kFuseMinor = 229;

uint64_t InstanceOf(fuse_ino_t inode) { return inode / kPerInstance; }
const TsmTree::AttributeInfo* AttributeOf(fuse_ino_t inode) {
  if (InstanceOf(inode) == 0) return nullptr;
  for (const auto& info : TsmTree::Attributes()) {
    if (static_cast<fuse_ino_t>(info.attribute) == inode % kPerInstance) return &info;
  }
  return nullptr;
}

}  // namespace

// One open attribute: what was written so far, or what the first read found.
struct TsmFuse::State {
  struct Handle {
    fuse_ino_t inode;
    Bytes written;
    bool dirty = false;
    std::optional<Bytes> content;
  };
  State(TsmTree::Reporter reporter, std::string provider) : tree(std::move(reporter), std::move(provider)) {}
  ~State() {
    if (session != nullptr) fuse_session_destroy(session);
  }
  TsmTree tree;
  std::map<uint64_t, Handle> handles;
  uint64_t next_handle = 1;
  fuse_session* session = nullptr;

  bool Stat(fuse_ino_t inode, struct stat& st) const {
    st = {};
    st.st_ino = inode;
    st.st_nlink = 1;
    clock_gettime(CLOCK_REALTIME_COARSE, &st.st_mtim);
    st.st_atim = st.st_ctim = st.st_mtim;
    if (inode == kRoot || inode == kReport || (inode % kPerInstance == 0 && tree.Exists(InstanceOf(inode)))) {
      st.st_mode = S_IFDIR | 0755;
      st.st_nlink = 2;
      return true;
    }
    const auto* info = AttributeOf(inode);
    if (info == nullptr || !tree.Exists(InstanceOf(inode))) return false;
    st.st_mode = S_IFREG | (info->readable ? 0444 : 0200);
    return true;
  }
};

// libfuse's callbacks; `userdata` is the State.
struct TsmOperations {
  using State = struct TsmFuse::State;
  static State& Of(fuse_req_t req) { return *static_cast<State*>(fuse_req_userdata(req)); }

  static void ReplyEntry(fuse_req_t req, fuse_ino_t inode) {
    fuse_entry_param entry{};
    entry.ino = inode;
    if (!Of(req).Stat(inode, entry.attr)) {
      fuse_reply_err(req, ENOENT);
      return;
    }
    fuse_reply_entry(req, &entry);
  }

  static void Lookup(fuse_req_t req, fuse_ino_t parent, const char* name) {
    State& state = Of(req);
    if (parent == kRoot && std::string_view(name) == "report") return ReplyEntry(req, kReport);
    if (parent == kReport) {
      int64_t id = state.tree.Find(name);
      if (id >= 0) return ReplyEntry(req, static_cast<fuse_ino_t>(id) * kPerInstance);
    } else if (parent >= kPerInstance && parent % kPerInstance == 0) {
      for (const auto& info : TsmTree::Attributes()) {
        if (std::string_view(name) == info.name)
          return ReplyEntry(req, parent + static_cast<fuse_ino_t>(info.attribute));
      }
    }
    fuse_reply_err(req, ENOENT);
  }

  static void GetAttr(fuse_req_t req, fuse_ino_t inode, fuse_file_info*) {
    struct stat st;
    if (!Of(req).Stat(inode, st)) {
      fuse_reply_err(req, ENOENT);
      return;
    }
    fuse_reply_attr(req, &st, 0);
  }

  // open(O_TRUNC), as shells do it, arrives here as a new size: nothing to do, a write replaces the value anyway.
  static void SetAttr(fuse_req_t req, fuse_ino_t inode, struct stat*, int to_set, fuse_file_info* info) {
    if (to_set & ~(FUSE_SET_ATTR_SIZE | FUSE_SET_ATTR_ATIME | FUSE_SET_ATTR_MTIME | FUSE_SET_ATTR_ATIME_NOW |
                   FUSE_SET_ATTR_MTIME_NOW | FUSE_SET_ATTR_CTIME)) {
      fuse_reply_err(req, EPERM);
      return;
    }
    GetAttr(req, inode, info);
  }

  static void MkDir(fuse_req_t req, fuse_ino_t parent, const char* name, mode_t) {
    if (parent != kReport) {
      fuse_reply_err(req, EPERM);
      return;
    }
    int64_t id = Of(req).tree.Make(name);
    if (id < 0) {
      fuse_reply_err(req, static_cast<int>(-id));
      return;
    }
    ReplyEntry(req, static_cast<fuse_ino_t>(id) * kPerInstance);
  }

  static void RmDir(fuse_req_t req, fuse_ino_t parent, const char* name) {
    fuse_reply_err(req, parent == kReport ? -Of(req).tree.Remove(name) : EPERM);
  }

  static void ReadDir(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info*) {
    State& state = Of(req);
    std::vector<std::pair<std::string, fuse_ino_t>> names = {{".", inode}, {"..", kRoot}};
    if (inode == kRoot) {
      names.emplace_back("report", kReport);
    } else if (inode == kReport) {
      for (const auto& [name, id] : state.tree.List()) names.emplace_back(name, id * kPerInstance);
    } else {
      for (const auto& info : TsmTree::Attributes())
        names.emplace_back(info.name, inode + static_cast<fuse_ino_t>(info.attribute));
    }
    std::string buffer(size, '\0');
    size_t used = 0;
    for (size_t i = static_cast<size_t>(offset); i < names.size(); ++i) {
      struct stat st {};
      state.Stat(names[i].second, st);
      size_t need = fuse_add_direntry(req, buffer.data() + used, size - used, names[i].first.c_str(), &st,
                                      static_cast<off_t>(i + 1));
      if (need > size - used) break;
      used += need;
    }
    fuse_reply_buf(req, buffer.data(), used);
  }

  static void Open(fuse_req_t req, fuse_ino_t inode, fuse_file_info* info) {
    State& state = Of(req);
    const auto* attribute = AttributeOf(inode);
    if (attribute == nullptr || !state.tree.Exists(InstanceOf(inode))) {
      fuse_reply_err(req, ENOENT);
      return;
    }
    const int access = info->flags & O_ACCMODE;
    if ((access != O_WRONLY && !attribute->readable) || (access != O_RDONLY && !attribute->writable)) {
      fuse_reply_err(req, EACCES);
      return;
    }
    if (state.handles.size() >= kMaxHandles) {
      fuse_reply_err(req, ENFILE);
      return;
    }
    info->fh = state.next_handle++;
    info->direct_io = 1;  // sizes are not known before the read
    state.handles[info->fh] = {inode, {}, false, {}};
    fuse_reply_open(req, info);
  }

  static void Read(fuse_req_t req, fuse_ino_t inode, size_t size, off_t offset, fuse_file_info* info) {
    State& state = Of(req);
    auto& handle = state.handles[info->fh];
    if (!handle.content) {
      Bytes content;
      int rc = state.tree.Read(InstanceOf(inode), AttributeOf(inode)->attribute, content);
      if (rc < 0) {
        fuse_reply_err(req, -rc);
        return;
      }
      handle.content = std::move(content);
    }
    const size_t at = std::min(static_cast<size_t>(offset), handle.content->size());
    fuse_reply_buf(req, reinterpret_cast<const char*>(handle.content->data()) + at,
                   std::min(size, handle.content->size() - at));
  }

  static void Write(fuse_req_t req, fuse_ino_t inode, const char* data, size_t size, off_t offset,
                    fuse_file_info* info) {
    State& state = Of(req);
    auto& handle = state.handles[info->fh];
    const Attribute attribute = AttributeOf(inode)->attribute;
    if (attribute == Attribute::kInblob) {  // a binary attribute: collected, committed when the file is closed
      if (offset < 0 || static_cast<size_t>(offset) + size > TsmTree::kInblobSize) {
        fuse_reply_err(req, EFBIG);
        return;
      }
      if (handle.written.size() < static_cast<size_t>(offset) + size)
        handle.written.resize(static_cast<size_t>(offset) + size);
      std::memcpy(handle.written.data() + offset, data, size);
      handle.dirty = true;
      fuse_reply_write(req, size);
      return;
    }
    int rc = state.tree.Write(InstanceOf(inode), attribute, {reinterpret_cast<const uint8_t*>(data), size});
    if (rc < 0) {
      fuse_reply_err(req, -rc);
    } else {
      fuse_reply_write(req, size);
    }
  }

  static void Flush(fuse_req_t req, fuse_ino_t inode, fuse_file_info* info) {
    State& state = Of(req);
    auto& handle = state.handles[info->fh];
    int rc = 0;
    if (handle.dirty) rc = state.tree.Write(InstanceOf(inode), AttributeOf(inode)->attribute, handle.written);
    handle.dirty = false;
    fuse_reply_err(req, -rc);
  }

  static void Release(fuse_req_t req, fuse_ino_t, fuse_file_info* info) {
    Of(req).handles.erase(info->fh);
    fuse_reply_err(req, 0);
  }

  static fuse_lowlevel_ops Table() {
    fuse_lowlevel_ops ops{};
    ops.lookup = Lookup;
    ops.getattr = GetAttr;
    ops.setattr = SetAttr;
    ops.mkdir = MkDir;
    ops.rmdir = RmDir;
    ops.readdir = ReadDir;
    ops.open = Open;
    ops.read = Read;
    ops.write = Write;
    ops.flush = Flush;
    ops.release = Release;
    return ops;
  }
};

Result<std::unique_ptr<TsmFuse>> TsmFuse::Serve(Fd fuse, std::string provider, TsmTree::Reporter reporter) {
  struct stat st;
  if (fstat(fuse.get(), &st) != 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(kFuseMajor, kFuseMinor)) {
    return Err("platform.bad-fuse", "TsmRequest", "the descriptor is not an open /dev/fuse");
  }
  const int flags = fcntl(fuse.get(), F_GETFL);
  if (flags < 0 || fcntl(fuse.get(), F_SETFL, flags | O_NONBLOCK) != 0) {
    return ErrnoError("platform.bad-fuse", "cannot set up", "/dev/fuse");
  }
  std::unique_ptr<TsmFuse> served(new TsmFuse);
  served->state_ = std::make_unique<struct State>(std::move(reporter), std::move(provider));
  static const fuse_lowlevel_ops kOperations = TsmOperations::Table();
  char name[] = "ccgpu-tsm";
  char* argv[] = {name, nullptr};
  fuse_args args = FUSE_ARGS_INIT(1, argv);
  served->state_->session = fuse_session_new(&args, &kOperations, sizeof kOperations, served->state_.get());
  fuse_opt_free_args(&args);  // libfuse made a copy of its own
  if (served->state_->session == nullptr) return Err("platform.bad-fuse", "TsmRequest", "libfuse made no session");
  const std::string path = "/dev/fd/" + std::to_string(fuse.get());
  if (fuse_session_mount(served->state_->session, path.c_str()) != 0) {
    return Err("platform.bad-fuse", "TsmRequest", "libfuse did not take the descriptor");
  }
  fuse.Release();  // the session closes it
  served->stop_ = Fd(eventfd(0, EFD_CLOEXEC));
  served->thread_ = std::thread([raw = served.get()] { raw->Loop(); });
  return served;
}

void TsmFuse::Loop() {
  fuse_session* session = state_->session;
  fuse_buf buffer{};
  while (!fuse_session_exited(session)) {
    pollfd p[2] = {{fuse_session_fd(session), POLLIN, 0}, {stop_.get(), POLLIN, 0}};
    if (poll(p, 2, -1) < 0 && errno != EINTR) break;
    if (p[1].revents != 0) break;
    if (p[0].revents == 0) continue;
    const int got = fuse_session_receive_buf(session, &buffer);
    if (got == -EINTR || got == -EAGAIN) continue;
    if (got <= 0) break;  // unmounted
    fuse_session_process_buf(session, &buffer);
  }
  free(buffer.mem);
}

TsmFuse::~TsmFuse() {
  if (!thread_.joinable()) return;
  uint64_t one = 1;
  if (write(stop_.get(), &one, sizeof one) != sizeof one) std::abort();  // an eventfd at 0 always takes 1
  thread_.join();
}

}  // namespace ccgpu::emulator
