# tests/numerics: the program that proves compiled functions over every float. Each function is two tests: a strided
# form with the label numerics, and the whole with the label exhaustive, which takes minutes.
function(weir_numerics_tests)
  weir_glob(sources PATTERNS tests/numerics/*.cc tests/unit/pipeline/compiled.cc)
  if(NOT TARGET weir OR NOT CMAKE_CXX_COMPILER)
    return()
  endif()
  add_executable(weir_numerics ${sources})
  set_target_properties(weir_numerics PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin/tests")
  target_link_libraries(weir_numerics PRIVATE weir CLI11::CLI11)
  weir_needs_builder(weir_numerics)
  set_source_files_properties("${PROJECT_SOURCE_DIR}/tests/numerics/glance.cc" PROPERTIES COMPILE_OPTIONS -O3)

  # f64 is compared with __float128 where its functions are, and otherwise with long double.
  include(CheckCXXSourceCompiles)
  set(CMAKE_REQUIRED_LIBRARIES quadmath)
  check_cxx_source_compiles("#include <quadmath.h>\nint main() { return static_cast<int>(expq(0)); }" WEIR_HAS_QUADMATH)
  if(WEIR_HAS_QUADMATH)
    target_compile_definitions(weir_numerics PRIVATE WEIR_QUADMATH)
    target_link_libraries(weir_numerics PRIVATE quadmath)
  endif()

  # The names of tests/numerics/functions.cc, and leaky_relu's slopes.
  file(STRINGS "${PROJECT_SOURCE_DIR}/tests/numerics/functions.cc" lines REGEX "^    (primitive|activation)\\(\"")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/tests/numerics/functions.cc")
  set(names leaky_relu)
  foreach(line IN LISTS lines)
    string(REGEX REPLACE "^[^\"]*\"([a-z0-9_]+)\".*" "\\1" name "${line}")
    list(APPEND names ${name})
  endforeach()
  foreach(name IN LISTS names)
    add_test(NAME numerics/${name} COMMAND weir_numerics ${name})
    set_tests_properties(numerics/${name} PROPERTIES LABELS numerics TIMEOUT 600)
    add_test(NAME exhaustive/${name} COMMAND weir_numerics ${name} --all-floats --results numerics
      WORKING_DIRECTORY "${PROJECT_BINARY_DIR}")
    set_tests_properties(exhaustive/${name} PROPERTIES LABELS exhaustive TIMEOUT 7200)
  endforeach()
endfunction()
