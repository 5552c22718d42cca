#include "tests/fuzz/message_mutation.h"

#include <limits>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/framed.h"

namespace weir::fuzz {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

constexpr std::size_t kLongestSharedText = 64;
constexpr std::size_t kTextGrowth = 32;

// A field of a message somewhere in the tree.
struct Place {
  Message* message;
  const FieldDescriptor* field;
};

// What the tree of a message has.
struct Parts {
  std::vector<Place> present, absent;
  std::vector<const Message*> messages;
  std::vector<std::string> texts;
};

void collect(Message& message, Parts& parts) {
  const Reflection& reflection = *message.GetReflection();
  parts.messages.push_back(&message);
  auto add_text = [&](std::string text) {
    if (text.size() <= kLongestSharedText) parts.texts.push_back(std::move(text));
  };
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    bool is_message = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    bool is_text = field->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    if (field->is_repeated()) {
      int size = reflection.FieldSize(message, field);
      (size > 0 ? parts.present : parts.absent).push_back({&message, field});
      for (int k = 0; k < size && (is_message || is_text); ++k) {
        if (is_message) collect(*reflection.MutableRepeatedMessage(&message, field, k), parts);
        if (is_text) add_text(reflection.GetRepeatedString(message, field, k));
      }
    } else if (reflection.HasField(message, field)) {
      parts.present.push_back({&message, field});
      if (is_message) collect(*reflection.MutableMessage(&message, field), parts);
      if (is_text) add_text(reflection.GetString(message, field));
    } else {
      parts.absent.push_back({&message, field});
    }
  }
}

// Which value of a field: the index of an element, or one of these.
using Which = int;
constexpr Which kOnly = -1, kNew = -2;

// Protobuf's functions for fields of one type.
template <class T>
struct Access {
  T (Reflection::*get)(const Message&, const FieldDescriptor*) const;
  T (Reflection::*get_element)(const Message&, const FieldDescriptor*, int) const;
  void (Reflection::*set)(Message*, const FieldDescriptor*, T) const;
  void (Reflection::*set_element)(Message*, const FieldDescriptor*, int, T) const;
  void (Reflection::*add)(Message*, const FieldDescriptor*, T) const;
};

template <class T, class Make>
void put(const Place& place, Which which, const Access<T>& access, Make make) {
  Message& message = *place.message;
  const Reflection& reflection = *message.GetReflection();
  if (which == kOnly) {
    T old = (reflection.*access.get)(message, place.field);
    (reflection.*access.set)(&message, place.field, make(std::move(old)));
  } else if (which == kNew) {
    (reflection.*access.add)(&message, place.field, make(T()));
  } else {
    T old = (reflection.*access.get_element)(message, place.field, which);
    (reflection.*access.set_element)(&message, place.field, which, make(std::move(old)));
  }
}

class Changer {
 public:
  Changer(Message& message, const Message& donor, std::uint64_t seed)
      : random_(seed), donor_(donor.New()) {
    donor_->CopyFrom(donor);
    collect(message, own_);
    collect(*donor_, given_);
  }

  void change() {
    bool of_present = !own_.present.empty() && below(8) > 0;
    const std::vector<Place>& places = of_present ? own_.present : own_.absent;
    if (places.empty()) return;
    const Place& place = places[below(places.size())];
    if (place.field->is_repeated()) {
      change_list(place);
    } else if (of_present && below(8) == 0) {
      place.message->GetReflection()->ClearField(place.message, place.field);
    } else {
      change_value(place, kOnly);
    }
  }

 private:
  std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }

  void change_list(const Place& place) {
    Message& message = *place.message;
    const Reflection& reflection = *message.GetReflection();
    auto size = static_cast<std::size_t>(reflection.FieldSize(message, place.field));
    std::size_t choice = size == 0 ? 0 : below(5);
    if (choice <= 1) return change_value(place, kNew);
    int one = static_cast<int>(below(size)), other = static_cast<int>(below(size));
    if (choice == 2) {
      reflection.SwapElements(&message, place.field, one, static_cast<int>(size) - 1);
      reflection.RemoveLast(&message, place.field);
    } else if (choice == 3) {
      reflection.SwapElements(&message, place.field, one, other);
    } else {
      change_value(place, one);
    }
  }

  // One value of the field: an element of its list, another one behind the list, or the only one.
  void change_value(const Place& place, Which which) {
    using R = Reflection;
    switch (place.field->cpp_type()) {
      case FieldDescriptor::CPPTYPE_MESSAGE:
        return change_message(place, which);
      case FieldDescriptor::CPPTYPE_STRING:
        return put<std::string>(place, which,
                                {&R::GetString, &R::GetRepeatedString, &R::SetString,
                                 &R::SetRepeatedString, &R::AddString},
                                [&](std::string old) { return text(std::move(old)); });
      case FieldDescriptor::CPPTYPE_INT64:
        return put<std::int64_t>(
            place, which,
            {&R::GetInt64, &R::GetRepeatedInt64, &R::SetInt64, &R::SetRepeatedInt64, &R::AddInt64},
            [&](std::int64_t old) { return integer(old); });
      case FieldDescriptor::CPPTYPE_UINT64:
        return put<std::uint64_t>(
            place, which,
            {&R::GetUInt64, &R::GetRepeatedUInt64, &R::SetUInt64, &R::SetRepeatedUInt64,
             &R::AddUInt64},
            [&](std::uint64_t old) {
              return static_cast<std::uint64_t>(integer(static_cast<std::int64_t>(old)));
            });
      case FieldDescriptor::CPPTYPE_INT32:
        return put<std::int32_t>(
            place, which,
            {&R::GetInt32, &R::GetRepeatedInt32, &R::SetInt32, &R::SetRepeatedInt32, &R::AddInt32},
            [&](std::int32_t old) { return static_cast<std::int32_t>(integer(old)); });
      case FieldDescriptor::CPPTYPE_FLOAT:
        return put<float>(
            place, which,
            {&R::GetFloat, &R::GetRepeatedFloat, &R::SetFloat, &R::SetRepeatedFloat, &R::AddFloat},
            [&](float) { return static_cast<float>(real()); });
      case FieldDescriptor::CPPTYPE_DOUBLE:
        return put<double>(place, which,
                           {&R::GetDouble, &R::GetRepeatedDouble, &R::SetDouble,
                            &R::SetRepeatedDouble, &R::AddDouble},
                           [&](double) { return real(); });
      case FieldDescriptor::CPPTYPE_ENUM: {
        const auto* values = place.field->enum_type();
        auto count = static_cast<std::size_t>(values->value_count());
        return put<int>(
            place, which,
            {&R::GetEnumValue, &R::GetRepeatedEnumValue, &R::SetEnumValue, &R::SetRepeatedEnumValue,
             &R::AddEnumValue},
            [&](int) { return values->value(static_cast<int>(below(count)))->number(); });
      }
      default:
        return;
    }
  }

  void change_message(const Place& place, Which which) {
    Message& message = *place.message;
    const Reflection& reflection = *message.GetReflection();
    std::unique_ptr<Message> part = part_of_type(place.field->message_type());
    Message* target = which == kOnly ? reflection.MutableMessage(&message, place.field)
                      : which == kNew
                          ? reflection.AddMessage(&message, place.field)
                          : reflection.MutableRepeatedMessage(&message, place.field, which);
    if (part) target->CopyFrom(*part);
  }

  // A copy, as the place may lie inside of what is copied; nothing stands for an empty message.
  std::unique_ptr<Message> part_of_type(const Descriptor* type) {
    std::vector<const Message*> candidates;
    for (const Parts* parts : {&own_, &given_})
      for (const Message* part : parts->messages)
        if (part->GetDescriptor() == type) candidates.push_back(part);
    if (candidates.empty() || below(8) == 0) return nullptr;
    const Message* chosen = candidates[below(candidates.size())];
    std::unique_ptr<Message> copy(chosen->New());
    copy->CopyFrom(*chosen);
    return copy;
  }

  std::string text(std::string old) {
    const std::vector<std::string>& texts = below(4) > 0 ? own_.texts : given_.texts;
    if (!texts.empty() && below(2) == 0) return texts[below(texts.size())];
    std::size_t size = old.size();
    std::vector<std::uint8_t> bytes(old.begin(), old.end());
    bytes.resize(size + kTextGrowth);
    bytes.resize(mutate(bytes.data(), size, bytes.size()));
    return {bytes.begin(), bytes.end()};
  }

  std::int64_t integer(std::int64_t old) {
    constexpr std::int64_t kValues[] = {0,
                                        1,
                                        -1,
                                        2,
                                        3,
                                        7,
                                        11,
                                        64,
                                        65,
                                        1 << 16,
                                        std::numeric_limits<std::int32_t>::max(),
                                        std::int64_t{1} << 32,
                                        std::numeric_limits<std::int64_t>::max(),
                                        std::numeric_limits<std::int64_t>::min()};
    auto bits = static_cast<std::uint64_t>(old);
    switch (below(4)) {
      case 0:
        return kValues[below(std::size(kValues))];
      case 1:
        return static_cast<std::int64_t>(bits + 1);
      case 2:
        return static_cast<std::int64_t>(bits - 1);
      default:
        return static_cast<std::int64_t>(below(20)) - 2;
    }
  }

  double real() {
    constexpr double kValues[] = {0,
                                  -0.0,
                                  1,
                                  0.5,
                                  -2.5,
                                  1e38,
                                  1e-45,
                                  std::numeric_limits<double>::infinity(),
                                  std::numeric_limits<double>::quiet_NaN()};
    return kValues[below(std::size(kValues))];
  }

  std::mt19937_64 random_;
  std::unique_ptr<Message> donor_;
  Parts own_, given_;
};

}  // namespace

void change(Message& message, const Message& donor, std::uint64_t seed) {
  Changer(message, donor, seed).change();
}

}  // namespace weir::fuzz
