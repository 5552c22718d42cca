# The fuzz targets: tests/fuzz/<target>_fuzzer.cc is the program fuzz_<target>. With WEIR_FUZZ libFuzzer makes up its
# inputs (`./dev fuzz` runs it); without, it replays files. Either way its test is that it stands what is in
#   tests/fuzz/seeds/<target>/    small files that lead far into the reader
#   tests/fuzz/crashes/<target>/  files that once were too much for it
# and in further folders that are named here. They link the frontend and what it stands on: no LLVM.

set(weir_fuzz_folders_weir tests/ops tests/errors)

# weir_fuzz_folders(OUT target): where the target's inputs are, relative to the source folder.
function(weir_fuzz_folders out target)
  set(folders)
  foreach(folder tests/fuzz/seeds/${target} tests/fuzz/crashes/${target} ${weir_fuzz_folders_${target}})
    if(IS_DIRECTORY "${PROJECT_SOURCE_DIR}/${folder}")
      list(APPEND folders ${folder})
    endif()
  endforeach()
  set(${out} ${folders} PARENT_SCOPE)
endfunction()

# Words of the text form, out of the op registry: the dictionary that libFuzzer mutates with.
function(weir_fuzz_dictionary)
  add_executable(weir_fuzz_dictionary tests/fuzz/dictionary.cc)
  target_link_libraries(weir_fuzz_dictionary PRIVATE weir_ir)
  set(dictionary "${PROJECT_BINARY_DIR}/fuzz/weir.dict")
  add_custom_command(OUTPUT "${dictionary}"
    COMMAND "${CMAKE_COMMAND}" -E make_directory "${PROJECT_BINARY_DIR}/fuzz"
    COMMAND weir_fuzz_dictionary > "${dictionary}"
    DEPENDS weir_fuzz_dictionary VERBATIM COMMENT "Generating weir.dict")
  add_custom_target(weir_fuzz_words DEPENDS "${dictionary}")
endfunction()

function(weir_fuzz_targets)
  if(NOT TARGET weir_frontend)
    return()
  endif()
  if(WEIR_FUZZ AND NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "WEIR_FUZZ needs Clang, and the compiler is ${CMAKE_CXX_COMPILER_ID}: use the preset fuzz.")
  endif()
  weir_glob(sources PATTERNS tests/fuzz/*_fuzzer.cc)
  weir_glob(shared PATTERNS tests/fuzz/*.cc)
  list(REMOVE_ITEM shared ${sources} "${PROJECT_SOURCE_DIR}/tests/fuzz/dictionary.cc")
  if(WEIR_FUZZ)
    list(REMOVE_ITEM shared "${PROJECT_SOURCE_DIR}/tests/fuzz/replay.cc")
  endif()
  add_library(weir_fuzz_support OBJECT ${shared})
  target_link_libraries(weir_fuzz_support PUBLIC weir_frontend weir_memory_meter weir_formats)
  weir_optimize_less(weir_fuzz_support)
  add_custom_target(weir_fuzz_targets)

  set(listing)
  foreach(source IN LISTS sources)
    get_filename_component(name "${source}" NAME)
    string(REGEX REPLACE "_fuzzer\\.cc$" "" target "${name}")
    set(program fuzz_${target})
    add_executable(${program} "${source}")
    set_target_properties(${program} PROPERTIES RUNTIME_OUTPUT_DIRECTORY "${PROJECT_BINARY_DIR}/bin/fuzz")
    target_link_libraries(${program} PRIVATE weir_fuzz_support)
    weir_optimize_less(${program})
    weir_needs_builder(${program})
    add_dependencies(weir_fuzz_targets ${program})
    weir_fuzz_folders(folders ${target})
    set(options)
    if(WEIR_FUZZ)
      target_link_options(${program} PRIVATE -fsanitize=fuzzer)
      set(options -runs=0)
    endif()
    list(JOIN folders " " line)
    string(APPEND listing "${target} ${line}\n")
    add_test(NAME fuzz/${target} COMMAND ${program} ${options} ${folders} WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
    set_tests_properties(fuzz/${target} PROPERTIES LABELS fuzz TIMEOUT 300)
  endforeach()
  if(WEIR_FUZZ)
    weir_fuzz_dictionary()
    add_dependencies(weir_fuzz_targets weir_fuzz_words)
    # What `./dev fuzz` reads: a target and its folders on each line.
    file(WRITE "${PROJECT_BINARY_DIR}/fuzz/targets" "${listing}")
  endif()
endfunction()
