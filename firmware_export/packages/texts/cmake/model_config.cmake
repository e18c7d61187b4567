include(CMakeFindDependencyMacro)
find_dependency(edge_seq @version@ EXACT)
include(${CMAKE_CURRENT_LIST_DIR}/@library@Targets.cmake)
