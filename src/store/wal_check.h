// Looks at SQLite's write-ahead log before SQLite does. Internal to store/.
//
// SQLite takes the first frame that is not whole for the end of the log: right after a power cut, which tears only what
// was not synced yet, that is the last transaction, which nobody was told of. But a bit that flipped further up would
// silently take every later transaction away, acknowledged ones too (and the next start would then remove the files of
// the objects whose rows went). So:
//  - a frame or a header that one flipped bit explains is damage, wherever it stands: a torn write does not look so;
//  - what was synced before something else was written cannot be torn: a broken frame that belongs to a transaction
//    which a later one follows is damage too.
// Damage is an error, and nothing is put right here: which bit it was is not always known (see flipped_bits()).
// Not to be told from a torn write, here or anywhere: larger damage in the very last transaction of the log.
#pragma once

#include <string>

#include "base/result.h"
#include "os/fs.h"

namespace hf::store {

// Of the database at `path` and its log at path + "-wal", before it is opened. corrupt: says which frame.
// Format: https://www.sqlite.org/fileformat2.html#the_write_ahead_log
Status check_wal(os::Fs& fs, const std::string& path);

}  // namespace hf::store
