// Tokens of an answer to the text that is given out, piece by piece: whole UTF-8 characters, and nothing that may
// still turn out to be the start of a stop string. What is given out never has to be taken back.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "model/tokenizer/tokenizer.h"

namespace hf::engine {

class TextStream {
 public:
  // `stops`: not empty, UTF-8. The tokenizer must outlive this.
  TextStream(const model::Tokenizer& tokenizer, std::vector<std::string> stops);

  // The piece that this token makes certain; may be empty. After stopped() no more is to be pushed.
  std::string push(int32_t id);
  // What is held back: for an answer that ends without a stop string. It too may complete a stop string, in which case
  // stopped() is true afterwards.
  std::string finish();

  bool stopped() const { return stop_ >= 0; }
  // Of the stop strings that begin earliest the first in the list.
  const std::string& stop_sequence() const { return stops_[static_cast<size_t>(stop_)]; }

 private:
  std::string release(const std::string& text, bool last);

  model::StreamDecoder decoder_;
  std::vector<std::string> stops_;
  std::string held_;  // shorter than the longest stop string
  int stop_ = -1;
};

}  // namespace hf::engine
