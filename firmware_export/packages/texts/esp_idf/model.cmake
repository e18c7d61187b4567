idf_component_register(SRCS src/@model@.c src/@model@_golden.c INCLUDE_DIRS include REQUIRES edge_seq)
