#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <set>

#include "os/errors.h"
#include "os/fake.h"

namespace hf::os {
namespace {

constexpr uint64_t kSector = 512;  // what a disk writes whole

struct Change {  // pending on one file
  bool truncate = false;
  uint64_t offset = 0;  // or the new size
  std::string data;
  bool doomed = false;  // its write-back failed: no later sync brings it to the disk
};

struct Inode {
  bool directory = false;
  std::string seen, durable;
  std::vector<Change> pending;
  int64_t modified = 0;
};
using InodePtr = std::shared_ptr<Inode>;
using Names = std::map<std::string, InodePtr>;

struct NameChange {  // pending in one folder, or two (a rename)
  enum class Kind { add, remove, rename } kind;
  std::string path, to;
  InodePtr inode;
  std::set<std::string> unsynced_folders;
  bool doomed = false;  // as Change::doomed
};

void put(std::string& content, uint64_t offset, std::string_view data) {
  if (content.size() < offset + data.size()) content.resize(offset + data.size(), '\0');
  content.replace(offset, data.size(), data);
}

void apply_to(std::string& content, const Change& c) {
  if (c.truncate) {
    content.resize(c.offset, '\0');
  } else {
    put(content, c.offset, c.data);
  }
}

// What a failed write-back left undone can only turn up where nothing newer has been written back since.
void supersede(std::vector<Change>& doomed, const Change& newer) {
  const uint64_t from = newer.offset, to = newer.truncate ? UINT64_MAX : newer.offset + newer.data.size();
  std::vector<Change> left;
  for (const Change& d : doomed) {
    if (d.truncate) continue;
    const uint64_t end = d.offset + d.data.size();
    if (d.offset < from) left.push_back({false, d.offset, d.data.substr(0, std::min(end, from) - d.offset), true});
    if (end > to) {
      const uint64_t start = std::max(d.offset, to);
      left.push_back({false, start, d.data.substr(start - d.offset), true});
    }
  }
  doomed = std::move(left);
}

std::string normal(const std::string& path) {
  std::string out;
  for (char c : path) {
    if (c != '/' || out.empty() || out.back() != '/') out += c;
  }
  while (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

std::string folder_of(const std::string& path) {
  size_t slash = path.find_last_of('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool is_root(const std::string& path) { return path == "/" || path == "."; }

bool inside(const std::string& path, const std::string& folder) {
  return path.size() > folder.size() && path.compare(0, folder.size(), folder) == 0 && path[folder.size()] == '/';
}

// Moves a name, and where it is a folder all that is in it.
void move_names(Names& names, const std::string& from, const std::string& to) {
  std::vector<std::pair<std::string, InodePtr>> moved;
  for (auto it = names.begin(); it != names.end();) {
    if (it->first == from || inside(it->first, from)) {
      moved.emplace_back(to + it->first.substr(from.size()), it->second);
      it = names.erase(it);
    } else {
      ++it;
    }
  }
  for (auto& [name, inode] : moved) names[name] = inode;
}

void apply_to(Names& names, const NameChange& c) {
  auto it = names.find(c.path);
  const bool same = it != names.end() && it->second == c.inode;
  switch (c.kind) {
    case NameChange::Kind::add:
      names[c.path] = c.inode;
      break;
    case NameChange::Kind::remove:
      if (same) names.erase(it);
      break;
    case NameChange::Kind::rename:
      if (same) {
        move_names(names, c.path, c.to);
      } else {
        names[c.to] = c.inode;  // the first name itself was never written
      }
      break;
  }
}

}  // namespace

struct FakeFs::State {
  mutable std::mutex mutex;
  Names names, durable_names;
  std::vector<NameChange> name_changes;
  std::set<std::string> locked;
  uint64_t generation = 0;  // of the power: files opened before a crash are dead
  uint64_t calls = 0, syncs = 0;
  uint64_t fail_call = 0, fail_sync = 0;
  Fault fault = Fault::eio;
  bool lasting = false, fired = false, off = false, read_only = false;
  uint64_t capacity = UINT64_MAX;
  int64_t ticks = 0;  // file times: each change is one microsecond later

  // Counts the call; the fault that hits it, if any. A disk that stays full still does what needs no room.
  enum class Needs { room, nothing, sync };
  std::optional<Fault> count(Needs needs) {
    const bool is_sync = needs == Needs::sync;
    ++calls;
    if (is_sync) ++syncs;
    if (off) return Fault::power_off;
    const bool hit = (fail_call != 0 && (calls == fail_call || (lasting && calls > fail_call))) ||
                     (is_sync && fail_sync != 0 && syncs == fail_sync);
    if (!hit) return {};
    const bool full = fault == Fault::enospc || fault == Fault::short_write;
    if (lasting && full && needs != Needs::room) return {};
    fired = true;
    if (fault == Fault::power_off) off = true;
    return fault;
  }

  static Error error(Fault f, const char* doing, const std::string& path) {
    return errno_error(f == Fault::enospc || f == Fault::short_write ? ENOSPC : EIO, doing, path);
  }

  uint64_t used() const {
    uint64_t sum = 0;
    for (const auto& [name, inode] : names) sum += inode->seen.size();
    return sum;
  }

  bool is_directory(const std::string& path) const {
    if (is_root(path)) return true;
    auto it = names.find(path);
    return it != names.end() && it->second->directory;
  }

  void change(NameChange c) {
    apply_to(names, c);
    c.unsynced_folders.insert(folder_of(c.path));
    if (c.kind == NameChange::Kind::rename) c.unsynced_folders.insert(folder_of(c.to));
    name_changes.push_back(std::move(c));
  }

  InodePtr add(const std::string& path, bool directory) {
    auto inode = std::make_shared<Inode>();
    inode->directory = directory;
    inode->modified = ++ticks;
    change({NameChange::Kind::add, path, {}, inode, {}, false});
    return inode;
  }
};

class FakeFile final : public File {
 public:
  FakeFile(std::shared_ptr<FakeFs::State> state, InodePtr inode, std::string path, bool writable, bool lock)
      : state_(std::move(state)),
        inode_(std::move(inode)),
        path_(std::move(path)),
        generation_(state_->generation),
        writable_(writable),
        lock_(lock) {}
  ~FakeFile() override {
    if (!lock_) return;
    std::lock_guard hold(state_->mutex);
    if (generation_ == state_->generation) state_->locked.erase(path_);
  }

  Result<size_t> read_at(uint64_t offset, std::span<char> out) override {
    std::lock_guard hold(state_->mutex);
    TRY(alive("read"));
    if (auto f = state_->count(FakeFs::State::Needs::nothing))
      return FakeFs::State::error(*f == FakeFs::Fault::power_off ? *f : FakeFs::Fault::eio, "read", path_);
    const std::string& all = inode_->seen;
    if (offset >= all.size()) return size_t{0};
    const size_t n = std::min<uint64_t>(out.size(), all.size() - offset);
    std::memcpy(out.data(), all.data() + offset, n);
    return n;
  }

  Status write_at(uint64_t offset, std::string_view data) override {
    std::lock_guard hold(state_->mutex);
    TRY(alive("write"));
    TRY(may_write("write"));
    auto fault = state_->count(FakeFs::State::Needs::room);
    if (fault && *fault != FakeFs::Fault::short_write) return FakeFs::State::error(*fault, "write", path_);
    if (fault) data = data.substr(0, data.size() / 2);
    const uint64_t end = offset + data.size(), size = inode_->seen.size();
    if (end > size && state_->used() + (end - size) > state_->capacity) return errno_error(ENOSPC, "write", path_);
    add({false, offset, std::string(data), false});
    if (fault) return errno_error(ENOSPC, "write", path_);
    return {};
  }

  Status sync() override {
    std::lock_guard hold(state_->mutex);
    TRY(alive("sync"));
    if (auto fault = state_->count(FakeFs::State::Needs::sync)) {
      if (*fault != FakeFs::Fault::power_off) {
        for (auto& c : inode_->pending) c.doomed = true;
      }
      return FakeFs::State::error(*fault, "sync", path_);
    }
    std::vector<Change> doomed;
    for (auto& c : inode_->pending) {
      if (c.doomed) {
        doomed.push_back(std::move(c));
      } else {
        supersede(doomed, c);
        apply_to(inode_->durable, c);
      }
    }
    inode_->pending = std::move(doomed);
    return {};
  }

  Result<uint64_t> size() override {
    std::lock_guard hold(state_->mutex);
    TRY(alive("stat"));
    return uint64_t{inode_->seen.size()};
  }

  Status truncate(uint64_t size) override {
    std::lock_guard hold(state_->mutex);
    TRY(alive("truncate"));
    TRY(may_write("truncate"));
    if (auto f = state_->count(FakeFs::State::Needs::room)) return FakeFs::State::error(*f, "truncate", path_);
    const uint64_t old = inode_->seen.size();
    if (size > old && state_->used() + (size - old) > state_->capacity) return errno_error(ENOSPC, "truncate", path_);
    add({true, size, {}, false});
    return {};
  }

  int fd() const override { return -1; }

 private:
  Status alive(const char* doing) const {
    if (generation_ == state_->generation) return {};
    return errno_error(EIO, doing, path_ + " (opened before the crash)");
  }
  Status may_write(const char* doing) const {
    if (!writable_) return errno_error(EBADF, doing, path_);
    if (state_->read_only) return errno_error(EROFS, doing, path_);
    return {};
  }
  void add(Change c) {
    apply_to(inode_->seen, c);
    inode_->modified = ++state_->ticks;
    inode_->pending.push_back(std::move(c));
  }

  std::shared_ptr<FakeFs::State> state_;
  InodePtr inode_;
  std::string path_;
  uint64_t generation_;
  bool writable_, lock_;
};

FakeFs::FakeFs() : state_(std::make_shared<State>()) {}
FakeFs::~FakeFs() = default;

void FakeFs::fail_at(uint64_t n, Fault fault, bool lasting) {
  std::lock_guard hold(state_->mutex);
  state_->fail_call = n == 0 ? 0 : state_->calls + n;
  state_->fail_sync = 0;
  state_->fault = fault;
  state_->lasting = lasting;
  state_->fired = false;
}

void FakeFs::fail_sync_at(uint64_t n, Fault fault) {
  std::lock_guard hold(state_->mutex);
  state_->fail_sync = n == 0 ? 0 : state_->syncs + n;
  state_->fail_call = 0;
  state_->fault = fault;
  state_->lasting = false;
  state_->fired = false;
}

uint64_t FakeFs::calls() const {
  std::lock_guard hold(state_->mutex);
  return state_->calls;
}

uint64_t FakeFs::syncs() const {
  std::lock_guard hold(state_->mutex);
  return state_->syncs;
}

bool FakeFs::fault_fired() const {
  std::lock_guard hold(state_->mutex);
  return state_->fired;
}

void FakeFs::set_capacity(uint64_t bytes) {
  std::lock_guard hold(state_->mutex);
  state_->capacity = bytes;
}

void FakeFs::set_read_only(bool on) {
  std::lock_guard hold(state_->mutex);
  state_->read_only = on;
}

uint64_t FakeFs::used_bytes() const {
  std::lock_guard hold(state_->mutex);
  return state_->used();
}

Status FakeFs::flip_bit(const std::string& path, uint64_t bit) {
  std::lock_guard hold(state_->mutex);
  auto it = state_->names.find(normal(path));
  if (it == state_->names.end() || it->second->directory) return errno_error(ENOENT, "flip a bit of", path);
  Inode& inode = *it->second;
  if (bit / 8 >= inode.seen.size()) return fail(Code::invalid, "bit " + std::to_string(bit) + " is outside of " + path);
  const char mask = static_cast<char>(1 << (bit % 8));
  inode.seen[bit / 8] ^= mask;
  if (bit / 8 < inode.durable.size()) inode.durable[bit / 8] ^= mask;
  for (auto& c : inode.pending) {
    if (!c.truncate && bit / 8 >= c.offset && bit / 8 < c.offset + c.data.size()) c.data[bit / 8 - c.offset] ^= mask;
  }
  return {};
}

namespace {

// What the disk holds of one file after the power was cut.
std::string survivors(const Inode& inode, FakeRandom& random) {
  std::string content = inode.durable;
  for (const auto& c : inode.pending) {
    if (c.truncate) {
      if (random.below(2)) apply_to(content, c);
      continue;
    }
    // Three in four cases are whole or nothing, the interesting orders; the rest is torn at sectors.
    const uint64_t style = random.below(8);
    if (style < 3 && !c.doomed) {
      apply_to(content, c);
    } else if (style < 6) {
      if (random.below(4) == 0 && content.size() < c.offset + c.data.size()) content.resize(c.offset + c.data.size());
    } else {
      for (uint64_t at = 0; at < c.data.size();) {
        const uint64_t n = std::min<uint64_t>(kSector - (c.offset + at) % kSector, c.data.size() - at);
        if (random.below(2)) put(content, c.offset + at, std::string_view(c.data).substr(at, n));
        at += n;
      }
    }
  }
  return content;
}

}  // namespace

void FakeFs::crash(uint64_t seed) {
  std::lock_guard hold(state_->mutex);
  State& s = *state_;
  FakeRandom random(seed);
  Names after = s.durable_names;
  for (const auto& c : s.name_changes) {
    if (random.below(2)) apply_to(after, c);
  }
  // A file whose folder was lost is lost. Parents sort before what is in them.
  for (auto it = after.begin(); it != after.end();) {
    const std::string folder = folder_of(it->first);
    auto parent = after.find(folder);
    const bool there = is_root(folder) || (parent != after.end() && parent->second->directory);
    it = there ? std::next(it) : after.erase(it);
  }
  std::set<Inode*> done;
  for (auto& [name, inode] : after) {
    if (!done.insert(inode.get()).second) continue;
    inode->durable = inode->seen = survivors(*inode, random);
    inode->pending.clear();
  }
  s.names = s.durable_names = std::move(after);
  s.name_changes.clear();
  s.locked.clear();
  ++s.generation;
  s.fail_call = s.fail_sync = 0;
  s.off = s.fired = s.lasting = false;
}

Result<std::unique_ptr<File>> FakeFs::open(const std::string& raw, Open how, int /*mode*/) {
  const std::string path = normal(raw);
  std::lock_guard hold(state_->mutex);
  State& s = *state_;
  auto it = s.names.find(path);
  if (auto f = s.count(it == s.names.end() ? State::Needs::room : State::Needs::nothing))
    return State::error(*f, "open", path);
  const bool writable = how != Open::read;
  InodePtr inode;
  if (it != s.names.end()) {
    if (how == Open::create_new) return errno_error(EEXIST, "open", path);
    if (it->second->directory && writable) return errno_error(EISDIR, "open", path);
    if (s.read_only && writable) return errno_error(EROFS, "open", path);
    inode = it->second;
  } else {
    if (how == Open::read || how == Open::write) return errno_error(ENOENT, "open", path);
    if (!s.is_directory(folder_of(path))) return errno_error(ENOENT, "open", path);
    if (s.read_only) return errno_error(EROFS, "open", path);
    inode = s.add(path, false);
  }
  return std::make_unique<FakeFile>(state_, inode, path, writable, false);
}

Status FakeFs::make_dirs(const std::string& raw, int /*mode*/) {
  const std::string path = normal(raw);
  std::lock_guard hold(state_->mutex);
  State& s = *state_;
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (!is_root(part) && !s.is_directory(part)) {
      if (s.names.count(part)) return errno_error(ENOTDIR, "make folder", part);
      if (auto f = s.count(State::Needs::room)) return State::error(*f, "make folder", part);
      if (s.read_only) return errno_error(EROFS, "make folder", part);
      s.add(part, true);
    }
    if (slash == std::string::npos) return {};
  }
}

Status FakeFs::remove(const std::string& raw) {
  const std::string path = normal(raw);
  std::lock_guard hold(state_->mutex);
  State& s = *state_;
  if (auto f = s.count(State::Needs::nothing)) return State::error(*f, "remove", path);
  auto it = s.names.find(path);
  if (it == s.names.end()) return errno_error(ENOENT, "remove", path);
  if (s.read_only) return errno_error(EROFS, "remove", path);
  auto next = std::next(it);
  if (it->second->directory && next != s.names.end() && inside(next->first, path)) {
    return errno_error(ENOTEMPTY, "remove", path);
  }
  s.change({NameChange::Kind::remove, path, {}, it->second, {}, false});
  return {};
}

Status FakeFs::rename(const std::string& raw_from, const std::string& raw_to) {
  const std::string from = normal(raw_from), to = normal(raw_to);
  std::lock_guard hold(state_->mutex);
  State& s = *state_;
  if (auto f = s.count(State::Needs::room)) return State::error(*f, "rename", from);
  auto it = s.names.find(from);
  if (it == s.names.end()) return errno_error(ENOENT, "rename", from);
  if (!s.is_directory(folder_of(to))) return errno_error(ENOENT, "rename", to);
  if (s.read_only) return errno_error(EROFS, "rename", from);
  if (from == to) return {};
  if (s.is_directory(from) && inside(to, from)) return errno_error(EINVAL, "rename", to);
  if (auto old = s.names.find(to); old != s.names.end()) {
    if (old->second->directory != it->second->directory) {
      return errno_error(old->second->directory ? EISDIR : ENOTDIR, "rename", to);
    }
    auto next = std::next(old);
    if (old->second->directory && next != s.names.end() && inside(next->first, to)) {
      return errno_error(ENOTEMPTY, "rename", to);
    }
  }
  s.change({NameChange::Kind::rename, from, to, it->second, {}, false});
  return {};
}

Result<std::vector<std::string>> FakeFs::list(const std::string& raw) {
  const std::string path = normal(raw);
  std::lock_guard hold(state_->mutex);
  State& s = *state_;
  if (auto f = s.count(State::Needs::nothing)) return State::error(Fault::eio, "list", path);
  if (!s.is_directory(path)) return errno_error(s.names.count(path) ? ENOTDIR : ENOENT, "list", path);
  std::vector<std::string> names;
  for (const auto& [name, inode] : s.names) {
    if (name != path && folder_of(name) == path) names.push_back(name.substr(name.find_last_of('/') + 1));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<Stat> FakeFs::stat(const std::string& raw) {
  const std::string path = normal(raw);
  std::lock_guard hold(state_->mutex);
  State& s = *state_;
  if (s.off) return State::error(Fault::eio, "stat", path);
  if (is_root(path)) return Stat{Stat::Kind::directory, 0, 0};
  auto it = s.names.find(path);
  if (it == s.names.end()) return errno_error(ENOENT, "stat", path);
  return Stat{it->second->directory ? Stat::Kind::directory : Stat::Kind::file, it->second->seen.size(),
              it->second->modified};
}

Status FakeFs::sync_dir(const std::string& raw) {
  const std::string path = normal(raw);
  std::lock_guard hold(state_->mutex);
  State& s = *state_;
  if (auto f = s.count(State::Needs::sync)) {
    for (auto& c : s.name_changes)
      c.doomed = c.doomed || (*f != Fault::power_off && c.unsynced_folders.count(path) > 0);
    return State::error(*f, "sync folder", path);
  }
  if (!s.is_directory(path)) return errno_error(ENOENT, "sync folder", path);
  std::vector<NameChange> left;
  for (auto& c : s.name_changes) {
    if (!c.doomed) c.unsynced_folders.erase(path);
    if (c.unsynced_folders.empty()) {
      apply_to(s.durable_names, c);
    } else {
      left.push_back(std::move(c));
    }
  }
  s.name_changes = std::move(left);
  return {};
}

Result<uint64_t> FakeFs::free_bytes(const std::string& /*path*/) {
  std::lock_guard hold(state_->mutex);
  const uint64_t used = state_->used();
  return used >= state_->capacity ? 0 : state_->capacity - used;
}

Result<std::unique_ptr<File>> FakeFs::lock(const std::string& raw) {
  const std::string path = normal(raw);
  auto file = TRY(open(path, Open::create));
  std::lock_guard hold(state_->mutex);
  if (!state_->locked.insert(path).second) return fail(Code::conflict, path + " is locked by another process");
  return std::make_unique<FakeFile>(state_, state_->names.at(path), path, true, true);
}

void FakeRandom::fill(std::span<char> out) {
  for (size_t at = 0; at < out.size(); at += 8) {
    const uint64_t v = next();
    std::memcpy(out.data() + at, &v, std::min<size_t>(8, out.size() - at));
  }
}

uint64_t FakeRandom::next() {
  std::lock_guard hold(mutex_);
  uint64_t z = state_ += 0x9e3779b97f4a7c15;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
  z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
  return z ^ (z >> 31);
}

}  // namespace hf::os
