file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/src/*.c)
idf_component_register(SRCS ${sources} INCLUDE_DIRS include PRIV_INCLUDE_DIRS src)
