# Plain C89 and two models: the network with its training, and the digits. No library of Weir's, and of C's only what prints.
weir_add_model(device examples/digits/digits.weir
  OPTIONS --train --loss cross_entropy --optimizer adamw --programs forward,step --strip-weights --freestanding)
weir_add_model(digits_data examples/train_on_device/digits_data.weir
  OPTIONS --weights "${PROJECT_SOURCE_DIR}/examples/train_digits/digits.npz" --freestanding)
add_executable(example_train_on_device ${sources})
target_compile_options(example_train_on_device PRIVATE -std=c89 -pedantic-errors -Wall -Wextra -Werror)
target_link_libraries(example_train_on_device PRIVATE device digits_data)
