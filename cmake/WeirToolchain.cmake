# Language, warnings, sanitizers, linker and compiler cache: what holds for every target.

include(CheckCXXCompilerFlag)
include(CheckCXXSourceCompiles)

set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_C_STANDARD 11)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin")
set(CMAKE_LIBRARY_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")
set(CMAKE_ARCHIVE_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/lib")

if(NOT CMAKE_BUILD_TYPE AND NOT CMAKE_CONFIGURATION_TYPES)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_C_FLAGS_RELEASE "-O2 -DNDEBUG")
set(CMAKE_CXX_FLAGS_RELEASE "-O2 -DNDEBUG")

# The interpreter promises the bits of the scalar language, where a fused multiply-add is written out.
add_compile_options(-ffp-contract=off -ffunction-sections -fdata-sections)
add_link_options(-Wl,--gc-sections -Wl,--as-needed)
# compiler/cache tells builds apart by it.
add_link_options(-Wl,--build-id)
if(CMAKE_BUILD_TYPE STREQUAL "Debug" OR WEIR_SANITIZE)
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
endif()
if(WEIR_SANITIZE)
  add_compile_options(-fsanitize=${WEIR_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
  add_link_options(-fsanitize=${WEIR_SANITIZE})
endif()
if(WEIR_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()

# GCC looks for memory to reuse less often: a sixth less time for 140 MB more, 660 MB at most.
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  add_compile_options($<$<COMPILE_LANGUAGE:CXX>:--param=ggc-min-expand=200>
    $<$<COMPILE_LANGUAGE:CXX>:--param=ggc-min-heapsize=600000>)
endif()

# Warnings, for our own targets: link weir_options.
add_library(weir_options INTERFACE)
target_compile_options(weir_options INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wformat=2 -Wundef -Wcast-qual
  $<$<COMPILE_LANGUAGE:CXX>:-Wnon-virtual-dtor;-Woverloaded-virtual;-Wextra-semi>
  $<$<BOOL:${WEIR_WERROR}>:-Werror>)
# Google Benchmark's macros use __COUNTER__, which Clang 22 calls an extension.
check_cxx_compiler_flag(-Wc2y-extensions WEIR_HAS_C2Y_WARNING)
if(WEIR_HAS_C2Y_WARNING)
  target_compile_options(weir_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-c2y-extensions>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 reports overlapping copies inside std::string (GCC bug 105651), and uninitialized values in
  # sanitized code.
  target_compile_options(weir_options INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
  if(WEIR_SANITIZE)
    target_compile_options(weir_options INTERFACE -Wno-maybe-uninitialized)
  endif()
endif()
# What is installed names its sources as they lie in the source folder, wherever that was: in messages about faults of our
# own. The second form is how ccache may hand over a path. Debug builds keep the paths, for debuggers.
file(RELATIVE_PATH weir_source_from_build "${PROJECT_BINARY_DIR}" "${PROJECT_SOURCE_DIR}")
set(weir_installed_options "-ffile-prefix-map=${PROJECT_SOURCE_DIR}/=" "-ffile-prefix-map=${PROJECT_BINARY_DIR}/="
  "-ffile-prefix-map=${weir_source_from_build}=")
if(CMAKE_BUILD_TYPE STREQUAL "Debug")
  set(weir_installed_options)
endif()
target_include_directories(weir_options INTERFACE "${PROJECT_SOURCE_DIR}" "${PROJECT_BINARY_DIR}/generated")

# ccache compares precompiled headers by content only when told to. It must not find them by what the preprocessor makes of their
# headers (which depend mode rules out): a precompiled header knows its headers by their sizes and sums, comments and all.
find_program(WEIR_CCACHE ccache)
mark_as_advanced(WEIR_CCACHE)
if(WEIR_CCACHE AND NOT CMAKE_CXX_COMPILER_LAUNCHER)
  set(weir_launcher "${CMAKE_COMMAND}" -E env CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_DEPEND=1 "${WEIR_CCACHE}")
  set(CMAKE_C_COMPILER_LAUNCHER ${weir_launcher})
  set(CMAKE_CXX_COMPILER_LAUNCHER ${weir_launcher})
endif()
