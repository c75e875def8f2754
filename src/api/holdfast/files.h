// A file of the site's as a streamed answer.
#pragma once

#include "api/holdfast/operations.h"
#include "os/fs.h"

namespace hf::api::holdfast_api {

struct FileResponse {
  std::string content_type;
  wire::Body body;
  static void fields(wire::Fields<FileResponse>& f) {
    f("content_type", &FileResponse::content_type).header("content-type");
    f("body", &FileResponse::body).payload();
  }
};

class FileSource final : public wire::BodySource {
 public:
  explicit FileSource(std::unique_ptr<os::File> file) : file_(std::move(file)) {}
  Result<size_t> read(std::span<char> out) override {
    size_t n = TRY(file_->read_at(at_, out));
    at_ += n;
    return n;
  }

 private:
  std::unique_ptr<os::File> file_;
  uint64_t at_ = 0;
};

inline Result<FileResponse> file_response(std::unique_ptr<os::File> file, const char* content_type) {
  FileResponse out;
  out.content_type = content_type;
  out.body.length = static_cast<int64_t>(TRY(file->size()));
  out.body.source = std::make_shared<FileSource>(std::move(file));
  return out;
}

}  // namespace hf::api::holdfast_api
