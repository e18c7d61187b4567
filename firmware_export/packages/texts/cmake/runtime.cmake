# The runtime of edge_seq's models: target edge_seq::edge_seq.
cmake_minimum_required(VERSION 3.16)
project(edge_seq VERSION @version@ LANGUAGES C)

if(TARGET edge_seq) # another model's package has added it
    return()
endif()

add_library(edge_seq STATIC
@sources@
)
add_library(edge_seq::edge_seq ALIAS edge_seq)
target_compile_features(edge_seq PUBLIC c_std_99)
target_include_directories(edge_seq
    PUBLIC $<BUILD_INTERFACE:${CMAKE_CURRENT_SOURCE_DIR}/include> $<INSTALL_INTERFACE:include/edge_seq>
    PRIVATE src
)
if(CMAKE_C_COMPILER_ID MATCHES "GNU|Clang")
    target_compile_options(edge_seq PRIVATE -ffunction-sections -fdata-sections)
endif()

include(CMakePackageConfigHelpers)
set(config_folder lib/cmake/edge_seq)
write_basic_package_version_file(${CMAKE_CURRENT_BINARY_DIR}/edge_seqConfigVersion.cmake COMPATIBILITY ExactVersion)
install(TARGETS edge_seq EXPORT edge_seqTargets ARCHIVE DESTINATION lib)
install(EXPORT edge_seqTargets NAMESPACE edge_seq:: DESTINATION ${config_folder})
install(FILES cmake/edge_seqConfig.cmake ${CMAKE_CURRENT_BINARY_DIR}/edge_seqConfigVersion.cmake
    DESTINATION ${config_folder})
install(DIRECTORY include/ DESTINATION include/edge_seq)
