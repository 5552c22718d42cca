// See hand_over.h.
#include "runtime/hand_over.h"

#include <algorithm>

namespace weir {

void HandOver::set(std::array<std::chrono::nanoseconds, samples> durations) noexcept {
  misses_ = 0;
  std::sort(durations.begin(), durations.end());
  set(std::max(durations[samples / 2], std::chrono::nanoseconds(1)), lifetime);
}

void HandOver::miss() noexcept {
  if (misses_ < patience) ++misses_;
  if (misses_ == patience) set(away, lifetime_away);
}

void HandOver::set(std::chrono::nanoseconds figure, Clock::duration valid) noexcept {
  figure_.store(static_cast<int>(figure.count()), std::memory_order_relaxed);
  due_.store((Clock::now() + valid).time_since_epoch().count(), std::memory_order_relaxed);
}

}  // namespace weir
