# Installs the headers of the tree. A header that needs another package's headers (LLVM's, ONNX's), directly or
# through headers of ours, stays behind, for it would make that package a condition for using Weir.
#
# Runs at install time, with `source`, `generated` and `destination` set.

cmake_policy(VERSION 3.25)

file(GLOB_RECURSE headers RELATIVE "${source}" "${source}/ir/*.h" "${source}/compiler/*.h" "${source}/runtime/*.h")
set(needs_package)
foreach(header IN LISTS headers)
  file(STRINGS "${source}/${header}" includes REGEX "^#include ")
  set(ours_${header})
  foreach(include IN LISTS includes)
    string(REGEX REPLACE "^#include [<\"](.*)[>\"].*" "\\1" name "${include}")
    if(include MATCHES "\"")
      list(APPEND ours_${header} "${name}")
    elseif(name MATCHES "[/.]" AND NOT name MATCHES "^(sys/.*|std[a-z]+\\.h)$")  # neither C++'s nor C's
      list(APPEND needs_package "${header}")
    endif()
  endforeach()
endforeach()

set(seen -1)
list(LENGTH needs_package count)
while(count GREATER seen)
  set(seen ${count})
  foreach(header IN LISTS headers)
    foreach(name IN LISTS ours_${header})
      if(name IN_LIST needs_package)
        list(APPEND needs_package "${header}")
      endif()
    endforeach()
  endforeach()
  list(REMOVE_DUPLICATES needs_package)
  list(LENGTH needs_package count)
endwhile()

foreach(header IN LISTS headers)
  if(NOT header IN_LIST needs_package)
    get_filename_component(folder "${header}" DIRECTORY)
    file(INSTALL "${source}/${header}" DESTINATION "${CMAKE_INSTALL_PREFIX}/${destination}/${folder}")
  endif()
endforeach()
file(INSTALL "${generated}/ir/builder_ops.h" DESTINATION "${CMAKE_INSTALL_PREFIX}/${destination}/ir")
