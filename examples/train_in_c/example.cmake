# Plain C89, the training step, and of Weir's libraries the runtime alone, which holds its state and its memory.
weir_add_model(disc examples/train_in_c/disc.weir OPTIONS --train --loss cross_entropy --optimizer adamw)
add_executable(example_train_in_c ${sources})
target_compile_options(example_train_in_c PRIVATE -std=c89 -pedantic-errors -Wall -Wextra -Werror)
target_link_libraries(example_train_in_c PRIVATE disc weir_runtime)
