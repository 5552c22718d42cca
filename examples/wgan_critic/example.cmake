# A program that knows Weir writes the object; the one that is tested knows only that.
set(folder "${PROJECT_BINARY_DIR}/models/critic")
set(steps "${PROJECT_SOURCE_DIR}/tests/data/gradient_penalty/steps.npz")
file(MAKE_DIRECTORY "${folder}")
add_executable(make_critic examples/wgan_critic/make_critic.cc)
target_link_libraries(make_critic PRIVATE weir)
weir_needs_builder(make_critic)
add_custom_command(OUTPUT "${folder}/critic.o" "${folder}/critic.h" COMMAND make_critic "${steps}" "${folder}"
  DEPENDS make_critic "${steps}" VERBATIM COMMENT "Compiling the step of a critic")
weir_add_model(reference examples/wgan_critic/reference.weir OPTIONS --weights "${steps}")
add_executable(example_wgan_critic examples/wgan_critic/main.c "${folder}/critic.o" "${folder}/critic.h")
target_include_directories(example_wgan_critic PRIVATE "${folder}")
target_compile_options(example_wgan_critic PRIVATE -std=c89 -pedantic-errors -Wall -Wextra -Werror)
target_link_libraries(example_wgan_critic PRIVATE reference)
