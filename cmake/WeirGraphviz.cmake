# Graphviz lays out pictures. Its headers are needed for a build, its library only by who wants an SVG file: it is
# opened then (compiler/drawing/svg.cc), and no program of ours is linked with it.

find_package(PkgConfig REQUIRED)
pkg_check_modules(graphviz REQUIRED libgvc)
find_library(weir_gvc_library gvc HINTS ${graphviz_LIBRARY_DIRS} NO_CACHE REQUIRED)
find_library(weir_dot_library gvplugin_dot_layout PATH_SUFFIXES graphviz HINTS ${graphviz_LIBRARY_DIRS} NO_CACHE REQUIRED)

add_library(weir_graphviz INTERFACE)
target_include_directories(weir_graphviz SYSTEM INTERFACE ${graphviz_INCLUDE_DIRS})
target_link_libraries(weir_graphviz INTERFACE ${CMAKE_DL_LIBS})
# The names that a program opens: libgvc.so.6, and the number alone for the plugins in its folder graphviz.
foreach(library gvc dot)
  get_filename_component(file "${weir_${library}_library}" REALPATH)
  string(REGEX MATCH "\\.so\\.[0-9]+" weir_${library}_version "${file}")
endforeach()
target_compile_definitions(weir_graphviz INTERFACE WEIR_GVC_VERSION="${weir_gvc_version}"
  WEIR_GVC_PLUGIN_VERSION="${weir_dot_version}")

# Tests read pictures with Graphviz's own parser.
function(weir_reads_pictures target)
  if(TARGET ${target})
    pkg_check_modules(cgraph REQUIRED IMPORTED_TARGET libcgraph)
    target_link_libraries(${target} PRIVATE PkgConfig::cgraph)
  endif()
endfunction()
