# Writes ctest's list of one GoogleTest program, when ctest starts. Included with
#   program  its path      prefix  of the names      folder  to run in      label, seconds  of each test
#   file     what is written, and included      together  whether the tests of one suite run together
# A process takes longer to start than most tests run, so what is one test with many parameters runs as one, in groups
# of up to sixteen, but those under Shard/ and Long/, which take many seconds each; and so do the tests of a suite where a
# process starts slowly. A group counts as skipped if all of it is. ctest's names are then those of the first and last
# parameter, or test: pipeline/Suite.Name/first..last.

if(NOT EXISTS "${program}")
  add_test("${prefix}NOT_BUILT" "${program}")
  return()
endif()
if(NOT EXISTS "${file}" OR "${program}" IS_NEWER_THAN "${file}" OR "${CMAKE_CURRENT_LIST_FILE}" IS_NEWER_THAN "${file}")
  execute_process(COMMAND "${program}" --gtest_list_tests WORKING_DIRECTORY "${folder}" TIMEOUT 60
    OUTPUT_VARIABLE output RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${program} --gtest_list_tests: ${result}\n${output}")
  endif()
  set(script)
  set(group)  # tests that run together
  set(size 0)
  set(of)     # what they are part of
  macro(end_of_group)
    if(size GREATER 0)
      set(entry "${first}")
      if(size GREATER 1)
        string(REGEX REPLACE ".*[/.]" "" last "${last}")
        string(APPEND entry "..${last}")
      endif()
      string(APPEND script "add_test([==[${prefix}${entry}]==] [==[${program}]==] [==[--gtest_filter=${group}]==])\n"
        "set_tests_properties([==[${prefix}${entry}]==] PROPERTIES WORKING_DIRECTORY [==[${folder}]==] LABELS ${label} TIMEOUT ${seconds}"
        " SKIP_REGULAR_EXPRESSION [==[\\[  PASSED  \\] 0 tests\\.\n(\\[  SKIPPED \\][^\n]*\n)+$]==])\n")
    endif()
  endmacro()
  string(REGEX REPLACE "[ ]*#[^\n]*" "" output "${output}")
  string(REPLACE "\n" ";" output "${output}")
  foreach(line IN LISTS output)
    if(line MATCHES "^[^ ].*\\.$")
      set(suite "${line}")
    elseif(line MATCHES "^  (.+)$")
      set(name "${CMAKE_MATCH_1}")
      set(test "${suite}${name}")
      if(together)
        set(part_of "${suite}")
      elseif(name MATCHES "/")
        string(REGEX REPLACE "/[^/]+$" "" part_of "${test}")
      else()
        set(part_of "${test}")
      endif()
      if(suite MATCHES "^(Shard|Long)/" OR NOT part_of STREQUAL of OR size EQUAL 16)
        end_of_group()
        set(group)
        set(size 0)
        set(first "${test}")
      endif()
      string(APPEND group "${test}:")
      math(EXPR size "${size} + 1")
      set(last "${test}")
      set(of "${part_of}")
    endif()
  endforeach()
  end_of_group()
  file(WRITE "${file}" "${script}")
endif()
include("${file}")
