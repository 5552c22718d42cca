# Libraries for the files of others: ONNX's schema with protobuf, zip archives and gzip. Only compiler/frontend sees them.

find_package(Protobuf REQUIRED)
find_package(ONNX CONFIG QUIET)
if(NOT TARGET onnx_proto)
  message(FATAL_ERROR "ONNX's schema library is needed. Install libonnx-dev (./dev setup does).")
endif()
# Debian's CMake package of libzip wants its command line tools, too; pkg-config knows the library alone.
find_package(PkgConfig REQUIRED)
pkg_check_modules(libzip REQUIRED IMPORTED_TARGET libzip)
find_package(ZLIB REQUIRED)

add_library(weir_formats INTERFACE)
target_include_directories(weir_formats SYSTEM INTERFACE ${ONNX_INCLUDE_DIRS} ${Protobuf_INCLUDE_DIRS})
target_link_libraries(weir_formats INTERFACE onnx_proto protobuf::libprotobuf PkgConfig::libzip ZLIB::ZLIB)
