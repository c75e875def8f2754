// What a training job does between its states, each a plain function: read the input, write the artifacts.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "fleet/jobs.h"

namespace hf::fleet {

// The objects of one channel as open files of the scratch folder, whose names are gone already: nothing is left behind
// by a crash. `stop` is asked between pieces; true: unavailable.
struct ChannelData {
  std::vector<std::shared_ptr<os::File>> files;
  std::vector<std::string> uris;  // s3://bucket/key of each
};
// `budget`: bytes that may still be read; lowered by what was.
Result<ChannelData> read_channel(const Jobs::Site& site, const JobsOptions& options, const JobChannel& channel,
                                 uint64_t& budget, const std::function<bool()>& stop);

// The two files of a job's checkpoints in the scratch folder: they outlive the site until the job is over.
std::vector<std::string> checkpoint_names(const TrainingJob& job);  // none for a job without
Result<std::vector<std::shared_ptr<os::File>>> open_checkpoints(const Jobs::Site& site, const JobsOptions& options,
                                                                const TrainingJob& job);
void remove_checkpoints(const Jobs::Site& site, const JobsOptions& options, const TrainingJob& job);

// The artifacts of a sealed model, written but not yet visible: commit() names them in the job's last transaction.
struct ArtifactUpload {
  struct Part {
    std::unique_ptr<store::Upload> upload;
    store::ObjectInfo info;
  };
  std::vector<Part> parts;
  Artifact artifact;
  std::string uri;  // what Describe says: s3://...
};
Result<ArtifactUpload> write_artifacts(const Jobs::Site& site, const JobSpec& spec, const std::string& digest);
Status commit_artifacts(store::Txn& txn, store::Objects& objects, ArtifactUpload& upload);

}  // namespace hf::fleet
