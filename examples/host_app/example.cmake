# A host whose threads are those of oneTBB.
find_package(TBB QUIET)
if(TBB_FOUND)
  add_executable(example_host_app ${sources})
  target_link_libraries(example_host_app PRIVATE weir TBB::tbb)
  weir_needs_builder(example_host_app)
else()
  message(STATUS "oneTBB not found: examples/host_app is left out (libtbb-dev has it)")
endif()
