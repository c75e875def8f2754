// The kernels' form of a model's weights, kept in a file: made once, mapped ever after. The site opens the file and
// hands it over; the worker writes through the descriptor. The file is a help only: one that is short, broken, or of
// another layout or model is made again, and where it cannot be written the weights stay in plain memory.
//
// Format: 4,096 bytes of header ("HFWEIGHT", u32 kWeightLayoutVersion, u32 CRC32C of the rest of the file, u64 its
// bytes, 64 characters of the model's digest, u32 CRC32C of the header up to here; numbers big-endian), then the
// weights.
#pragma once

#include <memory>
#include <string>

#include "model/llama.h"
#include "os/fs.h"
#include "os/mapping.h"

namespace hf::engine {

class WeightCache {
 public:
  // `file`: to read and to write; null: none. Must live until the load is over.
  WeightCache(std::unique_ptr<os::File> file, std::string digest)
      : file_(std::move(file)), digest_(std::move(digest)) {}

  // For LoadOptions::memory: the file's weights where it is sound, else memory that is written to it when it is filled.
  Result<model::WeightMemory> memory(size_t bytes);
  // Once a model is loaded from memory that this wrote: its weights by way of the file, so that they are there once.
  // Nothing where there is no sound file.
  bool written() const { return written_; }

 private:
  Result<std::shared_ptr<os::Mapping>> sound(size_t bytes);
  Status write(const uint8_t* data, size_t bytes);
  std::unique_ptr<os::File> file_;
  std::string digest_;
  bool written_ = false;
};

}  // namespace hf::engine
