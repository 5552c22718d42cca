# Finds LLVM 20 or later and offers it as the target weir_llvm.
#
# LLVM's package file refuses a request for "22" when it is 22.1, and an older LLVM may stand on the default
# path, so the newest accepted prefix is looked for first and the version is judged here. Static libraries are
# preferred: libweir.so then carries its own LLVM, hidden from a host that may bring another.

set(WEIR_LLVM_OLDEST 20)
option(WEIR_LLVM_STATIC "Link LLVM into libweir.so, hidden, instead of its shared library" ON)

# A prefix that the caller names comes first, then the newest versioned llvm-config, then CMake's own search.
if(NOT LLVM_DIR AND NOT LLVM_ROOT AND NOT DEFINED ENV{LLVM_DIR} AND NOT DEFINED ENV{LLVM_ROOT})
  file(TO_CMAKE_PATH "$ENV{CMAKE_PREFIX_PATH}" weir_prefixes)
  find_path(weir_llvm_dir LLVMConfig.cmake PATHS ${CMAKE_PREFIX_PATH} ${weir_prefixes}
    PATH_SUFFIXES lib/cmake/llvm lib64/cmake/llvm NO_CACHE NO_DEFAULT_PATH)
  foreach(major RANGE 39 ${WEIR_LLVM_OLDEST} -1)
    if(weir_llvm_dir)
      break()
    endif()
    find_program(weir_llvm_config_${major} llvm-config-${major} HINTS "/usr/lib/llvm-${major}/bin" NO_CACHE)
    if(weir_llvm_config_${major})
      execute_process(COMMAND "${weir_llvm_config_${major}}" --cmakedir
        OUTPUT_VARIABLE weir_llvm_cmake_dir OUTPUT_STRIP_TRAILING_WHITESPACE)
      if(EXISTS "${weir_llvm_cmake_dir}/LLVMConfig.cmake")
        set(weir_llvm_dir "${weir_llvm_cmake_dir}")
      endif()
    endif()
  endforeach()
  if(weir_llvm_dir)
    set(LLVM_DIR "${weir_llvm_dir}" CACHE PATH "Folder of LLVMConfig.cmake")
  endif()
endif()

find_package(LLVM CONFIG QUIET)
if(NOT LLVM_FOUND OR LLVM_VERSION_MAJOR LESS WEIR_LLVM_OLDEST)
  set(weir_found "none was found")
  if(LLVM_FOUND)
    set(weir_found "found ${LLVM_PACKAGE_VERSION} in ${LLVM_DIR}")
  endif()
  unset(LLVM_DIR CACHE)
  message(FATAL_ERROR "LLVM ${WEIR_LLVM_OLDEST} or later is needed; ${weir_found}. "
    "Install llvm-22-dev (./dev setup does), or pass -DLLVM_DIR=<prefix>/lib/cmake/llvm.")
endif()

# Everything emitted needs a code generator only; assembly text is never parsed.
set(weir_llvm_components core orcjit passes linker bitwriter object)
set(weir_backends X86 AArch64 ARM RISCV WebAssembly)
foreach(target IN LISTS weir_backends)
  if(target IN_LIST LLVM_TARGETS_TO_BUILD)
    list(APPEND weir_llvm_components ${target})
    string(TOUPPER ${target} target)
    list(APPEND weir_llvm_targets WEIR_TARGET_${target})
  endif()
endforeach()

if(NOT TARGET LLVMOrcJIT)  # only the shared library is packaged
  set(weir_llvm_static OFF)
else()
  set(weir_llvm_static ${WEIR_LLVM_STATIC})
endif()
if(weir_llvm_static)
  llvm_map_components_to_libnames(weir_llvm_libraries ${weir_llvm_components})
else()
  set(weir_llvm_libraries LLVM)
endif()

# LLVM's linker, for shared objects. Its package is LLVM's own, of the same version.
find_path(weir_lld_include lld/Common/Driver.h HINTS ${LLVM_INCLUDE_DIRS} NO_CACHE)
set(weir_lld_libraries)
foreach(name lldELF lldCommon)
  find_library(weir_${name} ${name} HINTS ${LLVM_LIBRARY_DIRS} NO_CACHE)
  if(weir_${name})
    list(APPEND weir_lld_libraries "${weir_${name}}")
  endif()
endforeach()
list(LENGTH weir_lld_libraries weir_lld_count)
if(NOT weir_lld_include OR NOT weir_lld_count EQUAL 2)
  message(FATAL_ERROR "LLVM's linker is needed as a library: install liblld-${LLVM_VERSION_MAJOR}-dev (./dev setup installs that of LLVM 22)")
endif()
if(weir_llvm_static)
  # Archives by themselves: the dependencies that LLVM declares for its link-time optimizer end at a package of
  # passes (Polly) that nothing here runs.
  foreach(name LTO DTLTO Plugins Option BinaryFormat DebugInfoDWARF DebugInfoDWARFLowLevel)
    if(TARGET LLVM${name})
      list(APPEND weir_lld_libraries $<TARGET_FILE:LLVM${name}>)
    endif()
  endforeach()
  # Backends that its linker names and nothing here uses: compiler/codegen/absent_backends.cc.
  set(weir_absent_backends ${LLVM_TARGETS_TO_BUILD})
  list(REMOVE_ITEM weir_absent_backends ${weir_backends})
  list(TRANSFORM weir_absent_backends REPLACE "(.+)" "WEIR_ABSENT_BACKEND(\\1)")
  list(JOIN weir_absent_backends " " weir_absent_backends)
endif()

add_library(weir_llvm INTERFACE)
target_include_directories(weir_llvm SYSTEM INTERFACE ${LLVM_INCLUDE_DIRS})
separate_arguments(weir_llvm_definitions NATIVE_COMMAND "${LLVM_DEFINITIONS}")
list(FILTER weir_llvm_definitions EXCLUDE REGEX "_GNU_SOURCE")
target_compile_options(weir_llvm INTERFACE ${weir_llvm_definitions})
target_compile_definitions(weir_llvm INTERFACE ${weir_llvm_targets})
if(NOT LLVM_ENABLE_RTTI)
  target_compile_options(weir_llvm INTERFACE $<$<COMPILE_LANGUAGE:CXX>:-fno-rtti>)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
  # GCC 12 takes llvm::Error's inlined downcasts for reads past the end.
  target_compile_options(weir_llvm INTERFACE -Wno-array-bounds -Wno-stringop-overflow -Wno-maybe-uninitialized)
endif()
target_link_libraries(weir_llvm INTERFACE ${weir_lld_libraries} ${weir_llvm_libraries})

# lld links LLVM's archives several times faster than the system's linker.
find_program(WEIR_LLD ld.lld HINTS "${LLVM_TOOLS_BINARY_DIR}" NO_DEFAULT_PATH)
find_program(WEIR_LLD ld.lld)
mark_as_advanced(WEIR_LLD)
if(WEIR_LLD)
  get_filename_component(weir_lld_folder "${WEIR_LLD}" DIRECTORY)
  add_link_options(-fuse-ld=lld -B${weir_lld_folder})
endif()

message(STATUS "LLVM ${LLVM_PACKAGE_VERSION} in ${LLVM_DIR}, static: ${weir_llvm_static}, lld: ${WEIR_LLD}")
