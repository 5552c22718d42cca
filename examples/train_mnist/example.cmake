# Its test runs on few images that stand in for MNIST's: the database itself is not part of this project. Where
# the environment variable WEIR_MNIST names its folder, a second test trains with it.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
add_executable(example_train_mnist ${sources})
target_link_libraries(example_train_mnist PRIVATE weir)
weir_needs_builder(example_train_mnist)
set(example_arguments "${PROJECT_BINARY_DIR}/tests/stand_in_for_mnist")
if(BUILD_TESTING)
  add_test(NAME example_train_mnist_data
    COMMAND "${Python3_EXECUTABLE}" "${PROJECT_SOURCE_DIR}/examples/train_mnist/make_stand_in.py" ${example_arguments})
  set_tests_properties(example_train_mnist_data PROPERTIES LABELS examples FIXTURES_SETUP example_train_mnist_data)
  add_test(NAME example_train_mnist_database COMMAND sh -c
    "if [ -z \"$WEIR_MNIST\" ]; then echo 'skipped: WEIR_MNIST names no folder'; else exec \"$0\" \"$WEIR_MNIST\"; fi"
    "$<TARGET_FILE:example_train_mnist>")
  set_tests_properties(example_train_mnist_database PROPERTIES LABELS examples SKIP_REGULAR_EXPRESSION "^skipped: "
    TIMEOUT 900 COST 100)
endif()
