if(CONFIG_EDGE_SEQ)
    zephyr_include_directories(include)
    zephyr_library_named(edge_seq)
    zephyr_library_sources(
@sources@
    )
    zephyr_library_include_directories(src)
endif()
