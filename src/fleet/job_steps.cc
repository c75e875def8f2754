#include "fleet/job_steps.h"

#include "base/bytes.h"
#include "fleet/artifact.h"

namespace hf::fleet {
namespace {

constexpr size_t kStep = size_t{1} << 20;

Result<std::vector<store::ObjectInfo>> objects_of(const Jobs::Site& site, const JobsOptions& options,
                                                  const JobChannel& channel, uint64_t& budget) {
  std::vector<store::ObjectInfo> out;
  uint64_t bytes = 0;
  const std::string where = "channel " + channel.name + ": s3://" + channel.bucket + "/" + channel.prefix;
  TRY(site.db.read([&](store::Txn& txn) -> Status {
    out.clear();
    auto listing = TRY(
        site.objects.list(txn, channel.bucket, channel.prefix, "", "", static_cast<int64_t>(options.max_files) * 2));
    for (store::ObjectInfo& info : listing.objects)
      if (info.size > 0) out.push_back(std::move(info));  // "folders" are empty objects
    return {};
  }));
  if (out.empty()) return fail(Code::not_found, where + " holds no object with data");
  if (out.size() > options.max_files)
    return fail(Code::too_large, where + " holds more than " + std::to_string(options.max_files) +
                                     " objects; join them into fewer, larger ones");
  for (const store::ObjectInfo& info : out) bytes += info.size;
  if (bytes > budget)
    return fail(Code::too_large, where + " holds " + human_bytes(bytes) + "; there is room for " + human_bytes(budget) +
                                     " (ResourceConfig.VolumeSizeInGB)");
  budget -= bytes;
  return out;
}

Result<std::unique_ptr<os::File>> copy(const Jobs::Site& site, const JobsOptions& options,
                                       const store::ObjectInfo& info, const std::function<bool()>& stop) {
  auto reader = TRY(site.objects.get(info.bucket, info.key));
  const std::string path = options.scratch + "/" + hex(site.random.bytes(16));
  auto file = TRY(site.fs.open(path, os::Open::create_new));
  TRY(site.fs.remove(path));
  std::vector<char> buffer(kStep);
  for (uint64_t at = 0;;) {
    if (stop()) return fail(Code::unavailable, "stopped while the input data was read");
    const size_t n = TRY(reader->read_at(at, buffer));
    if (n == 0) return file;
    TRY(file->write_at(at, {buffer.data(), n}));
    at += n;
  }
}

Status finish_part(ArtifactUpload& out, std::unique_ptr<store::Upload> upload, const std::string& bucket,
                   std::string key, const char* type, Micros now) {
  TRY(upload->seal());
  store::ObjectInfo info;
  info.bucket = bucket;
  info.key = std::move(key);
  info.size = upload->size();
  info.etag = hex(upload->md5());
  info.modified = now;
  info.system["content-type"] = type;
  out.artifact.etags[info.key] = info.etag;
  out.parts.push_back({std::move(upload), std::move(info)});
  return {};
}

}  // namespace

Result<ChannelData> read_channel(const Jobs::Site& site, const JobsOptions& options, const JobChannel& channel,
                                 uint64_t& budget, const std::function<bool()>& stop) {
  ChannelData out;
  for (const store::ObjectInfo& info : TRY(objects_of(site, options, channel, budget))) {
    auto file = copy(site, options, info, stop);
    const std::string uri = "s3://" + info.bucket + "/" + info.key;
    if (!file.ok()) return fail(file.error().code, uri + ": " + file.error().message);
    out.files.push_back(std::move(*file));
    out.uris.push_back(uri);
  }
  return out;
}

std::vector<std::string> checkpoint_names(const TrainingJob& job) {
  if (!job.spec().checkpoints()) return {};
  const std::string base =
      job.spec().account + "." + job.spec().name + "." + std::to_string(job.created()) + ".checkpoint-";
  return {base + "0", base + "1"};
}

Result<std::vector<std::shared_ptr<os::File>>> open_checkpoints(const Jobs::Site& site, const JobsOptions& options,
                                                                const TrainingJob& job) {
  std::vector<std::shared_ptr<os::File>> out;
  for (const std::string& name : checkpoint_names(job))
    out.push_back(TRY(site.fs.open(options.scratch + "/" + name, os::Open::create)));
  if (!out.empty()) TRY(site.fs.sync_dir(options.scratch));
  return out;
}

void remove_checkpoints(const Jobs::Site& site, const JobsOptions& options, const TrainingJob& job) {
  for (const std::string& name : checkpoint_names(job))
    if (site.fs.exists(options.scratch + "/" + name)) (void)site.fs.remove(options.scratch + "/" + name);
}

Result<ArtifactUpload> write_artifacts(const Jobs::Site& site, const JobSpec& spec, const std::string& digest) {
  ArtifactUpload out;
  out.artifact.account = spec.account;
  out.artifact.bucket = spec.output_bucket;
  out.artifact.digest = digest;
  out.artifact.training_job = spec.name;
  const std::string base = spec.output_prefix + (spec.output_prefix.empty() ? "" : "/") + spec.name + "/output/";
  out.artifact.key = base + (spec.compressed ? "model.tar.gz" : "model/");
  out.uri = "s3://" + spec.output_bucket + "/" + out.artifact.key;
  const Micros now = site.clock.now();
  if (spec.compressed) {
    auto upload = TRY(site.objects.upload());
    TRY(write_tar_gz(site.models, digest, [&](std::string_view piece) { return upload->write(piece); }));
    TRY(finish_part(out, std::move(upload), spec.output_bucket, out.artifact.key, "application/gzip", now));
    return out;
  }
  std::vector<char> buffer(kStep);
  for (const std::string& name : TRY(site.models.files(digest))) {
    auto file = TRY(site.models.open_file(digest, name));
    auto upload = TRY(site.objects.upload());
    for (uint64_t at = 0;;) {
      const size_t n = TRY(file->read_at(at, buffer));
      if (n == 0) break;
      TRY(upload->write({buffer.data(), n}));
      at += n;
    }
    TRY(finish_part(out, std::move(upload), spec.output_bucket, out.artifact.key + name, "binary/octet-stream", now));
  }
  return out;
}

Status commit_artifacts(store::Txn& txn, store::Objects& objects, ArtifactUpload& upload) {
  auto bucket = TRY(objects.bucket(txn, upload.artifact.bucket));
  if (!bucket || bucket->account != upload.artifact.account)
    return fail(Code::not_found, "the output bucket " + upload.artifact.bucket + " is not there any more");
  for (ArtifactUpload::Part& part : upload.parts) TRY(objects.commit(txn, *part.upload, part.info));
  return put_artifact(txn, upload.artifact);
}

}  // namespace hf::fleet
