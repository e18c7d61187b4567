"""Packages built as their build system builds them, for this machine, and the examples run: their answers are the
reference's. ESP-IDF and Zephyr are stood in for by a few lines of CMake that do what their functions do."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from firmware_export.emission.blob import emit_blob
from firmware_export.toolchain.build import STRICT_FLAGS
from tests.packages.conftest import Packaged

HEADERS = Path(__file__).parents[1] / "device" / "headers" / "stm32"
ONE_COMMAND = ("-std=c99", "-O2", "-Wall", "-Wextra", "-Wpedantic", "-Wconversion", "-Wshadow", "-Werror")
BOTH = """
#include "car.h"
#include "car_golden.h"
#include "gait.h"
#include "gait_golden.h"

static car_memory_t car;
static gait_memory_t gait;

int main(void)
{
    return es_self_test(&car_golden, &car, sizeof car, NULL) != ES_OK ||
           es_self_test(&gait_golden, &gait, sizeof gait, NULL) != ES_OK;
}
"""


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not on this machine; apt-get install {program}")


def run(*command: object, stdin: str = "", cwd: Path | None = None) -> str:
    """Standard output of a command that must succeed."""
    done = subprocess.run(
        list(map(str, command)), input=stdin, cwd=cwd, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def cmake(source: Path, build: Path, *options: str) -> None:
    run("cmake", "-S", source, "-B", build, *options)
    run("cmake", "--build", build, "--parallel", "2")


@pytest.mark.parametrize("compiler", ["gcc", pytest.param("clang", marks=pytest.mark.slow)])
def test_plain_with_one_command(compiler: str, folder: Path, car: Packaged, gait: Packaged, tmp_path: Path) -> None:
    need(compiler)
    sources = sorted((folder / "plain").glob("*.c"))
    objects = tmp_path / "objects"
    objects.mkdir()
    run(compiler, *ONE_COMMAND, "-c", "-I", folder / "plain", *sources, cwd=objects)
    for packaged in (car, gait):
        name = packaged.model.name
        for example in ("replay", "stream"):
            source = folder / "plain" / "examples" / f"{name}_{example}.c"
            run(compiler, *ONE_COMMAND, "-I", folder / "plain", source, *objects.glob("*.o"), "-o", tmp_path / example)
        assert run(tmp_path / "replay").splitlines() == packaged.replay
        first = packaged.golden.counts[0]
        printed = run(tmp_path / "stream", stdin="\n".join(" ".join(map(str, sample)) for sample in first.tolist()))
        labels = packaged.golden.labels.shape[1]
        assert printed.splitlines() == packaged.replay[1 : 1 + labels]
        sample = " ".join(["1"] * first.shape[1])
        for wrong in (f"{sample}\n1", f"{sample}\nx", f"{sample}\n40000", sample.replace(" ", ",")):
            refused = subprocess.run([tmp_path / "stream"], input=wrong, capture_output=True, text=True, check=False)
            assert refused.returncode == 1
            expected = f"after {int(wrong.startswith(sample))} samples: expected {first.shape[1]} whole numbers"
            assert expected in refused.stderr


LOADING = """
#include <stdio.h>
#include "car.h"
#include "es_load.h"

static union { void *alignment; uint8_t bytes[20000]; } blob, room;
static car_memory_t memory;

int main(void)
{
    const es_expected_t expected = {&car_model, &car_contract};
    const es_loaded_t *loaded;
    size_t size = fread(blob.bytes, 1, sizeof blob.bytes, stdin);
    es_status_t status = es_load(blob.bytes, size, &expected, room.bytes, sizeof room.bytes, &loaded);

    if (status == ES_OK) {
        status = es_self_test(&loaded->golden, &memory, sizeof memory, NULL);
    }
    puts(status == ES_OK ? "loaded" : es_status_text(status));
    return status != ES_OK;
}
"""


def loading(car: Packaged, program: Path) -> None:
    """Let a program load the model as a blob, and a damaged one."""
    blob = emit_blob(car.model, car.golden, sys.byteorder)
    done = subprocess.run([program], input=blob, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"loaded\n")
    assert subprocess.run([program], input=blob[:-1], capture_output=True, check=False).returncode == 1


@pytest.mark.slow  # the loader of the CMake package is tried by default
def test_plain_with_the_loader(folder: Path, car: Packaged, tmp_path: Path) -> None:
    need("gcc")
    plain = folder / "plain"
    (tmp_path / "main.c").write_text(LOADING)
    sources = [*sorted(plain.glob("es_*.c")), plain / "car.c", *sorted((plain / "load").glob("*.c"))]
    options = [one for one in ONE_COMMAND if one != "-O2"]  # compiled without optimisation in half the time
    run("gcc", *options, f"-I{plain}", f"-I{plain / 'load'}", *sources, tmp_path / "main.c", "-o", tmp_path / "load")
    loading(car, tmp_path / "load")


ARM = ("arm-none-eabi-gcc", "-mcpu=cortex-m4", "-mthumb")


@pytest.mark.parametrize(
    "command", [("gcc",), pytest.param(ARM, marks=pytest.mark.slow)], ids=lambda command: command[0]
)
def test_folders_for_stm32(
    command: tuple[str, ...], folder: Path, car: Packaged, gait: Packaged, tmp_path: Path
) -> None:
    need(command[0])
    folders = sorted((folder / "stm32cube" / "Middlewares" / "Third_Party").iterdir())
    assert [path.name for path in folders] == ["edge_seq", "edge_seq_car", "edge_seq_gait"]
    (tmp_path / "main.h").write_text('#include "stm32_hal.h"\n')
    includes = [f"-I{path}" for path in (*folders, tmp_path, HEADERS)]
    sources = [source for path in folders for source in sorted(path.glob("*.c"))]
    run(*command, *STRICT_FLAGS, "-O2", "-c", *includes, *sources, cwd=tmp_path)
    if command != ("gcc",):
        return
    (tmp_path / "start.c").write_text(
        """
#include <stdio.h>
#include "car_example.h"
#include "gait_example.h"

HAL_StatusTypeDef HAL_UART_Transmit(UART_HandleTypeDef *uart, const uint8_t *data, uint16_t size, uint32_t timeout)
{
    (void)uart;
    (void)timeout;
    return fwrite(data, 1, size, stdout) == size ? HAL_OK : HAL_ERROR;
}

int main(void)
{
    UART_HandleTypeDef uart = {0};
    return car_example(&uart) + gait_example(&uart);
}
"""
    )
    (tmp_path / "es_stm32_hal.o").unlink()  # needs the registers of a part
    run("gcc", *STRICT_FLAGS[:1], *includes, tmp_path / "start.c", *tmp_path.glob("*.o"), "-o", tmp_path / "run")
    assert run(tmp_path / "run").split("\n")[:-1] == [*car.replay, *gait.replay]


@pytest.mark.slow
def test_libraries_of_platformio_without_arduino(folder: Path, tmp_path: Path) -> None:
    """Another framework compiles every file of the libraries that a program includes."""
    need("gcc", "g++")
    libraries = sorted((folder / "platformio" / "lib").iterdir())
    includes = [f"-I{library / 'src'}" for library in libraries]
    for compiler, suffix in (("gcc", ".c"), ("g++", ".cpp")):
        sources = [source for library in libraries for source in sorted((library / "src").glob(f"*{suffix}"))]
        run(compiler, "-O2", "-Wall", "-Werror", "-c", *includes, *sources, cwd=tmp_path)
    (tmp_path / "main.c").write_text(BOTH)
    run("gcc", *includes, tmp_path / "main.c", *tmp_path.glob("*.o"), "-o", tmp_path / "both")
    run(tmp_path / "both")


@pytest.mark.slow
def test_packs_of_cmsis(folder: Path, car: Packaged, gait: Packaged, tmp_path: Path) -> None:
    """The files and include folders that the descriptions list, and the template of an example."""
    need("gcc")
    sources, includes = [], []
    for pack in ("edge_seq", "car", "gait"):
        place = tmp_path / pack
        with zipfile.ZipFile(folder / "cmsis-pack" / f"edge_seq.{pack}.0.1.0.pack") as archive:
            archive.extractall(place)
        for file in ElementTree.parse(place / f"edge_seq.{pack}.pdsc").iter("file"):
            path = place / str(file.get("name"))
            if file.get("category") == "include":
                includes.append(f"-I{path}")
            elif file.get("category") == "source" and not file.get("attr"):
                sources.append(path)
    for packaged in (car, gait):
        example = tmp_path / packaged.model.name / "examples" / "replay.c"
        run("gcc", *ONE_COMMAND, *includes, *sources, example, "-o", tmp_path / "replay")
        assert run(tmp_path / "replay").splitlines() == packaged.replay


def test_cmake_as_a_subdirectory(folder: Path, car: Packaged, gait: Packaged, tmp_path: Path) -> None:
    need("cmake", "gcc")
    cmake(folder / "cmake", tmp_path / "build", "-DEDGE_SEQ_EXAMPLES=ON")
    build = tmp_path / "build" / "edge_seq_car"
    for packaged in (car, gait):
        name = packaged.model.name
        assert run(tmp_path / "build" / f"edge_seq_{name}" / f"{name}_replay").splitlines() == packaged.replay
    libraries = [tmp_path / "build" / name / f"lib{name}.a" for name in ("edge_seq_car", "edge_seq")]
    includes = [f"-I{folder / 'cmake' / name / 'include'}" for name in ("edge_seq_car", "edge_seq")]
    (tmp_path / "main.c").write_text(LOADING)
    run("gcc", *ONE_COMMAND, *includes, tmp_path / "main.c", *libraries, "-o", tmp_path / "load")
    loading(car, tmp_path / "load")
    linked = {name: run("nm", path) for name, path in (("load", tmp_path / "load"), ("replay", build / "car_replay"))}
    assert {name: " es_load\n" in symbols for name, symbols in linked.items()} == {"load": True, "replay": False}


USE = """
cmake_minimum_required(VERSION 3.16)
project(both LANGUAGES C)
{find}
add_executable(both main.c)
target_link_libraries(both PRIVATE edge_seq::car edge_seq::gait)
"""
FETCH = """
include(FetchContent)
FetchContent_Declare(edge_seq_models SOURCE_DIR "{folder}")
FetchContent_MakeAvailable(edge_seq_models)
"""


@pytest.mark.slow
@pytest.mark.parametrize("way", ["fetch", "find", "one"])
def test_cmake_other_ways(way: str, folder: Path, tmp_path: Path) -> None:
    """FetchContent; find_package after an installation; the models' folders without the one above them."""
    need("cmake", "gcc")
    package = folder / "cmake"
    finds = {
        "fetch": FETCH.format(folder=package.as_posix()),
        "find": "find_package(edge_seq_car 0.1.0 REQUIRED)\nfind_package(edge_seq_gait REQUIRED)",
        "one": "".join(f'add_subdirectory("{(package / f"edge_seq_{n}").as_posix()}" {n})\n' for n in ("car", "gait")),
    }
    if way == "find":
        cmake(package, tmp_path / "install")
        run("cmake", "--install", tmp_path / "install", "--prefix", tmp_path / "prefix")
    (tmp_path / "CMakeLists.txt").write_text(USE.format(find=finds[way]))
    (tmp_path / "main.c").write_text(BOTH)
    cmake(tmp_path, tmp_path / "build", f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}")
    run(tmp_path / "build" / "both")


@pytest.mark.slow
def test_cmake_for_a_cortex_m4(folder: Path, tmp_path: Path) -> None:
    need("cmake", "arm-none-eabi-gcc")
    toolchain = folder / "cmake" / "edge_seq" / "cmake" / "cortex_m4.cmake"
    cmake(folder / "cmake", tmp_path / "build", f"-DCMAKE_TOOLCHAIN_FILE={toolchain}", "-DCMAKE_BUILD_TYPE=Release")
    library = tmp_path / "build" / "edge_seq" / "libedge_seq.a"
    assert "es_lstm_units" in run("arm-none-eabi-nm", library), "the kernel for this processor is in it"


IDF = """
cmake_minimum_required(VERSION 3.16)
project(idf LANGUAGES C)
function(idf_component_register)
    cmake_parse_arguments(IDF "" "" "SRCS;INCLUDE_DIRS;PRIV_INCLUDE_DIRS;REQUIRES;PRIV_REQUIRES" ${{ARGN}})
    cmake_path(GET CMAKE_CURRENT_SOURCE_DIR FILENAME name)
    add_library(${{name}} STATIC ${{IDF_SRCS}})
    target_include_directories(${{name}} PUBLIC ${{IDF_INCLUDE_DIRS}} PRIVATE ${{IDF_PRIV_INCLUDE_DIRS}})
    target_link_libraries(${{name}} PUBLIC ${{IDF_REQUIRES}} PRIVATE ${{IDF_PRIV_REQUIRES}})
endfunction()
foreach(component edge_seq edge_seq_car edge_seq_gait)
    add_subdirectory({folder}/components/${{component}} ${{component}})
endforeach()
add_subdirectory({main} main)
add_executable(run start.c)
target_link_libraries(run PRIVATE main)
"""


@pytest.mark.slow
@pytest.mark.parametrize("which", ["car", "gait"])
def test_components_of_esp_idf(which: str, folder: Path, car: Packaged, gait: Packaged, tmp_path: Path) -> None:
    need("cmake", "gcc")
    packaged = {"car": car, "gait": gait}[which]
    idf = (folder / "esp-idf").as_posix()
    (tmp_path / "CMakeLists.txt").write_text(IDF.format(folder=idf, main=f"{idf}/examples/{which}_replay/main"))
    (tmp_path / "start.c").write_text("void app_main(void);\nint main(void)\n{\n    app_main();\n    return 0;\n}\n")
    cmake(tmp_path, tmp_path / "build")
    assert run(tmp_path / "build" / "run").splitlines() == packaged.replay


@pytest.mark.slow
def test_two_components_in_a_project_of_esp_idf(folder: Path, tmp_path: Path) -> None:
    need("cmake", "gcc")
    (tmp_path / "CMakeLists.txt").write_text(IDF.format(folder=(folder / "esp-idf").as_posix(), main="main"))
    (tmp_path / "start.c").write_text("int app_main(void);\nint main(void)\n{\n    return app_main();\n}\n")
    main = tmp_path / "main"
    main.mkdir()
    (main / "CMakeLists.txt").write_text(
        "idf_component_register(SRCS main.c PRIV_REQUIRES edge_seq_car edge_seq_gait)\n"
    )
    (main / "main.c").write_text(BOTH.replace("int main(void)", "int app_main(void);\nint app_main(void)"))
    cmake(tmp_path, tmp_path / "build")
    run(tmp_path / "build" / "run")


ZEPHYR = """
enable_language(C)
add_library(zephyr_interface INTERFACE)
file(STRINGS ${CMAKE_CURRENT_SOURCE_DIR}/prj.conf settings REGEX "=y")
foreach(setting IN LISTS settings)
    string(REPLACE "=y" "" symbol ${setting})
    set(${symbol} y)
endforeach()
if(CONFIG_EDGE_SEQ_CAR OR CONFIG_EDGE_SEQ_GAIT)
    set(CONFIG_EDGE_SEQ y)
endif()
function(zephyr_include_directories folder)
    target_include_directories(zephyr_interface INTERFACE ${CMAKE_CURRENT_SOURCE_DIR}/${folder})
endfunction()
macro(zephyr_library_named name)
    set(zephyr_library ${name})
    add_library(${name} STATIC)
    target_link_libraries(${name} PRIVATE zephyr_interface)
    set_property(GLOBAL APPEND PROPERTY zephyr_libraries ${name})
endmacro()
function(zephyr_library_sources)
    target_sources(${zephyr_library} PRIVATE ${ARGN})
endfunction()
function(zephyr_library_include_directories)
    target_include_directories(${zephyr_library} PRIVATE ${ARGN})
endfunction()
foreach(module IN LISTS ZEPHYR_EXTRA_MODULES)
    cmake_path(GET module FILENAME name)
    if(name STREQUAL ..)
        set(name model)
    endif()
    add_subdirectory(${module} ${name})
endforeach()
add_executable(app)
get_property(libraries GLOBAL PROPERTY zephyr_libraries)
list(REVERSE libraries)
target_link_libraries(app PRIVATE zephyr_interface ${libraries})
"""


@pytest.mark.slow
@pytest.mark.parametrize("which", ["car", "gait"])
def test_modules_of_zephyr(which: str, folder: Path, car: Packaged, gait: Packaged, tmp_path: Path) -> None:
    need("cmake", "gcc")
    packaged = {"car": car, "gait": gait}[which]
    (tmp_path / "ZephyrConfig.cmake").write_text(ZEPHYR)
    sample = folder / "zephyr" / f"edge_seq_{which}" / "samples" / "replay"
    cmake(sample, tmp_path / "build", f"-DZephyr_DIR={tmp_path}", "-Wno-dev")
    assert run(tmp_path / "build" / "app").splitlines() == packaged.replay


@pytest.mark.slow
def test_two_modules_in_an_application_of_zephyr(folder: Path, tmp_path: Path) -> None:
    need("cmake", "gcc")
    (tmp_path / "ZephyrConfig.cmake").write_text(ZEPHYR)
    application = tmp_path / "application"
    application.mkdir()
    modules = " ".join((folder / "zephyr" / name).as_posix() for name in ("edge_seq", "edge_seq_car", "edge_seq_gait"))
    (application / "CMakeLists.txt").write_text(
        f"cmake_minimum_required(VERSION 3.20)\nlist(APPEND ZEPHYR_EXTRA_MODULES {modules})\n"
        "find_package(Zephyr REQUIRED)\nproject(both)\ntarget_sources(app PRIVATE main.c)\n"
    )
    (application / "prj.conf").write_text("CONFIG_EDGE_SEQ_CAR=y\nCONFIG_EDGE_SEQ_GAIT=y\n")
    (application / "main.c").write_text(BOTH)
    cmake(application, tmp_path / "build", f"-DZephyr_DIR={tmp_path}", "-Wno-dev")
    run(tmp_path / "build" / "app")
