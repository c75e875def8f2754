// The quickstart's state while it runs; its steps are in run_learn.cc, run_serve.cc and run_prove.cc.
#pragma once

#include <boost/json/value.hpp>
#include <memory>
#include <string>
#include <vector>

#include "app/client.h"
#include "app/quickstart/dataset.h"
#include "app/quickstart/evaluate.h"
#include "app/quickstart/memory_watch.h"
#include "app/quickstart/quickstart.h"
#include "app/quickstart/report.h"
#include "app/term.h"
#include "os/process.h"

namespace hf::app {

class QuickstartRun {
 public:
  QuickstartRun(const Context& context, const QuickstartOptions& options)
      : context_(context), options_(options), terminal_(stderr_terminal()) {}

  Result<int> run();

 private:
  // run_learn.cc
  Status start_site();
  Status launch_site();
  Status stop_site();
  Status load_data();
  Status place_data();
  Status show_data();
  Status train();
  Status evaluate_both();
  // run_serve.cc
  Status deploy();
  Status ask();
  Result<std::string> ask_endpoint(const std::string& prompt);
  Result<std::string> ask_openai(const std::string& prompt);
  // run_prove.cc
  Status attack();
  Status attack_from_worker();
  Status attack_with_wrong_signature();
  Status attack_without_right();
  Status replay();
  Status export_evidence();
  Status alter_evidence();
  Status keep_head();
  void summary();

  Status steps();
  void heading(const std::string& text);
  void tell(const std::string& text);  // to people: standard output, or standard error with --json
  Result<std::string> free_name(const std::string& wish);
  Result<boost::json::value> run_job(const std::string& name, const std::map<std::string, std::string>& hyperparameters,
                                     bool draw);
  Result<Dataset> read_packages();
  Result<Dataset> read_user_data();
  Result<bool> verify_folder(const std::string& folder, const std::string& what);
  Result<boost::json::value> wait_for(const std::string& what, const std::string& member, const std::string& good,
                                      const std::string& bad,
                                      const std::function<Result<boost::json::value>()>& describe);
  int step_ = 0;

  const Context& context_;
  const QuickstartOptions& options_;
  Terminal& terminal_;
  std::unique_ptr<os::Child> site_;  // the one that this command started; none if one ran already
  std::unique_ptr<ApiClient> client_;
  std::unique_ptr<MemoryWatch> memory_;
  Dataset data_;
  Report report_;
  std::string folder_;  // STATE/quickstart/NAME
  std::string wish_, name_, untrained_name_;
  boost::json::value job_;  // the last DescribeTrainingJob
  std::string model_arn_, package_arn_, deployment_arn_;
  int max_tokens_ = 64;
  ConverseAnswer asked_;
  std::string evidence_;  // folder
};

}  // namespace hf::app
