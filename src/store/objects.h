// Objects: buckets and their objects, as S3 sees them. Metadata in the Db, bytes in files named by their own random id
// (never by the key), written, synced, and only then named by a row. A read returns the bytes written or
// Code::corrupt (each 1 MiB block carries a CRC32C, checked before its bytes leave), never other bytes.
//
// A file: the bytes; CRC32C of each 1 MiB block (big-endian, 4 bytes each); the size (8 bytes); CRC32C over the file's
// own name, the block sums and the size (4 bytes); "hfobj\0\0\1". In FOLDER/ab/ for the name abcdef....
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "store/db.h"

namespace hf::store {

struct Bucket {
  std::string name, account;
  Micros created = 0;
};

struct ObjectInfo {
  std::string bucket, key;
  std::string version_id = "null";
  bool latest = true;
  bool delete_marker = false;
  uint64_t size = 0;
  std::string etag;  // hex MD5 of the bytes, without quotes
  Micros modified = 0;
  std::map<std::string, std::string> metadata;   // x-amz-meta-*, names without the prefix
  std::map<std::string, std::string> system;     // content-type, cache-control, content-encoding, ... as given
  std::map<std::string, std::string> checksums;  // "crc32" -> base64, ... full-object
};

constexpr uint64_t kObjectBlockBytes = 1 << 20;
// Room that uploads leave on the disk, so that metadata can still be written: deleting must work on a full disk.
constexpr uint64_t kReservedBytes = 64 << 20;

// Bytes on their way in. Not visible, and removed if the object is destroyed before commit (or after a commit whose
// transaction failed: the Upload asks the metadata). One thread at a time; must not outlive its Objects.
class Upload {
 public:
  virtual ~Upload() = default;
  virtual Status write(std::string_view data) = 0;
  virtual uint64_t size() const = 0;
  virtual std::string md5() const = 0;  // raw 16 bytes; after the last write
  virtual Status seal() = 0;            // sync the bytes; then commit in a transaction
};

class Reader {  // any number of threads; the bytes stay readable when the object is replaced or removed meanwhile
 public:
  virtual ~Reader() = default;
  virtual const ObjectInfo& info() const = 0;
  virtual Result<size_t> read_at(uint64_t offset, std::span<char> out) = 0;  // corrupt if a block's CRC is wrong
};

class Objects {
 public:
  static Result<std::unique_ptr<Objects>> open(os::Fs& fs, os::Clock& clock, os::Random& random, Db& db,
                                               const std::string& folder,  // removes orphans of a crash
                                               uint64_t reserved_bytes = kReservedBytes);
  virtual ~Objects() = default;

  // In the caller's transaction, so that the ledger's entry is in it too. Error names are S3's.
  virtual Status create_bucket(Txn&, const Bucket&) = 0;            // BucketAlreadyOwnedByYou, BucketAlreadyExists
  virtual Status delete_bucket(Txn&, const std::string& name) = 0;  // NoSuchBucket, BucketNotEmpty
  virtual Result<std::optional<Bucket>> bucket(Txn&, const std::string& name) = 0;
  virtual Result<std::vector<Bucket>> buckets(Txn&, const std::string& account, const std::string& prefix,
                                              const std::string& after, int64_t limit) = 0;

  virtual Result<std::unique_ptr<Upload>> upload() = 0;
  virtual Status commit(Txn&, Upload&, const ObjectInfo&) = 0;  // replaces the key's object
  virtual Result<std::optional<ObjectInfo>> head(Txn&, const std::string& bucket, const std::string& key) = 0;
  virtual Result<std::unique_ptr<Reader>> get(const std::string& bucket, const std::string& key) = 0;  // NoSuchKey
  virtual Result<bool> remove(Txn&, const std::string& bucket, const std::string& key) = 0;  // false: was not there
  struct Listing {
    std::vector<ObjectInfo> objects;
    std::vector<std::string> common_prefixes;
    bool truncated = false;
    std::string next;  // last key or prefix given: pass as `after`
  };
  virtual Result<Listing> list(Txn&, const std::string& bucket, const std::string& prefix, const std::string& delimiter,
                               const std::string& after, int64_t limit) = 0;
  // Files of replaced and removed objects are deleted after the commit, when no Reader holds them.
  // Call it from time to time, outside of a transaction; cheap where there is nothing. What it does not reach, the next
  // one does, or the next open().
  virtual void collect() = 0;
  virtual bool collect_due() const = 0;  // enough waits to be worth a transaction
};

}  // namespace hf::store
