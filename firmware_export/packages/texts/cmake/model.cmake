# @sentence@: target edge_seq::@model@.
cmake_minimum_required(VERSION 3.16)
project(@library@ VERSION @version@ LANGUAGES C)

option(EDGE_SEQ_EXAMPLES "Build the examples of edge_seq's models" OFF)

if(NOT TARGET edge_seq::edge_seq)
    if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/../edge_seq/CMakeLists.txt)
        add_subdirectory(../edge_seq edge_seq)
    else()
        find_package(edge_seq @version@ EXACT REQUIRED)
    endif()
endif()

add_library(@library@ STATIC src/@model@.c src/@model@_golden.c)
add_library(edge_seq::@model@ ALIAS @library@)
set_target_properties(@library@ PROPERTIES EXPORT_NAME @model@)
target_include_directories(@library@
    PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include/@library@>
)
target_link_libraries(@library@ PUBLIC edge_seq::edge_seq)

if(EDGE_SEQ_EXAMPLES)
    foreach(example IN ITEMS @model@_replay @model@_stream)
        add_executable(${example} examples/${example}.c)
        target_link_libraries(${example} PRIVATE edge_seq::@model@)
    endforeach()
endif()

include(CMakePackageConfigHelpers)
set(config_folder lib/cmake/@library@)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/@library@ConfigVersion.cmake COMPATIBILITY ExactVersion)
install(TARGETS @library@ EXPORT @library@Targets ARCHIVE DESTINATION lib)
install(EXPORT @library@Targets NAMESPACE edge_seq:: DESTINATION ${config_folder})
install(FILES cmake/@library@Config.cmake ${CMAKE_CURRENT_BINARY_DIR}/@library@ConfigVersion.cmake
    DESTINATION ${config_folder})
install(DIRECTORY include/ DESTINATION include/@library@)
