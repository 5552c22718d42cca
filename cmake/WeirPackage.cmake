# What `cmake --install` puts under a prefix, in two components:
#   runtime   libweir_runtime.a with its headers: all that a program with compiled models inside may want
#   compiler  libweir.so, the headers of every room, the command `weir` with its manual page and completion
# Each has a CMake target (weir::runtime, weir::compiler) and a pkg-config file (weir-runtime, weir). Nothing
# under the prefix names the prefix, so the folder may be moved.
#
# Headers keep their places below include/weir, which is the include path: #include "compiler/pipeline.h" is
# right in the tree and outside of it.

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(weir_package_folder "${CMAKE_INSTALL_LIBDIR}/cmake/weir")
set(weir_header_folder "${CMAKE_INSTALL_INCLUDEDIR}/weir")

# weir_relative(OUT from to): the way from one folder below the prefix to another.
function(weir_relative out from to)
  file(RELATIVE_PATH way "/prefix/${from}" "/prefix/${to}")
  set(${out} "${way}" PARENT_SCOPE)
endfunction()

# weir_pkg_config(FILE COMPONENT)
function(weir_pkg_config name component)
  weir_relative(WEIR_PREFIX_FROM_PKGCONFIG "${CMAKE_INSTALL_LIBDIR}/pkgconfig" "")
  configure_file("${PROJECT_SOURCE_DIR}/cmake/${name}.pc.in" "${PROJECT_BINARY_DIR}/${name}.pc" @ONLY)
  install(FILES "${PROJECT_BINARY_DIR}/${name}.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig"
    COMPONENT ${component})
endfunction()

# weir_package_target(TARGET name component): exports the target as weir::<name>.
function(weir_package_target target name component)
  set_target_properties(${target} PROPERTIES EXPORT_NAME ${name})
  target_include_directories(${target} INTERFACE "$<INSTALL_INTERFACE:${weir_header_folder}>")
  install(TARGETS ${target} EXPORT weir_${component}
    ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT ${component}
    LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}" COMPONENT ${component} NAMELINK_COMPONENT ${component})
  install(EXPORT weir_${component} NAMESPACE weir:: FILE weir_${component}.cmake
    DESTINATION "${weir_package_folder}" COMPONENT ${component})
endfunction()

function(weir_package_runtime)
  # The archive is C++ inside: a C program is linked with what that needs.
  target_link_libraries(weir_runtime INTERFACE "$<INSTALL_INTERFACE:stdc++>")
  weir_package_target(weir_runtime runtime runtime)
  install(FILES "${PROJECT_SOURCE_DIR}/runtime/abi.h" "${PROJECT_SOURCE_DIR}/runtime/weir_runtime.h"
    "${PROJECT_SOURCE_DIR}/runtime/model_info.h" "${PROJECT_SOURCE_DIR}/runtime/weir_trainer.h"
    DESTINATION "${weir_header_folder}/runtime" COMPONENT runtime)
  weir_pkg_config(weir-runtime runtime)
  install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" DESTINATION "${CMAKE_INSTALL_DOCDIR}" COMPONENT runtime)
  configure_package_config_file("${PROJECT_SOURCE_DIR}/cmake/weirConfig.cmake.in"
    "${PROJECT_BINARY_DIR}/weirConfig.cmake" INSTALL_DESTINATION "${weir_package_folder}"
    NO_SET_AND_CHECK_MACRO)
  write_basic_package_version_file("${PROJECT_BINARY_DIR}/weirConfigVersion.cmake"
    COMPATIBILITY SameMinorVersion)
  install(FILES "${PROJECT_BINARY_DIR}/weirConfig.cmake" "${PROJECT_BINARY_DIR}/weirConfigVersion.cmake"
    DESTINATION "${weir_package_folder}" COMPONENT runtime)
endfunction()

function(weir_package_compiler)
  set_target_properties(weir PROPERTIES VERSION ${PROJECT_VERSION}
    SOVERSION ${PROJECT_VERSION_MAJOR}.${PROJECT_VERSION_MINOR})
  target_compile_features(weir INTERFACE cxx_std_20)
  if(NOT weir_llvm_static)
    set_target_properties(weir PROPERTIES INSTALL_RPATH_USE_LINK_PATH ON)
  endif()
  weir_package_target(weir compiler compiler)
  weir_pkg_config(weir compiler)
  # Sources may change their includes without a new configuration, so the headers are chosen when they are installed.
  install(CODE "
    set(source \"${PROJECT_SOURCE_DIR}\")
    set(generated \"${PROJECT_BINARY_DIR}/generated\")
    set(destination \"${weir_header_folder}\")
    include(\"${PROJECT_SOURCE_DIR}/cmake/install_headers.cmake\")" COMPONENT compiler)
  if(TARGET weir_tool)
    weir_relative(way "${CMAKE_INSTALL_BINDIR}" "${CMAKE_INSTALL_LIBDIR}")
    set_target_properties(weir_tool PROPERTIES INSTALL_RPATH "$ORIGIN/${way}")
    install(FILES "${PROJECT_SOURCE_DIR}/cmake/WeirModel.cmake" DESTINATION "${weir_package_folder}" COMPONENT compiler)
    install(TARGETS weir_tool RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}" COMPONENT compiler)
    weir_pages_of_the_command()
  endif()
endfunction()

# The manual page and the completion are printed by the command itself, from the declarations of its options.
function(weir_pages_of_the_command)
  set(folder "${PROJECT_BINARY_DIR}/share")
  file(MAKE_DIRECTORY "${folder}")
  add_custom_command(OUTPUT "${folder}/weir.1" "${folder}/weir.bash"
    COMMAND weir_tool --man > "${folder}/weir.1"
    COMMAND weir_tool --bash-completion > "${folder}/weir.bash"
    DEPENDS weir_tool VERBATIM COMMENT "Generating the manual page and the completion of weir")
  add_custom_target(weir_pages ALL DEPENDS "${folder}/weir.1" "${folder}/weir.bash")
  install(FILES "${folder}/weir.1" DESTINATION "${CMAKE_INSTALL_MANDIR}/man1" COMPONENT compiler)
  install(FILES "${folder}/weir.bash" DESTINATION "${CMAKE_INSTALL_DATADIR}/bash-completion/completions"
    RENAME weir COMPONENT compiler)
endfunction()

# tests/package: programs outside the tree, built against an installed copy. One CTest test each, which run
# one after the other on the copy that the first installs.
function(weir_package_tests)
  set(script "${PROJECT_SOURCE_DIR}/tests/package/package_test.py")
  if(NOT EXISTS "${script}" OR NOT TARGET weir_tool OR WEIR_SANITIZE)
    return()
  endif()
  find_package(Python3 REQUIRED COMPONENTS Interpreter)
  file(STRINGS "${script}" tests REGEX "^def test_")
  list(TRANSFORM tests REPLACE "^def test_([a-z_]+).*" "\\1")
  foreach(name IN ITEMS install LISTS tests)
    add_test(NAME package/${name} COMMAND "${Python3_EXECUTABLE}" "${script}" "${PROJECT_SOURCE_DIR}"
      "${PROJECT_BINARY_DIR}" ${name})
    set_tests_properties(package/${name} PROPERTIES LABELS package TIMEOUT 600 COST 120 SKIP_RETURN_CODE 77)
    if(name STREQUAL "install")
      set_tests_properties(package/${name} PROPERTIES FIXTURES_SETUP weir_prefix)
    elseif(name STREQUAL "gcc")
      set_tests_properties(package/${name} PROPERTIES FIXTURES_REQUIRED weir_prefix FIXTURES_SETUP weir_host)
    elseif(name STREQUAL "runtime")
      set_tests_properties(package/${name} PROPERTIES FIXTURES_REQUIRED "weir_prefix;weir_host")
    else()
      set_tests_properties(package/${name} PROPERTIES FIXTURES_REQUIRED weir_prefix)
    endif()
  endforeach()
endfunction()
