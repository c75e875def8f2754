#include "store/vfs.h"

#include <sqlite3.h>

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/check.h"
#include "crypto/crypto.h"

namespace hf::store {
namespace {

// What SQLite allocates for an open file; `base` must come first.
struct VfsFile {
  sqlite3_file base;
  Vfs* vfs;
  std::unique_ptr<os::File>* file;
  std::shared_ptr<Vfs::Shared>* shared;
  std::string* path;
  bool main, wal, new_name;  // main: the database itself; wal: its log; new_name: its folder is not synced yet
  int lock;
  unsigned shm_shared, shm_exclusive;  // masks of this connection
  bool shm_used;
};

VfsFile& of(sqlite3_file* f) { return *reinterpret_cast<VfsFile*>(f); }

std::string folder_of(const std::string& path) {
  size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// CRC32C of the page's bytes and of where it stands, then its complement: all-zero pages do not pass by accident.
void page_sum(const char* page, uint64_t offset, std::string& out) {
  std::string place;
  put_u64be(place, offset);
  const uint32_t sum = crypto::crc32c(crypto::crc32c(0, {page, kPageBytes - kPageSumBytes}), place);
  out.clear();
  put_u32be(out, sum);
  put_u32be(out, ~sum);
}

// Which frame of the log has its page at these bytes, if it is one whole page.
std::optional<size_t> frame_of(int amount, sqlite3_int64 offset) {
  constexpr sqlite3_int64 kFirst = kWalHeaderBytes + kWalFrameBytes, kFrame = kWalFrameBytes + kPageBytes;
  if (amount != kPageBytes || offset < kFirst || (offset - kFirst) % kFrame != 0) return {};
  return static_cast<size_t>((offset - kFirst) / kFrame);
}

// Nothing is known any more of the frames that these bytes touch.
void forget_frames(VfsFile& v, sqlite3_int64 offset, sqlite3_int64 end) {
  constexpr sqlite3_int64 kFrame = kWalFrameBytes + kPageBytes;
  std::lock_guard hold(v.vfs->mutex());
  auto& sums = (*v.shared)->frame_sums;
  const auto first = static_cast<size_t>(std::max<sqlite3_int64>(0, offset - kWalHeaderBytes) / kFrame);
  const auto last = static_cast<size_t>(std::max<sqlite3_int64>(0, end - kWalHeaderBytes) / kFrame);
  for (size_t i = first; i <= last && i < sums.size(); ++i) sums[i].reset();
}

void know_frame(VfsFile& v, size_t frame, std::string_view page) {
  const uint32_t sum = crypto::crc32c(0, page);
  std::lock_guard hold(v.vfs->mutex());
  auto& sums = (*v.shared)->frame_sums;
  if (frame >= sums.size()) sums.resize(frame + 1);
  sums[frame] = sum;
}

int check_frame(VfsFile& v, size_t frame, std::string_view page) {
  std::optional<uint32_t> known;
  {
    std::lock_guard hold(v.vfs->mutex());
    const auto& sums = (*v.shared)->frame_sums;
    if (frame < sums.size()) known = sums[frame];
  }
  if (!known || crypto::crc32c(0, page) == *known) return SQLITE_OK;
  return v.vfs->remember(fail(Code::corrupt, *v.path + ": frame " + std::to_string(frame + 1) +
                                                 " is not what was written (its checksum differs)"),
                         SQLITE_IOERR_DATA);
}

int x_close(sqlite3_file* f) {
  VfsFile& v = of(f);
  delete v.file;
  delete v.shared;
  delete v.path;
  return SQLITE_OK;
}

int x_read(sqlite3_file* f, void* out, int amount, sqlite3_int64 offset) {
  VfsFile& v = of(f);
  auto* bytes = static_cast<char*>(out);
  auto n = (*v.file)->read_at(static_cast<uint64_t>(offset), {bytes, static_cast<size_t>(amount)});
  if (!n.ok()) return v.vfs->remember(n.error(), SQLITE_IOERR_READ);
  if (*n < static_cast<size_t>(amount)) {
    std::memset(bytes + *n, 0, static_cast<size_t>(amount) - *n);
    return SQLITE_IOERR_SHORT_READ;
  }
  if (v.main && amount == kPageBytes && offset % kPageBytes == 0) {
    // Byte 20 of the file says how much of each page is reserved: ours always say 8.
    std::string sum;
    page_sum(bytes, static_cast<uint64_t>(offset), sum);
    if (std::memcmp(bytes + kPageBytes - kPageSumBytes, sum.data(), sum.size()) != 0) {
      return v.vfs->remember(fail(Code::corrupt, *v.path + ": page " + std::to_string(offset / kPageBytes + 1) +
                                                     " is not what was written (its checksum differs)"),
                             SQLITE_IOERR_DATA);
    }
  }
  if (auto frame = v.wal ? frame_of(amount, offset) : std::nullopt)
    return check_frame(v, *frame, {bytes, static_cast<size_t>(amount)});
  return SQLITE_OK;
}

int x_write(sqlite3_file* f, const void* data, int amount, sqlite3_int64 offset) {
  VfsFile& v = of(f);
  if (v.vfs->failed()) return SQLITE_IOERR_WRITE;
  std::string_view bytes(static_cast<const char*>(data), static_cast<size_t>(amount));
  std::string page;
  if (v.main && amount == kPageBytes && offset % kPageBytes == 0) {
    std::string sum;
    page_sum(bytes.data(), static_cast<uint64_t>(offset), sum);
    page.assign(bytes.substr(0, kPageBytes - kPageSumBytes)).append(sum);
    bytes = page;
  }
  if (v.wal) forget_frames(v, offset, offset + amount);
  auto ok = (*v.file)->write_at(static_cast<uint64_t>(offset), bytes);
  if (!ok.ok()) return v.vfs->remember(ok.error(), SQLITE_IOERR_WRITE);
  if (auto frame = v.wal ? frame_of(amount, offset) : std::nullopt) know_frame(v, *frame, bytes);
  return SQLITE_OK;
}

int x_truncate(sqlite3_file* f, sqlite3_int64 size) {
  VfsFile& v = of(f);
  if (v.vfs->failed()) return SQLITE_IOERR_TRUNCATE;
  if (v.wal) forget_frames(v, size, INT64_MAX);
  auto ok = (*v.file)->truncate(static_cast<uint64_t>(size));
  return ok.ok() ? SQLITE_OK : v.vfs->remember(ok.error(), SQLITE_IOERR_TRUNCATE);
}

int x_sync(sqlite3_file* f, int) {
  VfsFile& v = of(f);
  if (v.vfs->failed()) return SQLITE_IOERR_FSYNC;
  auto ok = (*v.file)->sync();
  if (ok.ok() && v.new_name) {
    ok = v.vfs->fs().sync_dir(folder_of(*v.path));
    v.new_name = false;
  }
  if (ok.ok()) return SQLITE_OK;
  v.vfs->sync_failed(ok.error());
  return SQLITE_IOERR_FSYNC;
}

int x_file_size(sqlite3_file* f, sqlite3_int64* size) {
  auto n = (*of(f).file)->size();
  if (!n.ok()) return of(f).vfs->remember(n.error(), SQLITE_IOERR_FSTAT);
  *size = static_cast<sqlite3_int64>(*n);
  return SQLITE_OK;
}

// The five-level lock of the rollback journal, between the connections of this process. WAL mode holds SHARED; more is
// taken while a database is made, and by the last connection when it closes.
int x_lock(sqlite3_file* f, int level) {
  VfsFile& v = of(f);
  std::lock_guard hold(v.vfs->mutex());
  Vfs::Shared& s = **v.shared;
  if (v.lock >= level) return SQLITE_OK;
  if (level == SQLITE_LOCK_SHARED) {
    if (s.exclusive || s.pending) return SQLITE_BUSY;
    ++s.shared_locks;
  } else if (level == SQLITE_LOCK_RESERVED) {
    if (s.reserved && s.reserved != &v) return SQLITE_BUSY;
    s.reserved = &v;
  } else {
    if ((s.reserved && s.reserved != &v) || (s.pending && s.pending != &v)) return SQLITE_BUSY;
    s.pending = &v;
    v.lock = SQLITE_LOCK_PENDING;
    if (s.shared_locks > 1) return SQLITE_BUSY;
    s.exclusive = &v;
  }
  v.lock = level;
  return SQLITE_OK;
}

int x_unlock(sqlite3_file* f, int level) {
  VfsFile& v = of(f);
  std::lock_guard hold(v.vfs->mutex());
  Vfs::Shared& s = **v.shared;
  if (v.lock <= level) return SQLITE_OK;
  for (const void** holder : {&s.reserved, &s.pending, &s.exclusive}) {
    if (*holder == &v) *holder = nullptr;
  }
  if (level == SQLITE_LOCK_NONE) --s.shared_locks;
  v.lock = level;
  return SQLITE_OK;
}

int x_check_reserved(sqlite3_file* f, int* out) {
  VfsFile& v = of(f);
  std::lock_guard hold(v.vfs->mutex());
  *out = (*v.shared)->reserved != nullptr;
  return SQLITE_OK;
}

// Before each commit the writer asks for the room that the main file will need (SIZE_HINT), in real bytes: so what is
// in the WAL can always be moved into the main file, on a full disk too, and the WAL's own room used again.
int reserve(sqlite3_file* f, sqlite3_int64 bytes) {
  constexpr sqlite3_int64 kStep = 64 * kPageBytes;
  sqlite3_int64 size = 0;
  int rc = x_file_size(f, &size);
  if (rc != SQLITE_OK || size >= bytes) return rc;
  const sqlite3_int64 rounded = (bytes + kStep - 1) / kStep * kStep;
  const std::string zeros(static_cast<size_t>(rounded - size), '\0');
  VfsFile& v = of(f);
  if (v.vfs->failed()) return SQLITE_IOERR_WRITE;
  std::string_view part = zeros;
  auto ok = (*v.file)->write_at(static_cast<uint64_t>(size), part);
  if (ok.ok()) return SQLITE_OK;
  part = part.substr(0, static_cast<size_t>(bytes - size));
  ok = (*v.file)->write_at(static_cast<uint64_t>(size), part);
  return ok.ok() ? SQLITE_OK : v.vfs->remember(ok.error(), SQLITE_IOERR_WRITE);
}

int x_file_control(sqlite3_file* f, int what, void* argument) {
  if (what != SQLITE_FCNTL_SIZE_HINT || !of(f).main) return SQLITE_NOTFOUND;
  return reserve(f, *static_cast<sqlite3_int64*>(argument));
}
int x_sector_size(sqlite3_file*) { return 4096; }
// A torn write touches only what it wrote: true of every disk of this century, and assumed by SQLite's own layer.
int x_characteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

int x_shm_map(sqlite3_file* f, int region, int size, int extend, void volatile** out) {
  VfsFile& v = of(f);
  std::lock_guard hold(v.vfs->mutex());
  Vfs::Shared& s = **v.shared;
  if (!v.shm_used) {
    v.shm_used = true;
    ++s.shm_users;
  }
  const auto index = static_cast<size_t>(region);
  if (index >= s.regions.size() && !extend) {
    *out = nullptr;
    return SQLITE_OK;
  }
  while (index >= s.regions.size()) s.regions.push_back(std::make_unique<char[]>(static_cast<size_t>(size)));
  *out = s.regions[index].get();
  return SQLITE_OK;
}

int x_shm_lock(sqlite3_file* f, int first, int n, int flags) {
  VfsFile& v = of(f);
  std::lock_guard hold(v.vfs->mutex());
  Vfs::Shared& s = **v.shared;
  unsigned mask = 0;
  for (int i = first; i < first + n; ++i) mask |= 1U << i;
  auto each = [&](auto fn) {
    for (int i = first; i < first + n; ++i) fn(i, 1U << i);
  };
  if (flags & SQLITE_SHM_UNLOCK) {
    each([&](int i, unsigned bit) {
      if (v.shm_shared & bit) --s.shm_shared[i];
      if (v.shm_exclusive & bit) s.shm_exclusive[i] = nullptr;
    });
    v.shm_shared &= ~mask;
    v.shm_exclusive &= ~mask;
    return SQLITE_OK;
  }
  bool busy = false;
  if (flags & SQLITE_SHM_SHARED) {
    each([&](int i, unsigned) { busy |= s.shm_exclusive[i] && s.shm_exclusive[i] != &v; });
    if (busy) return SQLITE_BUSY;
    each([&](int i, unsigned bit) {
      if (!(v.shm_shared & bit)) ++s.shm_shared[i];
    });
    v.shm_shared |= mask;
    return SQLITE_OK;
  }
  each([&](int i, unsigned bit) {
    const int others = s.shm_shared[i] - ((v.shm_shared & bit) ? 1 : 0);
    busy |= others > 0 || (s.shm_exclusive[i] && s.shm_exclusive[i] != &v);
  });
  if (busy) return SQLITE_BUSY;
  each([&](int i, unsigned) { s.shm_exclusive[i] = &v; });
  v.shm_exclusive |= mask;
  return SQLITE_OK;
}

void x_shm_barrier(sqlite3_file* f) {
  std::lock_guard hold(of(f).vfs->mutex());  // a mutex is a barrier
}

int x_shm_unmap(sqlite3_file* f, int) {
  VfsFile& v = of(f);
  std::lock_guard hold(v.vfs->mutex());
  Vfs::Shared& s = **v.shared;
  if (!v.shm_used) return SQLITE_OK;
  v.shm_used = false;
  if (--s.shm_users == 0) s.regions.clear();
  return SQLITE_OK;
}

const sqlite3_io_methods kMethods = {
    2,
    x_close,
    x_read,
    x_write,
    x_truncate,
    x_sync,
    x_file_size,
    x_lock,
    x_unlock,
    x_check_reserved,
    x_file_control,
    x_sector_size,
    x_characteristics,
    x_shm_map,
    x_shm_lock,
    x_shm_barrier,
    x_shm_unmap,
    nullptr,
    nullptr,
};

Vfs& vfs_of(sqlite3_vfs* base) { return *static_cast<Vfs*>(base->pAppData); }

int v_open(sqlite3_vfs* base, const char* name, sqlite3_file* f, int flags, int* out_flags) {
  Vfs& vfs = vfs_of(base);
  f->pMethods = nullptr;
  if (!name) {  // temporary files stay in memory (temp_store): this one should not be asked for
    return vfs.remember(fail(Code::internal, "SQLite asked for a temporary file"), SQLITE_CANTOPEN);
  }
  const std::string path = name;
  os::Open how = os::Open::read;
  if (flags & SQLITE_OPEN_READWRITE) how = (flags & SQLITE_OPEN_CREATE) ? os::Open::create : os::Open::write;
  auto file = vfs.fs().open(path, how);
  if (!file.ok()) return vfs.remember(file.error(), SQLITE_CANTOPEN);
  VfsFile& v = of(f);
  std::memset(&v, 0, sizeof v);
  v.base.pMethods = &kMethods;
  v.vfs = &vfs;
  v.file = new std::unique_ptr<os::File>(std::move(*file));
  v.shared = new std::shared_ptr<Vfs::Shared>(vfs.shared(path));
  v.path = new std::string(path);
  v.main = (flags & SQLITE_OPEN_MAIN_DB) != 0;
  v.wal = (flags & SQLITE_OPEN_WAL) != 0;
  v.new_name = true;  // also where it exists: whoever made it may have been killed before its folder was synced
  if (out_flags) *out_flags = flags;
  return SQLITE_OK;
}

int v_delete(sqlite3_vfs* base, const char* name, int sync) {
  Vfs& vfs = vfs_of(base);
  if (vfs.failed()) return SQLITE_IOERR_DELETE;
  auto ok = vfs.fs().remove(name);
  if (!ok.ok() && ok.error().code == Code::not_found) return SQLITE_IOERR_DELETE_NOENT;
  if (!ok.ok()) return vfs.remember(ok.error(), SQLITE_IOERR_DELETE);
  if (!sync) return SQLITE_OK;
  ok = vfs.fs().sync_dir(folder_of(name));
  if (ok.ok()) return SQLITE_OK;
  vfs.sync_failed(ok.error());
  return SQLITE_IOERR_DIR_FSYNC;
}

int v_access(sqlite3_vfs* base, const char* name, int flags, int* out) {
  auto stat = vfs_of(base).fs().stat(name);
  if (!stat.ok() && stat.error().code != Code::not_found)
    return vfs_of(base).remember(stat.error(), SQLITE_IOERR_ACCESS);
  *out = stat.ok() && (flags != SQLITE_ACCESS_EXISTS || stat->size > 0);  // an empty journal is none
  return SQLITE_OK;
}

int v_full_path(sqlite3_vfs*, const char* name, int room, char* out) {
  const size_t n = strlen(name);
  if (n + 1 > static_cast<size_t>(room)) return SQLITE_CANTOPEN;
  std::memcpy(out, name, n + 1);
  return SQLITE_OK;
}

int v_randomness(sqlite3_vfs* base, int n, char* out) {
  vfs_of(base).random().fill({out, static_cast<size_t>(n)});
  return n;
}

int v_sleep(sqlite3_vfs*, int us) {
  os::real_clock().sleep_us(us);
  return us;
}

int v_time64(sqlite3_vfs*, sqlite3_int64* out) {
  // Milliseconds of the Julian day number; only SQL's own date functions ask, and we use none.
  *out = 210866760000000 + os::real_clock().now() / 1000;
  return SQLITE_OK;
}

int v_time(sqlite3_vfs* base, double* out) {
  sqlite3_int64 ms = 0;
  v_time64(base, &ms);
  *out = static_cast<double>(ms) / 86400000.0;
  return SQLITE_OK;
}

int v_last_error(sqlite3_vfs*, int, char*) { return 0; }

}  // namespace

Vfs::Vfs(os::Fs& fs, os::Random& random) : fs_(fs), random_(random), base_(std::make_unique<sqlite3_vfs>()) {
  name_ = "holdfast-" + std::to_string(reinterpret_cast<uintptr_t>(this));
  std::memset(base_.get(), 0, sizeof *base_);
  base_->iVersion = 2;
  base_->szOsFile = sizeof(VfsFile);
  base_->mxPathname = 4096;
  base_->zName = name_.c_str();
  base_->pAppData = this;
  base_->xOpen = v_open;
  base_->xDelete = v_delete;
  base_->xAccess = v_access;
  base_->xFullPathname = v_full_path;
  base_->xRandomness = v_randomness;
  base_->xSleep = v_sleep;
  base_->xCurrentTime = v_time;
  base_->xCurrentTimeInt64 = v_time64;
  base_->xGetLastError = v_last_error;
  check(sqlite3_vfs_register(base_.get(), 0) == SQLITE_OK, "register the file layer with SQLite");
}

Vfs::~Vfs() { sqlite3_vfs_unregister(base_.get()); }

Error Vfs::last_error() {
  std::lock_guard hold(mutex_);
  return last_error_;
}

std::shared_ptr<Vfs::Shared> Vfs::shared(const std::string& path) {
  std::lock_guard hold(mutex_);
  auto& slot = shared_[path];
  auto s = slot.lock();
  if (!s) slot = s = std::make_shared<Shared>();
  return s;
}

int Vfs::remember(const Error& error, int code) {
  std::lock_guard hold(mutex_);
  if (!failed_) last_error_ = error;  // after a failed sync that one stays the reason
  return error.name == kDiskFull ? SQLITE_FULL : code;
}

void Vfs::sync_failed(const Error& error) {
  std::lock_guard hold(mutex_);
  if (!failed_) last_error_ = error;
  failed_ = true;
}

}  // namespace hf::store
