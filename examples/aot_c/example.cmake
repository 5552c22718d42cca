# Plain C89, and the model: no library of Weir's.
weir_add_model(digits examples/digits/digits.weir)
add_executable(example_aot_c examples/aot_c/main.c)
target_compile_options(example_aot_c PRIVATE -std=c89 -pedantic-errors -Wall -Wextra -Werror)
target_link_libraries(example_aot_c PRIVATE digits)
