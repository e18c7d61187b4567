# The runtime and every model in this folder.
cmake_minimum_required(VERSION 3.16)
project(edge_seq_models LANGUAGES C)

add_subdirectory(edge_seq)
file(GLOB models RELATIVE ${CMAKE_CURRENT_SOURCE_DIR} CONFIGURE_DEPENDS edge_seq_*/CMakeLists.txt)
foreach(model IN LISTS models)
    get_filename_component(folder ${model} DIRECTORY)
    add_subdirectory(${folder})
endforeach()
