# weir_add_model(TARGET MODEL [OPTIONS options of `weir compile`...])
#
# Compiles a model when the project is built, and again when the model or a file that it names has changed. TARGET is a
# library to link, with a header TARGET.h to include; names in it begin with TARGET, as in TARGET_forward.
#
#   weir_add_model(digits models/digits.onnx OPTIONS --gradient x --cpu x86-64-v3)
#   target_link_libraries(program PRIVATE digits)
function(weir_add_model target model)
  cmake_parse_arguments(PARSE_ARGV 2 arg "" "" "OPTIONS")
  if(arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "weir_add_model takes a target, a model and OPTIONS, and is given ${arg_UNPARSED_ARGUMENTS}")
  endif()
  get_filename_component(model "${model}" ABSOLUTE)
  set(folder "${CMAKE_CURRENT_BINARY_DIR}/models/${target}")
  set(archive "${folder}/lib${target}.a")
  file(MAKE_DIRECTORY "${folder}")
  if(TARGET weir_tool)
    set(command weir_tool)
  else()
    set(command "${WEIR_COMMAND}")
  endif()
  add_custom_command(OUTPUT "${archive}" "${folder}/${target}.h"
    COMMAND ${command} compile "${model}" -o "${archive}" --header "${folder}/${target}.h" --prefix ${target}
            --depfile "${folder}/${target}.d" ${arg_OPTIONS}
    DEPENDS "${model}" ${command} DEPFILE "${folder}/${target}.d" VERBATIM COMMENT "Compiling the model ${target}")
  add_custom_target(${target}_model DEPENDS "${archive}" "${folder}/${target}.h")
  add_library(${target} STATIC IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES IMPORTED_LOCATION "${archive}"
    INTERFACE_INCLUDE_DIRECTORIES "${folder}")
  add_dependencies(${target} ${target}_model)
endfunction()
