// Changes to protobuf messages that leave them well-formed. Changes to the bytes rarely do: every
// length around the place has to be right.
#pragma once

#include <cstdint>

#include <google/protobuf/message.h>

namespace weir::fuzz {

// One random change somewhere in the message: a number, a text, an element of a list; or a part of
// `donor`, or of the message itself, put where a part of that type may stand. Texts are often taken
// from elsewhere in the message, as names are what ties the parts of a model together.
void change(google::protobuf::Message& message, const google::protobuf::Message& donor,
            std::uint64_t seed);

}  // namespace weir::fuzz
