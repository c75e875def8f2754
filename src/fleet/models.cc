// Model folders by digest. Everything goes through os::Fs, so the fakes can lose what was not synced: a folder gets its
// name only after every file in it, its manifest and its directory are on stable storage.
#include <algorithm>
#include <map>
#include <mutex>
#include <vector>

#include "base/bytes.h"
#include "crypto/crypto.h"
#include "fleet/fleet.h"

namespace hf::fleet {
namespace {

constexpr const char* kManifest = "MANIFEST";
constexpr const char* kDraftPrefix = ".draft-";
constexpr const char* kCache = ".weights";          // one file a model, by digest
constexpr size_t kManifestLimit = size_t{1} << 20;  // 4,096 names of at most 255 bytes fit
constexpr size_t kMaxFiles = 4096;
constexpr size_t kStep = size_t{1} << 20;

bool good_name(std::string_view name) {
  if (name.empty() || name.size() > 200 || name.front() == '.' || name == kManifest) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  });
}

Status check_name(const std::string& name) {
  if (good_name(name)) return {};
  return fail(Code::invalid, "a model's file is named \"" + name.substr(0, 80) +
                                 "\"; expected 1 to 200 of A-Z a-z 0-9 . _ -, not starting with a dot, not MANIFEST");
}

Status check_digest(const std::string& digest) {
  const bool good = digest.size() == 64 && std::all_of(digest.begin(), digest.end(), [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                    });
  if (good) return {};
  return fail(Code::invalid,
              "a model's digest is 64 lower-case hex digits; found " + std::to_string(digest.size()) + " characters");
}

struct Hashed {
  std::string hex;
  uint64_t size = 0;
};

Result<Hashed> hash_file(os::File& file) {
  crypto::Hasher hasher(crypto::Hash::sha256);
  Hashed out;
  std::vector<char> buffer(kStep);
  for (;;) {
    const size_t n = TRY(file.read_at(out.size, buffer));
    if (n == 0) break;
    hasher.update({buffer.data(), n});
    out.size += n;
    if (n < buffer.size()) break;
  }
  out.hex = hex(hasher.finish());
  return out;
}

class ModelsImpl final : public Models {
 public:
  ModelsImpl(os::Fs& fs, os::Random& random, std::string folder)
      : fs_(fs), random_(random), folder_(std::move(folder)) {}

  Status prepare() {
    TRY(fs_.make_dirs_synced(folder_));
    for (const std::string& name : TRY(fs_.list(folder_)))
      if (name.rfind(kDraftPrefix, 0) == 0) TRY(fs_.remove_tree(folder_ + "/" + name));
    if (!fs_.exists(folder_ + "/" + kCache)) return {};
    for (const std::string& name : TRY(fs_.list(folder_ + "/" + kCache)))  // of a removal that was cut short
      if (!fs_.exists(path(name))) TRY(fs_.remove(cache_path(name)));
    return {};
  }

  Result<std::unique_ptr<Draft>> draft() override;

  Result<std::vector<std::string>> files(const std::string& digest) override {
    std::vector<std::string> out;
    for (std::string& name : TRY(list(digest)))
      if (name != kManifest) out.push_back(std::move(name));
    return out;
  }

  Result<std::unique_ptr<os::File>> open_file(const std::string& digest, const std::string& file) override {
    TRY(check_digest(digest));
    TRY(check_name(file));
    return fs_.open(path(digest) + "/" + file, os::Open::read);
  }

  Result<std::unique_ptr<os::File>> open_cache(const std::string& digest) override {
    uint64_t bytes = 0;
    for (const std::string& name : TRY(list(digest))) bytes += TRY(fs_.stat(path(digest) + "/" + name)).size;
    if (bytes < kCachedBytes) return std::unique_ptr<os::File>();
    TRY(fs_.make_dirs(folder_ + "/" + kCache));
    return fs_.open(cache_path(digest), os::Open::create);
  }

  Status verify(const std::string& digest) override {
    const std::vector<std::string> present = TRY(files(digest));
    const std::string manifest = TRY(fs_.read_file(path(digest) + "/" + kManifest, kManifestLimit));
    if (crypto::sha256_hex(manifest) != digest)
      return fail(Code::corrupt, "model " + digest + ": its MANIFEST is not the one that named it");
    std::vector<std::string> expected;
    for (std::string_view line : split(manifest, '\n')) {
      if (line.empty()) continue;
      const auto parts = split(line, ' ');
      check(parts.size() == 3, "a manifest with the right digest has three words a line");
      const std::string name(parts[0]);
      expected.push_back(name);
      auto file = open_file(digest, name);
      if (!file.ok()) return fail(Code::corrupt, "model " + digest + ": " + name + " is missing");
      const Hashed found = TRY(hash_file(**file));
      if (found.hex != parts[1])
        return fail(Code::corrupt, "model " + digest + ": " + name + " has SHA-256 " + found.hex + ", expected " +
                                       std::string(parts[1]));
    }
    for (const std::string& name : present)
      if (std::find(expected.begin(), expected.end(), name) == expected.end())
        return fail(Code::corrupt, "model " + digest + ": " + name + " is not in its MANIFEST");
    return {};
  }

  Status remove(const std::string& digest) override {
    (void)TRY(list(digest));
    std::lock_guard one(naming_);
    if (pins_.contains(digest)) return fail(Code::conflict, "model " + digest + " is being registered");
    // Renamed first: a removal that is cut short leaves a draft, which the next start clears, never half a model.
    const std::string gone = folder_ + "/" + kDraftPrefix + hex(random_.bytes(8));
    TRY(fs_.rename(path(digest), gone));
    TRY(fs_.sync_dir(folder_));
    if (fs_.exists(cache_path(digest))) TRY(fs_.remove(cache_path(digest)));
    return fs_.remove_tree(gone);
  }

 private:
  friend class DraftImpl;
  std::string path(const std::string& digest) const { return folder_ + "/" + digest; }
  std::string cache_path(const std::string& digest) const { return folder_ + "/" + kCache + "/" + digest; }

  Result<std::vector<std::string>> list(const std::string& digest) {
    TRY(check_digest(digest));
    if (!fs_.exists(path(digest))) return fail(Code::not_found, "no model with digest " + digest);
    return fs_.list(path(digest));
  }

  // A folder that a draft has sealed, or found sealed, stays while the draft lives: between its seal and the
  // transaction that registers it no record names it, so that a removal of the same content would not see that it is
  // used.
  void unpin(const std::string& digest) {
    std::lock_guard one(naming_);
    auto at = pins_.find(digest);
    if (at != pins_.end() && --at->second == 0) pins_.erase(at);
  }

  os::Fs& fs_;
  os::Random& random_;
  const std::string folder_;
  std::mutex naming_;  // seal, remove and pins
  std::map<std::string, int> pins_;
  bool sync_failed_ = false;  // guarded by naming_: no name can be trusted to stay, so none is given until a restart
};

class DraftImpl final : public Models::Draft {
 public:
  DraftImpl(ModelsImpl& models, std::string path) : models_(models), path_(std::move(path)) {}
  ~DraftImpl() override {
    // What cannot be removed now goes at the next start.
    if (!sealed_) (void)models_.fs_.remove_tree(path_);
    if (!pinned_.empty()) models_.unpin(pinned_);
  }

  Result<std::unique_ptr<os::File>> create(const std::string& file) override {
    check(pinned_.empty(), "create() on a sealed draft");
    TRY(check_name(file));
    if (TRY(models_.fs_.list(path_)).size() >= kMaxFiles)
      return fail(Code::too_large, "a model has at most " + std::to_string(kMaxFiles) + " files");
    return models_.fs_.open(path_ + "/" + file, os::Open::create_new);
  }

  Status remove(const std::string& file) override {
    TRY(check_name(file));
    return models_.fs_.remove(path_ + "/" + file);
  }

  Result<std::string> seal() override {
    check(pinned_.empty(), "seal() on a sealed draft");
    std::string manifest;
    for (const std::string& name : TRY(models_.fs_.list(path_))) {  // sorted
      auto file = TRY(models_.fs_.open(path_ + "/" + name, os::Open::write));
      TRY(file->sync());
      const Hashed hashed = TRY(hash_file(*file));
      manifest += name + " " + hashed.hex + " " + std::to_string(hashed.size) + "\n";
    }
    if (manifest.empty()) return fail(Code::invalid, "a model needs at least one file");
    const std::string digest = crypto::sha256_hex(manifest);
    TRY(models_.fs_.write_file_atomic(path_ + "/" + kManifest, manifest));
    TRY(models_.fs_.sync_dir(path_));
    return name(digest);
  }

 private:
  Result<std::string> name(const std::string& digest) {
    os::Fs& fs = models_.fs_;
    std::lock_guard one(models_.naming_);
    if (models_.sync_failed_)
      return fail(Code::unavailable, "models: nothing is named until a restart, because a sync of the folder failed");
    if (!fs.exists(models_.path(digest))) {  // else the destructor drops this copy
      TRY(fs.rename(path_, models_.path(digest)));
      sealed_ = true;
    }
    if (Status synced = fs.sync_dir(models_.folder_); !synced.ok()) {
      // Too many open files or no room is another thing: the next seal syncs again, for this name too.
      models_.sync_failed_ = synced.error().code != Code::exhausted;
      return std::move(synced).error();
    }
    pinned_ = digest;
    ++models_.pins_[digest];
    return digest;
  }

  ModelsImpl& models_;
  const std::string path_;
  std::string pinned_;   // the digest, once sealed
  bool sealed_ = false;  // the folder has its last name
};

Result<std::unique_ptr<Models::Draft>> ModelsImpl::draft() {
  const std::string path = folder_ + "/" + kDraftPrefix + hex(random_.bytes(8));
  TRY(fs_.make_dirs(path));
  return std::make_unique<DraftImpl>(*this, path);
}

}  // namespace

Result<std::unique_ptr<Models>> Models::open(os::Fs& fs, os::Random& random, const std::string& folder) {
  auto models = std::make_unique<ModelsImpl>(fs, random, folder);
  TRY(models->prepare());
  return models;
}

}  // namespace hf::fleet
